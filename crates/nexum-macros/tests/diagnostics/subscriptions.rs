//! Handlers that nothing calls, and subscriptions that nobody takes.

use nexum_sdk::prelude::*;

struct Uncalled;

#[nexum::module(manifest = "nothing.toml")]
impl Uncalled {
    #[on_block]
    fn on_block() {}

    #[on_log]
    fn on_log() {}

    #[on_tick]
    fn on_tick() {}

    #[on_message]
    fn on_message() {}
}

struct UncalledRaw;

#[nexum::module(manifest = "nothing.toml")]
impl UncalledRaw {
    #[on_event]
    fn on_event() {}
}

struct Untaken;

#[nexum::module(manifest = "any.toml")]
impl Untaken {
    #[init]
    fn init() -> Self {
        Self
    }
}

struct NoChain;

#[nexum::module(manifest = "chainless.toml")]
impl NoChain {
    #[on_block]
    fn on_block() {}
}

struct UntakenWithoutSelf;

#[nexum::module(manifest = "any.toml")]
impl UntakenWithoutSelf {
    #[init]
    fn init() {}
}

fn main() {}
