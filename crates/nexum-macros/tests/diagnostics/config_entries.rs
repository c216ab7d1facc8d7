//! Entries of `[config]` that the configuration's type does not take.

use std::time::Duration;

use nexum_sdk::prelude::*;

#[derive(NexumConfig)]
struct Settings {
    threshold: U256,
    accounts: Vec<Address>,
    retries: u8,
    limits: Limits,
    pause: Duration,
}

#[derive(NexumConfig)]
struct Limits {
    daily: U256,
    monthly: Option<U256>,
}

struct Watch;

#[nexum::module(manifest = "configured.toml")]
impl Watch {
    #[init]
    fn init(_: &Settings) {}

    #[on_block]
    fn on_block() {}
}

struct TakesNone;

#[nexum::module(manifest = "configured.toml")]
impl TakesNone {
    #[on_block]
    fn on_block() {}
}

#[derive(NexumConfig)]
struct Kinds {
    threshold: u8,
    accounts: Vec<Address>,
    pair: String,
}

struct OtherKinds;

#[nexum::module(manifest = "kinds.toml")]
impl OtherKinds {
    #[init]
    fn init(_: &Kinds) {}

    #[on_block]
    fn on_block() {}
}

struct TakesNothing;

#[nexum::module(manifest = "kinds.toml", config = ())]
impl TakesNothing {
    #[on_block]
    fn on_block() {}
}

fn main() {}
