//! What a WebSocket announces.

use nexum_testkit::{Address, NewLog, RpcServer, ScriptedChain, WsClient};
use serde_json::{Value, json};

use crate::support::{numbers, within};

async fn connect(server: &RpcServer) -> WsClient {
    within(WsClient::connect(&server.ws_url())).await.unwrap()
}

async fn note(client: &mut WsClient) -> Value {
    within(client.note()).await.unwrap()
}

fn ping(number: u64) -> NewLog {
    NewLog::of(Address::with_last_byte(0xd0), "Ping(uint256)").topic(number)
}

/// Whether the log is removed, its block's number, its index.
async fn log(client: &mut WsClient) -> (bool, u64, u64) {
    let note = note(client).await;
    let removed = note["removed"].as_bool().unwrap();
    let (number, index) = numbers(&json!([note]))[0];
    (removed, number, index)
}

#[tokio::test]
async fn a_reorg_takes_logs_back_newest_first_before_the_new_branch_brings_its_own() {
    let chain = ScriptedChain::new(1);
    let server = RpcServer::start(chain.clone()).await.unwrap();
    let mut client = connect(&server).await;
    let filter = json!({ "address": Address::with_last_byte(0xd0) });
    let call = client.call("eth_subscribe", json!(["logs", filter]));
    assert_eq!(within(call).await.unwrap(), "0x1");
    chain.log(ping(1));
    chain.log(NewLog::of(Address::ZERO, "Ping(uint256)"));
    chain.log(ping(2));
    chain.mine(1);
    chain.log(ping(3));
    chain.mine(1);
    let mut orphans = Vec::new();
    for expected in [(1, 0), (1, 2), (2, 0)] {
        let log = note(&mut client).await;
        assert_eq!(numbers(&json!([log])), [expected]);
        orphans.push(log);
    }
    chain
        .reorg_to(2, |branch| {
            branch.mine(2);
            branch.log(ping(4));
            branch.mine(1);
        })
        .unwrap();
    for mut taken_back in orphans.into_iter().rev() {
        taken_back["removed"] = json!(true);
        assert_eq!(note(&mut client).await, taken_back);
    }
    assert_eq!(log(&mut client).await, (false, 3, 0));
    // Going back alone is told with the block that is built on it.
    chain.rollback(2).unwrap();
    chain.mine(1);
    chain.log(ping(5));
    chain.mine(1);
    assert_eq!(log(&mut client).await, (true, 3, 0));
    assert_eq!(log(&mut client).await, (false, 3, 0));
}

#[tokio::test]
async fn heads_come_in_order_and_end_with_the_subscription() {
    let chain = ScriptedChain::new(1);
    let server = RpcServer::start(chain.clone()).await.unwrap();
    let mut client = connect(&server).await;
    let id = within(client.call("eth_subscribe", json!(["newHeads"])))
        .await
        .unwrap();
    chain.mine(2);
    chain.reorg(1).unwrap();
    for number in ["0x1", "0x2", "0x2"] {
        assert_eq!(note(&mut client).await["number"], number);
    }
    let ended = within(client.call("eth_unsubscribe", json!([id]))).await;
    assert_eq!(ended.unwrap(), true);
    let again = within(client.call("eth_unsubscribe", json!([id]))).await;
    assert_eq!(again.unwrap(), false);
    let unknown = within(client.call("eth_subscribe", json!(["syncing"]))).await;
    assert!(unknown.unwrap_err().to_string().contains("-32602"));
}

#[tokio::test]
async fn a_lagging_node_announces_what_it_has_caught_up_with() {
    let chain = ScriptedChain::new(1);
    let server = RpcServer::start(chain.clone()).await.unwrap();
    server.change_view(|view| view.lag = 2);
    let mut client = connect(&server).await;
    within(client.call("eth_subscribe", json!(["newHeads"])))
        .await
        .unwrap();
    chain.mine(3);
    assert_eq!(note(&mut client).await["number"], "0x1");
    let head = within(client.call("eth_blockNumber", json!([]))).await;
    assert_eq!(head.unwrap(), "0x1");
    chain.mine(1);
    assert_eq!(note(&mut client).await["number"], "0x2");
}

#[tokio::test]
async fn what_is_announced_while_muted_is_never_heard() {
    let chain = ScriptedChain::new(1);
    let server = RpcServer::start(chain.clone()).await.unwrap();
    let mut client = connect(&server).await;
    within(client.call("eth_subscribe", json!(["newHeads"])))
        .await
        .unwrap();
    server.set_muted(true);
    chain.mine(1);
    let head = within(client.call("eth_blockNumber", json!([]))).await;
    assert_eq!(head.unwrap(), "0x1", "requests are answered all the same");
    server.set_muted(false);
    chain.mine(1);
    assert_eq!(note(&mut client).await["number"], "0x2");
}
