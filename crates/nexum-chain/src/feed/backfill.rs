//! The past: what is older than the ring, for readers that are behind. Everything here is
//! further back than reorgs are followed.
//!
//! Readers share what is fetched: ranges of logs asked for with the filters of all of them, and
//! runs of headers. A reader holds one stretch at a time; what is fetched ahead waits on a shelf
//! of bounded size.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use alloy_primitives::B256;
use futures::future::try_join_all;
use nexum_types::{BlockNumber, BlockRef, Log};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::{
    FeedBlock,
    interest::{Plan, Registry},
    shelf::{Coming, Found, Shelf, Stretch},
    source::{Range, Source},
    width::{self, Verdict, Width},
};
use crate::{failure::Failure, header::Header, limits::BLOCKS_PER_BATCH};

/// How many stretches are fetched at the same time, and how many a reader has fetched ahead.
const IN_FLIGHT: usize = 4;
/// How many batches of headers a stretch of logs asks for at the same time.
const HEADER_BATCHES: usize = 8;
/// How much of the past is kept, of logs and of headers each.
const SHELF_BYTES: usize = 64 * 1024 * 1024;
/// An answer above this makes the ranges narrower, whatever the node would take.
const COMFORTABLE_BYTES: usize = 4 * 1024 * 1024;

/// How many wrong answers in a row are met by asking again at once.
const MAX_WRONG: u32 = 3;

/// Everything of a range that readers want.
pub(super) struct Segment {
    first: u64,
    /// The range's last block.
    pub(super) end: BlockRef,
    /// The blocks that hold logs, ascending.
    pub(super) blocks: Vec<Arc<FeedBlock>>,
    bytes: usize,
}

/// A run of blocks, each the parent of the next, without their logs.
pub(super) struct Run {
    first: u64,
    pub(super) blocks: Vec<Arc<FeedBlock>>,
}

impl Stretch for Segment {
    fn first(&self) -> u64 {
        self.first
    }

    fn last(&self) -> u64 {
        self.end.number.0
    }

    fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Stretch for Run {
    fn first(&self) -> u64 {
        self.first
    }

    fn last(&self) -> u64 {
        (self.first + self.blocks.len() as u64).saturating_sub(1)
    }

    fn bytes(&self) -> usize {
        self.blocks.len() * size_of::<FeedBlock>()
    }
}

impl Segment {
    /// The block of that number, where it holds logs.
    pub(super) fn get(&self, number: BlockNumber) -> Option<&Arc<FeedBlock>> {
        let index = self
            .blocks
            .binary_search_by_key(&number, |block| block.block.number);
        self.blocks.get(index.ok()?)
    }
}

impl Run {
    pub(super) fn get(&self, number: BlockNumber) -> Option<&Arc<FeedBlock>> {
        let index = number.0.checked_sub(self.first)?;
        self.blocks.get(usize::try_from(index).ok()?)
    }
}

/// The past of one chain. Clones share it.
#[derive(Clone)]
pub(super) struct Backfill(Arc<Inner>);

struct Inner {
    source: Source,
    registry: Arc<Registry>,
    segments: Shelf<Segment>,
    runs: Shelf<Run>,
    width: Mutex<Width>,
    permits: Semaphore,
    stop: CancellationToken,
}

impl Backfill {
    pub(super) fn new(
        source: Source,
        registry: Arc<Registry>,
        max_log_range: u64,
        stop: CancellationToken,
    ) -> Self {
        Self(Arc::new(Inner {
            source,
            registry,
            segments: Shelf::new(SHELF_BYTES),
            runs: Shelf::new(SHELF_BYTES),
            width: Mutex::new(Width::new(max_log_range)),
            permits: Semaphore::new(IN_FLIGHT),
            stop,
        }))
    }

    /// How many blocks one `eth_getLogs` asks for now.
    pub(super) fn width(&self) -> u64 {
        self.0.width().get()
    }

