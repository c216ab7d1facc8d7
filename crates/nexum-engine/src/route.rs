//! From the feeds to one module: which feeds it reads, from where, and what it gets of them.

use nexum_chain::{FeedItem, Position};
use nexum_manifest::{ModuleManifest, Start, Subscription};
use nexum_types::{ChainId, Cursor, Event, Source};

/// What one module gets from one chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Route {
    pub(crate) chain: ChainId,
    start: Start,
}

impl Route {
    /// The routes to a module, one for each chain it subscribes to.
    pub(crate) fn of(manifest: &ModuleManifest) -> Vec<Self> {
        manifest
            .subscriptions
            .iter()
            .map(|Subscription::Block(block)| Self {
                chain: block.chain_id,
                start: block.start,
            })
            .collect()
    }

    /// The source whose cursor this route moves.
    pub(crate) fn source(&self) -> Source {
        Source::Chain(self.chain)
    }

    /// Where to read on, for a module that has committed `cursor`.
    pub(crate) fn position(&self, cursor: Option<Cursor>) -> Position {
        match (cursor, self.start) {
            (Some(cursor), _) => Position::After(cursor.block()),
            (None, Start::Number(number)) => Position::At(number),
            (None, Start::Latest) => Position::Latest,
        }
    }

    /// What the module gets of `item`, and its cursor once that is committed.
    pub(crate) fn event(item: &FeedItem) -> (Event, Cursor) {
        match item {
            FeedItem::Block(block) => (
                Event::Block(block.as_ref().clone()),
                Cursor::Block(block.block_ref()),
            ),
        }
    }
}
