//! What one call sees of its module's state: a snapshot, with the call's own writes over it.

use std::sync::Arc;

use crate::{CallId, CallKey, CallOf, WriteSet, limits};

/// The committed state of one module at one instant.
pub trait Snapshot: Send {
    /// The value of `key`.
    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StateError>;

    /// The size of the value of `key`, in bytes, without copying it.
    fn value_len(&self, key: &str) -> Result<Option<usize>, StateError>;

    /// Calls `visit` with each key that begins with `prefix`, in order, until it answers false.
    fn visit_keys(
        &self,
        prefix: &str,
        visit: &mut dyn FnMut(&str) -> bool,
    ) -> Result<(), StateError>;
}

/// The port from a call to the store of its module.
pub trait StateBackend: Send + Sync + 'static {
    /// The committed state as it is now.
    fn snapshot(&self) -> Result<Box<dyn Snapshot>, StateError>;

    /// The bytes of all committed keys and values. O(1).
    fn used_bytes(&self) -> u64;

    /// Commits `writes` durably, at once, and moves no cursor. Blocks for the disk.
    fn checkpoint(&self, writes: &WriteSet) -> Result<(), StateError>;

    /// The id of a call, drawn and committed durably where it has none. It stays until a commit
    /// [settles](WriteSet::settles) the call. Blocks for the disk.
    fn call_id(&self, call: CallKey) -> Result<CallId, StateError>;

    /// Whether a call has an id. O(1) where no call has.
    fn has_call_id(&self, call: CallKey) -> bool;
}

