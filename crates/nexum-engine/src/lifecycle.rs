//! A module's life, as one pure function. The worker performs what it says; no I/O stands here.

use std::time::Duration;

use nexum_manifest::{OnFailure, Restart};

/// What a module is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// A fresh instance is made and its `init` runs. No event passes before it succeeds.
    Init,
    /// Events are delivered, one at a time.
    Run,
    /// After a failure: waiting before the next attempt.
    Backoff,
    /// The event that has failed too often is being parked.
    Park,
    /// It has failed too often: nothing runs until an operator restarts or upgrades it.
    Dead,
    /// Unloaded. Final.
    Stopped,
}

impl Phase {
    /// Every phase, in the order of a life.
    pub const ALL: [Self; 6] = [
        Self::Init,
        Self::Run,
        Self::Backoff,
        Self::Park,
        Self::Dead,
        Self::Stopped,
    ];

    /// The phase's name in logs, metrics and answers.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Init => "init",
            Self::Run => "run",
            Self::Backoff => "backoff",
            Self::Park => "park",
            Self::Dead => "dead",
            Self::Stopped => "stopped",
        }
    }
}

/// What can happen to a module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Happened {
    /// `init` returned ok and was committed.
    Initialised,
    /// An event was handled and committed.
    Delivered,
    /// An `init` failed: host error or trap.
    InitFailed,
    /// An event failed: host error or trap.
    EventFailed {
        /// How often in a row this event has, though others may have been handled meanwhile; 0
        /// for one that is not to be parked.
        attempts: u32,
    },
    /// The state could not be opened, read or written. No module is to blame for that.
    StoreFailed,
    /// The event that had failed too often was parked, and the cursor is behind it.
    Parked,
    /// There is no room for it.
    NoRoom,
    /// A dead letter was given once more, and failed.
    RetryFailed,
    /// The wait is over.
    Waited,
    /// The worker itself panicked: a fault of the engine's own.
    Panicked,
    /// The operator wants a fresh instance.
    RestartAsked,
    /// Another version of the module has taken over; its `init` has been committed.
    Upgraded,
    /// The engine or the operator wants the module to end.
    StopAsked,
}

/// Where a module stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Lifecycle {
    pub(crate) phase: Phase,
    /// The module's failures since an event was last handled.
    pub(crate) failures: u32,
    /// The failures of `init` among them, since one succeeded.
    pub(crate) init_failures: u32,
    /// The failures that make a wait longer: the module's and the store's.
    pub(crate) setbacks: u32,
}

impl Lifecycle {
    pub(crate) const START: Self = Self::fresh(Phase::Init);

    const fn fresh(phase: Phase) -> Self {
        Self {
            phase,
            failures: 0,
            init_failures: 0,
            setbacks: 0,
        }
    }

    /// Where the module stands after something has happened.
    ///
    /// Only a handled event begins the count of failures anew: a module whose `init` succeeds and
    /// whose event then traps, again and again, is failing.
    #[must_use]
    pub(crate) fn after(self, happened: Happened, restart: Restart) -> Self {
        let to = |phase| Self { phase, ..self };
        match (self.phase, happened) {
            (Phase::Stopped, _) => self,
            (_, Happened::StopAsked) => to(Phase::Stopped),
            (_, Happened::Panicked) => to(Phase::Dead),
            (_, Happened::RestartAsked) => Self::fresh(Phase::Init),
            (_, Happened::Upgraded) => Self::fresh(Phase::Run),
            (Phase::Init, Happened::Initialised) => Self {
                init_failures: 0,
                ..to(Phase::Run)
            },
            (Phase::Run, Happened::Delivered) => Self {
                failures: 0,
                setbacks: 0,
                ..self
            },
            (Phase::Init, Happened::InitFailed) => {
                let failed = self.failed(self.init_failures.saturating_add(1));
                let count = match restart.on_failure {
                    OnFailure::Retry => failed.failures,
                    // Events that are parked in time do not count against the module.
                    OnFailure::DeadLetter => failed.init_failures,
                };
                failed.unless(count, restart, Phase::Dead)
            }
            (Phase::Run, Happened::EventFailed { attempts }) => {
                let failed = self.failed(self.init_failures);
                match restart.on_failure {
                    OnFailure::Retry => {
                        failed.unless(failed.failures.max(attempts), restart, Phase::Dead)
                    }
                    OnFailure::DeadLetter => failed.unless(attempts, restart, Phase::Park),
                }
            }
            (Phase::Init | Phase::Run | Phase::Park, Happened::StoreFailed) => Self {
                setbacks: self.setbacks.saturating_add(1),
                ..to(Phase::Backoff)
            },
            (Phase::Park, Happened::Parked) => Self::fresh(Phase::Init),
            (Phase::Park, Happened::NoRoom) => to(Phase::Dead),
            (Phase::Run, Happened::RetryFailed) | (Phase::Backoff, Happened::Waited) => {
                to(Phase::Init)
            }
            // What a phase does not do cannot happen in it.
            (Phase::Init, Happened::Delivered | Happened::EventFailed { .. })
            | (Phase::Run, Happened::Initialised | Happened::InitFailed)
            | (
                Phase::Park | Phase::Backoff | Phase::Dead,
                Happened::Initialised
                | Happened::Delivered
                | Happened::InitFailed
                | Happened::EventFailed { .. },
            )
            | (Phase::Backoff | Phase::Dead, Happened::StoreFailed)
            | (
                Phase::Init | Phase::Run | Phase::Backoff | Phase::Dead,
                Happened::Parked | Happened::NoRoom,
            )
            | (Phase::Init | Phase::Backoff | Phase::Park | Phase::Dead, Happened::RetryFailed)
            | (Phase::Init | Phase::Run | Phase::Park | Phase::Dead, Happened::Waited) => self,
        }
    }

    /// One more failure of the module's own, before it is known what comes of it.
    fn failed(self, init_failures: u32) -> Self {
        Self {
            failures: self.failures.saturating_add(1),
            setbacks: self.setbacks.saturating_add(1),
            init_failures,
            ..self
        }
    }

    /// To `last` once `count` is what the manifest bears, and else to the next attempt.
    fn unless(self, count: u32, restart: Restart, last: Phase) -> Self {
        let phase = if count >= restart.max_consecutive_failures.get() {
            last
        } else {
            Phase::Backoff
        };
        Self { phase, ..self }
    }
}

/// How long a module that fails is kept waiting between two attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// The longest wait after the first failure; it doubles with each further one in a row.
    pub first: Duration,
    /// The longest wait of all.
    pub longest: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            first: Duration::from_secs(1),
            longest: Duration::from_secs(5 * 60),
        }
    }
}

impl Backoff {
    /// How long to wait after so many failures in a row: full jitter over a bound that doubles
    /// with each. `jitter` is in 0..1.
    #[must_use]
    pub(crate) fn wait(self, failures: u32, jitter: f64) -> Duration {
        let doublings = failures.saturating_sub(1).min(31);
        let bound = self.first.saturating_mul(1 << doublings).min(self.longest);
        bound.mul_f64(jitter.clamp(0.0, 1.0))
    }
}

#[cfg(test)]
mod tests;
