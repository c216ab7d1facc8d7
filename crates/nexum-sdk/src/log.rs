//! The interface `logging`: `log::info!("…")` and its kin. The engine adds module, chain, block
//! and event to each line.
//!
//! Arguments are formatted only where the level is let through: see [`set_max_level`].

use std::{cell::Cell, fmt};

use crate::host;

/// How much a line matters, from the least to the most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// The finest detail.
    Trace,
    /// What helps to find a fault.
    Debug,
    /// What an operator wants to know in normal running.
    Info,
    /// Something is off, and the module copes.
    Warn,
    /// Something failed.
    Error,
}

impl Level {
    /// The level as the contract spells it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Trace => "trace",
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

thread_local! {
    /// The finest level that is let through. A component has one thread; natively it is of the call
    /// that goes on, and whoever makes the call keeps it.
    static LEAST: Cell<Level> = const { Cell::new(Level::Trace) };
}

/// Lets through nothing finer than `level`, until the instance ends. At first everything is let
/// through, and the operator's own levels decide.
pub fn set_max_level(level: Level) {
    LEAST.set(level);
}

/// Lets through nothing finer than `level`, and answers what was let through before.
#[cfg(not(target_family = "wasm"))]
pub(crate) fn replace_max_level(level: Level) -> Level {
    LEAST.replace(level)
}

/// True where a line of that level is let through.
#[must_use]
pub fn enabled(level: Level) -> bool {
    level >= LEAST.get()
}

/// Logs one message, whatever the level let through. Line breaks in it are shown escaped.
pub fn log(level: Level, message: &str) {
    host::with(|host| host.log(level, message));
}

#[doc(hidden)]
pub fn write(level: Level, message: fmt::Arguments<'_>) {
    if enabled(level) {
        match message.as_str() {
            Some(message) => log(level, message),
            None => log(level, &message.to_string()),
        }
    }
}

macro_rules! levels {
    ($dollar:tt $($(#[$doc:meta])* $name:ident, $hidden:ident, $level:ident;)*) => {$(
        $(#[$doc])*
        #[doc(hidden)]
        #[macro_export]
        macro_rules! $hidden {
            ($dollar($dollar message:tt)+) => {
                if $dollar crate::log::enabled($dollar crate::log::Level::$level) {
                    $dollar crate::log::write(
                        $dollar crate::log::Level::$level,
                        ::core::format_args!($dollar($dollar message)+),
                    );
                }
            };
        }
        #[doc(inline)]
        pub use $hidden as $name;
    )*};
}

levels! { $
    /// Logs the finest detail.
    trace, __trace, Trace;
    /// Logs what helps to find a fault.
    debug, __debug, Debug;
    /// Logs what an operator wants to know in normal running.
    info, __info, Info;
    /// Logs that something is off, and the module copes.
    warn, __warn, Warn;
    /// Logs that something failed.
    error, __error, Error;
}
