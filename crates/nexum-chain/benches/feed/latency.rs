//! How long it takes from a block on anvil to its reader.

use std::time::{Duration, Instant};

use nexum_chain::{FeedItem, Position};
use nexum_manifest::ChainSettings;
use nexum_testkit::Anvil;

use crate::{
    report::Times,
    rig::{self, Running},
};

const BLOCKS: u32 = 300;

/// Heads announced over WebSocket.
pub(crate) fn announced() {
    measure("newHeads over WebSocket", &[None]);
}

/// Heads polled over HTTP: by default, and as often as suits a node of one's own.
pub(crate) fn polled() {
    measure(
        "polled over HTTP",
        &[
            Some(Duration::from_secs(1)),
            Some(Duration::from_millis(100)),
        ],
    );
}

/// `None`: announced.
fn measure(title: &str, intervals: &[Option<Duration>]) {
    println!("  a block mined on anvil to the reader that has it, {title}");
    for interval in intervals {
        let (handed_over, from_mining) = rig::runtime().block_on(sample(*interval));
        let every = interval.map_or(String::new(), |every| format!("every {every:?}"));
        for (from, times) in [("asked to mine", from_mining), ("mined", handed_over)] {
            println!(
                "  from {from:<14} {every:<12} p50 {:>8.2} ms   p99 {:>8.2} ms",
                times.at(0.5).as_secs_f64() * 1e3,
                times.at(0.99).as_secs_f64() * 1e3,
            );
        }
    }
}

/// From anvil's answer that the block is mined, and from the question, to the reader.
async fn sample(interval: Option<Duration>) -> (Times, Times) {
    let anvil = Anvil::start(["--chain-id", "31337"]).await.unwrap();
    let settings = match interval {
        None => rig::settings(&anvil.ws_url()),
        Some(poll_interval) => ChainSettings {
            poll_interval,
            ..rig::settings(&anvil.http_url())
        },
    };
    let running = Running::start(settings);
    let mut reader = running.feed.reader(Position::Latest, rig::every_block());
    reader.next().await;
    let (mut handed_over, mut from_mining) = (Times::default(), Times::default());
    let every = interval.unwrap_or(Duration::from_millis(100));
    // Fewer where each takes long.
    let blocks = BLOCKS.min((30_000 / every.as_millis() as u32).max(50));
    for block in 0..blocks {
        // At any moment of the poll's interval, not always right after one.
        tokio::time::sleep(every * (block * 37 % 100) / 100).await;
        let asked = Instant::now();
        let mining = async {
            anvil.mine(1).await.unwrap();
            Instant::now()
        };
        let reading = async {
            let item = reader.next().await;
            assert!(matches!(item, FeedItem::Block(_)));
            Instant::now()
        };
        let (mined, read) = tokio::join!(mining, reading);
        from_mining.push(read - asked);
        handed_over.push(read.saturating_duration_since(mined));
    }
    (handed_over, from_mining)
}
