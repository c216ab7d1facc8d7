//! What the guides and the reference show is right: each fixture of them is played, each command
//! run, and no block of theirs is left out.

use std::fs;

use nexum_testkit::Fixture;

use crate::package::{Ended, Package, cargo_nexum, play, workspace};

/// The blocks of a document in that language, in order, and that there are so many.
fn blocks(document: &str, language: &str, count: usize) -> Vec<String> {
    let text = fs::read_to_string(workspace().join("docs").join(document)).unwrap();
    let mut blocks = Vec::new();
    let mut open: Option<(bool, String)> = None;
    for line in text.lines() {
        open = match (line.strip_prefix("```"), open) {
            (Some(of), None) => Some((of == language, String::new())),
            (Some(_), Some((is_wanted, block))) => {
                blocks.extend(is_wanted.then_some(block));
                None
            }
            (None, Some((is_wanted, block))) => Some((is_wanted, block + line + "\n")),
            (None, None) => None,
        };
    }
    assert_eq!(blocks.len(), count, "{document} has other blocks: own them");
    blocks
}

#[test]
fn the_fixtures_of_the_guide_are_met() {
    for fixture in blocks("guides/testing.md", "nexum", 4) {
        play("balance-watch", &fixture, &[]).ends(0);
    }
}

#[test]
fn the_lines_about_contracts_are_read_and_the_commands_of_the_guide_run() {
    let [contracts, commands] = blocks("guides/testing.md", "text", 2).try_into().unwrap();
    let fixture = format!("chain 31337\n{contracts}mine\n").parse::<Fixture>();
    assert_eq!(fixture.unwrap().steps.len(), 3);

    let lines: Vec<_> = commands.lines().collect();
    let [inspect, run] = lines.as_slice() else {
        panic!("{commands}");
    };
    // The engine's command, whose words a test of its own holds against its page.
    let words = "nexum state inspect my-module --limit 0 --json > ";
    let file = inspect.strip_prefix(words).unwrap();
    let page = fs::read_to_string(workspace().join("docs/reference/cli.md")).unwrap();
    for word in ["nexum state inspect", "--limit", "--json"] {
        assert!(page.contains(word), "{word}");
    }
    let package = Package::of_fixture("tally", "guide-state");
    package.write(
        file,
        r#"{"module":"my-module","file":"f","format_version":1,"used_bytes":4,"cursors":[],"more":0,
            "entries":[{"key":"kept","value":"0x01"}]}"#,
    );
    package.write(
        "fixtures/a.nexum",
        "chain 31337\nmine\nexpect {\nstate kept = 0x01\n}\n",
    );
    let words = run.strip_prefix("cargo nexum ").unwrap().split(' ');
    package.nexum(words).ends(0);
}

#[test]
fn a_package_as_the_page_of_the_sdk_shows_it_is_one() {
    let [dependencies] = blocks("reference/sdk.md", "toml", 1).try_into().unwrap();
    let sdk = workspace().join("crates/nexum-sdk");
    let dependencies = dependencies.replace("…/crates/nexum-sdk", sdk.to_str().unwrap());
    let parent = tempfile::tempdir().unwrap();
    let new = ["new", "as-shown", "--template", "empty"];
    let made = cargo_nexum(parent.path()).args(new).output().unwrap();
    Ended::from(made).ends(0);
    let folder = parent.path().join("as-shown");
    fs::copy(
        workspace().join("modules/Cargo.lock"),
        folder.join("Cargo.lock"),
    )
    .unwrap();
    let package =
        "[workspace]\n[package]\nname = \"as-shown\"\nversion = \"0.1.0\"\nedition = \"2024\"\n";
    fs::write(
        folder.join("Cargo.toml"),
        package.to_owned() + &dependencies,
    )
    .unwrap();
    let output = cargo_nexum(&folder).arg("check").output().unwrap();
    Ended::from(output)
        .ends(0)
        .prints("code for wasm32-wasip2: ok");
}

#[test]
fn the_fixtures_of_the_examples_are_met() {
    for module in [
        "balance-watch",
        "fee-guard",
        "price-alert",
        "transfer-watch",
    ] {
        let folder = workspace().join("modules").join(module);
        let output = cargo_nexum(&folder)
            .args(["run", "--mock"])
            .output()
            .unwrap();
        Ended::from(output).ends(0).prints("ok: fixtures/");
    }
}
