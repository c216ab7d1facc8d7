//! Several endpoints, some of them bad.

use nexum_chain::{ChainError, Chains};
use nexum_testkit::{RpcServer, ScriptedChain};
use nexum_types::{ChainId, ChainRpc, HostErrorKind, RpcRequest};
use tokio_util::sync::CancellationToken;

use crate::support::{CHAIN, Rig, Via, at, blocks, read_to_head, server, settings, within};

/// Two servers in front of the same chain.
async fn pair() -> (RpcServer, RpcServer) {
    let first = server(3).await;
    let second = RpcServer::start(first.chain().clone()).await.unwrap();
    (first, second)
}

fn block_number() -> RpcRequest {
    RpcRequest {
        method: "eth_blockNumber".into(),
        params: "[]".into(),
    }
}

#[tokio::test]
async fn the_second_endpoint_takes_over_and_the_feed_loses_nothing() {
    for (first_via, second_via) in [
        (Via::Http, Via::Http),
        (Via::Ws, Via::Http),
        (Via::Ws, Via::Ws),
    ] {
        let (first, second) = pair().await;
        let rig = Rig::start(&[first_via.url(&first), second_via.url(&second)]);
        let mut reader = rig.feed.reader(at(1), blocks());
        read_to_head(&mut reader, first.chain(), 1).await;
        // From time to time its head is looked at, and nothing else.
        assert_eq!(second.request_log().count("eth_subscribe"), 0);
        assert_eq!(second.request_log().batches, 0);
        first.set_down(true);
        first.chain().mine(50);
        read_to_head(&mut reader, first.chain(), 4).await;
        second.set_down(true);
        first.set_down(false);
        first.chain().mine(50);
        read_to_head(&mut reader, first.chain(), 54).await;
    }
}

#[tokio::test]
async fn a_request_goes_to_the_next_endpoint_when_the_first_is_down() {
    let (first, second) = pair().await;
    let chains = Chains::new([settings(&[first.http_url(), second.ws_url()])]).unwrap();
    first.set_down(true);
    assert_eq!(
        within(chains.request(CHAIN, &block_number()))
            .await
            .unwrap(),
        "\"0x3\""
    );
    assert_eq!(second.request_log().count("eth_blockNumber"), 1);
}

#[tokio::test]
async fn when_every_endpoint_is_down_requests_are_unavailable_and_come_back_by_themselves() {
    let (first, second) = pair().await;
    let chains = Chains::new([settings(&[first.http_url(), second.ws_url()])]).unwrap();
    first.set_down(true);
    second.set_down(true);
    chains
        .verify()
        .await
        .expect("an endpoint that is down is no refusal");
    let error = within(chains.request(CHAIN, &block_number()))
        .await
        .unwrap_err();
    assert_eq!(
        (error.kind, error.domain.as_str()),
        (HostErrorKind::Unavailable, "chain")
    );
    second.set_down(false);
    assert_eq!(
        within(chains.request(CHAIN, &block_number()))
            .await
            .unwrap(),
        "\"0x3\""
    );
}

#[tokio::test]
async fn every_endpoint_of_another_chain_is_named_and_never_used() {
    let right = server(1).await;
    let wrong = RpcServer::start(ScriptedChain::new(5)).await.unwrap();
    let urls = [wrong.http_url(), right.http_url(), wrong.ws_url()];
    let chains = Chains::new([settings(&urls)]).unwrap();
    let error = chains.verify().await.unwrap_err();
    let named: Vec<_> = error
        .0
        .iter()
        .map(|wrong| (wrong.chain, wrong.answered))
        .collect();
    assert_eq!(named, [(CHAIN, ChainId(5)), (CHAIN, ChainId(5))]);
    assert!(error.to_string().contains(&wrong.ws_url()), "{error}");
    // Without the check at the start it is found out when it is used.
    let chains = Chains::new([settings(&urls)]).unwrap();
    assert_eq!(
        within(chains.request(CHAIN, &block_number()))
            .await
            .unwrap(),
        "\"0x1\""
    );
    assert_eq!(wrong.request_log().count("eth_blockNumber"), 0);
}

#[tokio::test]
async fn an_endpoint_that_comes_back_as_another_chain_is_taken_out() {
    let (first, second) = pair().await;
    let chains = Chains::new([settings(&[first.http_url(), second.http_url()])]).unwrap();
    chains.verify().await.unwrap();
    first.set_down(true);
    within(chains.request(CHAIN, &block_number()))
        .await
        .unwrap();
    first.set_down(false);
    first.set_answer("eth_chainId", Some(Ok("0x5".into())));
    first.set_answer("eth_blockNumber", Some(Ok("0xbad".into())));
    // Until its rest is over the second one answers; from then on the first is found out.
    within(async {
        while first.request_log().count("eth_chainId") < 2 {
            assert_eq!(
                chains.request(CHAIN, &block_number()).await.unwrap(),
                "\"0x3\""
            );
        }
    })
    .await;
    assert_eq!(first.request_log().count("eth_blockNumber"), 0);
}

#[tokio::test]
async fn one_task_feeds_a_chain_however_often_it_is_asked_for() {
    let server = server(3).await;
    let chains = Chains::new([settings(&[server.ws_url()])]).unwrap();
    let stop = CancellationToken::new();
    let mut readers: Vec<_> = (0..5)
        .map(|_| {
            chains
                .feed(CHAIN, stop.clone())
                .unwrap()
                .reader(at(1), blocks())
        })
        .collect();
    for reader in &mut readers {
        read_to_head(reader, server.chain(), 1).await;
    }
    assert_eq!(server.request_log().count("eth_subscribe"), 1);
    stop.cancel();
}

#[test]
fn settings_that_cannot_work_are_refused() {
    let one = settings(&["http://127.0.0.1:1"]);
    assert!(matches!(
        Chains::new([one.clone(), one]),
        Err(ChainError::Duplicate(CHAIN))
    ));
    let none = settings::<&str>(&[]);
    assert!(matches!(
        Chains::new([none]),
        Err(ChainError::NoEndpoint(CHAIN))
    ));
    let file = settings(&["file:///etc/passwd"]);
    assert!(matches!(
        Chains::new([file]),
        Err(ChainError::Scheme { .. })
    ));
}
