//! Logs that a node pushes come before their block's are asked for; what it does not push comes
//! with the block.

use nexum_chain::{FeedItem, FeedReader, Interest, Position};
use nexum_testkit::{Address, Fault, Injection, NewLog, RpcServer, ScriptedChain, keccak256};
use nexum_types::LogFilter;

use crate::support::{Rig, Via, logs, next_block, server, until, within};

const EVENT: &str = "Transfer(address,address,uint256)";

fn transfers(byte: u8) -> LogFilter {
    let mut filter = LogFilter {
        addresses: vec![Address::repeat_byte(byte)],
        ..LogFilter::default()
    };
    filter.topics[0] = vec![keccak256(EVENT)];
    filter
}

/// The logs of both contracts, those of the first as they are pushed.
fn first_pushed() -> Interest {
    Interest {
        pushed: vec![transfers(1)],
        ..logs([transfers(1), transfers(2)])
    }
}

/// A block with a log of each of these contracts.
fn mine(chain: &ScriptedChain, contracts: &[u8]) {
    chain.at_once(|branch| {
        for byte in contracts {
            branch.log(NewLog::of(Address::repeat_byte(*byte), EVENT));
        }
        branch.mine(1);
    });
}

/// The contracts whose logs come early, of the block of that number.
async fn early(reader: &mut FeedReader, number: u64) -> Vec<u8> {
    match within(reader.next()).await {
        FeedItem::Early(block) => {
            assert_eq!(block.block.number.0, number);
            let stamped = |log: &nexum_types::Log| {
                log.block_hash == block.block.hash
                    && log.block_timestamp_ms == block.block.timestamp_ms
            };
            assert!(block.logs.iter().all(stamped));
            block.logs.iter().map(|log| log.address[0]).collect()
        }
        other => panic!("not early: {other:?}"),
    }
}

/// The contracts whose logs come with the next block, which has that number; what is early is
/// passed over.
async fn whole(reader: &mut FeedReader, number: u64) -> Vec<u8> {
    loop {
        match within(reader.next()).await {
            FeedItem::Block(block) => {
                assert_eq!(block.block.number.0, number);
                return block.logs.iter().map(|log| log.address[0]).collect();
            }
            FeedItem::Early(_) | FeedItem::Progress(_) => {}
            other => panic!("not a block: {other:?}"),
        }
    }
}

/// A node that pushes, and a reader that it is known to push for.
async fn listening(server: &RpcServer) -> (Rig, FeedReader) {
    let rig = Rig::over(server, Via::Ws);
    let reader = rig.feed.reader(Position::Latest, first_pushed());
    until(|| server.request_log().count("eth_subscribe") == 2).await;
    rig.head_is(&server.chain().head()).await;
    (rig, reader)
}

/// The node answers no logs until it is healed.
fn hold_logs_back(server: &RpcServer) {
    server.inject(Injection::new(Fault::Null).on("eth_getLogs"));
}

#[tokio::test]
async fn a_pushed_log_comes_before_its_block_is_asked_for_it() {
    let server = server(3).await;
    let (_rig, mut reader) = listening(&server).await;
    hold_logs_back(&server);
    mine(server.chain(), &[2, 1, 2, 3, 1]);
    let mut pushed = Vec::new();
    while pushed.len() < 2 {
        pushed.extend(early(&mut reader, 4).await);
    }
    assert_eq!(pushed, [1, 1], "of the first contract, each once");

    server.heal();
    assert_eq!(whole(&mut reader, 4).await, [2, 1, 2, 1]);
    mine(server.chain(), &[2]);
    assert_eq!(whole(&mut reader, 5).await, [2], "no push is waited for");
}

#[tokio::test]
async fn what_a_node_does_not_push_comes_with_its_block() {
    let server = server(3).await;
    let (_rig, mut reader) = listening(&server).await;
    // Announcements come in order: the head, then its log, which is lost.
    server.inject(Injection::new(Fault::Null).on("eth_subscription").times(2));
    mine(server.chain(), &[1, 2]);
    mine(server.chain(), &[1]);
    assert_eq!(whole(&mut reader, 4).await, [1, 2]);
    assert_eq!(whole(&mut reader, 5).await, [1]);
}

#[tokio::test]
async fn over_http_every_log_comes_with_its_block() {
    let server = server(3).await;
    let rig = Rig::over(&server, Via::Http);
    let mut reader = rig.feed.reader(Position::Latest, first_pushed());
    rig.head_is(&server.chain().head()).await;
    mine(server.chain(), &[1, 2]);
    assert_eq!(next_block(&mut reader).await.logs.len(), 2);
    assert_eq!(server.request_log().count("eth_subscribe"), 0);
}

#[tokio::test]
async fn another_block_takes_the_place_of_one_that_was_only_early() {
    let server = server(3).await;
    let (rig, mut reader) = listening(&server).await;
    hold_logs_back(&server);
    mine(server.chain(), &[1]);
    assert_eq!(early(&mut reader, 4).await, [1]);
    let chain = server.chain();
    let replaced = chain.reorg_to(1, |branch| {
        branch.log(NewLog::of(Address::repeat_byte(2), EVENT));
        branch.mine(1);
        branch.log(NewLog::of(Address::repeat_byte(1), EVENT));
        branch.mine(1);
    });
    replaced.unwrap();
    rig.head_is(&chain.head()).await;
    server.heal();
    assert_eq!(whole(&mut reader, 4).await, [2]);
    assert_eq!(whole(&mut reader, 5).await, [1]);
}

#[tokio::test]
async fn nothing_is_pushed_any_more_once_no_reader_wants_it() {
    let server = server(3).await;
    let (rig, reader) = listening(&server).await;
    drop(reader);
    until(|| server.request_log().count("eth_unsubscribe") == 1).await;
    let mut reader = rig.feed.reader(Position::Latest, logs([transfers(1)]));
    mine(server.chain(), &[1]);
    assert_eq!(next_block(&mut reader).await.logs.len(), 1);
    assert_eq!(server.request_log().count("eth_subscribe"), 2);
}
