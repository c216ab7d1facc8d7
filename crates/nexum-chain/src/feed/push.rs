//! Logs that a node pushes before their block has been asked for them (`eth_subscribe("logs")`).
//!
//! A push is only ever early, never the word: it may leave logs out, and it is believed only for
//! a block that the ring has. What it missed comes with the block's own logs.

use std::{
    collections::{BTreeSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use alloy_primitives::B256;
use nexum_types::{Block, Log, LogFilter};
use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout_at},
};

use super::{FeedBlock, Shared};
use crate::{backoff::Backoff, failure::Failure, header::Header, logs, provider::Node};

/// Blocks of which pushed logs are kept: those at the head, and those that are not known yet.
const KEPT_BLOCKS: usize = 16;
/// How much is kept of one block, in bytes. The rest comes with the block.
const KEPT_BYTES: usize = 1024 * 1024;
/// How often it is looked whether another endpoint should be listened to.
const REVIEW: Duration = Duration::from_secs(5);

/// What has been pushed lately, by block.
pub(super) struct Pushed {
    blocks: Mutex<VecDeque<Parts>>,
    /// Grows with each log.
    news: watch::Sender<u64>,
}

/// What has been pushed of one block.
struct Parts {
    hash: B256,
    /// In their order, each once.
    logs: Vec<Log>,
    bytes: usize,
}

