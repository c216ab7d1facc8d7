//! `delivery = "push"`: logs come as soon as a node announces them, each once all the same,
//! through failures, restarts and reorgs.

use nexum_testkit::{Fault, Injection, NewLog, RpcServer, ScriptedChain};
use serde_json::json;

use crate::{
    logs::{PINGS, PONGS, fold, mine, ping, pings_and_pongs, pong, settle},
    world::{CHAIN, Module, Running, Via, World, eventually, server},
};

/// `Ping`s as they are pushed.
fn pushed() -> String {
    format!("{PINGS}\ndelivery = \"push\"")
}

fn module() -> Module {
    Module::fixture("log-fold").logs(&pushed()).logs(PONGS)
}

/// The node answers no logs until it is healed.
fn hold_logs_back(server: &RpcServer) {
    server.inject(Injection::new(Fault::Null).on("eth_getLogs"));
}

/// An engine that has come to the chain's head, and for which its node pushes.
async fn listening(world: &World, server: &RpcServer) -> Running {
    let before = server.request_log().count("eth_subscribe");
    let engine = world.start().await;
    settle(server, &engine, "log-fold").await;
    eventually("the node pushes", || {
        (server.request_log().count("eth_subscribe") >= before + 2).then_some(())
    })
    .await;
    // A head that comes after the request has been taken comes after the subscription.
    settle(server, &engine, "log-fold").await;
    engine
}

/// Ends the chain with a block of which the module gets the block and what is pushed, while the
/// node answers no logs.
async fn give_half(server: &RpcServer, engine: &Running, logs: impl IntoIterator<Item = NewLog>) {
    let before = engine.status("log-fold").delivered;
    hold_logs_back(server);
    mine(server.chain(), logs);
    engine.delivered("log-fold", before + 2).await;
}

fn replace_last(chain: &ScriptedChain) {
    let replaced = chain.reorg_to(1, |branch| {
        branch.log(pong(7));
        branch.log(ping(7));
        branch.mine(2);
    });
    replaced.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pushed_log_is_handled_while_its_block_is_still_asked_for_and_only_once() {
    let server = server(0).await;
    let chain = server.chain();
    let world = World::over(&server, Via::Ws).module(module());
    let engine = listening(&world, &server).await;
    // The block, then the pings, in one event or two; the pongs wait.
    let logs = [pong(1), ping(1), ping(2), pong(2)];
    give_half(&server, &engine, logs).await;
    let held = engine.status("log-fold");
    let number = chain.head().number;
    assert!(
        held.cursors
            .values()
            .all(|cursor| cursor.next_number().unwrap().0 == number)
    );
    server.heal();
    settle(&server, &engine, "log-fold").await;
    engine.stop().await;
    let state = world.state("log-fold");
    state.assert_folded(chain, 0..=chain.head().number, pings_and_pongs);
    assert_eq!(state.number("removed"), None);
    assert_eq!(state.number("blocks"), Some(chain.head().number));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_early_is_remembered_over_a_crash() {
    let server = server(0).await;
    let chain = server.chain();
    let world = World::over(&server, Via::Ws).module(module());
    let engine = listening(&world, &server).await;
    give_half(&server, &engine, [pong(1), ping(1)]).await;
    engine.crash();
    drop(world.state_after_crash("log-fold").await);
    server.heal();

    let engine = world.start().await;
    settle(&server, &engine, "log-fold").await;
    engine.stop().await;
    let state = world.state("log-fold");
    state.assert_folded(chain, 0..=chain.head().number, pings_and_pongs);
    assert_eq!(state.number("removed"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_early_is_taken_back_with_its_block_though_the_rest_never_came() {
    for restart in [false, true] {
        let server = server(0).await;
        let chain = server.chain();
        let world = World::over(&server, Via::Ws).module(module());
        let mut engine = listening(&world, &server).await;
        give_half(&server, &engine, [pong(1), ping(1)]).await;
        if restart {
            engine.stop().await;
            replace_last(chain);
            server.heal();
            engine = world.start().await;
        } else {
            let before = engine.status("log-fold").delivered;
            replace_last(chain);
            // What is pushed of the new branch tells that the old block has left.
            engine.delivered("log-fold", before + 1).await;
            server.heal();
        }
        settle(&server, &engine, "log-fold").await;
        engine.stop().await;
        let state = world.state("log-fold");
        state.assert_folded(chain, 0..=chain.head().number, pings_and_pongs);
        assert_eq!(state.number("removed"), Some(1), "restart: {restart}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pushed_log_that_its_block_does_not_have_is_taken_back() {
    let server = server(0).await;
    let chain = server.chain();
    let world = World::new()
        .chain_of(CHAIN, &[&server.ws_url()], "trust_bloom = false")
        .module(fold().logs(&pushed()));
    let engine = listening(&world, &server).await;
    let given = engine.status("log-fold").delivered;
    server.set_answer("eth_getLogs", Some(Ok(json!(null))));
    mine(chain, [ping(1)]);
    engine.delivered("log-fold", given + 1).await;
    // By the block's own word there are no logs in it.
    server.set_answer("eth_getLogs", Some(Ok(json!([]))));
    chain.mine(1);
    engine.delivered("log-fold", given + 2).await;
    engine.stop().await;
    let state = world.state("log-fold");
    assert_eq!(state.number("removed"), Some(1));
    state.assert_folded(chain, 0..=chain.head().number - 2, pings_and_pongs);
}
