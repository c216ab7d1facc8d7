//! A module's state through its calls: isolation, quota, listing, cursors.

use std::{fs, sync::Arc, time::Duration};

use nexum_manifest::Durability;
use nexum_store::{ModuleStore, StateDir, StoreOptions};
use nexum_types::{CallState, ChainId, Depth, Source, StateBackend, StateError, WriteSet};
use tempfile::TempDir;

use crate::world::{SOURCE, committed, cursor};

const OTHER: Source = Source::Chain(ChainId(100), Depth::Head);

struct Home {
    dir: TempDir,
    durability: Durability,
}

impl Home {
    fn new(durability: Durability) -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
            durability,
        }
    }

    fn open(&self) -> ModuleStore {
        let options = StoreOptions {
            durability: self.durability,
            ..StoreOptions::default()
        };
        let dir = StateDir::open(self.dir.path().join("state")).unwrap();
        dir.open_module(&"watch".parse().unwrap(), options).unwrap()
    }
}

fn call(store: &ModuleStore, quota: u64) -> CallState {
    CallState::new(Arc::new(store.clone()), quota)
}

fn set(store: &ModuleStore, entries: &[(&str, &[u8])]) {
    let mut call = call(store, u64::MAX);
    for (key, value) in entries {
        call.set(key, value.to_vec()).unwrap();
    }
    store.commit(&call.into_writes(), None).unwrap();
}

#[test]
fn a_snapshot_does_not_see_what_is_committed_after_it() {
    let home = Home::new(Durability::Event);
    let store = home.open();
    set(&store, &[("key", b"before")]);
    let snapshot = store.snapshot().unwrap();
    set(&store, &[("key", b"after"), ("new", b"")]);
    assert_eq!(
        snapshot.get("key").unwrap().as_deref(),
        Some(b"before".as_slice())
    );
    assert_eq!(snapshot.value_len("key").unwrap(), Some(6));
    assert_eq!(snapshot.get("new").unwrap(), None);
    assert_eq!(store.snapshot().unwrap().value_len("key").unwrap(), Some(5));
}

#[test]
fn the_quota_holds_to_the_byte_and_outlives_a_restart() {
    const QUOTA: u64 = 100;
    let home = Home::new(Durability::Event);
    let store = home.open();
    let mut first = call(&store, QUOTA);
    first.set("key", vec![0; 97]).unwrap();
    let refused = first.set("k", Vec::new()).unwrap_err();
    assert!(matches!(
        refused,
        StateError::QuotaExceeded {
            needed: 101,
            quota: QUOTA
        }
    ));
    store
        .commit(&first.into_writes(), Some((SOURCE, cursor(1)).into()))
        .unwrap();
    assert_eq!(store.used_bytes(), QUOTA, "the cursor does not count");
    drop(store);

    let store = home.open();
    assert_eq!(store.used_bytes(), QUOTA);
    let mut second = call(&store, QUOTA);
    assert!(second.set("k", Vec::new()).is_err());
    second.set("key", vec![0; 96]).unwrap();
    second.set("k", Vec::new()).unwrap();
    second.delete("key").unwrap();
    store.commit(&second.into_writes(), None).unwrap();
    assert_eq!(store.used_bytes(), 1);
    assert_eq!(committed(&store).unwrap().len(), 1);
}

#[test]
fn listing_merges_what_is_committed_and_what_the_call_wrote() {
    let home = Home::new(Durability::Event);
    let store = home.open();
    set(
        &store,
        &[
            ("a", b"1"),
            ("p/b", b"1"),
            ("p/d", b"1"),
            ("p/f", b"1"),
            ("q", b"1"),
        ],
    );
    let mut call = call(&store, u64::MAX);
    call.set("p/a", Vec::new()).unwrap();
    call.set("p/d", b"changed".to_vec()).unwrap();
    call.delete("p/b").unwrap();
    call.set("p/z", Vec::new()).unwrap();
    call.set("r", Vec::new()).unwrap();
    assert_eq!(call.list_keys("p/").unwrap(), ["p/a", "p/d", "p/f", "p/z"]);
    assert_eq!(
        call.list_keys("").unwrap(),
        ["a", "p/a", "p/d", "p/f", "p/z", "q", "r"]
    );
    assert_eq!(call.list_keys("none").unwrap(), [""; 0]);
}

