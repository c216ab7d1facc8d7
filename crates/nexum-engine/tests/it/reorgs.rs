//! What leaves the chain is taken back: the folded state is that of the canonical chain, wherever
//! the engine was when the chain changed its mind.

use std::collections::BTreeMap;

use nexum_testkit::{Anvil, B256, NewLog, ScriptedChain, keccak256};
use serde_json::{Value, json};

use crate::{
    evidence::log_key,
    logs::{PING, PINGS, PONGS, fold, mine, ping, pings, pings_and_pongs, pong, settle},
    world::{CHAIN, Module, Via, World, receipt, server},
};

/// Replaces the last blocks by as many and one more, each with these logs.
pub(crate) fn reorg(chain: &ScriptedChain, depth: u64, logs: impl Fn(u64) -> Vec<NewLog>) {
    let built = chain.reorg_to(depth, |branch| {
        for n in 0..=depth {
            logs(n).into_iter().for_each(|log| branch.log(log));
            branch.mine(1);
        }
    });
    built.unwrap();
}

async fn what_leaves_the_chain_is_taken_back_while_it_flows(via: Via) {
    let server = server(0).await;
    let chain = server.chain();
    let world = World::over(&server, via)
        .module(fold().logs(PINGS).logs(PONGS))
        .module(
            Module::fixture("log-fold")
                .named("with-blocks")
                .logs(PINGS)
                .logs(PONGS),
        );
    let engine = world.start().await;
    for n in 0..12 {
        mine(chain, [ping(n), pong(n), ping(n)]);
    }
    settle(&server, &engine, "log-fold").await;
    settle(&server, &engine, "with-blocks").await;
    let before = engine.status("log-fold").delivered;

    for depth in [1, 5, 1, 2, 10] {
        reorg(chain, depth, |n| match n % 3 {
            0 => vec![pong(depth + n)],
            1 => vec![],
            _ => vec![ping(n), pong(n), pong(n)],
        });
        settle(&server, &engine, "log-fold").await;
        settle(&server, &engine, "with-blocks").await;
    }
    // Two in a row, of which the engine may see one.
    reorg(chain, 3, |n| vec![ping(n)]);
    reorg(chain, 4, |n| vec![pong(n)]);
    settle(&server, &engine, "log-fold").await;
    settle(&server, &engine, "with-blocks").await;

    let head = chain.head().number;
    engine.reaches("log-fold", head).await;
    let ended = engine.stop().await;
    assert!(ended.module("log-fold").delivered > before);
    for module in ["log-fold", "with-blocks"] {
        let ended = ended.module(module);
        assert_eq!((ended.failed, ended.stalled), (0, None));
        let state = world.state(module);
        state.assert_folded(chain, 0..=head, pings_and_pongs);
        assert!(state.number("removed") > Some(19), "{state:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_leaves_the_chain_is_taken_back_while_it_flows_over_http() {
    what_leaves_the_chain_is_taken_back_while_it_flows(Via::Http).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_leaves_the_chain_is_taken_back_while_it_flows_over_ws() {
    what_leaves_the_chain_is_taken_back_while_it_flows(Via::Ws).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_leaves_the_chain_while_the_engine_is_down_is_taken_back_at_the_next_start() {
    let server = server(0).await;
    let chain = server.chain();
    let world = World::over(&server, Via::Ws).module(fold().logs(PINGS).logs(PONGS));
    for n in 0..30 {
        mine(chain, [ping(n), pong(n)]);
    }
    let engine = world.start().await;
    settle(&server, &engine, "log-fold").await;
    engine.stop().await;

    // Two times: an orderly end, and a crash; with another branch, and one that goes on for
    // longer than the feed's ring.
    reorg(chain, 6, |n| vec![pong(n)]);
    let engine = world.start().await;
    settle(&server, &engine, "log-fold").await;
    engine.crash();
    let state = world.state_after_crash("log-fold").await;
    state.assert_folded(chain, 0..=chain.head().number, pings_and_pongs);
    let removed = state.number("removed").unwrap();
    assert_eq!(removed, 11, "five blocks with two logs, and one with one");
    drop(state);

    reorg(chain, 4, |n| vec![ping(n), ping(n)]);
    for n in 0..400 {
        mine(chain, [ping(n)].into_iter().filter(|_| n % 40 == 0));
    }
    let engine = world.start().await;
    settle(&server, &engine, "log-fold").await;
    engine.stop().await;
    let state = world.state("log-fold");
    state.assert_folded(chain, 0..=chain.head().number, pings_and_pongs);
    assert!(state.number("removed") > Some(removed));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_block_that_leaves_in_the_middle_of_its_events_is_taken_back_as_far_as_it_came() {
    let server = server(0).await;
    let chain = server.chain();
    chain.mine(3);
    // Of the block, the pings and the pongs, the third event fails.
    let module = Module::fixture("log-fold").config("fail_every = 6");
    let world = World::over(&server, Via::Ws).module(module.logs(PINGS).logs(PONGS));
    let engine = world.start().await;
    engine.reaches("log-fold", 3).await;
    mine(chain, [ping(1), pong(1), ping(2), pong(2)]);
    engine.failed("log-fold", 1).await;
    engine.crash();
    let state = world.state_after_crash("log-fold").await;
    assert_eq!(
        (state.number("given"), state.number("blocks")),
        (Some(2), Some(4)),
        "the pings were given, the pongs not"
    );
    drop(state);

    reorg(chain, 1, |n| vec![pong(n), ping(n)]);
    let engine = world.start().await;
    engine.reaches("log-fold", 5).await;
    engine.stop().await;
    let state = world.state("log-fold");
    state.assert_folded(chain, 0..=5, pings_and_pongs);
    assert_eq!(state.number("removed"), Some(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_between_the_branches_loses_nothing_of_the_new_one() {
    // All that the module was given of the window is one log, taken back before a fork that is
    // three blocks further down; the first log of the new branch fails. In the second round the
    // engine is ended there, and the chain goes over to a third branch.
    for restart in [false, true] {
        let server = server(0).await;
        let chain = server.chain();
        chain.mine(20);
        let module = fold().config("fail_every = 3");
        let world = World::over(&server, Via::Ws).module(module.logs(PINGS));
        let mut engine = world.start().await;
        mine(chain, [ping(1)]);
        engine.reaches("log-fold", 21).await;
        reorg(chain, 4, |n| if n == 0 { vec![ping(2)] } else { vec![] });
        engine.failed("log-fold", 1).await;
        if restart {
            engine.crash();
            drop(world.state_after_crash("log-fold").await);
            reorg(chain, 6, |n| if n == 1 { vec![ping(3)] } else { vec![] });
            engine = world.start().await;
        }
        settle(&server, &engine, "log-fold").await;
        engine.stop().await;
        let state = world.state("log-fold");
        state.assert_folded(chain, 0..=chain.head().number, pings);
        assert_eq!(state.number("removed"), Some(1), "restart: {restart}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reorg_is_told_though_the_new_branch_is_already_longer_than_the_window() {
    let server = server(0).await;
    let chain = server.chain();
    let world = World::new()
        .chain_of(CHAIN, &[&server.http_url()], "reorg_window = 8")
        .module(fold().logs(PINGS).logs(PONGS))
        .module(
            Module::fixture("log-fold")
                .named("with-blocks")
                .logs(PINGS)
                .logs(PONGS),
        );
    let engine = world.start().await;
    mine(chain, [pong(1)]);
    mine(chain, [ping(1)]);
    engine.reaches("log-fold", 2).await;
    engine.reaches("with-blocks", 2).await;

    let built = chain.reorg_to(1, |branch| {
        branch.log(pong(2));
        branch.mine(40);
    });
    built.unwrap();
    settle(&server, &engine, "with-blocks").await;
    engine.reaches("log-fold", chain.head().number).await;
    engine.stop().await;
    for module in ["log-fold", "with-blocks"] {
        let state = world.state(module);
        state.assert_folded(chain, 0..=chain.head().number, pings_and_pongs);
        assert_eq!(state.number("removed"), Some(1));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reorg_deeper_than_the_window_stalls_the_module_and_delivers_nothing_wrong() {
    let server = server(0).await;
    let chain = server.chain();
    let world = World::new()
        .chain_of(CHAIN, &[&server.ws_url()], "reorg_window = 4")
        .module(fold().logs(PINGS));
    let engine = world.start().await;
    for n in 0..10 {
        mine(chain, [ping(n)]);
    }
    engine.reaches("log-fold", 10).await;
    let given = engine.status("log-fold").delivered;

    reorg(chain, 8, |n| vec![ping(n)]);
    let is_stalled = |status: &nexum_engine::ModuleStatus| status.stalled.is_some();
    let status = engine.until("log-fold", "it stalls", is_stalled).await;
    let stalled = status.stalled.unwrap();
    assert!(
        stalled.contains("nexum module resync log-fold"),
        "{stalled}"
    );
    let ended = engine.stop().await.module("log-fold");
    assert_eq!((ended.delivered, ended.failed), (given, 0));

    // Nor does the next start forget about it.
    mine(chain, [ping(1)]);
    let engine = world.start().await;
    engine.until("log-fold", "it stalls", is_stalled).await;
    let ended = engine.stop().await.module("log-fold");
    assert_eq!((ended.delivered, ended.failed), (0, 0));
    let state = world.state("log-fold");
    assert_eq!(state.keys("log/").len(), 10);
    assert_eq!(state.number("removed"), None);
    assert_eq!(state.number("violations"), None);
}

/// An anvil with a contract that emits a `Ping` with the block's number, whatever it is called
/// with.
struct Emitter {
    anvil: Anvil,
    account: Value,
    contract: Value,
}

impl Emitter {
    async fn start() -> Self {
        let anvil = Anvil::start(Vec::<String>::new()).await.unwrap();
        let accounts = anvil.rpc("eth_accounts", json!([])).await.unwrap();
        // Constructor, 9 bytes: PUSH1 41, DUP1, PUSH1 9, PUSH0, CODECOPY, PUSH0, RETURN.
        // Code, 41 bytes: NUMBER, PUSH0, MSTORE, PUSH32 topic, PUSH1 32, PUSH0, LOG1, STOP.
        let topic = format!("{:x}", keccak256(PING));
        let code = format!("0x60298060095f395ff3435f527f{topic}60205fa100");
        let mut emitter = Self {
            anvil,
            account: accounts[0].clone(),
            contract: Value::Null,
        };
        let receipt = emitter.send(json!({ "data": code })).await;
        emitter.contract = receipt["contractAddress"].clone();
        emitter
    }

    /// Sends a transaction, which is mined at once, and answers its receipt.
    async fn send(&self, mut transaction: Value) -> Value {
        transaction["from"] = self.account.clone();
        let sent = self.anvil.rpc("eth_sendTransaction", json!([transaction]));
        receipt(&self.anvil, &sent.await.unwrap()).await
    }

    /// One block with a log; its number.
    async fn emit(&self) -> u64 {
        let receipt = self.send(json!({ "to": self.contract })).await;
        number(&receipt["blockNumber"])
    }

    /// Replaces the last blocks; the new ones of these offsets hold a log.
    async fn reorg(&self, depth: u64, with_log: impl IntoIterator<Item = u64>) {
        let call = json!({ "from": self.account, "to": self.contract });
        let calls: Vec<_> = with_log.into_iter().map(|at| json!([call, at])).collect();
        let reorg = self.anvil.rpc("anvil_reorg", json!([depth, calls]));
        reorg.await.unwrap();
    }

    /// The fold of the canonical chain.
    async fn fold(&self) -> BTreeMap<String, Vec<u8>> {
        let everything = json!([{ "fromBlock": "0x0", "toBlock": "latest" }]);
        let logs = self.anvil.rpc("eth_getLogs", everything).await.unwrap();
        let entry = |log: &Value| {
            let hash = |value: &Value| value.as_str().unwrap().parse::<B256>().unwrap();
            let index = u32::try_from(number(&log["logIndex"])).unwrap();
            let topic = hash(&log["topics"][0]);
            let key = log_key(number(&log["blockNumber"]), index, Some(&topic));
            (key, hash(&log["blockHash"]).to_vec())
        };
        logs.as_array().unwrap().iter().map(entry).collect()
    }
}

fn number(quantity: &Value) -> u64 {
    let digits = quantity.as_str().unwrap().trim_start_matches("0x");
    u64::from_str_radix(digits, 16).unwrap()
}

async fn a_real_node_reorganises_while_events_flow(via: Via) {
    let emitter = Emitter::start().await;
    let url = match via {
        Via::Http => emitter.anvil.http_url(),
        Via::Ws => emitter.anvil.ws_url(),
    };
    let world = World::new()
        .chain(CHAIN, &url)
        .module(fold().logs(PINGS))
        .module(Module::fixture("log-fold").named("with-blocks").logs(PINGS));
    let engine = world.start().await;
    for _ in 0..60 {
        emitter.emit().await;
    }
    for depth in [1, 5, 50] {
        // Some of it is under way, and some has been delivered.
        let settled = emitter.emit().await;
        engine.reaches("log-fold", settled).await;
        engine.reaches("with-blocks", settled).await;
        emitter.emit().await;
        emitter.reorg(depth, (0..depth).step_by(3)).await;
        for _ in 0..5 {
            emitter.emit().await;
        }
    }
    let last = emitter.emit().await;
    engine.reaches("log-fold", last).await;
    engine.reaches("with-blocks", last).await;
    engine.stop().await;

    let expected = emitter.fold().await;
    assert!(expected.len() > 30, "{}", expected.len());
    for module in ["log-fold", "with-blocks"] {
        let state = world.state(module);
        state.assert_fold_is(&expected);
        // Of the last 5 blocks all but the newest were delivered for sure, and of the last 50 those
        // that the reorg before did not leave without a log: 4 logs, and 46.
        assert!(state.number("removed") >= Some(50), "{state:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_node_reorganises_while_events_flow_over_http() {
    a_real_node_reorganises_while_events_flow(Via::Http).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_node_reorganises_while_events_flow_over_ws() {
    a_real_node_reorganises_while_events_flow(Via::Ws).await;
}
