//! What guests ask of the chain, and what else they are given: clocks, randomness, limits.

use std::{
    collections::BTreeSet,
    time::{SystemTime, UNIX_EPOCH},
};

use nexum_testkit::{Address, U256};
use serde_json::json;

use crate::{
    log,
    world::{Module, Via, World, server},
};

const ETHER: u64 = 1_000_000_000_000_000_000;

fn accounts() -> [Address; 2] {
    [0xa1, 0xb2].map(Address::with_last_byte)
}

fn addresses() -> String {
    let [one, other] = accounts();
    format!("addresses = [\"{one:#x}\", \"{other:#x}\"]")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_method_that_is_not_allowed_is_denied_and_never_sent() {
    let server = server(1).await;
    let world = World::over(&server, Via::Http).module(Module::fixture("denied-method"));
    let engine = world.start().await;
    engine.delivered("denied-method", 1).await;
    engine.stop().await;

    let seen = world.state("denied-method").text("seen");
    assert_eq!(seen.as_deref(), Some("denied -32601"));
    assert_eq!(server.request_log().count("eth_sendRawTransaction"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_one_message_and_each_answer_stands_in_its_place() {
    let server = server(1).await;
    let world =
        World::over(&server, Via::Http).module(Module::fixture("batch").config(&addresses()));
    let engine = world.start().await;
    engine.delivered("batch", 1).await;

    server.clear_request_log();
    let [one, other] = accounts();
    server.chain().set_balance(one, U256::from(16));
    server.chain().set_balance(other, U256::from(255));
    server.chain().mine(1);
    engine.delivered("batch", 2).await;
    let asked = server.request_log();
    engine.stop().await;

    let state = world.state("batch");
    let results = state
        .keys("result/")
        .into_iter()
        .map(|key| state.text(&key));
    let results: Vec<_> = results.map(Option::unwrap).collect();
    assert_eq!(
        results,
        [r#"ok "0x10""#, "err denied -32601", r#"ok "0xff""#]
    );
    assert_eq!((asked.batches, asked.count("eth_getBalance")), (1, 2));
    assert_eq!(asked.count("eth_accounts"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn balance_watch_stores_balances_and_logs_what_changed() {
    log::keep();
    let server = server(0).await;
    let [one, other] = accounts();
    let ether = |count: u64| U256::from(count) * U256::from(ETHER);
    let watch = Module::example("balance-watch")
        .named("watcher")
        .granted(&["chain", "local-store", "logging"])
        .config(&addresses())
        .config("threshold_wei = \"1000000000000000000\"");
    let world = World::over(&server, Via::Ws).module(watch);
    let engine = world.start().await;

    server.chain().set_balance(one, ether(5));
    server.chain().mine(1);
    engine.delivered("watcher", 1).await;
    server.chain().debit(one, ether(3)).unwrap();
    server.chain().credit(other, ether(1)).unwrap();
    server.chain().mine(1);
    engine.delivered("watcher", 2).await;

    // A node that does not have the state yet: the block is not passed over.
    let missing = json!({ "code": -32000, "message": "header not found" });
    server.set_answer("eth_getBalance", Some(Err(missing)));
    server.chain().credit(other, ether(7)).unwrap();
    server.chain().mine(1);
    let failed = engine.failed("watcher", 1).await;
    assert!(failed.contains("header not found"), "{failed}");
    server.set_answer("eth_getBalance", None);
    engine.delivered("watcher", 3).await;
    engine.stop().await;

    let state = world.state("watcher");
    let balance = |account: Address| state.text(&format!("balance/{account:#x}")).unwrap();
    assert_eq!(balance(one), ether(2).to_string());
    assert_eq!(balance(other), ether(8).to_string());
    assert_eq!(state.text("last_block").as_deref(), Some("3"));
    assert_eq!(state.cursor(), Some(3));
    let logged: Vec<_> = log::lines_of("watcher")
        .into_iter()
        .filter(|line| line.source.is_some() && line.message.contains(" at block "))
        .map(|line| line.message)
        .collect();
    assert_eq!(
        logged,
        [
            format!("{one:#x}: 5 ether at block 1, first seen"),
            format!("{other:#x}: 0 ether at block 1, first seen"),
            format!("{one:#x}: 5 → 2 ether (-3) at block 2"),
            format!("{other:#x}: 1 → 8 ether (+7) at block 3"),
        ],
        "a change of 1 ether is the threshold and not beyond it"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn clocks_and_randomness_are_there_and_nothing_else_of_the_machine() {
    let server = server(3).await;
    let world = World::over(&server, Via::Ws).module(Module::fixture("clock-random"));
    let now_ms = || {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        since.as_millis() as u64
    };

    let before = now_ms();
    let engine = world.start().await;
    engine.delivered("clock-random", 3).await;
    let ended = engine.stop().await.module("clock-random");

    assert_eq!(ended.last_error, None);
    let state = world.state("clock-random");
    assert_eq!(state.number("count"), Some(3));
    let told = state.number("now_ms").unwrap();
    assert!((before..=now_ms()).contains(&told), "{told} after {before}");
}

#[tokio::test(flavor = "multi_thread")]
async fn crates_that_take_randomness_as_usual_get_it() {
    let server = server(2).await;
    let world = World::over(&server, Via::Ws).module(Module::fixture("entropy"));
    let engine = world.start().await;
    engine.delivered("entropy", 2).await;
    engine.stop().await;

    let state = world.state("entropy");
    let keys = state.keys("");
    assert_eq!(
        keys,
        [
            "0.2/1", "0.2/2", "0.3/1", "0.3/2", "0.4/1", "0.4/2", "std/1", "std/2"
        ]
    );
    // Of so many bytes no two are the same, and none is nothing.
    let got: BTreeSet<_> = keys.iter().map(|key| state.get(key).unwrap()).collect();
    assert_eq!(got.len(), keys.len());
    assert!(got.iter().all(|bytes| bytes.iter().any(|byte| *byte != 0)));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_limits_of_the_contract_hold_and_are_given_in_full() {
    let server = server(1).await;
    let going_to = |what: &str| {
        let config = format!("what = \"{what}\"");
        Module::fixture("oversize").named(what).config(&config)
    };
    let world = World::over(&server, Via::Ws).modules(["key", "value", "random"].map(going_to));
    let engine = world.start().await;
    engine.delivered("key", 1).await;
    engine.delivered("value", 1).await;
    let trapped = engine.failed("random", 1).await;
    engine.stop().await;

    let (key, value) = (world.state("key"), world.state("value"));
    assert_eq!(key.keys(""), ["k".repeat(1024), "seen".to_owned()]);
    assert_eq!(key.text("seen").as_deref(), Some("invalid-input"));
    assert_eq!(value.keys(""), ["largest", "seen"]);
    assert_eq!(value.get("largest").unwrap().len(), 1024 * 1024);
    assert_eq!(value.text("seen").as_deref(), Some("invalid-input"));
    assert!(trapped.contains("65536"), "{trapped}");
    assert_eq!(world.state("random").cursor(), None);
}
