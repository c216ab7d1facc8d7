//! Whether an endpoint is asked: a circuit breaker, as one pure transition function.

use std::time::Duration;

use tokio::time::Instant;

/// Failures in a row after which an endpoint is left.
pub(super) const THRESHOLD: u32 = 3;
/// How long an endpoint is left the first time; it doubles, up to [`LONGEST_REST`].
const SHORTEST_REST: Duration = Duration::from_millis(250);
/// The longest rest, but for what an endpoint asks for itself.
const LONGEST_REST: Duration = Duration::from_secs(15);
/// The most that an endpoint is granted when it asks to be left alone.
const LONGEST_WISH: Duration = Duration::from_secs(300);

/// The state of one endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Circuit {
    /// Asked as it comes.
    Closed {
        /// Failures in a row.
        failures: u32,
    },
    /// Left, and asked only where no other endpoint is left.
    Open {
        until: Instant,
        /// How often in a row it has been opened.
        trips: u32,
    },
    /// One probe is under way.
    HalfOpen {
        trips: u32,
        /// When the probe counts as lost.
        until: Instant,
    },
}

/// What happens to an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signal {
    Succeeded,
    Failed {
        /// How many failures it counts for.
        weight: u32,
        /// How long the endpoint asks to be left alone, where that is worth leaving it for.
        wish: Option<Duration>,
    },
    /// A probe begins, and takes no longer than this.
    Probed(Duration),
}

impl Circuit {
    pub(super) const NEW: Self = Self::Closed { failures: 0 };

    /// The next state. `jitter`, from 0.5 to 1, is the part of a rest that is taken.
    pub(super) fn next(self, signal: Signal, now: Instant, jitter: f64) -> Self {
        let open = |trips: u32, wish: Option<Duration>| {
            let rest = SHORTEST_REST
                .saturating_mul(1 << trips.min(16))
                .min(LONGEST_REST)
                .mul_f64(jitter);
            let rest = rest.max(wish.unwrap_or_default().min(LONGEST_WISH));
            Self::Open {
                until: now + rest,
                trips: trips + 1,
            }
        };
        match (self, signal) {
            (_, Signal::Succeeded) => Self::NEW,
            (Self::Closed { failures }, Signal::Failed { weight, wish }) => {
                let failures = failures.saturating_add(weight);
                if failures >= THRESHOLD || wish.is_some() {
                    open(0, wish)
                } else {
                    Self::Closed { failures }
                }
            }
            // Those who fail together count as one.
            (Self::Open { until, trips }, Signal::Failed { wish, .. }) if now < until => {
                let wished = now + wish.unwrap_or_default().min(LONGEST_WISH);
                Self::Open {
                    until: until.max(wished),
                    trips,
                }
            }
            (
                Self::Open { trips, .. } | Self::HalfOpen { trips, .. },
                Signal::Failed { wish, .. },
            ) => open(trips, wish),
            (
                Self::Open { until, trips } | Self::HalfOpen { until, trips },
                Signal::Probed(longest),
            ) if now >= until => Self::HalfOpen {
                trips,
                until: now + longest,
            },
            (state, Signal::Probed(_)) => state,
        }
    }

    /// True where a probe may begin.
    pub(super) fn is_due(self, now: Instant) -> bool {
        match self {
            Self::Closed { .. } => false,
            Self::Open { until, .. } | Self::HalfOpen { until, .. } => now >= until,
        }
    }

    pub(super) fn is_closed(self) -> bool {
        matches!(self, Self::Closed { .. })
    }

    /// When the next probe may begin; `None` where none is needed.
    pub(super) fn until(self) -> Option<Instant> {
        match self {
            Self::Closed { .. } => None,
            Self::Open { until, .. } | Self::HalfOpen { until, .. } => Some(until),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEASE: Duration = Duration::from_secs(20);
    const FAILED: Signal = Signal::Failed {
        weight: 1,
        wish: None,
    };
    const GRAVE: Signal = Signal::Failed {
        weight: THRESHOLD,
        wish: None,
    };

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn wish(secs: u64) -> Signal {
        Signal::Failed {
            weight: 1,
            wish: Some(Duration::from_secs(secs)),
        }
    }

    /// Every state with every signal, before and after the instant that the state names.
    #[test]
    fn every_transition() {
        let now = Instant::now() + Duration::from_secs(3600);
        let closed = |failures| Circuit::Closed { failures };
        let open = |until, trips| Circuit::Open { until, trips };
        let half = |until, trips| Circuit::HalfOpen { until, trips };
        let (before, after) = (now + ms(100), now - ms(100));
        let rows = [
            (closed(2), Signal::Succeeded, closed(0)),
            (closed(0), FAILED, closed(1)),
            (closed(1), FAILED, closed(2)),
            (closed(2), FAILED, open(now + ms(250), 1)),
            (closed(0), GRAVE, open(now + ms(250), 1)),
            (closed(0), wish(60), open(now + ms(60_000), 1)),
            (closed(0), wish(100_000), open(now + LONGEST_WISH, 1)),
            (closed(2), Signal::Probed(LEASE), closed(2)),
            (open(before, 1), Signal::Succeeded, closed(0)),
            (open(before, 1), FAILED, open(before, 1)),
            (open(before, 1), GRAVE, open(before, 1)),
            (open(before, 1), wish(60), open(now + ms(60_000), 1)),
            (open(before, 1), Signal::Probed(LEASE), open(before, 1)),
            (open(after, 1), Signal::Succeeded, closed(0)),
            (open(after, 1), FAILED, open(now + ms(500), 2)),
            (open(after, 2), GRAVE, open(now + ms(1000), 3)),
            (open(after, 40), FAILED, open(now + LONGEST_REST, 41)),
            (open(after, 1), wish(60), open(now + ms(60_000), 2)),
            (open(after, 1), Signal::Probed(LEASE), half(now + LEASE, 1)),
            (half(before, 1), Signal::Succeeded, closed(0)),
            (half(before, 1), FAILED, open(now + ms(500), 2)),
            (half(before, 1), wish(60), open(now + ms(60_000), 2)),
            (half(before, 1), Signal::Probed(LEASE), half(before, 1)),
            (half(after, 1), Signal::Succeeded, closed(0)),
            (half(after, 1), GRAVE, open(now + ms(500), 2)),
            (half(after, 3), Signal::Probed(LEASE), half(now + LEASE, 3)),
        ];
        for (state, signal, next) in rows {
            assert_eq!(
                state.next(signal, now, 1.0),
                next,
                "{state:?} and {signal:?}"
            );
        }
    }

    #[test]
    fn a_probe_is_due_when_the_rest_is_over_and_one_at_a_time() {
        let now = Instant::now() + Duration::from_secs(3600);
        assert!(!Circuit::NEW.is_due(now) && Circuit::NEW.until().is_none());
        let open = Circuit::NEW.next(GRAVE, now, 0.5);
        assert_eq!(open.until(), Some(now + ms(125)));
        assert!(!open.is_due(now) && open.is_due(now + ms(125)));
        let half = open.next(Signal::Probed(LEASE), now + ms(125), 1.0);
        assert!(!half.is_due(now + ms(200)));
        // The probe was cancelled: the next one's turn comes.
        assert!(half.is_due(now + ms(125) + LEASE));
    }
}
