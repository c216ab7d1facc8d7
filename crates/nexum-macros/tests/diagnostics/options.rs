//! What `#[nexum::module(…)]` does not take.

use nexum_sdk::prelude::*;

struct Unknown;

#[nexum::module(manifest = "blocks.toml", confg = Settings)]
impl Unknown {
    #[on_block]
    fn on_block() {}
}

struct Twice;

#[nexum::module(manifest = "blocks.toml", manifest = "any.toml")]
impl Twice {
    #[on_block]
    fn on_block() {}
}

struct ConfigTwice;

#[nexum::module(manifest = "blocks.toml", config = u8, config = u16)]
impl ConfigTwice {
    #[on_block]
    fn on_block() {}
}

struct NoText;

#[nexum::module(manifest = blocks)]
impl NoText {
    #[on_block]
    fn on_block() {}
}

#[nexum::module]
struct OnTheStruct;

struct OnATrait;

#[nexum::module(manifest = "nothing.toml")]
impl Clone for OnATrait {
    fn clone(&self) -> Self {
        Self
    }
}

struct Generic<T>(T);

#[nexum::module(manifest = "nothing.toml")]
impl<T> Generic<T> {}

fn main() {}
