//! Every probing guest has a test that runs it.

use std::fs;

use crate::world::workspace;

#[test]
fn every_fixture_has_a_test_that_runs_it() {
    let tests = workspace().join("crates/nexum-engine/tests/it");
    let sources: String = fs::read_dir(tests)
        .unwrap()
        .map(|entry| fs::read_to_string(entry.unwrap().path()).unwrap())
        .collect();
    let fixtures = fs::read_dir(workspace().join("modules/fixtures/examples")).unwrap();
    let fixtures: Vec<_> = fixtures
        .map(|entry| {
            let path = entry.unwrap().path();
            path.file_stem().unwrap().to_str().unwrap().to_owned()
        })
        .collect();
    assert!(fixtures.len() > 20, "{fixtures:?}");

    let is_named = |fixture: &&String| sources.contains(&format!("fixture(\"{fixture}\")"));
    let (_, untested): (Vec<_>, Vec<_>) = fixtures.iter().partition(is_named);
    assert!(
        untested.is_empty(),
        "fixtures that no test of the engine runs: {untested:?}"
    );
}
