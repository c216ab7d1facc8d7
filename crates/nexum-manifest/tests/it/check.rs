//! Texts in, values or a report out.

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
};

use nexum_manifest::{EngineConfig, EngineFile, ManifestErrors, ModuleFile, ModuleManifest, Setup};
use tempfile::TempDir;

/// The least that a manifest must say, and a line more.
pub(crate) const MODULE: &str = "\
[module]
name = \"x\"
version = \"0.1.0\"
[chains]
required = [1]
[capabilities]
required = []
";

/// The least that an engine file must say.
pub(crate) const ENGINE: &str = "[engine]\nstate_dir = \"state\"\n";

pub(crate) fn module(text: &str) -> Result<ModuleManifest, ManifestErrors> {
    ModuleFile::parse(Path::new("nexum.toml"), text.to_owned()).map(ModuleFile::into_manifest)
}

/// What a bad manifest gets: one paragraph a problem.
#[track_caller]
pub(crate) fn check_module(text: &str, report: &str) {
    same(
        &module(text)
            .expect_err("the manifest has a problem")
            .to_string(),
        report,
    );
}

#[track_caller]
pub(crate) fn check_engine(text: &str, report: &str) {
    let folder = Folder::with(&[("nexum-engine.toml", text)]);
    same(
        &folder.report(&folder.engine().expect_err("the engine file has a problem")),
        report,
    );
}

#[track_caller]
pub(crate) fn same(actual: &str, expected: &str) {
    let expected = expected.trim();
    assert!(
        actual == expected,
        "the report is\n{actual}\n\nand not\n{expected}"
    );
}

/// A folder with files of these names and texts.
pub(crate) struct Folder(TempDir);

impl Folder {
    pub(crate) fn with(files: &[(&str, &str)]) -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        for (name, text) in files {
            let path = folder.path(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        folder
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn engine(&self) -> Result<EngineConfig, ManifestErrors> {
        EngineFile::load_with(&self.path("nexum-engine.toml"), &env).map(EngineFile::into_config)
    }

    pub(crate) fn setup(&self) -> Result<Setup, ManifestErrors> {
        Setup::load_with(&self.path("nexum-engine.toml"), &env)
    }

    /// The report with paths as they are below this folder.
    pub(crate) fn report(&self, errors: &impl ToString) -> String {
        errors
            .to_string()
            .replace(&format!("{}/", self.0.path().display()), "")
    }
}

/// The environment that the tests run in.
pub(crate) fn env(name: &str) -> Option<OsString> {
    match name {
        "API_KEY" => Some("hunter2".into()),
        "RPC_URL" => Some("https://user:hunter2@rpc.example/v2/hunter2?key=hunter2".into()),
        "BAD_URL" => Some("hunter2".into()),
        "EMPTY" => Some("".into()),
        _ => None,
    }
}
