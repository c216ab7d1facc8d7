//! `cargo nexum` through its real binary, on real modules.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a helper that fails fails its test"
)]

mod build;
mod genesis;
mod guide;
mod help;
mod mock;
mod package;
mod record;
mod refusals;
mod scaffold;
mod watching;
