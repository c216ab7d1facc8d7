//! The browser that the tests of the status page need.

use std::{
    env,
    path::PathBuf,
    process::{Command, Stdio},
};

use crate::{Failure, process::execute};

/// What it is called where.
const NAMES: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

/// Finds the browser on PATH, or installs Debian's: it needs too many libraries of the system to
/// be unpacked on its own. Answers the program.
pub(crate) fn ensure_chromium() -> Result<PathBuf, Failure> {
    if let Some(named) = env::var_os("NEXUM_CHROMIUM") {
        return Ok(named.into());
    }
    if let Some(found) = on_path() {
        return Ok(found);
    }
    install().map_err(|failure| {
        format!(
            "{failure}; the tests of the status page need a browser: install chromium, or name \
             one of its kind in NEXUM_CHROMIUM"
        )
    })?;
    on_path().ok_or_else(|| "chromium is not on PATH after its package was installed".to_owned())
}

fn on_path() -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    NAMES.iter().find_map(|name| {
        let mut files = env::split_paths(&path).map(|folder| folder.join(name));
        files.find(|file| file.is_file())
    })
}

fn install() -> Result<(), Failure> {
    if !rustix::process::geteuid().is_root() {
        return Err("there is no chromium on PATH, and only root can install it".to_owned());
    }
    let apt = || {
        let mut apt = Command::new("apt-get");
        apt.env("DEBIAN_FRONTEND", "noninteractive")
            .stdin(Stdio::null());
        apt
    };
    execute(apt().args(["update", "--quiet"]))?;
    execute(apt().args([
        "install",
        "--yes",
        "--quiet",
        "--no-install-recommends",
        "chromium",
    ]))
}
