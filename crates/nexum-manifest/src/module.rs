//! `nexum.toml`, the author's file.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, hash_map::Entry},
    num::{NonZeroU32, NonZeroU64},
    path::Path,
    sync::Arc,
    time::Duration,
};

use nexum_types::{ChainId, Depth, LogFilter, ModuleName, ScheduleId};

use crate::{
    Capabilities, Capability, Durability, ManifestErrors, ModuleManifest, OnFailure, Place,
    Problem, Resources, Restart, Sha256, Subscription,
    config::RawConfig,
    decode::{At, Decoder, table},
    file::{self, Parsed},
    http::Secure,
    identity::RawAsked,
    lists::{NonEmpty, Set},
    source::{Shown, Source, Span},
    subscription::RawSubscription,
    values::{AtLeast, Between, Hosted, Version},
};

table! {
    /// A module's manifest: what it is, what it needs, and which events it gets.
    struct RawManifest {
        /// What the module is.
        required module: RawModule,
        /// The chains that the module uses.
        optional chains: RawRequiredChains,
        /// The interfaces of `nexum:host` that the module may import. The table is mandatory: nothing is granted by default.
        required capabilities: RawCapabilities,
        /// The events that the module gets.
        optional subscription: Vec<At<RawSubscription>>,
        /// The values that `init` takes. Nested tables become dotted keys.
        optional config: RawConfig,
    }
}

table! {
    /// What the module is.
    struct RawModule {
        /// The module's name, 1 to 64 of a-z, 0-9 and '-'. It is the identity of the module's state.
        required name: At<ModuleName>,
        /// The author's version of the module, such as "0.1.0".
        required version: Version,
        /// The digest that the component's bytes must have: "sha256:" and 64 hex digits. Without it, any component is taken.
        optional component: At<Sha256>,
        /// What the module may use up.
        optional resources: RawResources,
        /// What happens where the module goes on failing.
        optional restart: RawRestart,
        /// How the module's state is kept.
        optional state: RawState,
    }
}

table! {
    /// What one module may use up.
    struct RawResources {
        /// All linear memories and tables together, in bytes.
        default max_memory_bytes: AtLeast<65_536> = AtLeast(Resources::default().max_memory_bytes),
        /// Fuel for one call.
        default max_fuel_per_event: AtLeast<1_000> = AtLeast(Resources::default().max_fuel_per_event),
        /// Wall clock of one call, host calls included.
        default max_event_duration: Duration = Resources::default().max_event_duration,
        /// All keys and values of the state together, in bytes.
        default max_state_bytes: AtLeast<1> = AtLeast(Resources::default().max_state_bytes),
    }
}

table! {
    /// What happens where a module goes on failing.
    struct RawRestart {
        /// How often in a row an `init` or an event may fail before the module is given up, or the event is parked.
        default max_consecutive_failures: Between<1, { u32::MAX }> = Between(Restart::default().max_consecutive_failures.get()),
        /// What happens to an event that has failed that often: "retry" keeps it for when the module is restarted or upgraded, and the module is dead until then; "dead-letter" parks it, and the module goes on with the next.
        default on_failure: OnFailure = OnFailure::default(),
    }
}

table! {
    /// How a module's state is kept.
    struct RawState {
        /// When a commit reaches the disk: "event", before the next event is taken, or { interval = "1s" }, together with others once in that time.
        default durability: Durability = Durability::default(),
    }
}

table! {
    /// The chains that a module uses.
    struct RawRequiredChains {
        /// The chains without which the module does not start, by id.
        required required: At<Set<ChainId>>,
        /// The chains that the module uses where the operator configures them, by id.
        optional optional: At<Set<ChainId>>,
    }
}

table! {
    /// The interfaces of `nexum:host` that a module may import.
    struct RawCapabilities {
        /// The capabilities without which the module does not start.
        required required: At<Set<Hosted>>,
        /// The capabilities that the module can do without: where they are not to be had, their functions answer `unsupported`.
        optional optional: At<Set<Capability>>,
        /// What the capability `http` is for.
        optional http: RawHttpGrant,
        /// What the module does with the accounts that the operator gives it. Needed where `identity` is in either list.
        optional identity: At<RawAsked>,
    }
}

table! {
    /// What the capability `http` is for.
    struct RawHttpGrant {
        /// The servers that the module reaches, such as "api.example.org" or "*.example.org:8443"; https unless "http://" stands before it.
        required allow: NonEmpty<Secure>,
    }
}

/// A module's manifest and the places in it that later checks point at.
#[derive(Debug)]
pub struct ModuleFile {
    pub(crate) manifest: ModuleManifest,
    pub(crate) places: ModulePlaces,
}

