//! When delivered blocks leave the chain, delivery goes on from where the branches part.

use nexum_chain::Position;
use nexum_testkit::RpcServer;

use crate::support::{BOTH, Rig, Via, assert_is, at, block_ref, next, read_to_head, server};

/// Reads the branch that a reorg of that depth put there, and some blocks on top of it.
async fn new_branch_comes(server: &RpcServer, reader: &mut nexum_chain::FeedReader, depth: u64) {
    let first = server.chain().head().number + 1 - depth;
    server.chain().reorg(depth).unwrap();
    server.chain().mine(2);
    read_to_head(reader, server.chain(), first).await;
}

#[tokio::test]
async fn a_live_reorg_delivers_the_new_branch_from_the_common_ancestor() {
    for via in BOTH {
        let server = server(20).await;
        let rig = Rig::over(&server, via);
        let mut reader = rig.feed.reader(at(1));
        read_to_head(&mut reader, server.chain(), 1).await;
        for depth in [1, 5, 17] {
            new_branch_comes(&server, &mut reader, depth).await;
        }
    }
}

#[tokio::test]
async fn a_replaced_head_is_delivered_though_the_height_stays() {
    for via in BOTH {
        let server = server(5).await;
        let rig = Rig::over(&server, via);
        let mut reader = rig.feed.reader(at(1));
        read_to_head(&mut reader, server.chain(), 1).await;
        server.chain().reorg(1).unwrap();
        assert_is(&next(&mut reader).await, &server.chain().head());
    }
}

#[tokio::test]
async fn a_head_that_goes_back_and_takes_another_way() {
    for via in BOTH {
        let server = server(10).await;
        let rig = Rig::over(&server, via);
        let mut reader = rig.feed.reader(at(1));
        read_to_head(&mut reader, server.chain(), 1).await;
        server.chain().rollback(4).unwrap();
        server.chain().mine(1);
        // Shorter than what was delivered, and canonical all the same.
        assert_is(&next(&mut reader).await, &server.chain().block(7).unwrap());
        server.chain().mine(5);
        read_to_head(&mut reader, server.chain(), 8).await;
    }
}

#[tokio::test]
async fn after_a_restart_an_orphaned_cursor_goes_back_to_the_common_ancestor() {
    for via in BOTH {
        for depth in [1, 5] {
            let server = server(20).await;
            let cursor = block_ref(&server.chain().head());
            server.chain().reorg(depth).unwrap();
            server.chain().mine(3);
            let rig = Rig::over(&server, via);
            let mut reader = rig.feed.reader(Position::After(cursor));
            read_to_head(&mut reader, server.chain(), 21 - depth).await;
        }
    }
}

#[tokio::test]
async fn an_orphan_nobody_knows_makes_the_window_come_again() {
    let server = server(300).await;
    let mut cursor = block_ref(&server.chain().block(290).unwrap());
    cursor.hash.0[0] ^= 1;
    let rig = Rig::over(&server, Via::Http);
    let mut reader = rig.feed.reader(Position::After(cursor));
    read_to_head(&mut reader, server.chain(), 290 - 256).await;
}

#[tokio::test]
async fn a_reorg_while_a_reader_is_far_behind_does_not_touch_it() {
    let server = server(700).await;
    let rig = Rig::over(&server, Via::Ws);
    rig.head_is(&server.chain().head()).await;
    let mut reader = rig.feed.reader(at(1));
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
