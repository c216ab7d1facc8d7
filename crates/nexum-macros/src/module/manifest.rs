//! The module's manifest: found, read and checked as the engine does it.

use std::{
    env,
    path::{Path, PathBuf},
};

use nexum_manifest::{ModuleFile, ModuleManifest, ModulePlaces};
use proc_macro2::{Span, TokenStream};
use quote::quote_spanned;

use super::options::Options;
use crate::errors::Errors;

/// The manifest's name, beside Cargo.toml.
const NAME: &str = "nexum.toml";

/// Where the crate that is compiled stands.
pub(crate) struct Crate {
    /// The folder of its Cargo.toml.
    pub(crate) folder: PathBuf,
    /// What paths in the compiler's messages are relative to.
    pub(crate) shown_from: PathBuf,
}

impl Crate {
    /// As Cargo says it.
    pub(crate) fn from_env() -> Self {
        Self {
            folder: env::var_os("CARGO_MANIFEST_DIR").map_or_else(PathBuf::new, PathBuf::from),
            shown_from: env::current_dir().unwrap_or_default(),
        }
    }
}

/// A manifest without problems of its own.
pub(super) struct File {
    pub(super) manifest: ModuleManifest,
    pub(super) places: ModulePlaces,
    /// Its path, for messages.
    pub(super) shown: String,
    /// What has the compiler look again when it changes.
    pub(super) dependency: TokenStream,
}

/// Reads the manifest. Every problem with it is reported at the attribute.
pub(super) fn load(of: &Crate, options: &Options, errors: &mut Errors) -> Option<File> {
    let written = options.manifest.as_ref().map(syn::LitStr::value);
    let written = written.as_deref().unwrap_or(NAME);
    let at = options
        .manifest
        .as_ref()
        .map_or_else(Span::call_site, syn::LitStr::span);
    let path = of.folder.join(written);
    let shown = match path.strip_prefix(&of.shown_from) {
        Ok(shown) if !shown.as_os_str().is_empty() => shown,
        Ok(_) => Path::new(written),
        Err(_) => &path,
    };
    if !path.exists() {
        errors.at(at, missing(shown));
        return None;
    }
    let file = std::fs::read_to_string(&path)
        .map_err(|error| format!("{} cannot be read: {error}", shown.display()));
    let file = match file {
        Ok(text) => ModuleFile::parse(shown, text),
        Err(message) => {
            errors.at(at, message);
            return None;
        }
    };
    match file {
        Ok(file) => Some(File {
            places: file.places().clone(),
            manifest: file.into_manifest(),
            shown: shown.display().to_string(),
            dependency: dependency(written),
        }),
        Err(problems) => {
            for problem in problems.problems() {
                errors.at(at, format!("{problem:#}"));
            }
            None
        }
    }
}

fn dependency(written: &str) -> TokenStream {
    if Path::new(written).is_absolute() {
        return quote_spanned! {Span::mixed_site()=>
            const _: &[u8] = ::core::include_bytes!(#written);
        };
    }
    let path = format!("/{written}");
    quote_spanned! {Span::mixed_site()=>
        const _: &[u8] = ::core::include_bytes!(
            ::core::concat!(::core::env!("CARGO_MANIFEST_DIR"), #path)
        );
    }
}

fn missing(path: &Path) -> String {
    format!(
        r#"there is no {}, which says what the module needs and which events it gets: write it, such as

[module]
name = "my-module"
version = "0.1.0"

[chains]
required = [1]

[capabilities]
required = ["chain", "logging"]

[[subscription]]
kind = "block"
chain_id = 1
"#,
        path.display()
    )
}
