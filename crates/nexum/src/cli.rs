//! The command line.

use std::path::PathBuf;

use clap::{ArgGroup, Args, Parser, Subcommand};
use nexum_identity::{DEFAULT_PATH, WriteCost};
use nexum_manifest::Sha256;
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
    /// See modules and work on them, while the engine runs.
    #[command(subcommand)]
    Module(ModuleCommand),
    /// Look at the state of modules, copy it, put it back, remove it.
    #[command(subcommand)]
    State(StateCommand),
    /// See the transactions that were signed for modules, and what has become of them.
    #[command(subcommand)]
    Transaction(TransactionCommand),
    /// Make keystores for modules to sign with, and check them.
    #[command(subcommand)]
    Keystore(KeystoreCommand),
    /// Ask the running engine how it is.
    ///
    /// Exits with 1 where a module is dead or stands still.
    Health(AskArgs),
    /// Watch the running engine's modules and chains, live, in the terminal.
    ///
    /// `q`, Esc or Ctrl-C ends it; the arrow keys move the list of modules.
    Top {
        #[command(flatten)]
        config: ConfigFile,
        /// The state directory, instead of the one that the engine's file names.
        #[arg(long, value_name = "DIR", conflicts_with = "path")]
        state_dir: Option<PathBuf>,
    },
    /// Have the running engine read the credentials for servers outside anew.
    ///
    /// Reads `[[http.credentials]]` of the engine's file, and the variables and files that it names:
    /// requests that leave from then on get them. All else of the file stays as it was at the start.
    /// SIGHUP does the same. Where the file has a problem, nothing changes. A variable keeps the
    /// value that the engine was started with; a file is read anew.
    ReloadCredentials(AskArgs),
    /// Show or change how much the running engine logs, until it ends.
    LogLevel(LogLevelArgs),
    /// Print what a shell needs to complete the commands of `nexum`.
    ///
    /// For bash, for instance: `nexum completions bash > ~/.local/share/bash-completion/completions/nexum`.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Write the manual pages of `nexum` and its commands into a folder.
    Man {
        /// The folder, which has to be there.
        folder: PathBuf,
    },
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
    /// List the modules of the running engine.
    List(AskArgs),
    /// Load a bundle into the running engine, now and at each further start.
    ///
    /// The bundle is copied into the state directory: its own folder may go. Everything is checked
    /// before anything runs. A module that is in the engine's file is not loaded but upgraded.
    Load(LoadArgs),
    /// End a module after its call in flight. Its state stays.
    ///
    /// One that was loaded at run time is forgotten; one in the engine's file is back at the next
    /// start. Without an engine, forgets a module that was loaded.
    Unload(NameArgs),
    /// Give a module a fresh instance, whatever it was doing: also where it is dead.
    Restart(NameArgs),
    /// Put a new version of a module in the place of the running one, on the same state.
    ///
    /// The call in flight ends first; then the new version's `init` runs. Where that fails, the old
    /// version goes on. A version that asks for more than the running one has is refused with what
    /// it asks for and a token that accepts just that.
    Upgrade(UpgradeArgs),
    /// Show what modules have logged of late, and what the engine has logged of them.
    ///
    /// These are the last lines that the running engine remembers, at the levels of its log.
    Logs(LogsArgs),
    /// See, retry or drop the events that a module has failed too often.
    DeadLetters(LettersArgs),
    /// Let a module go on with a chain from a block of your choice, with or without a running
    /// engine.
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
    /// Show a module's cursors and entries, with or without a running engine.
    ///
    /// Reads only: without an engine the file stays as it is, even where an engine would repair it.
    Inspect(InspectArgs),
    /// Copy a module's state into a file, as it is at one moment, with or without a running engine.
    Backup(BackupArgs),
    /// Put a copy back in the place of a module's state, while no engine runs on the state
    /// directory.
    Restore(RestoreArgs),
    /// Remove a module's state for good. A running module has to be unloaded first.
    Purge(PurgeArgs),
}

#[derive(Debug, Subcommand)]
pub(crate) enum TransactionCommand {
    /// List them, oldest first, with or without a running engine.
    ///
    /// One is kept until its fate is final, its call is committed and a day has passed.
    List(ListTransactionsArgs),
    /// Show one, with all that is known of it.
    Show(ShowTransactionArgs),
}

#[derive(Debug, Args)]
pub(crate) struct ListTransactionsArgs {
    /// Only those of the module that runs under this name.
    #[arg(long, value_name = "NAME")]
    pub(crate) module: Option<ModuleName>,
    /// Only those that are to land yet.
    #[arg(long)]
    pub(crate) pending: bool,
    #[command(flatten)]
    pub(crate) at: Where,
}

