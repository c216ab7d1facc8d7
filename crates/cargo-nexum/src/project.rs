//! The package that a command is about: where it is, what it is called, what it builds.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use cargo_metadata::{CrateType, Metadata, MetadataCommand, Package};
use nexum_manifest::ModuleFile;

use crate::{
    cargo,
    exit::{Code, Failure},
};

/// A module's manifest, beside its Cargo.toml.
pub(crate) const MANIFEST: &str = "nexum.toml";

/// A package with a module's manifest.
#[derive(Debug, Clone)]
pub(crate) struct Project {
    /// The package's folder.
    pub(crate) root: PathBuf,
    /// The package's name.
    pub(crate) package: String,
    /// What the component's file is called, without its ending.
    pub(crate) artifact: String,
    /// Cargo's target folder.
    pub(crate) target_dir: PathBuf,
}

impl Project {
    /// The package of `manifest_path`, or of the current folder.
    pub(crate) fn find(manifest_path: Option<&Path>) -> Result<Self, Failure> {
        let cargo_toml = match manifest_path {
            Some(path) => path.to_owned(),
            None => nearest_cargo_toml()?,
        };
        let cargo_toml = fs::canonicalize(&cargo_toml)
            .map_err(|error| Failure::other(&format!("{}", cargo_toml.display()), error))?;
        let metadata = MetadataCommand::new()
            .cargo_path(cargo::program())
            .manifest_path(&cargo_toml)
            .no_deps()
            .exec()
            .map_err(cargo::metadata_failed)?;
        let package = choose(&metadata, &cargo_toml)?;
        let root = package
            .manifest_path
            .parent()
            .map(|root| root.as_std_path().to_owned());
        let library = package
            .targets
            .iter()
            .find(|target| target.crate_types.contains(&CrateType::CDyLib));
        let Some(library) = library else {
            return Err(Failure::told(
                Code::Refused,
                format!("the package {} builds no component", package.name),
                "add to its Cargo.toml:\n[lib]\ncrate-type = [\"cdylib\"]",
            ));
        };
        Ok(Self {
            root: root.unwrap_or_default(),
            package: package.name.to_string(),
            artifact: library.name.replace('-', "_"),
            target_dir: metadata.target_directory.as_std_path().to_owned(),
        })
    }

    /// Where the module's manifest is.
    pub(crate) fn manifest(&self) -> PathBuf {
        self.root.join(MANIFEST)
    }

    /// The same as a person would write it here.
    pub(crate) fn shown_manifest(&self) -> PathBuf {
        shown(self.manifest())
    }

    /// Reads the module's manifest: all that is wrong with it, or what it says.
    pub(crate) fn module_file(&self) -> Result<ModuleFile, Failure> {
        Ok(ModuleFile::load(&self.shown_manifest())?)
    }

    /// Where the bundle of a module of this name is put together.
    pub(crate) fn bundle(&self, module: &str) -> PathBuf {
        self.target_dir.join("nexum").join(module)
    }
}

/// A path as a person would write it here.
pub(crate) fn shown(path: PathBuf) -> PathBuf {
    let here = env::current_dir().and_then(fs::canonicalize);
    let relative = here
        .ok()
        .and_then(|here| path.strip_prefix(here).ok().map(Path::to_owned));
    relative.unwrap_or(path)
}

fn nearest_cargo_toml() -> Result<PathBuf, Failure> {
    let here = env::current_dir()
        .map_err(|error| Failure::other("the current folder cannot be read", error))?;
    let found = here
        .ancestors()
        .map(|folder| folder.join("Cargo.toml"))
        .find(|path| path.is_file());
    found.ok_or_else(|| {
        Failure::told(
            Code::Usage,
            format!("there is no Cargo.toml in {} or above it", here.display()),
            "go to a module's folder, name its Cargo.toml with --manifest-path, or make a module with `cargo nexum new`",
        )
    })
}

/// The package of that Cargo.toml; of a workspace's own, the one member that is a module.
fn choose<'a>(metadata: &'a Metadata, cargo_toml: &Path) -> Result<&'a Package, Failure> {
    let is_module = |package: &&Package| {
        let folder = package.manifest_path.parent();
        folder.is_some_and(|folder| folder.join(MANIFEST).is_file())
    };
    let named = |package: &&Package| package.manifest_path.as_std_path() == cargo_toml;
    if let Some(package) = metadata.packages.iter().find(named) {
        return Some(package).filter(is_module).ok_or_else(|| {
            Failure::told(
                Code::Refused,
                format!(
                    "the package {} has no {MANIFEST} beside its Cargo.toml",
                    package.name
                ),
                "`cargo nexum new` shows what one looks like",
            )
        });
    }
    let modules: Vec<_> = metadata.packages.iter().filter(is_module).collect();
    match modules.as_slice() {
        [only] => Ok(only),
        [] => Err(Failure::told(
            Code::Refused,
            format!("no package of {} has a {MANIFEST}", cargo_toml.display()),
            "go to a module's folder, or make a module with `cargo nexum new`",
        )),
        several => {
            let paths: Vec<_> = several
                .iter()
                .map(|package| package.manifest_path.as_str())
                .collect();
            Err(Failure::told(
                Code::Usage,
                "several packages of the workspace are modules",
                format!("choose one with --manifest-path:\n{}", paths.join("\n")),
            ))
        }
    }
}
