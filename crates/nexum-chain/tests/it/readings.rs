//! What is counted of endpoints and feeds, for those who watch over them.

use std::time::Instant;

use nexum_chain::Chains;
use nexum_testkit::{Fault, Injection, RpcServer};
use nexum_types::{BlockNumber, BlockRef, ChainRpc, Depth, LogFilter, RpcRequest};
use tokio_util::sync::CancellationToken;

use crate::support::{
    CHAIN, Rig, Via, at, block_ref, blocks, logs, next, read_to_head, server, settings, until,
    within,
};

fn block_number() -> RpcRequest {
    RpcRequest {
        method: "eth_blockNumber".into(),
        params: "[]".into(),
    }
}

#[tokio::test]
async fn each_message_is_answered_or_not_and_its_time_is_counted() {
    let first = server(3).await;
    let second = RpcServer::start(first.chain().clone()).await.unwrap();
    let chains = Chains::new([settings(&[first.http_url(), second.http_url()])]).unwrap();
    chains.verify().await.unwrap();
    let garbage = Injection::new(Fault::Garbage).on("eth_blockNumber");
    first.inject(garbage);

    within(chains.request(CHAIN, &block_number()))
        .await
        .unwrap();

    let stats = &chains.stats()[0];
    for endpoint in &stats.endpoints {
        let ended = endpoint.answered + endpoint.unanswered;
        assert_eq!(ended, endpoint.requests, "{endpoint:?}");
        assert_eq!(endpoint.latency.count(), endpoint.requests, "{endpoint:?}");
        assert!(endpoint.latency.sum > 0, "{endpoint:?}");
    }
    // The chain id and then garbage; the chain id and then the answer.
    let ended = |index: usize| {
        let endpoint = &stats.endpoints[index];
        (endpoint.answered, endpoint.unanswered)
    };
    assert_eq!((ended(0), ended(1)), ((1, 1), (2, 0)));
    assert_eq!(stats.in_use, Some(1), "the first one rests");
}

#[tokio::test]
async fn the_endpoint_in_use_is_the_most_preferred_that_is_well() {
    let server = server(3).await;
    let chains = Chains::new([settings(&[server.http_url(), server.ws_url()])]).unwrap();
    assert_eq!(chains.stats()[0].in_use, Some(0));
    assert!(chains.feeds().is_empty(), "no feed has been asked for");
    let stop = CancellationToken::new();
    let feed = chains.feed(CHAIN, stop.clone()).unwrap();
    until(|| feed.head().is_some()).await;
    let feeds = chains.feeds();
    assert_eq!(feeds.len(), 1);
    assert_eq!((feeds[0].0, feeds[0].1.head()), (CHAIN, feed.head()));
    stop.cancel();
}

#[tokio::test]
async fn a_block_is_available_since_it_came_or_was_confirmed() {
    let server = server(3).await;
    let rig = Rig::over(&server, Via::Ws);
    let start = Instant::now();
    let mut reader = rig.feed.reader(at(1), blocks());
    read_to_head(&mut reader, server.chain(), 1).await;
    let third = block_ref(&server.chain().block(3).unwrap());
    let confirmed = Depth::Confirmations(2);
    let known = rig.feed.available_since(third, Depth::Head).unwrap();
    assert!((start..=Instant::now()).contains(&known));
    assert_eq!(rig.feed.available_since(third, confirmed), None);
    assert_eq!(rig.feed.newest(confirmed), Some(BlockNumber(1)));

    server.chain().mine(2);
    rig.head_is(&server.chain().head()).await;
    let sure = rig.feed.available_since(third, confirmed).unwrap();
    assert!(sure > known, "it had to be confirmed first");
    assert_eq!(rig.feed.newest(confirmed), Some(BlockNumber(3)));
    assert_eq!(rig.feed.newest(Depth::Head), Some(BlockNumber(5)));

    let other = BlockRef {
        hash: server.chain().head().hash,
        ..third
    };
    assert_eq!(rig.feed.available_since(other, Depth::Head), None);
}

/// A reader of logs that never come is at the head all the same.
#[tokio::test]
async fn a_place_is_what_a_reader_is_not_done_with() {
    let server = server(3).await;
    let rig = Rig::over(&server, Via::Ws);
    let mut reader = rig.feed.reader(at(1), blocks());
    let place = reader.place();
    assert_eq!(place.next(), None, "it was not read");
    next(&mut reader).await;
    assert_eq!(
        place.next(),
        Some(BlockNumber(1)),
        "nobody has said that 1 is done"
    );
    next(&mut reader).await;
    assert_eq!(place.next(), Some(BlockNumber(2)));

    let mut quiet = rig.feed.reader(at(1), logs([LogFilter::default()]));
    let place = quiet.place();
    let reading = async {
        until(|| place.next() == Some(BlockNumber(4))).await;
        server.chain().mine(2);
        until(|| place.next() == Some(BlockNumber(6))).await;
    };
    tokio::select! {
        item = quiet.next() => panic!("there is no log, but {item:?}"),
        () = reading => {}
    }
}

#[tokio::test]
async fn what_is_fetched_of_the_past_is_counted() {
    let server = server(1_000).await;
    let rig = Rig::over(&server, Via::Http);
    rig.head_is(&server.chain().head()).await;
    assert_eq!(rig.feed.status().backfilled, 0);
    let mut reader = rig.feed.reader(at(1), blocks());
    read_to_head(&mut reader, server.chain(), 1).await;
    // What is within the window comes from the ring, and is not the past.
    let backfilled = rig.feed.status().backfilled;
    assert!((700..=745).contains(&backfilled), "{backfilled}");
}
