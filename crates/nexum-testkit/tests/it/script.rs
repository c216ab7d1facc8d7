//! The readable form of a chain.

use std::time::Duration;

use nexum_testkit::{RpcServer, Script, Stage, U256, Wording, rpc};
use serde_json::json;

fn script(text: &str) -> Script {
    text.parse().unwrap()
}

#[test]
fn a_script_plays_what_it_says() {
    let script = script(
        "
        chain 31337 every 50ms
        balance 0xa1 = 5 ether     # from block 1 on
        mine 3
        balance 0xa1 -= 1.5 ether
        mine
        reorg 2
        ",
    );
    assert_eq!(
        (script.chain_id, script.every),
        (31337, Duration::from_millis(50))
    );
    let chain = script.chain();
    script.play_at_once(&chain).unwrap();
    let who = "0x00000000000000000000000000000000000000a1"
        .parse()
        .unwrap();
    assert_eq!(chain.head().number, 4);
    let ether = U256::from(1_000_000_000_000_000_000_u64);
    assert_eq!(chain.head().balance(&who), ether * U256::from(5));
}

#[test]
fn an_error_names_its_line_and_what_was_expected() {
    let error = |text: &str| text.parse::<Script>().unwrap_err().to_string();
    assert!(error("").starts_with("line 1: a script begins with 'chain <id>'"));
    assert!(error("\n\nmine 3").starts_with("line 3: a script begins with"));
    assert!(error("chain 1\nmine three").starts_with("line 2: 'three' is not a number"));
    assert!(error("chain 1\n\nexplode").starts_with("line 3: unknown action 'explode'"));
    assert!(error("chain 1\nbalance 0xzz = 1 ether").contains("is not an address"));
    assert!(error("chain 1\nbalance 0xa1 = 1 shell").contains("is not an amount"));
    assert!(error("chain 1\nbalance 0xa1 = -1 ether").contains("is not an amount"));
    assert!(error("chain 1\nbalance 0xa1 * 1 ether").contains("expected 'balance"));
    assert!(error("chain 1 every now").contains("is not a duration"));
}

#[test]
fn a_step_that_the_chain_refuses_names_its_line() {
    let script = script("chain 1\nmine 2\nreorg 3");
    let error = script.play_at_once(&script.chain()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "line 3: cannot take 3 blocks off a chain whose head is block 2"
    );
}

#[tokio::test]
async fn playing_at_a_pace_ends_at_the_same_head() {
    let script = script("chain 1 every 1ms\nmine 5\nreorg 2\nmine");
    let (played, at_once) = (script.chain(), script.chain());
    script.play(&played).await.unwrap();
    script.play_at_once(&at_once).unwrap();
    assert_eq!(played.head(), at_once.head());
}

#[tokio::test]
async fn a_script_says_what_becomes_of_its_endpoints() {
    let script = script(
        "
        chain 31337
        mine 5
        endpoint 2 lag 2
        endpoint 1 fail status 429 retry-after 1s times 1 on eth_getLogs
        range-limit 3 alchemy
        reorg 2 {
          log 0xc0 Ping(uint256) 7
          mine 3
        }
        ",
    );
    let chain = script.chain();
    let start = async || RpcServer::start(chain.clone()).await.unwrap();
    let endpoints = [start().await, start().await];
    let stage = Stage {
        chain: &chain,
        endpoints: &[&endpoints[0], &endpoints[1]],
    };
    script.play_at_once(stage).unwrap();
    assert_eq!((chain.head().number, endpoints[1].view().lag), (6, 2));
    assert_eq!(chain.block(4).unwrap().logs.len(), 1);
    for server in &endpoints {
        assert_eq!(server.view().log_limits.max_blocks, Some(3));
        assert_eq!(server.view().log_limits.wording, Wording::Alchemy);
    }
    let filter = json!([{ "blockHash": chain.head().hash }]);
    let url = endpoints[0].http_url();
    assert!(rpc(&url, "eth_getLogs", filter.clone()).await.is_err());
    assert!(rpc(&url, "eth_getLogs", filter).await.is_ok());
}

#[test]
fn a_step_for_an_endpoint_that_is_not_there_names_its_line() {
    for text in ["chain 1\nendpoint 2 down", "chain 1\nheal"] {
        let script = script(text);
        let error = script.play_at_once(&script.chain()).unwrap_err();
        assert_eq!(error.line, 2);
        assert!(
            error.to_string().contains("there is no endpoint"),
            "{error}"
        );
    }
}

#[test]
fn a_branch_holds_blocks_and_their_content_and_has_an_end() {
    let error = |text: &str| text.parse::<Script>().unwrap_err().to_string();
    assert!(error("chain 1\nreorg 1 {\nmine").starts_with("line 2: a branch begins"));
    assert!(error("chain 1\n}").starts_with("line 2: a branch begins"));
    assert!(error("chain 1\nreorg 1 {\nreorg 1 {").starts_with("line 3: a branch begins"));
    assert!(error("chain 1\nreorg 1 {\ndown\n}").starts_with("line 3: 'down' cannot stand"));
    assert!(error("chain 1\nreorg 1 sideways").contains("keep, late <blocks>"));
    assert!(error("chain 1\nlog 0xa1 Ping(uint)").contains("is not an event"));
    assert!(error("chain 1\nfail oddly").contains("logs-of-another-block"));
}
