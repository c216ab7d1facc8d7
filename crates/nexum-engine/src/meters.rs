//! What one module's worker counts: events and how they ended, how long they waited and ran, what
//! they burnt. Written by the worker, read by anyone.

use std::time::Duration;

use nexum_types::{Counter, Event, Histogram, HistogramReading};

use crate::failure::FailureKind;

/// The fuel of one call: ten thousand units to ten thousand million.
const FUEL_BOUNDS: &[u64] = &[
    10_000,
    100_000,
    1_000_000,
    10_000_000,
    100_000_000,
    1_000_000_000,
    10_000_000_000,
];

/// What kind of event a module is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EventKind {
    /// A block.
    Block,
    /// The logs of a block, perhaps as removed.
    Logs,
    /// A tick of a schedule.
    Tick,
}

impl EventKind {
    /// Every kind, in order.
    pub const ALL: [Self; 3] = [Self::Block, Self::Logs, Self::Tick];

    /// The kind as a word, as a manifest has it in `kind`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Block => "block",
            Self::Logs => "log",
            Self::Tick => "cron",
        }
    }

    pub(crate) fn of(event: &Event) -> Self {
        match event {
            Event::Block(_) => Self::Block,
            Event::Logs(_) => Self::Logs,
            Event::Tick(_) => Self::Tick,
        }
    }
}

/// What became of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EventOutcome {
    /// It was handled and committed.
    Handled,
    /// It failed, and is given again.
    Failed,
    /// It had failed too often, and is a dead letter.
    Parked,
}

impl EventOutcome {
    /// Every outcome, in order.
    pub const ALL: [Self; 3] = [Self::Handled, Self::Failed, Self::Parked];

    /// The outcome as a word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Handled => "handled",
            Self::Failed => "failed",
            Self::Parked => "parked",
        }
    }
}

/// The counts of one module.
#[derive(Debug)]
pub(crate) struct Meters {
    events: [[Counter; EventOutcome::ALL.len()]; EventKind::ALL.len()],
    failures: [Counter; FailureKind::ALL.len()],
    queue: Histogram,
    run: Histogram,
    fuel: Histogram,
    restarts: Counter,
}

/// The counts of one module at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetersReading {
    /// Events by kind and by what became of them, each attempt counted. All are listed.
    pub events: Vec<(EventKind, EventOutcome, u64)>,
    /// Failures by kind, those of `init` and of the engine's own included. All are listed.
    pub failures: Vec<(FailureKind, u64)>,
    /// How long events waited, from when their block could be had until their call began, in
    /// nanoseconds. Only where that is known: not of the past, nor at `safe` and `finalized`.
    pub queue: HistogramReading,
    /// How long the calls with events ran, host calls included, in nanoseconds.
    pub run: HistogramReading,
    /// The fuel of the calls with events.
    pub fuel: HistogramReading,
    /// Fresh instances that were made after a failure or at an operator's wish.
    pub restarts: u64,
}

impl MetersReading {
    /// Events of any kind that this became of.
    #[must_use]
    pub fn events_that(&self, outcome: EventOutcome) -> u64 {
        let these = self.events.iter().filter(|(_, of, _)| *of == outcome);
        these.map(|(_, _, count)| count).sum()
    }
}

impl Default for Meters {
    fn default() -> Self {
        Self {
            events: Default::default(),
            failures: Default::default(),
            queue: Histogram::of_durations(),
            run: Histogram::of_durations(),
            fuel: Histogram::new(FUEL_BOUNDS),
            restarts: Counter::default(),
        }
    }
}

impl Meters {
    pub(crate) fn event(&self, kind: EventKind, outcome: EventOutcome) {
        // `ALL` has the order of the enum, in both.
        self.events[kind as usize][outcome as usize].add(1);
    }

    pub(crate) fn failure(&self, kind: FailureKind) {
        self.failures[kind as usize].add(1);
    }

    pub(crate) fn queued(&self, time: Duration) {
        self.queue.observe_duration(time);
    }

    pub(crate) fn ran(&self, time: Duration, fuel: u64) {
        self.run.observe_duration(time);
        self.fuel.observe(fuel);
    }

    pub(crate) fn restarted(&self) {
        self.restarts.add(1);
    }

    pub(crate) fn read(&self) -> MetersReading {
        let events = EventKind::ALL.into_iter().flat_map(|kind| {
            let count = move |outcome| self.events[kind as usize][outcome as usize].get();
            EventOutcome::ALL
                .into_iter()
                .map(move |outcome| (kind, outcome, count(outcome)))
        });
        let failures = FailureKind::ALL.into_iter().zip(&self.failures);
        MetersReading {
            events: events.collect(),
            failures: failures.map(|(kind, count)| (kind, count.get())).collect(),
            queue: self.queue.read(),
            run: self.run.read(),
            fuel: self.fuel.read(),
            restarts: self.restarts.get(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_and_outcome_counts_for_itself() {
        for kind in EventKind::ALL {
            for outcome in EventOutcome::ALL {
                let meters = Meters::default();
                meters.event(kind, outcome);
                let counted: Vec<_> = meters
                    .read()
                    .events
                    .into_iter()
                    .filter(|(_, _, count)| *count > 0)
                    .collect();
                assert_eq!(counted, [(kind, outcome, 1)]);
            }
        }
    }

    #[test]
    fn every_kind_of_failure_counts_for_itself() {
        for kind in FailureKind::ALL {
            let meters = Meters::default();
            meters.failure(kind);
            let counted: Vec<_> = meters
                .read()
                .failures
                .into_iter()
                .filter(|(_, count)| *count > 0)
                .collect();
            assert_eq!(counted, [(kind, 1)]);
        }
    }
}
