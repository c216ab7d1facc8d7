//! Parameters that no handler is given.

use nexum_sdk::prelude::*;

sol! {
    event Transfer(address indexed from, address indexed to, uint256 value);
}

#[derive(NexumConfig)]
struct Settings {}

#[derive(NexumConfig)]
struct Other {}

struct Blocks;

#[nexum::module(manifest = "any.toml")]
impl Blocks {
    #[on_block]
    fn on_block(_: &mut Block, _: u32, _: &Settings, _: Provider) {}

    #[on_log]
    fn on_log(_: Transfer, _: &Vec<Log>) {}
}

struct Configured;

#[nexum::module(manifest = "any.toml")]
impl Configured {
    #[init]
    fn init(_: &Settings) {}

    #[on_block]
    fn on_block(_: Log, _: Settings, _: &Other) {}

    #[on_log(Transfer)]
    fn on_transfer(_: Approval) {}
}

struct Twice;

#[nexum::module(manifest = "any.toml", config = Settings)]
impl Twice {
    #[init]
    fn init(_: Settings, _: Settings) {}

    #[on_block]
    fn on_block(_: Block, _: &Block, _: &Settings, _: &Settings) {}

    #[on_log]
    fn on_log(_: Log, _: &[Log], _: &Provider, _: &Provider) {}
}

struct NoChain;

#[nexum::module(manifest = "any.toml", config = Settings)]
impl NoChain {
    #[init]
    fn init(_: &Other, _: &Provider) {}

    #[on_tick]
    fn on_tick(_: Tick, _: &Provider) {}

    #[on_message]
    fn on_message(_: &Provider, _: u32) {}
}

struct Raw;

#[nexum::module(manifest = "any.toml")]
impl Raw {
    #[on_event]
    fn on_event(_: Event, _: &Provider, _: Block) {}
}

fn main() {}
