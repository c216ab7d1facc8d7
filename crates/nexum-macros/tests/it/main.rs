//! The macros as authors meet them.

#![expect(
    clippy::unwrap_used,
    reason = "in a test, a panic is the failure; clippy allows it only in the test itself"
)]

mod config;
mod diagnostics;
mod dispatch;
mod host;
