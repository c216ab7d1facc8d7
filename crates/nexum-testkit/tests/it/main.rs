//! The testkit against itself: what the other crates' tests stand on.

#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

mod anvil;
mod calls;
mod chain;
mod faults;
mod fixture;
mod logs;
mod proxy;
mod script;
mod server;
mod subscriptions;
mod support;
mod views;
