//! From the scripted chains to the module: which events, in the engine's order.

use std::{collections::BTreeMap, sync::Arc};

use nexum_manifest::{
    BlockSubscription, CronSubscription, LogSubscription, Missed, ModuleManifest, Start,
    Subscription,
};
use nexum_testkit::{ChainBlock, ScriptedChain};
use nexum_types::{ChainId, Depth};

use super::chains::Chains;
use crate::{Block, Event, Log, Tick};

/// What one module gets, from all of its chains.
pub(super) struct Router {
    sources: BTreeMap<(ChainId, Depth), Source>,
    timers: Vec<Timer>,
}

/// A schedule, and when it was due last.
struct Timer {
    cron: CronSubscription,
    done_ms: u64,
}

/// What it gets from one chain, at one depth.
#[derive(Default)]
struct Source {
    blocks: Vec<BlockSubscription>,
    logs: Vec<LogSubscription>,
    /// Where `start = "latest"` is: the head when the module began.
    latest: u64,
    /// The number of the next block.
    next: u64,
    /// What was given, oldest first, while it can leave the chain.
    given: Vec<Given>,
}

struct Given {
    block: Arc<ChainBlock>,
    /// By subscription, in the order of delivery.
    logs: Vec<Vec<Log>>,
}

impl Router {
    /// The routes of a module that begins now.
    pub(super) fn new(manifest: &ModuleManifest, chains: &mut Chains, now_ms: u64) -> Self {
        let mut timers = Vec::new();
        let mut sources: BTreeMap<_, Source> = BTreeMap::new();
        for subscription in &manifest.subscriptions {
            match subscription {
                Subscription::Block(block) => {
                    let source = sources.entry((block.chain_id, block.depth)).or_default();
                    source.blocks.push(*block);
                }
                Subscription::Log(log) => {
                    let source = sources.entry((log.chain_id, log.depth)).or_default();
                    source.logs.push(log.clone());
                }
                Subscription::Cron(cron) => timers.push(Timer {
                    cron: cron.clone(),
                    done_ms: now_ms,
                }),
            }
        }
        for ((chain_id, depth), source) in &mut sources {
            source.begin(tip(&chains.chain(chain_id.0), *depth).unwrap_or_default());
        }
        Self { sources, timers }
    }

    /// When a schedule is due next, by the text that its ticks have; the texts of all schedules
    /// where none is like that.
    pub(super) fn next_tick(&self, schedule: &str) -> Result<Option<u64>, Vec<&str>> {
        let text = |timer: &'_ Timer| timer.cron.schedule.text() == schedule;
        match self.timers.iter().find(|timer| text(timer)) {
            Some(timer) => Ok(timer.cron.schedule.next_after(timer.done_ms)),
            None => Err(self
                .timers
                .iter()
                .map(|timer| timer.cron.schedule.text())
                .collect()),
        }
    }

    /// The ticks that are due by now, in order.
    pub(super) fn ticks(&mut self, now_ms: u64) -> Vec<Event> {
        let mut due = Vec::new();
        for (index, timer) in self.timers.iter_mut().enumerate() {
            let schedule = &timer.cron.schedule;
            let next = |after| schedule.next_after(after).filter(|next| *next <= now_ms);
            let mut ticks = Vec::new();
            while let Some(first_ms) = next(timer.done_ms) {
                let at_ms = match timer.cron.missed {
                    Missed::All => first_ms,
                    // Nothing was down or busy: but the last, all came while nobody looked.
                    Missed::Skip | Missed::Once => schedule
                        .last_until(now_ms)
                        .unwrap_or(first_ms)
                        .max(first_ms),
                };
                timer.done_ms = at_ms;
                ticks.push(at_ms);
            }
            due.extend(ticks.into_iter().map(|at_ms| (at_ms, index)));
        }
        due.sort_unstable();
        let tick = |(fired_at, index): (u64, usize)| {
            Event::Tick(Tick {
                fired_at,
                schedule: self.timers[index].cron.schedule.text().to_owned(),
            })
        };
        due.into_iter().map(tick).collect()
    }

    /// Everything that has become due, in order.
    pub(super) fn due(&mut self, chains: &mut Chains) -> Vec<Event> {
        let mut due = Vec::new();
        for ((chain_id, depth), source) in &mut self.sources {
            source.collect(&chains.chain(chain_id.0), *depth, &mut due);
        }
        due
    }
}

