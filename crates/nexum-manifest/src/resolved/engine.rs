//! What an operator says of an engine.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use nexum_types::{ChainId, Config, ModuleName};
use url::Url;

use super::module::{Capability, Resources, Sha256};
use crate::{HostPattern, IdentitySettings, LogLevels};

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
