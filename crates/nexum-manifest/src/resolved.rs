//! What the rest of the program sees: values that have been parsed, checked and completed.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    path::PathBuf,
    time::Duration,
};

use nexum_types::{BlockNumber, ChainId, Config, ModuleName};
use url::Url;

use crate::LogLevels;

/// A module's manifest, resolved: the author's word, checked but not trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModuleManifest {
    /// The module's name.
    pub name: ModuleName,
    /// The author's version of it, as written.
    pub version: String,
    /// The digest that the component's bytes must have, if the manifest names one.
    pub component: Option<Sha256>,
    /// What the module may use up.
    pub resources: Resources,
    /// When a commit reaches the disk.
    pub durability: Durability,
    /// The chains the module may ask, and without which it does not start.
    pub chains: BTreeSet<ChainId>,
    /// The interfaces the module may import.
    pub capabilities: BTreeSet<Capability>,
    /// The events the module gets.
    pub subscriptions: Vec<Subscription>,
    /// The author's configuration values.
    pub config: Config,
}

/// A SHA-256 digest, shown as 64 hex digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Sha256(pub [u8; 32]);

impl fmt::Display for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{self}")
    }
}

/// What one module may use up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resources {
    /// All linear memories and tables together, in bytes.
    pub max_memory_bytes: u64,
    /// Fuel for one call.
    pub max_fuel_per_event: u64,
    /// Wall clock of one call, host calls included.
    pub max_event_duration: Duration,
    /// All keys and values of the state together, in bytes.
    pub max_state_bytes: u64,
}

impl Default for Resources {
    fn default() -> Self {
        Self {
            max_memory_bytes: 64 * 1024 * 1024,
            max_fuel_per_event: 1_000_000_000,
            max_event_duration: Duration::from_secs(30),
            max_state_bytes: 50 * 1024 * 1024,
        }
    }
}

/// When a commit reaches the disk.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Durability {
    /// Each commit is flushed before the next event is taken.
    #[default]
    Event,
    /// Commits are flushed together, once in this time. After a power cut state and cursor go
    /// back together, by this time at most.
    Interval(Duration),
}

/// Permission to use one interface of `nexum:host`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Capability {
    /// `nexum:host/chain`
    Chain,
    /// `nexum:host/local-store`
    LocalStore,
    /// `nexum:host/logging`
    Logging,
    /// `nexum:host/clock`
    Clock,
    /// `nexum:host/random`
    Random,
}

impl Capability {
    /// Every capability that this engine has.
    pub const ALL: [Self; 5] = [
        Self::Chain,
        Self::LocalStore,
        Self::Logging,
        Self::Clock,
        Self::Random,
    ];

    /// The capability's name in a manifest, which is its interface's name in the contract.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Chain => "chain",
            Self::LocalStore => "local-store",
            Self::Logging => "logging",
            Self::Clock => "clock",
            Self::Random => "random",
        }
    }

    /// The capability of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|capability| capability.as_str() == name)
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A source of events that a module asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subscription {
    /// Every block of a chain.
    Block(BlockSubscription),
}

/// Every canonical block of one chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockSubscription {
    /// The chain.
    pub chain_id: ChainId,
    /// Where the first event is, as long as the module has no cursor.
    pub start: Start,
}

/// Where a subscription without a cursor begins.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Start {
    /// At the chain's head, as it is when the engine first sees it.
    #[default]
    Latest,
    /// At this block.
    Number(BlockNumber),
}

/// The operator's file, resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineConfig {
    /// Where the engine keeps its state. Relative paths have been resolved against the file's
    /// folder.
    pub state_dir: PathBuf,
    /// How long the calls in flight may take to finish after a request to stop.
    pub shutdown_grace: Duration,
    /// How and how much the engine logs.
    pub log: LogSettings,
    /// The chains, by id.
    pub chains: BTreeMap<ChainId, ChainSettings>,
    /// The modules to run, each name once.
    pub modules: Vec<ModuleEntry>,
}

/// How and how much the engine logs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogSettings {
    /// The form of a line.
    pub format: LogFormat,
    /// How much, in general and by part.
    pub level: LogLevels,
}

/// The form of a log line.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    #[default]
    Pretty,
    /// One JSON object a line.
    Json,
}

/// One chain and how to reach it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainSettings {
    /// The chain's id; every endpoint must answer it to `eth_chainId`.
    pub id: ChainId,
    /// The endpoints, most preferred first. At least one.
    pub endpoints: Vec<Endpoint>,
    /// How often an HTTP endpoint is asked for its head.
    pub poll_interval: Duration,
    /// How long one request may take, on one endpoint.
    pub request_timeout: Duration,
}

/// One JSON-RPC endpoint. Its `Debug` and `Display` show no secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// `http`, `https`, `ws` or `wss`. Userinfo, path and query may be secret: show the
    /// endpoint, never this.
    pub url: Url,
    /// Lower is preferred.
    pub priority: u32,
}

impl fmt::Display for Endpoint {
    /// Scheme, host and port: what can be shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}://{}",
            self.url.scheme(),
            self.url.host_str().unwrap_or("-")
        )?;
        match self.url.port() {
            Some(port) => write!(f, ":{port}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Endpoint({self}, priority {})", self.priority)
    }
}

/// One `[[modules]]` entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModuleEntry {
    /// The bundle's folder. Relative paths have been resolved against the file's folder.
    pub path: PathBuf,
    /// The name to run it under, if not its manifest's. One bundle can run several times.
    pub name: Option<ModuleName>,
    /// Values laid over the manifest's `[config]`.
    pub config: Config,
}
