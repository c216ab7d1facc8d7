//! One look a second for all who watch, and none while nobody does.
//!
//! What is sent is made once and shared. A viewer that falls behind by more than a few looks is
//! let go: it is told everything when it comes again, and nothing is kept for it until then.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use axum::body::Bytes;
use serde::Serialize;
use tokio::{
    sync::broadcast,
    time::{Instant, MissedTickBehavior, interval_at},
};

use super::{
    pace::Paces,
    report::{LogReport, ModuleLetter, StatusReport},
};
use crate::{
    logbook::LogBook,
    observe::{
        health::HealthReport,
        look::{Look, ModuleLook},
        roster::Roster,
    },
    wire::LetterReport,
};

/// The time between two looks.
const PERIOD: Duration = Duration::from_secs(1);
/// The looks that a viewer may be behind.
const MAX_BEHIND: usize = 4;
/// The lines of the log that one event has at most.
const LINES: usize = 100;
/// The dead letters that are told, of all modules.
const LETTERS: usize = 20;
/// How long a browser waits before it connects again.
const RETRY: &[u8] = b"retry: 2000\n\n";

/// Looks at everything, for the viewers that there are.
#[derive(Debug)]
pub(super) struct Sampler {
    roster: Arc<Roster>,
    /// `None`: the log is not shown.
    log: Option<Arc<LogBook>>,
    now: Mutex<Option<Running>>,
}

/// There are viewers, or there were some at the last look.
#[derive(Debug)]
struct Running {
    news: broadcast::Sender<Arc<Frame>>,
    last: Arc<Frame>,
}

/// What one look has become.
#[derive(Debug)]
pub(super) struct Frame {
    /// The event `status`.
    status: Bytes,
    /// The event `log`, where there are lines since the last look.
    log: Option<Bytes>,
    /// The number of the last line that there was.
    seen: u64,
}

/// What one viewer is told: this first, and then the frames.
#[derive(Debug)]
pub(super) struct View {
    pub(super) first: Vec<Bytes>,
    pub(super) news: broadcast::Receiver<Arc<Frame>>,
}

impl Frame {
    /// What is sent of it, in order.
    pub(super) fn parts(&self) -> impl Iterator<Item = Bytes> + use<> {
        [Some(self.status.clone()), self.log.clone()]
            .into_iter()
            .flatten()
    }
}

impl Sampler {
    pub(super) fn new(roster: Arc<Roster>, log: Option<Arc<LogBook>>) -> Self {
        Self {
            roster,
            log,
            now: Mutex::new(None),
        }
    }

    /// One viewer more. Everything is told it at once.
    pub(super) fn join(self: &Arc<Self>) -> View {
        let mut now = self.now();
        let running = now.get_or_insert_with(|| {
            let mut paces = Paces::default();
            let last = Arc::new(self.look(&mut paces, 0));
            let news = broadcast::Sender::new(MAX_BEHIND);
            tokio::spawn(Arc::clone(self).go_on(paces));
            Running { news, last }
        });
        let log = self.lines(0, Some(running.last.seen)).map(|(log, _)| log);
        let first = [
            Some(Bytes::from_static(RETRY)),
            Some(running.last.status.clone()),
            log,
        ];
        View {
            first: first.into_iter().flatten().collect(),
            // Within the lock, so that no frame comes in between.
            news: running.news.subscribe(),
        }
    }

    /// Looks again and again, until nobody watches.
    async fn go_on(self: Arc<Self>, mut paces: Paces) {
        let mut ticks = interval_at(Instant::now() + PERIOD, PERIOD);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let mut now = self.now();
            let Some(running) = now.as_mut() else { return };
            if running.news.receiver_count() == 0 {
                *now = None;
                return;
            }
            let frame = Arc::new(self.look(&mut paces, running.last.seen));
            running.last = Arc::clone(&frame);
            // An error says that the last viewer has just gone.
            let _ = running.news.send(frame);
        }
    }

    /// A look at everything, as it is sent.
    fn look(&self, paces: &mut Paces, seen: u64) -> Frame {
        let look = self.roster.look();
        let report = StatusReport {
            time_ms: unix_ms(SystemTime::now()),
            started_ms: unix_ms(self.roster.started_at()),
            logs: self.log.is_some(),
            health: HealthReport::of(&look),
            paces: paces.note(Instant::now(), &look.modules),
            letters: newest_letters(&look),
        };
        let log = self.lines(seen, None);
        Frame {
            status: event("status", &report),
            seen: log.as_ref().map_or(seen, |(_, last)| *last),
            log: log.map(|(event, _)| event),
        }
    }

    /// The event of the lines after one, and the number of the last. `None`: there are none, or
    /// they are not shown.
    fn lines(&self, after: u64, up_to: Option<u64>) -> Option<(Bytes, u64)> {
        let mut lines = self.log.as_ref()?.after(after, LINES);
        lines.retain(|(number, _)| up_to.is_none_or(|last| *number <= last));
        let (last, _) = lines.last()?;
        Some((event("log", &LogReport::of(&lines)), *last))
    }

    fn now(&self) -> MutexGuard<'_, Option<Running>> {
        // It is only ever replaced as a whole.
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn newest_letters(look: &Look) -> Vec<ModuleLetter> {
    let of = |module: &ModuleLook, letter: &LetterReport| ModuleLetter {
        module: module.name().to_string(),
        letter: letter.clone(),
    };
    let modules = look.modules.iter();
    let mut letters: Vec<_> = modules
        .flat_map(|module| module.letters.iter().map(|letter| of(module, letter)))
        .collect();
    letters.sort_by_key(|letter| std::cmp::Reverse(letter.letter.time_ms));
    letters.truncate(LETTERS);
    letters
}

/// An event of a stream. JSON has no line breaks of its own, and so is one line.
fn event(name: &str, data: &impl Serialize) -> Bytes {
    // Maps with keys that are texts, and no number that JSON lacks: nothing can fail.
    let data = serde_json::to_string(data).unwrap_or_default();
    format!("event: {name}\ndata: {data}\n\n").into()
}

fn unix_ms(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    })
}

#[cfg(test)]
mod tests;
