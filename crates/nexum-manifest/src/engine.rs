//! `nexum-engine.toml`, the operator's file.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use nexum_types::{ChainId, ModuleName};
use serde_json::{Value, json};
use toml::de::DeValue;
use url::Url;

use crate::{
    Bundle, ChainSettings, Endpoint, EngineConfig, LogFormat, LogLevels, LogSettings,
    ManifestErrors, ModuleEntry, Place, Problem, bundle,
    config::RawConfig,
    decode::{self, At, Decode, Decoder, Node, table},
    file::{self, Parsed},
    lists::NonEmpty,
    secret::{Env, Secret},
    source::{Shown, Source, Span},
    wording::key_text,
};

table! {
    /// The operator's file: where the engine keeps its state, which chains it reaches, which modules it runs.
    struct RawEngineFile {
        /// The engine itself.
        required engine: RawEngine,
        /// The chains, by id: `[chains.1]`.
        optional chains: RawChains,
        /// The modules to run.
        optional modules: Vec<At<RawEntry>>,
    }
}

table! {
    /// The engine itself.
    struct RawEngine {
        /// The folder where the engine keeps its state, relative to this file's folder.
        required state_dir: PathBuf,
        /// How long the calls in flight may take to finish after a request to stop.
        default shutdown_grace: Duration = Duration::from_secs(10),
        /// How and how much the engine logs.
        default log: RawLog = RawLog { format: LogFormat::default(), level: LogLevels::default() },
    }
}

table! {
    /// How and how much the engine logs.
    struct RawLog {
        /// The form of a line: "pretty", for people, or "json", one object a line.
        default format: LogFormat = LogFormat::default(),
        /// A level (off, error, warn, info, debug, trace), or a list with levels of single parts, such as `info,nexum_chain=debug`.
        default level: LogLevels = LogLevels::default(),
    }
}

impl decode::Written for RawLog {
    fn written(&self) -> Value {
        json!({ "format": self.format.written(), "level": self.level.written() })
    }
}

table! {
    /// One chain and how to reach it.
    struct RawChain {
        /// How often an HTTP endpoint is asked for its head.
        default poll_interval: Duration = Duration::from_secs(1),
        /// How long one request may take, on one endpoint.
        default request_timeout: Duration = Duration::from_secs(10),
        /// The chain's endpoints: at least one `[[chains.<id>.endpoints]]`.
        required endpoints: NonEmpty<RawEndpoint>,
    }
}

table! {
    /// One JSON-RPC endpoint.
    struct RawEndpoint {
        /// An http, https, ws or wss URL: the text itself, { env = "NAME" } or { file = "path" }.
        required url: At<Secret>,
        /// Lower is preferred. Among equals, the one written first.
        default priority: u32 = 0,
    }
}

table! {
    /// One module to run.
    struct RawEntry {
        /// The bundle's folder, with `nexum.toml` and `module.wasm`, relative to this file's folder.
        required path: At<PathBuf>,
        /// The name to run the module under, if not its manifest's. One bundle can run several times under several names, each with a state of its own.
        optional name: At<ModuleName>,
        /// Values laid over the manifest's `[config]`.
        optional config: RawConfig,
        /// False leaves the module out.
        default enabled: bool = true,
    }
}

/// `[chains.<id>]`.
pub(crate) struct RawChains(BTreeMap<ChainId, Option<RawChain>>);

impl Decode for RawChains {
    const EXPECTS: &'static str = "a table";

    fn schema() -> Value {
        json!({
            "type": "object",
            "propertyNames": { "pattern": "^[1-9][0-9]*$" },
            "additionalProperties": RawChain::schema(),
        })
    }

    fn decode(node: &Node<'_>, decoder: &mut Decoder) -> Option<Self> {
        let DeValue::Table(table) = node.get_ref() else {
            decoder.mismatch::<Self>(node);
            return None;
        };
        let mut chains = BTreeMap::new();
        for (key, node) in table {
            let name = key.get_ref().as_ref();
            // "01" and "1" are two keys for TOML and one chain: only one spelling is taken.
            let id = name
                .parse()
                .ok()
                .filter(|id: &u64| *id > 0 && id.to_string() == name);
            let Some(id) = id else {
                let message = format!("`chains` takes chain ids as keys, not {}", key_text(name));
                let help = "write the chain's number, such as [chains.1]";
                decoder.report_with_help(key.span(), message, "no chain id", help);
                continue;
            };
            let chain = decoder.within(name, "", |decoder| RawChain::decode(node, decoder));
            chains.insert(ChainId(id), chain);
        }
        Some(Self(chains))
    }
}

/// The operator's file, resolved, and the places in it that later checks point at.
#[derive(Debug)]
pub struct EngineFile {
    config: EngineConfig,
    parts: EngineParts,
}

