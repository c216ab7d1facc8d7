//! Logs on the chain, and what nodes answer about them.

use nexum_testkit::{
    Address, B256, LogLimits, NewLog, RpcServer, Script, ScriptedChain, U256, Wording, keccak256,
};
use serde_json::{Value, json};

use crate::support::{call, numbers, script, server_of};

const TRANSFER: &str = "Transfer(address,address,uint256)";

/// Blocks 1 to 4: a transfer and two pings in one transaction, nothing, a ping, nothing.
fn story() -> Script {
    script(
        "
        chain 1
        log 0xc0 Transfer(address,address,uint256) 0xa1 0xb2 data 1000
        logs 2 0xd0 Ping(uint256) i
        mine
        mine
        log 0xd0 Ping(uint256) 9
        mine 2
        ",
    )
}

async fn story_server() -> RpcServer {
    server_of(&story()).await
}

async fn logs(server: &RpcServer, filter: Value) -> Result<Value, Value> {
    call(server, "eth_getLogs", json!([filter])).await
}

#[test]
fn logs_go_into_the_next_block_in_order_with_their_transactions() {
    let chain = story().chain();
    story().play_at_once(&chain).unwrap();
    let block = chain.block(1).unwrap();
    let [transfer, ping, pong] = block.logs.as_slice() else {
        panic!("three logs, not {:?}", block.logs);
    };
    assert_eq!(transfer.topics[0], keccak256(TRANSFER));
    assert_eq!(transfer.data[..], U256::from(1000).to_be_bytes::<32>());
    assert_eq!(ping.transaction_hash, pong.transaction_hash);
    assert_ne!(ping.transaction_hash, transfer.transaction_hash);
    let indices = block.logs.iter().map(|log| log.transaction_index);
    assert_eq!(indices.collect::<Vec<_>>(), [0, 1, 1]);
    assert!(chain.block(2).unwrap().logs.is_empty());
}

#[test]
fn a_bloom_holds_its_blocks_addresses_and_topics_and_no_others() {
    let chain = story().chain();
    story().play_at_once(&chain).unwrap();
    // Three bits for the address and for each of two topics; some may fall together.
    let bits = |number| {
        let block = chain.block(number).unwrap();
        block
            .logs_bloom()
            .iter()
            .map(|byte| byte.count_ones())
            .sum::<u32>()
    };
    assert_eq!((bits(2), bits(4)), (0, 0));
    assert!((3..=9).contains(&bits(3)), "{}", bits(3));
    let has = |number, bytes: &[u8]| {
        let hash = keccak256(bytes);
        let block = chain.block(number).unwrap();
        [0, 2, 4].into_iter().all(|pair| {
            let bit = usize::from(u16::from_be_bytes([hash[pair], hash[pair + 1]]) & 0x7ff);
            block.logs_bloom()[255 - bit / 8] & (1 << (bit % 8)) != 0
        })
    };
    let emitter = Address::with_last_byte(0xd0);
    assert!(has(3, emitter.as_slice()) && has(3, keccak256("Ping(uint256)").as_slice()));
    assert!(!has(3, Address::with_last_byte(0xc0).as_slice()));
}

#[tokio::test]
async fn logs_are_found_by_range_address_and_topics() {
    let server = story_server().await;
    let found = async |filter: Value| numbers(&logs(&server, filter).await.unwrap());
    let all = json!({ "fromBlock": "earliest", "toBlock": "latest" });
    assert_eq!(found(all).await, [(1, 0), (1, 1), (1, 2), (3, 0)]);
    let with = |mut extra: Value| {
        extra["fromBlock"] = json!("0x0");
        extra
    };
    let (c0, d0) = (Address::with_last_byte(0xc0), Address::with_last_byte(0xd0));
    assert_eq!(found(with(json!({ "address": c0 }))).await, [(1, 0)]);
    assert_eq!(found(with(json!({ "address": [c0, d0] }))).await.len(), 4);
    let one = B256::with_last_byte(1);
    let nine = B256::with_last_byte(9);
    assert_eq!(
        found(with(json!({ "topics": [null, [one, nine]] }))).await,
        [(1, 2), (3, 0)]
    );
    assert_eq!(
        found(json!({ "fromBlock": "0x2", "toBlock": "0x63" })).await,
        [(3, 0)],
        "a range past the head ends at the head"
    );
    assert_eq!(
        found(json!({ "fromBlock": "0x5", "toBlock": "0x9" })).await,
        []
    );
    assert_eq!(
        found(json!({})).await,
        [],
        "without bounds it is the head alone"
    );
}

#[tokio::test]
async fn logs_are_found_by_the_hash_of_any_block_there_ever_was() {
    let server = story_server().await;
    let chain = server.chain();
    let orphan = chain.block(3).unwrap().hash;
    chain.reorg(2).unwrap();
    let by_hash = async |hash: B256| logs(&server, json!({ "blockHash": hash })).await;
    assert_eq!(numbers(&by_hash(orphan).await.unwrap()), [(3, 0)]);
    let new = chain.block(3).unwrap().hash;
    assert_eq!(by_hash(new).await.unwrap(), json!([]));
    let unknown = by_hash(B256::repeat_byte(1)).await.unwrap_err();
    assert_eq!(
        unknown,
        json!({ "code": -32000, "message": "unknown block" })
    );
}

#[tokio::test]
async fn a_filter_that_contradicts_itself_is_refused() {
    let server = story_server().await;
    let hash = server.chain().head().hash;
    for filter in [
        json!({ "fromBlock": "0x3", "toBlock": "0x2" }),
        json!({ "blockHash": hash, "fromBlock": "0x1" }),
        json!({ "fromBlock": "0x01" }),
        json!({ "topics": [1] }),
    ] {
        let refusal = logs(&server, filter.clone()).await.unwrap_err();
        assert_eq!(refusal["code"], -32602, "{filter}");
    }
}

