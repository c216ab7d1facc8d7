//! The example modules as they are shipped, with their own manifests, against real contracts on a
//! real node.

use std::collections::BTreeMap;

use nexum_sdk::{alloy::sol_types::SolCall as _, sol};
use nexum_testkit::{Address, Anvil, U256};
use serde_json::{Value, json};

use crate::{
    log,
    world::{CHAIN, Module, Running, World, receipt, workspace},
};

sol! {
    function set(int256 newAnswer) external;
    function mint(address to, uint256 value) external;
    function transfer(address to, uint256 value) external returns (bool);
}

/// Where the first contract of anvil's first account is: the address in the shipped manifests.
const FIRST_CONTRACT: &str = "0x5fbdb2315678afecb367f032d93f642f64180aa3";

/// More than any transaction here takes.
const GAS: &str = "0x200000";

/// A node, its first account, and the contract that it deployed first.
struct Deployed {
    anvil: Anvil,
    account: Value,
}

impl Deployed {
    async fn contract(name: &str) -> Self {
        let anvil = Anvil::start(Vec::<String>::new()).await.unwrap();
        let accounts = anvil.rpc("eth_accounts", json!([])).await.unwrap();
        let this = Self {
            anvil,
            account: accounts[0].clone(),
        };
        let path = workspace().join(format!("modules/contracts/{name}.hex"));
        let code = std::fs::read_to_string(path).unwrap();
        let deployed = this
            .send(json!({ "from": this.account, "data": code.trim() }))
            .await;
        assert_eq!(deployed["contractAddress"], FIRST_CONTRACT);
        this
    }

    /// Calls the contract in a transaction, which anvil mines in a block of its own.
    async fn call(&self, input: Vec<u8>) {
        let input = nexum_testkit::Bytes::from(input);
        let transaction = json!({ "from": self.account, "to": FIRST_CONTRACT, "data": input });
        let receipt = self.send(transaction).await;
        assert_eq!(receipt["status"], "0x1", "{receipt}");
    }

    /// With gas to spare: what the node estimates is for the state and the time of now.
    async fn send(&self, mut transaction: Value) -> Value {
        transaction["gas"] = json!(GAS);
        let hash = self.anvil.rpc("eth_sendTransaction", json!([transaction]));
        receipt(&self.anvil, &hash.await.unwrap()).await
    }

    async fn head(&self) -> u64 {
        let head = self.anvil.rpc("eth_blockNumber", json!([])).await.unwrap();
        head.as_str().unwrap().parse::<U256>().unwrap().to()
    }

    fn world(&self, module: &str) -> World {
        World::new()
            .chain(CHAIN, &self.anvil.ws_url())
            .module(Module::shipped(module))
    }
}

