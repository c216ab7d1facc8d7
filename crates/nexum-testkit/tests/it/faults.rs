//! An endpoint that fails, as its clients see it.

use std::{
    future::Future,
    time::{Duration, Instant},
};

use nexum_testkit::{
    Fault, Injection, NewLog, RateLimit, RpcCallError, RpcServer, ScriptedChain, WsClient, WsError,
    rpc,
};
use reqwest::{Client, Response};
use serde_json::{Value, json};

use crate::support::{call, within};

async fn server() -> RpcServer {
    let chain = ScriptedChain::new(31337);
    for number in 0..3_u64 {
        let ping = |copy: u64| NewLog::of(Default::default(), "Ping(uint256)").topic(number + copy);
        chain.transaction(vec![ping(0), ping(1)]);
        chain.mine(1);
    }
    RpcServer::start(chain).await.unwrap()
}

fn batch() -> Value {
    let one = |id: u64, method: &str| json!({ "jsonrpc": "2.0", "id": id, "method": method });
    json!([
        one(1, "eth_chainId"),
        one(2, "eth_blockNumber"),
        one(3, "net_version")
    ])
}

async fn post(server: &RpcServer, body: &Value) -> Response {
    // A client of its own: a pooled connection would outlive its test.
    let client = Client::builder().pool_max_idle_per_host(0).no_proxy();
    let request = client.build().unwrap().post(server.http_url()).json(body);
    within(request.send()).await.unwrap()
}

async fn post_json(server: &RpcServer, body: &Value) -> Value {
    within(post(server, body).await.json()).await.unwrap()
}

async fn chain_id(server: &RpcServer) -> Result<Value, RpcCallError> {
    within(rpc(&server.http_url(), "eth_chainId", json!([]))).await
}

async fn ws(server: &RpcServer) -> WsClient {
    within(WsClient::connect(&server.ws_url())).await.unwrap()
}

fn status(code: u16) -> Fault {
    Fault::Status {
        code,
        retry_after: None,
    }
}

/// True where the future does not end while the server answers a whole other request.
async fn stays_silent<T>(future: impl Future<Output = T>, other: &RpcServer) -> bool {
    tokio::select! {
        _ = future => false,
        answered = chain_id(other) => answered.is_ok(),
    }
}

#[tokio::test]
async fn a_fault_hits_as_often_as_it_says_and_then_the_node_is_well() {
    let server = server().await;
    server.inject(Injection::new(status(503)).times(2));
    let body = json!({ "id": 1, "method": "eth_chainId" });
    for expected in [503, 503, 200] {
        assert_eq!(post(&server, &body).await.status(), expected);
    }
    server.inject(Injection::new(status(500)).on("eth_getLogs"));
    assert!(chain_id(&server).await.is_ok());
    let logs = json!({ "id": 1, "method": "eth_getLogs", "params": [{}] });
    for _ in 0..3 {
        assert_eq!(post(&server, &logs).await.status(), 500);
    }
    server.heal();
    assert_eq!(post(&server, &logs).await.status(), 200);
}

#[tokio::test]
async fn too_many_requests_says_when_to_come_again() {
    let server = server().await;
    let fault = Fault::Status {
        code: 429,
        retry_after: Some(Duration::from_millis(1500)),
    };
    server.inject(Injection::new(fault).times(1));
    server.inject(Injection::new(Fault::TOO_MANY_REQUESTS));
    let refused = post(&server, &batch()).await;
    assert_eq!(
        (refused.status().as_u16(), &refused.headers()["retry-after"]),
        (429, &"2".parse().unwrap())
    );
    let again = post(&server, &batch()).await;
    assert!(again.headers().get("retry-after").is_none());
    let error = within(ws(&server).await.call("eth_chainId", json!([]))).await;
    assert!(error.unwrap_err().to_string().contains("429"));
}

