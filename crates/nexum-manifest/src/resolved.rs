//! What the rest of the program sees: values that have been parsed, checked and completed.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    net::{Ipv4Addr, SocketAddr},
    num::{NonZeroU32, NonZeroU64},
    path::PathBuf,
    time::Duration,
};

use nexum_types::{BlockNumber, ChainId, Config, Depth, LogFilter, ModuleName};
use url::Url;

use crate::{HostPattern, IdentityMethod, IdentitySettings, LogLevels, Schedule};

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
    /// What happens where the module goes on failing.
    pub restart: Restart,
    /// The chains the module may ask.
    pub chains: BTreeSet<ChainId>,
    /// The chains it could do with, and that the operator does not configure. Its subscriptions to
    /// them are left out.
    pub absent_chains: BTreeSet<ChainId>,
    /// The interfaces the module may import.
    pub capabilities: Capabilities,
    /// The servers it may reach by the capability `http`.
    pub http_allow: Vec<HostPattern>,
    /// What it does with the accounts that the operator gives it.
    pub identity: BTreeSet<IdentityMethod>,
    /// The events the module gets.
    pub subscriptions: Vec<Subscription>,
    /// The author's configuration values.
    pub config: Config,
}

impl ModuleManifest {
    /// Whether the manifest lists the server of a URL.
    #[must_use]
    pub fn lists_server_of(&self, url: &str) -> bool {
        let lists = |url: &Url| self.http_allow.iter().any(|listed| listed.covers(url));
        Url::parse(url).is_ok_and(|url| lists(&url))
    }
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

/// The digest that a component's bytes must have, and who says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pin {
    /// The author, by `component` in the manifest.
    Manifest(Sha256),
    /// The operator, by `digest` in the module's entry. The manifest says the same, or nothing.
    Operator(Sha256),
}

impl Pin {
    /// The digest.
    #[must_use]
    pub fn digest(self) -> Sha256 {
        match self {
            Self::Manifest(digest) | Self::Operator(digest) => digest,
        }
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

/// What happens where a module goes on failing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Restart {
    /// How often in a row an `init` or an event may fail.
    pub max_consecutive_failures: NonZeroU32,
    /// What happens to an event that has failed that often.
    pub on_failure: OnFailure,
}

impl Default for Restart {
    fn default() -> Self {
        const TEN: NonZeroU32 = NonZeroU32::new(10).unwrap();
        Self {
            max_consecutive_failures: TEN,
            on_failure: OnFailure::default(),
        }
    }
}

/// What happens to an event that has failed as often as it may.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OnFailure {
    /// It stays the module's next event. The module is dead until it is restarted or upgraded.
    #[default]
    Retry,
    /// It is parked in the module's file, and the module goes on with the next.
    DeadLetter,
}

/// The interfaces that a module declares, and what becomes of each.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// Without these it does not start.
    pub required: BTreeSet<Capability>,
    /// It can do without these: where they are not to be had, their functions answer
    /// `unsupported`.
    pub optional: BTreeSet<Capability>,
    /// What the operator denies.
    pub denied: BTreeSet<Capability>,
}

/// Why an optional capability is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Withheld {
    /// This engine does not have it.
    NotHosted,
    /// The operator denies it.
    Denied,
}

impl Capabilities {
    /// Everything that the manifest declares.
    #[must_use]
    pub fn declared(&self) -> BTreeSet<Capability> {
        self.required.union(&self.optional).copied().collect()
    }

    /// What the module has.
    #[must_use]
    pub fn granted(&self) -> BTreeSet<Capability> {
        let is_had =
            |capability: &Capability| capability.is_hosted() && !self.denied.contains(capability);
        self.declared().into_iter().filter(is_had).collect()
    }

    /// What it declares and does not have, and why.
    #[must_use]
    pub fn withheld(&self) -> BTreeMap<Capability, Withheld> {
        let why = |capability: Capability| {
            if self.denied.contains(&capability) {
                Some((capability, Withheld::Denied))
            } else {
                (!capability.is_hosted()).then_some((capability, Withheld::NotHosted))
            }
        };
        self.declared().into_iter().filter_map(why).collect()
    }
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
    /// `nexum:host/identity`
    Identity,
    /// `nexum:host/remote-store`
    RemoteStore,
    /// `nexum:host/messaging`
    Messaging,
    /// `nexum:host/http`
    Http,
}

