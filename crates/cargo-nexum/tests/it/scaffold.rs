//! What `new` makes is right as it is: it passes its checks, its own test and its fixture.

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use nexum_testkit::guests::target_dir;
use tempfile::TempDir;

use crate::package::{Ended, cargo_nexum};

/// Cargo itself, in the scaffold's folder.
fn cargo(folder: &Path, arguments: &[&str]) -> Ended {
    let nexum = cargo_nexum(folder);
    let mut command = Command::new(std::env::var_os("CARGO").unwrap());
    // The same environment.
    for (name, value) in nexum.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    let output: Output = command
        .current_dir(folder)
        .args(arguments)
        .output()
        .unwrap();
    output.into()
}

fn nexum(folder: &Path, arguments: &[&str]) -> Ended {
    cargo_nexum(folder).args(arguments).output().unwrap().into()
}

/// A new module from a template, through everything that an author does first.
fn is_right(template: &str, name: &str) -> TempDir {
    let parent = tempfile::tempdir().unwrap();
    let ended = nexum(parent.path(), &["new", name, "--template", template]).ends(0);
    ended
        .prints("cargo nexum run --mock\n")
        .prints("src/lib.rs");
    let folder = parent.path().join(name);
    // The versions that there are here: nothing is fetched.
    let lock = crate::package::workspace().join("modules/Cargo.lock");
    fs::copy(lock, folder.join("Cargo.lock")).unwrap();

    cargo(&folder, &["fmt", "--check"]).ends(0);
    let bundle = target_dir().join("nexum").join(name);
    let _ = fs::remove_dir_all(&bundle);
    nexum(&folder, &["check"]).ends(0).prints("nexum.toml: ok");
    cargo(
        &folder,
        &["clippy", "--all-targets", "--", "-D", "warnings"],
    )
    .ends(0);
    cargo(&folder, &["test"])
        .ends(0)
        .prints("test result: ok. 1 passed");
    nexum(&folder, &["run", "--mock"])
        .ends(0)
        .prints("ok: fixtures/first.nexum: ");
    nexum(&folder, &["check"]).ends(0).prints("module.wasm: ok");
    let size = fs::metadata(bundle.join("module.wasm")).unwrap().len();
    assert!(size < 200_000, "{template}: {size} bytes");
    parent
}

#[test]
fn a_module_of_blocks() {
    let parent = is_right("block", "scaffold-block");
    // Values of the right type that are none of what the module wants.
    let folder = parent.path().join("scaffold-block");
    let manifest = fs::read_to_string(folder.join("nexum.toml")).unwrap();
    let manifest = manifest
        .replace("0x00000000219ab540356cBB839Cbe05303d7705Fa", "0x1234")
        .replace("1000000000000000000", "many");
    fs::write(folder.join("nexum.toml"), manifest).unwrap();
    let ended = nexum(&folder, &["check"]).ends(3);
    ended
        .tells("nexum.toml:17:")
        .tells("the module does not take its configuration")
        .tells("`address`")
        .tells("`threshold_wei`");
    let report = nexum(&folder, &["check", "--json"]).ends(3).json();
    assert_eq!(report["component"], false);
    // What is not there may be the operator's to give.
    let text = fs::read_to_string(folder.join("nexum.toml")).unwrap();
    let (without, _) = text.split_once("[config]").unwrap();
    fs::write(folder.join("nexum.toml"), without).unwrap();
    nexum(&folder, &["check"]).ends(0).prints("module.wasm: ok");
}

#[test]
fn a_module_of_logs() {
    let _ = is_right("log", "scaffold-log");
}

#[test]
fn a_module_of_a_schedule() {
    let _ = is_right("cron", "scaffold-cron");
}

#[test]
fn an_empty_module() {
    let _ = is_right("empty", "scaffold-empty");
}

#[test]
fn bad_names_and_folders_that_exist_are_refused_and_left_alone() {
    let parent = tempfile::tempdir().unwrap();
    let ended = nexum(parent.path(), &["new", "Price_Alert"]).ends(2);
    ended
        .tells("\"Price_Alert\" cannot be the name of a module")
        .tells("small letters, digits and `-`");
    fs::create_dir(parent.path().join("taken")).unwrap();
    fs::write(parent.path().join("taken/mine"), "kept").unwrap();
    nexum(parent.path(), &["new", "taken"])
        .ends(2)
        .tells("taken exists already");
    let left: Vec<_> = fs::read_dir(parent.path()).unwrap().collect();
    assert_eq!(left.len(), 1, "nothing was written: {left:?}");
    assert_eq!(
        fs::read_to_string(parent.path().join("taken/mine")).unwrap(),
        "kept"
    );
    nexum(parent.path(), &["new", "a", "--template", "frog"])
        .ends(2)
        .tells("possible values: block, log, cron, empty");
    let report = nexum(parent.path(), &["new", "told", "--json"])
        .ends(0)
        .json();
    assert_eq!(report["folder"], "told");
}
