//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use nexum_types::{ChainId, ModuleName};

use crate::exit;

/// Runs WebAssembly modules that watch chains and act on what they see.
#[derive(Debug, Parser)]
#[command(name = "nexum", version, arg_required_else_help = true, after_long_help = exit::table())]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the engine until SIGINT or SIGTERM.
    ///
    /// Every file, component, endpoint and state is checked before any module runs, and what is
    /// wrong is told with file, line and remedy. An endpoint that does not answer is no reason to
    /// stop: it is tried again whenever it is needed.
    ///
    /// The first signal takes no more events, lets the calls in flight finish within
    /// `[engine].shutdown_grace`, commits and exits with 0. A second signal exits at once; what was
    /// committed stays, and the rest is delivered again at the next start.
    Run {
        #[command(flatten)]
        config: ConfigFile,
    },
    /// Check the engine's file and the bundles it names.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Put modules right by hand.
    #[command(subcommand)]
    Module(ModuleCommand),
    /// Look at the state of modules.
    #[command(subcommand)]
    State(StateCommand),
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Check the engine's file, every manifest and every component, and print all problems.
    ///
    /// Asks no chain, runs no module and touches no state.
    Check {
        #[command(flatten)]
        config: ConfigFile,
        /// Print one JSON object instead of text, whether or not there are problems.
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum ModuleCommand {
    /// Let a module go on with a chain from a block of your choice, while no engine runs on the
    /// state directory.
    ///
    /// The way out after a reorg that went deeper than the chain's `reorg_window`: the module
    /// stands still then, since what it was given and has left the chain is not remembered far
    /// enough back.
    ///
    /// Its cursors of the chain, at every depth, move to just before the block, and what was
    /// delivered of the chain is forgotten: no log of before is ever told as removed. The module's
    /// own entries stay as they are. Whatever they say of blocks that have left the chain is for
    /// the module, or for you, to put right.
    ///
    /// Shows what it would do, and does it with `--yes` alone.
    Resync(ResyncArgs),
}

#[derive(Debug, Subcommand)]
pub(crate) enum StateCommand {
    /// Show a module's cursors and entries while no engine runs on the state directory.
    ///
    /// Reads only: the file stays as it is, even where an engine would repair it.
    Inspect(InspectArgs),
}

#[derive(Debug, Args)]
pub(crate) struct ConfigFile {
    /// The engine's file. Relative paths in it are resolved against its own folder.
    #[arg(
        short = 'c',
        long = "config",
        value_name = "FILE",
        default_value = "nexum-engine.toml"
    )]
    pub(crate) path: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct InspectArgs {
    /// The name that the module runs under.
    pub(crate) module: ModuleName,
    #[command(flatten)]
    pub(crate) config: ConfigFile,
    /// The state directory, instead of the one that the engine's file names.
    #[arg(long, value_name = "DIR", conflicts_with = "path")]
    pub(crate) state_dir: Option<PathBuf>,
    /// Show only keys that begin with this.
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true
    )]
    pub(crate) prefix: String,
    /// Show at most this many entries; 0 shows all.
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub(crate) limit: usize,
    /// Print one JSON object instead of text; values are hex.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ResyncArgs {
    /// The name that the module runs under.
    pub(crate) module: ModuleName,
    /// The chain.
    #[arg(long, value_name = "ID", value_parser = chain_id)]
    pub(crate) chain: ChainId,
    /// The block that the module gets next. A block below the fork delivers again what is between,
    /// one above leaves it out.
    #[arg(long, value_name = "BLOCK")]
    pub(crate) at: u64,
    #[command(flatten)]
    pub(crate) config: ConfigFile,
    /// The state directory, instead of the one that the engine's file names.
    #[arg(long, value_name = "DIR", conflicts_with = "path")]
    pub(crate) state_dir: Option<PathBuf>,
    /// Do it, and not only show it.
    #[arg(long)]
    pub(crate) yes: bool,
    /// Print one JSON object instead of text.
    #[arg(long)]
    pub(crate) json: bool,
}

fn chain_id(text: &str) -> Result<ChainId, std::num::ParseIntError> {
    text.parse().map(ChainId)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
