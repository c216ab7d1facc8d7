//! Which room may know which: dependencies point one way, and siblings never name each other.

use std::collections::{BTreeMap, BTreeSet};

use cargo_metadata::{DependencyKind, MetadataCommand, Package};

use crate::world::workspace;

/// Each room with those it may depend on. A further crate gets its place here first.
const ROOMS: [(&str, &[&str]); 9] = [
    ("nexum-types", &[]),
    ("nexum-manifest", &["nexum-types"]),
    ("nexum-chain", &["nexum-types", "nexum-manifest"]),
    ("nexum-store", &["nexum-types", "nexum-manifest"]),
    ("nexum-host", &["nexum-types", "nexum-manifest"]),
    (
        "nexum-engine",
        &[
            "nexum-types",
            "nexum-manifest",
            "nexum-chain",
            "nexum-store",
            "nexum-host",
        ],
    ),
    (
        "nexum",
        &[
            "nexum-types",
            "nexum-manifest",
            "nexum-chain",
            "nexum-store",
            "nexum-host",
            "nexum-engine",
        ],
    ),
    ("nexum-testkit", &["nexum-types"]),
    ("xtask", &[]),
];
/// What tests may depend on, whatever room they are in.
const FOR_TESTS: &str = "nexum-testkit";

fn members() -> Vec<Package> {
    let metadata = MetadataCommand::new()
        .manifest_path(workspace().join("Cargo.toml"))
        .no_deps()
        .exec()
        .unwrap();
    metadata.packages
}

#[test]
fn every_crate_has_a_place_among_the_rooms() {
    let members: BTreeSet<_> = members().into_iter().map(|p| p.name.to_string()).collect();
    let rooms: BTreeSet<_> = ROOMS.map(|(name, _)| name.to_owned()).into();
    assert_eq!(members, rooms);
}

#[test]
fn dependencies_point_one_way() {
    let rooms = BTreeMap::from(ROOMS);
    let mut wrong = Vec::new();
    for package in members() {
        let allowed = rooms[package.name.as_str()];
        let of_house = package
            .dependencies
            .iter()
            .filter(|dependency| rooms.contains_key(&*dependency.name));
        for dependency in of_house {
            let name = &*dependency.name;
            let for_tests = dependency.kind == DependencyKind::Development && name == FOR_TESTS;
            if !allowed.contains(&name) && !for_tests {
                wrong.push(format!("{} -> {name}", package.name));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "dependencies against the order: {wrong:?}"
    );
}
