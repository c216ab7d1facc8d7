//! The wasmtime side of `nexum:host`: what a module may import, and the call into it.
//!
//! One file per interface; beside them the closed WASI, the limits, the load (compile, check,
//! link) and the call. This crate opens no file and no socket: chains and state are ports of
//! `nexum-types`, and what a call wrote is handed back, never committed here.

mod bindings;
mod call;
mod chain;
mod clock;
mod code;
mod guest;
mod limits;
mod load;
mod local_store;
mod logging;
mod random;
mod stdio;
mod ticker;
mod trap;
mod wasi;

pub use call::{CallReport, Instance, Outcome};
pub use clock::{Clock, SystemClock};
pub use limits::{MAX_LOG_LINE_BYTES, MAX_RANDOM_BYTES};
pub use load::{Host, HostSetupError, LoadError, Loaded, ModuleSpec};
pub use logging::LogRate;
pub use trap::Trap;
