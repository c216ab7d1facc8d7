//! What `build` puts together and `check` says.

use std::{fs, process::Command};

use nexum_testkit::guests::target_dir;
use sha2::Digest as _;

use crate::package::{BLOCKS, Package, cargo_nexum, workspace};

#[test]
fn a_bundle_has_the_component_and_a_manifest_that_names_its_digest() {
    let package = Package::of_fixture("counter", "built-counter");
    let before = package.read("nexum.toml");
    let report = package.nexum(["build", "--json"]).ends(0).json();
    let bundle = target_dir().join("nexum/built-counter");
    assert_eq!(report["bundle"], bundle.to_str().unwrap());
    assert_eq!(report["module"], "built-counter");
    let component = fs::read(bundle.join("module.wasm")).unwrap();
    assert_eq!(report["bytes"], component.len());
    let digest = format!("sha256:{}", hex::encode(sha2::Sha256::digest(&component)));
    assert_eq!(report["digest"], digest);
    let manifest = fs::read_to_string(bundle.join("nexum.toml")).unwrap();
    let line = format!("component = \"{digest}\"\n");
    assert_eq!(manifest.replace(&line, ""), before, "all else stays");
    assert!(manifest.contains(&line));
    assert_eq!(
        package.read("nexum.toml"),
        before,
        "the package's own is left alone"
    );
    package
        .nexum(["build"])
        .ends(0)
        .prints("built-counter 0.1.0: ")
        .prints(&digest);
}

#[test]
fn a_check_goes_from_the_manifest_to_the_code_to_the_component() {
    let package = Package::of_fixture("noop", "checked-noop");
    // What an earlier run of this test has built.
    let _ = fs::remove_dir_all(target_dir().join("nexum/checked-noop"));
    let ended = package.nexum(["check"]).ends(0);
    ended
        .prints("nexum.toml: ok\n")
        .prints("code for wasm32-wasip2: ok\n")
        .prints("component: not built yet");
    package.nexum(["build"]).ends(0);
    package
        .nexum(["check"])
        .ends(0)
        .prints("checked-noop/module.wasm: ok\n");

    package.write("src/lib.rs", "not rust");
    package.nexum(["check"]).ends(4).tells("error: ");
    let report = package.nexum(["check", "--json"]).ends(4).json();
    assert_eq!(
        (&report["ok"], &report["code"]),
        (&false.into(), &false.into())
    );

    package.write("nexum.toml", "[module]\nnaem = \"a\"\nversion = 1\n");
    let ended = package.nexum(["check"]).ends(3);
    ended
        .tells("unknown key `naem`")
        .tells("`capabilities` is missing");
    let report = package.nexum(["check", "--json"]).ends(3).json();
    assert!(report["problems"].as_array().unwrap().len() > 1, "{report}");
    assert_eq!(report["code"], serde_json::Value::Null);
}

#[test]
fn a_component_that_imports_more_than_is_declared_is_refused_at_the_manifests_line() {
    let package = Package::of_fixture("counter", "checked-undeclared");
    package.nexum(["build"]).ends(0);
    let bundle = target_dir().join("nexum/checked-undeclared/nexum.toml");
    let built = fs::read_to_string(&bundle).unwrap();
    package.manifest("checked-undeclared", &["logging"], BLOCKS);
    package.write("fixtures/a.nexum", "chain 31337\nmine\n");
    for command in [["check"].as_slice(), &["build"], &["run", "--mock"]] {
        let ended = package.nexum(command).ends(3);
        ended
            .tells("nexum.toml:")
            .tells("it imports what its manifest does not declare: \"local-store\"")
            .tells("required = [\"local-store\", \"logging\"]");
    }
    let left = fs::read_to_string(bundle).unwrap();
    assert_eq!(left, built, "the bundle is left as it was");
}

#[test]
fn a_component_that_is_older_than_its_sources_is_not_judged() {
    let package = Package::of_fixture("counter", "checked-stale");
    package.nexum(["build"]).ends(0);
    // The code needs no state any more, and the manifest declares none.
    let noop = workspace().join("modules/fixtures/examples/noop.rs");
    package.write("src/lib.rs", &fs::read_to_string(noop).unwrap());
    package.manifest("checked-stale", &["logging"], BLOCKS);
    package
        .nexum(["check"])
        .ends(0)
        .prints("component: older than src/lib.rs, rebuild it first (`cargo nexum build`)\n");
    let report = package.nexum(["check", "--json"]).ends(0).json();
    assert_eq!(report["component"], serde_json::Value::Null);
    package.nexum(["build"]).ends(0);
    package
        .nexum(["check"])
        .ends(0)
        .prints("checked-stale/module.wasm: ok\n");
}

#[test]
fn a_missing_target_is_told_with_the_command_that_adds_it() {
    let package = Package::of_fixture("noop", "no-target");
    // A compiler that says where the library would be.
    package.write("rustc", "#!/bin/sh\necho /nowhere/lib\n");
    let rustc = package.path().join("rustc");
    let made = Command::new("chmod")
        .arg("+x")
        .arg(&rustc)
        .status()
        .unwrap();
    assert!(made.success());
    for command in [["check"].as_slice(), &["build"], &["run", "--mock"]] {
        package.write("fixtures/a.nexum", "chain 31337\nmine\n");
        let output = cargo_nexum(package.path())
            .args(command)
            .env("RUSTC", &rustc)
            .output()
            .unwrap();
        let ended = crate::package::Ended::from(output).ends(5);
        ended
            .tells("the Rust target wasm32-wasip2 is not installed")
            .tells("help: rustup target add wasm32-wasip2");
    }
    let output = cargo_nexum(package.path())
        .arg("build")
        .env("CARGO", "/nowhere/cargo")
        .output()
        .unwrap();
    crate::package::Ended::from(output)
        .ends(5)
        .tells("cannot start `/nowhere/cargo`");
}

#[test]
fn a_workspace_names_the_modules_to_choose_from() {
    let modules = workspace().join("modules");
    let output = cargo_nexum(&modules.join("balance-watch"))
        .arg("check")
        .output()
        .unwrap();
    crate::package::Ended::from(output).ends(0);
}
