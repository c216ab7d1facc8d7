//! promtool, with which the tests try the alert rules: from the PATH, or out of Debian's package of
//! Prometheus, unpacked and not installed, so that no service comes with it.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    Failure,
    process::{execute, root},
};

const PACKAGE: &str = "prometheus";
const REMEDY: &str = "put promtool on PATH, or name it in NEXUM_PROMTOOL; it is in every release \
                      of Prometheus";

/// Finds promtool, or unpacks it under `target/tools`. Answers the program.
pub(crate) fn ensure_promtool() -> Result<PathBuf, Failure> {
    if let Some(named) = env::var_os("NEXUM_PROMTOOL") {
        return Ok(named.into());
    }
    let on_path = env::var_os("PATH").and_then(|path| {
        env::split_paths(&path)
            .map(|folder| folder.join("promtool"))
            .find(|file| file.is_file())
    });
    if let Some(promtool) = on_path {
        return Ok(promtool);
    }
    let folder = root().join("target").join("tools").join(PACKAGE);
    let promtool = folder.join("usr").join("bin").join("promtool");
    if !promtool.is_file() {
        unpack(&folder).map_err(|failure| format!("{failure}; {REMEDY}"))?;
    }
    if promtool.is_file() {
        return Ok(promtool);
    }
    Err(format!(
        "the package {PACKAGE} has no {}; {REMEDY}",
        promtool.display()
    ))
}

/// Unpacks the package into `folder`.
fn unpack(folder: &Path) -> Result<(), Failure> {
    let failed = |error| format!("{} cannot be made anew: {error}", folder.display());
    let downloads = folder.with_extension("download");
    if downloads.exists() {
        fs::remove_dir_all(&downloads).map_err(failed)?;
    }
    fs::create_dir_all(&downloads).map_err(failed)?;
    // The lists of packages may be too old, or not there at all. Bringing them up to date needs
    // more rights than a download, so that comes second.
    if download(&downloads).is_err() {
        execute(Command::new("apt-get").args(["-qq", "update"]))?;
        download(&downloads)?;
    }
    let package = fs::read_dir(&downloads)
        .map_err(failed)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.extension().is_some_and(|extension| extension == "deb"))
        .ok_or_else(|| format!("apt-get has put no package into {}", downloads.display()))?;
    execute(
        Command::new("dpkg-deb")
            .arg("--extract")
            .arg(package)
            .arg(folder),
    )?;
    fs::remove_dir_all(&downloads).map_err(failed)
}

/// Puts the package into `folder`.
fn download(folder: &Path) -> Result<(), Failure> {
    execute(
        Command::new("apt-get")
            .args(["-qq", "download", PACKAGE])
            .current_dir(folder),
    )
}
