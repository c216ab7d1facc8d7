//! A chain with its server, a feed over it, and the bare loop it is compared with.

use std::time::Duration;

use nexum_chain::{Chains, Feed, FeedItem, Interest, Position};
use nexum_manifest::{ChainSettings, Endpoint, OnLag};
use nexum_testkit::{Address, NewLog, RpcServer, ScriptedChain, keccak256};
use nexum_types::{BlockNumber, ChainId, Depth, LogFilter};
use serde_json::{Value, json};
use tokio_util::sync::{CancellationToken, DropGuard};

pub(crate) const CHAIN: ChainId = ChainId(31337);
pub(crate) const EVENT: &str = "Transfer(address,address,uint256)";

pub(crate) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap()
}

pub(crate) fn settings(url: &str) -> ChainSettings {
    let endpoint = Endpoint::new(url.parse().unwrap());
    ChainSettings::new(CHAIN, vec![endpoint])
}

/// A running feed. Stops when dropped.
pub(crate) struct Running {
    pub(crate) feed: Feed,
    _stop: DropGuard,
}

impl Running {
    pub(crate) fn start(settings: ChainSettings) -> Self {
        let stop = CancellationToken::new();
        let chains = Chains::new([settings]).unwrap();
        let feed = chains.feed(CHAIN, stop.clone()).unwrap();
        Self {
            feed,
            _stop: stop.drop_guard(),
        }
    }

    /// A feed that knows the head.
    pub(crate) async fn at_head(server: &RpcServer) -> Self {
        let running = Self::start(settings(&server.http_url()));
        while running.feed.head().is_none() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        running
    }

    /// Reads all blocks with matching logs; answers how many matching logs there were.
    pub(crate) async fn read_past(&self, last: u64, filter: &LogFilter) -> usize {
        let interest = Interest {
            blocks: false,
            logs: vec![filter.clone()],
            ..every_block()
        };
        let mut reader = self.feed.reader(Position::At(BlockNumber(1)), interest);
        let mut found = 0;
        loop {
            let reached = match reader.next().await {
                FeedItem::Block(block) => {
                    let matching = block.logs.iter().filter(|log| filter.matches(log));
                    found += matching.count();
                    block.block.number
                }
                FeedItem::Progress(block) => block.number,
                other => panic!("not the past: {other:?}"),
            };
            if reached.0 >= last {
                return found;
            }
        }
    }
}

pub(crate) fn every_block() -> Interest {
    Interest {
        blocks: true,
        logs: Vec::new(),
        pushed: Vec::new(),
        depth: Depth::Head,
        on_lag: OnLag::CatchUp,
    }
}

pub(crate) fn contract(number: usize) -> Address {
    Address::left_padding_from(&(number as u64 + 1).to_be_bytes())
}

/// The transfers of one contract.
pub(crate) fn transfers(number: usize) -> LogFilter {
    LogFilter {
        addresses: vec![contract(number)],
        topics: [vec![keccak256(EVENT)], vec![], vec![], vec![]],
    }
}

/// A chain whose block `number` has `logs(number)` logs, those of the contracts in turn, up to
/// `last`; and behind it as many empty blocks as reorgs are followed, so that all of the former
/// are in the past.
pub(crate) async fn serve(last: u64, contracts: usize, logs: impl Fn(u64) -> usize) -> RpcServer {
    let chain = ScriptedChain::new(CHAIN.0);
    let mut emitted = 0;
    chain.at_once(|branch| {
        for number in 1..=last {
            for _ in 0..logs(number) {
                let data = vec![0x5a; 64];
                branch.log(NewLog::of(contract(emitted % contracts), EVENT).data(data));
                emitted += 1;
            }
            branch.mine(1);
        }
        branch.mine(400);
    });
    RpcServer::start(chain).await.unwrap()
}

/// What anyone would write first: range after range with `eth_getLogs`, nothing checked, the
/// answer parsed as JSON. Answers how many logs there were.
pub(crate) async fn bare_loop(
    client: &reqwest::Client,
    url: &str,
    last: u64,
    width: u64,
    filter: &LogFilter,
) -> usize {
    let mut found = 0;
    for first in (1..=last).step_by(width as usize) {
        found += bare_range(client, url, first, last.min(first + width - 1), filter)
            .await
            .len();
    }
    found
}

/// The same for who needs the blocks of the logs, too, as the contract gives them: their headers
/// in batches.
pub(crate) async fn bare_loop_with_headers(
    client: &reqwest::Client,
    url: &str,
    last: u64,
    width: u64,
    filter: &LogFilter,
) -> usize {
    let mut found = 0;
    for first in (1..=last).step_by(width as usize) {
        let logs = bare_range(client, url, first, last.min(first + width - 1), filter).await;
        let mut numbers: Vec<_> = logs.iter().map(|log| log["blockNumber"].clone()).collect();
        numbers.dedup();
        for numbers in numbers.chunks(Endpoint::DEFAULT_MAX_BATCH) {
            let questions = numbers.iter().enumerate().map(|(id, number)| {
                json!({
                    "jsonrpc": "2.0", "id": id, "method": "eth_getBlockByNumber",
                    "params": [number, false],
                })
            });
            let answers = ask(client, url, &questions.collect()).await;
            assert_eq!(answers.as_array().unwrap().len(), numbers.len());
        }
        found += logs.len();
    }
    found
}

async fn bare_range(
    client: &reqwest::Client,
    url: &str,
    first: u64,
    last: u64,
    filter: &LogFilter,
) -> Vec<Value> {
    let question = json!({
        "jsonrpc": "2.0", "id": first, "method": "eth_getLogs",
        "params": [{
            "fromBlock": format!("{first:#x}"), "toBlock": format!("{last:#x}"),
            "address": filter.addresses, "topics": [filter.topics[0]],
        }],
    });
    let mut answer = ask(client, url, &question).await;
    match answer["result"].take() {
        Value::Array(logs) => logs,
        other => panic!("no logs: {other}"),
    }
}

async fn ask(client: &reqwest::Client, url: &str, question: &Value) -> Value {
    let request = client
        .post(url)
        .header("content-type", "application/json")
        .body(question.to_string());
    let answer = request.send().await.unwrap().bytes().await.unwrap();
    serde_json::from_slice(&answer).unwrap()
}
