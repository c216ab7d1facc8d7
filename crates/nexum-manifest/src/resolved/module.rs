//! What an author says of a module.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    num::{NonZeroU32, NonZeroU64},
    time::Duration,
};

use nexum_types::{BlockNumber, ChainId, Config, Depth, LogFilter, ModuleName};
use url::Url;

use crate::{HostPattern, IdentityMethod, Schedule};

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
