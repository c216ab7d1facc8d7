//! What a commit costs, and an open: each commit beside the raw database committing the same writes.
//!
//! `raw` opens redb with the same cache and writes the same keys into one table; `store` also
//! keeps the size and moves a cursor. Run with `cargo bench -p nexum-store`.

#![expect(clippy::unwrap_used, reason = "a bench that cannot go on has failed")]

use divan::{Bencher, counter::ItemsCount};
use nexum_manifest::Durability;
use nexum_store::{ModuleStore, StateDir, StoreOptions};
use nexum_types::{BlockNumber, BlockRef, ChainId, Cursor, Depth, Source, StateBackend, WriteSet};
use redb::{Database, TableDefinition};
use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};
use tempfile::TempDir;

const STATE: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("state");
const VALUE_BYTES: usize = 32;
const EXISTING_KEYS: usize = 1_000;
/// Commits between two flushes, about what the interval of a second holds.
const COMMITS_PER_FLUSH: usize = 30_000;

fn main() {
    divan::main();
}

fn key(index: usize) -> String {
    format!("balance/{index:06}")
}

fn keys(count: usize) -> Vec<String> {
    (0..count)
        .map(|index| key(index * 97 % EXISTING_KEYS))
        .collect()
}

/// A value that no other call returned.
fn value() -> Vec<u8> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let mut value = vec![0; VALUE_BYTES];
    value[..8].copy_from_slice(&NEXT.fetch_add(1, Ordering::Relaxed).to_le_bytes());
    value
}

struct Store {
    store: ModuleStore,
    _dir: TempDir,
}

impl Store {
    fn new(durability: Durability) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::open(dir.path().join("state")).unwrap();
        let options = StoreOptions {
            durability,
            ..StoreOptions::default()
        };
        let store = state
            .open_module(&"bench".parse().unwrap(), options)
            .unwrap();
        let mut writes = WriteSet::over(0);
        for index in 0..EXISTING_KEYS {
            writes.set(&key(index), value(), None);
        }
        store.commit(&writes, None).unwrap();
        store.flush().unwrap();
        Self { store, _dir: dir }
    }

    fn writes(&self, keys: &[String]) -> WriteSet {
        let mut writes = WriteSet::over(self.store.used_bytes());
        for key in keys {
            writes.set(key, value(), Some(VALUE_BYTES));
        }
        writes
    }

    fn commit(&self, writes: &WriteSet) {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = BlockNumber(NEXT.fetch_add(1, Ordering::Relaxed));
        let cursor = Cursor::Block(BlockRef {
            number,
            hash: [7; 32].into(),
        });
        self.store
            .commit(
                writes,
                Some((Source::Chain(ChainId(1), Depth::Head), cursor).into()),
            )
            .unwrap();
    }
}

struct Raw {
    db: Database,
    _dir: TempDir,
}

impl Raw {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let db = Database::builder()
            .set_cache_size(StoreOptions::DEFAULT_CACHE_BYTES)
            .create(dir.path().join("raw.redb"))
            .unwrap();
        let raw = Self { db, _dir: dir };
        let writes: Vec<_> = (0..EXISTING_KEYS)
            .map(|index| (key(index), value()))
            .collect();
        raw.commit(&writes, redb::Durability::Immediate);
        raw
    }

    fn commit(&self, writes: &[(String, Vec<u8>)], durability: redb::Durability) {
        let mut transaction = self.db.begin_write().unwrap();
        transaction.set_durability(durability).unwrap();
        {
            let mut table = transaction.open_table(STATE).unwrap();
            for (key, value) in writes {
                table.insert(key.as_str(), value.as_slice()).unwrap();
            }
        }
        transaction.commit().unwrap();
    }
}

fn pairs(keys: &[String]) -> Vec<(String, Vec<u8>)> {
    keys.iter().map(|key| (key.clone(), value())).collect()
}

mod durable {
    use super::*;

    #[divan::bench(args = [1, 10], sample_count = 300, sample_size = 1)]
    fn raw(bencher: Bencher<'_, '_>, count: usize) {
        let (raw, keys) = (Raw::new(), keys(count));
        bencher
            .with_inputs(|| pairs(&keys))
            .bench_refs(|writes| raw.commit(writes, redb::Durability::Immediate));
    }

    #[divan::bench(args = [1, 10], sample_count = 300, sample_size = 1)]
    fn store(bencher: Bencher<'_, '_>, count: usize) {
        let (store, keys) = (Store::new(Durability::Event), keys(count));
        bencher
            .with_inputs(|| store.writes(&keys))
            .bench_refs(|writes| store.commit(writes));
    }
}

mod interval {
    use super::*;

    const INTERVAL: Durability = Durability::Interval(Duration::from_secs(1));

    #[divan::bench(args = [1, 10], sample_count = 300, sample_size = 100)]
    fn raw(bencher: Bencher<'_, '_>, count: usize) {
        let (raw, keys) = (Raw::new(), keys(count));
        bencher
            .with_inputs(|| pairs(&keys))
            .bench_refs(|writes| raw.commit(writes, redb::Durability::None));
    }

    #[divan::bench(args = [1, 10], sample_count = 300, sample_size = 100)]
    fn store(bencher: Bencher<'_, '_>, count: usize) {
        let (store, keys) = (Store::new(INTERVAL), keys(count));
        bencher
            .with_inputs(|| store.writes(&keys))
            .bench_refs(|writes| store.commit(writes));
    }

    /// One interval of a module that writes one key for each event, its flush included.
    #[divan::bench(sample_count = 10, sample_size = 1)]
    fn store_sustained(bencher: Bencher<'_, '_>) {
        let (store, keys) = (Store::new(INTERVAL), keys(1));
        bencher
            .counter(ItemsCount::new(COMMITS_PER_FLUSH))
            .bench_local(|| {
                for _ in 0..COMMITS_PER_FLUSH {
                    store.commit(&store.writes(&keys));
                }
                store.store.flush().unwrap();
            });
    }
}

/// Opening the state of a module that was closed in order, and closing it again.
#[divan::bench(sample_count = 300, sample_size = 1)]
fn open_and_close(bencher: Bencher<'_, '_>) {
    let Store { store, _dir: dir } = Store::new(Durability::Event);
    drop(store);
    let state = StateDir::open(dir.path().join("state")).unwrap();
    let name = "bench".parse().unwrap();
    bencher.bench_local(|| state.open_module(&name, StoreOptions::default()).unwrap());
}
