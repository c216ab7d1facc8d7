//! `cargo nexum`: the author's cargo subcommand. It makes, builds and checks modules, and runs them
//! in the real engine against mock chains; what it does beyond that stands in the crates below it.

mod build;
mod cargo;
mod check;
mod cli;
mod exit;
mod mock;
mod new;
mod output;
mod project;
mod sources;
mod trial;

use std::{env, ffi::OsString, process::ExitCode};

use clap::Parser as _;

use crate::cli::{Cli, Command};

fn main() -> ExitCode {
    let cli = Cli::parse_from(arguments(env::args_os()));
    exit::set_up_reports();
    let (done, json) = match &cli.command {
        Command::New(args) => (new::new(args), args.json),
        Command::Build(args) => (build::build(args), args.json),
        Command::Check(args) => (check::check(args), args.json),
        Command::Run(args) => (mock::run(args), args.json),
    };
    let Err(failure) = done else {
        return ExitCode::SUCCESS;
    };
    let code = failure.code();
    match failure.report(json) {
        Ok(()) => code.into(),
        Err(unprinted) => unprinted.code().into(),
    }
}

/// Cargo calls a subcommand with its own name first.
fn arguments(given: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let mut arguments: Vec<_> = given.collect();
    if arguments.get(1).is_some_and(|first| first == "nexum") {
        arguments.remove(1);
    }
    arguments
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_called_by_cargo_and_by_hand() {
        let words = |line: &str| line.split(' ').map(OsString::from).collect::<Vec<_>>();
        let called = words("cargo-nexum nexum run --mock");
        let by_hand = words("cargo-nexum run --mock");
        assert_eq!(arguments(called.into_iter()), by_hand);
        assert_eq!(arguments(by_hand.clone().into_iter()), by_hand);
    }
}
