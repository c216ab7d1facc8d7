//! What the admin API says, in JSON: shared by the engine that answers and by `nexum`, which asks.
//!
//! Every answer that is not an error is the object named with its route in
//! `docs/reference/admin-api.md`; an error is a [`Fault`].

mod transactions;

use nexum_chain::EndpointStats;
use nexum_manifest::Problem;
use nexum_store::DeadLetter;
use nexum_types::{Cursor, Event, Source};
use serde::{Deserialize, Serialize};

pub use self::transactions::TransactionReport;
pub use crate::{difference::Widening, logbook::LogLine};
use crate::{modules::Origin, observe::ChainLook, status::ModuleStatus};

/// The socket's name in the `state_dir`.
pub const SOCKET: &str = "admin.sock";

/// How the engine is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EngineReport {
    /// Its version.
    pub version: String,
    /// Its process.
    pub pid: u32,
    /// How long it has run, in milliseconds.
    pub uptime_ms: u64,
    /// The modules.
    pub modules: Vec<ModuleReport>,
    /// The chains.
    pub chains: Vec<ChainReport>,
}

/// How one module is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModuleReport {
    /// The name that it runs under.
    pub name: String,
    /// The author's version of it.
    pub version: String,
    /// `configured` or `loaded`.
    pub origin: Origin,
    /// The sha256 of its component's bytes, in hex.
    pub digest: String,
    /// `init`, `run`, `backoff`, `park`, `dead` or `stopped`.
    pub phase: String,
    /// Events handled and committed since the engine started.
    pub delivered: u64,
    /// Calls that failed since then, `init` included.
    pub failed: u64,
    /// Events parked since then.
    pub parked: u64,
    /// The dead letters that there are.
    pub dead_letters: u64,
    /// Blocks passed over since then, by `on_lag = "skip"`.
    pub skipped: u64,
    /// All keys and values of its state, in bytes; none while it is not open.
    pub state_bytes: Option<u64>,
    /// How far it has come in each of its sources.
    pub cursors: Vec<CursorReport>,
    /// Why a source of events stands still, if one does.
    pub stalled: Option<String>,
    /// The last failure.
    pub last_error: Option<String>,
}

/// How far a module has come in one source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CursorReport {
    /// The chain; none for a schedule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chain_id: Option<u64>,
    /// At which depth of the chain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub depth: Option<String>,
    /// The schedule's id; none for a chain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<String>,
    /// `after`, `within` or `before` the block, or `after` or `within` the tick.
    pub position: String,
    /// The block's number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub block: Option<u64>,
    /// The block's hash, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash: Option<String>,
    /// When the tick was due, in milliseconds since the Unix epoch, UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fired_at_ms: Option<u64>,
}

impl CursorReport {
    /// What a cursor says.
    #[must_use]
    pub fn new(source: &Source, cursor: &Cursor) -> Self {
        let (chain_id, depth, schedule) = places(source);
        let (position, block, hash, fired_at_ms) = match cursor {
            Cursor::Block(block) => ("after", Some(block.number), Some(block.hash), None),
            Cursor::Part { block, .. } => ("within", Some(block.number), Some(block.hash), None),
            Cursor::Before(number) => ("before", Some(*number), None, None),
            Cursor::Tick(at_ms) => ("after", None, None, Some(*at_ms)),
            Cursor::Begun { begun_ms, .. } => ("within", None, None, Some(*begun_ms)),
        };
        Self {
            chain_id,
            depth,
            schedule,
            position: position.to_owned(),
            block: block.map(|number| number.0),
            hash: hash.map(|hash| hash.to_string()),
            fired_at_ms,
        }
    }
}

/// A source as reports name it: a chain and a depth of it, or a schedule.
fn places(source: &Source) -> (Option<u64>, Option<String>, Option<String>) {
    match source {
        Source::Chain(chain, depth) => (Some(chain.0), Some(depth.to_string()), None),
        Source::Schedule(schedule) => (None, None, Some(schedule.to_string())),
    }
}

/// How one chain is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainReport {
    /// Its id.
    pub chain_id: u64,
    /// The best head known; none until the first, and where no module follows the chain.
    pub head: Option<u64>,
    /// Its endpoints, most preferred first.
    pub endpoints: Vec<EndpointReport>,
}

/// How one endpoint is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndpointReport {
    /// Scheme, host and port, and a number where that is not enough to tell two apart.
    pub endpoint: String,
    /// `well`, `lagging`, `open`, `half-open` or `wrong-chain`.
    pub state: String,
    /// The last head that it told.
    pub head: Option<u64>,
    /// How many blocks it was behind the best.
    pub lag: u64,
    /// Messages sent to it.
    pub requests: u64,
    /// Those that failed.
    pub errors: u64,
}

