//! Every block reaches a module once and in order, whatever happens to chain and engine.

use nexum_engine::Phase;
use nexum_manifest::Start;
use nexum_types::BlockNumber;

use crate::world::{CHAIN, Module, Via, World, eventually, server, server_of};

const OTHER_CHAIN: u64 = 100;

async fn every_block_takes_effect_once_and_in_order(via: Via) {
    let server = server(5).await;
    let world = World::over(&server, via).module(Module::fixture("counter"));
    let engine = world.start().await;
    engine.delivered("counter", 5).await;

    // One at a time, each waited for; then more at once than the engine can hear of one by one.
    for number in 6..=10 {
        server.chain().mine(1);
        engine.delivered("counter", number).await;
    }
    for burst in [1, 1, 7, 30] {
        server.chain().mine(burst);
    }
    engine.delivered("counter", 49).await;

    let ended = engine.stop().await.module("counter");
    assert_eq!((ended.delivered, ended.failed), (49, 0));
    assert_eq!(ended.phase, Phase::Stopped);
    world
        .state("counter")
        .assert_counted(server.chain(), 1..=49);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_block_takes_effect_once_and_in_order_over_http() {
    every_block_takes_effect_once_and_in_order(Via::Http).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_block_takes_effect_once_and_in_order_over_ws() {
    every_block_takes_effect_once_and_in_order(Via::Ws).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn history_that_no_feed_holds_any_more_is_delivered_from_the_number_asked_for() {
    let server = server(600).await;
    let start = Start::Number(BlockNumber(3));
    let module = Module::fixture("counter").subscribed(&[(CHAIN, start)]);
    let world = World::over(&server, Via::Ws).module(module);

    let engine = world.start().await;
    // The chain goes on while the module is far behind.
    engine.delivered("counter", 20).await;
    server.chain().mine(50);
    engine.delivered("counter", 648).await;

    engine.stop().await;
    world
        .state("counter")
        .assert_counted(server.chain(), 3..=650);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_at_the_latest_block_begins_with_the_head() {
    let server = server(10).await;
    let world = World::over(&server, Via::Ws).module(Module::fixture("counter").since_latest());

    let engine = world.start().await;
    engine.delivered("counter", 1).await;
    server.chain().mine(3);
    engine.delivered("counter", 4).await;
    engine.stop().await;

    world
        .state("counter")
        .assert_counted(server.chain(), 10..=13);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_goes_on_after_the_cursor_however_long_it_was_away() {
    let server = server(10).await;
    let world = World::over(&server, Via::Http).module(Module::fixture("counter").since_latest());
    let engine = world.start().await;
    engine.delivered("counter", 1).await;
    engine.stop().await;

    server.chain().mine(300);
    let engine = world.start().await;
    engine.delivered("counter", 300).await;
    let ended = engine.stop().await.module("counter");

    assert_eq!(ended.delivered, 300, "block 10 does not come again");
    world
        .state("counter")
        .assert_counted(server.chain(), 10..=310);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_without_new_blocks_delivers_nothing_and_then_the_next_one() {
    let server = server(4).await;
    let world = World::over(&server, Via::Ws).module(Module::fixture("counter"));
    let engine = world.start().await;
    engine.delivered("counter", 4).await;
    engine.stop().await;

    let engine = world.start().await;
    engine.runs("counter").await;
    server.chain().mine(1);
    engine.delivered("counter", 1).await;
    engine.stop().await;

    world.state("counter").assert_counted(server.chain(), 1..=5);
}

async fn nothing_is_lost_while_the_chain_is_down(via: Via) {
    let server = server(3).await;
    let world = World::over(&server, via).module(Module::fixture("counter"));
    let engine = world.start().await;
    engine.delivered("counter", 3).await;

    server.set_down(true);
    server.chain().mine(20);
    eventually("the engine finds the chain down", || {
        (server.refused_connections() > 0).then_some(())
    })
    .await;
    assert_eq!(engine.status("counter").delivered, 3);
    server.set_down(false);
    engine.delivered("counter", 23).await;
    server.chain().mine(1);
    engine.delivered("counter", 24).await;

    let ended = engine.stop().await.module("counter");
    assert_eq!(ended.failed, 0, "an outage is no failure of the module");
    world
        .state("counter")
        .assert_counted(server.chain(), 1..=24);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_while_the_chain_is_down_over_http() {
    nothing_is_lost_while_the_chain_is_down(Via::Http).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_while_the_chain_is_down_over_ws() {
    nothing_is_lost_while_the_chain_is_down(Via::Ws).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_chains_feed_one_module_each_with_a_cursor_of_its_own() {
    let (one, other) = (server(12).await, server_of(OTHER_CHAIN, 7).await);
    let from_first = Start::Number(BlockNumber(1));
    let module = Module::fixture("slow")
        .subscribed(&[(CHAIN, from_first), (OTHER_CHAIN, from_first)])
        .named("of-two-chains");
    let world = World::over(&one, Via::Ws)
        .chain(OTHER_CHAIN, &other.http_url())
        .module(module);

    let engine = world.start().await;
    engine.delivered("of-two-chains", 19).await;
    // One chain is away: the other goes on.
    one.set_down(true);
    one.chain().mine(5);
    other.chain().mine(2);
    engine.delivered("of-two-chains", 21).await;
    one.set_down(false);
    engine.delivered("of-two-chains", 26).await;
    engine.stop().await;

    let state = world.state("of-two-chains");
    assert_eq!(state.number("count"), Some(26));
    let cursors = [CHAIN, OTHER_CHAIN].map(|chain| state.cursor_of(chain).unwrap().hash);
    assert_eq!(
        cursors,
        [one.chain().head().hash, other.chain().head().hash]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_module_that_writes_nothing_has_its_cursor_on_disk_after_a_clean_stop() {
    let server = server(30).await;
    let world = World::over(&server, Via::Ws).module(Module::fixture("noop"));
    let engine = world.start().await;
    engine.delivered("noop", 30).await;
    engine.stop().await;

    let state = world.state("noop");
    assert_eq!(state.cursor(), Some(30));
    assert_eq!((state.used_bytes(), state.keys("").len()), (0, 0));
    drop(state);

    server.chain().mine(2);
    let engine = world.start().await;
    engine.delivered("noop", 2).await;
    assert_eq!(engine.stop().await.module("noop").delivered, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_takes_back_the_cursor_of_calls_that_wrote_nothing_and_they_are_repeated() {
    let server = server(30).await;
    let world = World::over(&server, Via::Ws).module(Module::fixture("noop"));
    let engine = world.start().await;
    engine.delivered("noop", 30).await;
    engine.crash();

    let state = world.state_after_crash("noop").await;
    assert_eq!(state.cursor(), None, "no write to the disk was spent on it");
    drop(state);

    let engine = world.start().await;
    engine.delivered("noop", 30).await;
    engine.stop().await;
    assert_eq!(world.state("noop").cursor(), Some(30));
}
