//! One call, one transaction: its writes and its cursor together, or neither.

use nexum_testkit::RpcServer;

use crate::world::{Module, Via, World, server};

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_fails_leaves_nothing_and_its_block_comes_again() {
    let server = server(5).await;
    let failing = [
        Module::fixture("write-then-trap"),
        Module::fixture("write-then-err"),
    ];
    let world = World::over(&server, Via::Ws)
        .modules(failing.map(|module| module.config("every = 3")))
        .module(Module::fixture("counter"));
    let engine = world.start().await;

    let trapped = engine.failed("write-then-trap", 2).await;
    assert!(trapped.starts_with("the guest trapped: "), "{trapped}");
    let refused = engine.failed("write-then-err", 2).await;
    assert!(refused.contains("failed on block 3, as asked"), "{refused}");
    engine.delivered("counter", 5).await;
    let ended = engine.stop().await;

    for name in ["write-then-trap", "write-then-err"] {
        assert_eq!(ended.module(name).delivered, 2, "{name} never got past 3");
        let state = world.state(name);
        assert_eq!(state.keys(""), ["ok"], "{name}");
        assert_eq!(state.number("ok"), Some(2), "{name}");
        assert_eq!(state.cursor(), Some(2), "{name}");
    }
    world.state("counter").assert_counted(server.chain(), 1..=5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_that_exits_has_failed_and_leaves_nothing() {
    let server = server(1).await;
    let world = World::over(&server, Via::Ws).module(Module::fixture("exit"));
    let engine = world.start().await;

    let exited = engine.failed("exit", 1).await;
    assert_eq!(exited, "the guest called exit(0)");
    engine.stop().await;

    let state = world.state("exit");
    assert_eq!((state.keys("").len(), state.cursor()), (0, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_checkpointed_survives_the_trap_and_nothing_after_it_does() {
    let server = server(2).await;
    let world = World::over(&server, Via::Ws).module(Module::fixture("checkpoint-then-trap"));
    let engine = world.start().await;
    engine.delivered("checkpoint-then-trap", 2).await;
    let ended = engine.stop().await.module("checkpoint-then-trap");

    assert_eq!(
        ended.failed, 2,
        "each block fails once: then its note is seen"
    );
    let state = world.state("checkpoint-then-trap");
    assert_eq!(state.keys(""), ["done/1", "done/2", "note/1", "note/2"]);
    assert_eq!(state.cursor(), Some(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_moves_no_cursor() {
    let server = server(1).await;
    let world = World::over(&server, Via::Ws).module(Module::fixture("checkpoint-then-trap"));
    let engine = world.start().await;
    engine.failed("checkpoint-then-trap", 1).await;
    engine.crash();

    let state = world.state_after_crash("checkpoint-then-trap").await;
    assert_eq!(state.text("note/1").as_deref(), Some("yes"));
    assert_eq!(state.get("after/1"), None);
    // The second delivery may have come before the crash; the note alone moves no cursor.
    let done = state.get("done/1").is_some();
    assert_eq!(state.cursor(), done.then_some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_checkpointed_and_returned_has_its_cursor_on_disk() {
    let server = server(3).await;
    let eager = Module::fixture("checkpoint-then-ok");
    let lazy = Module::fixture("checkpoint-then-ok")
        .named("lazy")
        .flushed_every("1h");
    let world = World::over(&server, Via::Ws).modules([eager, lazy]);
    let engine = world.start().await;
    for module in ["checkpoint-then-ok", "lazy"] {
        engine.delivered(module, 3).await;
    }
    engine.crash();

    for module in ["checkpoint-then-ok", "lazy"] {
        let state = world.state_after_crash(module).await;
        let count = state.number("count");
        assert_eq!((count, state.cursor()), (Some(3), Some(3)), "{module}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_reads_its_own_writes_over_what_is_committed() {
    let server = server(4).await;
    let world = World::over(&server, Via::Ws).module(Module::fixture("read-your-writes"));
    let engine = world.start().await;
    engine.delivered("read-your-writes", 4).await;
    let ended = engine.stop().await.module("read-your-writes");

    assert_eq!(ended.last_error, None);
    let state = world.state("read-your-writes");
    assert_eq!(state.number("checked"), Some(4));
    assert_eq!(state.keys("kept/").len(), 4);
    assert_eq!(state.keys("m/"), ["m/b", "m/d"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_quota_holds_to_the_byte_and_over_a_restart() {
    const ENTRY: u64 = 3 + 1000;
    let server = server(5).await;
    let quota = |name, bytes: u64| {
        Module::fixture("quota")
            .named(name)
            .config("value_bytes = 1000")
            .limited(&format!("max_state_bytes = {bytes}"))
    };
    let world = World::over(&server, Via::Ws)
        .module(quota("fits", 3 * ENTRY))
        .module(quota("one-byte-short", 3 * ENTRY - 1));
    let kept = [("fits", 3), ("one-byte-short", 2)];

    for blocks in [5, 2] {
        let engine = world.start().await;
        for (name, _) in kept {
            engine.delivered(name, blocks).await;
        }
        let ended = engine.stop().await;
        for (name, entries) in kept {
            assert_eq!(ended.module(name).last_error, None, "{name}");
            let state = world.state(name);
            assert_eq!(state.keys("k/").len() as u64, entries, "{name}");
            assert_eq!(state.used_bytes(), entries * ENTRY, "{name}");
            assert_eq!(state.cursor(), Some(server.chain().head().number));
        }
        server.chain().mine(2);
    }
}

fn flushed_rarely(server: &RpcServer) -> World {
    let module = Module::fixture("counter").flushed_every("1h");
    World::over(server, Via::Ws).module(module)
}

#[tokio::test(flavor = "multi_thread")]
async fn commits_that_wait_for_the_interval_are_on_disk_after_a_clean_stop() {
    let server = server(40).await;
    let world = flushed_rarely(&server);
    let engine = world.start().await;
    engine.delivered("counter", 40).await;
    engine.stop().await;
    world
        .state("counter")
        .assert_counted(server.chain(), 1..=40);
}

#[tokio::test(flavor = "multi_thread")]
async fn under_an_interval_state_and_cursor_go_back_together() {
    let server = server(40).await;
    let world = flushed_rarely(&server);
    let engine = world.start().await;
    engine.delivered("counter", 40).await;
    engine.crash();

    let state = world.state_after_crash("counter").await;
    let last = state.cursor().unwrap_or(0);
    if last > 0 {
        state.assert_counted(server.chain(), 1..=last);
    } else {
        assert_eq!(state.keys("").len(), 0);
    }
    drop(state);

    server.chain().mine(5);
    let engine = world.start().await;
    engine.delivered("counter", 45 - last).await;
    engine.stop().await;
    world
        .state("counter")
        .assert_counted(server.chain(), 1..=45);
}
