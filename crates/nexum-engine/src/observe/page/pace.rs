//! How fast modules are of late, from counts that only grow. Pure: the time is the caller's.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use nexum_types::{HistogramReading, ModuleName};
use tokio::time::Instant;

use super::report::ModulePace;
use crate::{meters::EventOutcome, observe::look::ModuleLook};

/// The time over which events are counted.
const RATE_WINDOW: Duration = Duration::from_secs(10);
/// The time over which calls are measured: a chain's blocks may be ten seconds apart and more.
const RUN_WINDOW: Duration = Duration::from_secs(60);

/// What has been seen of the modules within the longer window.
#[derive(Debug, Default)]
pub(super) struct Paces {
    by_module: BTreeMap<ModuleName, History>,
}

/// The marks of one module, oldest first.
#[derive(Debug, Default)]
struct History(VecDeque<Mark>);

/// The counts of one module at one moment.
#[derive(Debug)]
struct Mark {
    at: Instant,
    handled: u64,
    run: HistogramReading,
}

impl Paces {
    /// Takes a look at the modules, and answers how fast they are.
    pub(super) fn note(&mut self, now: Instant, modules: &[ModuleLook]) -> Vec<ModulePace> {
        let mut before = std::mem::take(&mut self.by_module);
        let mut paces = Vec::with_capacity(modules.len());
        for module in modules {
            let mark = Mark {
                at: now,
                handled: module.meters.events_that(EventOutcome::Handled),
                run: module.meters.run.clone(),
            };
            let mut history = before.remove(module.name()).unwrap_or_default();
            history.take(mark);
            paces.push(history.pace(module.name()));
            self.by_module.insert(module.name().clone(), history);
        }
        paces
    }
}

impl History {
    fn take(&mut self, mark: Mark) {
        let marks = &mut self.0;
        // Counts that fall are those of another module of the same name.
        let last = marks.back();
        if last.is_some_and(|last| last.handled > mark.handled || last.run.sum > mark.run.sum) {
            marks.clear();
        }
        let is_old = |old: &mut Mark| mark.at.duration_since(old.at) > RUN_WINDOW;
        while marks.pop_front_if(is_old).is_some() {}
        marks.push_back(mark);
    }

    /// The oldest within the window, and the newest, which is another.
    fn within(&self, window: Duration) -> Option<(&Mark, &Mark)> {
        let newest = self.0.back()?;
        let is_within = |mark: &&Mark| newest.at.duration_since(mark.at) <= window;
        let oldest = self.0.iter().find(is_within)?;
        (oldest.at < newest.at).then_some((oldest, newest))
    }

    fn pace(&self, name: &ModuleName) -> ModulePace {
        let rate = self.within(RATE_WINDOW).map(|(from, to)| {
            let events = to.handled.saturating_sub(from.handled);
            events as f64 / to.at.duration_since(from.at).as_secs_f64()
        });
        let run = self.within(RUN_WINDOW);
        let run = run.map(|(from, to)| difference(&from.run, &to.run));
        let percentile = |share| run.as_ref().and_then(|run| percentile_us(run, share));
        ModulePace {
            name: name.to_string(),
            // Two digits behind the point are more than anybody reads.
            events_per_second: rate.map(|rate| (rate * 100.0).round() / 100.0),
            run_p50_us: percentile(0.5),
            run_p99_us: percentile(0.99),
        }
    }
}

fn difference(from: &HistogramReading, to: &HistogramReading) -> HistogramReading {
    let counts = from.counts.iter().zip(&to.counts);
    HistogramReading {
        bounds: to.bounds,
        counts: counts.map(|(from, to)| to.saturating_sub(*from)).collect(),
        sum: to.sum.saturating_sub(from.sum),
    }
}

/// The time within which that share of the calls ended, in microseconds: between the bounds of a
/// count as if they were spread evenly, and no more than the last bound.
fn percentile_us(run: &HistogramReading, share: f64) -> Option<u64> {
    let all = run.count();
    if all == 0 {
        return None;
    }
    // Counts are far below what a float holds exactly.
    let wanted = share * all as f64;
    let (mut below, mut lower) = (0.0, 0.0);
    for (bound, count) in run.bounds.iter().zip(&run.counts) {
        let (upper, count) = (*bound as f64, *count as f64);
        if below + count >= wanted {
            let nanos = lower + (upper - lower) * ((wanted - below) / count);
            return Some((nanos / 1e3).round() as u64);
        }
        below += count;
        lower = upper;
    }
    Some((lower / 1e3).round() as u64)
}

#[cfg(test)]
mod tests {
    use nexum_types::Histogram;

    use super::*;

    fn name() -> ModuleName {
        "a".parse().unwrap()
    }

    fn mark(start: Instant, seconds: u64, handled: u64, run: &Histogram) -> Mark {
        Mark {
            at: start + Duration::from_secs(seconds),
            handled,
            run: run.read(),
        }
    }

    #[test]
    fn a_rate_is_over_ten_seconds_and_unknown_before_there_are_two_looks() {
        let (start, run) = (Instant::now(), Histogram::of_durations());
        let mut history = History::default();
        history.take(mark(start, 0, 1000, &run));
        assert_eq!(history.pace(&name()).events_per_second, None);
        for second in 1..=30 {
            // Two a second, and none from the twentieth on.
            let handled = 1000 + 2 * second.min(20);
            history.take(mark(start, second, handled, &run));
            let expected = match second {
                ..=20 => 2.0,
                after => (2 * (30 - after)) as f64 / 10.0,
            };
            let rate = history.pace(&name()).events_per_second;
            assert_eq!(rate, Some(expected), "after {second} s");
        }
    }

    #[test]
    fn percentiles_are_of_the_last_minute() {
        let (start, run) = (Instant::now(), Histogram::of_durations());
        let mut history = History::default();
        // Of before there was anybody to look.
        run.observe_duration(Duration::from_secs(20));
        history.take(mark(start, 0, 0, &run));
        history.take(mark(start, 1, 0, &run));
        let pace = history.pace(&name());
        assert_eq!((pace.run_p50_us, pace.run_p99_us), (None, None));

        for _ in 0..98 {
            run.observe_duration(Duration::from_micros(700));
        }
        for _ in 0..2 {
            run.observe_duration(Duration::from_millis(300));
        }
        history.take(mark(start, 2, 0, &run));
        let pace = history.pace(&name());
        // Half of what lies between 500 µs and 1 ms; half of what lies between 100 and 500 ms.
        assert_eq!(pace.run_p50_us, Some(755));
        assert_eq!(pace.run_p99_us, Some(300_000));

        for second in 3..=70 {
            history.take(mark(start, second, 0, &run));
        }
        assert_eq!(history.pace(&name()).run_p50_us, None);
        assert!(history.0.len() <= 61, "{}", history.0.len());
    }

    #[test]
    fn beyond_the_last_bound_it_is_the_last_bound() {
        let run = Histogram::of_durations();
        run.observe_duration(Duration::from_secs(3600));
        assert_eq!(percentile_us(&run.read(), 0.5), Some(30_000_000));
    }

    #[test]
    fn counts_that_fall_are_those_of_another_module() {
        let (start, run) = (Instant::now(), Histogram::of_durations());
        let mut history = History::default();
        history.take(mark(start, 0, 500, &run));
        history.take(mark(start, 1, 600, &run));
        history.take(mark(start, 2, 3, &run));
        assert_eq!(history.pace(&name()).events_per_second, None);
        history.take(mark(start, 3, 4, &run));
        assert_eq!(history.pace(&name()).events_per_second, Some(1.0));
    }
}
