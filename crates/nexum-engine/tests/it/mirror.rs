//! The mock host of the SDK and the engine agree: one module, one manifest and one script leave
//! the same state and the same log lines on both.

use std::collections::BTreeMap;

use nexum_sdk::testing::MockHost;
use nexum_testkit::{RpcServer, Script, ScriptedChain};

use crate::{
    log,
    world::{CHAIN, Module, Via, World},
};

#[path = "../../../../modules/fixtures/examples/mirror.rs"]
mod guest;

const SCRIPT: &str = "
    chain 31337
    balance 0xa1 = 5 ether
    mine
    log 0xc0 Ping(uint256) 1 data 7
    log 0xc0 Pong(uint256) data 8
    log 0xc1 Pong(uint256) data 9
    mine
    balance 0xa1 -= 1 ether
    mine 2
    logs 3 0xc0 Ping(uint256) 2 data i
    mine
    reorg 2 {
      log 0xc0 Ping(uint256) 3 data 10
      balance 0xa1 = 1 ether
      mine 2
      log 0xc1 Pong(uint256) data 11
      mine 2
    }
    reorg 1 keep
    mine 3";

/// What a module has left behind: its state by key, and what it logged.
#[derive(Debug, PartialEq)]
struct Left {
    state: BTreeMap<String, Vec<u8>>,
    lines: Vec<String>,
}

fn module() -> Module {
    Module::fixture("mirror")
        .config("one = 1")
        .config("two.three = \"x\"")
        .limited("max_state_bytes = 10485760")
        .logs("address = \"0x00000000000000000000000000000000000000c0\"")
        .logs("event = \"Pong(uint256 value)\"")
}

/// Plays the script step by step. After each, `settle` lets the module take what has come.
async fn play<F: Future<Output = ()>>(chain: &ScriptedChain, settle: impl Fn() -> F) {
    let script: Script = SCRIPT.parse().unwrap();
    for step in &script.steps {
        step.apply(chain).unwrap();
        settle().await;
    }
}

async fn on_the_mock() -> Left {
    let host = MockHost::of(&module().manifest());
    let running = std::cell::RefCell::new(host.start::<guest::Mirror>().unwrap());
    play(&host.chain(CHAIN), async || {
        // An event that failed comes again, as it does on the engine. None here fails twice.
        let mut running = running.borrow_mut();
        if running.settle().is_err() {
            running.settle().unwrap();
        }
    })
    .await;
    let state = host.state_keys().into_iter().map(|key| {
        let value = host.state(&key).unwrap();
        (key, value)
    });
    Left {
        state: state.collect(),
        lines: host.logs().into_iter().map(|line| line.message).collect(),
    }
}

async fn on_the_engine() -> Left {
    log::keep();
    let server = RpcServer::start(ScriptedChain::new(CHAIN)).await.unwrap();
    let world = World::over(&server, Via::Ws).module(module()).impatient();
    let engine = world.start().await;
    engine.runs("mirror").await;
    let chain = server.chain();
    play(chain, async || engine.at("mirror", chain.head().hash).await).await;
    engine.stop().await;

    let state = world.state("mirror");
    let entries = state.keys("").into_iter().map(|key| {
        let value = state.get(&key).unwrap();
        (key, value)
    });
    let said = log::lines_of("mirror").into_iter();
    let said = said.filter(|line| line.source.as_deref() == Some("logging"));
    Left {
        state: entries.collect(),
        lines: said.map(|line| line.message).collect(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_script_leaves_the_same_on_the_mock_host_and_on_the_engine() {
    let mock = on_the_mock().await;
    let engine = on_the_engine().await;
    assert_eq!(mock, engine);

    // What was to happen did, on both.
    let said = |line: &str| mock.lines.iter().filter(|said| *said == line).count();
    assert_eq!(
        said("init with one, two.three"),
        3,
        "block 3 fails once and block 5 panics once"
    );
    assert_eq!(said("+2/0"), 1);
    let refused = |key: &str| String::from_utf8(mock.state[key].clone()).unwrap();
    assert!(refused("refused/chain/0").starts_with("chain Denied "));
    for key in [
        "refused/chain/1",
        "refused/chain/2",
        "refused/set/0",
        "refused/set/1",
    ] {
        assert!(refused(key).contains(" InvalidInput "), "{}", refused(key));
    }
    assert!(refused("refused/full").starts_with("local-store "));
    assert_eq!(mock.state["filled"], 9_u32.to_le_bytes());
    assert_eq!(said("-5/2"), 1, "{:?}", mock.lines);
    assert!(mock.state.contains_key("once/6"));
    assert!(!mock.state.contains_key("value/5/2"));
}
