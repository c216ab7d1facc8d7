//! One module's position in a feed.

use std::{collections::VecDeque, fmt, sync::Arc, time::Duration};

use futures::future::BoxFuture;
use nexum_types::{Block, BlockNumber, BlockRef};
use tokio::{sync::watch, time::sleep};

use super::{
    FeedItem, Position, Shared,
    ancestor::{self, Trail},
    follow::are_linked,
};
use crate::{
    backoff::Backoff,
    failure::Failure,
    limits::{BLOCKS_PER_BATCH, WINDOW},
};

/// After this many questions in a row without a block, a reader says so in the log.
const RETRIES_BEFORE_WARNING: u32 = 6;

/// Reads a feed from its own position on, at its own pace.
///
/// Holds a bounded number of blocks, however far it is behind.
pub struct FeedReader {
    shared: Arc<Shared>,
    head: watch::Receiver<Option<BlockRef>>,
    place: Place,
    /// Blocks after the place that are older than the ring, in order.
    fetched: VecDeque<Arc<Block>>,
    /// What the node is being asked. Kept here, so that nothing is lost when `next` is dropped.
    pending: Option<BoxFuture<'static, Answered>>,
    wait: Backoff,
}

/// Where the reader stands.
enum Place {
    /// Before the first head that the feed gets to know.
    BeforeFirst,
    /// Before the block of this number, whatever it is.
    Before(BlockNumber),
    /// After these blocks.
    After(Trail),
}

/// What can be done without waiting.
enum Step {
    Deliver(Arc<Block>),
    /// Nothing until the head moves.
    Wait,
    /// Ask the node for these numbers, both included.
    Fetch(BlockNumber, BlockNumber),
    /// The ring shows where the branch came from.
    GoBack(BlockRef),
    /// Only the node can tell where the branch came from.
    FindAncestor,
}

/// What the node answered.
enum Answered {
    Blocks(Result<Vec<Block>, Failure>),
    Ancestor(Result<Option<BlockRef>, Failure>),
}

impl FeedReader {
    pub(super) fn new(shared: Arc<Shared>, from: Position) -> Self {
        let head = shared.head.subscribe();
        let place = match from {
            Position::After(block) => Place::After(Trail::new(block)),
            Position::At(number) => Place::Before(number),
            Position::Latest => match *head.borrow() {
                Some(head) => Place::Before(head.number),
                None => Place::BeforeFirst,
            },
        };
        let wait = Backoff::new(Duration::from_millis(50), Duration::from_secs(10));
        Self {
            shared,
            head,
            place,
            fetched: VecDeque::new(),
            pending: None,
            wait,
        }
    }

    /// The next item, once there is one; it never ends.
    ///
    /// Cancel-safe: dropping the future loses nothing, and what the node is being asked goes on
    /// with the next call.
    pub async fn next(&mut self) -> FeedItem {
        loop {
            if let Some(pending) = &mut self.pending {
                let answered = pending.await;
                self.pending = None;
                self.take(answered);
                continue;
            }
            match self.step() {
                Step::Deliver(block) => return self.deliver(block),
                Step::Wait => {
                    if self.head.changed().await.is_err() {
                        // The sender lives as long as this reader's share of it.
                        std::future::pending::<()>().await;
                    }
                }
                Step::Fetch(first, last) => self.pending = Some(self.fetch(first, last)),
                Step::GoBack(ancestor) => self.go_back(ancestor),
                Step::FindAncestor => self.pending = self.find_ancestor(),
            }
        }
    }

    fn step(&mut self) -> Step {
        if let Some(block) = self.fetched.pop_front() {
            return Step::Deliver(block);
        }
        // Before the ring is looked at: a change after this line wakes the reader.
        self.head.borrow_and_update();
        if matches!(self.place, Place::BeforeFirst)
            && let Some(first) = self.shared.first.get()
        {
            self.place = Place::Before(*first);
        }
        let ring = self.shared.ring();
        let (Some(oldest), Some(tip)) = (ring.oldest(), ring.tip()) else {
            return Step::Wait;
        };
        let next = match &self.place {
            Place::BeforeFirst => return Step::Wait,
            Place::Before(number) => *number,
            Place::After(trail) => {
                let last = trail.last();
                if trail.is_contradicted_by(&ring) {
                    return trail
                        .newest_in(&ring)
                        .map_or(Step::FindAncestor, Step::GoBack);
                }
                let next = last.number.next();
                if next == oldest.number && oldest.parent_hash != last.hash {
                    return Step::FindAncestor;
                }
                next
            }
        };
        if next > tip.number {
            return Step::Wait;
        }
        match ring.get(next) {
            Some(block) => Step::Deliver(Arc::clone(block)),
            None => {
                let last = next.0.saturating_add(BLOCKS_PER_BATCH as u64 - 1);
                Step::Fetch(
                    next,
                    BlockNumber(last.min(oldest.number.0.saturating_sub(1))),
                )
            }
        }
    }

