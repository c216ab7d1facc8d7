//! The macros as authors meet them.

mod config;
mod diagnostics;
mod dispatch;
mod host;