impl ChainReport {
    pub(crate) fn new(look: &ChainLook) -> Self {
        let ChainLook {
            stats,
            endpoints: names,
            feed,
        } = look;
        let head = feed.as_ref().and_then(|feed| feed.head);
        let endpoints = stats.endpoints.iter().zip(names);
        Self {
            chain_id: stats.chain.0,
            head: head.map(|head| head.number.0),
            endpoints: endpoints
                .map(|(endpoint, name)| EndpointReport::new(endpoint, name))
                .collect(),
        }
    }
}

impl EndpointReport {
    fn new(stats: &EndpointStats, name: &str) -> Self {
        Self {
            endpoint: name.to_owned(),
            state: stats.state.as_str().to_owned(),
            head: stats.head.map(|head| head.0),
            lag: stats.lag,
            requests: stats.requests,
            errors: stats.unanswered,
        }
    }
}

impl ModuleReport {
    pub(crate) fn new(
        status: ModuleStatus,
        (version, digest): (String, String),
        origin: Origin,
        state_bytes: Option<u64>,
    ) -> Self {
        let cursors = status.cursors.iter();
        Self {
            name: status.name.to_string(),
            version,
            origin,
            digest,
            phase: status.phase.as_str().to_owned(),
            delivered: status.delivered,
            failed: status.failed,
            parked: status.parked,
            dead_letters: status.letters as u64,
            skipped: status.skipped,
            state_bytes,
            cursors: cursors
                .map(|(source, cursor)| CursorReport::new(source, cursor))
                .collect(),
            stalled: status.stalled,
            last_error: status.last_error,
        }
    }
}

/// A module to load.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Load {
    /// The bundle's folder, absolute.
    pub path: String,
    /// The name to run under, if not the manifest's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Values laid over the manifest's `[config]`.
    #[serde(default, skip_serializing_if = "toml::Table::is_empty")]
    pub config: toml::Table,
    /// The digest that the component's bytes must have: `sha256:` and 64 hex digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
}

/// A module that was unloaded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unload {
    /// Whether the engine's file brings it back at the next start.
    pub comes_back: bool,
    /// Whether its call in flight was cut off.
    pub cut_off: bool,
}

/// Another version of a module.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Upgrade {
    /// The bundle's folder, absolute; only for a module that was loaded at run time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The token that accepts what the new version asks for beyond the running one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accept: Option<String>,
    /// The digest that the new component's bytes must have: `sha256:` and 64 hex digits. Only with
    /// a path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
}

/// Which dead letters are meant.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Letters {
    /// Their numbers.
    #[serde(default)]
    pub ids: Vec<u64>,
    /// All of them, and no numbers.
    #[serde(default)]
    pub all: bool,
}

/// How many dead letters it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ordered {
    /// So many.
    pub letters: u64,
}

/// What was read anew.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credentials {
    /// The credentials for servers outside that there are now.
    pub credentials: u64,
}

/// One dead letter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LetterReport {
    /// Its number.
    pub id: u64,
    /// The chain that it came from; none for a tick.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chain_id: Option<u64>,
    /// At which depth of the chain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub depth: Option<String>,
    /// `block`, `logs` or `tick`.
    pub kind: String,
    /// Its block's number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub block: Option<u64>,
    /// Its block's hash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash: Option<String>,
    /// The schedule of a tick, as the manifest writes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<String>,
    /// When the tick was due, in milliseconds since the Unix epoch, UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fired_at_ms: Option<u64>,
    /// How many logs it has.
    pub logs: u64,
    /// Whether they are told as removed.
    pub removed: bool,
    /// How often it has failed.
    pub attempts: u32,
    /// When it was parked, or failed again, in milliseconds since the Unix epoch, UTC.
    pub time_ms: u64,
    /// Whether it is to be given once more.
    pub retry: bool,
    /// How its last attempt ended.
    pub error: String,
    /// The event itself, where one letter was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<serde_json::Value>,
}

