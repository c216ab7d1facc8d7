//! The state directory: made, locked, and its errors.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, chown},
    path::{Path, PathBuf},
    process,
};

use nexum_store::{FORMAT_VERSION, StateDir, StoreError, StoreOptions, inspect, list_modules};
use nexum_types::{CallState, ModuleName, StateBackend};
use redb::{Database, TableDefinition};
use std::sync::Arc;

fn name(text: &str) -> ModuleName {
    text.parse().unwrap()
}

fn module_file(state: &Path, name: &str) -> PathBuf {
    state.join("modules").join(format!("{name}.redb"))
}

/// A state directory in which the module `watch` has stored something.
fn with_a_module(parent: &Path) -> PathBuf {
    let path = parent.join("state");
    let dir = StateDir::open(&path).unwrap();
    let store = dir
        .open_module(&name("watch"), StoreOptions::default())
        .unwrap();
    let mut call = CallState::new(Arc::new(store.clone()), 1_000);
    call.set("key", b"value".to_vec()).unwrap();
    store.commit(&call.into_writes(), None).unwrap();
    path
}

fn open_watch(state: &Path) -> Result<(), StoreError> {
    StateDir::open(state)?
        .open_module(&name("watch"), StoreOptions::default())
        .map(drop)
}

#[test]
fn only_the_owner_may_read_what_it_makes() {
    let parent = tempfile::tempdir().unwrap();
    let state = with_a_module(parent.path());
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&state), 0o700);
    assert_eq!(mode(&state.join("modules")), 0o700);
    assert_eq!(mode(&state.join("engine.lock")), 0o600);
    assert_eq!(mode(&module_file(&state, "watch")), 0o600);
}

