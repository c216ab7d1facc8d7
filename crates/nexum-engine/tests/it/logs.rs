//! Every log that a module asks for reaches it once and in order: as it comes and from history,
//! through restarts and failures, whatever its subscriptions are.

use nexum_manifest::Start;
use nexum_testkit::{Address, B256, ChainLog, NewLog, RpcServer, ScriptedChain, keccak256};
use nexum_types::{BlockNumber, Depth};

use crate::world::{CHAIN, Module, Running, Via, World, server};

pub(crate) const PING: &str = "Ping(uint256)";
pub(crate) const PONG: &str = "Pong(uint256)";

/// Every `Ping` from the beginning on, of whichever contract.
pub(crate) const PINGS: &str = "event = \"Ping(uint256 indexed n)\"\nstart = 0";
/// Every `Pong` from the beginning on, of whichever contract.
pub(crate) const PONGS: &str = "event = \"Pong(uint256 indexed n)\"\nstart = 0";

pub(crate) fn contract(byte: u8) -> Address {
    Address::repeat_byte(byte)
}

pub(crate) fn ping(n: u64) -> NewLog {
    NewLog::of(contract(1), PING).topic(n)
}

pub(crate) fn pong(n: u64) -> NewLog {
    NewLog::of(contract(2), PONG).topic(n)
}

/// `log-fold` with logs alone.
pub(crate) fn fold() -> Module {
    Module::fixture("log-fold").without_blocks()
}

pub(crate) fn is(log: &ChainLog, event: &str) -> bool {
    log.topics.first() == Some(&keccak256(event))
}

pub(crate) fn pings(_block: u64, log: &ChainLog) -> usize {
    usize::from(is(log, PING))
}

pub(crate) fn pings_and_pongs(_block: u64, log: &ChainLog) -> usize {
    usize::from(is(log, PING) || is(log, PONG))
}

/// A block with these logs.
pub(crate) fn mine(chain: &ScriptedChain, logs: impl IntoIterator<Item = NewLog>) {
    chain.at_once(|branch| {
        logs.into_iter().for_each(|log| branch.log(log));
        branch.mine(1);
    });
}

/// Ends the chain with a block that holds a `Ping`, and waits until the module has come to it.
pub(crate) async fn settle(server: &RpcServer, engine: &Running, module: &str) {
    let chain = server.chain();
    mine(chain, [ping(u64::MAX)]);
    engine.reaches(module, chain.head().number).await;
}

