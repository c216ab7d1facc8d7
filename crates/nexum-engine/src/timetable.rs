//! The schedules of one module: which tick is due, in what order, and what becomes of those that
//! were missed. What is due follows from a schedule, its cursor and the clock alone.

use std::{collections::BTreeMap, future, sync::Arc, time::Duration};

use nexum_host::Clock;
use nexum_manifest::{CronSubscription, Missed, ModuleManifest, Schedule, Subscription};
use nexum_store::ModuleStore;
use nexum_types::{Cursor, Event, Source, Tick};

/// So many missed ticks are counted, at the most.
const COUNTED: u64 = 100_000;

/// The schedules of one module.
pub(crate) struct Timetable {
    clock: Arc<dyn Clock>,
    timers: Vec<Timer>,
    /// Since when the module has been there to be given ticks, in milliseconds since the epoch.
    since_ms: u64,
}

/// One schedule.
struct Timer {
    schedule: Schedule,
    missed: Missed,
    /// Every tick until then is done with.
    done_ms: u64,
    /// The tick that was given last and is not done with: it comes again until it is.
    begun: Option<Due>,
}

/// A tick that is due, or was left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Due {
    timer: usize,
    at_ms: u64,
    /// How many before it are left out.
    pub(crate) missed: u64,
    /// Whether it is to be given itself.
    pub(crate) is_given: bool,
}

impl Timetable {
    /// The schedules of a manifest.
    pub(crate) fn of(manifest: &ModuleManifest, clock: Arc<dyn Clock>) -> Self {
        let timers = manifest.subscriptions.iter();
        let timers = timers.filter_map(|subscription| match subscription {
            Subscription::Cron(CronSubscription { schedule, missed }) => Some(Timer {
                schedule: schedule.clone(),
                missed: *missed,
                done_ms: 0,
                begun: None,
            }),
            Subscription::Block(_) | Subscription::Log(_) => None,
        });
        Self {
            timers: timers.collect(),
            clock,
            since_ms: 0,
        }
    }

    /// The sources whose cursors these schedules move.
    pub(crate) fn sources(&self) -> impl Iterator<Item = Source> {
        let ids = self.timers.iter().map(|timer| timer.schedule.id());
        ids.map(Source::Schedule)
    }

    /// Goes back to the cursors that are committed in `store`. Answers the cursors of the schedules
    /// that the module has now for the first time: they begin here.
    pub(crate) fn rewind(&mut self, store: &ModuleStore) -> BTreeMap<Source, Cursor> {
        let now_ms = millis(self.clock.schedules());
        let mut begins = BTreeMap::new();
        self.since_ms = now_ms;
        for timer in &mut self.timers {
            let source = Source::Schedule(timer.schedule.id());
            timer.done_ms = match store.cursor(&source) {
                Some(Cursor::Tick(done_ms)) => done_ms,
                _ => {
                    begins.insert(source, Cursor::Tick(now_ms));
                    now_ms
                }
            };
            timer.begun = timer.begun.filter(|begun| begun.at_ms > timer.done_ms);
        }
        begins
    }

    /// The next tick, once it is due. Nothing is lost where this is cancelled.
    pub(crate) async fn next(&mut self) -> Due {
        loop {
            if let Some(due) = self.due(millis(self.clock.schedules())) {
                return due;
            }
            match self.timers.iter().filter_map(Timer::next).min() {
                Some(next_ms) => self.clock.reaches(Duration::from_millis(next_ms)).await,
                None => future::pending().await,
            }
        }
    }

    /// What is due first of all at `now_ms`.
    fn due(&mut self, now_ms: u64) -> Option<Due> {
        let since_ms = self.since_ms;
        let timers = self.timers.iter().enumerate();
        let due = timers.filter_map(|(index, timer)| timer.due(index, since_ms, now_ms));
        let first = due.min_by_key(|due| (due.at_ms, due.timer))?;
        if first.is_given {
            self.timers[first.timer].begun = Some(first);
        }
        Some(first)
    }

    /// Where a tick moves the cursor of its schedule.
    pub(crate) fn step(&self, due: Due) -> (Source, Cursor) {
        let source = Source::Schedule(self.timers[due.timer].schedule.id());
        (source, Cursor::Tick(due.at_ms))
    }

    /// The event of a tick.
    pub(crate) fn event(&self, due: Due) -> Event {
        Event::Tick(Tick {
            fired_at_ms: due.at_ms,
            schedule: self.timers[due.timer].schedule.text().to_owned(),
        })
    }

    /// How late a tick is by now.
    pub(crate) fn late(&self, due: Due) -> Duration {
        let due = Duration::from_millis(due.at_ms);
        self.clock.now().saturating_sub(due)
    }

    /// A tick has been handled, or left out.
    pub(crate) fn passed(&mut self, due: Due) {
        let timer = &mut self.timers[due.timer];
        timer.done_ms = due.at_ms;
        timer.begun = None;
    }
}

