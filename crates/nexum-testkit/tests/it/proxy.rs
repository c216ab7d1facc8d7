//! The proxy, in front of a scripted chain and of anvil.

use nexum_testkit::{
    Anvil, Fault, FaultProxy, Injection, RpcCallError, RpcServer, ScriptedChain, WsClient, WsError,
    rpc,
};
use serde_json::{Value, json};

use crate::support::within;

async fn pair() -> (RpcServer, FaultProxy) {
    let chain = ScriptedChain::new(31337);
    chain.mine(3);
    let node = RpcServer::start(chain).await.unwrap();
    let proxy = FaultProxy::start(&node.http_url(), &node.ws_url()).await;
    (node, proxy.unwrap())
}

async fn head(proxy: &FaultProxy) -> Result<Value, RpcCallError> {
    within(rpc(&proxy.http_url(), "eth_blockNumber", json!([]))).await
}

async fn ws(proxy: &FaultProxy) -> WsClient {
    within(WsClient::connect(&proxy.ws_url())).await.unwrap()
}

#[tokio::test]
async fn messages_pass_and_are_counted() {
    let (node, proxy) = pair().await;
    assert_eq!(head(&proxy).await.unwrap(), "0x3");
    let mut client = ws(&proxy).await;
    let id = within(client.call("eth_subscribe", json!(["newHeads"]))).await;
    assert_eq!(id.unwrap(), "0x1");
    node.chain().mine(2);
    for number in ["0x4", "0x5"] {
        assert_eq!(within(client.note()).await.unwrap()["number"], number);
    }
    let batch = r#"[{"id":7,"method":"eth_chainId"},{"id":8,"method":"eth_blockNumber"}]"#;
    within(client.send(batch)).await.unwrap();
    let answers: Value = serde_json::from_str(&within(client.receive()).await.unwrap()).unwrap();
    assert_eq!(answers[1]["result"], "0x5");
    let log = proxy.request_log();
    assert_eq!(
        (log.total(), log.count("eth_blockNumber"), log.batches),
        (4, 2, 1)
    );
    assert_eq!(node.request_log().total(), 4);
}

#[tokio::test]
async fn it_fails_as_a_server_fails() {
    let (node, proxy) = pair().await;
    proxy
        .wire()
        .inject(Injection::new(Fault::TOO_MANY_REQUESTS).times(1));
    assert!(head(&proxy).await.is_err());
    assert_eq!(node.request_log().total(), 0, "the node never heard of it");
    for fault in [Fault::Garbage, Fault::Truncated, Fault::Cut] {
        proxy.wire().inject(Injection::new(fault).times(2));
        assert!(head(&proxy).await.is_err());
        let mut client = ws(&proxy).await;
        assert!(
            within(client.call("eth_blockNumber", json!([])))
                .await
                .is_err()
        );
    }
    let mut client = ws(&proxy).await;
    proxy.wire().set_half_open(true);
    let node_url = node.http_url();
    tokio::select! {
        _ = client.call("eth_blockNumber", json!([])) => panic!("an answer came through"),
        answered = rpc(&node_url, "eth_chainId", json!([])) => assert!(answered.is_ok()),
    }
    proxy.wire().heal();
    assert_eq!(head(&proxy).await.unwrap(), "0x3");
    proxy.wire().set_down(true);
    assert!(head(&proxy).await.is_err());
    // The answer that was under way may come first; then the connection ends.
    within(async { while client.receive().await.is_ok() {} }).await;
}

#[tokio::test]
async fn when_the_node_goes_its_clients_are_told() {
    let (node, proxy) = pair().await;
    let mut client = ws(&proxy).await;
    node.set_down(true);
    let ended = within(client.receive()).await.unwrap_err();
    assert!(
        matches!(ended, WsError::Broken(_) | WsError::Closed),
        "{ended:?}"
    );
    assert!(head(&proxy).await.is_err());
    node.set_down(false);
    assert_eq!(head(&proxy).await.unwrap(), "0x3");
    let again = within(ws(&proxy).await.call("eth_blockNumber", json!([]))).await;
    assert_eq!(again.unwrap(), "0x3");
}

#[tokio::test]
async fn anvil_stands_behind_it() {
    let anvil = Anvil::start(["--chain-id", "4242"]).await.unwrap();
    let proxy = FaultProxy::before(&anvil).await.unwrap();
    let mut client = ws(&proxy).await;
    within(client.call("eth_subscribe", json!(["newHeads"])))
        .await
        .unwrap();
    anvil.mine(1).await.unwrap();
    assert_eq!(within(client.note()).await.unwrap()["number"], "0x1");
    assert_eq!(head(&proxy).await.unwrap(), "0x1");
    proxy
        .wire()
        .inject(Injection::new(Fault::WrongParent).times(1));
    let block = json!(["0x1", false]);
    let through = async || {
        let url = proxy.http_url();
        within(rpc(&url, "eth_getBlockByNumber", block.clone()))
            .await
            .unwrap()
    };
    let (lie, truth) = (through().await, through().await);
    assert_ne!(lie["parentHash"], truth["parentHash"]);
    assert_eq!(lie["hash"], truth["hash"]);
}
