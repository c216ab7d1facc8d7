//! Dead letters: how many there may be, their numbers, and a file that has never had one. That
//! they are committed with the cursor, or not at all, is for `crash`.

use nexum_store::{LetterChange, MAX_LETTERS, ModuleStore, StateDir, StoreError, StoreOptions};
use nexum_types::{BlockNumber, ChainId, Cursor, WriteSet};
use tempfile::TempDir;

use crate::world::{SOURCE, cursor, letter};

fn open(folder: &TempDir) -> ModuleStore {
    let dir = StateDir::open(folder.path().join("state")).unwrap();
    let name = "watch".parse().unwrap();
    dir.open_module(&name, StoreOptions::default()).unwrap()
}

fn change(store: &ModuleStore, changes: &[LetterChange]) -> Result<(), StoreError> {
    store
        .commit_letters(&WriteSet::default(), None, changes)
        .map(drop)
}

#[test]
fn a_number_is_never_given_twice() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    assert_eq!(store.letters().unwrap(), []);
    change(&store, &[LetterChange::Park(letter(1))]).unwrap();
    change(&store, &[LetterChange::Park(letter(2))]).unwrap();
    change(&store, &[LetterChange::Remove(1)]).unwrap();
    drop(store);

    let store = open(&folder);
    change(&store, &[LetterChange::Park(letter(3))]).unwrap();
    assert_eq!(store.letters().unwrap(), [(0, letter(1)), (2, letter(3))]);
    let again = nexum_store::DeadLetter {
        attempts: 4,
        ..letter(1)
    };
    change(&store, &[LetterChange::Replace(0, again.clone())]).unwrap();
    assert_eq!(store.letters().unwrap(), [(0, again), (2, letter(3))]);
}

#[test]
fn those_from_a_block_on_go_when_the_cursor_is_put_before_it() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let all: Vec<_> = (1..=5)
        .map(|number| LetterChange::Park(letter(number)))
        .collect();
    let step = (SOURCE, cursor(7)).into();
    store
        .commit_letters(&WriteSet::default(), Some(step), &all)
        .unwrap();
    let chain = SOURCE.chain().unwrap();
    let elsewhere = store.resync(ChainId(chain.0 + 1), BlockNumber(0)).unwrap();
    assert_eq!((elsewhere.before, elsewhere.letters), (vec![], 0));

    let resynced = store.resync(chain, BlockNumber(3)).unwrap();
    assert_eq!(resynced.before, [(SOURCE, cursor(7))]);
    assert_eq!(resynced.letters, 3);
    assert_eq!(store.letter_count(), 2);
    drop(store);
    let store = open(&folder);
    assert_eq!(store.letters().unwrap(), [(0, letter(1)), (1, letter(2))]);
    assert_eq!(store.cursor(&SOURCE), Some(Cursor::Before(BlockNumber(3))));
}

#[test]
fn one_more_than_there_may_be_is_refused_and_nothing_moves() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let all: Vec<_> = (1..=MAX_LETTERS as u64)
        .map(|number| LetterChange::Park(letter(number)))
        .collect();
    change(&store, &all).unwrap();
    let step = (SOURCE, cursor(7)).into();
    let one_more = [LetterChange::Park(letter(1))];
    let refused = store.commit_letters(&WriteSet::default(), Some(step), &one_more);
    assert!(
        matches!(refused, Err(StoreError::LettersFull { .. })),
        "{refused:?}"
    );
    assert_eq!(store.cursor(&SOURCE), None::<Cursor>);
    assert_eq!(store.letter_count(), MAX_LETTERS);

    change(&store, &[LetterChange::Remove(0)]).unwrap();
    change(&store, &one_more).unwrap();
}
