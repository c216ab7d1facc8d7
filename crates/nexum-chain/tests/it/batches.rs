//! A batch on the wire, and what nodes make of it.

use nexum_chain::Chains;
use nexum_testkit::{Fault, Injection, RpcServer};
use nexum_types::{ChainRpc, HostErrorKind, RpcRequest, RpcResult};

use crate::support::{BOTH, CHAIN, server, settings, within};

/// Asks for as many different blocks.
fn blocks(count: u64) -> Vec<RpcRequest> {
    let request = |number| RpcRequest {
        method: "eth_getBlockByNumber".into(),
        params: format!("[\"{number:#x}\", false]"),
    };
    (0..count).map(request).collect()
}

async fn ask(chains: &Chains, count: u64) -> Vec<RpcResult> {
    let batch = blocks(count);
    within(chains.request_batch(CHAIN, &batch)).await.unwrap()
}

fn assert_all_in_order(answers: &[RpcResult]) {
    for (number, answer) in answers.iter().enumerate() {
        let block: serde_json::Value = serde_json::from_str(answer.as_ref().unwrap()).unwrap();
        assert_eq!(block["number"], format!("{number:#x}"));
    }
}

#[tokio::test]
async fn a_batch_is_one_message_and_a_longer_one_is_cut() {
    for via in BOTH {
        let server = server(100).await;
        let mut settings = settings(&[via.url(&server)]);
        settings.endpoints[0].max_batch = 40;
        let chains = Chains::new([settings]).unwrap();
        chains.verify().await.unwrap();
        for (count, messages) in [(40, 1), (100, 3)] {
            server.clear_request_log();
            assert_all_in_order(&ask(&chains, count).await);
            assert_eq!(server.request_log().batches, messages, "{via:?}");
        }
    }
}

#[tokio::test]
async fn a_limit_that_the_node_has_shown_is_remembered() {
    for via in BOTH {
        let server = server(100).await;
        server.change_view(|view| view.max_batch = Some(20));
        let chains = Chains::new([settings(&[via.url(&server)])]).unwrap();
        assert_all_in_order(&ask(&chains, 100).await);
        let found = chains.stats()[0].endpoints[0].max_batch;
        assert!((10..=20).contains(&found), "{found}");
        server.clear_request_log();
        assert_all_in_order(&ask(&chains, 100).await);
        let batches = server.request_log().batches;
        assert_eq!(
            batches,
            100_usize.div_ceil(found),
            "none is refused any more"
        );
    }
}

#[tokio::test]
async fn a_node_that_takes_no_batch_is_asked_one_by_one() {
    let server = server(10).await;
    server.inject(Injection::new(Fault::BatchRefused));
    let chains = Chains::new([settings(&[server.http_url()])]).unwrap();
    assert_all_in_order(&ask(&chains, 8).await);
    assert_eq!(chains.stats()[0].endpoints[0].max_batch, 1);
}

#[tokio::test]
async fn a_batch_whose_ids_are_wrong_goes_elsewhere() {
    for via in BOTH {
        for fault in [Fault::DuplicateId, Fault::MissingAnswer, Fault::ForeignId] {
            let (first, second) = pair().await;
            let chains = Chains::new([settings(&[via.url(&first), via.url(&second)])]).unwrap();
            chains.verify().await.unwrap();
            first.inject(Injection::new(fault.clone()));
            assert_all_in_order(&ask(&chains, 8).await);
            assert_eq!(second.request_log().batches, 1, "{fault:?} {via:?}");
            let marked = &chains.stats()[0].endpoints[0];
            assert!(marked.last_error.is_some(), "{fault:?} {via:?}");
        }
        let (first, _) = pair().await;
        let chains = Chains::new([settings(&[via.url(&first)])]).unwrap();
        first.inject(Injection::new(Fault::Reordered));
        assert_all_in_order(&ask(&chains, 8).await);
    }
}

async fn pair() -> (RpcServer, RpcServer) {
    let first = server(10).await;
    let second = RpcServer::start(first.chain().clone()).await.unwrap();
    (first, second)
}

#[tokio::test]
async fn only_the_entries_that_were_refused_for_their_rate_go_elsewhere() {
    let (first, second) = pair().await;
    let refused = serde_json::json!({ "code": -32005, "message": "slow down" });
    first.set_answer("eth_blockNumber", Some(Err(refused)));
    let chains = Chains::new([settings(&[first.http_url(), second.http_url()])]).unwrap();
    let mut batch = blocks(3);
    batch[1].method = "eth_blockNumber".into();
    batch[1].params = "[]".into();
    let answers = within(chains.request_batch(CHAIN, &batch)).await.unwrap();
    assert_eq!(answers[1].as_deref(), Ok("\"0xa\""));
    assert_eq!(second.request_log().count("eth_blockNumber"), 1);
    assert_eq!(second.request_log().count("eth_getBlockByNumber"), 0);
    second.set_down(true);
    let answers = within(chains.request_batch(CHAIN, &batch)).await.unwrap();
    assert!(answers[0].is_ok() && answers[2].is_ok());
    let refused = answers[1].as_ref().unwrap_err();
    assert_ne!(refused.kind, HostErrorKind::Internal);
}
