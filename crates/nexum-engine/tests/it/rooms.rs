//! Which room may know which: dependencies point one way, and siblings never name each other. And
//! where unsafe code is: in one file.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use cargo_metadata::{DependencyKind, MetadataCommand, Package};

use crate::world::workspace;

/// Each room with those it may depend on. A further crate gets its place here first.
const ROOMS: [(&str, &[&str]); 14] = [
    ("nexum-types", &[]),
    ("nexum-manifest", &["nexum-types"]),
    ("nexum-chain", &["nexum-types", "nexum-manifest"]),
    ("nexum-store", &["nexum-types", "nexum-manifest"]),
    ("nexum-http", &["nexum-types", "nexum-manifest"]),
    ("nexum-identity", &["nexum-types", "nexum-manifest"]),
    ("nexum-host", &["nexum-types", "nexum-manifest"]),
    (
        "nexum-engine",
        &[
            "nexum-types",
            "nexum-manifest",
            "nexum-chain",
            "nexum-store",
            "nexum-http",
            "nexum-identity",
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
            "nexum-identity",
            "nexum-host",
            "nexum-engine",
        ],
    ),
    ("nexum-testkit", &[]),
    ("nexum-macros", &["nexum-types", "nexum-manifest"]),
    (
        "nexum-sdk",
        &[
            "nexum-types",
            "nexum-manifest",
            "nexum-testkit",
            "nexum-macros",
        ],
    ),
    (
        "cargo-nexum",
        &[
            "nexum-types",
            "nexum-manifest",
            "nexum-store",
            "nexum-identity",
            "nexum-host",
            "nexum-engine",
            "nexum-testkit",
        ],
    ),
    ("xtask", &[]),
];
/// What tests may depend on, whatever room they are in.
const FOR_TESTS: [&str; 2] = ["nexum-testkit", "nexum-sdk"];

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
            let for_tests =
                dependency.kind == DependencyKind::Development && FOR_TESTS.contains(&name);
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

/// The one file with unsafe code.
const UNSAFE: &str = "crates/nexum-host/src/kept_code.rs";

/// The Rust files of a folder and of those in it.
fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The workspace denies unsafe code, so that a file needs to name the lint to have any.
#[test]
fn what_is_unsafe_is_in_one_file() {
    let lint = concat!("unsafe", "_code");
    let text = |path: &Path| fs::read_to_string(path).unwrap();
    let workspace_file = text(&workspace().join("Cargo.toml"));
    assert!(workspace_file.contains(&format!("{lint} = \"deny\"")));

    let mut files = Vec::new();
    for package in members() {
        let manifest = package.manifest_path.as_std_path();
        assert!(
            text(manifest).contains("[lints]\nworkspace = true"),
            "{} has lints of its own",
            package.name
        );
        sources(manifest.parent().unwrap(), &mut files);
    }
    let with: Vec<_> = files
        .iter()
        .filter(|file| text(file).contains(lint))
        .map(|file| file.strip_prefix(workspace()).unwrap())
        .collect();
    assert_eq!(with, [Path::new(UNSAFE)]);
    let block = concat!("unsafe", " {");
    assert_eq!(text(&workspace().join(UNSAFE)).matches(block).count(), 1);
}
