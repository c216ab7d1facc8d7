//! The chain crate against real sockets: the scripted chain behind a JSON-RPC server, and anvil.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a helper that fails fails its test"
)]

mod anvil;
mod anvil_outage;
mod batches;
mod burst;
mod emitter;
mod endpoints;
mod feed;
mod limits;
mod logs;
mod push;
mod readings;
mod reorg;
mod requests;
mod retries;
mod secrets;
mod shared_reads;
mod support;
