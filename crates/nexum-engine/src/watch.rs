//! A look at every call of a module, for tools of authors. In production nobody watches, and
//! nothing of this happens.

use std::{
    collections::BTreeSet,
    fmt, mem,
    sync::Arc,
    time::{Duration, Instant},
};

use nexum_host::{CallReport, Did};
use nexum_store::ModuleStore;
use nexum_types::{Event, ModuleName, Snapshot, StateBackend as _};

use crate::failure::{Failure, FailureKind, with_causes};

/// Who watches the calls of modules. It is told of each once it has ended, well or not, in the
/// order of their ends; the module goes on only after that.
pub trait Observer: fmt::Debug + Send + Sync + 'static {
    /// A call has ended.
    fn called(&self, call: Called);
}

/// One call of a module, with what became of it.
#[derive(Debug)]
pub struct Called {
    /// The module.
    pub module: ModuleName,
    /// The event; `None` for `init`.
    pub event: Option<Event>,
    /// Ok where it was committed.
    pub ended: Result<(), CallFailure>,
    /// The fuel it used.
    pub fuel: u64,
    /// How long it ran, host calls included, but not its commit.
    pub took: Duration,
    /// What it did, in order.
    pub did: Vec<Did>,
    /// What it changed in the committed state, by key.
    pub changes: Vec<StateChange>,
}

/// Why a call was not committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallFailure {
    /// What kind of failure it was.
    pub kind: FailureKind,
    /// What failed, and why.
    pub error: String,
    /// The functions that ran in the guest, innermost first, where they are known.
    pub backtrace: String,
}

/// What a call changed under one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateChange {
    /// The key.
    pub key: String,
    /// The value before; `None`: there was none.
    pub old: Option<Vec<u8>>,
    /// The value now; `None`: there is none.
    pub new: Option<Vec<u8>>,
}

/// A call while it is being watched.
pub(crate) struct Watch {
    observer: Arc<dyn Observer>,
    module: ModuleName,
    event: Option<Event>,
    before: Option<Box<dyn Snapshot>>,
    fuel: u64,
    took: Duration,
    did: Vec<Did>,
}

impl Watch {
    /// A call is about to begin on this state.
    pub(crate) fn begin(
        observer: &Arc<dyn Observer>,
        module: &ModuleName,
        store: &ModuleStore,
        event: Option<&Event>,
    ) -> Self {
        Self {
            observer: Arc::clone(observer),
            module: module.clone(),
            event: event.cloned(),
            // A state that cannot be read fails the call, which tells of that.
            before: store.snapshot().ok(),
            fuel: 0,
            took: Duration::ZERO,
            did: Vec::new(),
        }
    }

    /// The guest has returned, or not.
    pub(crate) fn ran(&mut self, began: Instant, report: &mut CallReport) {
        self.took = began.elapsed();
        self.fuel = report.fuel;
        self.did = mem::take(&mut report.did);
    }

    /// What the guest left is committed, or not.
    pub(crate) fn end(self, store: &ModuleStore, ended: Result<(), &Failure>) {
        let changes = self.changes(store);
        self.observer.called(Called {
            module: self.module,
            event: self.event,
            ended: ended.map_err(|failure| CallFailure {
                kind: failure.kind(),
                error: with_causes(failure),
                backtrace: failure.backtrace().to_owned(),
            }),
            fuel: self.fuel,
            took: self.took,
            did: self.did,
            changes,
        });
    }

    fn changes(&self, store: &ModuleStore) -> Vec<StateChange> {
        let touched = self.did.iter().filter_map(|did| match did {
            Did::Asked(call) => call.asked.changes(call.function),
            Did::Logged { .. } => None,
        });
        let touched: BTreeSet<_> = touched.collect();
        let (Some(before), Ok(after)) = (&self.before, store.snapshot()) else {
            return Vec::new();
        };
        let change = |key: &str| {
            let (old, new) = (before.get(key).ok()?, after.get(key).ok()?);
            (old != new).then(|| StateChange {
                key: key.to_owned(),
                old,
                new,
            })
        };
        touched.into_iter().filter_map(change).collect()
    }
}
