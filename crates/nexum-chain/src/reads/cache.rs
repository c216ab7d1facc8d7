//! Answers that can't change, within a bounded memory: those used least recently go first.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use super::flights::Key;

/// What an entry takes beyond its texts, about.
const ENTRY_BYTES: usize = 128;
/// An answer that takes more than this part of the memory is not kept: it would push out too many
/// others.
const LARGEST_PART: usize = 8;

pub(super) struct Cache {
    capacity: usize,
    bytes: usize,
    clock: u64,
    entries: HashMap<Key, Entry>,
    /// Keys by the time of their last use.
    by_use: BTreeMap<u64, Key>,
}

struct Entry {
    answer: Arc<str>,
    used: u64,
}

impl Cache {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            capacity,
            bytes: 0,
            clock: 0,
            entries: HashMap::new(),
            by_use: BTreeMap::new(),
        }
    }

    pub(super) fn get(&mut self, key: &Key) -> Option<Arc<str>> {
        let entry = self.entries.get_mut(key)?;
        self.clock += 1;
        if let Some(key) = self.by_use.remove(&entry.used) {
            self.by_use.insert(self.clock, key);
        }
        entry.used = self.clock;
        Some(Arc::clone(&entry.answer))
    }

    pub(super) fn put(&mut self, key: &Key, answer: &Arc<str>) {
        let size = size(key, answer);
        if size > self.capacity / LARGEST_PART {
            return;
        }
        self.remove(key);
        while self.bytes + size > self.capacity {
            let Some((_, oldest)) = self.by_use.pop_first() else {
                return;
            };
            self.remove(&oldest);
        }
        self.clock += 1;
        self.bytes += size;
        self.by_use.insert(self.clock, key.clone());
        let entry = Entry {
            answer: Arc::clone(answer),
            used: self.clock,
        };
        self.entries.insert(key.clone(), entry);
    }

    /// What the entries take, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    fn remove(&mut self, key: &Key) {
        if let Some(entry) = self.entries.remove(key) {
            self.bytes -= size(key, &entry.answer);
            self.by_use.remove(&entry.used);
        }
    }
}

fn size(key: &Key, answer: &str) -> usize {
    key.bytes() + answer.len() + ENTRY_BYTES
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: usize) -> Key {
        Key::new("m", &format!("[{number:03}]"))
    }

    fn answer(len: usize) -> Arc<str> {
        "x".repeat(len).into()
    }

    #[test]
    fn those_used_least_recently_go_first() {
        let entry = size(&key(0), &answer(100));
        let mut cache = Cache::new(10 * entry);
        for number in 0..10 {
            cache.put(&key(number), &answer(100));
        }
        assert!(cache.get(&key(0)).is_some());
        cache.put(&key(10), &answer(100));
        assert!(cache.get(&key(0)).is_some() && cache.get(&key(10)).is_some());
        assert!(cache.get(&key(1)).is_none());
        assert_eq!(cache.bytes(), 10 * entry);
    }

    #[test]
    fn the_memory_is_bounded_whatever_comes() {
        let mut cache = Cache::new(10_000);
        for number in 0..1_000 {
            cache.put(&key(number % 100), &answer(number % 1_400));
            assert!(cache.bytes() <= 10_000);
            assert_eq!(cache.entries.len(), cache.by_use.len());
        }
        assert!(cache.get(&key(99)).is_some());
        cache.put(&key(500), &answer(5_000));
        assert!(cache.get(&key(500)).is_none(), "too large to be kept");
    }
}
