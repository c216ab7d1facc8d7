//! No module waits for another, whatever the other does.

use std::time::{Duration, Instant};

use nexum_testkit::{Fault, Injection, RpcServer};

use crate::{
    http::get,
    log,
    world::{Module, Running, Via, World, eventually, server},
};

/// How long `slow` takes for an event.
const SLEEP: Duration = Duration::from_secs(25);

/// Mines blocks one at a time: how long each took from mined to committed by `tally`.
async fn latencies(engine: &Running, server: &RpcServer) -> Vec<Duration> {
    let mut latencies = Vec::new();
    for number in server.chain().head().number + 1..=21 {
        let mined = Instant::now();
        server.chain().mine(1);
        engine.delivered("tally", number).await;
        latencies.push(mined.elapsed());
    }
    latencies.sort();
    latencies
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_neighbour_leaves_the_latency_of_a_fast_module_unchanged() {
    let alone = {
        let server = server(1).await;
        let world = World::over(&server, Via::Ws).module(Module::fixture("tally"));
        let engine = world.start().await;
        engine.delivered("tally", 1).await;
        let latencies = latencies(&engine, &server).await;
        engine.stop().await;
        latencies
    };

    log::keep();
    let server = server(1).await;
    let slow = Module::fixture("slow")
        .named("neighbour")
        .config(&format!("millis = {}", SLEEP.as_millis()));
    let world = World::over(&server, Via::Ws)
        .grace("10ms")
        .module(slow)
        .module(Module::fixture("tally"));
    let engine = world.start().await;
    log::says("neighbour", "sleeping").await;
    engine.delivered("tally", 1).await;
    let beside = latencies(&engine, &server).await;
    let of_slow = engine.status("neighbour");
    engine.stop_in_grace().await;

    // It was never without work.
    assert!(of_slow.delivered < 20 && of_slow.failed == 0, "{of_slow:?}");
    world.state("tally").assert_tallied(1..=21);
    // Waiting for the neighbour even once would cost about what it sleeps. The bounds leave room
    // for a busy machine, and none for that.
    let (median, worst) = (beside[beside.len() / 2], beside[beside.len() - 1]);
    assert!(worst < SLEEP / 2, "beside a slow one: {beside:?}");
    assert!(
        median < alone[alone.len() / 2] + SLEEP / 10,
        "alone: {alone:?}, beside a slow one: {beside:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn guests_that_compute_without_end_leave_the_processor_to_others() {
    let server = server(50).await;
    let spin = Module::fixture("spin")
        .limited("max_event_duration = \"10m\"")
        .limited("max_fuel_per_event = 9_000_000_000_000_000_000");
    let spinning = ["spin-a", "spin-b", "spin-c"].map(|name| spin.clone().named(name));
    let world = World::over(&server, Via::Ws)
        .grace("10ms")
        .modules(spinning)
        .module(Module::fixture("counter"));

    // More of them than threads, and none is ever done.
    let engine = world.start().await;
    engine.delivered("counter", 50).await;
    server.chain().mine(5);
    engine.delivered("counter", 55).await;
    assert_eq!(engine.status("spin-a").failed, 0);
    engine.stop_in_grace().await;

    world
        .state("counter")
        .assert_counted(server.chain(), 1..=55);
}

/// Given two modules that compute without end on the two threads that run guests, and a hundred
/// that wait: each of those has each block that comes meanwhile, and health is told in between.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_modules_have_their_blocks_beside_two_that_compute_without_end() {
    let server = server(1).await;
    let unlimited = |module: Module| {
        module
            .limited("max_event_duration = \"10m\"")
            .limited("max_fuel_per_event = 9_000_000_000_000_000_000")
    };
    let spinning = ["spin-a", "spin-b"].map(|name| unlimited(Module::fixture("spin").named(name)));
    let names: Vec<_> = (0..100).map(|index| format!("idle-{index}")).collect();
    let idle = names
        .iter()
        .map(|name| Module::fixture("counter").named(name));
    let world = World::over(&server, Via::Ws)
        .observed()
        .grace("10ms")
        .modules(spinning)
        .modules(idle);
    let engine = world.start().await;
    // What they are busy with from then on is no `init` any more.
    for name in ["spin-a", "spin-b"] {
        engine.runs(name).await;
    }
    let are_busy = |engine: &Running| {
        let report = engine.engine.health();
        let busy = report.modules.iter().filter(|module| {
            module.name.starts_with("spin") && module.busy_ms.is_some() && module.delivered == 0
        });
        busy.count() == 2
    };
    eventually("both compute", || are_busy(&engine).then_some(())).await;

    for head in 1..=5 {
        for name in &names {
            engine.delivered(name, head).await;
        }
        assert!(are_busy(&engine), "neither has ended");
        assert_eq!(get(engine.health(), "/health/live").await.status, 200);
        assert_eq!(get(engine.health(), "/health").await.status, 200);
        server.chain().mine(1);
    }
    engine.stop_in_grace().await;
    for name in &names {
        assert!(world.state(name).cursor() >= Some(5), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_ends_at_its_deadline_or_with_its_fuel() {
    let server = server(4).await;
    let spin = |name, limit: &str| {
        Module::fixture("spin")
            .named(name)
            .config("from = 3")
            .limited(limit)
    };
    // Time enough for the blocks before, on any machine.
    let late = spin("late", "max_event_duration = \"10s\"")
        .limited("max_fuel_per_event = 9_000_000_000_000_000_000");
    let world = World::over(&server, Via::Ws)
        .module(late)
        .module(spin("thirsty", "max_fuel_per_event = 10_000_000"))
        .module(Module::fixture("counter"));
    let engine = world.start().await;

    let late = engine.failed("late", 1).await;
    assert_eq!(late, "the call took longer than 10s (max_event_duration)");
    let thirsty = engine.failed("thirsty", 1).await;
    assert_eq!(
        thirsty,
        "the call used up its 10000000 units of fuel (max_fuel_per_event)"
    );
    engine.delivered("counter", 4).await;
    engine.stop().await;

    for name in ["late", "thirsty"] {
        let state = world.state(name);
        assert_eq!(state.keys(""), ["ok"], "{name}");
        assert_eq!((state.number("ok"), state.cursor()), (Some(2), Some(2)));
    }
    world.state("counter").assert_counted(server.chain(), 1..=4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deadline_covers_what_a_guest_waits_for() {
    log::keep();
    let server = server(1).await;
    let slow = Module::fixture("slow")
        .config("millis = 600_000")
        .limited("max_event_duration = \"200ms\"");
    let world = World::over(&server, Via::Ws).module(slow);
    let engine = world.start().await;
    let late = engine.failed("slow", 1).await;
    assert_eq!(late, "the call took longer than 200ms (max_event_duration)");
    engine.stop().await;
    assert_eq!(world.state("slow").number("count"), None);
}

/// Given a node that takes a question and never answers it: the guest that asked is cut off at its
/// deadline with the question in flight, again and again, and neither its neighbour nor the chain
/// that they share is the worse for it.
#[tokio::test(flavor = "multi_thread")]
async fn a_deadline_covers_a_question_that_is_not_answered() {
    let server = server(1).await;
    let asks = Module::fixture("batch")
        .config("addresses = [\"0x00000000000000000000000000000000000000a1\"]")
        .limited("max_event_duration = \"200ms\"")
        .restarted("max_consecutive_failures = 10000");
    let silent = Injection::new(Fault::Silent).on("eth_getBalance");
    server.wire().inject(silent);
    let world = World::over(&server, Via::Http)
        .impatient()
        .module(asks)
        .module(Module::fixture("counter"));
    let engine = world.start().await;
    let late = engine.failed("batch", 3).await;
    assert_eq!(late, "the call took longer than 200ms (max_event_duration)");
    assert!(server.request_log().count("eth_getBalance") > 0);
    server.chain().mine(3);
    engine.delivered("counter", 4).await;

    server.wire().heal();
    engine.delivered("batch", 4).await;
    engine.stop().await;
    let results = world.state("batch").keys("result/");
    assert_eq!(results.len(), 2, "{results:?}");
    let state = world.state("counter");
    state.assert_counted(server.chain(), 1..=4);
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_is_given_up_to_the_limit_and_not_beyond() {
    const MIB: u64 = 1024 * 1024;
    let server = server(2).await;
    let memory = |name, mib: u64| {
        Module::fixture("memory")
            .named(name)
            .limited(&format!("max_memory_bytes = {}", mib * MIB))
    };
    let world = World::over(&server, Via::Ws)
        .module(memory("mib-16", 16))
        .module(memory("mib-48", 48));
    let engine = world.start().await;
    engine.delivered("mib-16", 2).await;
    engine.delivered("mib-48", 2).await;
    let ended = engine.stop().await;

    for (name, limit) in [("mib-16", 16), ("mib-48", 48)] {
        assert_eq!(ended.module(name).last_error, None);
        let got = world.state(name).number("mib").unwrap();
        // Its code, its stack and what allocating costs take the rest.
        assert!((limit - 6..limit).contains(&got), "{name} got {got} MiB");
    }
}