#[tokio::test]
async fn a_rate_is_enforced() {
    let server = server().await;
    server.wire().set_rate_limit(Some(RateLimit {
        per_second: 5,
        retry_after: None,
    }));
    let start = Instant::now();
    let mut taken = 0;
    for _ in 0..30 {
        taken += u32::from(chain_id(&server).await.is_ok());
    }
    let most = 5.0 + 5.0 * start.elapsed().as_secs_f64();
    assert!(
        taken >= 5 && f64::from(taken) <= most,
        "{taken} in {:?}",
        start.elapsed()
    );
    within(async { while post(&server, &batch()).await.status() == 429 {} }).await;
}

#[tokio::test]
async fn what_comes_back_is_no_json() {
    let server = server().await;
    for fault in [Fault::Garbage, Fault::Truncated, Fault::Cut] {
        server.inject(Injection::new(fault.clone()).times(2));
        let error = chain_id(&server).await.unwrap_err();
        assert!(matches!(error, RpcCallError::Transport { .. }), "{fault:?}");
        let mut client = ws(&server).await;
        let error = within(client.call("eth_chainId", json!([])))
            .await
            .unwrap_err();
        match fault {
            // The frame announced more than came.
            Fault::Cut => assert!(matches!(error, WsError::Broken(_)), "{error:?}"),
            _ => assert!(matches!(error, WsError::Json(_)), "{error:?}"),
        }
        assert!(chain_id(&server).await.is_ok());
    }
}

#[tokio::test]
async fn an_enormous_answer_is_well_formed_and_as_long_as_it_says() {
    let server = server().await;
    let bytes = 3_000_000;
    server.inject(Injection::new(Fault::Enormous { bytes }));
    let over_http = chain_id(&server).await.unwrap();
    let over_ws = within(ws(&server).await.call("eth_chainId", json!([]))).await;
    for answer in [over_http, over_ws.unwrap()] {
        assert!(answer.as_str().unwrap().len() > bytes);
    }
}

#[tokio::test]
async fn a_silent_node_keeps_the_connection_and_says_nothing() {
    let (server, other) = (server().await, server().await);
    let mut client = ws(&server).await;
    server.inject(Injection::new(Fault::Silent).on("eth_chainId"));
    assert!(stays_silent(chain_id(&server), &other).await);
    assert!(stays_silent(client.call("eth_chainId", json!([])), &other).await);
    // The socket itself is well.
    within(client.ping()).await.unwrap();
    let head = within(client.call("eth_blockNumber", json!([]))).await;
    assert_eq!(head.unwrap(), "0x3");
}

#[tokio::test]
async fn on_a_half_open_connection_not_even_a_ping_comes_back() {
    let (server, other) = (server().await, server().await);
    let mut client = ws(&server).await;
    server.wire().set_half_open(true);
    assert!(stays_silent(client.ping(), &other).await);
    assert!(stays_silent(chain_id(&server), &other).await);
    server.wire().set_half_open(false);
    assert_eq!(
        within(client.call("eth_blockNumber", json!([])))
            .await
            .unwrap(),
        "0x3",
        "what was under way goes on"
    );
    server.wire().set_half_open(true);
    server.set_down(true);
    assert!(within(client.receive()).await.is_err());
}

#[tokio::test]
async fn dropped_connections_can_be_made_again_at_once() {
    let server = server().await;
    let mut client = ws(&server).await;
    server.wire().drop_connections();
    assert!(within(client.receive()).await.is_err());
    assert!(
        within(ws(&server).await.call("eth_chainId", json!([])))
            .await
            .is_ok()
    );
    assert_eq!(server.refused_connections(), 0);
}

#[tokio::test]
async fn a_batch_comes_back_with_the_wrong_ids() {
    let server = server().await;
    let ids = async |fault: Fault| {
        server.inject(Injection::new(fault).times(1));
        // Alone, a request is none of their business.
        assert!(chain_id(&server).await.is_ok());
        let answers = post_json(&server, &batch()).await;
        let ids = answers.as_array().unwrap().iter();
        ids.map(|one| one["id"].as_u64().unwrap())
            .collect::<Vec<_>>()
    };
    assert_eq!(ids(Fault::DuplicateId).await, [1, 2, 3, 1]);
    assert_eq!(ids(Fault::MissingAnswer).await, [1, 2]);
    assert_eq!(ids(Fault::Reordered).await, [3, 2, 1]);
    server.inject(Injection::new(Fault::BatchRefused));
    assert!(post_json(&server, &batch()).await["error"].is_object());
}