impl Capability {
    /// Every capability of the contract.
    pub const ALL: [Self; 9] = [
        Self::Chain,
        Self::LocalStore,
        Self::Logging,
        Self::Clock,
        Self::Random,
        Self::Identity,
        Self::RemoteStore,
        Self::Messaging,
        Self::Http,
    ];

    /// Whether this engine has it.
    #[must_use]
    pub fn is_hosted(self) -> bool {
        match self {
            Self::Chain
            | Self::LocalStore
            | Self::Logging
            | Self::Clock
            | Self::Random
            | Self::Identity
            | Self::Http => true,
            Self::RemoteStore | Self::Messaging => false,
        }
    }

    /// Every capability that this engine has.
    pub fn hosted() -> impl Iterator<Item = Self> {
        Self::ALL
            .into_iter()
            .filter(|capability| capability.is_hosted())
    }

    /// The capability's name in a manifest, which is its interface's name in the contract.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Chain => "chain",
            Self::LocalStore => "local-store",
            Self::Logging => "logging",
            Self::Clock => "clock",
            Self::Random => "random",
            Self::Identity => "identity",
            Self::RemoteStore => "remote-store",
            Self::Messaging => "messaging",
            Self::Http => "http",
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

/// A source of events that a module asks for. A module's subscriptions keep the order of the
/// manifest: within a block, events come in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subscription {
    /// Blocks of a chain.
    Block(BlockSubscription),
    /// Logs of a chain.
    Log(LogSubscription),
    /// A schedule.
    Cron(CronSubscription),
}

impl Subscription {
    /// The chain that it is to; none for a schedule.
    #[must_use]
    pub fn chain_id(&self) -> Option<ChainId> {
        match self {
            Self::Block(block) => Some(block.chain_id),
            Self::Log(log) => Some(log.chain_id),
            Self::Cron(_) => None,
        }
    }
}

/// The ticks of a schedule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CronSubscription {
    /// When they are due.
    pub schedule: Schedule,
    /// What becomes of those that could not be given when they were.
    pub missed: Missed,
}

/// What becomes of ticks that were due while the engine was down, or the module busy until the
/// next one was due, too.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Missed {
    /// They are left out.
    Skip,
    /// The last of them is given, for all of them.
    #[default]
    Once,
    /// Each is given, in order.
    All,
}

/// Canonical blocks of one chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockSubscription {
    /// The chain.
    pub chain_id: ChainId,
    /// Where the first event is, as long as the module has no cursor.
    pub start: Start,
    /// Only blocks whose number is a multiple of this.
    pub every: NonZeroU64,
    /// How sure a block must be.
    pub depth: Depth,
    /// What happens where the module falls behind.
    pub on_lag: OnLag,
}

/// Logs of one chain that match a filter, all of a block together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogSubscription {
    /// The chain.
    pub chain_id: ChainId,
    /// Where the first event is, as long as the module has no cursor.
    pub start: Start,
    /// Which logs.
    pub filter: LogFilter,
    /// How sure their block must be.
    pub depth: Depth,
    /// What happens where the module falls behind.
    pub on_lag: OnLag,
    /// When they come. [`Delivery::Push`] only at [`Depth::Head`].
    pub delivery: Delivery,
}

/// When the logs of a block at the head come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Delivery {
    /// All together, once the block was asked for them.
    #[default]
    Block,
    /// As soon as a node pushes them (`eth_subscribe("logs")`); those that it has not pushed come
    /// once the block was asked for them.
    Push,
}

/// What happens where a module falls so far behind that the feed's ring does not hold its next
/// block any more.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OnLag {
    /// Everything it has missed is fetched and delivered.
    #[default]
    CatchUp,
    /// It goes on at the head; what it misses is counted and logged.
    Skip,
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
    /// The ceilings that no manifest widens.
    pub policy: Policy,
    /// What modules may do to servers outside.
    pub http: HttpSettings,
    /// Where keys are, and who may use them.
    pub identity: IdentitySettings,
    /// Where the engine tells how it and its modules are.
    pub observability: ObservabilitySettings,
    /// The modules to run, each name once.
    pub modules: Vec<ModuleEntry>,
}

/// The operator's ceilings, which no manifest widens.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Policy {
    /// Those of every module.
    pub every: Ceilings,
    /// Those of single modules, which take their place.
    pub modules: BTreeMap<ModuleName, Ceilings>,
    /// Whether a module is refused whose component nobody has pinned.
    pub require_digest: bool,
}

