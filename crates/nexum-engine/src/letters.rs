//! Events that fail: how often each has, how it is parked, and what giving it once more moves.
//! Pure, but for the clock.

use std::{
    collections::{BTreeMap, VecDeque},
    time::{SystemTime, UNIX_EPOCH},
};

use nexum_store::{DeadLetter, History, Step};
use nexum_types::{BlockNumber, Cursor, Delivered, Event, Source};

/// The most of an error that is kept with an event, in bytes.
const MAX_ERROR_BYTES: usize = 4096;

/// The event that fails, for each source that stands before one.
#[derive(Debug, Default)]
pub(crate) struct Failing {
    by_source: BTreeMap<Source, Attempts>,
    /// The source whose event failed last.
    last: Option<Source>,
}

/// An event that fails, and the step that an ok of it would have taken.
#[derive(Debug)]
struct Attempts {
    event: Event,
    turn: u32,
    step: Step,
    error: String,
    count: u32,
}

impl Failing {
    /// An event has failed. It is counted by its source: what stands there next is the same event
    /// until the source moves, though its logs may be others after a reorg.
    pub(crate) fn note(&mut self, event: &Event, turn: u32, step: Step, error: &str) {
        let source = step.source;
        let before = self
            .by_source
            .remove(&source)
            .map_or(0, |known| known.count);
        let attempts = Attempts {
            event: event.clone(),
            turn,
            step,
            error: shortened(error),
            count: before.saturating_add(1),
        };
        self.by_source.insert(source, attempts);
        self.last = Some(source);
    }

    /// How often in a row the event that failed last has.
    pub(crate) fn attempts(&self) -> u32 {
        self.last().map_or(0, |attempts| attempts.count)
    }

    /// A source has moved, or what stands next in it is not to be parked.
    pub(crate) fn passed(&mut self, source: Source) {
        self.by_source.remove(&source);
    }

    /// The letter of the event that failed last, and the step that passes over it.
    pub(crate) fn letter(&self) -> Option<(DeadLetter, Step)> {
        let Attempts {
            event,
            turn,
            step,
            error,
            count,
        } = self.last()?;
        let letter = DeadLetter {
            source: step.source,
            turn: *turn,
            event: event.clone(),
            error: error.clone(),
            time_ms: now_ms(),
            attempts: *count,
            retry: false,
        };
        Some((letter, passing_over(event, step.clone())))
    }

    fn last(&self) -> Option<&Attempts> {
        self.by_source.get(self.last.as_ref()?)
    }
}

/// The step that leaves an event out. Logs that were not given are not remembered as given, so
/// that they are never told as removed.
fn passing_over(event: &Event, mut step: Step) -> Step {
    if let (Some(logs), History::Remember { delivered, .. }) =
        (given_logs(event), &mut step.history)
    {
        // What an event adds to what was delivered stands at its end.
        delivered.logs.pop_if(|(_, last)| last == logs);
    }
    step
}

/// The logs of an event that an ok of it adds to what was delivered.
fn given_logs(event: &Event) -> Option<&Vec<nexum_types::Log>> {
    match event {
        Event::Logs(logs) if logs.iter().all(|log| !log.removed) => Some(logs),
        Event::Block(_) | Event::Logs(_) | Event::Tick(_) => None,
    }
}

/// The step of a letter that was given once more and handled: the cursor stays where it is, and
/// where its block can still leave the chain, its logs have been delivered from now on.
pub(crate) fn settled(
    letter: &DeadLetter,
    cursor: Cursor,
    remembered: Option<Delivered>,
) -> Option<Step> {
    let mut delivered = remembered.filter(|known| letter.event.block_ref() == Some(known.block))?;
    let logs = given_logs(&letter.event)?;
    delivered.logs.push((letter.turn, logs.clone()));
    Some(Step {
        source: letter.source,
        cursor,
        history: History::Remember {
            delivered,
            keep_from: BlockNumber(0),
        },
    })
}

/// The letter once its event has failed again.
pub(crate) fn failed_again(letter: DeadLetter, error: &str) -> DeadLetter {
    DeadLetter {
        error: shortened(error),
        time_ms: now_ms(),
        attempts: letter.attempts.saturating_add(1),
        retry: false,
        ..letter
    }
}

/// The numbers of the letters that the operator wants given once more.
pub(crate) fn marked(letters: &[(u64, DeadLetter)]) -> VecDeque<u64> {
    let marked = letters.iter().filter(|(_, letter)| letter.retry);
    marked.map(|(id, _)| *id).collect()
}

/// The letters that a block takes with it when it leaves the chain: what it would have given and
/// what it would have taken back cancel out.
pub(crate) fn of_block(
    letters: &[(u64, DeadLetter)],
    source: Source,
    number: BlockNumber,
) -> Vec<u64> {
    let is_of_it = |letter: &DeadLetter| {
        let is_removal =
            matches!(&letter.event, Event::Logs(_)) && given_logs(&letter.event).is_none();
        let block = letter.event.block_ref();
        letter.source == source && !is_removal && block.is_some_and(|block| block.number == number)
    };
    let gone = letters.iter().filter(|(_, letter)| is_of_it(letter));
    gone.map(|(id, _)| *id).collect()
}

fn shortened(error: &str) -> String {
    error[..error.floor_char_boundary(MAX_ERROR_BYTES)].to_owned()
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    })
}