#[test]
fn the_hosts_rows_are_out_of_a_modules_sight() {
    let home = Home::new(Durability::Event);
    let store = home.open();
    store
        .commit(&WriteSet::default(), Some((SOURCE, cursor(1)).into()))
        .unwrap();
    let mut call = call(&store, u64::MAX);
    assert_eq!(call.list_keys("").unwrap(), [""; 0]);
    for key in ["head", "format", "host"] {
        assert_eq!(call.get(key).unwrap(), None);
        call.set(key, b"mine".to_vec()).unwrap();
    }
    store.commit(&call.into_writes(), None).unwrap();
    drop(store);
    let store = home.open();
    assert_eq!(store.cursor(&SOURCE), Some(cursor(1)));
    assert_eq!(committed(&store).unwrap().len(), 3);
}

#[test]
fn a_call_that_is_dropped_leaves_nothing() {
    let home = Home::new(Durability::Event);
    let store = home.open();
    set(&store, &[("key", b"value")]);
    let mut call = call(&store, u64::MAX);
    call.delete("key").unwrap();
    call.set("other", vec![0; 1000]).unwrap();
    drop(call);
    assert_eq!(
        committed(&store).unwrap().into_keys().collect::<Vec<_>>(),
        ["key"]
    );
    assert!(!store.is_dirty());
}

#[test]
fn a_checkpoint_stays_when_its_call_fails_and_moves_no_cursor() {
    let home = Home::new(Durability::Interval(Duration::from_secs(1)));
    let store = home.open();
    store
        .commit(&WriteSet::default(), Some((SOURCE, cursor(1)).into()))
        .unwrap();
    assert!(store.is_dirty());
    let mut call = call(&store, u64::MAX);
    call.set("note", b"about to".to_vec()).unwrap();
    call.checkpoint().unwrap();
    assert!(
        !store.is_dirty(),
        "what was committed before comes to the disk with it"
    );
    assert_eq!(
        call.get("note").unwrap().as_deref(),
        Some(b"about to".as_slice())
    );
    call.set("later", Vec::new()).unwrap();
    drop(call);
    drop(store);
    let store = home.open();
    assert_eq!(
        committed(&store).unwrap().into_keys().collect::<Vec<_>>(),
        ["note"]
    );
    assert_eq!(store.cursor(&SOURCE), Some(cursor(1)));
}

#[test]
fn a_noted_cursor_travels_with_the_next_commit_of_another_source() {
    let home = Home::new(Durability::Event);
    let store = home.open();
    store.note((SOURCE, cursor(5)).into());
    assert_eq!(store.cursor(&SOURCE), Some(cursor(5)));
    assert!(store.is_dirty());
    store
        .commit(&WriteSet::default(), Some((OTHER, cursor(9)).into()))
        .unwrap();
    assert!(!store.is_dirty());
    drop(store);
    let cursors = home.open().cursors();
    assert_eq!(
        cursors.into_iter().collect::<Vec<_>>(),
        [(SOURCE, cursor(5)), (OTHER, cursor(9))]
    );
}

#[test]
fn a_noted_cursor_is_memory_until_it_is_flushed() {
    let home = Home::new(Durability::Event);
    let store = home.open();
    store
        .commit(&WriteSet::default(), Some((SOURCE, cursor(1)).into()))
        .unwrap();
    store.note((SOURCE, cursor(2)).into());
    drop(store);
    let store = home.open();
    assert_eq!(store.cursor(&SOURCE), Some(cursor(1)));
    store.note((SOURCE, cursor(2)).into());
    store.flush().unwrap();
    assert!(!store.is_dirty());
    drop(store);
    assert_eq!(home.open().cursor(&SOURCE), Some(cursor(2)));
}

#[test]
fn reading_leaves_the_file_alone() {
    let home = Home::new(Durability::Event);
    let store = home.open();
    set(&store, &[("key", b"value")]);
    let file = store.path().to_owned();
    drop(store);
    let before = fs::read(&file).unwrap();
    let store = home.open();
    assert_eq!(committed(&store).unwrap().len(), 1);
    store.flush().unwrap();
    store.commit(&WriteSet::default(), None).unwrap();
    drop(store);
    assert!(fs::read(&file).unwrap() == before);
}

#[test]
fn a_commit_says_whether_it_is_durable() {
    let empty = WriteSet::default();
    let event = Home::new(Durability::Event).open();
    assert!(
        event
            .commit(&empty, Some((SOURCE, cursor(1)).into()))
            .unwrap()
            .durable
    );

    let interval = Home::new(Durability::Interval(Duration::from_secs(1))).open();
    assert!(
        !interval
            .commit(&empty, Some((SOURCE, cursor(1)).into()))
            .unwrap()
            .durable
    );
    assert!(
        !interval.commit(&empty, None).unwrap().durable,
        "nothing new, but still not there"
    );
    interval.flush().unwrap();
    assert!(interval.commit(&empty, None).unwrap().durable);
}
