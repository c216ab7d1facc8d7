//! Modules' requests to servers outside, with real servers.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a helper that fails fails its test"
)]

mod answers;
mod connections;
mod credentials;
mod limits;
mod lookups;
mod redirects;
mod secrets;
mod sent;
mod servers;
mod ssrf;
mod support;
