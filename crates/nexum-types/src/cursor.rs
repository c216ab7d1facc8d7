//! How far a module has come in each of its sources.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{BlockRef, ChainId};

/// Where events come from, in an order of their own. A module has one cursor for each of its
/// sources.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Source {
    /// The feed of one chain.
    Chain(ChainId),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Chain(id) => write!(f, "chain:{id}"),
        }
    }
}

/// The last event of one source that a module has committed.
///
/// New variants are added at the end: their order is part of the format on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Cursor {
    /// Every event of this block has been committed.
    Block(BlockRef),
}

impl Cursor {
    /// The block this cursor stands at.
    #[must_use]
    pub fn block(&self) -> BlockRef {
        match self {
            Self::Block(block) => *block,
        }
    }
}
