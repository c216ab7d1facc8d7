//! One module's position in a feed.

mod ask;
mod past;

use std::{
    collections::VecDeque,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures::future::BoxFuture;
use nexum_manifest::OnLag;
use nexum_types::{Block, BlockNumber, BlockRef, Depth, LogFilter};
use tokio::sync::watch;

use super::{
    FeedBlock, FeedItem, Interest, Position, Shared,
    backfill::{Run, Segment},
    depth::Tags,
    interest::Registration,
    push::Early,
    trail::{Given, Standing, Trail},
};
use crate::backoff::Backoff;
use ask::{Answered, Question};

/// After this many blocks of the ring without a log, a reader says how far it has come.
const QUIET_BLOCKS: u64 = 64;

/// Reads a feed from its own position on, at its own pace.
///
/// Holds a bounded number of blocks, however far it is behind.
pub struct FeedReader {
    shared: Arc<Shared>,
    blocks: bool,
    filters: Arc<[LogFilter]>,
    depth: Depth,
    on_lag: OnLag,
    registration: Registration,
    head: watch::Receiver<Option<BlockRef>>,
    filled: watch::Receiver<u64>,
    pushed: watch::Receiver<u64>,
    early: Early,
    tags: watch::Receiver<Tags>,
    /// The next block to look at. `None`: the first head that the feed gets to know.
    next: Option<BlockNumber>,
    place: Place,
    trail: Trail,
    /// True while a node has said that the trail's last block is canonical, when that was further
    /// back than reorgs are followed. What was taken from the ring has to be asked about once the
    /// ring has gone on without this reader: the ring may have started over on another branch.
    is_verified: bool,
    /// True once the reader has been within the window: what it lacks after that is a lag.
    has_caught_up: bool,
    has_stopped: bool,
    /// True once a segment was asked for.
    has_gathered: bool,
    /// What has been found out and not been told yet.
    outbox: VecDeque<FeedItem>,
    segment: Option<Arc<Segment>>,
    run: Option<Arc<Run>>,
    /// What is being asked. Kept here, so that nothing is lost when `next` is dropped.
    pending: Option<BoxFuture<'static, Answered>>,
    wait: Backoff,
    /// How many blocks of the ring have been passed over since anything was told.
    quiet: u64,
}

/// Where a reader is, for others to look at. Clones tell of the same reader.
#[derive(Clone)]
pub struct Place(Arc<Whereabouts>);

struct Whereabouts {
    next: AtomicU64,
    rests_at: Mutex<Option<BlockRef>>,
}

impl Place {
    /// The block that the reader is to be told next, or is being told: everything before it is
    /// done with. `None` until the reader was read.
    #[must_use]
    pub fn next(&self) -> Option<BlockNumber> {
        let next = self.0.next.load(Ordering::Relaxed);
        (next != u64::MAX).then_some(BlockNumber(next))
    }

    /// The head with which the reader has last found nothing left for it, and everything before
    /// done with. It waits since, unless there is another head by now.
    #[must_use]
    pub fn rests_at(&self) -> Option<BlockRef> {
        *self.rest()
    }

    fn rest(&self) -> MutexGuard<'_, Option<BlockRef>> {
        // It is only ever replaced.
        self.0
            .rests_at
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, next: BlockNumber) {
        self.0.next.store(next.0, Ordering::Relaxed);
    }
}

impl Default for Place {
    fn default() -> Self {
        Self(Arc::new(Whereabouts {
            next: AtomicU64::new(u64::MAX),
            rests_at: Mutex::default(),
        }))
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.next().fmt(f)
    }
}

/// What can be done without waiting.
enum Step {
    Tell(FeedItem),
    /// Something has changed: look again.
    Again,
    /// Nothing until there is news.
    Wait,
    Ask(Question),
    /// Nothing, ever.
    Stop,
}

