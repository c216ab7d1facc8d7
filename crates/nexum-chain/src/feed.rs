//! The ordered stream of canonical blocks of one chain, with their logs.
//!
//! One task follows the head and keeps a ring of the last canonical blocks; another brings their
//! logs, asked for by hash, with the filters of all readers in one. Readers pull: each has its
//! own position, takes blocks from the ring under a read lock, and the past from a shelf that
//! all of them share. No task ever waits for a reader.
//!
//! Invariant: what is further back than reorgs are followed (the window) is read by number; what
//! is within it comes from the ring, where parent hashes connect every block.

mod backfill;
mod depth;
mod fill;
mod follow;
mod fork;
mod interest;
mod push;
mod reader;
mod ring;
mod shelf;
mod source;
mod status;
mod trail;
mod width;

use std::{
    fmt,
    sync::{Arc, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
    time::{Duration, Instant},
};

use nexum_manifest::{ChainSettings, OnLag};
use nexum_types::{Block, BlockNumber, BlockRef, Depth, Log, LogFilter};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use crate::{failure::Failure, limits::BLOCKS_PER_BATCH, provider::Provider};
use backfill::Backfill;
use depth::Tags;
use interest::Registry;
use push::Pushed;
pub use reader::{FeedReader, Place};
use ring::Ring;
use source::Source;
use status::Counters;
pub use status::{FeedStatus, Oddities};

/// The feed of one chain. Clones are the same feed.
#[derive(Clone)]
pub struct Feed(Arc<Shared>);

/// What one reader wants. Fixed for the reader's life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interest {
    /// Every block; otherwise only blocks that hold a matching log.
    pub blocks: bool,
    /// The logs that match any of these.
    pub logs: Vec<LogFilter>,
    /// Those of them that match any of these come as soon as a node pushes them. Only at
    /// [`Depth::Head`].
    pub pushed: Vec<LogFilter>,
    /// How sure a block must be.
    pub depth: Depth,
    /// What happens where the reader falls behind further than the window.
    pub on_lag: OnLag,
}

/// Where a reader begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Position {
    /// With the head as it is when the feed first knows it, or now if it knows it already.
    Latest,
    /// With the block of this number.
    At(BlockNumber),
    /// With what comes after this block.
    After {
        /// Everything up to and with it is done.
        block: BlockRef,
        /// The blocks that were given within the window, oldest first. They may end with
        /// `block`. Those that are not canonical any more are taken back first.
        delivered: Vec<BlockRef>,
    },
}

/// What a feed delivers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FeedItem {
    /// A canonical block: each one where blocks are wanted, otherwise those that hold a matching
    /// log.
    Block(Arc<FeedBlock>),
    /// The block that comes next, with some of its logs: a node has pushed them. More of it may
    /// follow, and then the block itself with all of its logs; where it leaves the chain before
    /// that, another block takes its place, without a word.
    Early(Arc<FeedBlock>),
    /// The newest block that this reader was given, and that has not been taken back, has left
    /// the canonical chain. Newest first, before any block of the new branch.
    Reverted(BlockRef),
    /// There is nothing for this reader up to and with this block. Told now and then.
    Progress(BlockRef),
    /// The reader had fallen behind, and its interest says to skip: these blocks are passed over.
    Skipped {
        /// The first of them.
        first: BlockNumber,
        /// The last of them.
        last: BlockNumber,
    },
    /// Blocks that were given have left the chain further back than reorgs are followed, or had
    /// been called final: the reader cannot tell what to take back. Told once; nothing comes
    /// after it.
    BeyondWindow {
        /// The oldest block that is known to be affected.
        from: BlockRef,
    },
}

/// A canonical block with its logs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeedBlock {
    /// The block.
    pub block: Block,
    /// Its logs, in their order: those that the reader wants, and perhaps others that another
    /// reader does.
    pub logs: Arc<[Log]>,
}

/// What the tasks and the readers share.
struct Shared {
    source: Source,
    /// How far back a reorg is followed, in blocks.
    window: u64,
    poll_interval: Duration,
    ring: RwLock<Ring>,
    /// The ring's tip. Sent after each change of the ring's tail, never before.
    head: watch::Sender<Option<BlockRef>>,
    /// The number of the first head that the feed knew.
    first: OnceLock<BlockNumber>,
    registry: Arc<Registry>,
    /// A reader in the ring waits for logs.
    wanted: Notify,
    /// Grows whenever blocks of the ring get their logs.
    filled: watch::Sender<u64>,
    pushed: Pushed,
    tags: watch::Sender<Tags>,
    /// Grows with each reader that waits for blocks to be sure.
    depths: watch::Sender<u64>,
    backfill: Backfill,
    /// Held while the ring grows backwards, so that it is asked for once.
    extending: tokio::sync::Mutex<()>,
}

/// How many blocks the ring holds beyond the window, so that a reader that comes from the past
/// has time to get into it.
const RING_MARGIN: u64 = 64;

impl Feed {
    /// A reader of its own. It asks for nothing until it is read.
    #[must_use]
    pub fn reader(&self, from: Position, interest: Interest) -> FeedReader {
        FeedReader::new(Arc::clone(&self.0), from, interest)
    }

