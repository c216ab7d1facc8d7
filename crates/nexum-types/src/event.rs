//! What the engine feeds to a module.

use std::fmt;

use alloy_primitives::B256;
use serde::{Deserialize, Serialize};

use crate::{BlockNumber, ChainId, Log};

/// One event, as a module's `on-event` takes it.
///
/// The contract's further kinds (ticks, messages) join with the feeds that make them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// A canonical block.
    Block(Block),
    /// The logs of one block that match one subscription, in the order of the block; where they
    /// are taken back (`removed`), in the reverse order.
    Logs(Vec<Log>),
}

impl Event {
    /// The block that it belongs to; none for logs without a log, which no feed tells.
    #[must_use]
    pub fn block_ref(&self) -> Option<BlockRef> {
        match self {
            Self::Block(block) => Some(block.block_ref()),
            Self::Logs(logs) => logs.first().map(Log::block_ref),
        }
    }

    /// What names it in a log; none for logs without a log.
    #[must_use]
    pub fn id(&self) -> Option<EventId> {
        let (chain_id, kind) = match self {
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
        Some(EventId {
            chain_id,
            block: self.block_ref()?,
            kind,
        })
    }
}

/// Names one event beyond doubt in a log, for one subscription: as
/// `<chain>-<block>-<first bytes of the block's hash>-block`, or with `logs-` or `removed-` and the
/// index of its first log at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventId {
    /// The chain.
    pub chain_id: ChainId,
    /// The block.
    pub block: BlockRef,
    kind: EventKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum EventKind {
    Block,
    Logs(u32),
    Removed(u32),
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let BlockRef { number, hash } = self.block;
        write!(f, "{}-{number}-", self.chain_id)?;
        for byte in &hash[..4] {
            write!(f, "{byte:02x}")?;
        }
        match self.kind {
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
