//! What modules ask, and what they get.

use nexum_chain::{Chains, limits};
use nexum_types::{ChainId, ChainRpc, HostErrorKind, RpcRequest};

use crate::support::{BOTH, CHAIN, server, settings, within};

fn request(method: &str, params: &str) -> RpcRequest {
    RpcRequest {
        method: method.into(),
        params: params.into(),
    }
}

#[tokio::test]
async fn an_answer_is_the_json_text_of_the_result() {
    for via in BOTH {
        let server = server(3).await;
        let chains = Chains::new([settings(&[via.url(&server)])]).unwrap();
        let number = within(chains.request(CHAIN, &request("eth_blockNumber", "[]"))).await;
        assert_eq!(number.unwrap(), "\"0x3\"");
        let unknown = request("eth_getBlockByNumber", "[\"0xff\", false]");
        assert_eq!(
            within(chains.request(CHAIN, &unknown)).await.unwrap(),
            "null"
        );
    }
}

#[tokio::test]
async fn a_denied_method_never_reaches_the_node() {
    let server = server(1).await;
    let chains = Chains::new([settings(&[server.http_url()])]).unwrap();
    let send = request("eth_sendRawTransaction", "[\"0x00\"]");
    let error = within(chains.request(CHAIN, &send)).await.unwrap_err();
    assert_eq!((error.kind, error.code), (HostErrorKind::Denied, -32601));
    let all = within(chains.request_batch(CHAIN, &[send])).await.unwrap();
    assert_eq!(all[0].as_ref().unwrap_err().kind, HostErrorKind::Denied);
    assert_eq!(server.request_log().wire_messages, 0);
}

#[tokio::test]
async fn a_batch_keeps_its_order_though_entries_fail() {
    for via in BOTH {
        let server = server(3).await;
        let chains = Chains::new([settings(&[via.url(&server)])]).unwrap();
        chains.verify().await.unwrap();
        server.clear_request_log();
        let batch = [
            request("eth_blockNumber", "[]"),
            request("eth_getBalance", "[\"no address\", \"latest\"]"),
            request("eth_sendTransaction", "[]"),
            request("eth_call", "not json"),
            request("eth_chainId", "[]"),
        ];
        let answers = within(chains.request_batch(CHAIN, &batch)).await.unwrap();
        let shown: Vec<_> = answers
            .iter()
            .map(|answer| match answer {
                Ok(json) => json.clone(),
                Err(error) => format!("{} {}", error.kind, error.code),
            })
            .collect();
        assert_eq!(
            shown,
            [
                "\"0x3\"",
                "invalid-input -32602",
                "denied -32601",
                "invalid-input -32602",
                "\"0x7a69\""
            ],
        );
        assert_eq!(server.request_log().by_method.values().sum::<usize>(), 3);
        if via.url(&server).starts_with("http") {
            assert_eq!(
                server.request_log().wire_messages,
                1,
                "one batch on the wire"
            );
        }
    }
}

#[tokio::test]
async fn a_batch_has_a_greatest_length_and_an_empty_one_asks_nothing() {
    let server = server(1).await;
    let chains = Chains::new([settings(&[server.http_url()])]).unwrap();
    assert_eq!(
        within(chains.request_batch(CHAIN, &[])).await,
        Ok(Vec::new())
    );
    let most = vec![request("eth_chainId", "[]"); limits::MAX_BATCH];
    let answers = within(chains.request_batch(CHAIN, &most)).await.unwrap();
    assert!(answers.len() == limits::MAX_BATCH && answers.iter().all(Result::is_ok));
    let more = vec![request("eth_chainId", "[]"); limits::MAX_BATCH + 1];
    let error = within(chains.request_batch(CHAIN, &more))
        .await
        .unwrap_err();
    assert_eq!(error.kind, HostErrorKind::InvalidInput);
}

#[tokio::test]
async fn revert_data_reaches_the_module() {
    let server = server(1).await;
    let revert = serde_json::json!({
        "code": 3, "message": "execution reverted", "data": "0x08c379a0",
    });
    server.set_answer("eth_call", Some(Err(revert)));
    let chains = Chains::new([settings(&[server.ws_url()])]).unwrap();
    let error = within(chains.request(CHAIN, &request("eth_call", "[{}]")))
        .await
        .unwrap_err();
    assert_eq!((error.code, error.data.as_deref()), (3, Some("0x08c379a0")));
}

#[tokio::test]
async fn an_answer_beyond_the_cap_is_refused_and_the_endpoint_stays() {
    let server = server(1).await;
    let huge = "x".repeat(limits::MAX_RESPONSE_BYTES);
    server.set_answer("eth_getCode", Some(Ok(huge.into())));
    let chains = Chains::new([settings(&[server.http_url()])]).unwrap();
    let code = request("eth_getCode", "[]");
    let error = within(chains.request(CHAIN, &code)).await.unwrap_err();
    assert_eq!(error.kind, HostErrorKind::InvalidInput);
    within(chains.request(CHAIN, &request("eth_chainId", "[]")))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_chain_that_is_not_configured_is_unsupported() {
    let chains = Chains::new([]).unwrap();
    let chain_id = request("eth_chainId", "[]");
    let asked = chains.request(ChainId(7), &chain_id);
    assert_eq!(
        within(asked).await.unwrap_err().kind,
        HostErrorKind::Unsupported
    );
}