/// Places in a module's manifest, for problems that show only once the component or the chain is
/// at hand.
#[derive(Debug, Clone)]
pub struct ModulePlaces {
    /// The file as a whole.
    pub file: Place,
    /// The value of `component`, where there is one.
    pub component: Option<Place>,
    /// The list of required capabilities.
    pub capabilities: Place,
    /// The entries of the list of required chains.
    pub chains: BTreeMap<ChainId, Place>,
    /// The subscriptions, in their order.
    pub subscriptions: Vec<Place>,
    /// The values of `config`, by their dotted keys.
    pub config: BTreeMap<String, Place>,
    /// The chains that are optional.
    pub optional_chains: BTreeSet<ChainId>,
}

impl ModuleFile {
    /// Reads and checks the manifest at `path`.
    ///
    /// # Errors
    /// Every problem of the file, the one of reading it included.
    pub fn load(path: &Path) -> Result<Self, ManifestErrors> {
        Self::parse(path, file::read(path)?)
    }

    /// Checks the text of a manifest; `path` is what problems call it.
    ///
    /// # Errors
    /// Every problem of the text.
    pub fn parse(path: &Path, text: String) -> Result<Self, ManifestErrors> {
        let parts = parse(path, text);
        match (ManifestErrors::new(parts.problems), parts.file) {
            (None, Some(file)) => Ok(file),
            (Some(errors), _) => Err(errors),
            (None, None) => Err(file::unexplained(&parts.source).into()),
        }
    }

    /// The manifest.
    #[must_use]
    pub fn manifest(&self) -> &ModuleManifest {
        &self.manifest
    }

    /// The manifest, without its places.
    #[must_use]
    pub fn into_manifest(self) -> ModuleManifest {
        self.manifest
    }

    /// Where things are written in it.
    #[must_use]
    pub fn places(&self) -> &ModulePlaces {
        &self.places
    }
}

/// What could be made of a manifest, and what is wrong with it. Where something is wrong the
/// good parts are there all the same, so that checks across files see them.
pub(crate) struct ModuleParts {
    pub(crate) source: Arc<Source>,
    pub(crate) problems: Vec<Problem>,
    pub(crate) name: Option<ModuleName>,
    pub(crate) chains: Vec<At<ChainId>>,
    pub(crate) config: RawConfig,
    pub(crate) file: Option<ModuleFile>,
}

pub(crate) fn parse(path: &Path, text: String) -> ModuleParts {
    let Parsed { raw, mut decoder } = file::parse::<RawManifest>(&text);
    if let Some(raw) = &raw {
        check(raw, &mut decoder);
    }
    let source = Source::new(path, text, &Shown::Everything);
    let problems = file::problems(&source, decoder.found);
    let chains = raw
        .as_ref()
        .and_then(|raw| raw.chains.as_ref()?.required.as_ref());
    ModuleParts {
        name: raw
            .as_ref()
            .and_then(|raw| Some(raw.module.as_ref()?.name.as_ref()?.value.clone())),
        chains: chains.map_or_else(Vec::new, |chains| chains.value.0.clone()),
        file: raw.as_ref().and_then(|raw| resolve(raw, &source)),
        config: raw.and_then(|raw| raw.config).unwrap_or_default(),
        source,
        problems,
    }
}

fn subscriptions(raw: &RawManifest) -> impl Iterator<Item = &RawSubscription> {
    raw.subscription.iter().flatten().map(|raw| &raw.value)
}

/// What two subscriptions must differ in: else everything comes twice, and nothing tells which
/// was for which.
#[derive(PartialEq, Eq, Hash)]
enum Wanted<'a> {
    Blocks(ChainId, Depth, NonZeroU64),
    Logs(ChainId, Depth, &'a LogFilter),
    Ticks(ScheduleId),
}

impl<'a> From<&'a Subscription> for Wanted<'a> {
    fn from(subscription: &'a Subscription) -> Self {
        match subscription {
            Subscription::Block(block) => Self::Blocks(block.chain_id, block.depth, block.every),
            Subscription::Log(log) => Self::Logs(log.chain_id, log.depth, &log.filter),
            Subscription::Cron(cron) => Self::Ticks(cron.schedule.id()),
        }
    }
}

impl Wanted<'_> {
    fn report_twice(&self, first: Span, second: Span, decoder: &mut Decoder) {
        let (message, help) = match self {
            Self::Blocks(chain, ..) => (
                format!("two subscriptions take the same blocks of chain {chain}"),
                "take one out, or give it another `every` or depth (`confirmations`, `finality`)",
            ),
            Self::Logs(chain, ..) => (
                format!("two subscriptions take the same logs of chain {chain}"),
                "take one out: each log comes once for each subscription",
            ),
            Self::Ticks(_) => (
                "two subscriptions have the same schedule".to_owned(),
                "take one out",
            ),
        };
        decoder.report_twice(first, second, message, help);
    }
}

