//! `[policy]` of the operator's file: the ceilings that no manifest widens, for every module and
//! for single ones.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use nexum_types::ModuleName;
use serde_json::{Value, json};
use toml::de::DeValue;

use crate::{
    Capability, Ceilings, HostPattern, Policy, Problem, Rate,
    chains::{self, PerSecond},
    decode::{At, Decode, Decoder, Node, Tried, table},
    lists::Set,
    source::{Place, Source, Span},
    values::AtLeast,
    wording::{self, key_text},
};

/// A table of ceilings, and whatever keys it has beside them.
macro_rules! ceilings_table {
    (
        $(#[doc = $doc:literal])*
        struct $name:ident { $($more:tt)* }
    ) => {
        table! {
            $(#[doc = $doc])*
            struct $name {
                /// How many requests a second a module may make to its chains, in the long run.
                optional rpc_requests_per_second: Tried<PerSecond>,
                /// How many requests a module may make at once, after a quiet time. Without it, those of one second.
                optional rpc_burst: At<PerSecond>,
                /// How many lines a second a module may log, in the long run.
                optional log_lines_per_second: Tried<PerSecond>,
                /// How many lines a module may log at once, after a quiet time. Without it, those of one second.
                optional log_burst: At<PerSecond>,
                /// How many requests a second a module may make to servers outside, in the long run.
                optional http_requests_per_second: Tried<PerSecond>,
                /// How many of them a module may make at once, after a quiet time. Without it, those of one second.
                optional http_burst: At<PerSecond>,
                /// How many signatures a second a module may ask for, in the long run.
                optional signatures_per_second: Tried<PerSecond>,
                /// How many of them a module may ask for at once, after a quiet time. Without it, those of one second.
                optional signature_burst: At<PerSecond>,
                /// The only servers that a module may reach, whatever its manifest asks for.
                optional http_allow: Vec<At<HostPattern>>,
                /// Servers that a module may not reach, whatever its manifest asks for; without a port, at every port.
                optional http_deny: Vec<At<HostPattern>>,
                /// The most memory of a module, in bytes, whatever its manifest asks for.
                optional max_memory_bytes: AtLeast<65_536>,
                /// The most fuel of one call, whatever the manifest asks for.
                optional max_fuel_per_event: AtLeast<1_000>,
                /// The longest time that one call may take, whatever the manifest asks for.
                optional max_event_duration: Duration,
                /// The largest state of a module, in bytes, whatever its manifest asks for.
                optional max_state_bytes: AtLeast<1>,
                /// Capabilities that a module does not have. One that requires such a capability is refused.
                optional denied_capabilities: Set<Deniable>,
                $($more)*
            }
        }
    };
}

ceilings_table! {
    /// The operator's ceilings for every module.
    struct RawPolicy {
        /// True refuses a module whose component is pinned neither by its manifest nor by its entry under `modules`.
        default require_digest: bool = false,
        /// Ceilings of single modules, by name, which take the place of those for every module.
        optional modules: RawOverrides,
    }
}

ceilings_table! {
    /// Ceilings of one module, which take the place of those for every module.
    struct RawCeilings {}
}

/// A capability that can be denied: one whose functions can answer an error, or do nothing.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Deniable(Capability);

impl std::fmt::Display for Deniable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl Deniable {
    fn all() -> impl Iterator<Item = Capability> {
        Capability::ALL
            .into_iter()
            .filter(|capability| !matches!(capability, Capability::Clock | Capability::Random))
    }
}

impl Decode for Deniable {
    const EXPECTS: &'static str = Capability::EXPECTS;

    fn schema() -> Value {
        json!({ "type": "string", "enum": Self::all().map(Capability::as_str).collect::<Vec<_>>() })
    }

    fn decode(node: &Node<'_>, decoder: &mut Decoder) -> Option<Self> {
        let capability = Capability::decode(node, decoder)?;
        if Self::all().any(|deniable| deniable == capability) {
            return Some(Self(capability));
        }
        let message = format!("the capability \"{capability}\" cannot be denied");
        let help = "its functions have no way to answer an error, and every guest has the same \
                    from WASI; take it out";
        decoder.report_with_help(node.span(), message, "not deniable", help);
        None
    }
}

/// `[policy.modules.<name>]`. A table that is bad altogether is left out.
pub(crate) struct RawOverrides(BTreeMap<ModuleName, At<RawCeilings>>);

impl Decode for RawOverrides {
    const EXPECTS: &'static str = "a table";

    fn schema() -> Value {
        json!({
            "type": "object",
            "propertyNames": { "pattern": "^[a-z0-9-]{1,64}$" },
            "additionalProperties": RawCeilings::schema(),
        })
    }

    fn decode(node: &Node<'_>, decoder: &mut Decoder) -> Option<Self> {
        let DeValue::Table(table) = node.get_ref() else {
            decoder.mismatch::<Self>(node);
            return None;
        };
        let mut overrides = BTreeMap::new();
        for (key, node) in table {
            let text = key.get_ref().as_ref();
            let Ok(name) = text.parse::<ModuleName>() else {
                let message = format!(
                    "`policy.modules` takes modules' names as keys, not {}",
                    key_text(text)
                );
                let help = "write the name that the module runs under, such as [policy.modules.price-alert]";
                decoder.report_with_help(key.span(), message, "no module name", help);
                continue;
            };
            let raw = decoder.within(text, "", |decoder| RawCeilings::decode(node, decoder));
            if let Some(value) = raw {
                let span = key.span();
                overrides.insert(name, At { span, value });
            }
        }
        Some(Self(overrides))
    }
}

/// The ceilings as they are written in either table.
macro_rules! ceilings {
    ($raw:expr, $decoder:expr) => {{
        let (raw, decoder) = ($raw, $decoder);
        let denied = raw.denied_capabilities.as_ref();
        Ceilings {
            rpc_rate: chains::rate(
                raw.rpc_requests_per_second.as_ref(),
                raw.rpc_burst.as_ref(),
                ["rpc_requests_per_second", "rpc_burst"],
                decoder,
            ),
            log_rate: chains::rate(
                raw.log_lines_per_second.as_ref(),
                raw.log_burst.as_ref(),
                ["log_lines_per_second", "log_burst"],
                decoder,
            ),
            http_rate: chains::rate(
                raw.http_requests_per_second.as_ref(),
                raw.http_burst.as_ref(),
                ["http_requests_per_second", "http_burst"],
                decoder,
            ),
            signature_rate: chains::rate(
                raw.signatures_per_second.as_ref(),
                raw.signature_burst.as_ref(),
                ["signatures_per_second", "signature_burst"],
                decoder,
            ),
            http_allow: raw.http_allow.as_ref().map(|list| patterns(list)),
            http_deny: raw.http_deny.as_ref().map(|list| patterns(list)),
            max_memory_bytes: raw.max_memory_bytes.as_ref().map(|bytes| bytes.0),
            max_fuel_per_event: raw.max_fuel_per_event.as_ref().map(|fuel| fuel.0),
            max_event_duration: raw.max_event_duration,
            max_state_bytes: raw.max_state_bytes.as_ref().map(|bytes| bytes.0),
            denied: denied.map(|set| set.0.iter().map(|item| item.value.0).collect()),
        }
    }};
}

fn patterns(list: &[At<HostPattern>]) -> Vec<HostPattern> {
    list.iter().map(|at| at.value.clone()).collect()
}

/// Where in the file the operator says what of which module.
#[derive(Debug)]
pub(crate) struct Said<Where> {
    /// Capabilities that are denied: to one module, or to all.
    pub(crate) denied: BTreeMap<(Option<ModuleName>, Capability), Where>,
    /// The ceilings of single modules.
    pub(crate) modules: BTreeMap<ModuleName, Where>,
    /// The modules that credentials are for.
    pub(crate) credentials: Vec<(ModuleName, Where)>,
}

impl<Where> Default for Said<Where> {
    fn default() -> Self {
        Self {
            denied: BTreeMap::new(),
            modules: BTreeMap::new(),
            credentials: Vec::new(),
        }
    }
}

impl Said<Span> {
    pub(crate) fn places(self, source: &Arc<Source>) -> Said<Place> {
        let denied = self.denied.into_iter();
        let modules = self.modules.into_iter();
        let credentials = self.credentials.into_iter();
        Said {
            denied: denied
                .map(|(key, span)| (key, source.place(span)))
                .collect(),
            modules: modules
                .map(|(name, span)| (name, source.place(span)))
                .collect(),
            credentials: credentials
                .map(|(name, span)| (name, source.place(span)))
                .collect(),
        }
    }
}

impl Said<Place> {
    /// The ceilings and credentials of modules that there are not, each as a problem that refuses
    /// nothing: its module may be loaded later.
    pub(crate) fn to_nobody(&self, known: &BTreeSet<ModuleName>) -> Vec<Problem> {
        let names: Vec<_> = known.iter().map(ModuleName::as_str).collect();
        let ceilings = self.modules.iter();
        let ceilings = ceilings.map(|(name, at)| (format!("`policy.modules.{name}`"), name, at));
        let credentials = self.credentials.iter();
        let credentials = credentials
            .map(|(name, at)| (format!("`http.credentials.modules` with {name}"), name, at));
        let unknown = ceilings
            .chain(credentials)
            .filter(|(_, name, _)| !known.contains(*name));
        let problem = |(what, name, place): (String, &ModuleName, &Place)| {
            let message =
                format!("{what} is for no module: none of that name is configured or was loaded");
            let help = match wording::nearest(name.as_str(), &names) {
                Some(near) => format!("did you mean `{near}`?"),
                None if names.is_empty() => {
                    "there is no module; take it out, unless one is to be loaded".to_owned()
                }
                None => format!("there are {}", wording::listed(&names)),
            };
            Problem::new(place.clone(), message)
                .with_label("no such module")
                .with_help(help)
        };
        unknown.map(problem).collect()
    }
}

/// The policy, and where in the file it says what.
pub(crate) fn resolve(raw: Option<&RawPolicy>, decoder: &mut Decoder) -> (Policy, Said<Span>) {
    let mut said = Said::default();
    let Some(raw) = raw else {
        return (Policy::default(), said);
    };
    let mut note = |module: Option<&ModuleName>, denied: Option<&Set<Deniable>>| {
        for item in denied.iter().flat_map(|set| &set.0) {
            let key = (module.cloned(), item.value.0);
            said.denied.insert(key, item.span.clone());
        }
    };
    note(None, raw.denied_capabilities.as_ref());
    let mut modules = BTreeMap::new();
    let every = decoder.within("policy", "", |decoder| {
        for (name, At { value: raw, .. }) in raw.modules.iter().flat_map(|all| &all.0) {
            note(Some(name), raw.denied_capabilities.as_ref());
            let key = format!("modules.{name}");
            let own = decoder.within(&key, "", |decoder| ceilings!(raw, decoder));
            modules.insert(name.clone(), own);
        }
        ceilings!(raw, decoder)
    });
    let overrides = raw.modules.iter().flat_map(|all| &all.0);
    said.modules = overrides
        .map(|(name, at)| (name.clone(), at.span.clone()))
        .collect();
    let policy = Policy {
        every,
        modules,
        require_digest: raw.require_digest,
    };
    (policy, said)
}

impl Policy {
    /// The ceilings of one module: its own, and where it has none, those of every module.
    #[must_use]
    pub fn of(&self, module: &ModuleName) -> Ceilings {
        let Some(own) = self.modules.get(module) else {
            return self.every.clone();
        };
        let every = &self.every;
        let either = |own: Option<u64>, every: Option<u64>| own.or(every);
        Ceilings {
            rpc_rate: own.rpc_rate.or(every.rpc_rate),
            log_rate: own.log_rate.or(every.log_rate),
            http_rate: own.http_rate.or(every.http_rate),
            signature_rate: own.signature_rate.or(every.signature_rate),
            http_allow: own.http_allow.clone().or_else(|| every.http_allow.clone()),
            http_deny: own.http_deny.clone().or_else(|| every.http_deny.clone()),
            max_memory_bytes: either(own.max_memory_bytes, every.max_memory_bytes),
            max_fuel_per_event: either(own.max_fuel_per_event, every.max_fuel_per_event),
            max_event_duration: own.max_event_duration.or(every.max_event_duration),
            max_state_bytes: either(own.max_state_bytes, every.max_state_bytes),
            denied: own.denied.clone().or_else(|| every.denied.clone()),
        }
    }

    /// The rate at which a module may log.
    #[must_use]
    pub fn log_rate(&self, module: &ModuleName) -> Rate {
        self.of(module).log_rate.unwrap_or(DEFAULT_LOG_RATE)
    }
}

/// How much a module may log unless the operator says otherwise.
const DEFAULT_LOG_RATE: Rate = Rate {
    per_second: 100,
    burst: 1_000,
};

/// How much a module may ask servers outside unless the operator says otherwise.
const DEFAULT_HTTP_RATE: Rate = Rate {
    per_second: 10,
    burst: 50,
};

/// How much a module may have signed unless the operator says otherwise.
const DEFAULT_SIGNATURE_RATE: Rate = Rate {
    per_second: 10,
    burst: 50,
};

impl Ceilings {
    /// The rate at which the module may ask for signatures.
    #[must_use]
    pub fn signature_rate(&self) -> Rate {
        self.signature_rate.unwrap_or(DEFAULT_SIGNATURE_RATE)
    }

    /// The rate at which the module may ask servers outside.
    #[must_use]
    pub fn http_rate(&self) -> Rate {
        self.http_rate.unwrap_or(DEFAULT_HTTP_RATE)
    }

    /// The capabilities that are denied.
    #[must_use]
    pub fn denied(&self) -> BTreeSet<Capability> {
        self.denied.clone().unwrap_or_default()
    }
}
