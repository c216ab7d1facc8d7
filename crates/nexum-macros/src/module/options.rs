//! What stands in `#[nexum::module(…)]`.

use proc_macro2::TokenStream;
use syn::{LitStr, Token, Type, parse::ParseStream};

use crate::errors::Errors;

#[derive(Default)]
pub(super) struct Options {
    /// The type of the configuration, where it is not the one that `#[init]` takes.
    pub(super) config: Option<Type>,
    /// The manifest, relative to the crate's folder.
    pub(super) manifest: Option<LitStr>,
}

impl Options {
    /// The options; none where they are not understood, which is reported.
    pub(super) fn parse(tokens: TokenStream, errors: &mut Errors) -> Option<Self> {
        let mut options = Self::default();
        let parsed = syn::parse::Parser::parse2(
            |input: ParseStream<'_>| {
                while !input.is_empty() {
                    let key: syn::Ident = input.parse()?;
                    input.parse::<Token![=]>()?;
                    match key.to_string().as_str() {
                        "config" if options.config.is_none() => {
                            options.config = Some(input.parse()?);
                        }
                        "manifest" if options.manifest.is_none() => {
                            options.manifest = Some(input.parse()?);
                        }
                        "config" | "manifest" => {
                            return Err(syn::Error::new_spanned(
                                &key,
                                format!("`{key}` is there twice"),
                            ));
                        }
                        _ => return Err(unknown(&key)),
                    }
                    if !input.is_empty() {
                        input.parse::<Token![,]>()?;
                    }
                }
                Ok(())
            },
            tokens,
        );
        match parsed {
            Ok(()) => Some(options),
            Err(error) => {
                errors.add(error);
                None
            }
        }
    }
}

fn unknown(key: &syn::Ident) -> syn::Error {
    let message = format!(
        "`#[nexum::module]` has no `{key}`: it takes `config = Type`, and `manifest = \"path\"`"
    );
    syn::Error::new_spanned(key, message)
}
