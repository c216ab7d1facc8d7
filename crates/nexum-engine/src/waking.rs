//! What wakes a worker whose module runs: items of its feeds, ticks, orders, and the time to flush.

use std::{future, sync::Arc};

use futures::FutureExt as _;
use nexum_chain::FeedItem;
use nexum_types::Cursor;

use crate::{
    command::Command,
    committing::blocking,
    failure::Failure,
    inlet::{Inlet, next_item},
    lifecycle::Happened,
    timetable::{Due, Timetable},
    withdrawal::Withdrawal,
    worker::{Next, Running, Worker, at},
};

/// All that can wake a running worker.
enum Wake {
    Item(usize, FeedItem),
    Tick(Due),
    Command(Command),
    /// What was asked for and has to wait is not asked for any more.
    Withdrawn,
    FlushDue,
    Stop,
}

impl Worker {
    /// Goes on until an event has been delivered, or something else has happened.
    pub(crate) async fn deliver_next(&mut self, module: &mut Running) -> Result<Next, Failure> {
        loop {
            let asked = self
                .asked
                .take_if(|asked| !asked.waits_for_block(&self.inlets));
            if let Some(command) = asked {
                return Ok(Next::Command(command));
            }
            let withdrawal = self.asked.as_ref().and_then(Command::withdrawal);
            let wake = tokio::select! {
                biased;
                () = self.stop.cancelled() => Wake::Stop,
                () = at(module.flush_at) => Wake::FlushDue,
                Some(command) = self.commands.recv(), if self.asked.is_none() => Wake::Command(command),
                () = withdrawn(withdrawal) => Wake::Withdrawn,
                wake = next_event(&mut self.inlets, self.turn, &mut self.timetable, self.was_tick) => wake,
            };
            match wake {
                Wake::Stop => return Ok(Next::Happened(Happened::StopAsked)),
                Wake::Command(command) => self.asked = Some(command),
                Wake::Withdrawn => self.asked = None,
                Wake::FlushDue => {
                    let store = module.store.clone();
                    blocking(move || store.flush()).await?;
                    self.plan_flush(module);
                }
                Wake::Tick(due) => {
                    self.was_tick = true;
                    let given = self.take_tick(module, due).await?;
                    self.plan_flush(module);
                    if given {
                        return Ok(Next::Happened(Happened::Delivered));
                    }
                }
                Wake::Item(inlet, item) => {
                    self.was_tick = false;
                    self.turn = inlet + 1;
                    let given = self.take(module, inlet, item).await?;
                    self.plan_flush(module);
                    if given {
                        return Ok(Next::Happened(Happened::Delivered));
                    }
                }
            }
        }
    }

    /// Gives the module a tick, or leaves it out. True where it was given.
    async fn take_tick(&mut self, module: &mut Running, due: Due) -> Result<bool, Failure> {
        let step = self.timetable.step(due);
        if due.missed > 0 {
            tracing::warn!(
                module = %self.name, source = %step.0, ticks = due.missed,
                "ticks were missed and are left out, as the manifest says"
            );
            self.status.missed(due.missed);
        }
        if due.is_given {
            let late = self.timetable.late(due);
            self.available_since =
                late.and_then(|late| std::time::Instant::now().checked_sub(late));
            let event = self.timetable.event(due);
            // Whatever the call leaves behind goes to the disk with it.
            module.store.note(self.timetable.begun(due).into());
            self.give(module, &event, 0, step.into()).await?;
        } else {
            self.note(module, step);
        }
        self.timetable.passed(due);
        Ok(due.is_given)
    }

    /// Does what an item of a feed asks for. True where the module was given an event.
    async fn take(
        &mut self,
        module: &mut Running,
        inlet: usize,
        item: FeedItem,
    ) -> Result<bool, Failure> {
        let open = self.inlets[inlet].open.take();
        let mut given = false;
        let mut turns = None;
        if let Some((block, before)) = open {
            let goes_on = match &item {
                FeedItem::Block(more) | FeedItem::Early(more) => more.block.block_ref() == block,
                _ => false,
            };
            if goes_on {
                turns = Some(before);
            } else {
                given |= self.take_back(module, inlet, block.number, before).await?;
            }
        }
        let source = self.inlets[inlet].route.source();
        self.available_since = self.inlets[inlet].available_since(&item);
        match item {
            FeedItem::Block(block) => {
                given |= self.give_block(module, inlet, &block, turns).await?;
            }
            FeedItem::Early(block) if self.inlets[inlet].holds_back => {
                self.inlets[inlet].open = turns.map(|turns| (block.block.block_ref(), turns));
            }
            FeedItem::Early(block) => {
                given |= self.give_early(module, inlet, &block, turns).await?;
            }
            FeedItem::Reverted(block) => {
                given |= self
                    .take_back(module, inlet, block.number, u32::MAX)
                    .await?;
            }
            FeedItem::Progress(block) => {
                self.note(module, (source, Cursor::Block(block)));
            }
            FeedItem::Skipped { first, last } => {
                let blocks = last.0.saturating_sub(first.0) + 1;
                tracing::warn!(
                    module = %self.name, %source, %first, %last, blocks,
                    "the module is too far behind and skips to the head, as its manifest says"
                );
                self.status.skipped(blocks);
                self.note(module, (source, Cursor::Before(last.next())));
            }
            FeedItem::BeyondWindow { from } => {
                let error = format!(
                    "{source} has been reorganised deeper than its window, below block {}; \
                     the module gets nothing of it until `nexum module resync {} --chain … --at …`",
                    from.number, self.name
                );
                tracing::error!(module = %self.name, %source, block = %from.number, hash = %from.hash, "{error}");
                self.status.stalled(error);
            }
        }
        Ok(given)
    }
}

/// What comes next of feeds and schedules. Neither keeps the other waiting, however far behind it
/// is: after a tick it is the feeds' turn.
async fn next_event(
    inlets: &mut [Inlet],
    turn: usize,
    timetable: &mut Timetable,
    was_tick: bool,
) -> Wake {
    let items = next_item(inlets, turn).map(|(inlet, item)| Wake::Item(inlet, item));
    let ticks = timetable.next().map(Wake::Tick);
    if was_tick {
        tokio::select! {
            biased;
            item = items => item,
            tick = ticks => tick,
        }
    } else {
        tokio::select! {
            biased;
            tick = ticks => tick,
            item = items => item,
        }
    }
}

/// Comes once what was asked for is taken back, where that can be.
async fn withdrawn(withdrawal: Option<Arc<Withdrawal>>) {
    match withdrawal {
        Some(withdrawal) => withdrawal.withdrawn().await,
        None => future::pending().await,
    }
}
