//! How far a module has come in each of its sources.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{BlockNumber, BlockRef, ChainId, Log};

/// Where events come from, in an order of their own. A module has one cursor for each of its
/// sources.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Source {
    /// The feed of one chain, at one depth.
    Chain(ChainId, Depth),
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

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Chain(chain, depth) = self;
        write!(f, "chain:{chain}")?;
        match depth {
            Depth::Head => Ok(()),
            Depth::Confirmations(blocks) => write!(f, ":confirmations={blocks}"),
            Depth::Safe => f.write_str(":safe"),
            Depth::Finalized => f.write_str(":finalized"),
        }
    }
}

/// The last event of one source that a module has committed.
///
/// A block gives a module a fixed list of events: the block itself where it is subscribed to,
/// then the logs of each subscription in the order of the manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Cursor {
    /// Every event up to and with this block has been committed.
    Block(BlockRef),
    /// Of this block, the first events have been committed, and more are to come; everything
    /// before the block has been.
    Part {
        /// The block.
        block: BlockRef,
        /// How many of its events.
        events: u32,
    },
    /// Everything before this number has been committed, and what was delivered from it on has
    /// been taken back.
    Before(BlockNumber),
}

/// What a module was given of one block, kept for as long as the block can leave the chain, so
/// that it can be taken back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivered {
    /// The block.
    pub block: BlockRef,
    /// The logs it was given, by subscription (its place in the manifest), in the order of
    /// delivery.
    pub logs: Vec<(u32, Vec<Log>)>,
}
