//! The project's own chores. Each command does all of its own set-up, inside the project's
//! target folder, on a machine that has rustup's Rust and a C compiler.

mod bench;
mod chromium;
mod demo;
mod process;
mod promtool;
mod test;
mod tools;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// The project's own chores.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Build everything and show a module following a chain, for a short while.
    Demo(demo::Args),
    /// Check the format, lint, build the docs and run every test.
    Test(test::Args),
    /// Run the benches, each beside its raw limit.
    Bench(bench::Args),
}

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Demo(args) => demo::run(&args),
        Command::Test(args) => test::run(&args),
        Command::Bench(args) => bench::run(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("xtask: {failure}");
            ExitCode::FAILURE
        }
    }
}

/// What went wrong, for a person to read.
type Failure = String;
