//! What one reader has behind it, as far back as a reorg is followed. Pure.

use std::collections::VecDeque;

use nexum_types::{BlockNumber, BlockRef};

use super::ring::Ring;

/// The blocks that a reader has been over, ascending. Where a range was read there are gaps
/// between them: nothing in a gap was given.
#[derive(Debug, Clone, Default)]
pub(super) struct Trail {
    blocks: VecDeque<(BlockRef, Given)>,
    window: u64,
}

/// Whether the reader was given the block, and so has to be told that it is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Given {
    Yes,
    No,
}

/// How a trail compares with the ring.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// Nothing speaks against it.
    Canonical,
    /// It has left the chain after this block.
    ForkedAfter(BlockRef),
    /// It has left the chain before what the ring remembers of it.
    ForkedBefore,
}

impl Trail {
    pub(super) fn new(window: u64) -> Self {
        Self {
            blocks: VecDeque::new(),
            window: window.max(1),
        }
    }

    /// What was `delivered`, up to a last block that may be among it.
    pub(super) fn after(window: u64, block: BlockRef, delivered: &[BlockRef]) -> Self {
        let mut trail = Self::new(window);
        for given in delivered
            .iter()
            .filter(|given| given.number <= block.number)
        {
            trail.push(*given, Given::Yes);
        }
        if trail.last().is_none_or(|last| last.number < block.number) {
            trail.push(block, Given::No);
        }
        trail
    }

    /// The last block, where there is one.
    pub(super) fn last(&self) -> Option<BlockRef> {
        self.blocks.back().map(|(block, _)| *block)
    }

    /// The oldest block that is remembered.
    pub(super) fn oldest(&self) -> Option<BlockRef> {
        self.blocks.front().map(|(block, _)| *block)
    }

    /// True where every block of the window is remembered.
    pub(super) fn is_whole(&self) -> bool {
        self.blocks.len() as u64 >= self.window
    }

    /// The first number that is within the window.
    pub(super) fn window_start(&self) -> BlockNumber {
        let last = self.last().map_or(0, |last| last.number.0);
        BlockNumber((last + 1).saturating_sub(self.window))
    }

    /// Newest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = BlockRef> {
        self.blocks.iter().rev().map(|(block, _)| *block)
    }

    /// Adds a block after the last one.
    pub(super) fn push(&mut self, block: BlockRef, given: Given) {
        debug_assert!(self.last().is_none_or(|last| last.number < block.number));
        self.blocks.push_back((block, given));
        let start = self.window_start();
        while self.blocks.len() > 1 && self.blocks[0].0.number < start {
            self.blocks.pop_front();
        }
    }

    /// Forgets what comes after `number`; answers the blocks of it that were given, newest first.
    pub(super) fn go_back_to(&mut self, number: Option<BlockNumber>) -> Vec<BlockRef> {
        let mut gone = Vec::new();
        while let Some((block, given)) = self.blocks.back().copied()
            && number.is_none_or(|number| block.number > number)
        {
            self.blocks.pop_back();
            if given == Given::Yes {
                gone.push(block);
            }
        }
        gone
    }

    pub(super) fn standing(&self, ring: &Ring) -> Standing {
        let Some(tip) = ring.tip() else {
            return Standing::Canonical;
        };
        // What is beyond a head that went back may be canonical again with the next block.
        let mut shared = self.iter().skip_while(|block| block.number > tip.number);
        let newest_is_other = shared.next().is_some_and(|block| {
            ring.get(block.number)
                .is_some_and(|entry| entry.header.hash != block.hash)
        });
        if !newest_is_other {
            return Standing::Canonical;
        }
        shared
            .find(|block| ring.has(block.number, &block.hash))
            .map_or(Standing::ForkedBefore, Standing::ForkedAfter)
    }
}

#[cfg(test)]
mod tests {
    use alloy_primitives::B256;
    use nexum_types::{Block, ChainId};

    use super::*;
    use crate::header::Header;

    fn block(number: u64, branch: u8) -> BlockRef {
        BlockRef {
            number: BlockNumber(number),
            hash: B256::left_padding_from(&[branch, 0, number as u8]),
        }
    }

    /// `first..=fork` on branch 1, then up to `last` on branch 2.
    fn ring(first: u64, fork: u64, last: u64) -> Ring {
        let mut ring = Ring::new(256);
        for number in first..=last {
            let branch = |number| if number <= fork { 1 } else { 2 };
            ring.push(Header::from(Block {
                chain_id: ChainId(1),
                number: BlockNumber(number),
                hash: block(number, branch(number)).hash,
                parent_hash: block(number - 1, branch(number - 1)).hash,
                timestamp_ms: 0,
            }));
        }
        ring
    }

    fn trail(numbers: impl IntoIterator<Item = u64>) -> Trail {
        let mut trail = Trail::new(8);
        for number in numbers {
            trail.push(block(number, 1), Given::Yes);
        }
        trail
    }

    #[test]
    fn it_remembers_the_window_and_always_the_last() {
        let trail = trail(1..=20);
        assert_eq!(trail.oldest(), Some(block(13, 1)));
        assert!(trail.is_whole());
        let mut sparse = Trail::new(8);
        sparse.push(block(1, 1), Given::Yes);
        sparse.push(block(100, 1), Given::No);
        assert_eq!(sparse.oldest(), Some(block(100, 1)));
        assert!(!sparse.is_whole());
    }

    #[test]
    fn going_back_tells_what_was_given_newest_first() {
        let mut trail = trail([3, 5]);
        trail.push(block(6, 1), Given::No);
        trail.push(block(8, 1), Given::Yes);
        assert_eq!(
            trail.go_back_to(Some(BlockNumber(3))),
            [block(8, 1), block(5, 1)]
        );
        assert_eq!(trail.last(), Some(block(3, 1)));
        assert_eq!(trail.go_back_to(None), [block(3, 1)]);
        assert_eq!(trail.last(), None);
    }

    #[test]
    fn a_position_is_after_its_block_whether_it_was_given_or_not() {
        let given = [block(5, 1), block(7, 1)];
        let mut ends_with_it = Trail::after(8, block(7, 1), &given);
        assert_eq!(ends_with_it.go_back_to(Some(BlockNumber(6))), [block(7, 1)]);
        let mut beyond_it = Trail::after(8, block(9, 1), &given);
        assert_eq!(beyond_it.last(), Some(block(9, 1)));
        assert_eq!(beyond_it.go_back_to(Some(BlockNumber(6))), [block(7, 1)]);
    }

    #[test]
    fn the_ring_tells_where_it_left_the_chain() {
        assert_eq!(trail(3..=8).standing(&ring(2, 9, 9)), Standing::Canonical);
        let forked = Standing::ForkedAfter(block(5, 1));
        assert_eq!(trail(3..=8).standing(&ring(2, 5, 9)), forked);
        assert_eq!(
            trail(3..=8).standing(&ring(6, 5, 9)),
            Standing::ForkedBefore
        );
        let gaps = Standing::ForkedAfter(block(3, 1));
        assert_eq!(trail([3, 8]).standing(&ring(2, 5, 9)), gaps);
    }

    #[test]
    fn a_head_that_went_back_contradicts_nothing_until_another_branch_grows() {
        assert_eq!(trail(3..=8).standing(&ring(2, 9, 6)), Standing::Canonical);
        let forked = Standing::ForkedAfter(block(5, 1));
        assert_eq!(trail(3..=8).standing(&ring(2, 5, 6)), forked);
    }
}
