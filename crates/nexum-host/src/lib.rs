//! The wasmtime side of `nexum:host`: what a module may import, and the call into it.
//!
//! One file per interface; beside them the closed WASI, the limits, the load (compile, check,
//! link) and the call. This crate opens no file and no socket: chains, servers outside and state are ports of
//! `nexum-types`, compiled code that was kept comes by a port of its own, and what a call wrote is
//! handed back, never committed here.

mod bindings;
mod call;
mod chain;
mod clock;
mod code;
mod denials;
mod guest;
mod http;
mod identity;
mod imports;
mod kept_code;
mod limits;
mod load;
mod local_store;
mod logging;
mod random;
mod shape;
mod stdio;
mod ticker;
mod trace;
mod trap;
mod usage;
mod wallet;
mod wasi;
mod withheld;
mod work;

pub use call::{CallReport, Instance, Outcome};
pub use clock::{Clock, SystemClock};
pub use imports::check_imports;
pub use kept_code::{CodeKey, CodeOrigin, CompiledCode, KeptCode, NothingKept, SerializeError};
pub use limits::{MAX_ARGUMENT_BYTES, MAX_LOG_LINE_BYTES, MAX_RANDOM_BYTES};
pub use load::{Host, HostSetupError, LoadError, Loaded, ModuleSpec};
pub use logging::LogRate;
pub use trace::{Asked, Did, HostCall};
pub use trap::Trap;
pub use usage::{HttpReading, Usage, UsageReading};
