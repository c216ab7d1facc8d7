//! The macros as authors meet them.

mod config;
mod dispatch;
mod host;