#[tokio::test]
async fn a_log_and_its_header_have_the_fields_of_a_node() {
    let server = story_server().await;
    let block = server.chain().block(1).unwrap();
    let query = json!({ "blockHash": block.hash });
    let answer = logs(&server, query.clone()).await.unwrap();
    let log = &block.logs[2];
    let expected = json!({
        "address": log.address,
        "topics": log.topics,
        "data": "0x",
        "blockNumber": "0x1",
        "blockHash": block.hash,
        "transactionHash": log.transaction_hash,
        "transactionIndex": "0x1",
        "logIndex": "0x2",
        "removed": false,
    });
    assert_eq!(answer[2], expected);
    let header = async || {
        let params = json!(["0x1", false]);
        call(&server, "eth_getBlockByNumber", params).await.unwrap()
    };
    assert_eq!(header().await["logsBloom"], json!(block.logs_bloom()));
    server.change_view(|view| {
        view.log_timestamps = true;
        view.empty_blooms = true;
    });
    assert_eq!(
        header().await["logsBloom"],
        json!(format!("0x{}", "0".repeat(512)))
    );
    let stamped = logs(&server, query).await.unwrap();
    assert_eq!(
        stamped[2]["blockTimestamp"],
        json!(format!("{:#x}", block.timestamp))
    );
}

#[test]
fn a_reorg_drops_keeps_or_delays_what_the_blocks_held() {
    let kinds = |how: &str| -> [Vec<u8>; 3] {
        let script = script(&format!(
            "chain 1
             log 0xd0 Ping(uint256) 1
             mine
             log 0xd0 Ping(uint256) 2
             mine
             reorg 2 {how}
             mine"
        ));
        let chain = script.chain();
        script.play_at_once(&chain).unwrap();
        let topic = |number| {
            let logs = &chain.block(number).unwrap().logs;
            logs.iter().map(|log| log.topics[1][31]).collect::<Vec<_>>()
        };
        [topic(1), topic(2), topic(3)]
    };
    assert_eq!(kinds("drop"), [const { Vec::<u8>::new() }; 3]);
    assert_eq!(kinds("keep"), [vec![1], vec![2], vec![]]);
    assert_eq!(kinds("late 1"), [vec![], vec![1], vec![2]]);
    assert_eq!(kinds("late 2"), [vec![], vec![], vec![1, 2]]);
}

#[test]
fn a_transaction_keeps_its_hash_in_another_block() {
    let chain = ScriptedChain::new(1);
    chain.log(NewLog::of(Address::ZERO, "Ping()"));
    chain.log(NewLog::of(Address::ZERO, "Ping()"));
    chain.mine(1);
    let before = chain.head();
    assert_ne!(
        before.logs[0].transaction_hash, before.logs[1].transaction_hash,
        "two that emit the same are two"
    );
    chain.reorg_replaying(1, 0).unwrap();
    let after = chain.head();
    assert_ne!(before.hash, after.hash);
    assert_eq!(before.logs, after.logs);
}

#[test]
fn another_branch_has_logs_of_its_own_and_any_height() {
    let chain = ScriptedChain::new(1);
    chain.mine(5);
    let first = chain.block(3).unwrap();
    let ping = NewLog::of(Address::ZERO, "Ping(uint256)").topic(7_u64);
    chain
        .reorg_to(2, |branch| {
            branch.mine(1);
            branch.log(ping);
            branch.mine(3);
        })
        .unwrap();
    assert_eq!(chain.head().number, 7);
    assert_eq!(chain.block(4).unwrap().parent_hash, first.hash);
    assert_eq!(chain.block(5).unwrap().logs.len(), 1);
}

#[tokio::test]
async fn a_range_that_is_too_wide_is_refused_in_the_providers_words() {
    let server = story_server().await;
    let limit = |limits: LogLimits| server.change_view(|view| view.log_limits = limits);
    let all = json!({ "fromBlock": "0x0" });
    for (name, wording) in Wording::ALL {
        limit(LogLimits {
            max_blocks: Some(4),
            wording,
            ..LogLimits::default()
        });
        assert!(logs(&server, all.clone()).await.is_err(), "{name}");
        let narrow = json!({ "fromBlock": "0x1", "toBlock": "0x4" });
        assert_eq!(
            logs(&server, narrow).await.unwrap()[3]["blockNumber"],
            "0x3"
        );
    }
    limit(LogLimits {
        max_results: Some(3),
        wording: Wording::Infura,
        ..LogLimits::default()
    });
    let refusal = logs(&server, all).await.unwrap_err();
    assert_eq!(
        refusal["message"],
        "query returned more than 3 results. Try with this block range [0x0, 0x2]."
    );
    let fits = json!({ "fromBlock": "0x0", "toBlock": "0x2" });
    assert_eq!(logs(&server, fits).await.unwrap()[2]["logIndex"], "0x2");
}

#[tokio::test]
async fn the_logs_of_a_long_chain_come_in_one_answer() {
    let chain = ScriptedChain::new(1);
    chain.at_once(|branch| {
        for number in 1..=50_000_u64 {
            if number.is_multiple_of(500) {
                let log = |index: u64| NewLog::of(Address::ZERO, "Ping(uint256)").topic(index);
                branch.transaction((0..10).map(log).collect());
            }
            branch.mine(1);
        }
    });
    let server = RpcServer::start(chain).await.unwrap();
    let answer = logs(&server, json!({ "fromBlock": "0x1" })).await.unwrap();
    assert_eq!(answer.as_array().unwrap().len(), 1000);
}
