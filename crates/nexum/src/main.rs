//! `nexum`: the operator's binary. It parses the command line, shows results to people and
//! programs, and turns errors into exit codes; what it does stands in the crates below it.

mod backup;
mod check;
mod cli;
mod client;
mod credentials;
mod exit;
mod inspect;
mod keystore;
mod letters;
mod logging;
mod logs;
mod modules;
mod output;
mod pages;
mod place;
mod prompt;
mod resync;
mod run;
mod table;
mod top;
mod transactions;

use std::process::ExitCode;

use clap::Parser as _;

use crate::{
    cli::{
        Cli, Command, ConfigCommand, LettersCommand, ModuleCommand, StateCommand,
        TransactionCommand,
    },
    exit::Failure,
};

fn main() -> ExitCode {
    let cli = Cli::parse();
    exit::set_up_reports();
    let done = match &cli.command {
        Command::Run { config } => run::run(config),
        Command::Config(ConfigCommand::Check { config, json }) => check::check(config, *json),
        Command::Transaction(command) => {
            let json = match command {
                TransactionCommand::List(args) => args.at.json,
                TransactionCommand::Show(args) => args.at.json,
            };
            asked(json, transactions::transactions(command))
        }
        Command::Keystore(command) => keystore::keystore(command),
        Command::Completions { shell } => pages::completions(*shell),
        Command::Man { folder } => pages::manual(folder),
        Command::Top { config, state_dir } => asked(false, top::top(config, state_dir.as_deref())),
        Command::ReloadCredentials(args) => asked(args.at.json, credentials::reload(args)),
        Command::LogLevel(args) => asked(args.at.json, logs::level(args)),
        Command::Health(args) => asked(args.at.json, modules::health(args)),
        Command::Module(command) => module(command),
        Command::State(command) => match command {
            StateCommand::Inspect(args) => asked(args.at.json, inspect::inspect(args)),
            StateCommand::Backup(args) => asked(args.at.json, backup::backup(args)),
            StateCommand::Restore(args) => asked(args.at.json, backup::restore(args)),
            StateCommand::Purge(args) => asked(args.at.json, backup::purge(args)),
        },
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

fn module(command: &ModuleCommand) -> Result<(), Failure> {
    match command {
        ModuleCommand::List(args) => asked(args.at.json, modules::list(args)),
        ModuleCommand::Load(args) => asked(args.at.json, modules::load(args)),
        ModuleCommand::Unload(args) => asked(args.at.json, modules::unload(args)),
        ModuleCommand::Restart(args) => asked(args.at.json, modules::restart(args)),
        ModuleCommand::Upgrade(args) => asked(args.at.json, modules::upgrade(args)),
        ModuleCommand::Resync(args) => asked(args.at.json, resync::resync(args)),
        ModuleCommand::Logs(args) => asked(args.at.json, logs::logs(args)),
        ModuleCommand::DeadLetters(args) => {
            let json = match &args.command {
                LettersCommand::List(ask) | LettersCommand::Show { ask, .. } => ask.at.json,
                LettersCommand::Retry(chosen) | LettersCommand::Drop(chosen) => chosen.at.json,
            };
            asked(json, letters::letters(args))
        }
    }
}

/// Does what may ask a running engine. `json`: its refusal is told as JSON, too.
fn asked(json: bool, work: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::other("the async runtime could not be started", error))?;
    runtime
        .block_on(work)
        .map_err(|failure| failure.told_as_json(json))
}

/// A runtime for work that starts on this thread.
fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    nexum_engine::runtime(None)
        .map_err(|error| Failure::other("the async runtime could not be started", error))
}
