//! The testkit against itself: what the other crates' tests stand on.

#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

mod anvil;
mod chain;
mod script;
mod server;
