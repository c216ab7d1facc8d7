//! The state changes of one call, applied in one transaction or not at all.

use std::collections::BTreeMap;

use crate::CallKey;

/// The limits of `local-store`, in one place. The contract (`wit/nexum-host/local-store.wit`)
/// states the same numbers, and a test compares them.
pub mod limits {
    /// The longest key, in bytes of UTF-8. The shortest has 1.
    pub const MAX_KEY_BYTES: usize = 1024;
    /// The largest value, in bytes.
    pub const MAX_VALUE_BYTES: usize = 1024 * 1024;
    /// The most keys that one `list-keys` answers.
    pub const MAX_LISTED_KEYS: usize = 16_384;
    /// The most committed keys that one `list-keys` looks at, those that the call has deleted
    /// among them: looking takes no fuel.
    pub const MAX_VISITED_KEYS: usize = 4 * MAX_LISTED_KEYS;
    /// The most keys that one call changes between two commits: each takes memory of the
    /// engine's, which no quota counts.
    pub const MAX_CHANGED_KEYS: usize = 65_536;
}

/// The changes of one call, by key: `Some` is a value to set, `None` a key to delete.
///
/// Knows the size that the state has once it is applied, so that a quota is checked in O(1) and
/// the commit need not count.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WriteSet {
    entries: BTreeMap<String, Option<Vec<u8>>>,
    used_bytes: u64,
    settles: Option<CallKey>,
}

impl WriteSet {
    /// An empty set over a state of `used_bytes`.
    #[must_use]
    pub fn over(used_bytes: u64) -> Self {
        Self {
            entries: BTreeMap::new(),
            used_bytes,
            settles: None,
        }
    }

    /// True where nothing has to be written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.settles.is_none()
    }

    /// Whether a key changes.
    #[must_use]
    pub fn changes_keys(&self) -> bool {
        !self.entries.is_empty()
    }

    /// The call that is over once this is applied, where it has an id.
    #[must_use]
    pub fn settles(&self) -> Option<CallKey> {
        self.settles
    }

    /// Applying this is the end of that call: it has no id any more.
    pub fn settle(&mut self, call: CallKey) {
        self.settles = Some(call);
    }

    /// How many keys change.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// The bytes of all keys and values of the state once this set is applied.
    #[must_use]
    pub fn used_bytes(&self) -> u64 {
        self.used_bytes
    }

    /// The changes, in the order of their keys.
    pub fn entries(&self) -> impl Iterator<Item = (&str, Option<&[u8]>)> {
        self.entries
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_deref()))
    }

    /// The change of one key, if it has one.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<Option<&[u8]>> {
        self.entries.get(key).map(Option::as_deref)
    }

    /// The changes whose keys begin with `prefix`, in the order of their keys.
    pub fn with_prefix<'a>(
        &'a self,
        prefix: &'a str,
    ) -> impl Iterator<Item = (&'a str, Option<&'a [u8]>)> {
        self.entries
            .range::<str, _>((
                std::ops::Bound::Included(prefix),
                std::ops::Bound::Unbounded,
            ))
            .take_while(move |(key, _)| key.starts_with(prefix))
            .map(|(key, value)| (key.as_str(), value.as_deref()))
    }

    /// The size after setting `key`, whose committed value has `committed` bytes (`None`: there
    /// is none), to a value of `len` bytes.
    #[must_use]
    pub fn used_bytes_after_set(&self, key: &str, len: usize, committed: Option<usize>) -> u64 {
        let freed = self
            .current_len(key, committed)
            .map_or(0, |old| entry_bytes(key, old));
        self.used_bytes
            .saturating_sub(freed)
            .saturating_add(entry_bytes(key, len))
    }

    /// Sets `key` to `value`. `committed` is the size of the key's committed value.
    pub fn set(&mut self, key: &str, value: Vec<u8>, committed: Option<usize>) {
        self.used_bytes = self.used_bytes_after_set(key, value.len(), committed);
        match self.entries.get_mut(key) {
            Some(entry) => *entry = Some(value),
            None => {
                self.entries.insert(key.to_owned(), Some(value));
            }
        }
    }

    /// Deletes `key`. `committed` is the size of the key's committed value.
    ///
    /// A key that was never committed leaves no trace, so that a call which sets and deletes
    /// without end does not grow this set.
    pub fn delete(&mut self, key: &str, committed: Option<usize>) {
        if let Some(old) = self.current_len(key, committed) {
            self.used_bytes = self.used_bytes.saturating_sub(entry_bytes(key, old));
        }
        if committed.is_some() {
            self.entries.insert(key.to_owned(), None);
        } else {
            self.entries.remove(key);
        }
    }

    fn current_len(&self, key: &str, committed: Option<usize>) -> Option<usize> {
        match self.entries.get(key) {
            Some(change) => change.as_ref().map(Vec::len),
            None => committed,
        }
    }
}

fn entry_bytes(key: &str, value_len: usize) -> u64 {
    key.len() as u64 + value_len as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_size_follows_every_change() {
        let mut writes = WriteSet::over(10); // "old" -> 7 bytes
        writes.set("new", vec![0; 5], None);
        assert_eq!(writes.used_bytes(), 18);
        writes.set("new", vec![0; 2], None);
        assert_eq!(writes.used_bytes(), 15);
        writes.set("old", vec![0; 1], Some(7));
        assert_eq!(writes.used_bytes(), 9);
        writes.delete("old", Some(7));
        assert_eq!(writes.used_bytes(), 5);
        writes.delete("old", Some(7));
        assert_eq!(writes.used_bytes(), 5, "deleting twice frees once");
        writes.delete("new", None);
        assert_eq!(writes.used_bytes(), 0);
        assert_eq!(writes.entries().collect::<Vec<_>>(), [("old", None)]);
    }

    #[test]
    fn deleting_what_was_never_there_leaves_nothing_to_write() {
        let mut writes = WriteSet::over(0);
        writes.delete("ghost", None);
        assert!(writes.is_empty());
        assert_eq!(writes.used_bytes(), 0);
    }

    #[test]
    fn a_prefix_selects_whole_keys_only() {
        let mut writes = WriteSet::over(0);
        for key in ["a", "ab", "abc", "b"] {
            writes.set(key, Vec::new(), None);
        }
        let keys: Vec<_> = writes.with_prefix("ab").map(|(key, _)| key).collect();
        assert_eq!(keys, ["ab", "abc"]);
    }

    #[test]
    fn the_contract_states_the_same_limits() {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../wit/nexum-host/local-store.wit"
        );
        let contract = std::fs::read_to_string(path).unwrap();
        for stated in [
            format!("a key has 1 to {} bytes", limits::MAX_KEY_BYTES),
            format!("({} bytes)", limits::MAX_VALUE_BYTES),
            format!("at most {} keys", limits::MAX_LISTED_KEYS),
            format!("changes at most {} keys", limits::MAX_CHANGED_KEYS),
        ] {
            assert!(contract.contains(&stated), "{stated}");
        }
    }
}