impl Pushed {
    pub(super) fn new() -> Self {
        Self {
            blocks: Mutex::default(),
            news: watch::Sender::new(0),
        }
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<u64> {
        self.news.subscribe()
    }

    fn add(&self, log: Log) {
        {
            let mut blocks = self.lock();
            let hash = log.block_hash;
            let known = blocks.iter().position(|block| block.hash == hash);
            let index = known.unwrap_or_else(|| {
                if blocks.len() == KEPT_BLOCKS {
                    blocks.pop_front();
                }
                blocks.push_back(Parts {
                    hash,
                    logs: Vec::new(),
                    bytes: 0,
                });
                blocks.len() - 1
            });
            let block = &mut blocks[index];
            let place = block
                .logs
                .binary_search_by_key(&log.log_index, |log| log.log_index);
            let bytes = block.bytes + logs::weight(&log);
            match place {
                Err(place) if bytes <= KEPT_BYTES => {
                    block.logs.insert(place, log);
                    block.bytes = bytes;
                }
                // It is there, since several subscriptions match it, or there is no room.
                _ => return,
            }
        }
        self.news.send_modify(|news| *news += 1);
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Parts>> {
        // No change panics half-way.
        self.blocks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What one reader wants early, and what it has been given early of the block it waits for.
pub(super) struct Early {
    filters: Arc<[LogFilter]>,
    given: Option<(B256, BTreeSet<u32>)>,
}

impl Early {
    pub(super) fn new(filters: Vec<LogFilter>) -> Self {
        Self {
            filters: filters.into(),
            given: None,
        }
    }

    pub(super) fn filters(&self) -> &Arc<[LogFilter]> {
        &self.filters
    }

    pub(super) fn is_wanted(&self) -> bool {
        !self.filters.is_empty()
    }

    /// True where something of that block was given early: what becomes of it has to be told.
    pub(super) fn has_given(&self, hash: &B256) -> bool {
        let given = self.given.as_ref();
        given.is_some_and(|(block, logs)| block == hash && !logs.is_empty())
    }

    /// The block with the logs that were pushed since the last time, if there are any. Where the
    /// bloom is trusted, a log that it does not have is none of the block's.
    pub(super) fn take(
        &mut self,
        pushed: &Pushed,
        header: &Header,
        trust_bloom: bool,
    ) -> Option<Arc<FeedBlock>> {
        if !self.is_wanted() {
            return None;
        }
        let block: &Block = header;
        if self
            .given
            .as_ref()
            .is_none_or(|(hash, _)| *hash != block.hash)
        {
            self.given = Some((block.hash, BTreeSet::new()));
        }
        let (_, given) = self.given.as_mut()?;
        let bloom = header.bloom.as_deref().filter(|_| trust_bloom);
        let filters = &self.filters;
        let is_wanted = |log: &&Log| {
            log.block_number == block.number
                && filters.iter().any(|filter| filter.matches(log))
                && bloom.is_none_or(|bloom| bloom.contains_raw_log(log.address, &log.topics))
                && !given.contains(&log.log_index)
        };
        let fresh: Vec<Log> = {
            let blocks = pushed.lock();
            let parts = blocks.iter().find(|parts| parts.hash == block.hash)?;
            let fresh = parts.logs.iter().filter(is_wanted);
            fresh
                .map(|log| Log {
                    block_timestamp_ms: block.timestamp_ms,
                    ..log.clone()
                })
                .collect()
        };
        if fresh.is_empty() {
            return None;
        }
        given.extend(fresh.iter().map(|log| log.log_index));
        Some(Arc::new(FeedBlock {
            block: block.clone(),
            logs: fresh.into(),
        }))
    }
}

/// Listens for ever, as long as some reader wants to.
pub(super) async fn run(shared: Arc<Shared>) {
    let mut wanted = shared.registry.pushed();
    let mut wait = Backoff::new(Duration::from_millis(200), Duration::from_secs(10));
    loop {
        let filters = Arc::clone(&wanted.borrow_and_update());
        if filters.is_empty() {
            if wanted.changed().await.is_err() {
                return;
            }
            continue;
        }
        let ended = match announcer(&shared) {
            Some(node) => listen(&shared, node, &filters, &mut wanted, &mut wait).await,
            // Until one of them is well, logs come with their blocks.
            None => Err(Failure::Lost),
        };
        if let Err(failure) = ended {
            let chain = shared.source.chain();
            tracing::debug!(%chain, %failure, "no logs are pushed; they come with their blocks");
            sleep(wait.next_delay()).await;
        }
    }
}

/// The most preferred endpoint that can push.
fn announcer(shared: &Shared) -> Option<&Node> {
    let provider = &shared.source.provider;
    let mut passed = Vec::new();
    loop {
        let node = provider.preferred_but(&passed)?;
        if node.announces() {
            return Some(node);
        }
        passed.push(node);
    }
}

/// Takes what `node` pushes, until a failure, or until others or another node should be listened
/// to. Once it has subscribed, `wait` begins anew.
async fn listen(
    shared: &Shared,
    node: &Node,
    filters: &[LogFilter],
    wanted: &mut watch::Receiver<Arc<[LogFilter]>>,
    wait: &mut Backoff,
) -> Result<(), Failure> {
    let provider = &shared.source.provider;
    node.ready(provider.next_id()).await?;
    let mut pushes = node.subscribe_logs(filters, || provider.next_id()).await?;
    wait.reset();
    loop {
        let review = Instant::now() + REVIEW;
        let log = tokio::select! {
            log = timeout_at(review, pushes.next()) => log,
            _ = wanted.changed() => {
                wanted.mark_changed();
                return Ok(());
            }
        };
        match log {
            Ok(log) => {
                let log = log.map_err(|failure| node.failed(failure))?;
                let log = logs::parse_pushed(provider.chain(), &log);
                // What is removed again is told by the ring.
                if let Some(log) = log.map_err(|failure| node.failed(failure))? {
                    shared.pushed.add(log);
                }
            }
            Err(_) if announcer(shared).is_none_or(|other| !std::ptr::eq(other, node)) => {
                return Ok(());
            }
            Err(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use alloy_primitives::{Address, Bytes};
    use nexum_types::{BlockNumber, ChainId};

    use super::*;

    fn hash(number: u64) -> B256 {
        B256::with_last_byte(number as u8)
    }

    fn log(number: u64, index: u32, contract: u8) -> Log {
        Log {
            chain_id: ChainId(1),
            address: Address::repeat_byte(contract),
            topics: Vec::new(),
            data: Bytes::new(),
            block_number: BlockNumber(number),
            block_hash: hash(number),
            block_timestamp_ms: 0,
            transaction_hash: B256::ZERO,
            transaction_index: 0,
            log_index: index,
            removed: false,
        }
    }

    fn header(number: u64) -> Header {
        Header::from(Block {
            chain_id: ChainId(1),
            number: BlockNumber(number),
            hash: hash(number),
            parent_hash: hash(number - 1),
            timestamp_ms: 7_000,
        })
    }

    fn early(contract: u8) -> Early {
        Early::new(vec![LogFilter {
            addresses: vec![Address::repeat_byte(contract)],
            ..LogFilter::default()
        }])
    }

    fn taken(early: &mut Early, pushed: &Pushed, number: u64) -> Option<Vec<u32>> {
        let block = early.take(pushed, &header(number), false)?;
        assert!(block.logs.iter().all(|log| log.block_timestamp_ms == 7_000));
        Some(block.logs.iter().map(|log| log.log_index).collect())
    }

    #[test]
    fn a_log_is_given_once_and_in_order_however_often_it_is_pushed() {
        let (pushed, mut early) = (Pushed::new(), early(1));
        for (index, contract) in [(5, 1), (3, 1), (5, 1), (4, 2)] {
            pushed.add(log(9, index, contract));
        }
        assert_eq!(taken(&mut early, &pushed, 9), Some(vec![3, 5]));
        assert_eq!(taken(&mut early, &pushed, 9), None);
        pushed.add(log(9, 8, 1));
        assert_eq!(taken(&mut early, &pushed, 9), Some(vec![8]));
        assert_eq!(
            taken(&mut early, &pushed, 8),
            None,
            "nothing was pushed of it"
        );
    }

    #[test]
    fn a_log_is_no_more_than_its_block_and_its_bloom_allow() {
        let (pushed, mut early) = (Pushed::new(), early(1));
        let wrong_number = Log {
            block_hash: hash(9),
            ..log(8, 0, 1)
        };
        pushed.add(wrong_number);
        assert_eq!(taken(&mut early, &pushed, 9), None);
        pushed.add(log(9, 1, 1));
        let empty = Header {
            bloom: Some(Box::default()),
            ..header(9)
        };
        assert!(early.take(&pushed, &empty, true).is_none());
        assert!(early.take(&pushed, &empty, false).is_some());
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let pushed = Pushed::new();
        for number in 0..3 * KEPT_BLOCKS as u64 {
            pushed.add(log(number, 0, 1));
        }
        for index in 0..100 {
            let data = vec![0; KEPT_BYTES / 50].into();
            pushed.add(Log {
                data,
                ..log(200, index, 1)
            });
        }
        let blocks = pushed.lock();
        assert_eq!(blocks.len(), KEPT_BLOCKS);
        let last = blocks.back().unwrap();
        assert!(
            last.bytes <= KEPT_BYTES && last.logs.len() == 49,
            "{}",
            last.logs.len()
        );
    }
}
