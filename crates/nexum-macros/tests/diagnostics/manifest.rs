//! Manifests that are not there, or not as they should be.

use nexum_sdk::prelude::*;

struct NotNamed;

#[nexum::module]
impl NotNamed {
    #[on_block]
    fn on_block() {}
}

struct NotThere;

#[nexum::module(manifest = "not-there.toml")]
impl NotThere {
    #[on_block]
    fn on_block() {}
}

struct Wrong;

#[nexum::module(manifest = "wrong.toml")]
impl Wrong {
    #[on_block]
    fn on_block() {}
}

struct AFolder;

#[nexum::module(manifest = ".")]
impl AFolder {
    #[on_block]
    fn on_block() {}
}

fn main() {}