impl EngineFile {
    /// Reads and checks the operator's file, secrets included. Bundles are not looked at.
    ///
    /// # Errors
    /// Every problem of the file, the one of reading it included.
    pub fn load(path: &Path) -> Result<Self, ManifestErrors> {
        Self::load_with(path, &|name| std::env::var_os(name))
    }

    /// As [`load`](Self::load), with another environment.
    ///
    /// # Errors
    /// Every problem of the file, the one of reading it included.
    pub fn load_with(path: &Path, env: &Env<'_>) -> Result<Self, ManifestErrors> {
        let (config, parts) = read(path, env)?;
        match (ManifestErrors::new(parts.problems.clone()), config) {
            (None, Some(config)) => Ok(Self { config, parts }),
            (Some(errors), _) => Err(errors),
            (None, None) => Err(file::unexplained(&parts.source).into()),
        }
    }

    /// The settings.
    #[must_use]
    pub fn config(&self) -> &EngineConfig {
        &self.config
    }

    /// The settings, without their places.
    #[must_use]
    pub fn into_config(self) -> EngineConfig {
        self.config
    }

    /// Where the URL of an endpoint is written. `index` counts as in
    /// [`ChainSettings::endpoints`].
    #[must_use]
    pub fn endpoint(&self, chain: ChainId, index: usize) -> Option<&Place> {
        self.parts.endpoints.get(&chain)?.get(index)
    }

    /// Reads and checks the bundle of each enabled module, in the order of the file.
    ///
    /// # Errors
    /// Every problem of all bundles, and of how they go together.
    pub fn load_bundles(&self) -> Result<Vec<Bundle>, ManifestErrors> {
        let (bundles, problems) = bundle::read_all(&self.parts);
        ManifestErrors::new(problems).map_or(Ok(bundles), Err)
    }
}

/// Everything that the two kinds of file say.
#[derive(Debug)]
pub struct Setup {
    /// The operator's file.
    pub engine: EngineFile,
    /// The enabled modules, in its order.
    pub bundles: Vec<Bundle>,
}

impl Setup {
    /// Reads and checks the operator's file and the bundles that it names.
    ///
    /// # Errors
    /// Every problem of all files at once: those of the operator's file first, then those of the
    /// bundles in its order. A problem in one file does not hide those of another.
    pub fn load(path: &Path) -> Result<Self, ManifestErrors> {
        Self::load_with(path, &|name| std::env::var_os(name))
    }

    /// As [`load`](Self::load), with another environment.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn load_with(path: &Path, env: &Env<'_>) -> Result<Self, ManifestErrors> {
        let (config, parts) = read(path, env)?;
        let (bundles, of_bundles) = bundle::read_all(&parts);
        let problems = parts.problems.iter().cloned().chain(of_bundles).collect();
        match (ManifestErrors::new(problems), config) {
            (None, Some(config)) => Ok(Self {
                engine: EngineFile { config, parts },
                bundles,
            }),
            (Some(errors), _) => Err(errors),
            (None, None) => Err(file::unexplained(&parts.source).into()),
        }
    }
}

/// What the checks across files need of the operator's file, whether or not all of it is good.
#[derive(Debug)]
pub(crate) struct EngineParts {
    pub(crate) source: Arc<Source>,
    pub(crate) problems: Vec<Problem>,
    /// The enabled entries that have a path.
    pub(crate) entries: Vec<EntryParts>,
    /// The chains that are configured, well or not.
    pub(crate) chains: BTreeSet<ChainId>,
    endpoints: BTreeMap<ChainId, Vec<Place>>,
}

/// One enabled `[[modules]]` entry.
#[derive(Debug)]
pub(crate) struct EntryParts {
    pub(crate) entry: ModuleEntry,
    pub(crate) path: Place,
    pub(crate) name: Option<Place>,
    /// Where the values of `config` are.
    pub(crate) config: BTreeMap<String, Place>,
}

