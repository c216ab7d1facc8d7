//! The fixtures of the guides and of the examples are right: each is played.

use std::fs;

use crate::package::{Ended, cargo_nexum, play, workspace};

#[test]
fn the_fixtures_of_the_guide_are_met() {
    let guide = workspace().join("docs/guides/testing.md");
    let text = fs::read_to_string(guide).unwrap();
    let blocks = text.split("```nexum\n").skip(1);
    let fixtures: Vec<_> = blocks
        .map(|block| block.split("```").next().unwrap())
        .collect();
    assert_eq!(fixtures.len(), 4);
    for fixture in fixtures {
        play("balance-watch", fixture, &[]).ends(0);
    }
}

#[test]
fn the_fixtures_of_the_examples_are_met() {
    for module in ["balance-watch", "price-alert", "transfer-watch"] {
        let folder = workspace().join("modules").join(module);
        let output = cargo_nexum(&folder)
            .args(["run", "--mock"])
            .output()
            .unwrap();
        Ended::from(output).ends(0).prints("ok: fixtures/");
    }
}
