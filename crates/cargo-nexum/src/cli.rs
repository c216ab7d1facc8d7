//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::exit;

/// Makes, builds, checks and tries modules for the Nexum runtime.
#[derive(Debug, Parser)]
#[command(
    name = "cargo nexum",
    bin_name = "cargo nexum",
    version,
    arg_required_else_help = true,
    after_long_help = exit::table()
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make a new module.
    ///
    /// A folder with a package that builds, a manifest, a test and a fixture. Nothing is written
    /// where the folder exists already.
    New(NewArgs),
    /// Build the module, and put its bundle together.
    ///
    /// Builds the package in release mode for wasm32-wasip2, and writes `target/nexum/<module>`:
    /// `module.wasm`, and `nexum.toml` with the digest of that component. The manifest of the
    /// package stays as it is. The folder is what `path` of a `[[modules]]` entry of an engine
    /// names.
    Build(BuildArgs),
    /// Check the manifest, the code, and the component if it was built.
    ///
    /// All problems of `nexum.toml` are told at once, with line and remedy. Then `cargo check` runs
    /// for wasm32-wasip2. Then, if there is a bundle of the module, what its component imports is
    /// held against the manifest. Nothing is installed.
    Check(CheckArgs),
    /// Build the module and run it against a mock chain.
    ///
    /// The component runs in the real engine, with its store, its limits and its lifecycle, on
    /// chains that fixtures tell of. Each fixture has an engine and a state of its own, and is
    /// played step by step: the next step comes once the engine has handled everything before it.
    /// The exit code is 6 where an expectation is not met, or where a call fails that is not
    /// expected to. No network is used, unless with --record.
    Run(Box<RunArgs>),
}

#[derive(Debug, Args)]
pub(crate) struct NewArgs {
    /// The name of the module and of its folder: small letters, digits and `-`.
    pub(crate) name: String,
    /// What the module reacts to.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) template: Template,
    /// Print one JSON object instead of text.
    #[arg(long)]
    pub(crate) json: bool,
}

/// What a new module reacts to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Template {
    /// Each block of a chain.
    #[default]
    Block,
    /// Logs of a contract.
    Log,
    /// A schedule.
    Cron,
    /// Nothing yet.
    Empty,
}

#[derive(Debug, Args)]
pub(crate) struct Package {
    /// The package's Cargo.toml, instead of the one of this folder.
    #[arg(long, value_name = "PATH")]
    pub(crate) manifest_path: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct BuildArgs {
    #[command(flatten)]
    pub(crate) package: Package,
    /// Print one JSON object instead of text.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    #[command(flatten)]
    pub(crate) package: Package,
    /// Print one JSON object instead of text, whether or not there are problems.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) package: Package,
    /// Run against mock chains.
    ///
    /// A real chain is for the engine: `nexum run` with the bundle that `cargo nexum build` makes.
    #[arg(long, required_unless_present = "record")]
    pub(crate) mock: bool,
    /// The fixtures to play; without any, `fixtures/*.nexum` of the package, by name.
    #[arg(value_name = "FIXTURE")]
    pub(crate) fixtures: Vec<PathBuf>,
    /// What the state holds to begin with, as `nexum state inspect --limit 0 --json` prints it.
    ///
    /// The `state` lines of a fixture are laid over it.
    #[arg(long, value_name = "FILE")]
    pub(crate) state: Option<PathBuf>,
    /// Build and run again whenever a file of the module is saved, until Ctrl-C.
    #[arg(long)]
    pub(crate) watch: bool,
    /// Write a fixture from the last blocks of a live chain, and what the module asks there.
    ///
    /// The module runs in the real engine on the endpoint of --rpc. Its logs, and the answers to its
    /// `eth_call` and `eth_getBalance` are written down; numbers, hashes and times of blocks are
    /// those of the mock chain when the fixture is played.
    #[arg(long, value_name = "FILE", requires = "rpc", conflicts_with_all = ["mock", "fixtures", "state", "watch", "json"])]
    pub(crate) record: Option<PathBuf>,
    /// The HTTP endpoint to record from.
    #[arg(long, value_name = "URL", requires = "record")]
    pub(crate) rpc: Option<String>,
    /// How many blocks to record.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=10_000), requires = "record")]
    pub(crate) blocks: u64,
    /// How long the engine may take to handle one step, or all blocks that are recorded.
    #[arg(long, value_name = "DURATION", default_value = "2m", value_parser = humantime::parse_duration)]
    pub(crate) timeout: std::time::Duration,
    /// Print the engine's own log on standard error, at this level and above.
    #[arg(long, value_name = "LEVEL", value_enum)]
    pub(crate) engine_log: Option<EngineLog>,
    /// Print one JSON object for each fixture instead of text.
    #[arg(long)]
    pub(crate) json: bool,
}

/// How much of its own the engine logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum EngineLog {
    Error,
    Warn,
    Info,
    Debug,
}
