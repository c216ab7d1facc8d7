//! From the feeds to one module: which feeds it reads, from where, and what it gets of each
//! block. Pure: the worker performs it.

use std::collections::BTreeMap;

use nexum_chain::{FeedBlock, FeedItem, Interest, Position};
use nexum_manifest::{
    BlockSubscription, Delivery, LogSubscription, ModuleManifest, OnLag, Start, Subscription,
};
use nexum_types::{BlockNumber, BlockRef, ChainId, Cursor, Delivered, Depth, Event, Log, Source};

/// What one module gets from one chain, at one depth: one source, with one cursor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Route {
    chain: ChainId,
    depth: Depth,
    blocks: Vec<BlockSubscription>,
    logs: Vec<LogSubscription>,
    /// The head when a module without a cursor got its first item: where `start = "latest"` is.
    /// After a failure it must be where it was.
    latest: Option<BlockNumber>,
}

/// One event of a block for the module, and its turn among the block's events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Deal {
    pub(crate) turn: u32,
    pub(crate) event: Event,
}

impl Route {
    /// The routes to a module, one for each of its sources.
    pub(crate) fn of(manifest: &ModuleManifest) -> Vec<Self> {
        let mut routes: BTreeMap<(ChainId, Depth), Self> = BTreeMap::new();
        for subscription in &manifest.subscriptions {
            let (chain, depth) = match subscription {
                Subscription::Block(block) => (block.chain_id, block.depth),
                Subscription::Log(log) => (log.chain_id, log.depth),
                // The timetable has it.
                Subscription::Cron(_) => continue,
            };
            let route = routes.entry((chain, depth)).or_insert_with(|| Self {
                chain,
                depth,
                blocks: Vec::new(),
                logs: Vec::new(),
                latest: None,
            });
            match subscription {
                Subscription::Block(block) => route.blocks.push(*block),
                Subscription::Log(log) => route.logs.push(log.clone()),
                Subscription::Cron(_) => {}
            }
        }
        routes.into_values().collect()
    }

    /// The chain it comes from.
    pub(crate) fn chain(&self) -> ChainId {
        self.chain
    }

    /// How sure a block must be.
    pub(crate) fn depth(&self) -> Depth {
        self.depth
    }

    /// The source whose cursor this route moves.
    pub(crate) fn source(&self) -> Source {
        Source::Chain(self.chain, self.depth)
    }

    /// True where what is delivered can leave the chain again, and so must be remembered.
    pub(crate) fn can_be_taken_back(&self) -> bool {
        self.depth == Depth::Head
    }

    /// What the feed has to bring.
    pub(crate) fn interest(&self) -> Interest {
        let on_lag = self
            .blocks
            .iter()
            .map(|block| block.on_lag)
            .chain(self.logs.iter().map(|log| log.on_lag));
        // One subscription that must miss nothing keeps all of its source from being skipped.
        let skip = on_lag.into_iter().all(|on_lag| on_lag == OnLag::Skip);
        Interest {
            blocks: !self.blocks.is_empty(),
            logs: self.logs.iter().map(|log| log.filter.clone()).collect(),
            pushed: self.pushed().map(|(_, log)| log.filter.clone()).collect(),
            depth: self.depth,
            on_lag: if skip { OnLag::Skip } else { OnLag::CatchUp },
        }
    }

    /// Where to read on, for a module that has committed `cursor` and was given something of
    /// the blocks of `history`, oldest first.
    pub(crate) fn position(&self, cursor: Option<Cursor>, mut history: Vec<BlockRef>) -> Position {
        let after = |block, delivered| Position::After { block, delivered };
        match cursor {
            None => match self.first() {
                Some(number) => Position::At(number),
                None => Position::Latest,
            },
            Some(Cursor::Block(block)) => after(block, history),
            Some(Cursor::Part {
                block, parent_hash, ..
            }) => {
                // The block itself comes once more, if it is still there.
                history.retain(|delivered| delivered.number < block.number);
                match block.number.0.checked_sub(1) {
                    Some(number) => {
                        let number = BlockNumber(number);
                        let hash = parent_hash;
                        after(BlockRef { number, hash }, history)
                    }
                    None => Position::At(block.number),
                }
            }
            // No cursor of a feed.
            Some(Cursor::Tick(_) | Cursor::Begun { .. }) => Position::Latest,
            Some(Cursor::Before(number)) => {
                history.retain(|delivered| delivered.number < number);
                match history.last() {
                    // What lies between held nothing for this module, or it would be here.
                    Some(last) => after(*last, history),
                    None => Position::At(number),
                }
            }
        }
    }

