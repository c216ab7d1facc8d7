//! What the engine tells of its modules while they run.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use nexum_chain::Place;
use nexum_host::{Loaded, Usage};
use nexum_manifest::Resources;
use nexum_store::{DeadLetter, ModuleStore};
use nexum_types::{BlockNumber, BlockRef, Counter, Cursor, Event, ModuleName, Source};

use crate::{
    failure::FailureKind,
    lifecycle::Phase,
    meters::{EventKind, EventOutcome, Meters},
    observe::shortened,
    wire::LetterReport,
};

/// The dead letters of a module that are told without asking its state.
const NEWEST_LETTERS: usize = 5;

/// One module, at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModuleStatus {
    /// The module.
    pub name: ModuleName,
    /// What it is doing.
    pub phase: Phase,
    /// Events handled and committed since the engine started.
    pub delivered: u64,
    /// How far it has come in each source it has anything of.
    pub cursors: BTreeMap<Source, Cursor>,
    /// Where it waits for more, in each source that it has come to the end of: what there was up to
    /// that head, it is done with.
    pub rests: BTreeMap<Source, Rest>,
    /// Blocks passed over since the engine started, where the manifest says `on_lag = "skip"`.
    pub skipped: u64,
    /// Ticks left out since the engine started, where the manifest says `missed = "skip"` or
    /// `"once"`.
    pub missed: u64,
    /// Why a source of events stands still, if one does.
    pub stalled: Option<String>,
    /// Calls that failed since the engine started, `init` included.
    pub failed: u64,
    /// Failures since an event was last handled.
    pub failing: u64,
    /// Events parked since the engine started.
    pub parked: u64,
    /// The dead letters that there are.
    pub letters: usize,
    /// The last failure, if there was one.
    pub last_error: Option<String>,
}

/// The end of a source, as a module has come to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rest {
    /// The head of the chain then.
    pub head: BlockRef,
    /// The block that comes next, at the depth of the source.
    pub next: BlockNumber,
}

/// Written by the module's worker, read by anyone.
#[derive(Debug)]
pub(crate) struct StatusBoard {
    name: ModuleName,
    pub(crate) meters: Meters,
    skipped: Counter,
    missed: Counter,
    made: Instant,
    /// When the call in flight began, in nanoseconds since `made` and one more; 0: there is none.
    call_began: AtomicU64,
    detail: Mutex<Detail>,
}

#[derive(Debug, Clone)]
struct Detail {
    phase: Phase,
    /// Whether the first `init` has ended, well or not.
    has_begun: bool,
    cursors: BTreeMap<Source, Cursor>,
    places: BTreeMap<Source, Place>,
    failing: u64,
    last_error: Option<String>,
    stalled: Option<String>,
    letters: Letters,
    version: Arc<VersionRuns>,
}

/// The dead letters that a module has.
#[derive(Debug, Clone, Default)]
pub(crate) struct Letters {
    count: usize,
    /// Newest first, without their events.
    newest: Arc<[LetterReport]>,
}

impl Letters {
    /// Those in a state. Reads from the disk, where there are any; what cannot be read is not
    /// told, and comes up as soon as the module uses its state.
    pub(crate) fn of(store: &ModuleStore) -> Self {
        let count = store.letter_count();
        let newest = match count {
            0 => Vec::new(),
            _ => store.newest_letters(NEWEST_LETTERS).unwrap_or_default(),
        };
        let report = |(id, letter): &(u64, DeadLetter)| {
            let report = LetterReport::new(*id, letter, false);
            let error = shortened(&report.error);
            LetterReport { error, ..report }
        };
        Self {
            count,
            newest: newest.iter().map(report).collect(),
        }
    }
}

/// What there is to tell of the version that runs.
#[derive(Debug)]
pub(crate) struct VersionRuns {
    /// What it may use up.
    pub(crate) resources: Resources,
    /// What it does.
    pub(crate) usage: Arc<Usage>,
}

impl VersionRuns {
    fn of(loaded: &Loaded) -> Arc<Self> {
        Arc::new(Self {
            resources: loaded.resources(),
            usage: Arc::clone(loaded.usage()),
        })
    }
}

impl StatusBoard {
    pub(crate) fn new(name: ModuleName, loaded: &Loaded) -> Self {
        Self {
            name,
            meters: Meters::default(),
            skipped: Counter::default(),
            missed: Counter::default(),
            made: Instant::now(),
            call_began: AtomicU64::new(0),
            detail: Mutex::new(Detail {
                phase: Phase::Init,
                has_begun: false,
                cursors: BTreeMap::new(),
                places: BTreeMap::new(),
                failing: 0,
                last_error: None,
                stalled: None,
                letters: Letters::default(),
                version: VersionRuns::of(loaded),
            }),
        }
    }

    /// Another version of the module runs from now on.
    pub(crate) fn runs(&self, loaded: &Loaded) {
        self.detail().version = VersionRuns::of(loaded);
    }