#[tokio::test]
async fn a_batch_over_the_limit_is_refused_as_a_whole() {
    let server = server().await;
    server.change_view(|view| view.max_batch = Some(2));
    let refused = post_json(&server, &batch()).await;
    assert_eq!(refused.as_array().unwrap().len(), 1);
    assert_eq!(refused[0]["error"]["message"], "batch too large");
    let two = json!(batch().as_array().unwrap()[..2]);
    assert_eq!(post_json(&server, &two).await[1]["result"], "0x3");
}

#[tokio::test]
async fn a_node_lies_about_logs_and_parents() {
    let server = server().await;
    let block = server.chain().head();
    let ask = async |method: &str, params: Value, fault: Fault| {
        server.inject(Injection::new(fault).times(1));
        call(&server, method, params).await.unwrap()
    };
    let query = json!([{ "blockHash": block.hash }]);
    let logs = async |fault| ask("eth_getLogs", query.clone(), fault).await;
    assert_ne!(
        logs(Fault::LogsOfAnotherBlock).await[0]["blockHash"],
        json!(block.hash)
    );
    assert_eq!(logs(Fault::LogsOutOfOrder).await[0]["logIndex"], "0x1");
    assert_ne!(logs(Fault::LogsOutOfRange).await[0]["blockNumber"], "0x3");
    assert_eq!(logs(Fault::LogMissing).await.as_array().unwrap().len(), 1);
    let by_number = json!(["0x3", false]);
    let header = ask(
        "eth_getBlockByNumber",
        by_number.clone(),
        Fault::WrongParent,
    )
    .await;
    assert_eq!(header["hash"], json!(block.hash));
    assert_ne!(header["parentHash"], json!(block.parent_hash));
    assert_eq!(
        ask("eth_getBlockByNumber", by_number.clone(), Fault::Null).await,
        Value::Null
    );
    let odd = ask("eth_getBlockByNumber", by_number, Fault::WrongType).await;
    assert!(odd.get("number").is_none());
}

#[tokio::test]
async fn what_a_subscription_announces_can_be_made_wrong() {
    let server = server().await;
    let mut client = ws(&server).await;
    within(client.call("eth_subscribe", json!(["newHeads"])))
        .await
        .unwrap();
    let note = |fault| Injection::new(fault).times(1).on("eth_subscription");
    server.inject(note(Fault::Truncated));
    server.chain().mine(1);
    assert!(serde_json::from_str::<Value>(&within(client.receive()).await.unwrap()).is_err());
    server.inject(note(Fault::WrongParent));
    server.chain().mine(1);
    let head = within(client.note()).await.unwrap();
    assert_ne!(head["parentHash"], json!(server.chain().head().parent_hash));
    server.inject(note(Fault::Cut));
    server.chain().mine(1);
    assert!(matches!(
        within(client.receive()).await,
        Err(WsError::Broken(_))
    ));
}

#[tokio::test]
async fn the_log_tells_what_was_asked() {
    let server = server().await;
    let filter = json!([{ "fromBlock": "0x1" }]);
    call(&server, "eth_getLogs", filter.clone()).await.unwrap();
    post_json(&server, &batch()).await;
    let log = server.request_log();
    assert_eq!(log.params_of("eth_getLogs").collect::<Vec<_>>(), [&filter]);
    assert_eq!((log.total(), log.wire_messages, log.batches), (4, 2, 1));
    assert_eq!(log.last.back().unwrap().method, "net_version");
    assert!((3..=4).contains(&log.peak_per_second));
    server.clear_request_log();
    assert_eq!(server.request_log().total(), 0);
}
