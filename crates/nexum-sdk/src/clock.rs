//! The interface `clock`. `std::time` reads the same two clocks.
//!
//! An event carries its own time. A module that decides on that, and not on this clock, decides
//! the same when an event comes again.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::host;

/// The wall clock, in milliseconds since the Unix epoch, UTC. Can jump, also backwards.
#[must_use]
pub fn now_ms() -> u64 {
    host::with(|host| host.now_ms())
}

/// The wall clock.
#[must_use]
pub fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(now_ms())
}

/// The time since an instant that stays the same while the engine runs. Never goes back; only
/// differences mean something, and none across a restart.
#[must_use]
pub fn monotonic() -> Duration {
    Duration::from_nanos(host::with(|host| host.monotonic_ns()))
}
