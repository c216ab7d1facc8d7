//! What a reader does further back than the ring: it takes from the stretches that all readers
//! share, and asks for those that are not there.

use std::sync::Arc;

use nexum_types::BlockNumber;

use super::{FeedReader, Step, ask::Question};
use crate::{
    failure::Failure,
    feed::{FeedItem, backfill::Segment, shelf::Stretch, trail::Given},
};

impl FeedReader {
    /// Of the past, only what holds wanted logs.
    pub(super) fn next_of_segment(&mut self, next: BlockNumber, limit: BlockNumber) -> Step {
        let Some(segment) = self.segment.clone().filter(|segment| has(segment, next)) else {
            return Step::Ask(Question::Segment(next, limit));
        };
        let from = segment
            .blocks
            .partition_point(|block| block.block.number < next);
        let wanted = segment.blocks[from..]
            .iter()
            .find(|block| self.is_wanted(block));
        match wanted {
            Some(block) if block.block.number <= limit => return self.pass(Arc::clone(block)),
            Some(_) => return Step::Wait,
            // Asked for by a reader that is content with less sure blocks.
            None if segment.end.number > limit => return Step::Wait,
            None => {}
        }
        self.segment = None;
        self.next = Some(segment.end.number.next());
        self.wait.reset();
        self.quiet = 0;
        self.trail.push(segment.end, Given::No);
        Step::Tell(FeedItem::Progress(segment.end))
    }

    /// Of the past, every block.
    pub(super) fn next_of_run(&mut self, next: BlockNumber, limit: BlockNumber) -> Step {
        let run = self.run.clone();
        let Some(block) = run.as_ref().and_then(|run| run.get(next)) else {
            return Step::Ask(Question::Run(next, limit));
        };
        if !self.is_followed_by(&block.block) {
            self.forget(next);
            return Step::Ask(Question::Fork);
        }
        if self.filters.is_empty() {
            return self.pass(Arc::clone(block));
        }
        let Some(segment) = self.segment.clone().filter(|segment| has(segment, next)) else {
            return Step::Ask(Question::Segment(next, limit));
        };
        match segment.get(next) {
            Some(with_logs) if with_logs.block.hash == block.block.hash => {
                self.pass(Arc::clone(with_logs))
            }
            // Two nodes that are not of one mind: both are asked again.
            Some(_) => {
                self.forget(next);
                self.note_retry(&Failure::Behind);
                Step::Ask(Question::Segment(next, limit))
            }
            None => self.pass(Arc::clone(block)),
        }
    }

    pub(super) fn skip_to(&mut self, first: BlockNumber, newest: BlockNumber) -> Step {
        let last = BlockNumber(newest.0 - 1);
        tracing::warn!(
            chain = %self.shared.source.chain(), %first, %last,
            "a reader has fallen behind and skips these blocks, as its subscriptions say",
        );
        self.next = Some(newest);
        // All of it is further back than reorgs are followed.
        self.trail.go_back_to(None);
        Step::Tell(FeedItem::Skipped { first, last })
    }

    pub(super) fn forget(&mut self, number: BlockNumber) {
        self.shared
            .source
            .counters
            .oddities
            .unlinked_blocks
            .one_more();
        self.shared.backfill.forget(number);
        (self.segment, self.run) = (None, None);
    }
}

fn has(segment: &Segment, number: BlockNumber) -> bool {
    segment.first() <= number.0 && number <= segment.end.number
}
