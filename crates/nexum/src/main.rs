//! `nexum`: the operator's binary. It parses the command line, shows results to people and
//! programs, and turns errors into exit codes; what it does stands in the crates below it.

mod check;
mod cli;
mod exit;
mod inspect;
mod logging;
mod output;
mod resync;
mod run;

use std::process::ExitCode;

use clap::Parser as _;

use crate::{
    cli::{Cli, Command, ConfigCommand, ModuleCommand, StateCommand},
    exit::Failure,
};

fn main() -> ExitCode {
    let cli = Cli::parse();
    exit::set_up_reports();
    let done = match &cli.command {
        Command::Run { config } => run::run(config),
        Command::Config(ConfigCommand::Check { config, json }) => check::check(config, *json),
        Command::Module(ModuleCommand::Resync(args)) => resync::resync(args),
        Command::State(StateCommand::Inspect(args)) => inspect::inspect(args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let code = failure.code();
            failure.report();
            code.into()
        }
    }
}

/// A runtime for work that starts on this thread.
fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::other("the async runtime could not be started", error))
}
