//! Why a call did not return.

use std::time::Duration;

use wasmtime_wasi::I32Exit;

use crate::logging::printable;

/// The most calls that a backtrace tells.
const MAX_FRAMES: usize = 16;

/// The end of an instance in the middle of a call. Nothing of that instance runs again.
#[derive(Debug, thiserror::Error)]
pub enum Trap {
    /// The call used up its fuel.
    #[error("the call used up its {0} units of fuel (max_fuel_per_event)")]
    OutOfFuel(u64),
    /// The call took longer than it may, host calls included.
    #[error("the call took longer than {0:?} (max_event_duration)")]
    Deadline(Duration),
    /// The guest ended itself.
    #[error("the guest called exit({0})")]
    Exit(i32),
    /// The guest's code trapped: a panic, an unreachable, an access out of bounds.
    #[error("the guest trapped: {reason}")]
    Guest {
        /// The trap, in wasmtime's words.
        reason: String,
        /// The functions that were running, innermost first, if they are known.
        backtrace: String,
    },
    /// The module's store failed under the call.
    #[error("the module's store failed")]
    Store(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// A failing store ends the call in which it fails; no guest can handle it.
#[derive(Debug, thiserror::Error)]
#[error("the module's store failed")]
pub(crate) struct StoreFailed(#[source] pub(crate) Box<dyn std::error::Error + Send + Sync>);

impl Trap {
    pub(crate) fn from_wasmtime(error: wasmtime::Error, fuel: u64) -> Self {
        let error = match error.downcast::<StoreFailed>() {
            Ok(StoreFailed(source)) => return Self::Store(source),
            Err(error) => error,
        };
        if let Some(I32Exit(code)) = error.downcast_ref::<I32Exit>() {
            return Self::Exit(*code);
        }
        if let Some(wasmtime::Trap::OutOfFuel) = error.downcast_ref::<wasmtime::Trap>() {
            return Self::OutOfFuel(fuel);
        }
        let backtrace = error.downcast_ref::<wasmtime::WasmBacktrace>();
        let backtrace = backtrace.map(calls).unwrap_or_default();
        Self::Guest {
            reason: printable(&error.root_cause().to_string()),
            backtrace,
        }
    }
}

/// The functions that were running, innermost first. Their names are the guest's words.
fn calls(backtrace: &wasmtime::WasmBacktrace) -> String {
    let frames = backtrace.frames().iter().take(MAX_FRAMES);
    let names = frames.map(|frame| printable(frame.func_name().unwrap_or("?")));
    names.collect::<Vec<_>>().join(" < ")
}
