//! The last canonical blocks of a chain, in memory. Pure, but for the time they came.

use std::{
    collections::VecDeque,
    sync::{Arc, PoisonError, RwLock},
    time::Instant,
};

use alloy_primitives::B256;
use nexum_types::{Block, BlockNumber, Log};

use super::FeedBlock;
use crate::header::Header;

/// One block of the ring, and its logs once they have been asked for.
pub(super) struct Entry {
    pub(super) header: Header,
    /// When it came into the ring.
    pub(super) since: Instant,
    /// Without logs: for those who want none, and where there are none.
    plain: Arc<FeedBlock>,
    logs: RwLock<Option<Covered>>,
}

/// The logs that a plan of that generation asked for.
struct Covered {
    generation: u64,
    block: Arc<FeedBlock>,
}

impl Entry {
    fn new(header: Header) -> Self {
        let plain = Arc::new(FeedBlock {
            block: header.block.clone(),
            logs: Arc::default(),
        });
        Self {
            header,
            since: Instant::now(),
            plain,
            logs: RwLock::default(),
        }
    }

    /// The block alone.
    pub(super) fn plain(&self) -> &Arc<FeedBlock> {
        &self.plain
    }

    /// The block with every log that a plan of that generation, or of a later one, asks for.
    pub(super) fn with_logs(&self, generation: u64) -> Option<Arc<FeedBlock>> {
        // Written as a whole.
        let logs = self.logs.read().unwrap_or_else(PoisonError::into_inner);
        let covered = logs.as_ref().filter(|logs| logs.generation >= generation)?;
        Some(Arc::clone(&covered.block))
    }

    /// Takes the logs that a plan of that generation asked for.
    pub(super) fn set_logs(&self, generation: u64, logs: Vec<Log>) {
        let block = if logs.is_empty() {
            Arc::clone(&self.plain)
        } else {
            let (block, logs) = (self.header.block.clone(), logs.into());
            Arc::new(FeedBlock { block, logs })
        };
        let mut slot = self.logs.write().unwrap_or_else(PoisonError::into_inner);
        if slot
            .as_ref()
            .is_none_or(|logs| logs.generation < generation)
        {
            *slot = Some(Covered { generation, block });
        }
    }
}

/// A contiguous run of canonical blocks: each is the parent of the next. The oldest fall out.
pub(super) struct Ring {
    blocks: VecDeque<Arc<Entry>>,
    capacity: usize,
}

impl Ring {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            blocks: VecDeque::with_capacity(capacity),
            capacity,
        }
    }

    pub(super) fn tip(&self) -> Option<&Block> {
        self.blocks.back().map(|entry| &entry.header.block)
    }

    pub(super) fn oldest(&self) -> Option<&Block> {
        self.blocks.front().map(|entry| &entry.header.block)
    }

    pub(super) fn get(&self, number: BlockNumber) -> Option<&Arc<Entry>> {
        let index = number.0.checked_sub(self.oldest()?.number.0)?;
        self.blocks.get(usize::try_from(index).ok()?)
    }

    /// The blocks from `number` on, oldest first.
    pub(super) fn from(&self, number: BlockNumber) -> impl Iterator<Item = &Arc<Entry>> {
        let oldest = self.oldest().map_or(0, |oldest| oldest.number.0);
        let skipped = usize::try_from(number.0.saturating_sub(oldest)).unwrap_or(usize::MAX);
        self.blocks.iter().skip(skipped)
    }

    /// True where the block of that number is in the ring and has that hash.
    pub(super) fn has(&self, number: BlockNumber, hash: &B256) -> bool {
        self.get(number)
            .is_some_and(|entry| entry.header.hash == *hash)
    }

    /// True where `block` comes right after the tip. Nothing comes after an empty ring.
    pub(super) fn is_followed_by(&self, block: &Block) -> bool {
        self.tip()
            .is_some_and(|tip| tip.number.next() == block.number && tip.hash == block.parent_hash)
    }

    /// Adds a block that [follows](Self::is_followed_by) the tip, or is the first.
    pub(super) fn push(&mut self, header: Header) {
        debug_assert!(self.blocks.is_empty() || self.is_followed_by(&header));
        if self.blocks.len() == self.capacity {
            self.blocks.pop_front();
        }
        self.blocks.push_back(Arc::new(Entry::new(header)));
    }

    /// Puts `older`, a contiguous run in ascending order, before the oldest, as far as there is
    /// room. False where it does not connect.
    pub(super) fn push_older(&mut self, older: Vec<Header>) -> bool {
        for header in older.into_iter().rev() {
            let connects = self
                .oldest()
                .is_some_and(|oldest| oldest.parent_hash == header.hash);
            if !connects {
                return false;
            }
            if self.blocks.len() == self.capacity {
                return true;
            }
            self.blocks.push_front(Arc::new(Entry::new(header)));
        }
        true
    }

    /// Puts `branch`, a contiguous run, in the place of every block from its first number on.
    /// Where it does not connect to what is left, nothing is left.
    pub(super) fn replace_tail(&mut self, branch: Vec<Header>) {
        let Some(first) = branch.first() else { return };
        while self.tip().is_some_and(|tip| tip.number >= first.number) {
            self.blocks.pop_back();
        }
        if !self.is_followed_by(first) {
            self.blocks.clear();
        }
        branch.into_iter().for_each(|header| self.push(header));
    }
}

#[cfg(test)]
mod tests {
    use nexum_types::ChainId;

    use super::*;

    /// Block `number` on a branch; its parent is on the branch that `parent_branch` names.
    fn block(number: u64, branch: u8, parent_branch: u8) -> Header {
        let hash = |number: u64, branch: u8| B256::left_padding_from(&[branch, number as u8]);
        Header::from(Block {
            chain_id: ChainId(1),
            number: BlockNumber(number),
            hash: hash(number, branch),
            parent_hash: hash(number.wrapping_sub(1), parent_branch),
            timestamp_ms: 0,
        })
    }

    fn ring(numbers: std::ops::RangeInclusive<u64>) -> Ring {
        let mut ring = Ring::new(4);
        numbers.for_each(|number| ring.push(block(number, 1, 1)));
        ring
    }

    fn shape(ring: &Ring) -> Vec<(u64, u8)> {
        ring.blocks
            .iter()
            .map(|entry| (entry.header.number.0, entry.header.hash[30]))
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
        let from_5: Vec<_> = ring
            .from(BlockNumber(5))
            .map(|e| e.header.number.0)
            .collect();
        assert_eq!(from_5, [5, 6]);
        assert_eq!(ring.from(BlockNumber(0)).count(), 4);
        assert_eq!(ring.from(BlockNumber(9)).count(), 0);
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

    #[test]
    fn it_grows_backwards_by_what_connects_as_far_as_there_is_room() {
        let mut ring = ring(7..=8);
        assert!(!ring.push_older(vec![block(6, 2, 2)]), "another branch");
        assert!(ring.push_older(vec![block(4, 1, 1), block(5, 1, 1), block(6, 1, 1)]));
        assert_eq!(shape(&ring), [(5, 1), (6, 1), (7, 1), (8, 1)]);
    }

    #[test]
    fn logs_serve_those_who_were_asked_for() {
        let ring = ring(1..=1);
        let entry = ring.get(BlockNumber(1)).unwrap();
        assert!(entry.with_logs(0).is_none());
        entry.set_logs(3, Vec::new());
        assert!(entry.with_logs(3).is_some());
        assert!(
            entry.with_logs(4).is_none(),
            "asked for without that reader's filters"
        );
        assert!(entry.plain().logs.is_empty());
    }
}
