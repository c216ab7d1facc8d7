//! Cargo and rustc, as they are called for a module. Nothing is installed.

use std::{
    env,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::{
    exit::{Code, Failure},
    project::Project,
};

/// What modules are built for.
pub(crate) const TARGET: &str = "wasm32-wasip2";

/// The cargo that has called this, or the one of the PATH.
pub(crate) fn program() -> PathBuf {
    env::var_os("CARGO")
        .unwrap_or_else(|| "cargo".into())
        .into()
}

/// `cargo <command>` for the module's component. `json`: what it says about the artefacts, on
/// standard output. What it says to people goes to standard error.
pub(crate) fn command(project: &Project, name: &str, json: bool) -> Command {
    let mut command = Command::new(program());
    command
        .current_dir(&project.root)
        .arg(name)
        .args(["--release", "--lib", "--target", TARGET])
        .args(["--package", &project.package])
        .stdin(Stdio::null());
    if json {
        command.args(["--message-format", "json-render-diagnostics"]);
    }
    command
}

/// Refuses to go on where the target is not installed.
pub(crate) fn require_target(project: &Project) -> Result<(), Failure> {
    if !target_is_missing(&project.root) {
        return Ok(());
    }
    Err(Failure::told(
        Code::Toolchain,
        format!("the Rust target {TARGET} is not installed"),
        format!("rustup target add {TARGET}"),
    ))
}

/// True where the compiler says that its library for [`TARGET`] is in a folder that is not there.
fn target_is_missing(folder: &Path) -> bool {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    Command::new(rustc)
        // A toolchain file of the package counts.
        .current_dir(folder)
        .args(["--print", "target-libdir", "--target", TARGET])
        .stderr(Stdio::null())
        .output()
        .ok()
        .filter(|output| output.status.success())
        .and_then(|output| String::from_utf8(output.stdout).ok())
        .is_some_and(|dir| !Path::new(dir.trim()).is_dir())
}

/// Cargo could not be started.
pub(crate) fn not_started(error: &std::io::Error) -> Failure {
    Failure::told(
        Code::Toolchain,
        format!("cannot start `{}`: {error}", program().display()),
        "install Rust from https://rustup.rs, or put cargo on the PATH",
    )
}

/// Cargo does not say what there is.
pub(crate) fn metadata_failed(error: cargo_metadata::Error) -> Failure {
    match error {
        cargo_metadata::Error::Io(error) => not_started(&error),
        cargo_metadata::Error::CargoMetadata { stderr } => Failure::told(
            Code::Build,
            "cargo cannot read the package",
            stderr.trim().to_owned(),
        ),
        error => Failure::other("cargo's answer cannot be read", error),
    }
}