impl FeedReader {
    pub(super) fn new(shared: Arc<Shared>, from: Position, interest: Interest) -> Self {
        let Interest {
            blocks,
            logs,
            pushed,
            depth,
            on_lag,
        } = interest;
        let early = Early::new(pushed);
        let filters: Arc<[LogFilter]> = logs.into();
        let registration =
            shared
                .registry
                .register(Arc::clone(&filters), Arc::clone(early.filters()), depth);
        if matches!(depth, Depth::Safe | Depth::Finalized) {
            shared.depths.send_modify(|readers| *readers += 1);
        }
        let head = shared.head.subscribe();
        let mut trail = Trail::new(shared.window);
        let next = match from {
            Position::After { block, delivered } => {
                trail = Trail::after(shared.window, block, &delivered);
                Some(block.number.next())
            }
            Position::At(number) => Some(number),
            Position::Latest => head.borrow().map(|head| head.number),
        };
        Self {
            blocks,
            filters,
            depth,
            on_lag,
            registration,
            filled: shared.filled.subscribe(),
            pushed: shared.pushed.subscribe(),
            early,
            tags: shared.tags.subscribe(),
            head,
            next,
            place: Place::default(),
            is_verified: trail.last().is_none(),
            has_caught_up: trail.last().is_some(),
            has_stopped: false,
            has_gathered: false,
            trail,
            outbox: VecDeque::new(),
            segment: None,
            run: None,
            pending: None,
            wait: Backoff::new(Duration::from_millis(50), Duration::from_secs(10)),
            quiet: 0,
            shared,
        }
    }

    /// The next block that this reader looks at; none where it begins at the first head, which
    /// is not known yet.
    #[must_use]
    pub fn next_number(&self) -> Option<BlockNumber> {
        self.next.or(self.shared.first.get().copied())
    }

    /// Where the reader is, as it goes.
    #[must_use]
    pub fn place(&self) -> Place {
        self.place.clone()
    }

    /// The next item, once there is one; it never ends.
    ///
    /// Cancel-safe: dropping the future loses nothing, and what is being asked goes on with the
    /// next call.
    pub async fn next(&mut self) -> FeedItem {
        loop {
            if let Some(pending) = &mut self.pending {
                let answered = pending.await;
                self.pending = None;
                self.take(answered);
                continue;
            }
            match self.step() {
                Step::Tell(item) => return item,
                Step::Again => {}
                Step::Wait => self.news().await,
                Step::Ask(question) => self.pending = Some(self.ask(question)),
                Step::Stop => std::future::pending().await,
            }
        }
    }

    /// Waits for whatever could let the reader go on. The senders live as long as its share.
    async fn news(&mut self) {
        let (has_filters, has_tags) = (
            !self.filters.is_empty(),
            matches!(self.depth, Depth::Safe | Depth::Finalized),
        );
        tokio::select! {
            _ = self.head.changed() => {}
            _ = self.filled.changed(), if has_filters => {}
            _ = self.pushed.changed(), if self.early.is_wanted() => {}
            _ = self.tags.changed(), if has_tags => {}
        }
    }

    fn step(&mut self) -> Step {
        if let Some(item) = self.outbox.pop_front() {
            return Step::Tell(item);
        }
        if self.has_stopped {
            return Step::Stop;
        }
        // Before the ring is looked at: a change after these lines wakes the reader.
        self.head.borrow_and_update();
        self.filled.borrow_and_update();
        self.pushed.borrow_and_update();
        let tags = *self.tags.borrow_and_update();
        let shared = Arc::clone(&self.shared);
        let Some(next) = self.next.or_else(|| shared.first.get().copied()) else {
            return Step::Wait;
        };
        self.next = Some(next);
        // Whoever asks for more is done with what was told.
        self.place.set(next);
        let ring = shared.ring();
        let (Some(oldest), Some(tip)) = (ring.oldest(), ring.tip()) else {
            return Step::Wait;
        };
        match self.trail.standing(&ring) {
            Standing::Canonical => {}
            Standing::ForkedAfter(block) => {
                self.go_back(Some(block), block.number.next());
                return Step::Again;
            }
            Standing::ForkedBefore => return Step::Ask(Question::Fork),
        }
        let newest = tags.newest(self.depth, tip.number);
        let Some(newest) = newest.filter(|newest| next <= *newest) else {
            if next >= oldest.number {
                self.registration.want(next);
            } else {
                self.registration.want_nothing();
            }
            *self.place.rest() = Some(tip.block_ref());
            return Step::Wait;
        };
        if let Some(entry) = ring.get(next) {
            if !self.is_followed_by(&entry.header) {
                return Step::Ask(Question::Fork);
            }
            (self.is_verified, self.has_caught_up) = (false, true);
            if self.filters.is_empty() {
                return self.pass(Arc::clone(entry.plain()));
            }
            self.registration.want(next);
            return match entry.with_logs(self.registration.needs) {
                Some(block) => self.pass(block),
                None => {
                    shared.wanted.notify_one();
                    let trusts_bloom = shared.source.trust_bloom;
                    let early = self.early.take(&shared.pushed, &entry.header, trusts_bloom);
                    early.map_or(Step::Wait, |block| Step::Tell(FeedItem::Early(block)))
                }
            };
        }
        let window_start = (tip.number.0 + 1).saturating_sub(shared.window);
        drop(ring);
        if next.0 >= window_start {
            return Step::Ask(Question::Ring(next));
        }
        self.registration.want_nothing();
        if !self.is_verified && self.trail.last().is_some() {
            return Step::Ask(Question::Fork);
        }
        let lag = newest.0 - next.0;
        if self.on_lag == OnLag::Skip && self.has_caught_up && lag >= shared.window {
            return self.skip_to(next, newest);
        }
        let limit = newest.min(BlockNumber(window_start - 1));
        if self.blocks {
            self.next_of_run(next, limit)
        } else {
            self.next_of_segment(next, limit)
        }
    }

