//! Every block comes, in order, whatever happens to the way it comes.

use std::time::Duration;

use nexum_chain::{FeedItem, Interest, Position};
use nexum_manifest::OnLag;
use nexum_types::{BlockNumber, Depth};

use crate::support::{
    BOTH, Rig, Via, after, assert_is, at, block_ref, blocks, next, read_to_head, server, until,
    within,
};

#[tokio::test]
async fn a_burst_of_a_thousand_blocks_comes_whole() {
    for via in BOTH {
        let server = server(0).await;
        let rig = Rig::over(&server, via);
        let mut reader = rig.feed.reader(at(0), blocks());
        read_to_head(&mut reader, server.chain(), 0).await;
        for _ in 0..10 {
            server.chain().mine(100);
            tokio::task::yield_now().await;
        }
        read_to_head(&mut reader, server.chain(), 1).await;
        assert_eq!(
            rig.feed.head(),
            Some(block_ref(&server.chain().head())),
            "{via:?}"
        );
    }
}

#[tokio::test]
async fn a_reader_far_behind_is_served_by_the_node_in_batches() {
    for via in BOTH {
        let server = server(1_500).await;
        let rig = Rig::over(&server, via);
        rig.head_is(&server.chain().head()).await;
        server.clear_request_log();
        let mut reader = rig.feed.reader(at(1), blocks());
        read_to_head(&mut reader, server.chain(), 1).await;
        let log = server.request_log();
        assert!(
            log.count("eth_getBlockByNumber") < 1_700,
            "{via:?}: {log:?}"
        );
        if matches!(via, Via::Http) {
            assert!((23..=28).contains(&log.batches), "{log:?}");
        }
    }
}

#[tokio::test]
async fn readers_do_not_wait_for_each_other() {
    let server = server(10).await;
    let rig = Rig::over(&server, Via::Ws);
    let mut slow = rig.feed.reader(at(1), blocks());
    next(&mut slow).await;
    let mut fast = rig.feed.reader(at(1), blocks());
    read_to_head(&mut fast, server.chain(), 1).await;
    // The ring moves on far beyond the slow one.
    for _ in 0..5 {
        server.chain().mine(200);
        let first = server.chain().head().number - 199;
        read_to_head(&mut fast, server.chain(), first).await;
    }
    read_to_head(&mut slow, server.chain(), 2).await;
}

#[tokio::test]
async fn latest_is_the_head_as_it_was_when_the_feed_first_knew_it() {
    let server = server(7).await;
    let rig = Rig::over(&server, Via::Http);
    let mut early = rig.feed.reader(Position::Latest, blocks());
    until(|| rig.feed.head().is_some()).await;
    let mut late = rig.feed.reader(Position::Latest, blocks());
    server.chain().mine(5);
    rig.head_is(&server.chain().head()).await;
    read_to_head(&mut early, server.chain(), 7).await;
    read_to_head(&mut late, server.chain(), 7).await;
}

#[tokio::test]
async fn after_a_block_comes_the_next_one() {
    let server = server(300).await;
    let rig = Rig::over(&server, Via::Ws);
    let cursor = block_ref(&server.chain().block(5).unwrap());
    let mut reader = rig.feed.reader(after(cursor, &[]), blocks());
    read_to_head(&mut reader, server.chain(), 6).await;
}

#[tokio::test]
async fn what_is_mined_during_an_outage_comes_after_it() {
    for via in BOTH {
        let server = server(3).await;
        let rig = Rig::over(&server, via);
        let mut reader = rig.feed.reader(at(1), blocks());
        read_to_head(&mut reader, server.chain(), 1).await;
        server.set_down(true);
        server.chain().mine(400);
        until(|| server.refused_connections() >= 2).await;
        server.set_down(false);
        read_to_head(&mut reader, server.chain(), 4).await;
    }
}

#[tokio::test]
async fn a_silent_subscription_is_found_out() {
    let server = server(3).await;
    let rig = Rig::over(&server, Via::Ws);
    let mut reader = rig.feed.reader(at(1), blocks());
    read_to_head(&mut reader, server.chain(), 1).await;
    server.set_muted(true);
    server.chain().mine(20);
    read_to_head(&mut reader, server.chain(), 4).await;
}

#[tokio::test]
async fn dropping_next_loses_nothing() {
    let server = server(1_000).await;
    server.set_latency(Duration::from_millis(5));
    let rig = Rig::over(&server, Via::Http);
    let mut reader = rig.feed.reader(at(1), blocks());
    let mut cancelled = 0;
    for number in 1..=1_000 {
        // Far shorter than a request takes: most waits are dropped half-way.
        let block = within(async {
            loop {
                match tokio::time::timeout(Duration::from_micros(300), reader.next()).await {
                    Ok(FeedItem::Block(block)) => break block.block.clone(),
                    Ok(other) => panic!("not a block: {other:?}"),
                    Err(_) => cancelled += 1,
                }
            }
        })
        .await;
        assert_is(&block, &server.chain().block(number).unwrap());
    }
    assert!(cancelled > 10, "{cancelled}");
    let asked = server.request_log().count("eth_getBlockByNumber");
    assert!(asked < 1_500, "a dropped wait asks nothing twice: {asked}");
}

#[tokio::test]
async fn a_reader_ahead_of_the_chain_waits_for_it() {
    let server = server(3).await;
    let rig = Rig::over(&server, Via::Http);
    let mut reader = rig.feed.reader(at(6), blocks());
    rig.head_is(&server.chain().head()).await;
    server.chain().mine(3);
    assert_eq!(next(&mut reader).await.number, BlockNumber(6));
}

#[tokio::test]
async fn who_falls_behind_and_skips_goes_on_at_the_head() {
    let server = server(5).await;
    let rig = Rig::over(&server, Via::Http);
    let interest = Interest {
        on_lag: OnLag::Skip,
        ..blocks()
    };
    let mut reader = rig.feed.reader(at(1), interest);
    read_to_head(&mut reader, server.chain(), 1).await;
    server.chain().mine(1_000);
    rig.head_is(&server.chain().head()).await;
    let skipped = FeedItem::Skipped {
        first: BlockNumber(6),
        last: BlockNumber(1_004),
    };
    assert_eq!(within(reader.next()).await, skipped);
    assert_is(&next(&mut reader).await, &server.chain().head());
}

#[tokio::test]
async fn a_confirmed_block_comes_with_those_on_top_of_it_and_never_goes() {
    let server = server(10).await;
    let rig = Rig::over(&server, Via::Http);
    let interest = Interest {
        depth: Depth::Confirmations(3),
        ..blocks()
    };
    let mut reader = rig.feed.reader(at(6), interest);
    assert_eq!(next(&mut reader).await.number, BlockNumber(6));
    assert_eq!(next(&mut reader).await.number, BlockNumber(7));
    server.chain().reorg(3).unwrap();
    rig.head_is(&server.chain().head()).await;
    server.chain().mine(1);
    assert_is(&next(&mut reader).await, &server.chain().block(8).unwrap());
}

#[tokio::test]
async fn a_final_block_comes_once_the_node_calls_it_so() {
    let server = server(100).await;
    let rig = Rig::over(&server, Via::Ws);
    let interest = Interest {
        depth: Depth::Finalized,
        ..blocks()
    };
    let mut reader = rig.feed.reader(at(30), interest);
    let finalized = server.chain().finalized().number;
    for number in 30..=finalized {
        assert_eq!(next(&mut reader).await.number, BlockNumber(number));
    }
    server.chain().mine(2);
    assert_eq!(next(&mut reader).await.number, BlockNumber(finalized + 1));
}
