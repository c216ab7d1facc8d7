//! A module's life, as one pure function. The worker performs what it says; no I/O stands here.

use std::time::Duration;

/// The wait after the first failure; it doubles with each further one in a row.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// The longest wait between two attempts.
const LONGEST_WAIT: Duration = Duration::from_secs(5 * 60);

/// What a module is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// A fresh instance is made and its `init` runs. No event passes before it succeeds.
    Init,
    /// Events are delivered, one at a time.
    Run,
    /// After a failure: waiting before the next attempt.
    Backoff,
    /// Unloaded. Final.
    Stopped,
}

/// What can happen to a module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Happened {
    /// `init` returned ok and was committed.
    Initialised,
    /// An event was handled and committed.
    Delivered,
    /// An `init` or an event failed: host error, trap or commit.
    Failed,
    /// The wait is over.
    Waited,
    /// The engine or the operator wants the module to end.
    StopAsked,
}

/// Where a module stands: its phase, and how many failures it has had in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Lifecycle {
    pub(crate) phase: Phase,
    pub(crate) failures: u32,
}

impl Lifecycle {
    pub(crate) const START: Self = Self {
        phase: Phase::Init,
        failures: 0,
    };

    /// Where the module stands after something has happened.
    ///
    /// Only a delivered event resets the count of failures: a module whose `init` succeeds and
    /// whose event then traps, again and again, is failing.
    #[must_use]
    pub(crate) fn after(self, happened: Happened) -> Self {
        let phase = |phase| Self { phase, ..self };
        match (self.phase, happened) {
            (Phase::Stopped, _) | (_, Happened::StopAsked) => phase(Phase::Stopped),
            (Phase::Init, Happened::Initialised) => phase(Phase::Run),
            (Phase::Run, Happened::Delivered) => Self {
                failures: 0,
                ..self
            },
            (Phase::Init | Phase::Run, Happened::Failed) => Self {
                phase: Phase::Backoff,
                failures: self.failures.saturating_add(1),
            },
            (Phase::Backoff, Happened::Waited) => phase(Phase::Init),
            // What a phase does not do cannot happen in it.
            (Phase::Init, Happened::Delivered | Happened::Waited)
            | (Phase::Run, Happened::Initialised | Happened::Waited)
            | (Phase::Backoff, Happened::Initialised | Happened::Delivered | Happened::Failed) => {
                self
            }
        }
    }

    /// How long to wait before the next attempt: full jitter over a bound that doubles with each
    /// failure in a row. `jitter` is in 0..1.
    #[must_use]
    pub(crate) fn wait(self, jitter: f64) -> Duration {
        let doublings = self.failures.saturating_sub(1).min(31);
        let bound = FIRST_WAIT.saturating_mul(1 << doublings).min(LONGEST_WAIT);
        bound.mul_f64(jitter.clamp(0.0, 1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PHASES: [Phase; 4] = [Phase::Init, Phase::Run, Phase::Backoff, Phase::Stopped];
    const HAPPENINGS: [Happened; 5] = [
        Happened::Initialised,
        Happened::Delivered,
        Happened::Failed,
        Happened::Waited,
        Happened::StopAsked,
    ];

    fn after(phase: Phase, failures: u32, happened: Happened) -> Lifecycle {
        Lifecycle { phase, failures }.after(happened)
    }

    #[test]
    fn every_transition_is_as_drawn() {
        use {Happened::*, Phase::*};
        for phase in PHASES {
            for happened in HAPPENINGS {
                let expected = match (phase, happened) {
                    (Init, Initialised) => (Run, 3),
                    (Init | Run, Failed) => (Backoff, 4),
                    (Run, Delivered) => (Run, 0),
                    (Backoff, Waited) => (Init, 3),
                    (_, StopAsked) => (Stopped, 3),
                    (same, _) => (same, 3),
                };
                let found = after(phase, 3, happened);
                assert_eq!(
                    (found.phase, found.failures),
                    expected,
                    "{phase:?} + {happened:?}"
                );
            }
        }
    }

    #[test]
    fn nothing_leaves_the_final_phase() {
        for happened in HAPPENINGS {
            assert_eq!(after(Phase::Stopped, 0, happened).phase, Phase::Stopped);
        }
    }

    #[test]
    fn the_bound_doubles_up_to_five_minutes() {
        let bound = |failures| {
            Lifecycle {
                phase: Phase::Backoff,
                failures,
            }
            .wait(1.0)
            .as_secs()
        };
        let bounds: Vec<_> = (1..=11).map(bound).collect();
        assert_eq!(bounds, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
        assert_eq!(bound(u32::MAX), 300);
    }

    #[test]
    fn the_jitter_is_full() {
        let lifecycle = Lifecycle {
            phase: Phase::Backoff,
            failures: 3,
        };
        assert_eq!(lifecycle.wait(0.0), Duration::ZERO);
        assert_eq!(lifecycle.wait(0.5), Duration::from_secs(2));
    }
}