async fn every_log_is_folded_once_as_it_comes_and_from_history(via: Via) {
    // Further back than the feed's ring holds, one to three logs in every seventh block.
    let server = server(0).await;
    let chain = server.chain();
    for n in 0..120 {
        chain.mine(6);
        let logs = [ping(n), pong(n), ping(n + 1_000)];
        mine(chain, logs.into_iter().take(n as usize % 3 + 1));
    }
    let world = World::over(&server, via).module(fold().logs(PINGS).logs(PONGS));
    let engine = world.start().await;
    // While it is on its way, the chain goes on.
    for n in 0..30 {
        mine(chain, [pong(n), ping(n)]);
        chain.mine(n % 3);
    }
    settle(&server, &engine, "log-fold").await;
    // As it comes, block by block.
    for n in 0..10 {
        mine(chain, [ping(n), ping(n), pong(n)]);
        engine.reaches("log-fold", chain.head().number).await;
    }
    let head = chain.head().number;

    let ended = engine.stop().await.module("log-fold");
    assert_eq!((ended.failed, ended.skipped, ended.stalled), (0, 0, None));
    let state = world.state("log-fold");
    state.assert_folded(chain, 0..=head, pings_and_pongs);
    assert_eq!(state.number("removed"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_log_is_folded_once_as_it_comes_and_from_history_over_http() {
    every_log_is_folded_once_as_it_comes_and_from_history(Via::Http).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_log_is_folded_once_as_it_comes_and_from_history_over_ws() {
    every_log_is_folded_once_as_it_comes_and_from_history(Via::Ws).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_block_comes_before_its_logs_and_with_no_logs_as_well() {
    let server = server(0).await;
    let chain = server.chain();
    for n in 0..400 {
        let logs = [ping(n), pong(n)];
        mine(chain, logs.into_iter().skip(n as usize % 3));
    }
    let module = Module::fixture("log-fold").logs(PINGS).logs(PONGS);
    let world = World::over(&server, Via::Ws).module(module);
    let engine = world.start().await;
    engine.reaches("log-fold", 400).await;
    for n in 0..50 {
        let logs = [pong(n), ping(n)];
        mine(chain, logs.into_iter().skip(n as usize % 3));
    }
    engine.reaches("log-fold", 450).await;

    engine.stop().await;
    let state = world.state("log-fold");
    state.assert_folded(chain, 1..=450, pings_and_pongs);
    assert_eq!(state.number("blocks"), Some(450));
}

#[tokio::test(flavor = "multi_thread")]
async fn each_subscription_gets_what_its_addresses_and_topics_ask_for() {
    let server = server(0).await;
    let chain = server.chain();
    let word = |n: u64| B256::left_padding_from(&n.to_be_bytes());
    let of_two = format!(
        "event = \"Ping(uint256 indexed n)\"\naddress = [\"{:#x}\", \"{:#x}\"]\nstart = 0",
        contract(1),
        contract(3)
    );
    let with_values = "event = \"Ping(uint256 indexed n)\"\nwhere.n = [7, 8]\nstart = 0";
    let raw = format!("topics = [\"*\", \"{}\"]\nstart = 12", word(9));
    // Of everything there is, that of the second contract, whatever it is.
    let by_address = format!("address = \"{:#x}\"\nstart = 0", contract(2));
    let module = fold()
        .config("copies = 4")
        .logs(&of_two)
        .logs(with_values)
        .logs(&raw)
        .logs(&by_address);
    let world = World::over(&server, Via::Http).module(module);
    let emit = |from: u64| {
        for n in from..from + 12 {
            let anonymous = NewLog {
                topics: Vec::new(),
                ..pong(n)
            };
            let at = |byte| NewLog::of(contract(byte), PING).topic(n);
            mine(chain, [at(1), at(2), at(3), at(4), pong(n), anonymous]);
        }
    };
    emit(0);
    let engine = world.start().await;
    engine.reaches("log-fold", 12).await;
    emit(0);
    settle(&server, &engine, "log-fold").await;
    engine.stop().await;

    let wanted = |block: u64, log: &ChainLog| {
        let at = |byte| log.address == contract(byte);
        let n = log.topics.get(1).copied();
        let by_value = is(log, PING) && [Some(word(7)), Some(word(8))].contains(&n);
        usize::from(is(log, PING) && (at(1) || at(3)))
            + usize::from(by_value)
            + usize::from(block >= 12 && n == Some(word(9)))
            + usize::from(at(2))
    };
    let head = chain.head().number;
    world
        .state("log-fold")
        .assert_folded(chain, 0..=head, wanted);
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_are_found_though_the_headers_have_empty_blooms() {
    let server = server(0).await;
    server.change_view(|view| view.empty_blooms = true);
    let chain = server.chain();
    let world = World::new()
        .chain_of(CHAIN, &[&server.ws_url()], "trust_bloom = false")
        .module(fold().logs(PINGS));
    let engine = world.start().await;
    for n in 0..40 {
        mine(chain, [pong(n), ping(n)]);
    }
    settle(&server, &engine, "log-fold").await;
    engine.stop().await;
    world
        .state("log-fold")
        .assert_folded(chain, 0..=chain.head().number, pings);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_ends_anywhere_goes_on_where_it_was() {
    let server = server(0).await;
    let chain = server.chain();
    for n in 0..500 {
        mine(chain, [ping(n), pong(n), pong(n)]);
    }
    let module = Module::fixture("log-fold").logs(PINGS).logs(PONGS);
    let world = World::over(&server, Via::Ws).module(module);
    for round in 0..6 {
        let engine = world.start().await;
        // Three events a block: the ends fall between the events of one.
        engine.delivered("log-fold", 100 + round).await;
        if round % 2 == 0 {
            engine.stop().await;
        } else {
            engine.crash();
            world.state_after_crash("log-fold").await;
        }
        mine(chain, [pong(round), ping(round)]);
    }
    let engine = world.start().await;
    settle(&server, &engine, "log-fold").await;
    engine.stop().await;
    let head = chain.head().number;
    let state = world.state("log-fold");
    state.assert_folded(chain, 0..=head, pings_and_pongs);
    assert_eq!(state.number("blocks"), Some(head));
    assert_eq!(state.number("removed"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_waits_for_as_many_blocks_as_its_subscription_asks_for() {
    let server = server(0).await;
    let chain = server.chain();
    let sure = format!("{PINGS}\nconfirmations = 3");
    let finalized = format!("{PINGS}\nfinality = \"finalized\"");
    let world = World::over(&server, Via::Ws)
        .module(fold().named("sure").logs(&sure))
        .module(fold().named("finalized").logs(&finalized));
    let engine = world.start().await;
    for n in 0..100 {
        mine(chain, [ping(n)]);
    }
    let depth = Depth::Confirmations(3);
    engine.reaches_at("sure", depth, 97).await;
    // The last three leave the chain: nobody was told of them.
    chain.reorg(3).unwrap();
    mine(chain, [ping(1)]);
    chain.mine(3);
    engine.reaches_at("sure", depth, 101).await;
    // The node calls final what has 64 blocks on top.
    engine.reaches_at("finalized", Depth::Finalized, 40).await;

    engine.stop().await;
    let state = world.state("sure");
    state.assert_folded(chain, 0..=101, pings);
    assert_eq!(state.number("removed"), None);
    let state = world.state("finalized");
    state.assert_folded(chain, 0..=40, pings);
    assert_eq!(state.number("removed"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_module_that_may_skip_goes_on_at_the_head_and_counts_what_it_missed() {
    let server = server(0).await;
    let chain = server.chain();
    let lines = format!("{PINGS}\non_lag = \"skip\"");
    let world = World::new()
        .chain_of(CHAIN, &[&server.http_url()], "reorg_window = 8")
        .module(fold().logs(&lines))
        .module(fold().named("patient").logs(PINGS));
    let engine = world.start().await;
    mine(chain, [ping(0)]);
    engine.reaches("log-fold", 1).await;
    engine.reaches("patient", 1).await;
    engine.stop().await;

    // While the engine is down, far more comes than the feed's ring holds.
    for n in 1..300 {
        mine(chain, [ping(n)]);
    }
    let engine = world.start().await;
    settle(&server, &engine, "log-fold").await;
    settle(&server, &engine, "patient").await;
    let head = chain.head().number;
    engine.reaches("log-fold", head).await;
    let ended = engine.stop().await;
    let skipped = ended.module("log-fold").skipped;
    assert!(skipped > 200, "only {skipped}");
    assert_eq!(ended.module("patient").skipped, 0);

    let state = world.state("log-fold");
    let missed = 2..2 + skipped;
    state.assert_folded(chain, 0..=head, |block, log| {
        usize::from(!missed.contains(&block) && is(log, PING))
    });
    world.state("patient").assert_folded(chain, 0..=head, pings);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_fails_comes_again_and_nothing_is_doubled() {
    let server = server(0).await;
    let chain = server.chain();
    for n in 0..20 {
        mine(chain, [ping(n), pong(n), ping(n)]);
    }
    // Two events a block: an odd number has both kinds fail.
    let module = fold().config("fail_every = 13").logs(PINGS).logs(PONGS);
    let world = World::over(&server, Via::Ws).module(module);
    let engine = world.start().await;
    settle(&server, &engine, "log-fold").await;
    let ended = engine.stop().await.module("log-fold");
    assert_eq!((ended.delivered, ended.failed), (41, 3));
    let state = world.state("log-fold");
    state.assert_folded(chain, 0..=21, pings_and_pongs);
    assert_eq!(state.number("attempts"), Some(44));
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_since_the_latest_block_leave_out_what_was_before() {
    let server = server(0).await;
    let chain = server.chain();
    for n in 0..10 {
        mine(chain, [ping(n)]);
    }
    let latest = "event = \"Ping(uint256 indexed n)\"";
    let module = Module::fixture("log-fold")
        .subscribed(&[(CHAIN, Start::Number(BlockNumber(4)))])
        .logs(latest);
    let world = World::over(&server, Via::Ws).module(module);
    let engine = world.start().await;
    engine.reaches("log-fold", 10).await;
    for n in 0..5 {
        mine(chain, [ping(n)]);
    }
    engine.reaches("log-fold", 15).await;
    engine.stop().await;
    let state = world.state("log-fold");
    state.assert_folded(chain, 10..=15, pings);
    assert_eq!(state.number("blocks"), Some(12));
}
