//! What one event costs on the whole way from a feed's ring to the module's cursor.

use std::time::{Duration, Instant};

use nexum_manifest::Durability;
use nexum_types::Event;

use crate::{
    raw,
    report::{Budget, Row, Samples},
    rig::{self, Heads, Module, Running},
};

const ROUNDS: usize = 30;
const CALLS: u64 = 2_000;
/// Fewer than a feed's ring holds, so that all of them are in it at once.
const BLOCKS: u64 = 200;
const MODULES: usize = 100;

/// The engine's own cost per event and module, on one thread.
pub(crate) fn without_writes() -> Row {
    let local = rig::runtime(Some(1));
    let component = rig::component("noop");
    let (mut guest, mut module) = local.block_on(async {
        let guest = raw::Guests::new(&component, 1).await;
        (guest, Module::new("noop", Durability::Event).await)
    });
    let engine = engine("noop", MODULES, r#""event""#);

    let (mut calls, mut host, mut whole) =
        (Samples::default(), Samples::default(), Samples::default());
    let (raw_block, block) = (raw::block(), Event::Block(rig::block(7)));
    for _ in 0..ROUNDS {
        local.block_on(async {
            let begun = Instant::now();
            for _ in 0..CALLS {
                guest.call_each(&raw_block).await;
            }
            calls.push(begun.elapsed(), CALLS);
            let begun = Instant::now();
            for _ in 0..CALLS {
                assert!(module.call(&block).await.is_empty());
            }
            host.push(begun.elapsed(), CALLS);
        });
        let (took, events) = engine.replace_blocks(BLOCKS);
        whole.push(took, events);
    }
    Row::new(
        "one event to one module, no writes, on one thread",
        "raw: wasmtime's call of the same component",
        calls,
    )
    .also("nexum-host's call", host)
    .budget(
        "engine: ring to cursor, 200 blocks, 100 modules",
        whole,
        Budget::Over(Duration::from_micros(5)),
    )
}

/// A module that writes one key for each event, under `interval` durability, in an engine.
pub(crate) fn interval_engine() -> Row {
    let local = rig::runtime(Some(1));
    let component = rig::component("noop");
    let mut guest = local.block_on(raw::Guests::new(&component, 1));
    let table = raw::Table::new(rig::folder());
    let engine = engine("slow", 1, r#"{ interval = "1s" }"#);

    let (mut bare, mut whole) = (Samples::default(), Samples::default());
    let block = raw::block();
    for round in 0..ROUNDS as u64 {
        let begun = Instant::now();
        for count in 0..BLOCKS {
            local.block_on(guest.call_each(&block));
            let value = (round * BLOCKS + count).to_le_bytes().to_vec();
            table.commit(&[("count".into(), value)], redb::Durability::None);
        }
        bare.push(begun.elapsed(), BLOCKS);
        let (took, events) = engine.replace_blocks(BLOCKS);
        whole.push(took, events);
    }
    Row::new(
        "one event to one module that writes one key, interval durability, in bursts",
        "raw: wasmtime's call, and redb's commit",
        bare,
    )
    .budget(
        "engine: ring to commit, 200 blocks, 1 module",
        whole,
        Budget::PerSecond(30_000.0),
    )
}

/// An engine on one thread that has filled its feed's ring.
fn engine(fixture: &str, modules: usize, durability: &str) -> Running {
    let engine = Running::start(
        fixture,
        modules,
        durability,
        Heads::Polled,
        rig::runtime(Some(1)),
    );
    engine.mine(BLOCKS + 100);
    // The first time, the readers ask the node where the branch came from.
    engine.replace_blocks(BLOCKS);
    engine
}
