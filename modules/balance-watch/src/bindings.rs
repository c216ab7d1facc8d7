//! The contract as this guest sees it, and its exports. Everything here is generated.

use super::BalanceWatch;

wit_bindgen::generate!({
    path: "../../wit/nexum-host",
    world: "event-module",
});

export!(BalanceWatch with_types_in self);
