//! The committed state, in memory, behind the port that the engine's store implements too: a call
//! on it has the engine's own transactions, limits and quota.

use std::{
    collections::BTreeMap,
    ops::Bound,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use nexum_types::{CallId, CallKey, Snapshot, StateBackend, StateError, WriteSet};

type Entries = BTreeMap<String, Vec<u8>>;

/// The committed state of one module.
#[derive(Debug, Default)]
pub(super) struct Memory {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    entries: Mutex<Arc<Entries>>,
    calls: Mutex<Calls>,
}

/// The calls that have an id, and how many were drawn.
#[derive(Debug, Default)]
struct Calls {
    open: Vec<(CallKey, CallId)>,
    drawn: u128,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Arc<Entries>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn calls(&self) -> MutexGuard<'_, Calls> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn apply(&self, writes: &WriteSet) {
        if let Some(settled) = writes.settles() {
            self.calls().open.retain(|(call, _)| *call != settled);
        }
        let mut entries = self.lock();
        let entries = Arc::make_mut(&mut entries);
        for (key, value) in writes.entries() {
            match value {
                Some(value) => entries.insert(key.to_owned(), value.to_vec()),
                None => entries.remove(key),
            };
        }
    }
}

impl Memory {
    pub(super) fn backend(&self) -> Arc<dyn StateBackend> {
        Arc::clone(&self.shared) as _
    }

    pub(super) fn apply(&self, writes: &WriteSet) {
        self.shared.apply(writes);
    }

    pub(super) fn get(&self, key: &str) -> Option<Vec<u8>> {
        self.shared.lock().get(key).cloned()
    }

    pub(super) fn keys(&self) -> Vec<String> {
        self.shared.lock().keys().cloned().collect()
    }
}

impl StateBackend for Shared {
    fn snapshot(&self) -> Result<Box<dyn Snapshot>, StateError> {
        Ok(Box::new(Taken(Arc::clone(&self.lock()))))
    }

    fn used_bytes(&self) -> u64 {
        let entries = self.lock();
        entries
            .iter()
            .map(|(key, value)| key.len() as u64 + value.len() as u64)
            .sum()
    }

    fn checkpoint(&self, writes: &WriteSet) -> Result<(), StateError> {
        self.apply(writes);
        Ok(())
    }

    fn call_id(&self, call: CallKey) -> Result<CallId, StateError> {
        let mut calls = self.calls();
        if let Some((_, id)) = calls.open.iter().find(|(open, _)| *open == call) {
            return Ok(*id);
        }
        calls.drawn += 1;
        let id = CallId(calls.drawn.to_be_bytes());
        calls.open.push((call, id));
        Ok(id)
    }

    fn has_call_id(&self, call: CallKey) -> bool {
        self.calls().open.iter().any(|(open, _)| *open == call)
    }
}

struct Taken(Arc<Entries>);

impl Snapshot for Taken {
    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StateError> {
        Ok(self.0.get(key).cloned())
    }

    fn value_len(&self, key: &str) -> Result<Option<usize>, StateError> {
        Ok(self.0.get(key).map(Vec::len))
    }

    fn visit_keys(
        &self,
        prefix: &str,
        visit: &mut dyn FnMut(&str) -> bool,
    ) -> Result<(), StateError> {
        let from = (Bound::Included(prefix), Bound::Unbounded);
        let keys = self.0.range::<str, _>(from).map(|(key, _)| key);
        for key in keys.take_while(|key| key.starts_with(prefix)) {
            if !visit(key) {
                break;
            }
        }
        Ok(())
    }
}
