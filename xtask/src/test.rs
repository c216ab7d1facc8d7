//! `cargo xtask test`: all that must hold, from the format to the last test.

use std::process::Command;

use crate::{
    Failure, chromium,
    process::{cargo, execute, root, target_dir},
    promtool, tools,
};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Run only the tests whose names contain this, and none of the other checks.
    filter: Option<String>,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    tools::ensure_guest_target()?;
    let anvil = tools::ensure_anvil()?;
    let cast = tools::ensure_cast()?;
    let promtool = promtool::ensure_promtool()?;
    let chromium = chromium::ensure_chromium()?;
    if args.filter.is_none() {
        checks()?;
        execute(guests("test").args(["--workspace", "--exclude", "nexum-fixtures", "--locked"]))?;
    }
    execute(
        cargo()
            .args(["test", "--workspace", "--locked", "--no-fail-fast", "--"])
            .args(args.filter.as_slice())
            .env("NEXUM_ANVIL", anvil)
            .env("NEXUM_CAST", cast)
            .env("NEXUM_PROMTOOL", promtool)
            .env("NEXUM_CHROMIUM", chromium),
    )
}

fn checks() -> Result<(), Failure> {
    const DENIED: [&str; 3] = ["--", "-D", "warnings"];
    execute(cargo().args(["fmt", "--all", "--check"]))?;
    execute(guests("fmt").args(["--all", "--check"]))?;
    execute(
        cargo()
            .args(["clippy", "--workspace", "--all-targets", "--locked"])
            .args(DENIED),
    )?;
    execute(
        guests("clippy")
            .args(["--workspace", "--lib", "--examples", "--locked"])
            .args(["--target", tools::GUEST_TARGET])
            .args(DENIED),
    )?;
    execute(
        cargo()
            .args(["doc", "--workspace", "--no-deps", "--locked"])
            .env("RUSTDOCFLAGS", "-D warnings"),
    )
}

/// A cargo command on the guests' workspace.
fn guests(command: &str) -> Command {
    let mut cargo = cargo();
    cargo
        .current_dir(root().join("modules"))
        .arg(command)
        .env("CARGO_TARGET_DIR", target_dir().join("guests"));
    cargo
}
