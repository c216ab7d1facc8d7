//! Looking at a state offline.

use std::{fs, path::Path, sync::Arc, time::Duration};

use nexum_manifest::Durability;
use nexum_store::{FORMAT_VERSION, ModuleStore, StateDir, StoreError, StoreOptions, inspect};
use nexum_types::{CallState, ModuleName};

use crate::world::{SOURCE, cursor};

fn watch() -> ModuleName {
    "watch".parse().unwrap()
}

fn call(store: &ModuleStore, number: u64, entries: &[(&str, &str)]) {
    let mut call = CallState::new(Arc::new(store.clone()), 100_000);
    for (key, value) in entries {
        call.set(key, value.as_bytes().to_vec()).unwrap();
    }
    store
        .commit(&call.into_writes(), Some((SOURCE, cursor(number)).into()))
        .unwrap();
}

/// What a kill leaves of a state directory in use: the files as they are at this moment.
fn as_a_kill_leaves_it(state: &Path, to: &Path) {
    fs::create_dir_all(to.join("modules")).unwrap();
    for file in ["engine.lock", "modules/watch.redb"] {
        fs::copy(state.join(file), to.join(file)).unwrap();
    }
}

#[test]
fn a_killed_engines_state_is_read_without_changing_a_byte() {
    let parent = tempfile::tempdir().unwrap();
    let (state, killed) = (parent.path().join("state"), parent.path().join("killed"));
    let interval = Durability::Interval(Duration::from_secs(1));
    let options = StoreOptions {
        durability: interval,
        ..StoreOptions::default()
    };
    let dir = StateDir::open(&state).unwrap();
    let store = dir.open_module(&watch(), options).unwrap();
    call(
        &store,
        1,
        &[("balance/a", "10"), ("balance/b", "20"), ("other", "x")],
    );
    store.flush().unwrap();
    call(&store, 2, &[("balance/a", "not flushed")]);
    as_a_kill_leaves_it(&state, &killed);

    let file = killed.join("modules/watch.redb");
    let before = fs::read(&file).unwrap();
    let inspection = inspect(&killed, &watch()).unwrap();
    assert_eq!(inspection.format_version(), FORMAT_VERSION);
    assert_eq!(inspection.used_bytes(), 28);
    assert_eq!(inspection.cursors().get(&SOURCE), Some(&cursor(1)));
    let entries: Vec<_> = inspection
        .entries("balance/")
        .unwrap()
        .map(Result::unwrap)
        .collect();
    let entry = |key: &str, value: &str| (key.to_owned(), value.as_bytes().to_vec());
    assert_eq!(
        entries,
        [entry("balance/a", "10"), entry("balance/b", "20")]
    );
    assert_eq!(inspection.entries("").unwrap().count(), 3);
    assert_eq!(inspection.get("other").unwrap(), Some(b"x".to_vec()));
    assert_eq!(inspection.get("none").unwrap(), None);
    drop(inspection);
    assert!(
        fs::read(&file).unwrap() == before,
        "inspecting changed the file"
    );

    // The engine that comes next finds the same.
    let dir = StateDir::open(&killed).unwrap();
    let store = dir.open_module(&watch(), options).unwrap();
    assert_eq!(store.cursor(&SOURCE), Some(cursor(1)));
}

#[test]
fn a_cleanly_closed_state_is_read_without_changing_a_byte() {
    let parent = tempfile::tempdir().unwrap();
    let state = parent.path().join("state");
    let dir = StateDir::open(&state).unwrap();
    let store = dir.open_module(&watch(), StoreOptions::default()).unwrap();
    call(&store, 7, &[("key", "value")]);
    drop((store, dir));

    let file = state.join("modules/watch.redb");
    let before = fs::read(&file).unwrap();
    let inspection = inspect(&state, &watch()).unwrap();
    assert_eq!(inspection.cursors().get(&SOURCE), Some(&cursor(7)));
    drop(inspection);
    assert!(
        fs::read(&file).unwrap() == before,
        "inspecting changed the file"
    );
}

#[test]
fn what_is_not_there_is_named() {
    let parent = tempfile::tempdir().unwrap();
    let state = parent.path().join("state");
    assert!(matches!(
        inspect(&state, &watch()),
        Err(StoreError::MissingStateDir { .. })
    ));
    drop(StateDir::open(&state).unwrap());
    let error = inspect(&state, &watch()).unwrap_err();
    assert!(matches!(error, StoreError::NoSuchModule { .. }), "{error}");
    assert!(
        error.to_string().starts_with("module watch has no state"),
        "{error}"
    );
}