impl LetterReport {
    /// What a letter says; `whole`: with its event.
    #[must_use]
    pub fn new(id: u64, letter: &DeadLetter, whole: bool) -> Self {
        let (chain_id, depth, _) = places(&letter.source);
        let (kind, logs, removed) = match &letter.event {
            Event::Block(_) => ("block", 0, false),
            Event::Logs(logs) => ("logs", logs.len(), logs.iter().any(|log| log.removed)),
            Event::Tick(_) => ("tick", 0, false),
        };
        let tick = match &letter.event {
            Event::Tick(tick) => Some(tick),
            Event::Block(_) | Event::Logs(_) => None,
        };
        let block = letter.event.block_ref();
        Self {
            id,
            chain_id,
            depth,
            kind: kind.to_owned(),
            block: block.map(|block| block.number.0),
            hash: block.map(|block| block.hash.to_string()),
            schedule: tick.map(|tick| tick.schedule.clone()),
            fired_at_ms: tick.map(|tick| tick.fired_at_ms),
            logs: logs as u64,
            removed,
            attempts: letter.attempts,
            time_ms: letter.time_ms,
            retry: letter.retry,
            error: letter.error.clone(),
            event: whole.then(|| serde_json::to_value(&letter.event).unwrap_or_default()),
        }
    }
}

/// Where a module is to go on with a chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resync {
    /// The chain.
    pub chain_id: u64,
    /// The block that the module gets next.
    pub at: u64,
    /// Do it, and not only say what would be done.
    #[serde(default)]
    pub confirm: bool,
}

/// Where the cursors of a chain were, and what else goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resynced {
    /// Each of them.
    pub before: Vec<CursorReport>,
    /// The dead letters that go: those of the block and after it.
    pub dead_letters: u64,
    /// Whether that has been done.
    pub done: bool,
}

/// Which entries of a state are asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StateQuery {
    /// Those whose keys begin with this.
    #[serde(default)]
    pub prefix: String,
    /// Those whose keys come after this.
    #[serde(default)]
    pub after: Option<String>,
    /// At most so many; 0 for as many as fit into an answer.
    #[serde(default)]
    pub limit: u64,
}

/// A state, or a part of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateReport {
    /// The module.
    pub module: String,
    /// The file.
    pub file: String,
    /// The version of the file's format.
    pub format_version: u32,
    /// All keys and values, in bytes.
    pub used_bytes: u64,
    /// How far the module has come.
    pub cursors: Vec<CursorReport>,
    /// The entries, by key.
    pub entries: Vec<EntryReport>,
    /// Entries that match and are not here.
    pub more: u64,
}

/// One entry of a state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntryReport {
    /// Its key.
    pub key: String,
    /// Its value: `0x` and hex digits.
    pub value: String,
}

/// How much is logged, as `[engine.log].level` says it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogLevels {
    /// A level, or a list with levels of single parts.
    pub levels: String,
}

/// The confirmation that a state is to be removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Purge {
    /// The module's name, once more.
    pub confirm: String,
}

/// It is done, and there is nothing to say of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {}

/// Why something was not done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// What kind of failure it is: see [`FaultKind`].
    pub code: FaultKind,
    /// What is wrong, and what to do.
    pub message: String,
    /// Each problem of the files, where files are refused.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<serde_json::Value>,
    /// What a new version asks for beyond the running one, where that is the reason.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub difference: Vec<Widening>,
    /// The token that accepts the difference.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
}

impl Fault {
    pub(crate) fn new(code: FaultKind, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            problems: Vec::new(),
            difference: Vec::new(),
            token: None,
        }
    }

    pub(crate) fn with_problems<'a>(self, problems: impl Iterator<Item = &'a Problem>) -> Self {
        let problems = problems.map(|problem| serde_json::to_value(problem).unwrap_or_default());
        Self {
            problems: problems.collect(),
            ..self
        }
    }
}

/// The kinds of failure, and the HTTP status of each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FaultKind {
    /// 400: the request is no JSON of the right shape, or says something that cannot be.
    BadRequest,
    /// 404: there is no such route, module or dead letter.
    NotFound,
    /// 405: the route has no such method.
    MethodNotAllowed,
    /// 408: the request did not come in time.
    RequestTimeout,
    /// 409: a module of that name runs, or something is being done with it.
    Conflict,
    /// 413: the request is too long.
    TooLarge,
    /// 422: a file or a component is refused.
    Refused,
    /// 428: a new version asks for more, and that has to be accepted.
    NotAccepted,
    /// 500: it was tried, and failed.
    Failed,
    /// 503: the engine is stopping.
    Stopping,
    /// 504: the module is still busy with a call; it is done when that has ended.
    Slow,
}

impl FaultKind {
    /// The HTTP status.
    #[must_use]
    pub fn status(self) -> u16 {
        match self {
            Self::BadRequest => 400,
            Self::NotFound => 404,
            Self::MethodNotAllowed => 405,
            Self::RequestTimeout => 408,
            Self::Conflict => 409,
            Self::TooLarge => 413,
            Self::Refused => 422,
            Self::NotAccepted => 428,
            Self::Failed => 500,
            Self::Stopping => 503,
            Self::Slow => 504,
        }
    }
}
