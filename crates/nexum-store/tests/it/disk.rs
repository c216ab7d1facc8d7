//! A disk that loses power, tears writes, fails and fills up.
//!
//! A sync is the only barrier. Of what was written since the last one, a power cut keeps any
//! part: each write may be there, missing, or torn at any byte or sector, in the order written.

use std::{
    io::{self, ErrorKind},
    sync::{Arc, Mutex, MutexGuard},
};

use redb::StorageBackend;

const SECTOR: usize = 512;

/// What happens to an operation that changes the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It and everything after it fails: the machine is off.
    PowerCut,
    /// It alone fails, with this error, and has no effect.
    Error(ErrorKind),
}

/// A disk of one file. Clones are the same disk.
#[derive(Debug, Clone, Default)]
pub(crate) struct Disk(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    durable: Vec<u8>,
    live: Vec<u8>,
    unsynced: Vec<Change>,
    changes: u64,
    fault: Option<(u64, Fault)>,
    capacity: Option<u64>,
    off: bool,
}

#[derive(Debug, Clone)]
enum Change {
    Write { offset: usize, data: Vec<u8> },
    SetLen(usize),
}

impl Disk {
    /// How many changing operations there have been.
    pub(crate) fn changes(&self) -> u64 {
        self.state().changes
    }

    /// Lets the changing operation after `more` further ones meet `fault`.
    pub(crate) fn fail_after(&self, more: u64, fault: Fault) {
        let mut state = self.state();
        state.fault = Some((state.changes + more, fault));
    }

    /// Forgets a fault that has not happened.
    pub(crate) fn heal(&self) {
        let mut state = self.state();
        state.fault = None;
        state.capacity = None;
    }

    /// Lets the disk be full at this length, or where it is now if that is more.
    pub(crate) fn fill_up(&self) {
        let mut state = self.state();
        state.capacity = Some(state.live.len() as u64);
    }

    /// Whether no fault is to come and none has happened.
    pub(crate) fn is_healthy(&self) -> bool {
        let state = self.state();
        !state.off && state.fault.is_none() && state.capacity.is_none()
    }

    /// Whether the power has been cut.
    pub(crate) fn is_off(&self) -> bool {
        self.state().off
    }

    /// The disk after a power cut. `seed` decides what of the unsynced changes is on it.
    pub(crate) fn after_power_cut(&self, seed: u64) -> Self {
        let state = self.state();
        let mut dice = Dice(seed);
        let mut image = state.durable.clone();
        // All, none, or some of each: the extremes deserve more than chance gives them.
        let mode = dice.below(4);
        for change in &state.unsynced {
            match mode {
                0 => {}
                1 => apply(&mut image, change),
                _ => match dice.below(3) {
                    0 => {}
                    1 => apply(&mut image, change),
                    _ => apply_torn(&mut image, change, &mut dice),
                },
            }
        }
        let state = State {
            durable: image.clone(),
            live: image,
            ..State::default()
        };
        Self(Arc::new(Mutex::new(state)))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    fn change(&self, change: Option<Change>) -> io::Result<()> {
        let mut state = self.state();
        state.check_power()?;
        let turn = state.changes;
        state.changes += 1;
        match state.fault {
            Some((at, Fault::PowerCut)) if turn >= at => {
                // The operation under way is one of those that may be there or not.
                state.unsynced.extend(change);
                state.off = true;
                return state.check_power();
            }
            Some((at, Fault::Error(kind))) if turn == at => return Err(kind.into()),
            _ => {}
        }
        if let (Some(capacity), Some(change)) = (state.capacity, &change)
            && change.end() as u64 > capacity
        {
            return Err(ErrorKind::StorageFull.into());
        }
        match change {
            Some(change) => {
                apply(&mut state.live, &change);
                state.unsynced.push(change);
            }
            None => {
                let State {
                    durable, unsynced, ..
                } = &mut *state;
                unsynced
                    .drain(..)
                    .for_each(|change| apply(durable, &change));
            }
        }
        Ok(())
    }
}

impl State {
    fn check_power(&self) -> io::Result<()> {
        if self.off {
            Err(io::Error::other("the power is cut"))
        } else {
            Ok(())
        }
    }
}

impl Change {
    fn end(&self) -> usize {
        match self {
            Self::Write { offset, data } => offset + data.len(),
            Self::SetLen(len) => *len,
        }
    }
}

fn apply(image: &mut Vec<u8>, change: &Change) {
    match change {
        Change::SetLen(len) => image.resize(*len, 0),
        Change::Write { offset, data } => {
            if image.len() < offset + data.len() {
                image.resize(offset + data.len(), 0);
            }
            image[*offset..offset + data.len()].copy_from_slice(data);
        }
    }
}

fn apply_torn(image: &mut Vec<u8>, change: &Change, dice: &mut Dice) {
    let Change::Write { offset, data } = change else {
        return apply(image, change);
    };
    let mut part = |start: usize, end: usize| {
        let data = data[start..end].to_vec();
        apply(
            image,
            &Change::Write {
                offset: offset + start,
                data,
            },
        );
    };
    let cut = dice.below(data.len() as u64 + 1) as usize;
    match dice.below(3) {
        0 => part(0, cut),
        1 => part(cut, data.len()),
        _ => (0..data.len())
            .step_by(SECTOR)
            .filter(|_| dice.below(2) == 0)
            .for_each(|start| {
                part(start, data.len().min(start + SECTOR));
            }),
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        let state = self.state();
        state.check_power().map(|()| state.live.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let state = self.state();
        state.check_power()?;
        let start = usize::try_from(offset).unwrap();
        let data = state
            .live
            .get(start..start + out.len())
            .ok_or(ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(data);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.change(Some(Change::SetLen(usize::try_from(len).unwrap())))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.change(None)
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let offset = usize::try_from(offset).unwrap();
        self.change(Some(Change::Write {
            offset,
            data: data.to_vec(),
        }))
    }
}

/// Small reproducible randomness (the splitmix64 sequence).
#[derive(Debug)]
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}