/// The checks that need more than one value.
fn check(raw: &RawManifest, decoder: &mut Decoder) {
    check_either(raw, decoder);
    check_http(raw, decoder);
    check_identity(raw, decoder);
    let chains = match &raw.chains {
        // A list that is missing within its table has been reported.
        Some(chains) => chains.required.as_ref().map(|required| {
            let optional = chains.optional.iter();
            let optional = optional.flat_map(|optional| optional.value.values());
            required
                .value
                .values()
                .into_iter()
                .chain(optional)
                .collect()
        }),
        None => Some(BTreeSet::new()),
    };
    let mut seen: HashMap<Wanted<'_>, Span> = HashMap::new();
    for raw in subscriptions(raw) {
        let is_unknown = |chain: &&At<ChainId>| {
            chains
                .as_ref()
                .is_some_and(|chains| !chains.contains(&chain.value))
        };
        if let Some(chain) = raw.chain_id.as_ref().filter(is_unknown) {
            let message = format!(
                "`subscription.chain_id` is {}, which is not in `chains.required` or `chains.optional`",
                chain.value
            );
            let help = match chains.iter().flatten().count() {
                0 => format!("write\n[chains]\nrequired = [{}]", chain.value),
                _ => format!("add {} to `chains.required`", chain.value),
            };
            decoder.report_with_help(chain.span.clone(), message, "not required", help);
        }
        let wanted = raw.subscription.as_ref().map(Wanted::from);
        let Some((wanted, span)) = wanted.zip(raw.span.clone()) else {
            continue;
        };
        match seen.entry(wanted) {
            Entry::Occupied(first) => {
                first.key().report_twice(first.get().clone(), span, decoder);
            }
            Entry::Vacant(first) => drop(first.insert(span)),
        }
    }
}

/// A module that cannot do without `http` says for which servers, and whoever lists servers
/// declares it.
fn check_http(raw: &RawManifest, decoder: &mut Decoder) {
    let Some(capabilities) = &raw.capabilities else {
        return;
    };
    let required = capabilities.required.iter().flat_map(|set| &set.value.0);
    let required = required.map(|at| (at.value.0, &at.span));
    let optional = capabilities.optional.iter().flat_map(|set| &set.value.0);
    let is_optional = optional.into_iter().any(|at| at.value == Capability::Http);
    let mut required = required.filter(|(capability, _)| *capability == Capability::Http);
    match (required.next(), &capabilities.http) {
        (Some((_, span)), None) => {
            let message = "the capability \"http\" is required for no server".to_owned();
            let help = "write\n[capabilities.http]\nallow = [\"api.example.org\"]";
            decoder.report_with_help(span.clone(), message, "for which servers?", help);
        }
        (None, Some(RawHttpGrant { allow: Some(allow) })) if !is_optional => {
            let span = allow.0.first().map(|at| at.span.clone());
            let message =
                "`capabilities.http` lists servers, and the capability \"http\" is not declared";
            let help = "add \"http\" to `capabilities.required` or `capabilities.optional`";
            if let Some(span) = span {
                decoder.report_with_help(span, message.to_owned(), "not declared", help);
            }
        }
        _ => {}
    }
}

/// What is required is not optional, too.
fn check_either(raw: &RawManifest, decoder: &mut Decoder) {
    if let Some(RawCapabilities {
        required: Some(required),
        optional: Some(optional),
        ..
    }) = &raw.capabilities
    {
        let required = required
            .value
            .0
            .iter()
            .map(|at| (at.value.0, at.span.clone()));
        report_both(
            "capabilities",
            &required.collect(),
            &optional.value,
            decoder,
        );
    }
    if let Some(RawRequiredChains {
        required: Some(required),
        optional: Some(optional),
    }) = &raw.chains
    {
        let required = required
            .value
            .0
            .iter()
            .map(|at| (at.value, at.span.clone()));
        report_both("chains", &required.collect(), &optional.value, decoder);
    }
}

/// Whoever declares `identity` says what for, and the other way round.
fn check_identity(raw: &RawManifest, decoder: &mut Decoder) {
    let Some(raw) = &raw.capabilities else { return };
    let required = raw.required.iter().flat_map(|set| &set.value.0);
    let optional = raw.optional.iter().flat_map(|set| &set.value.0);
    let required = required.map(|at| (at.value.0, &at.span));
    let all = required.chain(optional.map(|at| (at.value, &at.span)));
    let mut all = all.filter(|(capability, _)| *capability == Capability::Identity);
    match (all.next(), &raw.identity) {
        (Some((_, span)), None) => decoder.report_with_help(
            span.clone(),
            "the module declares \"identity\" and does not say what it does with accounts".into(),
            "declared here",
            "write what it calls, such as\n[capabilities.identity]\nmethods = [\"accounts\", \"sign\"]",
        ),
        (None, Some(table)) => decoder.report_with_help(
            table.span.clone(),
            "`capabilities.identity` is for a module that declares \"identity\"".into(),
            "grants nothing",
            "add \"identity\" to `required` or `optional` under [capabilities], or take this out",
        ),
        _ => {}
    }
}

