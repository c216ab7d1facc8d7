//! Why a call did not return.

use std::time::Duration;

use wasmtime_wasi::I32Exit;

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
        /// Where in the guest, innermost frame first, if it is known.
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
        let backtrace = error
            .downcast_ref::<wasmtime::WasmBacktrace>()
            .map(ToString::to_string)
            .unwrap_or_default();
        Self::Guest {
            reason: error.root_cause().to_string(),
            backtrace,
        }
    }
}
