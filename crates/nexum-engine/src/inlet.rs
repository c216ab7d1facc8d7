//! Where the feeds come in to one module: its place in each of them, and whose turn is next.

use std::{future, time::Instant};

use futures::future::select_all;
use nexum_chain::{Feed, FeedItem, FeedReader, Place, Position};
use nexum_store::{History, ModuleStore, StoreError};
use nexum_types::{BlockNumber, BlockRef, Cursor, Delivered};

use crate::route::Route;

/// One feed as it comes in to one module.
pub(crate) struct Inlet {
    pub(crate) route: Route,
    feed: Feed,
    /// How many blocks back what was delivered is remembered.
    window: u64,
    reader: FeedReader,
    /// The block of which only the events before this turn have been committed, until it comes
    /// again or turns out to have left the chain.
    pub(crate) open: Option<(BlockRef, u32)>,
    /// Whether early events are left to their block, since one of it has failed.
    pub(crate) holds_back: bool,
    /// Nothing has come and nothing is committed: the first item tells where the module begins.
    is_fresh: bool,
}

impl Inlet {
    pub(crate) fn new(route: Route, feed: Feed, window: u32) -> Self {
        // Where `start = "latest"` is, is known from here on, however long the first `init` takes.
        let reader = feed.reader(Position::Latest, route.interest());
        Self {
            route,
            feed,
            window: window.into(),
            reader,
            open: None,
            holds_back: false,
            is_fresh: false,
        }
    }

    /// Takes the place of an inlet of an older version of the module: what is the latest block for
    /// a module that has got nothing yet stays so.
    pub(crate) fn take_over(&mut self, older: &Self) {
        let latest = older.route.latest().or(older.reader.next_number());
        self.route.latest_is(latest);
    }

    /// Reads on from a cursor that is committed in `store`.
    pub(crate) fn rewind(
        &mut self,
        cursor: Option<Cursor>,
        store: &ModuleStore,
    ) -> Result<(), StoreError> {
        let source = self.route.source();
        self.is_fresh = cursor.is_none();
        self.open = match cursor {
            Some(Cursor::Part { block, turn, .. }) => Some((block, turn)),
            _ => None,
        };
        let position = self.route.position(cursor, store.history(source)?);
        // At the latest head the reader has been since it was made, though the head has moved on.
        if position != Position::Latest {
            self.reader = self.feed.reader(position, self.route.interest());
        }
        Ok(())
    }

    async fn next(&mut self) -> FeedItem {
        let item = self.reader.next().await;
        if self.is_fresh {
            self.is_fresh = false;
            self.route.fix_latest(&item, self.feed.head());
        }
        item
    }

    /// Where the module is in this feed, as it goes.
    pub(crate) fn place(&self) -> Place {
        self.reader.place()
    }

    /// Since when the block of an item could be had, where that is known.
    pub(crate) fn available_since(&self, item: &FeedItem) -> Option<Instant> {
        let (FeedItem::Block(block) | FeedItem::Early(block)) = item else {
            return None;
        };
        let depth = self.route.depth();
        self.feed.available_since(block.block.block_ref(), depth)
    }

    /// What has to be remembered of a block along with a step.
    pub(crate) fn history(&self, delivered: &Delivered) -> History {
        if !self.route.can_be_taken_back() {
            return History::Unchanged;
        }
        let number = delivered.block.number.0;
        History::Remember {
            delivered: delivered.clone(),
            keep_from: BlockNumber(number.saturating_sub(self.window)),
        }
    }
}

/// The next item of any inlet. Nothing is lost where this is cancelled.
/// The inlet at `turn` comes first, so that one which is far behind keeps no other waiting.
pub(crate) async fn next_item(inlets: &mut [Inlet], turn: usize) -> (usize, FeedItem) {
    match inlets {
        [] => future::pending().await,
        [only] => (0, only.next().await),
        several => {
            let (count, turn) = (several.len(), turn % several.len());
            let (after, first) = several.split_at_mut(turn);
            let in_turn = first.iter_mut().chain(after);
            let next = in_turn.map(|inlet| Box::pin(inlet.next()));
            let (item, index, _) = select_all(next).await;
            ((turn + index) % count, item)
        }
    }
}
