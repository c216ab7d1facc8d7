//! A real node that goes away, and a real node's past.

use std::{fs, iter, net::TcpListener, path::Path};

use nexum_chain::{FeedReader, Interest};
use nexum_testkit::{Anvil, FaultProxy};
use nexum_types::{Block, BlockNumber};
use serde_json::Value;

use crate::{
    emitter::{Emitter, emitted},
    support::{BOTH, Rig, Via, at, blocks, logs, next_block, within},
};

/// Every block, with the contract's logs.
fn blocks_with_logs() -> Interest {
    Interest {
        blocks: true,
        ..logs([emitted()])
    }
}

/// Reads every block up to number `last`. Each is the child of the one before, and has one log
/// where its number is a multiple of `every`, and otherwise none.
async fn read_to(reader: &mut FeedReader, parent: Option<Block>, last: u64, every: u64) -> Block {
    let mut newest = parent;
    loop {
        let block = next_block(reader).await;
        let number = block.block.number;
        if let Some(parent) = &newest {
            assert_eq!(
                (number, block.block.parent_hash),
                (parent.number.next(), parent.hash)
            );
        }
        let emitted = block.logs.iter().filter(|log| emitted().matches(log));
        let expected = number.0 > 0 && number.0.is_multiple_of(every);
        assert_eq!(emitted.count(), usize::from(expected), "block {number}");
        newest = Some(block.block.clone());
        if number == BlockNumber(last) {
            return block.block.clone();
        }
    }
}

/// What anvil has written down, once it has come to block `head`. Copied: it may be killed while
/// it writes the next.
async fn state_at(file: &Path, head: u64) -> Vec<u8> {
    within(async {
        loop {
            let written = fs::read(file).unwrap_or_default();
            let state: Value = serde_json::from_slice(&written).unwrap_or_default();
            if state["best_block_number"] == head {
                return written;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    })
    .await
}

/// A port that is bound twice: below those that the system gives to whoever asks for any.
fn free_port() -> u16 {
    let mut ports = iter::repeat_with(|| rand::random_range(20_000..32_768));
    let is_free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    ports.find(is_free).unwrap()
}

#[tokio::test]
async fn a_node_that_is_stopped_and_started_again_is_read_on_without_a_gap() {
    for via in BOTH {
        let folder = tempfile::tempdir().unwrap();
        let (written, kept) = (folder.path().join("state"), folder.path().join("kept"));
        let port = free_port().to_string();
        let saving = [
            "--state",
            written.to_str().unwrap(),
            "--state-interval",
            "1",
            "--port",
            &port,
        ];
        let anvil = Anvil::start(saving).await.unwrap();
        let url = match via {
            Via::Http => anvil.http_url(),
            Via::Ws => anvil.ws_url(),
        };
        let rig = Rig::start(&[url]);
        let mut reader = rig.feed.reader(at(0), blocks_with_logs());
        Emitter::deploy(&anvil).await.mine(6, 10).await;
        let before = read_to(&mut reader, None, 60, 10).await;

        fs::write(&kept, state_at(&written, 60).await).unwrap();
        drop(anvil);
        let loading = ["--load-state", kept.to_str().unwrap(), "--port", &port];
        let anvil = Anvil::start(loading).await.unwrap();
        // More than the ring holds, so that what came meanwhile is not all at the tip.
        let emitter = Emitter::existing(&anvil).await;
        emitter.mine(40, 10).await;
        read_to(&mut reader, Some(before), 460, 10).await;
        assert_eq!(rig.feed.status().reorgs, Default::default(), "{via:?}");
    }
}

#[tokio::test]
async fn one_of_two_endpoints_is_killed_while_blocks_flow() {
    for (first_via, second_via) in [
        (Via::Http, Via::Http),
        (Via::Ws, Via::Http),
        (Via::Ws, Via::Ws),
    ] {
        let anvil = Anvil::start(["--chain-id", "31337"]).await.unwrap();
        let emitter = Emitter::deploy(&anvil).await;
        let first = FaultProxy::before(&anvil).await.unwrap();
        let second = FaultProxy::before(&anvil).await.unwrap();
        let url = |proxy: &FaultProxy, via| match via {
            Via::Http => proxy.http_url(),
            Via::Ws => proxy.ws_url(),
        };
        let rig = Rig::start(&[url(&first, first_via), url(&second, second_via)]);
        let mut reader = rig.feed.reader(at(0), blocks_with_logs());
        let mut beside = rig.feed.reader(at(0), logs([emitted()]));
        let mining = emitter.mine(60, 5);
        let reading = async {
            let newest = read_to(&mut reader, None, 50, 5).await;
            first.shutdown().await;
            read_to(&mut reader, Some(newest), 300, 5).await
        };
        let (_, last) = tokio::join!(mining, reading);
        assert_eq!(rig.feed.head(), Some(last.block_ref()));
        for number in (5..=300).step_by(5) {
            let block = next_block(&mut beside).await;
            assert_eq!(block.block.number, BlockNumber(number), "{first_via:?}");
        }
    }
}

#[tokio::test]
async fn ten_thousand_blocks_of_the_past_are_read_with_their_logs() {
    // Anvil mines the more slowly the more state it keeps.
    let anvil = Anvil::start(["--prune-history"]).await.unwrap();
    Emitter::deploy(&anvil).await.mine(100, 100).await;
    for via in BOTH {
        let proxy = FaultProxy::before(&anvil).await.unwrap();
        let url = match via {
            Via::Http => proxy.http_url(),
            Via::Ws => proxy.ws_url(),
        };
        let rig = Rig::start(&[url]);
        let mut sparse = rig.feed.reader(at(0), logs([emitted()]));
        for number in (100..=10_000).step_by(100) {
            let block = next_block(&mut sparse).await;
            assert_eq!(block.block.number, BlockNumber(number), "{via:?}");
            assert_eq!(block.logs.len(), 1, "{via:?}");
            assert_eq!(block.logs[0].block_hash, block.block.hash, "{via:?}");
        }
        let log = proxy.request_log();
        assert!(log.count("eth_getLogs") < 20, "one for each range: {log:?}");
        let headers = log.count("eth_getBlockByNumber");
        assert!(headers < 600, "none for a block without logs: {headers}");

        let mut whole = rig.feed.reader(at(0), blocks_with_logs());
        read_to(&mut whole, None, 10_000, 100).await;
        let mut bare = rig.feed.reader(at(9_000), blocks());
        assert_eq!(next_block(&mut bare).await.block.number.0, 9_000);
    }
}
