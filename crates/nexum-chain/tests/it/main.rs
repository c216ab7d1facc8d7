//! The chain crate against real sockets: the scripted chain behind a JSON-RPC server, and anvil.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a helper that fails fails its test"
)]

mod anvil;
mod endpoints;
mod feed;
mod reorg;
mod requests;
mod secrets;
mod support;
