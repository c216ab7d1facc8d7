//! The budgets of the engine, each measured beside its raw limit in the same run.
//!
//! Raw limits and what is compared with them take turns, so that a busy machine slows both. Run
//! all with `cargo xtask bench`, or some by name with `cargo bench -p nexum-engine -- <name>`.

#![expect(clippy::unwrap_used, reason = "a bench that cannot go on has failed")]

mod calls;
mod commits;
mod fanout;
mod raw;
mod report;
mod rig;

use report::Row;

type Measure = fn() -> Row;

/// A name to choose each by, and what measures it.
const ROWS: [(&str, Measure); 5] = [
    ("call", calls::without_writes),
    ("durable-commit", commits::durable),
    ("interval-store", commits::interval),
    ("interval-engine", calls::interval_engine),
    ("fanout", fanout::one_block_to_a_thousand_modules),
];

fn main() {
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
