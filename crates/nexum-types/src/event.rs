//! What the engine feeds to a module.

use std::fmt;

use alloy_primitives::B256;
use serde::{Deserialize, Serialize};

use crate::{BlockNumber, ChainId, Log, ScheduleId};

/// One event, as a module's `on-event` takes it.
///
/// The contract's further kind, messages, joins with the feed that makes them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// A canonical block.
    Block(Block),
    /// The logs of one block that match one subscription, in the order of the block; where they
    /// are taken back (`removed`), in the reverse order.
    Logs(Vec<Log>),
    /// A schedule that came due.
    Tick(Tick),
}

/// A schedule that came due.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tick {
    /// The instant at which it was due, in milliseconds since the Unix epoch, UTC.
    pub fired_at_ms: u64,
    /// The schedule as the manifest writes it: the value of `schedule`, with the time zone behind it
    /// where it has one other than UTC, or that of `every`.
    pub schedule: String,
}

impl Event {
    /// The block that it belongs to; none for ticks, and for logs without a log, which no feed
    /// tells.
    #[must_use]
    pub fn block_ref(&self) -> Option<BlockRef> {
        match self {
            Self::Block(block) => Some(block.block_ref()),
            Self::Logs(logs) => logs.first().map(Log::block_ref),
            Self::Tick(_) => None,
        }
    }

    /// What names it in a log; none for logs without a log.
    #[must_use]
    pub fn id(&self) -> Option<EventId> {
        let (chain_id, kind) = match self {
            Self::Tick(tick) => {
                return Some(EventId::Tick {
                    schedule: ScheduleId::of(&tick.schedule),
                    fired_at_ms: tick.fired_at_ms,
                });
            }
            Self::Block(block) => (block.chain_id, EventKind::Block),
            Self::Logs(logs) => {
                let first = logs.first()?;
                let index = first.log_index;
                let kind = if first.removed {
                    EventKind::Removed(index)
                } else {
                    EventKind::Logs(index)
                };
                (first.chain_id, kind)
            }
        };
        Some(EventId::Chain {
            chain_id,
            block: self.block_ref()?,
            kind,
        })
    }
}

/// Names one event beyond doubt in a log, for one subscription: as
/// `<chain>-<block>-<first bytes of the block's hash>-block`, or with `logs-` or `removed-` and the
/// index of its first log at the end; a tick as `<schedule's id>-<instant>-tick`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventId {
    /// An event of a block.
    Chain {
        /// The chain.
        chain_id: ChainId,
        /// The block.
        block: BlockRef,
        /// Which of the block's events.
        kind: EventKind,
    },
    /// A tick.
    Tick {
        /// The schedule.
        schedule: ScheduleId,
        /// When it was due, in milliseconds since the Unix epoch, UTC.
        fired_at_ms: u64,
    },
}

/// Which event of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventKind {
    /// The block itself.
    Block,
    /// Logs, from the one of this index on.
    Logs(u32),
    /// Logs that are taken back, from the one of this index on.
    Removed(u32),
}

impl EventId {
    /// The chain; none for a tick.
    #[must_use]
    pub fn chain_id(&self) -> Option<ChainId> {
        match self {
            Self::Chain { chain_id, .. } => Some(*chain_id),
            Self::Tick { .. } => None,
        }
    }

    /// The block's number; none for a tick.
    #[must_use]
    pub fn block(&self) -> Option<BlockNumber> {
        match self {
            Self::Chain { block, .. } => Some(block.number),
            Self::Tick { .. } => None,
        }
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (chain_id, BlockRef { number, hash }, kind) = match self {
            Self::Chain {
                chain_id,
                block,
                kind,
            } => (chain_id, block, kind),
            Self::Tick {
                schedule,
                fired_at_ms,
            } => return write!(f, "{schedule}-{fired_at_ms}-tick"),
        };
        write!(f, "{chain_id}-{number}-")?;
        for byte in &hash[..4] {
            write!(f, "{byte:02x}")?;
        }
        match kind {
            EventKind::Block => f.write_str("-block"),
            EventKind::Logs(index) => write!(f, "-logs-{index}"),
            EventKind::Removed(index) => write!(f, "-removed-{index}"),
        }
    }
}

/// A canonical block of one chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Block {
    /// The chain it belongs to.
    pub chain_id: ChainId,
    /// Its height.
    pub number: BlockNumber,
    /// Its hash.
    pub hash: B256,
    /// The hash of the block before it.
    pub parent_hash: B256,
    /// When it was made, in milliseconds since the Unix epoch, UTC. Headers count in seconds;
    /// the conversion happens where a header is read.
    pub timestamp_ms: u64,
}

impl Block {
    /// The block's number and hash.
    #[must_use]
    pub fn block_ref(&self) -> BlockRef {
        BlockRef {
            number: self.number,
            hash: self.hash,
        }
    }
}

/// Names one block beyond doubt: two branches have the same numbers, never the same hashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct BlockRef {
    /// Its height.
    pub number: BlockNumber,
    /// Its hash.
    pub hash: B256,
}