    /// A call begins.
    pub(crate) fn call_begins(&self, now: Instant) {
        let since = now.saturating_duration_since(self.made).as_nanos();
        let since = u64::try_from(since).unwrap_or(u64::MAX - 1);
        self.call_began.store(since + 1, Ordering::Relaxed);
    }

    /// It has ended.
    pub(crate) fn call_ended(&self) {
        self.call_began.store(0, Ordering::Relaxed);
    }

    /// How long the call in flight has taken so far.
    pub(crate) fn busy(&self) -> Option<Duration> {
        let began = self.call_began.load(Ordering::Relaxed).checked_sub(1)?;
        Some(
            self.made
                .elapsed()
                .saturating_sub(Duration::from_nanos(began)),
        )
    }

    /// An event was given, and handled or not.
    pub(crate) fn given(&self, event: &Event, is_handled: bool) {
        let outcome = if is_handled {
            EventOutcome::Handled
        } else {
            EventOutcome::Failed
        };
        self.meters.event(EventKind::of(event), outcome);
    }

    pub(crate) fn has_come(&self, source: Source, cursor: Cursor) {
        self.detail().cursors.insert(source, cursor);
    }

    /// The places in the feeds from which events come from now on, the schedules, and no others:
    /// what was told of a source that an older version read is not told any more. One that stands
    /// still says so again.
    pub(crate) fn reads(&self, places: BTreeMap<Source, Place>, schedules: &BTreeSet<Source>) {
        let mut detail = self.detail();
        detail
            .cursors
            .retain(|source, _| places.contains_key(source) || schedules.contains(source));
        detail.places = places;
        detail.stalled = None;
    }

    /// It goes on at other cursors than it stood at, and no source stands still any more. Where it
    /// is in the feeds is told again once it has taken its place there.
    pub(crate) fn moved(&self, cursors: impl IntoIterator<Item = (Source, Cursor)>) {
        let mut detail = self.detail();
        for (source, cursor) in cursors {
            detail.cursors.insert(source, cursor);
            detail.places.remove(&source);
        }
        detail.stalled = None;
    }

    /// For each source the block that comes next, and is not done with.
    pub(crate) fn next_blocks(&self) -> BTreeMap<Source, BlockNumber> {
        let detail = self.detail();
        let mut next: BTreeMap<_, _> = detail
            .cursors
            .iter()
            .filter_map(|(source, cursor)| Some((*source, cursor.next_number()?)))
            .collect();
        // Where there is nothing for a module, its place is ahead of its cursor.
        for (source, place) in &detail.places {
            if let Some(place) = place.next() {
                next.insert(*source, place);
            }
        }
        next
    }

    pub(crate) fn skipped(&self, blocks: u64) {
        self.skipped.add(blocks);
    }

    pub(crate) fn missed(&self, ticks: u64) {
        self.missed.add(ticks);
    }

    pub(crate) fn stalled(&self, why: String) {
        self.detail().stalled = Some(why);
    }

    pub(crate) fn failed(&self, kind: FailureKind, error: String) {
        // Whoever has seen the count sees the error.
        self.detail().last_error = Some(error);
        self.meters.failure(kind);
    }

    pub(crate) fn has_letters(&self, letters: Letters) {
        self.detail().letters = letters;
    }

    /// The newest dead letters, newest first.
    pub(crate) fn newest_letters(&self) -> Arc<[LetterReport]> {
        Arc::clone(&self.detail().letters.newest)
    }

    /// What the module is doing from now on, and how often it has failed in a row.
    pub(crate) fn stands(&self, phase: Phase, failing: u32) {
        let mut detail = self.detail();
        let before = std::mem::replace(&mut detail.phase, phase);
        detail.failing = failing.into();
        if phase == Phase::Init && before != Phase::Init {
            self.meters.restarted();
        }
        detail.has_begun |= phase != Phase::Init;
    }

    /// Whether the first `init` has ended, well or not.
    pub(crate) fn has_begun(&self) -> bool {
        self.detail().has_begun
    }

    /// What runs now.
    pub(crate) fn version(&self) -> Arc<VersionRuns> {
        Arc::clone(&self.detail().version)
    }

    pub(crate) fn read(&self) -> ModuleStatus {
        // In the other order than they are written in.
        let meters = self.meters.read();
        let detail = self.detail().clone();
        ModuleStatus {
            name: self.name.clone(),
            phase: detail.phase,
            delivered: meters.events_that(EventOutcome::Handled),
            cursors: detail.cursors,
            rests: detail
                .places
                .iter()
                .filter_map(|(source, place)| {
                    let rest = Rest {
                        head: place.rests_at()?,
                        next: place.next()?,
                    };
                    Some((*source, rest))
                })
                .collect(),
            skipped: self.skipped.get(),
            missed: self.missed.get(),
            stalled: detail.stalled,
            failed: meters.failures.iter().map(|(_, count)| count).sum(),
            failing: detail.failing,
            parked: meters.events_that(EventOutcome::Parked),
            letters: detail.letters.count,
            last_error: detail.last_error,
        }
    }

    fn detail(&self) -> MutexGuard<'_, Detail> {
        // Plain values: a panic while they are held leaves them whole.
        self.detail.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
