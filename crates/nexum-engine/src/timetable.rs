//! The schedules of one module: which tick is due, in what order, and what becomes of those that
//! were missed. What is due follows from a schedule, its cursor and the clock alone.

use std::{collections::BTreeMap, future, sync::Arc, time::Duration};

use nexum_host::Clock;
use nexum_manifest::{CronSubscription, Missed, ModuleManifest, Schedule, Subscription};
use nexum_store::ModuleStore;
use nexum_types::{Cursor, Event, Source, Tick};

/// So many missed ticks of a cron expression are counted, at the most: each takes a search.
const COUNTED: u64 = 1_000;
/// So often others may come before one that is due.
const PATIENCE: u32 = 4;

/// The schedules of one module.
pub(crate) struct Timetable {
    clock: Arc<dyn Clock>,
    timers: Vec<Timer>,
    /// Since when the engine has been there to give the module ticks, in milliseconds since the
    /// epoch.
    since_ms: Option<u64>,
}

/// One schedule.
struct Timer {
    schedule: Schedule,
    missed: Missed,
    /// Every tick until then is done with.
    done_ms: u64,
    /// When it is due next; none where it never is any more.
    next_ms: Option<u64>,
    /// The tick that was given last and is not done with: it comes again until it is.
    begun: Option<u64>,
    /// How often others have come while this was due.
    waited: u32,
}

/// A tick that is due, or was left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Due {
    timer: usize,
    at_ms: u64,
    /// Whether it has not been given before.
    pub(crate) is_first: bool,
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
                next_ms: None,
                begun: None,
                waited: 0,
            }),
            Subscription::Block(_) | Subscription::Log(_) => None,
        });
        Self {
            timers: timers.collect(),
            clock,
            since_ms: None,
        }
    }

    /// The sources whose cursors these schedules move.
    pub(crate) fn sources(&self) -> impl Iterator<Item = Source> {
        let ids = self.timers.iter().map(|timer| timer.schedule.id());
        ids.map(Source::Schedule)
    }

    /// Takes the place of an older version's: the module has been there as long.
    pub(crate) fn take_over(&mut self, older: &Self) {
        self.since_ms = older.since_ms;
    }

    /// Goes back to the cursors that are committed in `store`. Answers the cursors of the schedules
    /// that the module has now for the first time: they begin here.
    pub(crate) fn rewind(&mut self, store: &ModuleStore) -> BTreeMap<Source, Cursor> {
        let now_ms = millis(self.clock.schedules());
        let mut begins = BTreeMap::new();
        self.since_ms.get_or_insert(now_ms);
        for timer in &mut self.timers {
            let source = Source::Schedule(timer.schedule.id());
            let (done_ms, begun) = match store.cursor(&source) {
                Some(Cursor::Tick(done_ms)) => (done_ms, None),
                Some(Cursor::Begun { done_ms, begun_ms }) => (done_ms, Some(begun_ms)),
                _ => {
                    begins.insert(source, Cursor::Tick(now_ms));
                    (now_ms, None)
                }
            };
            timer.begun = begun;
            timer.is_done(done_ms);
        }
        begins
    }

    /// The next tick, once it is due. Nothing is lost where this is cancelled.
    pub(crate) async fn next(&mut self) -> Due {
        loop {
            if let Some(due) = self.due(millis(self.clock.schedules())) {
                return due;
            }
            match self.timers.iter().filter_map(|timer| timer.next_ms).min() {
                Some(next_ms) => self.clock.reaches(Duration::from_millis(next_ms)).await,
                None => future::pending().await,
            }
        }
    }

    /// What is due first of all at `now_ms`.
    fn due(&mut self, now_ms: u64) -> Option<Due> {
        let timers = self.timers.iter().enumerate();
        let due = timers.filter_map(|(index, timer)| Some((index, timer, timer.first(now_ms)?)));
        let due: Vec<_> = due.collect();
        // Oldest first, but for those that have waited for long: one that is far behind, or fails,
        // keeps no other waiting.
        let turn = |(index, timer, first): &(usize, &Timer, u64)| {
            (timer.waited < PATIENCE, *first, *index)
        };
        let (chosen, timer, first_ms) = due.iter().copied().min_by_key(turn)?;
        let tick = timer.due(chosen, first_ms, self.since_ms.unwrap_or(0), now_ms);
        let waiting: Vec<_> = due.into_iter().map(|(index, ..)| index).collect();
        for index in waiting {
            let timer = &mut self.timers[index];
            timer.waited = match index == chosen {
                true => 0,
                false => timer.waited.saturating_add(1),
            };
        }
        if tick.is_given {
            self.timers[chosen].begun = Some(tick.at_ms);
        }
        Some(tick)
    }

    /// The cursor of a schedule while a tick of it is being given.
    pub(crate) fn begun(&self, due: Due) -> (Source, Cursor) {
        let timer = &self.timers[due.timer];
        let cursor = Cursor::Begun {
            done_ms: timer.done_ms,
            begun_ms: due.at_ms,
        };
        (Source::Schedule(timer.schedule.id()), cursor)
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

    /// How late a tick is by now; none where that is no matter of the module's: it was due before
    /// there was anybody to be given it, or has been given before.
    pub(crate) fn late(&self, due: Due) -> Option<Duration> {
        let is_late = due.is_first && self.since_ms.is_some_and(|since| since <= due.at_ms);
        let at = Duration::from_millis(due.at_ms);
        is_late.then(|| self.clock.now().saturating_sub(at))
    }

    /// A tick has been handled, or left out.
    pub(crate) fn passed(&mut self, due: Due) {
        let timer = &mut self.timers[due.timer];
        timer.begun = None;
        timer.is_done(due.at_ms);
    }
}

