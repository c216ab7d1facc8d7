//! Reading the past: how fast, and for how many requests.

use std::time::{Duration, Instant};

use futures::future::join_all;
use nexum_manifest::ChainSettings;
use nexum_testkit::RpcServer;
use nexum_types::LogFilter;

use crate::{
    report::{Passage, Times, print_passages},
    rig::{self, Running},
};

const ROUNDS: usize = 9;
/// How far away the node is: here, and as far as a provider's usually is.
const LATENCIES: [Duration; 2] = [Duration::ZERO, Duration::from_millis(20)];
/// The most that the feed may take, as a multiple of the bare loop.
const BUDGET: f64 = 1.2;

/// 50,000 blocks, of which 100 have ten logs each.
pub(crate) fn sparse() {
    let title = "50,000 blocks, 1,000 logs in 100 of them";
    let logs = |number: u64| if number.is_multiple_of(500) { 10 } else { 0 };
    for latency in LATENCIES {
        against_the_bare_loop(title, latency, 50_000, logs, 1_000);
    }
}

/// 5,000 blocks with one log each.
pub(crate) fn dense() {
    let title = "5,000 blocks, one log in each";
    for latency in LATENCIES {
        against_the_bare_loop(title, latency, 5_000, |_| 1, 5_000);
    }
}

fn against_the_bare_loop(
    title: &str,
    latency: Duration,
    blocks: u64,
    logs: impl Fn(u64) -> usize,
    total: usize,
) {
    rig::runtime().block_on(async {
        let server = rig::serve(blocks, 1, logs).await;
        server.set_latency(latency);
        let filter = rig::transfers(0);
        let mut bare = Passages::new("raw: the bare eth_getLogs loop");
        let mut with_headers = Passages::new("raw: and its blocks' headers");
        let mut feed = Passages::new("feed: one reader");
        let (url, width) = (server.http_url(), width());
        // A connection of its own that is there already, as the feed's is.
        let client = client();
        for _ in 0..ROUNDS {
            server.clear_request_log();
            let begun = Instant::now();
            assert_eq!(
                rig::bare_loop(&client, &url, blocks, width, &filter).await,
                total
            );
            bare.push(begun, &server);

            server.clear_request_log();
            let begun = Instant::now();
            let found = rig::bare_loop_with_headers(&client, &url, blocks, width, &filter).await;
            assert_eq!(found, total);
            with_headers.push(begun, &server);

            let running = Running::at_head(&server).await;
            server.clear_request_log();
            let begun = Instant::now();
            assert_eq!(running.read_past(blocks, &filter).await, total);
            feed.push(begun, &server);
        }
        let passages = [bare.0, feed.0, with_headers.0];
        let title = format!("{title}; a node that answers after {latency:?}");
        print_passages(&title, blocks, &passages, Some(BUDGET));
    });
}

/// 100 readers, each with the logs of another contract, at the same time.
pub(crate) fn a_hundred_readers() {
    const BLOCKS: u64 = 50_000;
    const READERS: usize = 100;
    rig::runtime().block_on(async {
        let logs = |number: u64| {
            if number.is_multiple_of(500) {
                READERS
            } else {
                0
            }
        };
        let server = rig::serve(BLOCKS, READERS, logs).await;
        let mut one = Passages::new("feed: one reader, all contracts");
        let mut all = Passages::new("feed: 100 readers, a contract each");
        let every = LogFilter::union(&(0..READERS).map(rig::transfers).collect::<Vec<_>>());
        let every = every.unwrap();
        for _ in 0..ROUNDS {
            let running = Running::at_head(&server).await;
            server.clear_request_log();
            let begun = Instant::now();
            assert_eq!(running.read_past(BLOCKS, &every).await, 100 * READERS);
            one.push(begun, &server);

            let running = Running::at_head(&server).await;
            server.clear_request_log();
            let begun = Instant::now();
            let filters: Vec<_> = (0..READERS).map(rig::transfers).collect();
            let reading = filters.iter().map(|own| running.read_past(BLOCKS, own));
            assert!(
                join_all(reading)
                    .await
                    .into_iter()
                    .all(|found| found == 100)
            );
            all.push(begun, &server);
        }
        let title = "50,000 blocks, 10,000 logs of 100 contracts in 100 of them";
        print_passages(title, BLOCKS, &[one.0, all.0], None);
    });
}

struct Passages(Passage);

impl Passages {
    fn new(label: &str) -> Self {
        Self(Passage {
            label: label.to_owned(),
            times: Times::default(),
            requests: 0,
            messages: 0,
        })
    }

    /// Adds one that began then; what was asked since is the server's log.
    fn push(&mut self, begun: Instant, server: &RpcServer) {
        self.0.times.push(begun.elapsed());
        let log = server.request_log();
        (self.0.requests, self.0.messages) = (log.total(), log.wire_messages);
    }
}

/// The ranges are as wide as the feed's.
fn width() -> u64 {
    ChainSettings::new(rig::CHAIN, Vec::new()).max_log_range
}

fn client() -> reqwest::Client {
    // An error means that the feed has installed one already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy().build().unwrap()
}
