//! The last canonical blocks of a chain, in memory. Pure.

use std::{collections::VecDeque, sync::Arc};

use alloy_primitives::B256;
use nexum_types::{Block, BlockNumber};

/// A contiguous run of canonical blocks: each is the parent of the next. The oldest fall out.
pub(super) struct Ring {
    blocks: VecDeque<Arc<Block>>,
    capacity: usize,
}

impl Ring {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            blocks: VecDeque::with_capacity(capacity),
            capacity,
        }
    }

    pub(super) fn tip(&self) -> Option<&Arc<Block>> {
        self.blocks.back()
    }

    pub(super) fn oldest(&self) -> Option<&Arc<Block>> {
        self.blocks.front()
    }

    pub(super) fn get(&self, number: BlockNumber) -> Option<&Arc<Block>> {
        let index = number.0.checked_sub(self.oldest()?.number.0)?;
        self.blocks.get(usize::try_from(index).ok()?)
    }

    /// True where the block of that number is in the ring and has that hash.
    pub(super) fn has(&self, number: BlockNumber, hash: &B256) -> bool {
        self.get(number).is_some_and(|block| block.hash == *hash)
    }

    /// True where `block` comes right after the tip. Nothing comes after an empty ring.
    pub(super) fn is_followed_by(&self, block: &Block) -> bool {
        self.tip()
            .is_some_and(|tip| tip.number.next() == block.number && tip.hash == block.parent_hash)
    }

    /// Adds `block`, which [follows](Self::is_followed_by) the tip, or is the first.
    pub(super) fn push(&mut self, block: Block) {
        debug_assert!(self.blocks.is_empty() || self.is_followed_by(&block));
        if self.blocks.len() == self.capacity {
            self.blocks.pop_front();
        }
        self.blocks.push_back(Arc::new(block));
    }

    /// Puts `branch`, a contiguous run, in the place of every block from its first number on.
    /// Where it does not connect to what is left, nothing is left.
    pub(super) fn replace_tail(&mut self, branch: Vec<Block>) {
        let Some(first) = branch.first() else { return };
        while self.tip().is_some_and(|tip| tip.number >= first.number) {
            self.blocks.pop_back();
        }
        if !self.is_followed_by(first) {
            self.blocks.clear();
        }
        branch.into_iter().for_each(|block| self.push(block));
    }
}

#[cfg(test)]
mod tests {
    use nexum_types::ChainId;

    use super::*;

    /// Block `number` on a branch; its parent is on the branch that `parent_branch` names.
    fn block(number: u64, branch: u8, parent_branch: u8) -> Block {
        let hash = |number: u64, branch: u8| B256::left_padding_from(&[branch, number as u8]);
        Block {
            chain_id: ChainId(1),
            number: BlockNumber(number),
            hash: hash(number, branch),
            parent_hash: hash(number.wrapping_sub(1), parent_branch),
            timestamp_ms: 0,
        }
    }

    fn ring(numbers: std::ops::RangeInclusive<u64>) -> Ring {
        let mut ring = Ring::new(4);
        numbers.for_each(|number| ring.push(block(number, 1, 1)));
        ring
    }

    fn shape(ring: &Ring) -> Vec<(u64, u8)> {
        ring.blocks
            .iter()
            .map(|block| (block.number.0, block.hash[30]))
            .collect()
    }

    #[test]
    fn the_oldest_fall_out_and_the_rest_is_found_by_number() {
        let ring = ring(1..=6);
        assert_eq!(shape(&ring), [(3, 1), (4, 1), (5, 1), (6, 1)]);
        assert!(ring.get(BlockNumber(2)).is_none());
        assert!(ring.has(BlockNumber(3), &block(3, 1, 1).hash));
        assert!(!ring.has(BlockNumber(3), &block(3, 2, 1).hash));
        assert!(ring.get(BlockNumber(7)).is_none());
    }

    #[test]
    fn a_branch_takes_the_place_of_the_tail_it_forks_from() {
        let mut ring = ring(1..=4);
        ring.replace_tail(vec![block(3, 2, 1), block(4, 2, 2), block(5, 2, 2)]);
        assert_eq!(shape(&ring), [(2, 1), (3, 2), (4, 2), (5, 2)]);
    }

    #[test]
    fn a_shorter_branch_makes_the_head_go_back() {
        let mut ring = ring(1..=4);
        ring.replace_tail(vec![block(3, 2, 1)]);
        assert_eq!(shape(&ring), [(1, 1), (2, 1), (3, 2)]);
    }

    #[test]
    fn a_branch_that_forks_before_the_ring_leaves_nothing_of_it() {
        let mut ring = ring(3..=6);
        ring.replace_tail(vec![block(4, 2, 2), block(5, 2, 2)]);
        assert_eq!(shape(&ring), [(4, 2), (5, 2)]);
    }
}
