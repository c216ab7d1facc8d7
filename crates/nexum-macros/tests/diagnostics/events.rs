//! Events that no subscription brings, and topics that no handler takes.

use nexum_sdk::prelude::*;

sol! {
    event Approval(address indexed owner, address indexed spender, uint256 value);

    interface IERC20 {
        event Transfer(address indexed from, address indexed to, uint256 value);
    }

    event Quiet(uint256 value) anonymous;
}

struct NotSubscribed;

#[nexum::module(manifest = "approvals.toml")]
impl NotSubscribed {
    #[on_log(Approval)]
    fn on_approval() {}

    #[on_log(IERC20::Transfer)]
    fn on_transfer(_: IERC20::Transfer) {}
}

struct NoSubscription;

#[nexum::module(manifest = "nothing.toml")]
impl NoSubscription {
    #[on_log(Approval)]
    fn on_approval() {}
}

struct NotTaken;

#[nexum::module(manifest = "approvals.toml")]
impl NotTaken {
    #[on_log(IERC20::Transfer)]
    fn on_transfer(_: IERC20::Transfer) {}
}

struct Anonymous;

#[nexum::module(manifest = "any.toml")]
impl Anonymous {
    #[on_block]
    fn on_block() {}

    #[on_log(Quiet)]
    fn on_quiet(_: Quiet) {}
}

mod nft {
    nexum_sdk::sol! {
        event Transfer(address indexed from, address indexed to, uint256 indexed id);
    }
}

mod again {
    nexum_sdk::sol! {
        event Transfer(address indexed from, address to, uint256 indexed value);
    }
}

struct Unreached;

#[nexum::module(manifest = "any.toml")]
impl Unreached {
    #[on_block]
    fn on_block() {}

    #[on_log(IERC20::Transfer)]
    fn on_transfer(_: IERC20::Transfer) {}

    #[on_log(nft::Transfer)]
    fn on_nft(_: nft::Transfer) {}

    #[on_log(again::Transfer)]
    fn on_same(_: again::Transfer) {}
}

fn main() {}