/// Ceilings for one module; each is `None` where there is none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ceilings {
    /// How much it may ask its chains.
    pub rpc_rate: Option<Rate>,
    /// How many lines it may log.
    pub log_rate: Option<Rate>,
    /// How many requests it may make to servers outside.
    pub http_rate: Option<Rate>,
    /// How many signatures it may ask for.
    pub signature_rate: Option<Rate>,
    /// The only servers that it may reach, whatever its manifest asks for.
    pub http_allow: Option<Vec<HostPattern>>,
    /// The servers that it may not reach, whatever its manifest asks for.
    pub http_deny: Option<Vec<HostPattern>>,
    /// The most memory, in bytes.
    pub max_memory_bytes: Option<u64>,
    /// The most fuel of one call.
    pub max_fuel_per_event: Option<u64>,
    /// The longest time of one call.
    pub max_event_duration: Option<Duration>,
    /// The largest state, in bytes.
    pub max_state_bytes: Option<u64>,
    /// The capabilities that it does not have, whatever its manifest asks for.
    pub denied: Option<BTreeSet<Capability>>,
}

impl Ceilings {
    /// What is granted of what a manifest asks for.
    #[must_use]
    pub fn cap(&self, asked: Resources) -> Resources {
        let least =
            |asked: u64, ceiling: Option<u64>| ceiling.map_or(asked, |most| asked.min(most));
        Resources {
            max_memory_bytes: least(asked.max_memory_bytes, self.max_memory_bytes),
            max_fuel_per_event: least(asked.max_fuel_per_event, self.max_fuel_per_event),
            max_event_duration: self
                .max_event_duration
                .map_or(asked.max_event_duration, |most| {
                    asked.max_event_duration.min(most)
                }),
            max_state_bytes: least(asked.max_state_bytes, self.max_state_bytes),
        }
    }
}

/// What modules may do to servers outside, and the credentials that the engine adds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpSettings {
    /// How long a connection may take to be made, the lookup of the name and TLS included.
    pub connect_timeout: Duration,
    /// How long a server may send nothing while an answer is waited for.
    pub idle_timeout: Duration,
    /// How long a request may take in all.
    pub request_timeout: Duration,
    /// The largest request: URL, headers and body, in bytes.
    pub max_request_bytes: u32,
    /// The largest body of a response, decoded, in bytes.
    pub max_response_bytes: u32,
    /// How many requests of all modules are under way at once.
    pub max_concurrent: u32,
    /// How many redirects of one request are followed.
    pub max_redirects: u32,
    /// The servers that may be reached over http. Each has that scheme.
    pub allow_http: Vec<HostPattern>,
    /// The servers that may be reached at an address that is not of the public internet.
    pub allow_private: Vec<HostPattern>,
    /// Certificates in PEM of authorities to trust beside those of the machine.
    pub authorities: Option<String>,
    /// The credentials, in the order of the file.
    pub credentials: Vec<HttpCredential>,
}

impl HttpSettings {
    /// The headers that concern the connection or how a message is cut (RFC 9110, sections 7.6.1
    /// and 10.1; RFC 9112), and so are the engine's.
    pub const RESERVED_HEADERS: [&str; 15] = [
        "accept-encoding",
        "connection",
        "content-length",
        "expect",
        "host",
        "http2-settings",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "via",
    ];

    /// Whether a header, by its name in small letters, is the engine's.
    #[must_use]
    pub fn is_reserved_header(name: &str) -> bool {
        Self::RESERVED_HEADERS.contains(&name)
    }
}

impl Default for HttpSettings {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(5),
            idle_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(20),
            max_request_bytes: 1024 * 1024,
            max_response_bytes: 4 * 1024 * 1024,
            max_concurrent: 32,
            max_redirects: 0,
            allow_http: Vec::new(),
            allow_private: Vec::new(),
            authorities: None,
            credentials: Vec::new(),
        }
    }
}

/// A header that the engine adds to requests as they leave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpCredential {
    /// The servers that get it. The scheme is written.
    pub host: HostPattern,
    /// The header's name, in small letters.
    pub header: String,
    /// The header's value: visible ASCII.
    pub value: SecretText,
    /// The modules whose requests get it; `None`: those of all.
    pub modules: Option<BTreeSet<ModuleName>>,
}