    /// The first block of a module without a cursor: the earliest start of its subscriptions.
    /// `None` where that is the head, which is not known yet.
    fn first(&self) -> Option<BlockNumber> {
        self.starts()
            .filter_map(|start| match start {
                Start::Number(number) => Some(number),
                Start::Latest => self.latest,
            })
            .min()
    }

    fn starts(&self) -> impl Iterator<Item = Start> {
        let blocks = self.blocks.iter().map(|block| block.start);
        blocks.chain(self.logs.iter().map(|log| log.start))
    }

    /// Where another version of the module goes on in a block of which it was given the events of
    /// the turns before `turn`: behind the events that both versions want in the same turns.
    /// What comes after that is given by the new version's list, and not left out.
    pub(crate) fn turn_for(&self, newer: &Self, turn: u32) -> u32 {
        let same = |same: usize| u32::try_from(same).unwrap_or(u32::MAX);
        let pairs = self.blocks.iter().zip(&newer.blocks);
        let blocks = pairs.take_while(|(one, other)| one == other).count();
        if blocks < self.blocks.len().max(newer.blocks.len()) {
            return turn.min(same(blocks));
        }
        let pairs = self.logs.iter().zip(&newer.logs);
        let logs = pairs.take_while(|(one, other)| one == other).count();
        turn.min(same(blocks + logs))
    }

    /// Whether another version of the module wants other events of the source.
    pub(crate) fn differs(&self, newer: &Self) -> bool {
        (&self.blocks, &self.logs) != (&newer.blocks, &newer.logs)
    }

    /// Where `start = "latest"` is for another version of the module, which has nothing of this
    /// source either.
    pub(crate) fn latest_is(&mut self, latest: Option<BlockNumber>) {
        self.latest = self.latest.or(latest);
    }

    /// The head that `start = "latest"` means, where it is known.
    pub(crate) fn latest(&self) -> Option<BlockNumber> {
        self.latest
    }

    /// Holds on to the head as `start = "latest"` means it, once: it is the first block that
    /// comes, unless another subscription begins earlier.
    pub(crate) fn fix_latest(&mut self, first: &FeedItem, head: Option<BlockRef>) {
        let first = match first {
            FeedItem::Block(block) | FeedItem::Early(block) => Some(block.block.number),
            FeedItem::Progress(block) => Some(block.number.next()),
            FeedItem::Skipped { last, .. } => Some(last.next()),
            FeedItem::Reverted(_) | FeedItem::BeyondWindow { .. } => None,
        };
        let begins_earlier = self.starts().any(|start| matches!(start, Start::Number(_)));
        let latest = if begins_earlier {
            head.map(|head| head.number)
        } else {
            first
        };
        self.latest = self.latest.or(latest);
    }

    /// The events of a block for the module, in their order: the block by each subscription to
    /// blocks, then its logs by each subscription to logs that has any. What it was given of the
    /// block before is left out: the events of the turns before `given.turns`, and logs.
    pub(crate) fn deals(&self, block: &FeedBlock, given: &Given<'_>) -> Vec<Deal> {
        self.deal(block, given, |_| true)
    }

    /// The events of a block whose logs a node has begun to push: the block, and the logs that
    /// are wanted as soon as they come.
    pub(crate) fn early_deals(&self, block: &FeedBlock, given: &Given<'_>) -> Vec<Deal> {
        self.deal(block, given, |log| log.delivery == Delivery::Push)
    }

