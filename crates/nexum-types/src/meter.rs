//! Counts that are written where things happen and read when somebody asks. Writing one costs a
//! few nanoseconds and waits for nobody.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// A count that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds to it.
    pub fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    /// What it has come to.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// How often a value was how large: counts by upper bound.
#[derive(Debug)]
pub struct Histogram {
    /// The upper bounds, each inclusive, ascending.
    bounds: &'static [u64],
    /// One count for each bound, and one for what is beyond the last.
    counts: Box<[Counter]>,
    sum: Counter,
}

/// A histogram at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HistogramReading {
    /// The upper bounds, each inclusive, ascending.
    pub bounds: &'static [u64],
    /// How many values lie up to each bound and above the one before it; the last, how many are
    /// beyond all of them.
    pub counts: Vec<u64>,
    /// All values together.
    pub sum: u64,
}

impl Histogram {
    /// Bounds for how long something takes, in nanoseconds: 100 µs to 30 s.
    pub const DURATION_BOUNDS: &'static [u64] = &[
        100_000,
        500_000,
        1_000_000,
        5_000_000,
        10_000_000,
        50_000_000,
        100_000_000,
        500_000_000,
        1_000_000_000,
        5_000_000_000,
        10_000_000_000,
        30_000_000_000,
    ];

    /// An empty one.
    #[must_use]
    pub fn new(bounds: &'static [u64]) -> Self {
        Self {
            bounds,
            counts: (0..=bounds.len()).map(|_| Counter::default()).collect(),
            sum: Counter::default(),
        }
    }

    /// An empty one of durations.
    #[must_use]
    pub fn of_durations() -> Self {
        Self::new(Self::DURATION_BOUNDS)
    }

    /// Counts a value.
    pub fn observe(&self, value: u64) {
        let place = self.bounds.partition_point(|bound| *bound < value);
        if let Some(count) = self.counts.get(place) {
            count.add(1);
        }
        self.sum.add(value);
    }

    /// Counts a duration, in nanoseconds.
    pub fn observe_duration(&self, duration: Duration) {
        self.observe(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX));
    }

    /// How it is now.
    #[must_use]
    pub fn read(&self) -> HistogramReading {
        HistogramReading {
            bounds: self.bounds,
            counts: self.counts.iter().map(Counter::get).collect(),
            sum: self.sum.get(),
        }
    }
}

impl HistogramReading {
    /// How many values there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_counts_up_to_its_bound() {
        let histogram = Histogram::new(&[10, 20]);
        for value in [0, 10, 11, 20, 21, 1000] {
            histogram.observe(value);
        }
        let read = histogram.read();
        assert_eq!(read.counts, [2, 2, 2]);
        assert_eq!((read.sum, read.count()), (1062, 6));
    }

    #[test]
    fn durations_have_bounds_in_ascending_order() {
        assert!(Histogram::DURATION_BOUNDS.is_sorted());
        let histogram = Histogram::of_durations();
        histogram.observe_duration(Duration::from_millis(1));
        histogram.observe_duration(Duration::MAX);
        let read = histogram.read();
        assert_eq!(read.counts[2], 1, "1 ms lies within its own bound");
        assert_eq!(read.counts[12], 1);
    }
}
