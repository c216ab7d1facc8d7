//! What several modules ask is asked once.

use std::time::Duration;

use futures::future::join_all;
use nexum_chain::Chains;
use nexum_testkit::RpcServer;
use nexum_types::{ChainRpc, RpcRequest};

use crate::support::{CHAIN, server, settings, until, within};

fn request(method: &str, params: &str) -> RpcRequest {
    RpcRequest {
        method: method.into(),
        params: params.into(),
    }
}

async fn ready(server: &RpcServer) -> Chains {
    let chains = Chains::new([settings(&[server.http_url()])]).unwrap();
    chains.verify().await.unwrap();
    server.clear_request_log();
    chains
}

#[tokio::test]
async fn a_hundred_who_ask_the_same_at_the_same_time_ask_once() {
    let server = server(3).await;
    let chains = ready(&server).await;
    server.set_latency(Duration::from_millis(100));
    let spellings = ["[\"latest\", false]", "[ \"latest\",false ]"];
    let requests: Vec<_> = (0..100)
        .map(|n| request("eth_getBlockByNumber", spellings[n % 2]))
        .collect();
    let asked = requests.iter().map(|one| chains.request(CHAIN, one));
    let answers = within(join_all(asked)).await;
    assert!(answers.iter().all(|answer| *answer == answers[0]));
    assert!(answers[0].is_ok());
    assert_eq!(server.request_log().count("eth_getBlockByNumber"), 1);
    assert_eq!(chains.stats()[0].coalesced, 99);
    // It has been answered: the next one wants to know what is so now.
    server.chain().mine(1);
    let later = within(chains.request(CHAIN, &requests[0])).await;
    assert_ne!(later, answers[0]);
}

#[tokio::test]
async fn those_who_joined_get_their_answer_when_the_first_one_goes() {
    let server = server(3).await;
    let chains = ready(&server).await;
    server.set_latency(Duration::from_millis(200));
    let asked = request("eth_blockNumber", "[]");
    let first = {
        let (chains, asked) = (chains.clone(), asked.clone());
        tokio::spawn(async move { chains.request(CHAIN, &asked).await })
    };
    until(|| server.request_log().count("eth_blockNumber") == 1).await;
    let batch = [asked.clone(), request("eth_gasPrice", "[]")];
    let second = chains.request_batch(CHAIN, &batch);
    let third = chains.request(CHAIN, &asked);
    let joined = async {
        let both = tokio::join!(second, third);
        (both.0.unwrap(), both.1)
    };
    tokio::pin!(joined);
    assert!(futures::poll!(&mut joined).is_pending());
    first.abort();
    let (second, third) = within(joined).await;
    assert_eq!(second[0].as_deref(), Ok("\"0x3\""));
    assert_eq!(third.as_deref(), Ok("\"0x3\""));
    assert!(second[1].is_ok());
    assert_eq!(server.request_log().count("eth_blockNumber"), 1);
}

#[tokio::test]
async fn what_cannot_change_is_asked_once() {
    let server = server(100).await;
    let chains = ready(&server).await;
    let head = server.chain().head().hash;
    let by_hash = request("eth_getBlockByHash", &format!("[\"{head}\", false]"));
    let balance = format!("[\"0x{}\", \"{head}\"]", "11".repeat(20));
    let balance = request("eth_getBalance", &balance);
    let first = within(chains.request(CHAIN, &by_hash)).await.unwrap();
    within(chains.request(CHAIN, &balance)).await.unwrap();
    server.set_down(true);
    let again = within(chains.request_batch(CHAIN, &[balance, by_hash])).await;
    assert_eq!(again.unwrap()[1].as_deref(), Ok(&*first));
    let stats = &chains.stats()[0];
    assert_eq!((stats.asked, stats.cached), (4, 2));
    assert!(stats.cache_bytes > first.len() as u64);
}

#[tokio::test]
async fn a_block_by_number_is_kept_once_it_is_final() {
    let server = server(200).await;
    let chains = ready(&server).await;
    let (old, new) = (
        request("eth_getBlockByNumber", "[\"0x1\", false]"),
        request("eth_getBlockByNumber", "[\"0xc8\", false]"),
    );
    // The first of these makes the chain ask what is final; from the answer on, they are kept.
    within(async {
        while chains.stats()[0].cached == 0 {
            chains.request(CHAIN, &old).await.unwrap();
        }
    })
    .await;
    let cached = chains.stats()[0].cached;
    for _ in 0..2 {
        within(chains.request(CHAIN, &new)).await.unwrap();
    }
    assert_eq!(chains.stats()[0].cached, cached, "the head is not final");
}
