//! Several endpoints in front of one chain, each with a view of its own.

use nexum_testkit::{Address, NewLog, RpcServer, ScriptedChain};
use serde_json::{Value, json};

use crate::support::call;

/// Ten blocks with a log each.
fn chain() -> ScriptedChain {
    let chain = ScriptedChain::new(31337);
    for _ in 0..10 {
        chain.log(NewLog::of(Address::ZERO, "Ping()"));
        chain.mine(1);
    }
    chain
}

async fn ask(server: &RpcServer, method: &str, params: Value) -> Value {
    call(server, method, params).await.unwrap()
}

async fn head(server: &RpcServer) -> Value {
    ask(server, "eth_blockNumber", json!([])).await
}

async fn logs_from(server: &RpcServer, from: &str) -> usize {
    let logs = ask(server, "eth_getLogs", json!([{ "fromBlock": from }])).await;
    logs.as_array().unwrap().len()
}

#[tokio::test]
async fn a_lagging_node_knows_nothing_newer_than_its_head() {
    let chain = chain();
    let good = RpcServer::start(chain.clone()).await.unwrap();
    let lagging = RpcServer::start(chain.clone()).await.unwrap();
    lagging.change_view(|view| view.lag = 3);
    assert_eq!(
        (head(&good).await, head(&lagging).await),
        (json!("0xa"), json!("0x7"))
    );
    let newest = json!([chain.head().hash, false]);
    assert_eq!(
        ask(&lagging, "eth_getBlockByHash", newest.clone()).await,
        Value::Null
    );
    assert!(ask(&good, "eth_getBlockByHash", newest).await.is_object());
    assert_eq!(
        (
            logs_from(&good, "0x1").await,
            logs_from(&lagging, "0x1").await
        ),
        (10, 7)
    );
    let beyond = json!([{ "fromBlock": "0x1", "toBlock": "0xa" }]);
    lagging.change_view(|view| view.refuse_beyond_head = true);
    assert_eq!(
        call(&lagging, "eth_getLogs", beyond).await.unwrap_err()["code"],
        -32602
    );
    // Deeper behind than before: its head goes backwards.
    lagging.change_view(|view| view.lag = 5);
    assert_eq!(head(&lagging).await, "0x5");
}

#[tokio::test]
async fn a_node_names_a_head_that_it_does_not_know_yet() {
    let server = RpcServer::start(chain()).await.unwrap();
    server.change_view(|view| view.unknown_newest = 2);
    assert_eq!(head(&server).await, "0xa");
    for (number, known) in [("0x8", true), ("0x9", false), ("latest", false)] {
        let block = ask(&server, "eth_getBlockByNumber", json!([number, false])).await;
        assert_eq!(block.is_object(), known, "{number}");
    }
    let by_hash = json!([{ "blockHash": server.chain().head().hash }]);
    let unknown = call(&server, "eth_getLogs", by_hash).await.unwrap_err();
    assert_eq!(unknown["message"], "unknown block");
}

#[tokio::test]
async fn logs_come_later_than_their_blocks() {
    let server = RpcServer::start(chain()).await.unwrap();
    let at_head = async || {
        let by_hash = json!([{ "blockHash": server.chain().head().hash }]);
        ask(&server, "eth_getLogs", by_hash)
            .await
            .as_array()
            .unwrap()
            .len()
    };
    server.change_view(|view| view.logs_missing_newest = 1);
    assert_eq!((at_head().await, logs_from(&server, "0x1").await), (0, 9));
    server.change_view(|view| {
        view.logs_missing_newest = 0;
        view.logs_missing_in.insert(4);
    });
    assert_eq!((at_head().await, logs_from(&server, "0x1").await), (1, 9));
    server.heal();
    assert_eq!(logs_from(&server, "0x1").await, 10);
}

#[tokio::test]
async fn a_node_says_it_is_another_chain() {
    let server = RpcServer::start(chain()).await.unwrap();
    server.change_view(|view| view.chain_id = Some(5));
    assert_eq!(ask(&server, "eth_chainId", json!([])).await, "0x5");
    assert_eq!(ask(&server, "net_version", json!([])).await, "5");
}
