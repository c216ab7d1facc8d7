//! What the engine tells of its modules while they run.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use nexum_types::{Cursor, ModuleName, Source};

use crate::lifecycle::Phase;

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
    /// Blocks passed over since the engine started, where the manifest says `on_lag = "skip"`.
    pub skipped: u64,
    /// Why a source of events stands still, if one does.
    pub stalled: Option<String>,
    /// Calls that failed since the engine started, `init` included.
    pub failed: u64,
    /// Events parked since the engine started.
    pub parked: u64,
    /// The dead letters that there are.
    pub letters: usize,
    /// The last failure, if there was one.
    pub last_error: Option<String>,
}

/// Written by the module's worker, read by anyone.
#[derive(Debug)]
pub(crate) struct StatusBoard {
    name: ModuleName,
    delivered: AtomicU64,
    skipped: AtomicU64,
    failed: AtomicU64,
    parked: AtomicU64,
    letters: AtomicUsize,
    detail: Mutex<Detail>,
}

#[derive(Debug, Clone)]
struct Detail {
    phase: Phase,
    cursors: BTreeMap<Source, Cursor>,
    last_error: Option<String>,
    stalled: Option<String>,
}

impl StatusBoard {
    pub(crate) fn new(name: ModuleName) -> Self {
        Self {
            name,
            delivered: AtomicU64::new(0),
            skipped: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            parked: AtomicU64::new(0),
            letters: AtomicUsize::new(0),
            detail: Mutex::new(Detail {
                phase: Phase::Init,
                cursors: BTreeMap::new(),
                last_error: None,
                stalled: None,
            }),
        }
    }

    pub(crate) fn delivered(&self) {
        self.delivered.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn has_come(&self, source: Source, cursor: Cursor) {
        self.detail().cursors.insert(source, cursor);
    }

    pub(crate) fn skipped(&self, blocks: u64) {
        self.skipped.fetch_add(blocks, Ordering::Relaxed);
    }

    pub(crate) fn stalled(&self, why: String) {
        self.detail().stalled = Some(why);
    }

    /// No source stands still any more.
    pub(crate) fn goes_on(&self) {
        self.detail().stalled = None;
    }

    pub(crate) fn failed(&self, error: String) {
        self.failed.fetch_add(1, Ordering::Relaxed);
        self.detail().last_error = Some(error);
    }

    pub(crate) fn parked(&self) {
        self.parked.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn has_letters(&self, count: usize) {
        self.letters.store(count, Ordering::Relaxed);
    }

    pub(crate) fn phase(&self, phase: Phase) {
        self.detail().phase = phase;
    }

    pub(crate) fn read(&self) -> ModuleStatus {
        let detail = self.detail().clone();
        ModuleStatus {
            name: self.name.clone(),
            phase: detail.phase,
            delivered: self.delivered.load(Ordering::Relaxed),
            cursors: detail.cursors,
            skipped: self.skipped.load(Ordering::Relaxed),
            stalled: detail.stalled,
            failed: self.failed.load(Ordering::Relaxed),
            parked: self.parked.load(Ordering::Relaxed),
            letters: self.letters.load(Ordering::Relaxed),
            last_error: detail.last_error,
        }
    }

    fn detail(&self) -> MutexGuard<'_, Detail> {
        // Plain values: a panic while they are held leaves them whole.
        self.detail.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
