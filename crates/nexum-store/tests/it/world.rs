//! A module's store beside a model of it: a `BTreeMap` and a cursor.

use std::{
    collections::{BTreeMap, BTreeSet},
    error::Error,
    path::Path,
    sync::Arc,
};

use nexum_manifest::Durability;
use nexum_store::{DeadLetter, History, LetterChange, ModuleStore, StoreError, StoreOptions};
use nexum_types::{
    Block, BlockNumber, BlockRef, CallKey, CallState, ChainId, Cursor, Delivered, Depth, Event,
    Source, StateBackend, StateError, WriteSet,
};

use crate::disk::{Disk, Fault};

pub(crate) type Outcome = Result<(), Box<dyn Error>>;

/// Small, so that large calls spill to the disk before their commit.
const CACHE_BYTES: usize = 64 * 1024;

pub(crate) const SOURCE: Source = Source::Chain(ChainId(1), Depth::Head);

/// How many blocks before the last are remembered.
const WINDOW: u64 = 2;

pub(crate) fn cursor(number: u64) -> Cursor {
    Cursor::Block(block(number))
}

fn block(number: u64) -> BlockRef {
    BlockRef {
        number: BlockNumber(number),
        hash: [number as u8; 32].into(),
    }
}

/// The step of an event: every block's is remembered, and the window moves on.
fn move_to(number: u64) -> nexum_store::Step {
    nexum_store::Step {
        source: SOURCE,
        cursor: cursor(number),
        history: History::Remember {
            delivered: Delivered {
                block: block(number),
                parent_hash: block(number - 1).hash,
                logs: Vec::new(),
            },
            keep_from: BlockNumber(number.saturating_sub(WINDOW)),
        },
    }
}

/// The block of that number, parked.
pub(crate) fn letter(number: u64) -> DeadLetter {
    DeadLetter {
        source: SOURCE,
        turn: 0,
        event: Event::Block(Block {
            chain_id: ChainId(1),
            number: BlockNumber(number),
            hash: block(number).hash,
            parent_hash: block(number - 1).hash,
            timestamp_ms: number,
        }),
        error: "it failed".into(),
        time_ms: 1,
        attempts: 3,
        retry: false,
    }
}

/// The numbers of the blocks that are parked.
pub(crate) fn parked(store: &ModuleStore) -> Result<BTreeSet<u64>, StoreError> {
    let letters = store.letters()?;
    assert_eq!(letters.len(), store.letter_count());
    let number = |letter: &DeadLetter| letter.event.block_ref().unwrap().number.0;
    Ok(letters.iter().map(|(_, letter)| number(letter)).collect())
}

/// One change of a call: the key's number, and the size of its new value or `None` to delete it.
pub(crate) type Write = (u8, Option<u32>);

/// One thing a worker does.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    /// A call that succeeds: its writes and its cursor are committed.
    Call(Vec<Write>),
    /// A call that fails: its writes are dropped.
    FailedCall(Vec<Write>),
    /// A call that checkpoints its first writes, and then fails.
    CheckpointThenFail(Vec<Write>, Vec<Write>),
    /// A call that has an effect which must not be had twice, and then fails.
    Effect,
    /// The event of a call that failed too often is parked, and its cursor moves on.
    Park,
    /// The oldest dead letter is dropped.
    DropLetter,
    /// A call that wrote nothing: its cursor is noted.
    QuietCall,
    /// The flush of the interval.
    Flush,
    /// The engine stops in order, without a flush, and starts again.
    Restart,
}

/// What the module can read, and how far it has come.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Version {
    pub(crate) state: BTreeMap<String, Vec<u8>>,
    pub(crate) cursor: Option<u64>,
    /// The blocks that are remembered.
    history: BTreeSet<u64>,
    /// The blocks that are parked.
    letters: BTreeSet<u64>,
    /// The blocks whose calls have an id.
    calls: BTreeSet<u64>,
    /// The same of those that are parked.
    parked_calls: BTreeSet<u64>,
}

impl Version {
    fn move_to(&mut self, number: u64) {
        self.cursor = Some(number);
        self.history.insert(number);
        self.history
            .retain(|remembered| remembered + WINDOW >= number);
    }

    fn history(&self) -> Vec<BlockRef> {
        self.history.iter().copied().map(block).collect()
    }
}

/// A store on a disk that may fail, and what may be found on it.
pub(crate) struct World {
    pub(crate) disk: Disk,
    durability: Durability,
    store: Option<ModuleStore>,
    /// What is on the disk for certain.
    durable: Version,
    /// What the store shows.
    latest: Version,
    /// What was on its way to the disk when it failed.
    in_flight: Option<Version>,
    noted: Vec<u64>,
    events: u64,
}

impl World {
    pub(crate) fn new(durability: Durability) -> Self {
        let disk = Disk::default();
        let store = open(&disk, durability).unwrap();
        Self {
            disk,
            durability,
            store: Some(store),
            durable: Version::default(),
            latest: Version::default(),
            in_flight: None,
            noted: Vec::new(),
            events: 0,
        }
    }

