//! What becomes of one block at a worker: its events are given, early or when they are all
//! there, and taken back when it leaves the chain. Each event is one call with one commit, and a
//! failure leaves the cursor where the last one has put it.

use nexum_chain::FeedBlock;
use nexum_store::{History, Step};
use nexum_types::{BlockNumber, Cursor, Delivered, Event, Source};

use crate::{
    failure::Failure,
    route::{self, Deal, Given},
    worker::{Running, Worker},
};

impl Worker {
    /// Gives the module the events of a block. `turns`: where it was given some of them before,
    /// the turns that are done.
    pub(crate) async fn give_block(
        &mut self,
        module: &mut Running,
        inlet: usize,
        block: &FeedBlock,
        turns: Option<u32>,
    ) -> Result<bool, Failure> {
        let route = &self.inlets[inlet].route;
        let (source, block_ref) = (route.source(), block.block.block_ref());
        let mut delivered = known(module, source, block, turns)?;
        let turns = turns.unwrap_or(0);
        let refuted = route.refuted(&mut delivered, block);
        let given = Given {
            turns,
            delivered: Some(&delivered),
        };
        let deals = route.deals(block, &given);
        let mut has_given = false;
        for Deal { turn, event } in refuted {
            let cursor = route::part(&delivered, turns);
            self.give_part(module, inlet, Deal { turn, event }, cursor, &delivered)
                .await?;
            has_given = true;
        }
        let Some(last) = deals.last().map(|deal| deal.turn) else {
            self.note(module, (source, Cursor::Block(block_ref)));
            self.inlets[inlet].holds_back = false;
            return Ok(has_given);
        };
        for Deal { turn, event } in deals {
            remember(&mut delivered, turn, &event);
            let cursor = if turn == last {
                Cursor::Block(block_ref)
            } else {
                route::part(&delivered, turn + 1)
            };
            self.give_part(module, inlet, Deal { turn, event }, cursor, &delivered)
                .await?;
            if turn != last && self.stop.is_cancelled() {
                return Ok(true);
            }
        }
        self.inlets[inlet].holds_back = false;
        Ok(true)
    }

    /// Gives the module what a node has pushed of a block: the block itself, if it has not been
    /// given yet, and the logs. The rest of the block is still to come.
    pub(crate) async fn give_early(
        &mut self,
        module: &mut Running,
        inlet: usize,
        block: &FeedBlock,
        turns: Option<u32>,
    ) -> Result<bool, Failure> {
        let route = &self.inlets[inlet].route;
        let source = route.source();
        let first_log_turn = route.first_log_turn();
        let mut delivered = known(module, source, block, turns)?;
        let has_begun = turns.is_some();
        let mut turns = turns.unwrap_or(0);
        let given = Given {
            turns,
            delivered: Some(&delivered),
        };
        let deals = route.early_deals(block, &given);
        let has_given = !deals.is_empty();
        for Deal { turn, event } in deals {
            remember(&mut delivered, turn, &event);
            // Logs that are early leave their turn, and those before it, open.
            turns = match event {
                Event::Block(_) => turn + 1,
                Event::Logs(_) | Event::Tick(_) => turns.max(first_log_turn),
            };
            let cursor = route::part(&delivered, turns);
            let deal = Deal { turn, event };
            let given = self.give_part(module, inlet, deal, cursor, &delivered);
            if let Err(failure) = given.await {
                // What fails early is left to the block's own logs, and parked only among them.
                self.inlets[inlet].holds_back = true;
                self.failing.passed(source);
                return Err(failure);
            }
            if self.stop.is_cancelled() {
                break;
            }
        }
        if has_given || has_begun {
            self.inlets[inlet].open = Some((block.block.block_ref(), turns));
        }
        Ok(has_given)
    }

    /// Gives the module the logs of a block that has left the chain once more, as removed, each
    /// with a commit of its own. `turns`: the turns of the block that were done.
    pub(crate) async fn take_back(
        &mut self,
        module: &mut Running,
        inlet: usize,
        number: BlockNumber,
        turns: u32,
    ) -> Result<bool, Failure> {
        let source = self.inlets[inlet].route.source();
        self.retract(module, source, number).await?;
        let known = module.store.delivered(source, number);
        let known = known.map_err(Failure::Store)?;
        let forget = Step {
            source,
            cursor: route::before(number, known.as_ref()),
            history: History::Forget { from: number },
        };
        let Some(mut delivered) = known.filter(|delivered| !delivered.logs.is_empty()) else {
            self.note(module, forget);
            return Ok(false);
        };
        while let Some(Deal { turn, event }) = route::take_back(&mut delivered) {
            if delivered.logs.is_empty() {
                self.give(module, &event, turn, forget.clone()).await?;
                continue;
            }
            let cursor = route::part(&delivered, turn.min(turns));
            self.give_part(module, inlet, Deal { turn, event }, cursor, &delivered)
                .await?;
        }
        Ok(true)
    }

    /// One event, with what has been given of its block so far.
    async fn give_part(
        &mut self,
        module: &mut Running,
        inlet: usize,
        deal: Deal,
        cursor: Cursor,
        delivered: &Delivered,
    ) -> Result<(), Failure> {
        let Deal { turn, event } = deal;
        let inlet = &self.inlets[inlet];
        let step = Step {
            source: inlet.route.source(),
            cursor,
            history: inlet.history(delivered),
        };
        self.give(module, &event, turn, step).await
    }
}

/// What the module has been given of a block so far. `turns`: none where it has not begun with it.
fn known(
    module: &Running,
    source: Source,
    block: &FeedBlock,
    turns: Option<u32>,
) -> Result<Delivered, Failure> {
    let block_ref = block.block.block_ref();
    let known = match turns {
        None => None,
        Some(_) => module
            .store
            .delivered(source, block_ref.number)
            .map_err(Failure::Store)?,
    };
    Ok(known.unwrap_or(Delivered {
        block: block_ref,
        parent_hash: block.block.parent_hash,
        logs: Vec::new(),
    }))
}

fn remember(delivered: &mut Delivered, turn: u32, event: &Event) {
    if let Event::Logs(logs) = event {
        delivered.logs.push((turn, logs.clone()));
    }
}
