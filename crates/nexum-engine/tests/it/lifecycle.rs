//! A module's life: no event before an `init` that succeeded, a fresh instance after a failure,
//! an end in order.

use nexum_engine::StartError;
use nexum_store::StoreError;

use crate::{
    log,
    world::{Module, Via, World, eventually, server},
};

#[tokio::test(flavor = "multi_thread")]
async fn no_event_passes_before_an_init_that_succeeded_and_then_all_do() {
    let server = server(6).await;
    let failing = [
        Module::fixture("err-in-init"),
        Module::fixture("trap-in-init"),
    ];
    let world =
        World::over(&server, Via::Ws).modules(failing.map(|module| module.config("times = 2")));
    let failing = ["err-in-init", "trap-in-init"];
    let engine = world.start().await;

    for name in failing {
        let before = engine
            .until(name, "its init has failed", |status| status.failed > 0)
            .await;
        assert!(
            before.failed == 2 || before.delivered == 0,
            "{name} got a block with its init failing: {before:?}"
        );
    }
    for name in failing {
        engine.delivered(name, 6).await;
    }
    let ended = engine.stop().await;

    for name in failing {
        let ended = ended.module(name);
        assert_eq!((ended.failed, ended.delivered), (2, 6), "{name}");
        let state = world.state(name);
        assert_eq!(state.keys(""), ["count", "init_attempts"], "{name}");
        assert_eq!(state.number("init_attempts"), Some(2), "{name}");
        assert_eq!(state.number("count"), Some(6), "{name}");
        assert_eq!(state.cursor(), Some(6), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_module_whose_init_always_fails_gets_no_event() {
    let server = server(6).await;
    let world = World::over(&server, Via::Ws)
        .module(Module::fixture("trap-in-init"))
        .module(Module::fixture("counter"));
    let engine = world.start().await;
    engine.failed("trap-in-init", 2).await;
    engine.delivered("counter", 6).await;
    let ended = engine.stop().await.module("trap-in-init");

    assert_eq!(ended.delivered, 0);
    let state = world.state("trap-in-init");
    assert_eq!(state.keys(""), ["init_attempts"]);
    assert_eq!(state.cursor(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_latest_block_is_that_of_the_start_though_init_failed_meanwhile() {
    let server = server(10).await;
    let failing = Module::fixture("err-in-init")
        .config("times = 2")
        .since_latest();
    let world = World::over(&server, Via::Ws)
        .module(failing)
        .module(Module::fixture("tally").since_latest());
    let engine = world.start().await;
    engine.delivered("tally", 1).await;

    // While the one is kept waiting, the chain goes on.
    server.chain().mine(4);
    engine.delivered("tally", 5).await;
    engine.delivered("err-in-init", 5).await;
    engine.stop().await;

    world.state("tally").assert_tallied(10..=14);
    let state = world.state("err-in-init");
    assert_eq!(state.number("count"), Some(5), "blocks 10 to 14");
    assert_eq!(state.cursor(), Some(14));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_is_down_is_no_refusal_and_is_used_once_it_comes_up() {
    let server = server(3).await;
    server.set_down(true);
    for via in [Via::Http, Via::Ws] {
        let world = World::over(&server, via).module(Module::fixture("counter"));
        let engine = world.start().await;
        engine.runs("counter").await;
        let refused = server.refused_connections();
        eventually("the engine keeps trying", || {
            (server.refused_connections() > refused).then_some(())
        })
        .await;
        assert_eq!(engine.status("counter").delivered, 0);

        server.set_down(false);
        engine.delivered("counter", 3).await;
        engine.stop().await;
        world.state("counter").assert_counted(server.chain(), 1..=3);
        server.set_down(true);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_engines_never_share_a_state_dir() {
    let server = server(2).await;
    let world = World::over(&server, Via::Ws).module(Module::fixture("counter"));
    let engine = world.start().await;

    match world.try_start().await.unwrap_err() {
        StartError::Store(StoreError::Locked { path, pid }) => {
            assert_eq!(path, world.state_dir());
            assert_eq!(pid, Some(std::process::id()));
        }
        other => panic!("refused for another reason: {other}"),
    }

    engine.delivered("counter", 2).await;
    engine.stop().await;
    world.start().await.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_outlasts_the_grace_is_cut_off_and_leaves_nothing() {
    log::keep();
    let server = server(1).await;
    let sleeper = Module::fixture("slow")
        .named("sleeper")
        .config("millis = 600_000")
        .limited("max_event_duration = \"20m\"");
    let world = World::over(&server, Via::Ws).grace("10ms").module(sleeper);
    let engine = world.start().await;
    log::says("sleeper", "sleeping").await;

    let ended = engine.stop_in_grace().await;

    assert_eq!(ended.cut_off(), ["sleeper"]);
    let state = world.state("sleeper");
    assert_eq!((state.keys("").len(), state.cursor()), (0, None));
}