    pub(crate) fn store(&self) -> &ModuleStore {
        self.store.as_ref().unwrap()
    }

    /// Does one step, on the store and on the model. An error is what the store answered.
    pub(crate) fn step(&mut self, step: &Step) -> Outcome {
        match step {
            Step::Call(writes) => self.call(writes),
            Step::FailedCall(writes) => {
                let mut call = self.begin();
                self.write(&mut call, &mut Version::default(), writes)
            }
            Step::CheckpointThenFail(first, then) => {
                let mut call = self.begin();
                let mut next = self.next();
                self.write(&mut call, &mut next, first)?;
                // Deleting what was never there is nothing to write, and no commit.
                let known = |key: &String| {
                    self.latest.state.contains_key(key) || next.state.contains_key(key)
                };
                if first.iter().any(|(key, _)| known(&name(*key))) {
                    self.committing(next, true, |_| Ok(call.checkpoint()?))?;
                }
                self.write(&mut call, &mut Version::default(), then)
            }
            Step::Effect => {
                let mut next = self.next();
                if !next.calls.insert(self.events + 1) {
                    return self.check_call_id();
                }
                let call = self.begin().call().unwrap();
                self.committing(next, true, |_| Ok(call.id().map(drop)?))?;
                self.check_call_id()
            }
            Step::Park => {
                self.events += 1;
                let number = self.events;
                let mut next = self.next();
                next.move_to(number);
                next.letters.insert(number);
                if next.calls.remove(&number) {
                    next.parked_calls.insert(number);
                }
                let park = [LetterChange::Park(letter(number))];
                self.committing(next, true, |store| {
                    store.commit_letters(&WriteSet::default(), Some(move_to(number)), &park)?;
                    Ok(())
                })
            }
            Step::DropLetter => {
                let letters = self.store().letters()?;
                let Some((id, _)) = letters.first() else {
                    return Ok(());
                };
                let mut next = self.next();
                if let Some(dropped) = next.letters.pop_first() {
                    next.parked_calls.remove(&dropped);
                }
                let gone = [LetterChange::Remove(*id)];
                self.committing(next, true, |store| {
                    store.commit_letters(&WriteSet::default(), None, &gone)?;
                    Ok(())
                })
            }
            Step::QuietCall => {
                self.events += 1;
                self.noted.push(self.events);
                self.store().note(move_to(self.events));
                Ok(())
            }
            Step::Flush => self.committing(self.next(), true, |store| Ok(store.flush()?)),
            Step::Restart => {
                // What was only noted is forgotten; what was committed comes to the disk.
                if self.disk.is_healthy() {
                    self.durable = self.latest.clone();
                }
                self.in_flight = Some(self.latest.clone());
                self.store = None;
                self.store = Some(open(&self.disk, self.durability)?);
                self.settle();
                Ok(())
            }
        }
    }

    fn call(&mut self, writes: &[Write]) -> Outcome {
        let mut call = self.begin();
        let mut next = self.next();
        self.write(&mut call, &mut next, writes)?;
        self.events += 1;
        next.move_to(self.events);
        next.calls.remove(&self.events);
        let at = move_to(self.events);
        let durable = self.durability == Durability::Event;
        let writes = call.into_writes();
        self.committing(next, durable, |store| {
            let committed = store.commit(&writes, Some(at))?;
            assert_eq!(committed.durable, durable);
            Ok(())
        })
    }

    /// The model of a commit: afterwards `next` is what the store shows; where it fails, `next`
    /// may still be on the disk if it was meant to go there.
    fn committing(
        &mut self,
        next: Version,
        durable: bool,
        commit: impl FnOnce(&ModuleStore) -> Outcome,
    ) -> Outcome {
        if let Err(error) = commit(self.store()) {
            self.in_flight = durable.then_some(next);
            return Err(error);
        }
        self.noted.clear();
        self.latest = next;
        if durable {
            self.durable = self.latest.clone();
        }
        Ok(())
    }

    fn begin(&self) -> CallState {
        let call = CallState::new(Arc::new(self.store().clone()), u64::MAX);
        call.of(Some(key(self.events + 1)))
    }

    /// The id of the next event's call is the same whenever it is asked for.
    fn check_call_id(&self) -> Outcome {
        let call = self.begin().call().unwrap();
        let id = call.id()?;
        assert_eq!(call.id()?, id);
        assert!(self.store().open_calls().contains(&id));
        Ok(())
    }

    fn next(&self) -> Version {
        let mut next = self.latest.clone();
        self.noted.iter().for_each(|number| next.move_to(*number));
        next
    }

    fn write(&mut self, call: &mut CallState, next: &mut Version, writes: &[Write]) -> Outcome {
        for (index, (key, len)) in writes.iter().enumerate() {
            let key = name(*key);
            if let Some(len) = len {
                let fill = (self.events as usize + index) as u8;
                let value = vec![fill; *len as usize];
                call.set(&key, value.clone())?;
                next.state.insert(key, value);
            } else {
                call.delete(&key)?;
                next.state.remove(&key);
            }
        }
        Ok(())
    }

