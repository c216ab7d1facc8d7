//! One block to very many modules.

use std::time::{Duration, Instant};

use crate::{
    raw,
    report::{Budget, Row, Samples},
    rig::{self, Heads, Running},
};

const MODULES: usize = 1_000;
const BLOCKS: usize = 50;

/// One block, announced over WebSocket, to 1,000 modules.
pub(crate) fn one_block_to_a_thousand_modules() -> Row {
    let local = rig::runtime(Some(1));
    let mut guests = local.block_on(raw::Guests::new(&rig::component("noop"), MODULES));
    let begun = Instant::now();
    let engine = Running::start(
        "noop",
        MODULES,
        r#""event""#,
        Heads::Announced,
        rig::runtime(None),
    );
    println!(
        "\n{MODULES} modules have started in {:.2?}",
        begun.elapsed()
    );

    let (mut bare, mut from_first, mut whole) =
        (Samples::default(), Samples::default(), Samples::default());
    let block = raw::block();
    for _ in 0..BLOCKS {
        bare.time(|| local.block_on(guests.call_each(&block)));

        let before = engine.delivered();
        let mined = Instant::now();
        engine.chain().mine(1);
        engine.wait_for(before + 1);
        let first = Instant::now();
        engine.wait_for(before + MODULES as u64);
        whole.push(mined.elapsed(), 1);
        from_first.push(first.elapsed(), 1);
    }
    Row::new(
        "one block to 1,000 modules, no writes, last one done",
        "raw: 1,000 calls of wasmtime, on one thread",
        bare,
    )
    .also("engine: from the first module done", from_first)
    .budget(
        "engine: from the block on the node",
        whole,
        Budget::Within(Duration::from_millis(20)),
    )
}