/// A text that is never shown. Its `Debug` does not have it, and it has no `Display`.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretText(String);

impl SecretText {
    /// Takes a text in.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// The text itself, for the one place that needs it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretText(…)")
    }
}

/// Where the engine tells how it and its modules are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObservabilitySettings {
    /// Where metrics are served; `None`: nowhere. Port 0 is any free one.
    pub metrics: Option<SocketAddr>,
    /// Where health reports and the status page are served; `None`: nowhere. Port 0 is any free
    /// one.
    pub health: Option<SocketAddr>,
    /// The host names by which both are asked, in lower case, besides `localhost` and IP
    /// addresses, which always do.
    pub hosts: BTreeSet<String>,
    /// What the status page shows.
    pub status_page: StatusPage,
}

/// What the status page shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatusPage {
    /// Modules, chains, dead letters, and the last lines of the log.
    WithLogs,
    /// All of that but the log.
    WithoutLogs,
    /// There is no page.
    Off,
}

impl StatusPage {
    /// What it shows where the operator does not say: the log only to who is on this machine.
    pub(crate) fn unsaid(health: Option<SocketAddr>) -> Self {
        if health.is_some_and(|address| address.ip().is_loopback()) {
            Self::WithLogs
        } else {
            Self::WithoutLogs
        }
    }
}

impl ObservabilitySettings {
    /// The port of the metrics, unless told otherwise.
    pub const METRICS_PORT: u16 = 9090;
    /// The port of the health reports, unless told otherwise.
    pub const HEALTH_PORT: u16 = 8080;
}

impl Default for ObservabilitySettings {
    /// Both, on the loopback address.
    fn default() -> Self {
        let on = |port| Some(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
        Self {
            metrics: on(Self::METRICS_PORT),
            health: on(Self::HEALTH_PORT),
            hosts: BTreeSet::new(),
            status_page: StatusPage::WithLogs,
        }
    }
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
    /// How long a call may take in all, whatever is retried and on whichever endpoints.
    pub call_deadline: Duration,
    /// How often a request is sent again to the same endpoint after a failure that may pass.
    pub max_retries: u32,
    /// An endpoint whose head is further than this behind the best known one is left until it
    /// has caught up, in blocks.
    pub max_lag_blocks: u64,
    /// The most blocks that one `eth_getLogs` asks for.
    pub max_log_range: u64,
    /// How far back a reorg is followed, in blocks.
    pub reorg_window: u32,
    /// Whether a header's bloom may prove that a block has no matching log. Some chains ship
    /// empty blooms.
    pub trust_bloom: bool,
}

impl ChainSettings {
    /// The settings of a chain whose file names nothing but endpoints.
    #[must_use]
    pub fn new(id: ChainId, endpoints: Vec<Endpoint>) -> Self {
        Self {
            id,
            endpoints,
            poll_interval: Duration::from_secs(1),
            request_timeout: Duration::from_secs(10),
            call_deadline: Duration::from_secs(25),
            max_retries: 2,
            max_lag_blocks: 8,
            max_log_range: 10_000,
            reorg_window: 256,
            trust_bloom: true,
        }
    }
}

/// One JSON-RPC endpoint. Its `Debug` and `Display` show no secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// `http`, `https`, `ws` or `wss`. Userinfo, path and query may be secret: show the
    /// endpoint, never this.
    pub url: Url,
    /// Lower is preferred.
    pub priority: u32,
    /// How much it may be asked; `None`: as much as it takes.
    pub rate: Option<Rate>,
    /// The most requests of one batch.
    pub max_batch: usize,
}

impl Endpoint {
    /// The most requests of one batch, unless told otherwise.
    pub const DEFAULT_MAX_BATCH: usize = 100;

    /// An endpoint of which nothing but the URL is told.
    #[must_use]
    pub fn new(url: Url) -> Self {
        Self {
            url,
            priority: 0,
            rate: None,
            max_batch: Self::DEFAULT_MAX_BATCH,
        }
    }
}

/// How much may be asked in a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Units a second, in the long run. A request costs 1, but for methods of more weight.
    pub per_second: u32,
    /// Units at once, after a quiet time.
    pub burst: u32,
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
    /// The digest that its component's bytes must have, if the operator pins one.
    pub digest: Option<Sha256>,
    /// Values laid over the manifest's `[config]`.
    pub config: Config,
}