#[test]
fn a_folder_that_others_can_write_to_is_not_used() {
    let parent = tempfile::tempdir().unwrap();
    let state = with_a_module(parent.path());
    let set = |path: &Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    for path in [state.clone(), state.join("modules")] {
        for mode in [0o770, 0o702, 0o1777] {
            set(&path, mode);
            let error = open_watch(&state).unwrap_err();
            assert!(
                matches!(&error, StoreError::OpenToOthers { mode: found, .. } if *found == mode)
            );
            let remedy = format!("`chmod go-w {}`", path.display());
            assert!(error.to_string().contains(&remedy), "{error}");
            assert!(StateDir::open_existing(&state).is_err());
        }
        // They may look.
        set(&path, 0o755);
        open_watch(&state).unwrap();
    }
    // Only root can give a folder away.
    if rustix::process::geteuid().is_root() {
        chown(&state, Some(12_345), None).unwrap();
        match open_watch(&state) {
            Err(StoreError::OtherOwner { owner: 12_345, .. }) => {}
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_second_engine_is_refused_and_told_who_has_it() {
    let parent = tempfile::tempdir().unwrap();
    let path = parent.path().join("state");
    let first = StateDir::open(&path).unwrap();
    let error = StateDir::open(&path).unwrap_err();
    assert!(matches!(error, StoreError::Locked { pid: Some(pid), .. } if pid == process::id()));
    assert!(
        error
            .to_string()
            .contains(&format!("(process {})", process::id())),
        "{error}"
    );

    let error = inspect(&path, &name("watch")).unwrap_err();
    assert!(
        matches!(error, StoreError::Locked { pid: Some(_), .. }),
        "{error}"
    );

    // An open store keeps the directory, even when the handle of the directory is gone.
    let store = first
        .open_module(&name("watch"), StoreOptions::default())
        .unwrap();
    drop(first);
    assert!(matches!(
        StateDir::open(&path),
        Err(StoreError::Locked { .. })
    ));
    drop(store);
    StateDir::open(&path).unwrap();
}

#[test]
fn a_lock_file_left_by_a_killed_engine_locks_nobody_out() {
    let parent = tempfile::tempdir().unwrap();
    let state = with_a_module(parent.path());
    fs::write(state.join("engine.lock"), "4194304000\n").unwrap();
    open_watch(&state).unwrap();
}

#[test]
fn an_inspection_is_not_mistaken_for_an_engine() {
    let parent = tempfile::tempdir().unwrap();
    let state = with_a_module(parent.path());
    let inspection = inspect(&state, &name("watch")).unwrap();
    assert!(matches!(
        StateDir::open(&state),
        Err(StoreError::BeingInspected { .. })
    ));
    drop(inspection);
    StateDir::open(&state).unwrap();
}

#[test]
fn one_file_is_not_opened_twice() {
    let parent = tempfile::tempdir().unwrap();
    let dir = StateDir::open(parent.path().join("state")).unwrap();
    let _first = dir
        .open_module(&name("watch"), StoreOptions::default())
        .unwrap();
    let error = dir
        .open_module(&name("watch"), StoreOptions::default())
        .unwrap_err();
    assert!(matches!(error, StoreError::AlreadyOpen { .. }), "{error}");
}

#[test]
fn a_missing_parent_and_a_file_in_the_way_are_named() {
    let parent = tempfile::tempdir().unwrap();
    let orphan = parent.path().join("missing/state");
    let error = StateDir::open(&orphan).unwrap_err();
    assert!(matches!(error, StoreError::MissingParent { .. }), "{error}");
    assert!(
        error.to_string().contains(orphan.to_str().unwrap()),
        "{error}"
    );

    let file = parent.path().join("file");
    fs::write(&file, "precious").unwrap();
    assert!(matches!(
        StateDir::open(&file),
        Err(StoreError::NotADirectory { .. })
    ));
    assert!(matches!(
        StateDir::open(file.join("state")),
        Err(StoreError::NotADirectory { .. })
    ));
    assert_eq!(fs::read(&file).unwrap(), b"precious");
}

#[test]
fn a_damaged_file_is_refused_and_left_byte_for_byte() {
    let parent = tempfile::tempdir().unwrap();
    let state = with_a_module(parent.path());
    let file = module_file(&state, "watch");
    let sound = fs::read(&file).unwrap();

    let mut wrong_magic = sound.clone();
    wrong_magic[..8].fill(b'x');
    let mut wrong_header = sound.clone();
    wrong_header[9..320].fill(0xa5);
    let mut wrong_pages = sound.clone();
    wrong_pages[4096..].fill(0xa5);
    let damaged = [
        ("empty", Vec::new()),
        ("text", b"this is not a state".to_vec()),
        ("wrong magic", wrong_magic),
        ("wrong header", wrong_header),
        ("wrong pages", wrong_pages),
        ("cut short", sound[..sound.len() / 2].to_vec()),
        ("only the header", sound[..400].to_vec()),
    ];
    for (what, bytes) in damaged {
        fs::write(&file, &bytes).unwrap();
        for error in [
            open_watch(&state).unwrap_err(),
            inspect(&state, &name("watch")).unwrap_err(),
        ] {
            assert!(
                matches!(error, StoreError::Corrupt { .. }),
                "{what}: {error:?}"
            );
            assert!(
                error.to_string().contains("restore it from a backup"),
                "{what}: {error}"
            );
        }
        assert!(
            fs::read(&file).unwrap() == bytes,
            "{what}: the file was changed"
        );
    }

    fs::write(&file, &sound).unwrap();
    open_watch(&state).unwrap();
}

#[test]
fn a_foreign_database_is_refused_and_left_byte_for_byte() {
    let parent = tempfile::tempdir().unwrap();
    let state = with_a_module(parent.path());
    let file = module_file(&state, "watch");
    fs::remove_file(&file).unwrap();
    let foreign = Database::create(&file).unwrap();
    let transaction = foreign.begin_write().unwrap();
    transaction
        .open_table(TableDefinition::<u64, u64>::new("other"))
        .unwrap();
    transaction.commit().unwrap();
    drop(foreign);
    let bytes = fs::read(&file).unwrap();
    assert!(matches!(
        open_watch(&state),
        Err(StoreError::Corrupt { .. })
    ));
    assert!(fs::read(&file).unwrap() == bytes);
}

#[test]
fn a_newer_format_is_refused_and_left_byte_for_byte() {
    let parent = tempfile::tempdir().unwrap();
    let state = with_a_module(parent.path());
    let file = module_file(&state, "watch");
    let db = Database::open(&file).unwrap();
    let transaction = db.begin_write().unwrap();
    {
        let mut host = transaction
            .open_table(TableDefinition::<&str, &[u8]>::new("host"))
            .unwrap();
        host.insert("format", (FORMAT_VERSION + 1).to_le_bytes().as_slice())
            .unwrap();
    }
    transaction.commit().unwrap();
    drop(db);

    let bytes = fs::read(&file).unwrap();
    let error = open_watch(&state).unwrap_err();
    assert!(
        matches!(
            error,
            StoreError::NewerFormat {
                found: 2,
                supported: 1,
                ..
            }
        ),
        "{error:?}"
    );
    assert!(error.to_string().contains("use a newer nexum"), "{error}");
    assert!(fs::read(&file).unwrap() == bytes);
}

#[test]
fn a_beginning_that_was_interrupted_is_begun_again() {
    let parent = tempfile::tempdir().unwrap();
    let path = parent.path().join("state");
    let dir = StateDir::open(&path).unwrap();
    fs::write(path.join("modules/watch.redb.new"), "half of a header").unwrap();
    let store = dir
        .open_module(&name("watch"), StoreOptions::default())
        .unwrap();
    assert_eq!(store.used_bytes(), 0);
    assert_eq!(list_modules(&path).unwrap(), [name("watch")]);
    assert!(!path.join("modules/watch.redb.new").exists());
}

#[test]
fn modules_are_listed_by_name_and_other_files_are_not() {
    let parent = tempfile::tempdir().unwrap();
    let path = parent.path().join("state");
    assert!(matches!(
        list_modules(&path),
        Err(StoreError::MissingStateDir { .. })
    ));
    let dir = StateDir::open(&path).unwrap();
    assert_eq!(list_modules(&path).unwrap(), []);
    for module in ["watch", "alert", "b-2"] {
        dir.open_module(&name(module), StoreOptions::default())
            .unwrap();
    }
    fs::write(path.join("modules/notes.txt"), "").unwrap();
    fs::write(path.join("modules/Upper.redb"), "").unwrap();
    assert_eq!(
        list_modules(&path).unwrap(),
        [name("alert"), name("b-2"), name("watch")]
    );
}
