//! The budgets of the engine, each measured beside its raw limit in the same run.
//!
//! Raw limits and what is compared with them take turns, so that a busy machine slows both. Run
//! all with `cargo xtask bench`, or some by name with `cargo bench -p nexum-engine -- <name>`. The
//! rows named `latency-*` and `burst` need anvil.

#![expect(clippy::unwrap_used, reason = "a bench that cannot go on has failed")]

mod burst;
mod calls;
mod commits;
mod fanout;
mod latency;
mod memory;
mod place;
mod probes;
mod raw;
mod report;
mod rig;
mod start;

use std::fmt::Display;

type Measure = fn() -> Box<dyn Display>;

/// A name to choose each by, and what measures it.
const ROWS: [(&str, Measure); 12] = [
    ("call", || Box::new(calls::without_writes())),
    ("durable-commit", || Box::new(commits::durable())),
    ("interval-store", || Box::new(commits::interval())),
    ("interval-engine", || Box::new(calls::interval_engine())),
    ("fanout", || {
        Box::new(fanout::one_block_to_a_thousand_modules())
    }),
    ("memory", || Box::new(memory::of_a_further_module())),
    ("start", || Box::new(start::of_a_hundred_modules())),
    ("burst", || Box::new(burst::of_a_thousand_blocks())),
    ("latency-ws", || Box::new(latency::announced())),
    ("latency-http", || Box::new(latency::polled())),
    ("health", || Box::new(probes::beside_busy_modules())),
    ("busy", || Box::new(probes::blocks_beside_busy_modules())),
];

fn main() {
    if memory::as_child() {
        return;
    }
    // Cargo adds flags of its own.
    let filter = std::env::args().skip(1).find(|arg| !arg.starts_with('-'));
    let chosen = |name: &str| {
        filter
            .as_ref()
            .is_none_or(|filter| name.contains(&**filter))
    };
    for (name, measure) in ROWS {
        if chosen(name) {
            println!("\n{name}: {}", measure());
        }
    }
}