fn report_both<T: Ord + std::fmt::Display>(
    table: &str,
    required: &BTreeMap<T, Span>,
    optional: &Set<T>,
    decoder: &mut Decoder,
) {
    for item in &optional.0 {
        if let Some(first) = required.get(&item.value) {
            let message = format!("`{table}` has {} as required and as optional", item.value);
            let span = item.span.clone();
            decoder.report_twice(first.clone(), span, message, "take one out");
        }
    }
}

/// The manifest, if nothing that it needs is missing.
fn resolve(raw: &RawManifest, source: &Arc<Source>) -> Option<ModuleFile> {
    let module = raw.module.as_ref()?;
    let capabilities = raw.capabilities.as_ref()?.required.as_ref()?;
    let chains = match &raw.chains {
        Some(chains) => Some(chains.required.as_ref()?),
        None => None,
    };
    let optional_chains = raw.chains.as_ref().and_then(|raw| raw.optional.as_ref());
    let resources = module
        .resources
        .as_ref()
        .map_or_else(Resources::default, |raw| Resources {
            max_memory_bytes: raw.max_memory_bytes.0,
            max_fuel_per_event: raw.max_fuel_per_event.0,
            max_event_duration: raw.max_event_duration,
            max_state_bytes: raw.max_state_bytes.0,
        });
    let subscriptions = subscriptions(raw).map(|raw| raw.subscription.clone());
    let manifest = ModuleManifest {
        name: module.name.as_ref()?.value.clone(),
        version: module.version.as_ref()?.0.clone(),
        component: module.component.as_ref().map(|component| component.value),
        resources,
        durability: module
            .state
            .as_ref()
            .map_or_else(Durability::default, |raw| raw.durability),
        restart: module
            .restart
            .as_ref()
            .map_or_else(Restart::default, |raw| Restart {
                max_consecutive_failures: NonZeroU32::new(raw.max_consecutive_failures.0)
                    .unwrap_or(NonZeroU32::MIN),
                on_failure: raw.on_failure,
            }),
        chains: chains
            .map(|chains| chains.value.values())
            .into_iter()
            .chain(optional_chains.map(|chains| chains.value.values()))
            .flatten()
            .collect(),
        absent_chains: BTreeSet::new(),
        capabilities: Capabilities {
            required: capabilities.value.0.iter().map(|at| at.value.0).collect(),
            optional: raw
                .capabilities
                .as_ref()
                .and_then(|raw| raw.optional.as_ref())
                .map(|optional| optional.value.values())
                .unwrap_or_default(),
            denied: BTreeSet::new(),
        },
        http_allow: raw
            .capabilities
            .iter()
            .filter_map(|raw| raw.http.as_ref()?.allow.as_ref())
            .flat_map(|allow| &allow.0)
            .map(|at| at.value.0.clone())
            .collect(),
        identity: raw
            .capabilities
            .as_ref()
            .and_then(|raw| raw.identity.as_ref()?.value.methods.as_ref())
            .map(Set::values)
            .unwrap_or_default(),
        subscriptions: subscriptions.collect::<Option<_>>()?,
        config: raw
            .config
            .as_ref()
            .map(RawConfig::resolve)
            .unwrap_or_default(),
    };
    let places = ModulePlaces {
        file: source.whole(),
        component: module
            .component
            .as_ref()
            .map(|at| source.place(at.span.clone())),
        capabilities: source.place(capabilities.span.clone()),
        chains: chains
            .iter()
            .flat_map(|chains| &chains.value.0)
            .map(|chain| (chain.value, source.place(chain.span.clone())))
            .collect(),
        subscriptions: raw
            .subscription
            .iter()
            .flatten()
            .map(|at| source.place(at.span.clone()))
            .collect(),
        config: raw
            .config
            .iter()
            .flat_map(|config| &config.0)
            .map(|(key, entry)| (key.clone(), source.place(entry.span.clone())))
            .collect(),
        optional_chains: optional_chains
            .map(|chains| chains.value.values())
            .unwrap_or_default(),
    };
    Some(ModuleFile { manifest, places })
}

/// The JSON Schema of `nexum.toml`, as text.
#[must_use]
pub fn schema_module() -> String {
    file::schema::<RawManifest>("nexum.toml")
}
