//! How far a module has come in each of its sources.

use std::fmt;

use alloy_primitives::{B256, keccak256};
use serde::{Deserialize, Serialize};

use crate::{BlockNumber, BlockRef, ChainId, Log};

/// Where events come from, in an order of their own. A module has one cursor for each of its
/// sources.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Source {
    /// The feed of one chain, at one depth.
    Chain(ChainId, Depth),
    /// One schedule.
    Schedule(ScheduleId),
}

impl Source {
    /// The chain; none for a schedule.
    #[must_use]
    pub fn chain(&self) -> Option<ChainId> {
        match self {
            Self::Chain(chain, _) => Some(*chain),
            Self::Schedule(_) => None,
        }
    }
}

/// Names a schedule by what it says: the first eight bytes of the Keccak-256 hash of its text. A
/// module that is given another schedule begins anew with it, wherever the manifest has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ScheduleId(u64);

impl ScheduleId {
    /// The id of the schedule that a manifest writes like this.
    #[must_use]
    pub fn of(schedule: &str) -> Self {
        let hash = keccak256(schedule);
        Self(
            hash[..8]
                .iter()
                .fold(0, |id, byte| id << 8 | u64::from(*byte)),
        )
    }
}

impl fmt::Display for ScheduleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// How sure a block must be before it is delivered.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub enum Depth {
    /// As soon as it is known. What is delivered can leave the chain again.
    #[default]
    Head,
    /// Once this many blocks are on top of it; at least 1.
    Confirmations(u32),
    /// Once the node calls it `safe`.
    Safe,
    /// Once the node calls it `finalized`.
    Finalized,
}

impl fmt::Display for Depth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Head => f.write_str("head"),
            Self::Confirmations(blocks) => write!(f, "confirmations={blocks}"),
            Self::Safe => f.write_str("safe"),
            Self::Finalized => f.write_str("finalized"),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (chain, depth) = match self {
            Self::Chain(chain, depth) => (chain, depth),
            Self::Schedule(schedule) => return write!(f, "schedule {schedule}"),
        };
        write!(f, "chain {chain}")?;
        match depth {
            Depth::Head => Ok(()),
            depth => write!(f, " {depth}"),
        }
    }
}

/// The last event of one source that a module has committed.
///
/// A block gives a module a fixed list of events: the block itself where it is subscribed to,
/// then the logs of each subscription. The place of a subscription in that list is its turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Cursor {
    /// Every event up to and with this block has been committed.
    Block(BlockRef),
    /// Everything before this block has been committed, and of the block itself the events of
    /// every turn before `turn`.
    Part {
        /// The block.
        block: BlockRef,
        /// The hash of the block before it.
        parent_hash: B256,
        /// The first turn that is still to come.
        turn: u32,
    },
    /// Everything before this number has been committed, on whatever branch, and what was
    /// delivered from it on has been taken back: where the operator has put it, or after blocks
    /// that were skipped.
    Before(BlockNumber),
    /// Every tick that was due up to and with this instant has been committed or left out, in
    /// milliseconds since the Unix epoch, UTC. The cursor of a schedule, and of no chain.
    Tick(u64),
    /// The same up to `done_ms`, and the tick of `begun_ms` has been begun: it is the one that comes,
    /// whatever else is due by then.
    Begun {
        /// Every tick until then is done with.
        done_ms: u64,
        /// When the tick was due that has been begun.
        begun_ms: u64,
    },
}

impl Cursor {
    /// The number of the block that the next event belongs to, at the earliest; none for a
    /// schedule.
    #[must_use]
    pub fn next_number(&self) -> Option<BlockNumber> {
        match self {
            Self::Block(block) => Some(block.number.next()),
            Self::Part { block, .. } => Some(block.number),
            Self::Before(number) => Some(*number),
            Self::Tick(_) | Self::Begun { .. } => None,
        }
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Block(block) => write!(f, "at block {} {}", block.number, block.hash),
            Self::Part { block, turn, .. } => {
                write!(f, "in block {} {}, turn {turn}", block.number, block.hash)
            }
            Self::Before(number) => write!(f, "before block {number}"),
            Self::Tick(at_ms) => write!(f, "after the tick of {at_ms}"),
            Self::Begun { begun_ms, .. } => write!(f, "in the tick of {begun_ms}"),
        }
    }
}

/// What a module was given of one block, kept for as long as the block can leave the chain, so
/// that it can be taken back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivered {
    /// The block.
    pub block: BlockRef,
    /// The hash of the block before it.
    pub parent_hash: B256,
    /// The logs it was given, by turn, in the order of delivery.
    pub logs: Vec<(u32, Vec<Log>)>,
}
