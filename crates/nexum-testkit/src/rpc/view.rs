//! What one endpoint shows of the chain: as it is, or late, with holes, within limits.

use std::{collections::BTreeSet, sync::Arc};

use alloy_primitives::B256;

use super::limits::LogLimits;
use crate::{
    ChainBlock, ScriptedChain,
    chain::{FINALIZED_DEPTH, SAFE_DEPTH},
};

/// What an endpoint shows of the chain. The default is a good node's: everything, at once.
///
/// Several endpoints can show one chain, each in its own way.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct View {
    /// The chain id it answers, where that is another one.
    pub chain_id: Option<u64>,
    /// Its head is so many blocks behind the chain's; what is newer, it does not know. Raised
    /// while clients look, its head goes backwards.
    pub lag: u64,
    /// It names its head and does not know the newest so many blocks: a getter answers `null`, and
    /// logs by hash "unknown block". Behind a load balancer, the answers come from two nodes.
    pub unknown_newest: u64,
    /// The newest so many blocks have no logs yet, though they are there.
    pub logs_missing_newest: u64,
    /// Blocks of these numbers have no logs yet.
    pub logs_missing_in: BTreeSet<u64>,
    /// Headers have an empty `logsBloom`, whatever logs there are.
    pub empty_blooms: bool,
    /// Logs have a `blockTimestamp`. Both kinds of nodes exist.
    pub log_timestamps: bool,
    /// A range of logs that ends after the head is refused, and not cut to the head.
    pub refuse_beyond_head: bool,
    /// How much one `eth_getLogs` may ask for.
    pub log_limits: LogLimits,
    /// How many requests a batch may hold; over it the whole batch is refused.
    pub max_batch: Option<usize>,
}

/// A chain as one endpoint shows it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Node<'a> {
    pub(crate) chain: &'a ScriptedChain,
    pub(crate) view: &'a View,
}

impl Node<'_> {
    pub(super) fn chain_id(self) -> u64 {
        self.view.chain_id.unwrap_or(self.chain.chain_id())
    }

    pub(super) fn head(self) -> Arc<ChainBlock> {
        self.chain.behind_head(self.view.lag)
    }

    /// The block that the getters answer to `latest`; it may be one that is not known.
    pub(super) fn latest(self) -> Option<Arc<ChainBlock>> {
        Some(self.head()).filter(|head| self.knows(head))
    }

    pub(super) fn safe(self) -> Arc<ChainBlock> {
        self.chain.behind_head(self.view.lag + SAFE_DEPTH)
    }

    pub(super) fn finalized(self) -> Arc<ChainBlock> {
        self.chain.behind_head(self.view.lag + FINALIZED_DEPTH)
    }

    pub(super) fn block(self, number: u64) -> Option<Arc<ChainBlock>> {
        self.chain.block(number).filter(|block| self.knows(block))
    }

    pub(super) fn block_by_hash(self, hash: &B256) -> Option<Arc<ChainBlock>> {
        self.chain
            .block_by_hash(hash)
            .filter(|block| self.knows(block))
    }

    fn knows(self, block: &ChainBlock) -> bool {
        block.number + self.view.lag + self.view.unknown_newest <= self.chain.head().number
            || block.number == 0
    }

    pub(super) fn has_logs_of(self, block: &ChainBlock) -> bool {
        let missing = self.view.logs_missing_newest;
        !self.view.logs_missing_in.contains(&block.number)
            && (missing == 0 || block.number + missing <= self.head().number)
    }
}