    /// The blocks whose calls have an id, and the same of those that are parked.
    fn open_calls(&self) -> Result<(BTreeSet<u64>, BTreeSet<u64>), StoreError> {
        let store = self.store();
        let open = (1..=self.events + 1).filter(|number| store.has_call_id(key(*number)));
        let open: BTreeSet<_> = open.collect();
        let letters = store.letters()?.into_iter();
        let parked = letters.filter(|(id, _)| store.has_call_id(CallKey::Letter(*id)));
        let parked = parked.map(|(_, letter)| letter.event.block_ref().unwrap().number.0);
        let parked: BTreeSet<_> = parked.collect();
        assert_eq!(open.len() + parked.len(), store.open_calls().len());
        Ok((open, parked))
    }

    /// What the store shows must be what the model says. An error is that of the disk, which
    /// even a reader may meet.
    pub(crate) fn check(&self) -> Outcome {
        let store = self.store();
        assert_eq!(committed(store)?, self.latest.state);
        let expected = self.next();
        assert_eq!(store.cursor(&SOURCE), expected.cursor.map(cursor));
        assert_eq!(store.history(SOURCE)?, expected.history());
        assert_eq!(parked(store)?, expected.letters);
        assert_eq!(self.open_calls()?, (expected.calls, expected.parked_calls));
        Ok(())
    }

    /// The power goes off; the machine starts again, and perhaps goes off again while the store
    /// opens.
    pub(crate) fn power_cut(&mut self, seed: u64, cut_while_opening: Option<u64>) {
        // What is torn off mid-way must not come to the disk in order by closing.
        let image = self.disk.after_power_cut(seed);
        self.store = None;
        self.disk = image;
        if let Some(changes) = cut_while_opening {
            self.disk.fail_after(changes, Fault::PowerCut);
            match open(&self.disk, self.durability) {
                Ok(store) => {
                    let image = self.disk.after_power_cut(!seed);
                    drop(store);
                    self.disk = image;
                }
                Err(_) => self.disk = self.disk.after_power_cut(!seed),
            }
            self.disk.heal();
        }
        self.recover();
    }

    /// Opens the store anew after it failed, on a disk that works again.
    pub(crate) fn recover(&mut self) {
        // Where nothing it needed has failed, closing brings the latest commit to the disk.
        self.in_flight.get_or_insert_with(|| self.latest.clone());
        self.store = None;
        self.disk.heal();
        self.store = Some(open(&self.disk, self.durability).unwrap());
        self.settle();
    }

    /// What was found must be one of the versions that can be there, whole, with its own cursor.
    fn settle(&mut self) {
        let store = self.store();
        let state = committed(store).unwrap();
        let found_cursor = store.cursor(&SOURCE);
        let history = store.history(SOURCE).unwrap();
        let letters = parked(store).unwrap();
        let calls = self.open_calls().unwrap();
        let possible = self.in_flight.take();
        let found = possible
            .into_iter()
            .chain([self.durable.clone()])
            .find(|version| {
                version.state == state
                    && version.cursor.map(cursor) == found_cursor
                    && version.letters == letters
                    && (&version.calls, &version.parked_calls) == (&calls.0, &calls.1)
            });
        let Some(found) = found else {
            panic!(
                "found {:?} at {found_cursor:?}, which is no committed version; the durable one is {:?} at {:?}",
                sizes(&state),
                sizes(&self.durable.state),
                self.durable.cursor,
            );
        };
        assert_eq!(
            history,
            found.history(),
            "what was delivered must be of the same commit"
        );
        self.durable = found.clone();
        self.latest = found;
        self.noted.clear();
    }
}

/// The call with that block.
fn key(number: u64) -> CallKey {
    CallKey::of(SOURCE, &letter(number).event).unwrap()
}

fn open(disk: &Disk, durability: Durability) -> Result<ModuleStore, StoreError> {
    let options = StoreOptions {
        durability,
        cache_bytes: CACHE_BYTES,
    };
    ModuleStore::open_with_backend(disk.clone(), Path::new("simulated.redb"), options)
}

fn name(key: u8) -> String {
    format!("key/{key}")
}

fn sizes(state: &BTreeMap<String, Vec<u8>>) -> Vec<(&str, usize)> {
    state
        .iter()
        .map(|(key, value)| (key.as_str(), value.len()))
        .collect()
}

/// Everything in the store, which must agree with the size it claims.
pub(crate) fn committed(store: &ModuleStore) -> Result<BTreeMap<String, Vec<u8>>, StateError> {
    let snapshot = store.snapshot()?;
    let mut keys = Vec::new();
    snapshot.visit_keys("", &mut |key| {
        keys.push(key.to_owned());
        true
    })?;
    let mut state = BTreeMap::new();
    for key in keys {
        let value = snapshot.get(&key)?.unwrap();
        state.insert(key, value);
    }
    let counted: usize = state
        .iter()
        .map(|(key, value)| key.len() + value.len())
        .sum();
    assert_eq!(
        store.used_bytes(),
        counted as u64,
        "the size must be what a recount gives"
    );
    Ok(state)
}
