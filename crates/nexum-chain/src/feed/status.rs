//! What a feed has seen, for those who watch over it.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use nexum_types::{BlockRef, Counter};

/// How a feed is, and what it has had to deal with since its start.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FeedStatus {
    /// The best canonical head known.
    pub head: Option<BlockRef>,
    /// When the head was made, in milliseconds since the Unix epoch, UTC.
    pub head_timestamp_ms: Option<u64>,
    /// How many readers there are.
    pub readers: usize,
    /// How many of them stand still because blocks they were given have left the chain further
    /// back than reorgs are followed. Only resetting their position helps.
    pub beyond_window: u64,
    /// How many reorgs there were, by depth: how many blocks left the chain.
    pub reorgs: BTreeMap<u64, u64>,
    /// How many blocks one `eth_getLogs` asks for now.
    pub log_range: u64,
    /// How many blocks have been fetched of the past, for readers that are behind.
    pub backfilled: u64,
    /// What nodes have done that they should not.
    pub oddities: Oddities,
}

macro_rules! oddities {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// What nodes have done that they should not, each handled and counted.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
        pub struct Oddities {
            $($(#[$doc])* pub $name: u64,)*
        }

        impl Oddities {
            /// Each with its name.
            #[must_use]
            pub fn named(&self) -> Vec<(&'static str, u64)> {
                vec![$((stringify!($name), self.$name),)*]
            }
        }

        /// The same, counting.
        #[derive(Debug, Default)]
        pub(super) struct Counts {
            $(pub(super) $name: Count,)*
        }

        impl Counts {
            fn read(&self) -> Oddities {
                Oddities {
                    $($name: self.$name.0.load(Ordering::Relaxed),)*
                }
            }
        }
    };
}

oddities! {
    /// Blocks that a node announced or has the successors of, and did not know when asked.
    null_blocks,
    /// Answers from a node that was behind what another had told.
    lagging,
    /// Heads that went back, or came again after a newer one.
    backwards_heads,
    /// Heads that came with blocks missing before them.
    gaps,
    /// Subscriptions that fell silent while the chain went on.
    stalls,
    /// Blocks whose logs were not there yet, though their bloom has them.
    missing_logs,
    /// Answers with logs of no block, of another block, out of order or outside of the range.
    bad_logs,
    /// Ranges that a node refused to search.
    refused_ranges,
    /// Blocks that did not connect to their neighbours.
    unlinked_blocks,
}

/// One number that grows.
#[derive(Debug, Default)]
pub(super) struct Count(AtomicU64);

impl Count {
    pub(super) fn one_more(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// What a feed counts.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) oddities: Counts,
    reorgs: Mutex<BTreeMap<u64, u64>>,
    beyond_window: AtomicU64,
    pub(super) backfilled: Counter,
}

impl Counters {
    pub(super) fn reorg(&self, depth: u64) {
        let mut reorgs = self.reorgs.lock().unwrap_or_else(PoisonError::into_inner);
        *reorgs.entry(depth).or_default() += 1;
    }

    pub(super) fn reader_stopped(&self) {
        self.beyond_window.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn stopped_reader_left(&self) {
        self.beyond_window.fetch_sub(1, Ordering::Relaxed);
    }

    /// Everything but what others know.
    pub(super) fn read(&self) -> FeedStatus {
        let reorgs = self.reorgs.lock().unwrap_or_else(PoisonError::into_inner);
        FeedStatus {
            reorgs: reorgs.clone(),
            beyond_window: self.beyond_window.load(Ordering::Relaxed),
            oddities: self.oddities.read(),
            backfilled: self.backfilled.get(),
            ..FeedStatus::default()
        }
    }
}
