//! Modules that go on failing: they die, or their events are parked, and an operator puts them
//! right.

use nexum_engine::{OperateError, Phase, UpgradeRequest};
use nexum_store::{MAX_LETTERS, inspect};
use nexum_testkit::RpcServer;
use nexum_types::{BlockNumber, ChainId, Event};

use crate::{
    evidence::log_key,
    log,
    logs::{PINGS, fold, mine, ping, pings, settle},
    reorgs::reorg,
    world::{CHAIN, DEADLINE, Module, Running, Via, World, name, server},
};

const PARKS: &str = "max_consecutive_failures = 2\non_failure = \"dead-letter\"";

/// The blocks that `poison` has handled, each once.
fn handled(world: &World, blocks: impl Iterator<Item = u64>) {
    let state = world.state("poison");
    let expected: Vec<_> = blocks.map(|number| format!("block/{number:020}")).collect();
    let mut found = state.keys("block/");
    found.sort();
    assert_eq!(found, expected);
    for key in &found {
        assert_eq!(state.number(key), Some(1), "{key}");
    }
    assert_eq!(state.keys("dirty"), [""; 0], "of a call that failed");
}

/// The numbers and the blocks of a module's dead letters.
async fn letters(engine: &Running, module: &str) -> Vec<(u64, u64)> {
    let letters = engine.operator().dead_letters(&name(module)).await.unwrap();
    let block = |event: &Event| event.block_ref().unwrap().number.0;
    letters
        .iter()
        .map(|(id, letter)| (*id, block(&letter.event)))
        .collect()
}