    /// The best canonical head known. `None` until the first.
    #[must_use]
    pub fn head(&self) -> Option<BlockRef> {
        *self.0.head.borrow()
    }

    /// The newest block that is that sure. `None` where that is not known.
    #[must_use]
    pub fn newest(&self, depth: Depth) -> Option<BlockNumber> {
        let tip = self.head()?.number;
        self.0.tags.borrow().newest(depth, tip)
    }

    /// Since when a reader at this depth could have had the block: since it was known, or since
    /// the block was that confirmed it. `None` where it is not among the recent ones, and for
    /// `safe` and `finalized`, of which only the node knows.
    #[must_use]
    pub fn available_since(&self, block: BlockRef, depth: Depth) -> Option<Instant> {
        let ring = self.0.ring();
        if !ring.has(block.number, &block.hash) {
            return None;
        }
        let confirmed_by = match depth {
            Depth::Head => block.number.0,
            Depth::Confirmations(blocks) => block.number.0.checked_add(blocks.into())?,
            Depth::Safe | Depth::Finalized => return None,
        };
        Some(ring.get(BlockNumber(confirmed_by))?.since)
    }

    /// How the feed is.
    #[must_use]
    pub fn status(&self) -> FeedStatus {
        let tip = self.0.ring().tip().cloned();
        FeedStatus {
            head: tip.as_ref().map(Block::block_ref),
            head_timestamp_ms: tip.map(|tip| tip.timestamp_ms),
            readers: self.0.registry.count(),
            log_range: self.0.backfill.width(),
            ..self.0.source.counters.read()
        }
    }
}

impl fmt::Debug for Feed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Feed")
            .field("chain", &self.0.source.chain())
            .field("head", &self.head())
            .finish_non_exhaustive()
    }
}

/// Starts the tasks that follow a chain until `stop`.
pub(crate) fn start(
    provider: Arc<Provider>,
    settings: &ChainSettings,
    stop: &CancellationToken,
) -> Feed {
    let source = Source {
        provider,
        counters: Arc::new(Counters::default()),
        trust_bloom: settings.trust_bloom,
    };
    let registry = Arc::new(Registry::new());
    let window = u64::from(settings.reorg_window.max(1));
    let backfill = Backfill::new(
        source.clone(),
        Arc::clone(&registry),
        settings.max_log_range,
        stop.clone(),
    );
    let shared = Arc::new(Shared {
        source,
        window,
        poll_interval: settings.poll_interval,
        ring: RwLock::new(Ring::new((window + RING_MARGIN) as usize)),
        head: watch::Sender::new(None),
        first: OnceLock::new(),
        registry,
        wanted: Notify::new(),
        filled: watch::Sender::new(0),
        pushed: Pushed::new(),
        tags: watch::Sender::new(Tags::default()),
        depths: watch::Sender::new(0),
        backfill,
        extending: tokio::sync::Mutex::default(),
    });
    let follower = follow::Follower::new(Arc::clone(&shared));
    tokio::spawn(stop.clone().run_until_cancelled_owned(follower.run()));
    let filling = fill::run(Arc::clone(&shared));
    tokio::spawn(stop.clone().run_until_cancelled_owned(filling));
    let listening = push::run(Arc::clone(&shared));
    tokio::spawn(stop.clone().run_until_cancelled_owned(listening));
    let watching = depth::watch(Arc::clone(&shared));
    tokio::spawn(stop.clone().run_until_cancelled_owned(watching));
    Feed(shared)
}

impl Shared {
    fn ring(&self) -> RwLockReadGuard<'_, Ring> {
        // No change of the ring panics half-way.
        self.ring.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn ring_mut(&self) -> RwLockWriteGuard<'_, Ring> {
        self.ring.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the ring and tells the readers.
    fn update(&self, change: impl FnOnce(&mut Ring)) {
        let tip = {
            let mut ring = self.ring_mut();
            change(&mut ring);
            ring.tip().map(Block::block_ref)
        };
        if let Some(tip) = tip {
            self.first.get_or_init(|| tip.number);
        }
        self.head.send_replace(tip);
    }

    /// Makes the ring reach back to `number`, which is within the window: after a start it holds
    /// nothing but the head.
    async fn extend_to(&self, number: BlockNumber) -> Result<(), Failure> {
        let _extending = self.extending.lock().await;
        loop {
            let oldest = self.ring().oldest().map(|oldest| oldest.number);
            let Some(last) = oldest.and_then(|oldest| oldest.0.checked_sub(1)) else {
                return Ok(());
            };
            if last < number.0 {
                return Ok(());
            }
            let first = number
                .0
                .max((last + 1).saturating_sub(BLOCKS_PER_BATCH as u64));
            let older = self.source.linked_headers(first, last).await?;
            let mut ring = self.ring_mut();
            if !ring.push_older(older) {
                // The chain was reorganised meanwhile, or the node is behind.
                return Err(Failure::Behind);
            }
            if ring.oldest().is_some_and(|oldest| oldest.number.0 > first) {
                // It is full: the head has moved on, and `number` is in the past by now.
                return Ok(());
            }
        }
    }
}