impl Timer {
    fn is_done(&mut self, done_ms: u64) {
        self.done_ms = done_ms;
        self.next_ms = self.schedule.next_after(done_ms);
    }

    /// The oldest tick that is due.
    fn first(&self, now_ms: u64) -> Option<u64> {
        self.begun
            .or_else(|| self.next_ms.filter(|next| *next <= now_ms))
    }

    /// What comes of the ticks that are due, of which `first_ms` is the oldest.
    fn due(&self, timer: usize, first_ms: u64, since_ms: u64, now_ms: u64) -> Due {
        let due = |at_ms, missed, is_given| Due {
            timer,
            at_ms,
            is_first: self.begun.is_none(),
            missed,
            is_given,
        };
        if self.begun.is_some() || self.missed == Missed::All {
            return due(first_ms, 0, true);
        }
        let last_ms = self.schedule.last_until(now_ms).unwrap_or(first_ms);
        let last_ms = last_ms.max(first_ms);
        let missed = self.schedule.count(first_ms, last_ms, COUNTED);
        match self.missed {
            // It was due before there was anybody to be given it.
            Missed::Skip if last_ms < since_ms => due(last_ms, missed + 1, false),
            _ => due(last_ms, missed, true),
        }
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use nexum_host::SystemClock;

    use super::*;

    fn timer(seconds: u64, missed: Missed, done_ms: u64) -> Timer {
        let text = format!("{seconds}s");
        let schedule = Schedule::every(&text, Duration::from_secs(seconds)).unwrap();
        Timer {
            next_ms: schedule.next_after(done_ms),
            schedule,
            missed,
            done_ms,
            begun: None,
            waited: 0,
        }
    }

    /// A module with a tick every ten seconds, at work since `since_ms`, that is done with all
    /// until `done_ms`.
    fn timetable(missed: Missed, done_ms: u64, since_ms: u64) -> Timetable {
        Timetable {
            clock: Arc::new(SystemClock::new()),
            timers: vec![timer(10, missed, done_ms)],
            since_ms: Some(since_ms),
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
            timetable.since_ms = Some(61_000);
            let again = timetable.due(65_000).unwrap();
            assert_eq!((again.at_ms, again.missed), (first.at_ms, 0));
            assert!(first.is_first && !again.is_first);
            timetable.passed(again);
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

    #[test]
    fn one_that_is_far_behind_keeps_no_other_waiting() {
        let mut timetable = timetable(Missed::All, 10_000, 5_000);
        timetable.timers.push(timer(30, Missed::Once, 30_000));
        let came = all(&mut timetable, 120_000);
        let other = came.iter().position(|due| *due == (120_000, 2, true));
        assert!(other.unwrap() <= PATIENCE as usize, "{came:?}");
        assert_eq!(came.len(), 11 + 1);
    }
}
