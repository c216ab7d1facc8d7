//! What the chores need and install themselves: the guests' target, anvil and cast.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::{
    Failure,
    process::{execute, root},
};

pub(crate) const GUEST_TARGET: &str = "wasm32-wasip2";
const ANVIL: &str = "@foundry-rs/anvil@1.7.1";
const CAST: &str = "@foundry-rs/cast@1.7.1";

/// Makes sure that guests can be built.
pub(crate) fn ensure_guest_target() -> Result<(), Failure> {
    if has_guest_target() {
        return Ok(());
    }
    execute(Command::new("rustup").args(["target", "add", GUEST_TARGET]))?;
    if has_guest_target() {
        return Ok(());
    }
    Err(format!(
        "the target {GUEST_TARGET} is missing after `rustup target add {GUEST_TARGET}`"
    ))
}

fn has_guest_target() -> bool {
    let output = Command::new("rustc")
        .args(["--print", "target-libdir", "--target", GUEST_TARGET])
        .stderr(Stdio::null())
        .output();
    output.is_ok_and(|output| {
        output.status.success()
            && Path::new(String::from_utf8_lossy(&output.stdout).trim()).is_dir()
    })
}

/// Finds anvil on PATH, or installs the pinned one under `target/tools`. Answers the program.
pub(crate) fn ensure_anvil() -> Result<PathBuf, Failure> {
    ensure_of_foundry("anvil", "NEXUM_ANVIL", ANVIL)
}

/// The same for foundry's `cast`.
pub(crate) fn ensure_cast() -> Result<PathBuf, Failure> {
    ensure_of_foundry("cast", "NEXUM_CAST", CAST)
}

fn ensure_of_foundry(name: &str, variable: &str, pinned: &str) -> Result<PathBuf, Failure> {
    if let Some(named) = env::var_os(variable) {
        return Ok(named.into());
    }
    let on_path = env::var_os("PATH").and_then(|path| {
        env::split_paths(&path)
            .map(|folder| folder.join(name))
            .find(|file| file.is_file())
    });
    if let Some(program) = on_path {
        return Ok(program);
    }
    let tools = root().join("target").join("tools");
    let program = tools.join("node_modules").join(".bin").join(name);
    let stamp = tools.join(format!("{name}-version"));
    if program.is_file() && fs::read_to_string(&stamp).is_ok_and(|version| version == pinned) {
        return Ok(program);
    }
    fs::create_dir_all(&tools)
        .map_err(|error| format!("{} cannot be made: {error}", tools.display()))?;
    // npm takes out what it was not told of: all that is there is named again.
    let others = [("anvil", ANVIL), ("cast", CAST)];
    let others = others
        .iter()
        .filter(|(other, _)| tools.join(format!("{other}-version")).is_file())
        .map(|(_, package)| *package)
        .filter(|package| *package != pinned);
    execute(
        Command::new("npm")
            .args([
                "install",
                "--no-audit",
                "--no-fund",
                "--no-save",
                "--prefix",
            ])
            .arg(&tools)
            .arg(pinned)
            .args(others),
    )
    .map_err(|failure| format!("{failure}; put {name} on PATH, or node and npm, which fetch it"))?;
    fs::write(&stamp, pinned)
        .map_err(|error| format!("{} cannot be written: {error}", stamp.display()))?;
    Ok(program)
}
