//! The scripted chain as clients see it, over HTTP.

use nexum_testkit::{Address, RpcCallError, RpcServer, ScriptedChain, U256, rpc};
use serde_json::{Value, json};

async fn server(blocks: u64) -> RpcServer {
    let chain = ScriptedChain::new(31337);
    chain.mine(blocks);
    RpcServer::start(chain).await.unwrap()
}

async fn call(server: &RpcServer, method: &str, params: Value) -> Result<Value, i64> {
    match rpc(&server.http_url(), method, params).await {
        Ok(result) => Ok(result),
        Err(RpcCallError::Node { error, .. }) => Err(error["code"].as_i64().unwrap()),
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test]
async fn it_answers_what_a_node_answers() {
    let server = server(100).await;
    let ok = async |method: &str, params: Value| call(&server, method, params).await.unwrap();
    assert_eq!(ok("eth_chainId", json!([])).await, json!("0x7a69"));
    assert_eq!(ok("net_version", json!([])).await, json!("31337"));
    assert_eq!(ok("eth_blockNumber", json!([])).await, json!("0x64"));
    for (tag, number) in [
        ("latest", "0x64"),
        ("pending", "0x64"),
        ("safe", "0x44"),
        ("finalized", "0x24"),
        ("earliest", "0x0"),
        ("0x10", "0x10"),
    ] {
        let block = ok("eth_getBlockByNumber", json!([tag, false])).await;
        assert_eq!(block["number"], json!(number), "{tag}");
        let same = ok("eth_getBlockByHash", json!([block["hash"], false])).await;
        assert_eq!(same, block);
    }
    assert_eq!(
        ok("eth_getBlockByNumber", json!(["0x65", false])).await,
        Value::Null
    );
    assert_eq!(
        call(&server, "eth_getBlockByNumber", json!(["0x010", false])).await,
        Err(-32602)
    );
    assert_eq!(
        call(&server, "eth_sendTransaction", json!([])).await,
        Err(-32601)
    );
}

#[tokio::test]
async fn balances_are_known_at_every_block() {
    let server = server(1).await;
    let who = Address::repeat_byte(7);
    server.chain().set_balance(who, U256::from(5));
    server.chain().mine(1);
    let orphan = server.chain().head().hash;
    server.chain().reorg(1).unwrap();
    let balance = async |block: Value| call(&server, "eth_getBalance", json!([who, block])).await;
    assert_eq!(balance(json!("latest")).await, Ok(json!("0x0")));
    assert_eq!(balance(json!(orphan)).await, Ok(json!("0x5")));
    assert_eq!(
        balance(json!({ "blockHash": orphan })).await,
        Ok(json!("0x5"))
    );
    assert_eq!(
        balance(json!({ "blockNumber": "0x2" })).await,
        Ok(json!("0x0"))
    );
    assert_eq!(balance(json!("0x63")).await, Err(-32000));
}

#[tokio::test]
async fn it_goes_down_and_comes_up_on_the_same_port() {
    let server = server(1).await;
    server.set_down(true);
    assert!(
        rpc(&server.http_url(), "eth_chainId", json!([]))
            .await
            .is_err()
    );
    server.set_down(false);
    assert_eq!(
        call(&server, "eth_chainId", json!([])).await,
        Ok(json!("0x7a69"))
    );
    let addr = server.addr();
    server.shutdown().await;
    tokio::net::TcpListener::bind(addr)
        .await
        .expect("the port is free");
}
