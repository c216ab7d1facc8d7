//! `cargo xtask bench`: every bench, each beside its raw limit in the same run.

use crate::{
    Failure,
    process::{cargo, execute},
    tools,
};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Run only the benches whose names contain this.
    filter: Option<String>,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    tools::ensure_guest_target()?;
    // The rows named `latency-*` measure from a block on a real node.
    let anvil = tools::ensure_anvil()?;
    execute(
        cargo()
            .env("NEXUM_ANVIL", anvil)
            // Every target that is a bench; `--benches` would also run the unit tests' harness.
            .args(["bench", "--workspace", "--bench", "*", "--locked", "--"])
            .args(args.filter.as_slice()),
    )
}