    /// Tells a block that is next, or passes over it.
    fn pass(&mut self, block: Arc<FeedBlock>) -> Step {
        let block_ref = block.block.block_ref();
        self.next = Some(block_ref.number.next());
        self.wait.reset();
        if self.blocks || self.is_wanted(&block) || self.early.has_given(&block.block.hash) {
            self.quiet = 0;
            self.trail.push(block_ref, Given::Yes);
            return Step::Tell(FeedItem::Block(block));
        }
        self.trail.push(block_ref, Given::No);
        self.quiet += 1;
        if self.quiet < QUIET_BLOCKS {
            return Step::Again;
        }
        self.quiet = 0;
        Step::Tell(FeedItem::Progress(block_ref))
    }

    fn is_wanted(&self, block: &FeedBlock) -> bool {
        let is_wanted = |log| self.filters.iter().any(|filter| filter.matches(log));
        block.logs.iter().any(is_wanted)
    }

    /// Takes back what was given after `block`, and goes on with `next`.
    fn go_back(&mut self, block: Option<BlockRef>, next: BlockNumber) {
        let from = self.trail.last();
        let gone = self.trail.go_back_to(block.map(|block| block.number));
        if let (Some(oldest), true) = (gone.last(), self.depth != Depth::Head) {
            return self.stop(*oldest);
        }
        tracing::info!(
            chain = %self.shared.source.chain(), from = ?from.map(|from| from.number.0),
            next = %next, taken_back = gone.len(),
            "blocks a reader has been over left the chain; going on with the new branch",
        );
        self.outbox.extend(gone.into_iter().map(FeedItem::Reverted));
        self.next = Some(next);
        (self.segment, self.run) = (None, None);
        (self.is_verified, self.quiet) = (false, 0);
    }

    fn stop(&mut self, from: BlockRef) {
        tracing::error!(
            chain = %self.shared.source.chain(), block = %from.number, hash = %from.hash,
            window = self.shared.window,
            "delivered blocks left the chain further back than reorgs are followed, or had been \
             called sure; the reader stands still until its position is reset",
        );
        self.has_stopped = true;
        self.registration.want_nothing();
        self.shared.source.counters.reader_stopped();
        self.outbox.push_back(FeedItem::BeyondWindow { from });
    }

    /// False where it is the block after the last one and not its child.
    fn is_followed_by(&self, block: &Block) -> bool {
        self.trail
            .last()
            .is_none_or(|last| last.number.next() != block.number || last.hash == block.parent_hash)
    }
}

impl Drop for FeedReader {
    fn drop(&mut self) {
        if self.has_stopped {
            self.shared.source.counters.stopped_reader_left();
        }
    }
}

impl fmt::Debug for FeedReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FeedReader")
            .field("chain", &self.shared.source.chain())
            .field("next", &self.next)
            .field("last", &self.trail.last())
            .finish_non_exhaustive()
    }
}
