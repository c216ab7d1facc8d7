//! What the engine feeds to a module.

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