#[derive(Debug, Args)]
pub(crate) struct ShowTransactionArgs {
    /// Its hash, or its number.
    #[arg(value_name = "HASH")]
    pub(crate) which: String,
    #[command(flatten)]
    pub(crate) at: Where,
}

#[derive(Debug, Subcommand)]
pub(crate) enum KeystoreCommand {
    /// Make a new key, and write its keystore.
    ///
    /// Prints the account and the file. Nothing that is there is overwritten.
    New(NewKeyArgs),
    /// Write the keystore of a key that you have.
    ///
    /// The key is never an argument, where others could see it: it comes from a file, or from
    /// standard input; a terminal is asked for it, and shows nothing of it. It is 64 hex digits, or
    /// with `--mnemonic` the English words of BIP-39.
    Import(ImportArgs),
    /// List the keystores of the folder. Asks for no password.
    List(KeyFolderArgs),
    /// Tell whether a password opens the keystores of the folder.
    ///
    /// Exits with 3 where it does not open one of them.
    Verify(VerifyArgs),
}

/// The folder of keystores.
#[derive(Debug, Args)]
pub(crate) struct KeyFolderArgs {
    #[command(flatten)]
    pub(crate) config: ConfigFile,
    /// The folder of keystores, instead of the one that the engine's file names.
    #[arg(long, value_name = "DIR", conflicts_with = "path")]
    pub(crate) keystore: Option<PathBuf>,
    /// Print JSON instead of text.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Where a password comes from. Without either, it is asked for on the terminal.
#[derive(Debug, Args)]
pub(crate) struct PasswordArgs {
    /// The file that has the password. A newline at its end does not count.
    #[arg(long, value_name = "FILE", conflicts_with = "password_env")]
    pub(crate) password_file: Option<PathBuf>,
    /// The environment variable that has the password. Without either, it is asked for on the
    /// terminal.
    #[arg(long, value_name = "NAME")]
    pub(crate) password_env: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct NewKeyArgs {
    #[command(flatten)]
    pub(crate) folder: KeyFolderArgs,
    /// The name of the file. Without it, the account and `.json`.
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,
    #[command(flatten)]
    pub(crate) password: PasswordArgs,
    /// Make it cheap to open, in time and memory, and as cheap to guess the password of.
    #[arg(long)]
    pub(crate) light: bool,
}

impl NewKeyArgs {
    pub(crate) fn cost(&self) -> WriteCost {
        match self.light {
            true => WriteCost::Light,
            false => WriteCost::Standard,
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// The file that has the key, or `-` for standard input.
    #[arg(
        long,
        value_name = "FILE",
        default_value = "-",
        hide_default_value = true
    )]
    pub(crate) from: Option<PathBuf>,
    /// What is given are the words of a mnemonic.
    #[arg(long)]
    pub(crate) mnemonic: bool,
    /// Which key of the mnemonic (BIP-32).
    #[arg(long, value_name = "PATH", requires = "mnemonic", default_value = DEFAULT_PATH)]
    pub(crate) derivation_path: String,
    /// The file whose first line is the mnemonic's passphrase, where it has one.
    #[arg(long, value_name = "FILE", requires = "mnemonic")]
    pub(crate) passphrase_file: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) new: NewKeyArgs,
}

#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// The accounts, or the names of the files. Without any, all of the folder.
    pub(crate) which: Vec<String>,
    #[command(flatten)]
    pub(crate) folder: KeyFolderArgs,
    #[command(flatten)]
    pub(crate) password: PasswordArgs,
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

/// Where the state directory is.
#[derive(Debug, Args)]
pub(crate) struct Where {
    #[command(flatten)]
    pub(crate) config: ConfigFile,
    /// The state directory, instead of the one that the engine's file names.
    #[arg(long, value_name = "DIR", conflicts_with = "path")]
    pub(crate) state_dir: Option<PathBuf>,
    /// Print JSON instead of text.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct AskArgs {
    #[command(flatten)]
    pub(crate) at: Where,
}

#[derive(Debug, Args)]
pub(crate) struct NameArgs {
    /// The name that the module runs under.
    pub(crate) module: ModuleName,
    #[command(flatten)]
    pub(crate) at: Where,
}

#[derive(Debug, Args)]
pub(crate) struct LogsArgs {
    /// The name that the module runs under. Without it, everything that is logged.
    pub(crate) module: Option<ModuleName>,
    /// Go on with the lines as they come, until Ctrl-C or the end of the engine.
    #[arg(short = 'f', long)]
    pub(crate) follow: bool,
    /// How many of the last lines to begin with.
    #[arg(short = 'n', long, value_name = "N", default_value_t = 100)]
    pub(crate) lines: u64,
    #[command(flatten)]
    pub(crate) at: Where,
}

#[derive(Debug, Args)]
pub(crate) struct LogLevelArgs {
    /// The levels from now on, as `[engine.log].level` takes them: `debug`, or
    /// `info,nexum_chain=debug`. Without them, they are shown.
    pub(crate) levels: Option<String>,
    #[command(flatten)]
    pub(crate) at: Where,
}

#[derive(Debug, Args)]
pub(crate) struct LoadArgs {
    /// The bundle's folder, with `nexum.toml` and `module.wasm`.
    pub(crate) bundle: PathBuf,
    /// The name to run the module under, if not its manifest's.
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<ModuleName>,
    /// A value laid over the manifest's `[config]`, as in TOML: `threshold=2500`, `'name="x"'`.
    /// Can be given several times.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
    /// The digest that the component's bytes must have, now and at each further start: `sha256:`
    /// and the 64 hex digits that `sha256sum module.wasm` prints.
    #[arg(long, value_name = "DIGEST")]
    pub(crate) digest: Option<Sha256>,
    #[command(flatten)]
    pub(crate) at: Where,
}

#[derive(Debug, Args)]
pub(crate) struct UpgradeArgs {
    /// The name that the module runs under.
    pub(crate) module: ModuleName,
    /// The new version's bundle, for a module that was loaded at run time. One in the engine's
    /// file is read anew from its bundle there.
    pub(crate) bundle: Option<PathBuf>,
    /// Accept what the new version asks for beyond the running one: the token that the refusal
    /// has told.
    #[arg(long, value_name = "TOKEN")]
    pub(crate) accept: Option<String>,
    /// The digest that the new component's bytes must have, as with `load`; with `<BUNDLE>` only.
    #[arg(long, value_name = "DIGEST")]
    pub(crate) digest: Option<Sha256>,
    #[command(flatten)]
    pub(crate) at: Where,
}

#[derive(Debug, Args)]
pub(crate) struct LettersArgs {
    /// The name that the module runs under.
    pub(crate) module: ModuleName,
    #[command(subcommand)]
    pub(crate) command: LettersCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum LettersCommand {
    /// List them.
    List(AskArgs),
    /// Show one, with its event.
    Show {
        /// Its number.
        id: u64,
        #[command(flatten)]
        ask: AskArgs,
    },
    /// Give their events once more. Without an engine: at the next start.
    Retry(ChosenArgs),
    /// Drop them for good.
    Drop(ChosenArgs),
}

#[derive(Debug, Args)]
#[command(group(ArgGroup::new("which").required(true).args(["ids", "all"])))]
pub(crate) struct ChosenArgs {
    /// Their numbers.
    pub(crate) ids: Vec<u64>,
    /// All of them.
    #[arg(long)]
    pub(crate) all: bool,
    #[command(flatten)]
    pub(crate) at: Where,
}

#[derive(Debug, Args)]
pub(crate) struct BackupArgs {
    /// The name that the module runs under.
    pub(crate) module: ModuleName,
    /// The file to make. It must not be there yet.
    #[arg(long, value_name = "FILE")]
    pub(crate) to: PathBuf,
    #[command(flatten)]
    pub(crate) at: Where,
}

#[derive(Debug, Args)]
pub(crate) struct RestoreArgs {
    /// The name that the module runs under.
    pub(crate) module: ModuleName,
    /// The copy that `nexum state backup` has made.
    #[arg(long, value_name = "FILE")]
    pub(crate) from: PathBuf,
    #[command(flatten)]
    pub(crate) at: Where,
    /// Replace the state that there is.
    #[arg(long)]
    pub(crate) yes: bool,
}

#[derive(Debug, Args)]
pub(crate) struct PurgeArgs {
    /// The name that the module runs under.
    pub(crate) module: ModuleName,
    #[command(flatten)]
    pub(crate) at: Where,
    /// Do it, and not only say what would be done.
    #[arg(long)]
    pub(crate) yes: bool,
}

#[derive(Debug, Args)]
pub(crate) struct InspectArgs {
    /// The name that the module runs under.
    pub(crate) module: ModuleName,
    #[command(flatten)]
    pub(crate) at: Where,
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
    pub(crate) limit: u64,
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
    #[arg(long = "at", value_name = "BLOCK")]
    pub(crate) block: u64,
    #[command(flatten)]
    pub(crate) at: Where,
    /// Do it, and not only show it.
    #[arg(long)]
    pub(crate) yes: bool,
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