impl Timer {
    /// When it is due next.
    fn next(&self) -> Option<u64> {
        self.schedule.next_after(self.done_ms)
    }

    fn due(&self, timer: usize, since_ms: u64, now_ms: u64) -> Option<Due> {
        if let Some(begun) = self.begun {
            return Some(begun);
        }
        let first_ms = self.next().filter(|first| *first <= now_ms)?;
        let due = |at_ms, missed, is_given| {
            Some(Due {
                timer,
                at_ms,
                missed,
                is_given,
            })
        };
        if self.missed == Missed::All {
            return due(first_ms, 0, true);
        }
        let last_ms = self.schedule.last_until(now_ms).unwrap_or(first_ms);
        let missed = self.count(first_ms, last_ms);
        match self.missed {
            // It was due before there was anybody to be given it.
            Missed::Skip if last_ms < since_ms => due(last_ms, missed + 1, false),
            _ => due(last_ms, missed, true),
        }
    }

    /// How many ticks there are from `first_ms` on and before `last_ms`.
    fn count(&self, first_ms: u64, last_ms: u64) -> u64 {
        let mut count = 0;
        let mut at_ms = first_ms;
        while at_ms < last_ms && count < COUNTED {
            count += 1;
            match self.schedule.next_after(at_ms) {
                Some(next_ms) => at_ms = next_ms,
                None => break,
            }
        }
        count
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use nexum_host::SystemClock;

    use super::*;

    /// A module with a tick every ten seconds, at work since `since_ms`, that is done with all
    /// until `done_ms`.
    fn timetable(missed: Missed, done_ms: u64, since_ms: u64) -> Timetable {
        let schedule = Schedule::every("10s", Duration::from_secs(10)).unwrap();
        Timetable {
            clock: Arc::new(SystemClock::new()),
            timers: vec![Timer {
                schedule,
                missed,
                done_ms,
                begun: None,
            }],
            since_ms,
        }
    }

    /// What comes until `now_ms`: when each was due, how many were left out before it, and whether
    /// it is given.
    fn all(timetable: &mut Timetable, now_ms: u64) -> Vec<(u64, u64, bool)> {
        let mut all = Vec::new();
        while let Some(due) = timetable.due(now_ms) {
            timetable.passed(due);
            all.push((due.at_ms, due.missed, due.is_given));
        }
        all
    }

    #[test]
    fn what_is_due_comes_when_it_is_and_not_before() {
        for missed in [Missed::Skip, Missed::Once, Missed::All] {
            let mut timetable = timetable(missed, 10_000, 10_000);
            assert_eq!(timetable.due(19_999), None);
            assert_eq!(all(&mut timetable, 20_000), [(20_000, 0, true)]);
            assert_eq!(all(&mut timetable, 29_999), []);
        }
    }

    #[test]
    fn what_was_missed_while_the_engine_was_down_follows_the_policy() {
        // Done until 10 s, down from then on, back at 45 s.
        let came = |missed| all(&mut timetable(missed, 10_000, 45_000), 47_000);
        assert_eq!(came(Missed::Skip), [(40_000, 3, false)]);
        assert_eq!(came(Missed::Once), [(40_000, 2, true)]);
        assert_eq!(
            came(Missed::All),
            [(20_000, 0, true), (30_000, 0, true), (40_000, 0, true)]
        );
    }

    #[test]
    fn what_was_missed_by_a_busy_module_follows_the_policy() {
        let came = |missed| all(&mut timetable(missed, 10_000, 5_000), 47_000);
        assert_eq!(came(Missed::Skip), [(40_000, 2, true)]);
        assert_eq!(came(Missed::Once), [(40_000, 2, true)]);
        assert_eq!(came(Missed::All).len(), 3);
    }

    #[test]
    fn what_has_failed_comes_again_though_later_ones_are_due_by_then() {
        for missed in [Missed::Skip, Missed::Once] {
            let mut timetable = timetable(missed, 10_000, 5_000);
            let first = timetable.due(20_000).unwrap();
            timetable.since_ms = 61_000;
            assert_eq!(timetable.due(65_000), Some(first));
            timetable.passed(first);
            let then = all(&mut timetable, 65_000);
            assert_eq!(
                then,
                [match missed {
                    Missed::Skip => (60_000, 4, false),
                    _ => (60_000, 3, true),
                }]
            );
        }
    }

    #[test]
    fn a_clock_that_is_put_back_has_nothing_come_twice() {
        let mut timetable = timetable(Missed::Once, 10_000, 5_000);
        assert_eq!(all(&mut timetable, 20_000), [(20_000, 0, true)]);
        assert_eq!(all(&mut timetable, 12_000), []);
        assert_eq!(all(&mut timetable, 30_000), [(30_000, 0, true)]);
    }
}
