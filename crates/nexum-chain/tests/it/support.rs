//! What the tests share: a chain with its server, and waiting with a deadline.

use std::{future::Future, time::Duration};

use nexum_chain::{Chains, Feed, FeedBlock, FeedItem, FeedReader, Interest, Position};
use nexum_manifest::{ChainSettings, Endpoint, OnLag};
use nexum_testkit::{ChainBlock, RpcServer, ScriptedChain};
use nexum_types::{Block, BlockNumber, BlockRef, ChainId, Depth, LogFilter};
use tokio_util::sync::{CancellationToken, DropGuard};

pub(crate) const CHAIN: ChainId = ChainId(31337);

/// Longer than anything here takes on a slow machine.
const DEADLINE: Duration = Duration::from_secs(30);

#[derive(Debug, Clone, Copy)]
pub(crate) enum Via {
    Http,
    Ws,
}

pub(crate) const BOTH: [Via; 2] = [Via::Http, Via::Ws];

impl Via {
    pub(crate) fn url(self, server: &RpcServer) -> String {
        match self {
            Self::Http => server.http_url(),
            Self::Ws => server.ws_url(),
        }
    }
}

pub(crate) fn settings<S: AsRef<str>>(urls: &[S]) -> ChainSettings {
    let endpoint = |(priority, url): (usize, &S)| Endpoint {
        priority: priority as u32,
        ..Endpoint::new(url.as_ref().parse().unwrap())
    };
    ChainSettings {
        poll_interval: Duration::from_millis(20),
        request_timeout: Duration::from_secs(5),
        ..ChainSettings::new(CHAIN, urls.iter().enumerate().map(endpoint).collect())
    }
}

pub(crate) async fn server(blocks: u64) -> RpcServer {
    let chain = ScriptedChain::new(CHAIN.0);
    chain.mine(blocks);
    RpcServer::start(chain).await.unwrap()
}

/// A running feed. Stops when dropped.
pub(crate) struct Rig {
    pub(crate) feed: Feed,
    _stop: DropGuard,
}

impl Rig {
    pub(crate) fn start<S: AsRef<str>>(urls: &[S]) -> Self {
        Self::with(settings(urls))
    }

    pub(crate) fn with(settings: ChainSettings) -> Self {
        let stop = CancellationToken::new();
        let chains = Chains::new([settings]).unwrap();
        let feed = chains.feed(CHAIN, stop.clone()).unwrap();
        Self {
            feed,
            _stop: stop.drop_guard(),
        }
    }

    pub(crate) fn over(server: &RpcServer, via: Via) -> Self {
        Self::start(&[via.url(server)])
    }

    pub(crate) async fn head_is(&self, block: &ChainBlock) {
        until(|| self.feed.head() == Some(block_ref(block))).await;
    }
}

pub(crate) fn block_ref(block: &ChainBlock) -> BlockRef {
    BlockRef {
        number: BlockNumber(block.number),
        hash: block.hash,
    }
}

pub(crate) fn at(number: u64) -> Position {
    Position::At(BlockNumber(number))
}

/// The future's output, which must come in time.
pub(crate) async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, future)
        .await
        .expect("it did not happen in time")
}

/// Waits until `condition` holds.
pub(crate) async fn until(condition: impl Fn() -> bool) {
    within(async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
}

/// The next item, which must be a block; on the way to it, blocks may be passed over.
pub(crate) async fn next_block(reader: &mut FeedReader) -> std::sync::Arc<FeedBlock> {
    loop {
        match within(reader.next()).await {
            FeedItem::Block(block) => return block,
            FeedItem::Progress(_) => {}
            other => panic!("not a block: {other:?}"),
        }
    }
}

/// The next item, which must be a block.
pub(crate) async fn next(reader: &mut FeedReader) -> Block {
    next_block(reader).await.block.clone()
}

/// The next items, which must take back these blocks, in this order.
pub(crate) async fn taken_back(reader: &mut FeedReader, blocks: &[BlockRef]) {
    for block in blocks {
        assert_eq!(within(reader.next()).await, FeedItem::Reverted(*block));
    }
}

/// Every block, and no logs.
pub(crate) fn blocks() -> Interest {
    Interest {
        blocks: true,
        logs: Vec::new(),
        pushed: Vec::new(),
        depth: Depth::Head,
        on_lag: OnLag::CatchUp,
    }
}

/// The logs that match, and no other blocks.
pub(crate) fn logs(filters: impl IntoIterator<Item = LogFilter>) -> Interest {
    Interest {
        blocks: false,
        logs: filters.into_iter().collect(),
        ..blocks()
    }
}

/// After this block, with that delivered before.
pub(crate) fn after(block: BlockRef, delivered: &[BlockRef]) -> Position {
    Position::After {
        block,
        delivered: delivered.to_vec(),
    }
}

/// Reads up to the chain's head, and checks that each block is the canonical one of its number,
/// from `first` on without a gap.
pub(crate) async fn read_to_head(reader: &mut FeedReader, chain: &ScriptedChain, first: u64) {
    for number in first..=chain.head().number {
        assert_is(&next(reader).await, &chain.block(number).unwrap());
    }
}

pub(crate) fn assert_is(block: &Block, expected: &ChainBlock) {
    assert_eq!(block.block_ref(), block_ref(expected));
    assert_eq!(block.parent_hash, expected.parent_hash);
    assert_eq!(block.timestamp_ms, expected.timestamp * 1000);
}
