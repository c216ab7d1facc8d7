//! A package of a module, and `cargo nexum` on it.

use std::{
    ffi::OsStr,
    fs,
    path::Path,
    process::{Command, Output},
};

use nexum_testkit::guests::target_dir;
use serde_json::Value;
use tempfile::TempDir;

/// The root of the workspace.
pub(crate) fn workspace() -> &'static Path {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2);
    root.expect("this crate is two folders below the root")
}

/// `cargo nexum`, as cargo calls it, without what the outer cargo has set for itself.
pub(crate) fn cargo_nexum(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cargo-nexum"));
    command
        .arg("nexum")
        .current_dir(folder)
        // That of all guests: what they have in common is built once.
        .env("CARGO_TARGET_DIR", target_dir())
        .env("CARGO_NET_OFFLINE", "true");
    for name in [
        "CARGO_ENCODED_RUSTFLAGS",
        "CARGO_INCREMENTAL",
        "CARGO_MANIFEST_DIR",
        "RUSTC_WORKSPACE_WRAPPER",
        "RUSTC_WRAPPER",
        "RUSTFLAGS",
    ] {
        command.env_remove(name);
    }
    command
}

/// What a command has come to.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Ended {
    /// It ended with this code.
    pub(crate) fn ends(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}\n{}", self.stdout, self.stderr);
        self
    }

    /// It printed this on standard output.
    pub(crate) fn prints(self, part: &str) -> Self {
        assert!(
            self.stdout.contains(part),
            "{part}\n---\n{}\n{}",
            self.stdout,
            self.stderr
        );
        self
    }

    /// It told this on standard error.
    pub(crate) fn tells(self, part: &str) -> Self {
        assert!(
            self.stderr.contains(part),
            "{part}\n---\n{}\n{}",
            self.stdout,
            self.stderr
        );
        self
    }

    /// The one JSON object that it printed.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|_| panic!("{}", self.stdout))
    }
}

/// A package in a folder of its own.
#[derive(Debug)]
pub(crate) struct Package {
    folder: TempDir,
}

/// What every package here subscribes to, unless told otherwise.
pub(crate) const BLOCKS: &str = "[[subscription]]\nkind = \"block\"\nchain_id = 31337\n";

impl Package {
    /// One of the guests that probe the engine, as a package of its own called `name`.
    pub(crate) fn of_fixture(fixture: &str, name: &str) -> Self {
        let guests = workspace().join("modules/fixtures");
        let source = guests.join("examples").join(format!("{fixture}.rs"));
        Self::new(name, &fs::read_to_string(source).unwrap())
    }

    /// A package called `name` of this source, on the bindings of the fixtures.
    pub(crate) fn new(name: &str, source: &str) -> Self {
        let package = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        let bindings = workspace().join("modules/fixtures");
        package.write(
            "Cargo.toml",
            &format!(
                "[workspace]\n[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\
                 [lib]\ncrate-type = [\"cdylib\"]\n\
                 [dependencies]\nnexum-fixtures = {{ path = {bindings:?} }}\n\
                 [profile.release]\nopt-level = \"s\"\nlto = true\ncodegen-units = 1\nstrip = \"debuginfo\"\n"
            ),
        );
        // The versions that there are here: nothing is fetched.
        let lock = workspace().join("modules/Cargo.lock");
        fs::copy(lock, package.path().join("Cargo.lock")).unwrap();
        package.write("src/lib.rs", source);
        package.manifest(name, &["chain", "local-store", "logging"], BLOCKS);
        package
    }

    /// Writes the manifest anew.
    pub(crate) fn manifest(&self, name: &str, capabilities: &[&str], lines: &str) {
        self.write(
            "nexum.toml",
            &format!(
                "[module]\nname = \"{name}\"\nversion = \"0.1.0\"\n\n[chains]\nrequired = [31337]\n\n\
                 [capabilities]\nrequired = {capabilities:?}\n\n{lines}"
            ),
        );
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path().join(name)).unwrap()
    }

    /// `cargo nexum` in the package's folder.
    pub(crate) fn nexum<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Ended {
        let output = cargo_nexum(self.path()).args(arguments).output().unwrap();
        output.into()
    }

    /// Plays a fixture of this text.
    pub(crate) fn play(&self, fixture: &str) -> Ended {
        self.write("fixtures/story.nexum", fixture);
        self.nexum(["run", "--mock"])
    }
}

/// Plays a fixture of this text with a module of the repository.
pub(crate) fn play(module: &str, fixture: &str, options: &[&str]) -> Ended {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("story.nexum");
    fs::write(&path, fixture).unwrap();
    let module = workspace().join("modules").join(module);
    let output = cargo_nexum(&module)
        .args(["run", "--mock"])
        .arg(path)
        .args(options)
        .output()
        .unwrap();
    output.into()
}