async fn world(module: Module) -> (RpcServer, World) {
    let server = server(10).await;
    let world = World::over(&server, Via::Ws)
        .impatient()
        .module(module)
        .module(Module::fixture("tally"));
    (server, world)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_module_that_fails_too_often_is_dead_and_its_event_waits_for_it() {
    let module = Module::fixture("poison").restarted("max_consecutive_failures = 3");
    let (_server, world) = world(module).await;
    let engine = world.start().await;

    let dead = engine.is("poison", Phase::Dead).await;
    assert_eq!((dead.failed, dead.delivered, dead.letters), (3, 2, 0));
    assert!(dead.last_error.unwrap().contains("trapped"), "it says why");
    engine.delivered("tally", 10).await;

    // Another attempt, as asked, ends the same way; a version that can do it goes on.
    engine.operator().restart(&name("poison")).await.unwrap();
    engine.failed("poison", 6).await;
    engine.is("poison", Phase::Dead).await;
    world.bundle(&Module::fixture("poison").config("every = 0"), "poison");
    engine
        .operator()
        .upgrade(&name("poison"), UpgradeRequest::default())
        .await
        .unwrap();
    engine.delivered("poison", 10).await;
    engine.stop().await;

    handled(&world, 1..=10);
    world.state("tally").assert_tallied(1..=10);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_fails_too_often_is_parked_and_the_next_one_comes() {
    let (_server, world) = world(Module::fixture("poison").restarted(PARKS)).await;
    let engine = world.start().await;
    engine.reaches("poison", 10).await;
    let status = engine.status("poison");
    assert_eq!((status.parked, status.letters, status.failed), (3, 3, 6));
    assert_eq!(letters(&engine, "poison").await, [(0, 3), (1, 6), (2, 9)]);
    let parked = engine
        .operator()
        .dead_letters(&name("poison"))
        .await
        .unwrap();
    let (_, first) = &parked[0];
    assert_eq!((first.attempts, first.retry), (2, false));
    assert!(first.error.contains("trapped"), "{}", first.error);
    engine.stop().await;
    handled(&world, (1..=10).filter(|number| number % 3 != 0));

    // They are there after a restart, and while no engine runs.
    let offline = inspect(&world.state_dir(), &name("poison")).unwrap();
    assert_eq!(offline.letters().unwrap(), parked);
    drop(offline);
    let engine = world.start().await;
    engine
        .until("poison", "the letters are known", |status| {
            status.letters == 3
        })
        .await;

    // One is given once more, and fails again; the module is none the worse for it.
    let ordered = engine
        .operator()
        .order_letters(&name("poison"), true, vec![1])
        .await;
    assert_eq!(ordered.unwrap(), 1);
    let poison = name("poison");
    let again = tokio::time::timeout(DEADLINE, async {
        loop {
            let letters = engine.operator().dead_letters(&poison).await.unwrap();
            if !letters[1].1.retry {
                return letters;
            }
            tokio::task::yield_now().await;
        }
    });
    assert_eq!(again.await.unwrap()[1].1.attempts, 3);
    engine.is("poison", Phase::Run).await;

    // One is dropped; the others are handled by a version that can.
    let dropped = engine
        .operator()
        .order_letters(&name("poison"), false, vec![0])
        .await;
    assert_eq!(dropped.unwrap(), 1);
    world.bundle(&Module::fixture("poison").config("every = 0"), "poison");
    engine
        .operator()
        .upgrade(&name("poison"), UpgradeRequest::default())
        .await
        .unwrap();
    let ordered = engine
        .operator()
        .order_letters(&name("poison"), true, vec![])
        .await;
    assert_eq!(ordered.unwrap(), 2);
    engine
        .until("poison", "no letter is left", |status| status.letters == 0)
        .await;
    match engine
        .operator()
        .order_letters(&name("poison"), true, vec![1])
        .await
    {
        Err(OperateError::Unfit(why)) => assert_eq!(why, "module poison has no dead letter 1"),
        other => panic!("{other:?}"),
    }
    engine.stop().await;
    handled(&world, (1..=10).filter(|number| *number != 3));
}

/// Given an event that is given once more and fails again: the log says which it was, and not which
/// was the last one before it.
#[tokio::test(flavor = "multi_thread")]
async fn the_log_names_the_event_of_a_letter() {
    log::keep();
    let module = Module::fixture("poison").named("poison-again");
    let (_server, world) = world(module.restarted(PARKS)).await;
    let engine = world.start().await;
    engine.reaches("poison-again", 10).await;
    let failed = engine.status("poison-again").failed;
    let (operator, poison) = (engine.operator(), name("poison-again"));
    let ordered = operator.order_letters(&poison, true, vec![0]).await;
    assert_eq!(ordered.unwrap(), 1);
    engine.failed("poison-again", failed + 1).await;
    engine.stop().await;
    let lines = log::lines_of("poison-again");
    let mut failures = lines.iter().filter(|line| line.message == "module failed");
    let event = failures.next_back().unwrap().event.clone().unwrap();
    assert!(event.starts_with("31337-3-"), "{event}");
}

#[tokio::test(flavor = "multi_thread")]
async fn letters_that_are_marked_while_no_engine_runs_are_given_at_the_start() {
    let (_server, world) = world(Module::fixture("poison").restarted(PARKS)).await;
    let engine = world.start().await;
    engine.reaches("poison", 10).await;
    engine
        .operator()
        .order_letters(&name("poison"), true, vec![])
        .await
        .unwrap();
    // Given once more or not: what is marked and was not handled is given by the next engine.
    engine.crash();
    drop(world.state_after_crash("poison").await);
    world.bundle(&Module::fixture("poison").config("every = 0"), "poison");
    let engine = world.start().await;
    let ordered = engine
        .operator()
        .order_letters(&name("poison"), true, vec![])
        .await;
    ordered.unwrap();
    engine
        .until("poison", "no letter is left", |status| {
            status.phase == Phase::Run && status.letters == 0 && status.delivered >= 3
        })
        .await;
    engine.stop().await;
    handled(&world, 1..=10);
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_that_are_parked_are_neither_in_the_fold_nor_taken_back_from_it() {
    let server = server(0).await;
    let chain = server.chain();
    let poison = |n: u64| n.is_multiple_of(4);
    for subscription in [PINGS, &format!("{PINGS}\ndelivery = \"push\"")] {
        let world = World::over(&server, Via::Ws).impatient().module(
            fold()
                .logs(subscription)
                .config("poison = 4")
                .restarted(PARKS),
        );
        let engine = world.start().await;
        for n in 0..9 {
            mine(chain, [ping(n), ping(n)]);
        }
        settle(&server, &engine, "log-fold").await;
        let clean = |number, log: &_| {
            if poison(number) {
                0
            } else {
                pings(number, log)
            }
        };
        let parked =
            |head| (1..=head).filter(|n| poison(*n) && !chain.block(*n).unwrap().logs.is_empty());
        let blocks: Vec<_> = letters(&engine, "log-fold").await;
        let blocks: Vec<_> = blocks.into_iter().map(|(_, block)| block).collect();
        assert_eq!(blocks, parked(chain.head().number).collect::<Vec<_>>());

        // Blocks with and without parked logs leave the chain, and their letters with them.
        reorg(chain, 6, |n| vec![ping(n)]);
        settle(&server, &engine, "log-fold").await;
        let blocks: Vec<_> = letters(&engine, "log-fold").await;
        let blocks: Vec<_> = blocks.into_iter().map(|(_, block)| block).collect();
        assert_eq!(blocks, parked(chain.head().number).collect::<Vec<_>>());

        // What is handled later is taken back like everything else.
        let healthy = fold().logs(subscription).restarted(PARKS);
        world.bundle(&healthy, "log-fold");
        let name = name("log-fold");
        engine
            .operator()
            .upgrade(&name, UpgradeRequest::default())
            .await
            .unwrap();
        engine.stop().await;
        world
            .state("log-fold")
            .assert_folded(chain, 0..=chain.head().number, clean);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parked_log_that_was_given_once_more_is_taken_back_with_its_block() {
    let server = server(0).await;
    let chain = server.chain();
    let unordered = fold().logs(PINGS).restarted(PARKS);
    let world = World::over(&server, Via::Ws)
        .impatient()
        .module(unordered.clone().config("poison = 3"));
    let engine = world.start().await;
    for n in 0..3 {
        mine(chain, [ping(n)]);
    }
    settle(&server, &engine, "log-fold").await;
    assert_eq!(letters(&engine, "log-fold").await, [(0, 3)]);
    world.bundle(&unordered, "log-fold");
    engine
        .operator()
        .upgrade(&name("log-fold"), UpgradeRequest::default())
        .await
        .unwrap();
    engine
        .operator()
        .order_letters(&name("log-fold"), true, vec![0])
        .await
        .unwrap();
    engine
        .until("log-fold", "the letter is handled", |status| {
            status.letters == 0
        })
        .await;

    reorg(chain, 2, |_| vec![]);
    settle(&server, &engine, "log-fold").await;
    engine.stop().await;
    // Out of order, since the letter was: but whole.
    let state = world.state("log-fold");
    let logs = chain.blocks_with_logs(0..=chain.head().number);
    let logs: Vec<_> = logs
        .iter()
        .flat_map(|block| {
            let logs = block.logs.iter().zip(0..);
            logs.map(|(log, index)| log_key(block.number, index, log.topics.first()))
        })
        .collect();
    assert_eq!(state.keys("log/"), logs);
    assert_eq!(
        state.number("removed"),
        Some(2),
        "its block and the one after it"
    );
}

/// Given letters on both sides of the block that an operator lets the module go on from: those of
/// the blocks that come again go, so that none of their events is handled twice.
#[tokio::test(flavor = "multi_thread")]
async fn letters_of_blocks_that_come_again_go() {
    let (_server, world) = world(Module::fixture("poison").restarted(PARKS)).await;
    let engine = world.start().await;
    engine.reaches("poison", 10).await;
    assert_eq!(letters(&engine, "poison").await, [(0, 3), (1, 6), (2, 9)]);
    world.bundle(&Module::fixture("poison").config("every = 0"), "poison");
    let (operator, poison) = (engine.operator(), name("poison"));
    let upgraded = operator.upgrade(&poison, UpgradeRequest::default()).await;
    upgraded.unwrap();

    let resynced = operator.resync(&poison, ChainId(CHAIN), BlockNumber(6));
    assert_eq!(resynced.await.unwrap().letters, 2);
    assert_eq!(engine.status("poison").letters, 1);
    assert_eq!(letters(&engine, "poison").await, [(0, 3)]);
    engine.reaches("poison", 10).await;
    let ordered = operator.order_letters(&poison, true, vec![]).await;
    assert_eq!(ordered.unwrap(), 1);
    engine
        .until("poison", "no letter is left", |status| status.letters == 0)
        .await;
    engine.stop().await;
    let state = world.state("poison");
    for block in 1..=10 {
        // 7, 8 and 10 came before and after.
        let times = if matches!(block, 7 | 8 | 10) { 2 } else { 1 };
        let key = format!("block/{block:020}");
        assert_eq!(state.number(&key), Some(times), "{key}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_module_with_as_many_letters_as_it_may_have_is_dead() {
    let server = server(MAX_LETTERS as u64 + 3).await;
    let restart = "max_consecutive_failures = 1\non_failure = \"dead-letter\"";
    let world = World::over(&server, Via::Ws).impatient().module(
        Module::fixture("poison")
            .config("every = 1")
            .restarted(restart),
    );
    let engine = world.start().await;
    let dead = engine.is("poison", Phase::Dead).await;
    assert_eq!(dead.letters, MAX_LETTERS);
    let error = dead.last_error.unwrap();
    assert!(error.contains("as many as a module may have"), "{error}");

    // With room for one, one more is parked.
    let dropped = engine
        .operator()
        .order_letters(&name("poison"), false, vec![7])
        .await;
    dropped.unwrap();
    engine.operator().restart(&name("poison")).await.unwrap();
    engine
        .until("poison", "one more is parked", |status| {
            status.parked == MAX_LETTERS as u64 + 1 && status.phase == Phase::Dead
        })
        .await;
    engine.stop().await;
    assert_eq!(world.state("poison").cursor(), Some(MAX_LETTERS as u64 + 1));
}
