//! What the feed costs: the past against the bare `eth_getLogs` loop, what many readers add to
//! one, what modules that read the same cost the node, and how soon a block is there.
//!
//! Run with `cargo bench -p nexum-chain`, or some rows by name: `-- <name>`. The rows named
//! `latency-*` need anvil.

#![expect(clippy::unwrap_used, reason = "a bench that cannot go on has failed")]

mod latency;
mod past;
mod reads;
mod report;
mod rig;

type Measure = fn();

/// A name to choose each by, and what measures it.
const ROWS: [(&str, Measure); 6] = [
    ("sparse", past::sparse),
    ("dense", past::dense),
    ("readers", past::a_hundred_readers),
    ("reads", reads::the_same_value),
    ("latency-ws", latency::announced),
    ("latency-http", latency::polled),
];

fn main() {
    // Cargo adds flags of its own.
    let filter = std::env::args().skip(1).find(|arg| !arg.starts_with('-'));
    for (name, measure) in ROWS {
        if filter
            .as_ref()
            .is_none_or(|filter| name.contains(&**filter))
        {
            println!("\n{name}:");
            measure();
        }
    }
}