    /// The segment that has block `number`, for a reader that needs this generation; those after
    /// it, up to `limit`, are fetched meanwhile.
    pub(super) fn segment(&self, number: u64, limit: u64, needs: u64) -> Coming<Segment> {
        let wanted = self.find_segment(number, limit, needs);
        let width = self.width();
        let mut next = number;
        for _ in 1..IN_FLIGHT {
            next = end_of(next, width).saturating_add(1);
            if next > limit {
                break;
            }
            drop(self.find_segment(next, limit, needs));
        }
        wanted
    }

    fn find_segment(&self, number: u64, limit: u64, needs: u64) -> Coming<Segment> {
        let last = end_of(number, self.width()).min(limit);
        match self.0.segments.find(number, last, needs) {
            Found::Coming(coming) => coming,
            Found::Fetch(coming, order, last) => {
                let inner = Arc::clone(&self.0);
                self.spawn(async move {
                    let _permit = inner.permits.acquire().await;
                    // Not before: whoever has come meanwhile is served, too.
                    let plan = inner.segments.begin(&order, || {
                        let plan = inner.registry.plan();
                        (plan.generation, plan)
                    });
                    let fetched = inner.fetch_segment(&plan, number, last).await;
                    inner.segments.put(order, fetched);
                });
                coming
            }
        }
    }

    /// The run that has block `number`; those after it, up to `limit`, are fetched meanwhile.
    pub(super) fn run(&self, number: u64, limit: u64) -> Coming<Run> {
        let wanted = self.find_run(number, limit);
        let mut next = number;
        for _ in 1..IN_FLIGHT {
            next = end_of(next, BLOCKS_PER_BATCH as u64).saturating_add(1);
            if next > limit {
                break;
            }
            drop(self.find_run(next, limit));
        }
        wanted
    }

    fn find_run(&self, number: u64, limit: u64) -> Coming<Run> {
        let last = end_of(number, BLOCKS_PER_BATCH as u64).min(limit);
        match self.0.runs.find(number, last, 0) {
            Found::Coming(coming) => coming,
            Found::Fetch(coming, order, last) => {
                let inner = Arc::clone(&self.0);
                self.spawn(async move {
                    let fetched = inner.fetch_run(number, last).await;
                    inner.runs.put(order, fetched);
                });
                coming
            }
        }
    }

    /// Forgets what is known of this block: it contradicts what came before it.
    pub(super) fn forget(&self, number: BlockNumber) {
        self.0.segments.forget(number.0);
        self.0.runs.forget(number.0);
    }

    /// Forgets everything: the chain was reorganised further back than the past begins.
    pub(super) fn clear(&self) {
        self.0.segments.clear();
        self.0.runs.clear();
    }

    /// Fetches beside the readers, so that none of them has to be awake for it.
    fn spawn(&self, fetch: impl Future<Output = ()> + Send + 'static) {
        tokio::spawn(self.0.stop.clone().run_until_cancelled_owned(fetch));
    }
}

/// Where a stretch that has `number` ends: at the same places for all readers.
fn end_of(number: u64, width: u64) -> u64 {
    (number / width).saturating_add(1).saturating_mul(width) - 1
}

impl Inner {
    /// The segment from `first` on: up to `last`, or as far as the node takes.
    async fn fetch_segment(&self, plan: &Plan, first: u64, last: u64) -> Result<Segment, Failure> {
        let mut wrong = 0;
        loop {
            let asked = self.width().get().min(last - first + 1);
            let filters = &plan.filters;
            let fetched = match self.source.range(filters, first, first + asked - 1).await {
                Ok(range) => self.with_headers(first, range).await,
                Err(failure) => Err(failure),
            };
            match fetched {
                Ok(segment) => {
                    let mut width = self.width();
                    if segment.bytes > COMFORTABLE_BYTES {
                        width.refused(asked, None);
                    } else {
                        width.accepted(asked);
                    }
                    let blocks = (segment.last() + 1).saturating_sub(segment.first());
                    self.source.counters.backfilled.add(blocks);
                    return Ok(segment);
                }
                // The node that told it rests now: the next one is asked before it is back.
                Err(Failure::Malformed) if wrong < MAX_WRONG => wrong += 1,
                Err(failure) => self.narrow(asked, failure)?,
            }
        }
    }

