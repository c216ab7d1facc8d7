//! What the chores need and install themselves: the guests' target, and anvil.

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
    if let Some(named) = env::var_os("NEXUM_ANVIL") {
        return Ok(named.into());
    }
    let on_path = env::var_os("PATH").and_then(|path| {
        env::split_paths(&path)
            .map(|folder| folder.join("anvil"))
            .find(|file| file.is_file())
    });
    if let Some(anvil) = on_path {
        return Ok(anvil);
    }
    let tools = root().join("target").join("tools");
    let anvil = tools.join("node_modules").join(".bin").join("anvil");
    let stamp = tools.join("anvil-version");
    if anvil.is_file() && fs::read_to_string(&stamp).is_ok_and(|version| version == ANVIL) {
        return Ok(anvil);
    }
    fs::create_dir_all(&tools)
        .map_err(|error| format!("{} cannot be made: {error}", tools.display()))?;
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
            .arg(ANVIL),
    )
    .map_err(|failure| format!("{failure}; put anvil on PATH, or node and npm, which fetch it"))?;
    fs::write(&stamp, ANVIL)
        .map_err(|error| format!("{} cannot be written: {error}", stamp.display()))?;
    Ok(anvil)
}
