//! Whoever watches sees every call with what it did and what became of it, and where a module has
//! nothing left to do.

use std::sync::{Arc, Mutex};

use nexum_engine::{Called, FailureKind, Observer, Phase, StateChange};
use nexum_host::{Asked, Did};
use nexum_manifest::Capability;
use nexum_testkit::ScriptedChain;
use nexum_types::{ChainId, Depth, Source};
use tracing::Level;

use crate::world::{CHAIN, Module, Running, Via, World, name, server};

/// Keeps what it is told.
#[derive(Debug, Default)]
struct Book(Mutex<Vec<Called>>);

impl Observer for Book {
    fn called(&self, call: Called) {
        self.0.lock().unwrap().push(call);
    }
}

impl Book {
    fn take(&self) -> Vec<Called> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

/// Waits until `module` has nothing left to do with the chain as it is.
async fn rests(engine: &Running, module: &str, chain: &ScriptedChain) {
    let head = chain.head().hash;
    let source = Source::Chain(ChainId(CHAIN), Depth::Head);
    let at_head = move |status: &nexum_engine::ModuleStatus| {
        status
            .rests
            .get(&source)
            .is_some_and(|rest| rest.head.hash == head)
    };
    engine
        .until(module, "it is done with all blocks", at_head)
        .await;
}

fn change(key: &str, old: Option<&str>, new: Option<&str>) -> StateChange {
    let bytes = |text: &str| text.as_bytes().to_vec();
    StateChange {
        key: key.to_owned(),
        old: old.map(bytes),
        new: new.map(bytes),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_call_is_told_with_what_it_did_and_changed() {
    let server = server(1).await;
    let chain = server.chain();
    let account = "0x70997970c51812dc3a010c7d01b50e0d17dc79c8"
        .parse()
        .unwrap();
    chain.set_balance(account, nexum_testkit::U256::from(10));
    chain.mine(1);
    let book = Arc::new(Book::default());
    let watch = Module::example("balance-watch")
        .config("addresses = [\"0x70997970C51812dc3A010C7d01b50e0d17dc79C8\"]");
    let world = World::over(&server, Via::Http)
        .module(watch)
        .watched(Arc::clone(&book) as _);
    let engine = world.start().await;
    rests(&engine, "balance-watch", chain).await;
    chain.set_balance(account, nexum_testkit::U256::from(12));
    chain.mine(1);
    rests(&engine, "balance-watch", chain).await;
    engine.stop().await;

    let calls = book.take();
    let [init, .., last] = calls.as_slice() else {
        panic!("{calls:?}");
    };
    assert!(init.event.is_none() && init.ended.is_ok(), "{init:?}");
    let told = |did: &Did| matches!(did, Did::Logged { level: Level::INFO, source: "logging", text } if text.starts_with("watching 1 account"));
    assert!(init.did.iter().any(told), "{init:?}");

    assert_eq!(last.module, name("balance-watch"));
    let block = last.event.as_ref().unwrap().block_ref().unwrap();
    assert_eq!(block.hash, chain.head().hash);
    assert!(last.fuel > 0 && last.ended.is_ok());
    let key = "balance/0x70997970c51812dc3a010c7d01b50e0d17dc79c8";
    assert_eq!(
        last.changes,
        [
            change(key, Some("10"), Some("12")),
            change("last_block", Some("2"), Some("3")),
        ]
    );
    let asked = last.did.iter().filter_map(|did| match did {
        Did::Asked(call) => Some(call),
        Did::Logged { .. } => None,
    });
    let asked: Vec<_> = asked.collect();
    let functions: Vec<_> = asked
        .iter()
        .map(|call| (call.interface, call.function))
        .collect();
    assert_eq!(
        functions,
        [
            (Capability::Chain, "request"),
            (Capability::LocalStore, "get"),
            (Capability::LocalStore, "set"),
            (Capability::LocalStore, "set"),
        ]
    );
    let Asked::Requests(ChainId(CHAIN), requests) = &asked[0].asked else {
        panic!("{asked:?}");
    };
    assert_eq!(requests[0].method, "eth_getBalance");
    assert!(asked.iter().all(|call| call.failed.is_none()));
    assert!(asked[0].took <= last.took);
    assert_eq!(asked[2].asked.to_string(), format!("{key:?}, 2 bytes"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_call_is_told_with_why_and_its_next_attempt_comes_when_hurried() {
    let server = server(0).await;
    let chain = server.chain();
    let book = Arc::new(Book::default());
    let world = World::over(&server, Via::Ws)
        .module(Module::fixture("checkpoint-then-trap").since_latest())
        .watched(Arc::clone(&book) as _)
        .patient();
    let engine = world.start().await;
    let module = "checkpoint-then-trap";
    engine.is(module, Phase::Backoff).await;
    let calls = book.take();
    let [_, trapped] = calls.as_slice() else {
        panic!("{calls:?}");
    };
    let failure = trapped.ended.as_ref().unwrap_err();
    assert_eq!(failure.kind, FailureKind::Trapped);
    assert!(failure.backtrace.contains("on-event"), "{failure:?}");
    // What was checkpointed has stayed, what came after it has not.
    assert_eq!(trapped.changes, [change("note/0", None, Some("yes"))]);
    let panic = |did: &Did| matches!(did, Did::Logged { source: "stderr", text, .. } if text.contains("trapped after the checkpoint of block 0"));
    assert!(trapped.did.iter().any(panic), "{trapped:?}");

    engine.operator().hurry(&name(module)).await.unwrap();
    rests(&engine, module, chain).await;
    let status = engine.status(module);
    assert_eq!(
        (status.failed, status.delivered, status.phase),
        (1, 1, Phase::Run)
    );
    assert_eq!(book.take().len(), 2, "another init, and the event");
    // Who does not wait goes on as it was.
    engine.operator().hurry(&name(module)).await.unwrap();
    engine.stop().await;
    assert!(book.take().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_module_rests_again_once_it_has_come_over_to_another_branch() {
    let server = server(5).await;
    let chain = server.chain();
    let world = World::over(&server, Via::Ws).module(Module::fixture("tally").since_latest());
    let engine = world.start().await;
    rests(&engine, "tally", chain).await;
    let before = engine.status("tally").delivered;
    chain.reorg(1).unwrap();
    rests(&engine, "tally", chain).await;
    let status = engine.status("tally");
    assert_eq!(status.delivered, before + 1, "the block at the same height");
    let rest = status.rests.values().next().unwrap();
    assert_eq!((rest.next.0, rest.head.number.0), (6, 5));
    engine.stop().await;
}
