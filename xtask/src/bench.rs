//! `cargo xtask bench`: every bench, each beside its raw limit in the same run.

use crate::{
    Failure,
    process::{cargo, execute},
    tools,
};

/// The rows that measure from a block on a real node.
const ON_ANVIL: [&str; 3] = ["latency-ws", "latency-http", "burst"];

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Run only the benches whose names contain this.
    filter: Option<String>,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    tools::ensure_guest_target()?;
    let mut bench = cargo();
    let filter = args.filter.as_deref();
    if filter.is_none_or(|filter| ON_ANVIL.iter().any(|row| row.contains(filter))) {
        bench.env("NEXUM_ANVIL", tools::ensure_anvil()?);
    }
    execute(
        bench
            // Every target that is a bench; `--benches` would also run the unit tests' harness.
            .args(["bench", "--workspace", "--bench", "*", "--locked", "--"])
            .args(args.filter.as_slice()),
    )
}
