//! When delivered blocks leave the chain, they are taken back, newest first, and delivery goes on
//! from where the branches part.

use nexum_chain::{FeedItem, FeedReader};
use nexum_testkit::{RpcServer, ScriptedChain};
use nexum_types::{BlockRef, LogFilter};

use crate::support::{
    BOTH, Rig, Via, after, assert_is, at, block_ref, blocks, logs, next, read_to_head, server,
    settings, taken_back, until, within,
};

/// The canonical blocks of these numbers, newest first.
fn newest_first(chain: &ScriptedChain, first: u64, last: u64) -> Vec<BlockRef> {
    let block = |number| block_ref(&chain.block(number).unwrap());
    (first..=last).rev().map(block).collect()
}

/// A reorg of that depth, and some blocks on top of it: what was read goes, the new branch comes.
async fn new_branch_comes(server: &RpcServer, reader: &mut FeedReader, depth: u64) {
    let head = server.chain().head().number;
    let gone = newest_first(server.chain(), head + 1 - depth, head);
    server.chain().reorg(depth).unwrap();
    server.chain().mine(2);
    taken_back(reader, &gone).await;
    read_to_head(reader, server.chain(), head + 1 - depth).await;
}

#[tokio::test]
async fn a_live_reorg_takes_back_and_delivers_the_new_branch() {
    for via in BOTH {
        let server = server(20).await;
        let rig = Rig::over(&server, via);
        let mut reader = rig.feed.reader(at(1), blocks());
        read_to_head(&mut reader, server.chain(), 1).await;
        for depth in [1, 5, 17] {
            new_branch_comes(&server, &mut reader, depth).await;
        }
        let reorgs: u64 = rig.feed.status().reorgs.values().sum();
        assert!(reorgs >= 3, "{via:?}: {:?}", rig.feed.status());
    }
}

#[tokio::test]
async fn a_replaced_head_is_delivered_though_the_height_stays() {
    for via in BOTH {
        let server = server(5).await;
        let rig = Rig::over(&server, via);
        let mut reader = rig.feed.reader(at(1), blocks());
        read_to_head(&mut reader, server.chain(), 1).await;
        let gone = newest_first(server.chain(), 5, 5);
        server.chain().reorg(1).unwrap();
        taken_back(&mut reader, &gone).await;
        assert_is(&next(&mut reader).await, &server.chain().head());
    }
}

#[tokio::test]
async fn a_head_that_goes_back_and_takes_another_way() {
    for via in BOTH {
        let server = server(10).await;
        let rig = Rig::over(&server, via);
        let mut reader = rig.feed.reader(at(1), blocks());
        read_to_head(&mut reader, server.chain(), 1).await;
        let gone = newest_first(server.chain(), 7, 10);
        server.chain().rollback(4).unwrap();
        server.chain().mine(1);
        // The new head is lower than what was delivered, and canonical all the same. What was
        // above it is known to be gone once the branches part below it.
        taken_back(&mut reader, &gone).await;
        assert_is(&next(&mut reader).await, &server.chain().block(7).unwrap());
        server.chain().mine(5);
        read_to_head(&mut reader, server.chain(), 8).await;
    }
}

#[tokio::test]
async fn after_a_restart_what_was_delivered_before_it_is_taken_back() {
    for via in BOTH {
        for (depth, more) in [(1, 3), (5, 3), (5, 600)] {
            let server = server(20).await;
            let delivered: Vec<_> = newest_first(server.chain(), 1, 20)
                .into_iter()
                .rev()
                .collect();
            let gone = newest_first(server.chain(), 21 - depth, 20);
            server.chain().reorg(depth).unwrap();
            server.chain().mine(more);
            let rig = Rig::over(&server, via);
            let mut reader = rig.feed.reader(after(delivered[19], &delivered), blocks());
            taken_back(&mut reader, &gone).await;
            read_to_head(&mut reader, server.chain(), 21 - depth).await;
        }
    }
}

#[tokio::test]
async fn a_restart_without_a_reorg_takes_nothing_back() {
    let server = server(20).await;
    let delivered: Vec<_> = newest_first(server.chain(), 1, 10)
        .into_iter()
        .rev()
        .collect();
    server.chain().mine(600);
    let rig = Rig::over(&server, Via::Http);
    let mut reader = rig.feed.reader(after(delivered[9], &delivered), blocks());
    read_to_head(&mut reader, server.chain(), 11).await;
}

#[tokio::test]
async fn beyond_the_window_the_reader_stands_still_and_says_so() {
    for via in BOTH {
        let server = server(40).await;
        let mut settings = settings(&[via.url(&server)]);
        settings.reorg_window = 8;
        let rig = Rig::with(settings);
        let mut reader = rig.feed.reader(at(1), blocks());
        read_to_head(&mut reader, server.chain(), 1).await;
        let oldest = block_ref(&server.chain().block(33).unwrap());
        server.chain().reorg(20).unwrap();
        server.chain().mine(1);
        let told = within(reader.next()).await;
        assert_eq!(told, FeedItem::BeyondWindow { from: oldest }, "{via:?}");
        assert_eq!(rig.feed.status().beyond_window, 1);
        // Others are not concerned.
        let mut other = rig.feed.reader(at(15), blocks());
        read_to_head(&mut other, server.chain(), 15).await;
        drop(reader);
        until(|| rig.feed.status().beyond_window == 0).await;
    }
}

#[tokio::test]
async fn what_a_node_called_canonical_within_the_window_is_asked_about_again_behind_it() {
    for via in BOTH {
        let server = server(6).await;
        let chain = server.chain();
        let mut delivered = newest_first(chain, 1, 6);
        let gone = delivered.clone();
        delivered.reverse();
        chain.reorg(4).unwrap();
        let mut settings = settings(&[via.url(&server)]);
        settings.reorg_window = 8;
        let rig = Rig::with(settings);
        let mut reader = rig.feed.reader(
            after(delivered[5], &delivered),
            logs([LogFilter::default()]),
        );
        // A node has said that block 2 is canonical, which it is as yet.
        taken_back(&mut reader, &gone[..1]).await;
        chain.reorg(6).unwrap();
        chain.mine(100);
        rig.head_is(&chain.head()).await;
        taken_back(&mut reader, &gone[1..]).await;
    }
}

#[tokio::test]
async fn a_reorg_as_deep_as_the_window_is_followed() {
    let server = server(40).await;
    let mut settings = settings(&[Via::Http.url(&server)]);
    settings.reorg_window = 8;
    let rig = Rig::with(settings);
    let mut reader = rig.feed.reader(at(1), blocks());
    read_to_head(&mut reader, server.chain(), 1).await;
    new_branch_comes(&server, &mut reader, 8).await;
}

#[tokio::test]
async fn a_reorg_while_a_reader_is_far_behind_does_not_touch_it() {
    let server = server(700).await;
    let rig = Rig::over(&server, Via::Ws);
    rig.head_is(&server.chain().head()).await;
    let mut reader = rig.feed.reader(at(1), blocks());
    for number in 1..=100 {
        assert_is(
            &next(&mut reader).await,
            &server.chain().block(number).unwrap(),
        );
    }
    server.chain().reorg(50).unwrap();
    server.chain().mine(1);
    read_to_head(&mut reader, server.chain(), 101).await;
}