/// Why the state did not do as asked.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The key is empty.
    #[error("a key has at least 1 byte")]
    EmptyKey,
    /// The key is too long.
    #[error("a key has at most {max} bytes, this one has {0}", max = limits::MAX_KEY_BYTES)]
    KeyTooLong(usize),
    /// The value is too large.
    #[error("a value has at most {max} bytes, this one has {0}", max = limits::MAX_VALUE_BYTES)]
    ValueTooLarge(usize),
    /// The state would grow beyond the module's quota.
    #[error("the state would have {needed} bytes, the quota is {quota}")]
    QuotaExceeded {
        /// What the state would need.
        needed: u64,
        /// What the module may have.
        quota: u64,
    },
    /// More keys than one answer can hold.
    #[error("more than {max} keys begin with this prefix; ask for a longer one", max = limits::MAX_LISTED_KEYS)]
    TooManyKeys,
    /// The call changes too many keys.
    #[error(
        "a call changes at most {max} keys before it returns or checkpoints",
        max = limits::MAX_CHANGED_KEYS
    )]
    TooManyChanges,
    /// The store failed. The source is for the operator, not for the module.
    #[error("the store failed")]
    Storage(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// One call's view of its module's state.
///
/// The snapshot is taken on the first access, so that a call which never touches its state pays
/// nothing. The module has no second writer, so late is as good as early.
pub struct CallState {
    backend: Arc<dyn StateBackend>,
    snapshot: Option<Box<dyn Snapshot>>,
    writes: WriteSet,
    quota: u64,
    /// The call, where it has a name.
    call: Option<CallKey>,
    /// Something of this call is on disk already.
    has_checkpointed: bool,
}

impl CallState {
    /// The view of a call that is about to start. `quota` is in bytes of keys and values.
    #[must_use]
    pub fn new(backend: Arc<dyn StateBackend>, quota: u64) -> Self {
        let writes = WriteSet::over(backend.used_bytes());
        Self {
            backend,
            snapshot: None,
            writes,
            quota,
            call: None,
            has_checkpointed: false,
        }
    }

    /// The view of that call: what it leaves to commit settles it.
    #[must_use]
    pub fn of(self, call: Option<CallKey>) -> Self {
        Self { call, ..self }
    }

    /// The call, for whoever has an effect on its behalf; none where it has no name.
    #[must_use]
    pub fn call(&self) -> Option<CallOf> {
        Some(CallOf::new(Arc::clone(&self.backend), self.call?))
    }

    /// The value of `key`; the call's own writes come first.
    pub fn get(&mut self, key: &str) -> Result<Option<Vec<u8>>, StateError> {
        check_key(key)?;
        match self.writes.get(key) {
            Some(change) => Ok(change.map(<[u8]>::to_vec)),
            None => self.snapshot()?.get(key),
        }
    }

    /// Sets `key` to `value`. Refused where the state would outgrow the quota; a write that does
    /// not grow the state is never refused for it.
    pub fn set(&mut self, key: &str, value: Vec<u8>) -> Result<(), StateError> {
        check_key(key)?;
        check_value_len(value.len())?;
        let committed = self.snapshot()?.value_len(key)?;
        let needed = self
            .writes
            .used_bytes_after_set(key, value.len(), committed);
        if needed > self.quota && needed > self.writes.used_bytes() {
            return Err(StateError::QuotaExceeded {
                needed,
                quota: self.quota,
            });
        }
        self.check_room(key)?;
        self.writes.set(key, value, committed);
        Ok(())
    }

    /// Deletes `key`. A key that is not there is no error.
    pub fn delete(&mut self, key: &str) -> Result<(), StateError> {
        check_key(key)?;
        let committed = self.snapshot()?.value_len(key)?;
        self.check_room(key)?;
        self.writes.delete(key, committed);
        Ok(())
    }

    /// The keys that begin with `prefix`, in order, the call's own writes included.
    pub fn list_keys(&mut self, prefix: &str) -> Result<Vec<String>, StateError> {
        if prefix.len() > limits::MAX_KEY_BYTES {
            return Err(StateError::KeyTooLong(prefix.len()));
        }
        self.snapshot()?;
        let Some(snapshot) = &self.snapshot else {
            return Ok(Vec::new());
        };
        let mut keys = Vec::new();
        let mut visited = 0;
        let mut written = self.writes.with_prefix(prefix).peekable();
        snapshot.visit_keys(prefix, &mut |committed| {
            visited += 1;
            while let Some((key, change)) = written.next_if(|(key, _)| *key < committed) {
                if change.is_some() {
                    keys.push(key.to_owned());
                }
            }
            match written.next_if(|(key, _)| *key == committed) {
                Some((_, None)) => {}
                _ => keys.push(committed.to_owned()),
            }
            keys.len() <= limits::MAX_LISTED_KEYS && visited <= limits::MAX_VISITED_KEYS
        })?;
        keys.extend(
            written
                .filter(|(_, change)| change.is_some())
                .map(|(key, _)| key.to_owned()),
        );
        if keys.len() > limits::MAX_LISTED_KEYS || visited > limits::MAX_VISITED_KEYS {
            return Err(StateError::TooManyKeys);
        }
        Ok(keys)
    }

    /// Commits what the call has written so far, durably and without moving the cursor. Blocks
    /// for the disk. Later writes of the call go into a new set.
    pub fn checkpoint(&mut self) -> Result<(), StateError> {
        if self.writes.is_empty() {
            return Ok(());
        }
        self.backend.checkpoint(&self.writes)?;
        self.has_checkpointed = true;
        self.snapshot = None;
        self.writes = WriteSet::over(self.backend.used_bytes());
        Ok(())
    }

    /// True where a part of the call is on disk already: repeating the call would not be the
    /// same as having made it once, so its cursor must not wait.
    #[must_use]
    pub fn has_checkpointed(&self) -> bool {
        self.has_checkpointed
    }

    /// What remains to be committed.
    #[must_use]
    pub fn into_writes(mut self) -> WriteSet {
        if let Some(call) = self.call
            && self.backend.has_call_id(call)
        {
            self.writes.settle(call);
        }
        self.writes
    }

    fn check_room(&self, key: &str) -> Result<(), StateError> {
        if self.writes.len() >= limits::MAX_CHANGED_KEYS && self.writes.get(key).is_none() {
            return Err(StateError::TooManyChanges);
        }
        Ok(())
    }

    fn snapshot(&mut self) -> Result<&dyn Snapshot, StateError> {
        let snapshot = match self.snapshot.take() {
            Some(snapshot) => snapshot,
            None => self.backend.snapshot()?,
        };
        Ok(&**self.snapshot.insert(snapshot))
    }
}

impl std::fmt::Debug for CallState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CallState")
            .field("writes", &self.writes.len())
            .field("quota", &self.quota)
            .finish_non_exhaustive()
    }
}

fn check_key(key: &str) -> Result<(), StateError> {
    match key.len() {
        0 => Err(StateError::EmptyKey),
        len if len > limits::MAX_KEY_BYTES => Err(StateError::KeyTooLong(len)),
        _ => Ok(()),
    }
}

fn check_value_len(len: usize) -> Result<(), StateError> {
    if len > limits::MAX_VALUE_BYTES {
        Err(StateError::ValueTooLarge(len))
    } else {
        Ok(())
    }
}
