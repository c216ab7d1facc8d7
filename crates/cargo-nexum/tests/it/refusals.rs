//! What cannot be done is told with what to do.

use crate::package::{Package, cargo_nexum};

#[test]
fn a_folder_without_a_package_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let output = cargo_nexum(folder.path()).arg("check").output().unwrap();
    let ended = crate::package::Ended::from(output).ends(2);
    ended
        .tells("there is no Cargo.toml in ")
        .tells("cargo nexum new");
}

#[test]
fn a_program_is_told_of_every_failure_as_json() {
    let folder = tempfile::tempdir().unwrap();
    let told = |command: &[&str], code| {
        let output = cargo_nexum(folder.path()).args(command).output().unwrap();
        let ended = crate::package::Ended::from(output).ends(code);
        assert_eq!(ended.stderr, "", "{command:?}");
        let report = ended.json();
        assert_eq!(report["ok"], false, "{report}");
        report
    };
    for command in [
        ["check", "--json"].as_slice(),
        &["build", "--json"],
        &["run", "--mock", "--json"],
    ] {
        let report = told(command, 2);
        let error = report["error"].as_str().unwrap();
        assert!(error.starts_with("there is no Cargo.toml in "), "{report}");
        assert!(report["help"].as_str().unwrap().contains("cargo nexum new"));
        assert_eq!(report["problems"], serde_json::json!([]));
    }
    let report = told(&["new", "fn", "--json"], 2);
    assert!(
        report["error"]
            .as_str()
            .unwrap()
            .contains("the name is taken")
    );

    let package = Package::of_fixture("noop", "told-as-json");
    package.write("fixtures/a.nexum", "chain 31337\nmien\n");
    let report = package.nexum(["run", "--mock", "--json"]).ends(3).json();
    assert_eq!(report["ok"], false);
    assert_eq!(report["problems"].as_array().unwrap().len(), 1, "{report}");
    assert_eq!(report["error"], serde_json::Value::Null);

    package.write("src/lib.rs", "not rust");
    let report = package.nexum(["build", "--json"]).ends(4).json();
    assert_eq!(
        report["error"],
        "cargo could not build or check the package"
    );
    let report = package.nexum(["check", "--json"]).ends(4).json();
    assert_eq!(
        report["error"],
        "cargo could not build or check the package"
    );

    package.write("nexum.toml", "[module]\nnaem = \"a\"\n");
    let report = package.nexum(["build", "--json"]).ends(3).json();
    assert!(report["problems"].as_array().unwrap().len() > 1, "{report}");
}

#[test]
fn a_package_that_is_no_module_is_told() {
    let package = Package::of_fixture("noop", "no-module");
    let text = package.read("Cargo.toml");
    package.write(
        "Cargo.toml",
        &text.replace("crate-type = [\"cdylib\"]\n", ""),
    );
    package
        .nexum(["build"])
        .ends(3)
        .tells("crate-type = [\"cdylib\"]");
    package.write("Cargo.toml", &text);
    std::fs::remove_file(package.path().join("nexum.toml")).unwrap();
    package
        .nexum(["build"])
        .ends(3)
        .tells("has no nexum.toml beside its Cargo.toml");
    package.write("Cargo.toml", "[package");
    package
        .nexum(["build"])
        .ends(4)
        .tells("cargo cannot read the package");
}

#[test]
fn a_run_needs_a_mock_and_a_fixture() {
    let package = Package::of_fixture("noop", "no-fixture");
    package.nexum(["run"]).ends(2).tells("--mock");
    package
        .nexum(["run", "--mock"])
        .ends(2)
        .tells("there is no fixture in ");
    package
        .nexum(["run", "--mock", "nowhere.nexum"])
        .ends(1)
        .tells("nowhere.nexum");
}

#[test]
fn a_fixture_is_refused_at_its_line_before_anything_is_built() {
    let package = Package::of_fixture("noop", "wrong-fixture");
    package.write("src/lib.rs", "this does not compile");
    for (line, part) in [
        ("mien 3", "did you mean 'mine'?"),
        (
            "emit 0xc0 Ping(uint257 n) 1",
            "'uint257' is no type of the ABI",
        ),
        (
            "emit 0xc0 Ping(uint256 n) one",
            "'one' is not a value of the type uint256 (n)",
        ),
    ] {
        let ended = package.play(&format!("chain 31337\n{line}\n")).ends(3);
        ended.tells("fixtures/story.nexum:2:1").tells(part);
    }
    package.play("chain 31337\nmine\n").ends(4);
}