/// The newest block that is as sure as `depth` asks; none where there is none yet.
fn tip(chain: &ScriptedChain, depth: Depth) -> Option<u64> {
    let head = chain.head().number;
    match depth {
        Depth::Head => Some(head),
        Depth::Confirmations(blocks) => head.checked_sub(blocks.into()),
        Depth::Safe => Some(chain.safe().number),
        Depth::Finalized => Some(chain.finalized().number),
    }
}

impl Source {
    /// The genesis block was there before the module, as in a mock run of the engine.
    fn begin(&mut self, head: u64) {
        let latest = head.max(1);
        let blocks = self.blocks.iter().map(|block| block.start);
        let starts = blocks.chain(self.logs.iter().map(|log| log.start));
        let first = starts.map(|start| match start {
            Start::Latest => latest,
            Start::Number(number) => number.0.max(1),
        });
        self.latest = latest;
        self.next = first.min().unwrap_or(latest);
    }

    fn collect(&mut self, chain: &ScriptedChain, depth: Depth, due: &mut Vec<Event>) {
        let Some(tip) = tip(chain, depth) else { return };
        if depth == Depth::Head {
            // A head that only went back has no branch to take instead yet.
            let is_known =
                |head: &ChainBlock| self.given.iter().any(|given| given.block.hash == head.hash);
            if tip + 1 < self.next && is_known(&chain.head()) {
                return;
            }
            self.take_back(chain, due);
        }
        while self.next <= tip {
            let Some(block) = chain.block(self.next) else {
                return;
            };
            self.deal(chain.chain_id(), &block, due);
            self.next += 1;
        }
    }

    /// The logs of the blocks that have left the chain, newest first.
    fn take_back(&mut self, chain: &ScriptedChain, due: &mut Vec<Event>) {
        let has_left = |given: &mut Given| {
            let canonical = chain.block(given.block.number);
            canonical.is_none_or(|canonical| canonical.hash != given.block.hash)
        };
        while let Some(given) = self.given.pop_if(has_left) {
            self.next = given.block.number;
            for logs in given.logs.into_iter().rev().filter(|logs| !logs.is_empty()) {
                let removed = |log| Log {
                    removed: true,
                    ..log
                };
                due.push(Event::Logs(logs.into_iter().rev().map(removed).collect()));
            }
        }
    }

    fn deal(&mut self, chain_id: u64, block: &Arc<ChainBlock>, due: &mut Vec<Event>) {
        let number = block.number;
        let has_begun = |start: Start| match start {
            Start::Latest => self.latest <= number,
            Start::Number(start) => start.0 <= number,
        };
        for subscription in &self.blocks {
            if has_begun(subscription.start) && number.is_multiple_of(subscription.every.get()) {
                due.push(Event::Block(Block {
                    chain_id,
                    number,
                    hash: block.hash,
                    parent_hash: block.parent_hash,
                    timestamp: block.timestamp.saturating_mul(1000),
                }));
            }
        }
        let all = logs_of(chain_id, block);
        let mut given = Vec::new();
        for subscription in &self.logs {
            let wanted = |(_, log): &&(Log, nexum_types::Log)| {
                has_begun(subscription.start) && subscription.filter.matches(log)
            };
            let logs: Vec<_> = all
                .iter()
                .filter(wanted)
                .map(|(log, _)| log.clone())
                .collect();
            if !logs.is_empty() {
                due.push(Event::Logs(logs.clone()));
            }
            given.push(logs);
        }
        self.given.push(Given {
            block: Arc::clone(block),
            logs: given,
        });
    }
}

/// The logs of a block, as a module sees them and as filters do.
fn logs_of(chain_id: u64, block: &ChainBlock) -> Vec<(Log, nexum_types::Log)> {
    let timestamp = block.timestamp.saturating_mul(1000);
    (0..)
        .zip(&block.logs)
        .map(|(log_index, log)| {
            let seen = Log {
                chain_id,
                address: log.address,
                topics: log.topics.clone(),
                data: log.data.clone(),
                block_number: block.number,
                block_hash: block.hash,
                block_timestamp: timestamp,
                transaction_hash: log.transaction_hash,
                transaction_index: log.transaction_index,
                log_index,
                removed: false,
            };
            let filtered = nexum_types::Log {
                chain_id: chain_id.into(),
                address: log.address,
                topics: log.topics.clone(),
                data: log.data.clone(),
                block_number: block.number.into(),
                block_hash: block.hash,
                block_timestamp_ms: timestamp,
                transaction_hash: log.transaction_hash,
                transaction_index: log.transaction_index,
                log_index,
                removed: false,
            };
            (seen, filtered)
        })
        .collect()
}