/// What `module` itself logged, from the line on that it began with.
fn said(module: &str) -> Vec<String> {
    let lines = log::lines_of(module).into_iter();
    let own = lines.filter(|line| line.source.as_deref() == Some("logging"));
    own.map(|line| line.message).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn price_alert_tells_of_a_crossing_once_whatever_is_restarted() {
    log::keep();
    let feed = Deployed::contract("Feed").await;
    let dollars = async |whole: i64| {
        let answer = (whole * 100_000_000).try_into().unwrap();
        feed.call(setCall { newAnswer: answer }.abi_encode()).await;
    };
    dollars(2400).await;
    let world = feed.world("price-alert");
    let engine = world.start().await;
    for whole in [2450, 2501, 2600] {
        dollars(whole).await;
    }
    engine.reaches("price-alert", feed.head().await).await;
    engine.stop().await;

    // The alarm has been told of, and stays so in a new engine and after a crash.
    for whole in [2550, 2510] {
        let engine = world.start().await;
        dollars(whole).await;
        engine.reaches("price-alert", feed.head().await).await;
        engine.crash();
        drop(world.state_after_crash("price-alert").await);
    }
    let engine = world.start().await;
    for whole in [2475, 2502] {
        dollars(whole).await;
    }
    engine.reaches("price-alert", feed.head().await).await;
    engine.stop().await;

    let alerts: Vec<_> = said("price-alert")
        .into_iter()
        .filter(|line| line.starts_with("ETH/USD"))
        .collect();
    assert_eq!(
        alerts,
        [
            "ETH/USD is at 2501, above 2500 at block 4",
            "ETH/USD is at 2502, above 2500 at block 9",
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn balance_watch_tells_what_transactions_change_and_stores_what_the_node_says() {
    const OTHER: &str = "0x70997970c51812dc3a010c7d01b50e0d17dc79c8";
    log::keep();
    let node = Deployed::contract("Feed").await;
    let pays = async |wei: &str| {
        let payment = json!({ "from": node.account, "to": OTHER, "value": wei });
        let receipt = node.send(payment).await;
        assert_eq!(receipt["status"], "0x1", "{receipt}");
    };
    let world = node.world("balance-watch");
    let engine = world.start().await;
    engine.reaches("balance-watch", 1).await;
    // 1.5 ether, and less than the threshold of the manifest.
    pays("0x14d1120d7b160000").await;
    pays("0x38d7ea4c68000").await;
    engine.reaches("balance-watch", 3).await;
    engine.crash();
    drop(world.state_after_crash("balance-watch").await);
    let engine = world.start().await;
    pays("0x1bc16d674ec80000").await;
    engine.reaches("balance-watch", 4).await;
    engine.stop().await;

    let of_other: Vec<_> = said("balance-watch")
        .into_iter()
        .filter_map(|line| line.strip_prefix(OTHER).map(str::to_owned))
        .collect();
    assert_eq!(
        of_other,
        [
            ": 10000 ether at block 1, first seen",
            ": 10000 → 10001.5 ether (+1.5) at block 2",
            ": 10001.501 → 10003.501 ether (+2) at block 4",
        ]
    );
    let state = world.state("balance-watch");
    for account in [node.account.as_str().unwrap(), OTHER] {
        let balance = node.anvil.rpc("eth_getBalance", json!([account, "latest"]));
        let balance = balance.await.unwrap();
        let balance: U256 = balance.as_str().unwrap().parse().unwrap();
        let stored = state.text(&format!("balance/{account}"));
        assert_eq!(stored, Some(balance.to_string()), "{account}");
    }
    assert_eq!(state.text("last_block").as_deref(), Some("4"));
}

/// What an account has sent and received.
type Totals = BTreeMap<Address, (U256, U256)>;

/// The totals in the state of `transfer-watch`: a format's byte, the version, two numbers.
fn totals(world: &World) -> Totals {
    let state = world.state("transfer-watch");
    let entries = state.keys("totals/").into_iter().map(|key| {
        let value = state.get(&key).unwrap();
        let account = key.trim_start_matches("totals/").parse().unwrap();
        (account, postcard::from_bytes(&value[2..]).unwrap())
    });
    entries.collect()
}

/// The same from the logs of the canonical chain, as the node has them.
async fn expected(node: &Anvil) -> Totals {
    let all = json!([{ "fromBlock": "0x0", "toBlock": "latest", "address": FIRST_CONTRACT }]);
    let logs = node.rpc("eth_getLogs", all).await.unwrap();
    let mut totals = Totals::new();
    for log in logs.as_array().unwrap() {
        let account = |topic: usize| {
            let topic: nexum_testkit::B256 =
                log["topics"][topic].as_str().unwrap().parse().unwrap();
            Address::from_word(topic)
        };
        let value: U256 = log["data"].as_str().unwrap().parse().unwrap();
        totals.entry(account(1)).or_default().0 += value;
        totals.entry(account(2)).or_default().1 += value;
    }
    totals
}

async fn reaches_head(engine: &Running, token: &Deployed) {
    let head = json!(["latest", false]);
    let head = token.anvil.rpc("eth_getBlockByNumber", head).await.unwrap();
    let hash = head["hash"].as_str().unwrap().parse().unwrap();
    engine.at("transfer-watch", hash).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn transfer_watch_has_the_totals_of_the_canonical_chain() {
    log::keep();
    let token = Deployed::contract("Token").await;
    let mint = async |to: u8, value: u64| {
        let (to, value) = (Address::with_last_byte(to), U256::from(value));
        token.call(mintCall { to, value }.abi_encode()).await;
    };
    let transfer = async |to: u8, value: u64| {
        let (to, value) = (Address::with_last_byte(to), U256::from(value));
        token.call(transferCall { to, value }.abi_encode()).await;
    };
    let world = token.world("transfer-watch");
    let engine = world.start().await;
    engine.runs("transfer-watch").await;

    let own: Address = token.account.as_str().unwrap().parse().unwrap();
    let value = U256::from(1_000);
    token.call(mintCall { to: own, value }.abi_encode()).await;
    mint(2, 20).await;
    for value in 1..10 {
        transfer(2, value).await;
        transfer(3, 10 * value).await;
    }
    reaches_head(&engine, &token).await;

    // Blocks leave the chain, some with their transfers put elsewhere, while it goes on.
    for depth in [1, 3, 7] {
        let to = Address::with_last_byte(4);
        let input = transferCall {
            to,
            value: U256::from(depth),
        }
        .abi_encode();
        let call = json!({
            "from": token.account,
            "to": FIRST_CONTRACT,
            "data": nexum_testkit::Bytes::from(input),
            "gas": GAS,
        });
        let reorg = json!([depth, [[call, 0]]]);
        token.anvil.rpc("anvil_reorg", reorg).await.unwrap();
        token.anvil.mine(1).await.unwrap();
        reaches_head(&engine, &token).await;
    }
    engine.stop().await;
    let wanted = expected(&token.anvil).await;
    assert!(wanted.len() >= 4, "{wanted:?}");
    assert_eq!(totals(&world), wanted);
}
