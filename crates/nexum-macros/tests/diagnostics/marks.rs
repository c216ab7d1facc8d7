//! Attributes of handlers that do not go together.

use nexum_sdk::prelude::*;

sol! {
    event Transfer(address indexed from, address indexed to, uint256 value);
    event Approval(address indexed owner, address indexed spender, uint256 value);
}

struct Twice;

#[nexum::module(manifest = "any.toml")]
impl Twice {
    #[init]
    fn init() {}

    #[init]
    fn begin() {}

    #[on_block]
    fn on_block() {}

    #[on_block]
    fn on_another() {}

    #[on_log(Transfer)]
    fn on_transfer() {}

    #[on_log(Transfer)]
    fn on_transfer_too() {}
}

struct Both;

#[nexum::module(manifest = "any.toml")]
impl Both {
    #[on_block]
    #[on_log]
    fn on_both() {}
}

struct Arguments;

#[nexum::module(manifest = "any.toml")]
impl Arguments {
    #[init(Settings)]
    fn init() {}

    #[on_block(every = 5)]
    fn on_block() {}

    #[on_log(Transfer, Approval)]
    fn on_logs() {}

    #[on_log = "Transfer"]
    fn on_log() {}
}

struct NotAlone;

#[nexum::module(manifest = "any.toml")]
impl NotAlone {
    #[on_event]
    fn on_event(_: Event) {}

    #[on_block]
    fn on_block(_: &Block) {}
}

struct ListOfTheRest;

#[nexum::module(manifest = "any.toml")]
impl ListOfTheRest {
    #[on_block]
    fn on_block() {}

    #[on_log(Transfer)]
    fn on_transfer(_: Transfer) {}

    #[on_log]
    fn on_rest(_: Vec<Log>) {}
}

fn main() {}
