//! The ordered stream of canonical blocks of one chain.
//!
//! One task follows the head and keeps a ring of the last [`WINDOW`](crate::limits::WINDOW)
//! canonical blocks. Readers pull: each has its own position, takes blocks from the ring under a
//! read lock, and asks the node for what is older. The task never waits for a reader.

mod ancestor;
mod follow;
mod reader;
mod ring;

use std::{
    fmt,
    sync::{Arc, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
    time::Duration,
};

use nexum_types::{Block, BlockNumber, BlockRef};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{limits, provider::Provider};
pub use reader::FeedReader;
use ring::Ring;

/// The feed of one chain. Clones are the same feed.
#[derive(Clone)]
pub struct Feed(Arc<Shared>);

/// Where a reader begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Position {
    /// With the block after this one. Where this one is not canonical any more: with the first
    /// block of the new branch.
    After(BlockRef),
    /// With the block of this number.
    At(BlockNumber),
    /// With the head as it is when the feed first knows it, or now if it knows it already.
    Latest,
}

/// What a feed delivers. Further kinds join with the events that need them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FeedItem {
    /// The next canonical block.
    Block(Arc<Block>),
}

/// What the task and the readers share.
struct Shared {
    provider: Arc<Provider>,
    ring: RwLock<Ring>,
    /// The ring's tip. Sent after each change of the ring, never before.
    head: watch::Sender<Option<BlockRef>>,
    /// The number of the first head that the feed knew.
    first: OnceLock<BlockNumber>,
}

impl Feed {
    /// A reader of its own. It costs nothing until it is read.
    #[must_use]
    pub fn reader(&self, from: Position) -> FeedReader {
        FeedReader::new(Arc::clone(&self.0), from)
    }

    /// The best canonical head known. `None` until the first.
    #[must_use]
    pub fn head(&self) -> Option<BlockRef> {
        *self.0.head.borrow()
    }
}

impl fmt::Debug for Feed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Feed")
            .field("chain", &self.0.provider.chain())
            .field("head", &self.head())
            .finish_non_exhaustive()
    }
}

/// Starts the task that follows a chain until `stop`.
pub(crate) fn start(
    provider: Arc<Provider>,
    poll_interval: Duration,
    stop: CancellationToken,
) -> Feed {
    let shared = Arc::new(Shared {
        provider,
        ring: RwLock::new(Ring::new(limits::WINDOW)),
        head: watch::Sender::new(None),
        first: OnceLock::new(),
    });
    let follower = follow::Follower::new(Arc::clone(&shared), poll_interval);
    tokio::spawn(stop.run_until_cancelled_owned(follower.run()));
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
            ring.tip().map(|block| block.block_ref())
        };
        if let Some(tip) = tip {
            self.first.get_or_init(|| tip.number);
        }
        self.head.send_replace(tip);
    }
}
