//! `nexum:host/clock`, and the same time for WASI.

use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use nexum_types::BoxFuture;
use wasmtime_wasi::{HostMonotonicClock, HostWallClock};

use crate::{bindings, guest::Guest};

/// Where modules get their time from: `clock` and WASI alike.
pub trait Clock: Send + Sync + 'static {
    /// The time since the Unix epoch, UTC.
    fn now(&self) -> Duration;

    /// The time since a moment of the engine's choosing; it never goes back.
    fn monotonic(&self) -> Duration;

    /// The time since the Unix epoch up to which schedules have come due.
    fn schedules(&self) -> Duration {
        self.now()
    }

    /// Comes once [`Clock::schedules`] is `at` or later.
    fn reaches(&self, at: Duration) -> BoxFuture<'_, ()>;
}

/// A clock that is set anew, or a machine that slept, is noticed within this time.
const LOOK_AGAIN: Duration = Duration::from_secs(10);

/// The machine's clocks.
#[derive(Debug)]
pub struct SystemClock {
    started: Instant,
}

impl SystemClock {
    /// Clocks whose monotonic time begins now.
    #[must_use]
    pub fn new() -> Self {
        Self {
            started: Instant::now(),
        }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Duration {
        // Before 1970 there is no time to tell; a machine set so is told the epoch.
        SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default()
    }

    fn monotonic(&self) -> Duration {
        self.started.elapsed()
    }

    fn reaches(&self, at: Duration) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            while let Some(left) = at.checked_sub(self.now()).filter(|left| !left.is_zero()) {
                tokio::time::sleep(left.min(LOOK_AGAIN)).await;
            }
        })
    }
}

impl bindings::clock::Host for Guest {
    fn now_ms(&mut self) -> wasmtime::Result<u64> {
        Ok(u64::try_from(self.clock.now().as_millis()).unwrap_or(u64::MAX))
    }

    fn monotonic_ns(&mut self) -> wasmtime::Result<u64> {
        Ok(nanos(self.clock.monotonic()))
    }
}

/// The engine's clock as WASI asks for it.
pub(crate) struct WasiClock(pub(crate) Arc<dyn Clock>);

impl HostWallClock for WasiClock {
    fn resolution(&self) -> Duration {
        Duration::from_nanos(1)
    }

    fn now(&self) -> Duration {
        self.0.now()
    }
}

impl HostMonotonicClock for WasiClock {
    fn resolution(&self) -> u64 {
        1
    }

    fn now(&self) -> u64 {
        nanos(self.0.monotonic())
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