fn read(path: &Path, env: &Env<'_>) -> Result<(Option<EngineConfig>, EngineParts), ManifestErrors> {
    let text = file::read(path)?;
    let folder = path.parent().unwrap_or(Path::new(""));
    let Parsed { raw, mut decoder } = file::parse::<RawEngineFile>(&text);
    let mut places = BTreeMap::new();
    let chains = raw
        .as_ref()
        .map(|raw| chains(raw, folder, env, &mut places, &mut decoder));
    let words = decode::words(&RawEngineFile::schema());
    let shown = Shown::Only {
        words: &words,
        values: &decoder.shown,
    };
    let source = Source::new(path, text, &shown);
    let entries: Vec<_> = raw
        .iter()
        .flat_map(enabled)
        .filter_map(|raw| entry(raw, folder, &source))
        .collect();
    let config = raw.as_ref().zip(chains).and_then(|(raw, chains)| {
        let engine = raw.engine.as_ref()?;
        Some(EngineConfig {
            state_dir: folder.join(engine.state_dir.as_ref()?),
            shutdown_grace: engine.shutdown_grace,
            log: LogSettings {
                format: engine.log.format,
                level: engine.log.level.clone(),
            },
            chains,
            modules: entries.iter().map(|parts| parts.entry.clone()).collect(),
        })
    });
    let configured = raw.iter().filter_map(|raw| raw.chains.as_ref());
    let place = |spans: Vec<Span>| spans.into_iter().map(|span| source.place(span)).collect();
    let parts = EngineParts {
        problems: file::problems(&source, decoder.found),
        entries,
        chains: configured
            .flat_map(|chains| chains.0.keys().copied())
            .collect(),
        endpoints: places
            .into_iter()
            .map(|(chain, spans)| (chain, place(spans)))
            .collect(),
        source,
    };
    Ok((config, parts))
}

fn enabled(raw: &RawEngineFile) -> impl Iterator<Item = &RawEntry> {
    raw.modules
        .iter()
        .flatten()
        .map(|entry| &entry.value)
        .filter(|entry| entry.enabled)
}

fn entry(raw: &RawEntry, folder: &Path, source: &Arc<Source>) -> Option<EntryParts> {
    let path = raw.path.as_ref()?;
    let config = raw.config.as_ref();
    Some(EntryParts {
        entry: ModuleEntry {
            path: folder.join(&path.value),
            name: raw.name.as_ref().map(|name| name.value.clone()),
            config: config.map(RawConfig::resolve).unwrap_or_default(),
        },
        path: source.place(path.span.clone()),
        name: raw
            .name
            .as_ref()
            .map(|name| source.place(name.span.clone())),
        config: config
            .iter()
            .flat_map(|config| &config.0)
            .map(|(key, entry)| (key.clone(), source.place(entry.span.clone())))
            .collect(),
    })
}

/// The chains with their secrets resolved, and where the URLs are. What is bad is reported and
/// left out.
fn chains(
    raw: &RawEngineFile,
    folder: &Path,
    env: &Env<'_>,
    places: &mut BTreeMap<ChainId, Vec<Span>>,
    decoder: &mut Decoder,
) -> BTreeMap<ChainId, ChainSettings> {
    let mut chains = BTreeMap::new();
    let decoded = raw.chains.iter().flat_map(|chains| &chains.0);
    for (&id, raw) in decoded.filter_map(|(id, raw)| Some((id, raw.as_ref()?))) {
        let Some(list) = &raw.endpoints else { continue };
        let mut endpoints: Vec<_> = list
            .0
            .iter()
            .filter_map(|endpoint| {
                let raw = endpoint.value.url.as_ref()?;
                let url = url(raw, id, folder, env, decoder)?;
                Some((
                    Endpoint {
                        url,
                        priority: endpoint.value.priority,
                    },
                    raw.span.clone(),
                ))
            })
            .collect();
        endpoints.sort_by_key(|(endpoint, _)| endpoint.priority);
        let (endpoints, spans) = endpoints.into_iter().unzip();
        places.insert(id, spans);
        let settings = ChainSettings {
            id,
            endpoints,
            poll_interval: raw.poll_interval,
            request_timeout: raw.request_timeout,
        };
        chains.insert(id, settings);
    }
    chains
}

/// An endpoint's URL. What is wrong with it is said without any part of it.
fn url(
    secret: &At<Secret>,
    chain: ChainId,
    folder: &Path,
    env: &Env<'_>,
    decoder: &mut Decoder,
) -> Option<Url> {
    let key = format!("chains.{chain}.endpoints.url");
    let text = match secret.value.resolve(folder, env) {
        Ok(text) => text,
        Err(error) => {
            let message = format!("`{key}`: {}", error.message);
            decoder.report_with_help(secret.span.clone(), message, "from here", error.help);
            return None;
        }
    };
    let help = "write it as in https://host:port/path; the schemes are http, https, ws and wss";
    let origin = secret.value.origin();
    let message = match Url::parse(&text) {
        Ok(url) if ["http", "https", "ws", "wss"].contains(&url.scheme()) => return Some(url),
        Ok(_) => format!("`{key}`: {origin} is a URL of a scheme that no endpoint has"),
        Err(error) => format!("`{key}`: {origin} is not a URL: {error}"),
    };
    decoder.report_with_help(secret.span.clone(), message, "not an endpoint's URL", help);
    None
}

/// The JSON Schema of `nexum-engine.toml`, as text.
#[must_use]
pub fn schema_engine() -> String {
    file::schema::<RawEngineFile>("nexum-engine.toml")
}