    fn deliver(&mut self, block: Arc<Block>) -> FeedItem {
        match &mut self.place {
            Place::After(trail) => trail.push(block.block_ref()),
            place => *place = Place::After(Trail::new(block.block_ref())),
        }
        self.wait.reset();
        FeedItem::Block(block)
    }

    fn fetch(&mut self, first: BlockNumber, last: BlockNumber) -> BoxFuture<'static, Answered> {
        let (shared, delay) = (Arc::clone(&self.shared), self.delay());
        Box::pin(async move {
            sleep(delay).await;
            let blocks = shared.provider.blocks(first.0..=last.0).await;
            Answered::Blocks(blocks.map(|blocks| blocks.into_iter().map_while(|b| b).collect()))
        })
    }

    fn find_ancestor(&mut self) -> Option<BoxFuture<'static, Answered>> {
        let Place::After(trail) = &self.place else {
            return None;
        };
        let (shared, trail, delay) = (Arc::clone(&self.shared), trail.clone(), self.delay());
        Some(Box::pin(async move {
            sleep(delay).await;
            Answered::Ancestor(ancestor::find(&shared.provider, &trail).await)
        }))
    }

    /// None for the first question since the last delivery, and longer for each further one: a
    /// node that contradicts itself is not asked in a tight loop.
    fn delay(&mut self) -> Duration {
        let delay = self.wait.next_delay();
        if self.wait.attempts() == 1 {
            Duration::ZERO
        } else {
            delay
        }
    }

    fn take(&mut self, answered: Answered) {
        let chain = self.shared.provider.chain();
        match answered {
            Answered::Blocks(Ok(blocks)) => {
                let connects = blocks
                    .first()
                    .is_some_and(|first| self.is_followed_by(first));
                if connects && are_linked(&blocks) {
                    self.fetched = blocks.into_iter().map(Arc::new).collect();
                } else if !blocks.is_empty() && !connects {
                    self.pending = self.find_ancestor();
                }
                // Otherwise the node is behind, or was reorganised meanwhile: asked again.
                if self.fetched.is_empty() && self.pending.is_none() {
                    self.note_retry(&Failure::Behind);
                }
            }
            Answered::Ancestor(Ok(Some(ancestor))) => self.go_back(ancestor),
            Answered::Ancestor(Ok(None)) => {
                let Place::After(trail) = &self.place else {
                    return;
                };
                let last = trail.last();
                let from = BlockNumber(last.number.0.saturating_sub(WINDOW as u64));
                tracing::warn!(
                    %chain, block = %last.number, hash = %last.hash, %from,
                    "the node does not know where this block's branch came from; \
                     the blocks of the window are delivered again",
                );
                self.place = Place::Before(from);
            }
            Answered::Blocks(Err(failure)) | Answered::Ancestor(Err(failure)) => {
                self.note_retry(&failure);
            }
        }
    }

    /// One failure is nothing; a node that keeps failing to tell the past stops this reader, and
    /// the operator has to know.
    fn note_retry(&self, failure: &Failure) {
        let chain = self.shared.provider.chain();
        if self.wait.attempts() == RETRIES_BEFORE_WARNING {
            tracing::warn!(
                %chain, %failure, after = ?self.last(),
                "older blocks do not come; does an endpoint still have them? Asking on",
            );
        } else {
            tracing::debug!(%chain, %failure, "older blocks are asked for again");
        }
    }

    fn is_followed_by(&self, block: &Block) -> bool {
        match &self.place {
            Place::After(trail) => trail.last().hash == block.parent_hash,
            Place::Before(number) => *number == block.number,
            Place::BeforeFirst => false,
        }
    }

    fn last(&self) -> Option<BlockRef> {
        match &self.place {
            Place::After(trail) => Some(trail.last()),
            Place::BeforeFirst | Place::Before(_) => None,
        }
    }

    fn go_back(&mut self, ancestor: BlockRef) {
        let Place::After(trail) = &mut self.place else {
            return;
        };
        if trail.last() != ancestor {
            tracing::info!(
                chain = %self.shared.provider.chain(),
                from = %trail.last().number, to = %ancestor.number,
                "delivered blocks left the chain; going on with the new branch",
            );
            trail.go_back_to(ancestor);
        }
    }
}

impl fmt::Debug for FeedReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FeedReader")
            .field("chain", &self.shared.provider.chain())
            .field("last", &self.last())
            .field("fetched", &self.fetched.len())
            .finish_non_exhaustive()
    }
}