    /// Makes the ranges narrower where that was the reason for the failure.
    fn narrow(&self, asked: u64, failure: Failure) -> Result<(), Failure> {
        let verdict = match &failure {
            Failure::Node(refusal) => width::read(refusal.code, &refusal.message),
            Failure::TooLarge | Failure::Timeout(_) => Verdict::TooMuch(None),
            _ => Verdict::Other,
        };
        let suggested = match verdict {
            Verdict::TooMuch(suggested) => suggested,
            Verdict::Other if matches!(failure, Failure::Node(_)) => None,
            Verdict::Other => return Err(failure),
        };
        self.source.counters.oddities.refused_ranges.one_more();
        if !self.width().refused(asked, suggested) {
            return Err(failure);
        }
        tracing::debug!(
            chain = %self.source.chain(), asked, now = self.width().get(), %failure,
            "the node does not search that many blocks; asking for fewer",
        );
        match (verdict, &failure) {
            // A node that does not answer in time is given some: the reader comes again, as it
            // does where the words are not known and it may have been something else.
            (Verdict::Other, _) | (_, Failure::Timeout(_)) => Err(failure),
            (Verdict::TooMuch(_), _) => Ok(()),
        }
    }

    async fn with_headers(&self, first: u64, range: Range) -> Result<Segment, Failure> {
        let Range { logs, end } = range;
        let bytes = logs.iter().map(crate::logs::weight).sum();
        let mut by_block: Vec<Vec<Log>> = Vec::new();
        for log in logs {
            match by_block.last_mut() {
                Some(block) if block[0].block_number == log.block_number => block.push(log),
                _ => by_block.push(vec![log]),
            }
        }
        let mut headers: HashMap<B256, Header> = HashMap::with_capacity(by_block.len());
        let end_ref = end.block_ref();
        let missing: Vec<u64> = by_block
            .iter()
            .map(|logs| logs[0].block_number)
            .filter(|number| *number != end_ref.number)
            .map(|number| number.0)
            .collect();
        headers.insert(end.hash, end);
        for wave in missing.chunks(BLOCKS_PER_BATCH * HEADER_BATCHES) {
            let batches = wave.chunks(BLOCKS_PER_BATCH);
            let asked = batches.map(|batch| self.source.headers(batch.iter().copied()));
            let answered = try_join_all(asked).await?;
            headers.extend(
                answered
                    .into_iter()
                    .flatten()
                    .flatten()
                    .map(|header| (header.hash, header)),
            );
        }
        let blocks = by_block.into_iter().map(|mut logs| {
            let known = headers.get(&logs[0].block_hash);
            let header = known.ok_or_else(|| self.source.contradicted())?;
            for log in &mut logs {
                log.block_timestamp_ms = header.timestamp_ms;
            }
            Ok(Arc::new(FeedBlock {
                block: header.block.clone(),
                logs: logs.into(),
            }))
        });
        let blocks = blocks.collect::<Result<Vec<_>, Failure>>()?;
        Ok(Segment {
            first,
            end: end_ref,
            blocks,
            bytes,
        })
    }

    async fn fetch_run(&self, first: u64, last: u64) -> Result<Run, Failure> {
        let _permit = self.permits.acquire().await;
        let headers = self.source.linked_headers(first, last).await?;
        self.source.counters.backfilled.add(headers.len() as u64);
        let blocks = headers.into_iter().map(|header| {
            Arc::new(FeedBlock {
                block: header.block,
                logs: Arc::default(),
            })
        });
        Ok(Run {
            first,
            blocks: blocks.collect(),
        })
    }

    fn width(&self) -> MutexGuard<'_, Width> {
        // No change panics half-way.
        self.width.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stretches_end_at_the_same_places_whoever_asks() {
        assert_eq!(
            (end_of(0, 100), end_of(7, 100), end_of(99, 100)),
            (99, 99, 99)
        );
        assert_eq!((end_of(100, 100), end_of(5, 1)), (199, 5));
    }
}
