//! How a reader finds its way back from a branch that is not canonical any more.

use std::collections::VecDeque;

use alloy_primitives::B256;
use nexum_types::{BlockNumber, BlockRef};

use super::ring::Ring;
use crate::{
    failure::Failure,
    limits::{BLOCKS_PER_BATCH, WINDOW},
    provider::Provider,
};

/// The blocks that a reader has delivered last, as far back as a reorg is followed.
#[derive(Clone)]
pub(super) struct Trail {
    last: BlockNumber,
    /// Up to `last`, one for each number. Never empty.
    hashes: VecDeque<B256>,
}

impl Trail {
    pub(super) fn new(first: BlockRef) -> Self {
        Self {
            last: first.number,
            hashes: VecDeque::from([first.hash]),
        }
    }

    /// Where the reader stands.
    pub(super) fn last(&self) -> BlockRef {
        BlockRef {
            number: self.last,
            hash: self.hashes[self.hashes.len() - 1],
        }
    }

    /// Adds a block whose parent is the last one.
    pub(super) fn push(&mut self, block: BlockRef) {
        debug_assert_eq!(block.number, self.last.next());
        if self.hashes.len() == WINDOW {
            self.hashes.pop_front();
        }
        self.hashes.push_back(block.hash);
        self.last = block.number;
    }

    /// Newest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = BlockRef> {
        let numbers = (0..=self.last.0).rev().map(BlockNumber);
        numbers
            .zip(self.hashes.iter().rev())
            .map(|(number, hash)| BlockRef {
                number,
                hash: *hash,
            })
    }

    /// Goes back to a block that is in it, or starts anew from one that is not.
    pub(super) fn go_back_to(&mut self, ancestor: BlockRef) {
        while self.last() != ancestor {
            if self.hashes.len() == 1 {
                *self = Self::new(ancestor);
                return;
            }
            self.hashes.pop_back();
            self.last = BlockNumber(self.last.0 - 1);
        }
    }

    /// The newest block of it that the ring has, too.
    pub(super) fn newest_in(&self, ring: &Ring) -> Option<BlockRef> {
        self.iter()
            .find(|block| ring.has(block.number, &block.hash))
    }

    /// True where the ring has another block in the place of one of these.
    pub(super) fn is_contradicted_by(&self, ring: &Ring) -> bool {
        let Some(tip) = ring.tip() else { return false };
        let newest_shared = self.iter().find(|block| block.number <= tip.number);
        newest_shared.is_some_and(|block| {
            ring.get(block.number)
                .is_some_and(|canonical| canonical.hash != block.hash)
        })
    }
}

/// Asks the node for the newest canonical ancestor of the last block of `trail`. `None`: the node
/// does not know that branch, or it forked before the window.
pub(super) async fn find(provider: &Provider, trail: &Trail) -> Result<Option<BlockRef>, Failure> {
    let delivered: Vec<_> = trail.iter().collect();
    for chunk in delivered.chunks(BLOCKS_PER_BATCH) {
        let (newest, oldest) = (chunk[0].number.0, chunk[chunk.len() - 1].number.0);
        let canonical = provider.blocks(oldest..=newest).await?;
        let pairs = chunk.iter().zip(canonical.into_iter().rev());
        for (delivered, canonical) in pairs {
            if canonical.is_some_and(|canonical| canonical.hash == delivered.hash) {
                return Ok(Some(*delivered));
            }
        }
    }
    // Before what the reader remembers, the branch's own headers say where it came from.
    let mut orphan = delivered[delivered.len() - 1];
    for _ in delivered.len()..WINDOW {
        let Some(header) = provider.block_by_hash(orphan.hash).await? else {
            return Ok(None);
        };
        let Some(parent) = header.number.0.checked_sub(1) else {
            return Ok(None);
        };
        orphan = BlockRef {
            number: BlockNumber(parent),
            hash: header.parent_hash,
        };
        let canonical = provider.blocks(parent..=parent).await?.pop().flatten();
        if canonical.is_some_and(|canonical| canonical.hash == orphan.hash) {
            return Ok(Some(orphan));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(number: u64) -> BlockRef {
        BlockRef {
            number: BlockNumber(number),
            hash: B256::left_padding_from(&number.to_be_bytes()),
        }
    }

    #[test]
    fn it_remembers_the_window_and_goes_back_within_it() {
        let mut trail = Trail::new(block(5));
        (6..=1000).for_each(|number| trail.push(block(number)));
        assert_eq!(trail.iter().count(), WINDOW);
        assert_eq!(trail.iter().next(), Some(block(1000)));
        trail.go_back_to(block(998));
        assert_eq!(trail.last(), block(998));
        trail.push(block(999));
        trail.go_back_to(block(3));
        assert_eq!((trail.last(), trail.iter().count()), (block(3), 1));
    }
}