    fn deal(
        &self,
        block: &FeedBlock,
        given: &Given<'_>,
        is_due: impl Fn(&LogSubscription) -> bool,
    ) -> Vec<Deal> {
        let number = block.block.number;
        let blocks = self.blocks.iter().map(|subscription| {
            let due = number.0.is_multiple_of(subscription.every.get());
            (due && self.has_begun(subscription.start, number))
                .then(|| Event::Block(block.block.clone()))
        });
        let logs = (self.first_log_turn()..).zip(&self.logs);
        let logs = logs.map(|(turn, subscription)| {
            if !is_due(subscription) || !self.has_begun(subscription.start, number) {
                return None;
            }
            let wanted = |log: &&Log| subscription.filter.matches(log) && !given.has(turn, log);
            let logs: Vec<_> = block.logs.iter().filter(wanted).cloned().collect();
            (!logs.is_empty()).then_some(Event::Logs(logs))
        });
        (0..)
            .zip(blocks.chain(logs))
            .filter(|(turn, _)| *turn >= given.turns)
            .filter_map(|(turn, event)| {
                Some(Deal {
                    turn,
                    event: event?,
                })
            })
            .collect()
    }

    /// The logs that were given early and that the block does not have after all: to be taken
    /// back, newest first. Takes them out of `delivered`.
    pub(crate) fn refuted(&self, delivered: &mut Delivered, block: &FeedBlock) -> Vec<Deal> {
        let mut refuted = Vec::new();
        for (turn, logs) in delivered.logs.iter_mut().rev() {
            if !self.pushed().any(|(pushed, _)| pushed == *turn) {
                continue;
            }
            let (kept, gone): (Vec<_>, Vec<_>) = std::mem::take(logs)
                .into_iter()
                .partition(|log| block.logs.contains(log));
            *logs = kept;
            if !gone.is_empty() {
                let (turn, event) = (*turn, removed(gone));
                refuted.push(Deal { turn, event });
            }
        }
        delivered.logs.retain(|(_, logs)| !logs.is_empty());
        refuted
    }

    /// The turn of the first subscription to logs.
    pub(crate) fn first_log_turn(&self) -> u32 {
        // A manifest has far fewer.
        u32::try_from(self.blocks.len()).unwrap_or(u32::MAX)
    }

    /// The subscriptions whose logs are wanted as soon as a node pushes them, with their turns.
    fn pushed(&self) -> impl Iterator<Item = (u32, &LogSubscription)> {
        let logs = (self.first_log_turn()..).zip(&self.logs);
        logs.filter(|(_, log)| log.delivery == Delivery::Push)
    }

    fn has_begun(&self, start: Start, number: BlockNumber) -> bool {
        match start {
            Start::Number(start) => start <= number,
            Start::Latest => self.latest.is_none_or(|latest| latest <= number),
        }
    }
}

/// What a module has been given of a block before it comes, or comes again.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Given<'a> {
    /// Every event of the turns before this one.
    pub(crate) turns: u32,
    /// Logs, also of later turns.
    pub(crate) delivered: Option<&'a Delivered>,
}

impl Given<'_> {
    fn has(&self, turn: u32, log: &Log) -> bool {
        let parts = self.delivered.into_iter().flat_map(|known| &known.logs);
        parts
            .filter(|(given, _)| *given == turn)
            .any(|(_, logs)| logs.iter().any(|known| known.log_index == log.log_index))
    }
}

/// The cursor once the events of a block before `turn` have been taken back, or not been given
/// yet.
pub(crate) fn part(delivered: &Delivered, turn: u32) -> Cursor {
    Cursor::Part {
        block: delivered.block,
        parent_hash: delivered.parent_hash,
        turn,
    }
}

/// The cursor once a block has been taken back. Its parent may have left the chain with it, and
/// only by the parent's hash can be told from where on the new branch has not been given: further
/// down than this block, perhaps.
pub(crate) fn before(number: BlockNumber, delivered: Option<&Delivered>) -> Cursor {
    let parent = number.0.checked_sub(1).map(BlockNumber);
    match (parent, delivered) {
        (Some(number), Some(delivered)) => Cursor::Block(BlockRef {
            number,
            hash: delivered.parent_hash,
        }),
        _ => Cursor::Before(number),
    }
}

/// The last logs of `delivered` as they are taken back: newest first. Takes them off.
pub(crate) fn take_back(delivered: &mut Delivered) -> Option<Deal> {
    let (turn, logs) = delivered.logs.pop()?;
    let event = removed(logs);
    Some(Deal { turn, event })
}

/// Logs that are taken back, newest first.
fn removed(logs: Vec<Log>) -> Event {
    let removed = |log| Log {
        removed: true,
        ..log
    };
    Event::Logs(logs.into_iter().rev().map(removed).collect())
}

#[cfg(test)]
mod tests;
