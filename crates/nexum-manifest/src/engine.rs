//! `nexum-engine.toml`, the operator's file.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use nexum_types::{Address, ChainId, ModuleName};
use serde_json::{Value, json};

use crate::{
    Bundle, EngineConfig, HttpCredential, IdentitySettings, LogFormat, LogLevels, LogSettings,
    ManifestErrors, ModuleEntry, Place, Policy, Problem, Sha256, bundle,
    chains::{self, RawChains},
    config::RawConfig,
    decode::{self, At, Decode, table},
    file::{self, Parsed},
    http::{self, RawHttp},
    identity::{self, RawIdentity, SaidOfKeys},
    observability::{self, RawObservability},
    policy::{self, RawPolicy, Said},
    secret::Env,
    source::{Shown, Source, Span},
};

table! {
    /// The operator's file: where the engine keeps its state, which chains it reaches, which modules it runs.
    struct RawEngineFile {
        /// The engine itself.
        required engine: RawEngine,
        /// The ceilings that no manifest widens.
        optional policy: RawPolicy,
        /// The chains, by id: `[chains.1]`.
        optional chains: RawChains,
        /// What modules may do to servers outside, and the credentials that the engine adds.
        optional http: RawHttp,
        /// Where keys are, and which module may sign with which account.
        optional identity: RawIdentity,
        /// Where the engine tells how it and its modules are.
        optional observability: RawObservability,
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
    /// One module to run.
    struct RawEntry {
        /// The bundle's folder, with `nexum.toml` and `module.wasm`, relative to this file's folder.
        required path: At<PathBuf>,
        /// The name to run the module under, if not its manifest's. One bundle can run several times under several names, each with a state of its own.
        optional name: At<ModuleName>,
        /// The digest that the component's bytes must have: "sha256:" and 64 hex digits. Without it, the manifest's, if it has one.
        optional digest: At<Sha256>,
        /// Values laid over the manifest's `[config]`.
        optional config: RawConfig,
        /// False leaves the module out.
        default enabled: bool = true,
    }
}

table! {
    /// Modules to run beside those of the operator's file.
    struct RawMoreModules {
        /// The modules to run.
        optional modules: Vec<At<RawEntry>>,
    }
}

/// The operator's file, resolved, and the places in it that later checks point at.
#[derive(Debug)]
pub struct EngineFile {
    path: PathBuf,
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
            (None, Some(config)) => Ok(Self {
                path: path.to_owned(),
                config,
                parts,
            }),
            (Some(errors), _) => Err(errors),
            (None, None) => Err(file::unexplained(&parts.source).into()),
        }
    }

    /// The `state_dir` alone, for who works on it or on the engine that runs there: the rest of
    /// the file is not looked at, and no secret is asked for.
    ///
    /// # Errors
    /// That the file cannot be read or names no `state_dir`, with every problem of the file then.
    pub fn state_dir(path: &Path) -> Result<PathBuf, ManifestErrors> {
        let named = Self::part(path, |raw| raw.engine.as_ref()?.state_dir.clone())?;
        Ok(folder_of(path).join(named))
    }

    /// The folder of keystores alone, if the file names one: the rest of the file is not looked
    /// at, and no secret is asked for.
    ///
    /// # Errors
    /// That the file cannot be read, with every problem of the file then.
    pub fn keystore_folder(path: &Path) -> Result<Option<PathBuf>, ManifestErrors> {
        let named = Self::part(path, |raw| {
            let keystore = raw.identity.as_ref().map(|raw| raw.keystore.as_ref());
            Some(keystore.flatten().map(|at| at.value.clone()))
        })?;
        Ok(named.map(|named| folder_of(path).join(named)))
    }

    /// A part of the file, whatever the rest says.
    fn part<T>(
        path: &Path,
        part: impl FnOnce(&RawEngineFile) -> Option<T>,
    ) -> Result<T, ManifestErrors> {
        let text = file::read(path)?;
        let Parsed { raw, decoder } = file::parse::<RawEngineFile>(&text);
        if let Some(part) = raw.as_ref().and_then(part) {
            return Ok(part);
        }
        let words = decode::words(&RawEngineFile::schema());
        let shown = Shown::Only {
            words: &words,
            values: &decoder.shown,
        };
        let source = Source::new(path, text, &shown);
        let problems = file::problems(&source, decoder.found);
        Err(ManifestErrors::new(problems).unwrap_or_else(|| file::unexplained(&source).into()))
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
    /// [`ChainSettings::endpoints`](crate::ChainSettings::endpoints).
    #[must_use]
    pub fn endpoint(&self, chain: ChainId, index: usize) -> Option<&Place> {
        self.parts.endpoints.get(&chain)?.get(index)
    }

    /// Reads the entry of a module that this file names anew, and the bundle that it names now.
    /// Only the entry counts: chains and policy are those of this file as it was.
    ///
    /// # Errors
    /// Every problem of the file, wherever it is, or else of the bundle; that the file does not run
    /// the module any more, too.
    pub fn reload(&self, bundle: &Bundle) -> Result<Bundle, ManifestErrors> {
        self.reload_with(bundle, &|name| std::env::var_os(name))
    }

    /// As [`reload`](Self::reload), with another environment.
    ///
    /// # Errors
    /// As [`reload`](Self::reload).
    pub fn reload_with(&self, bundle: &Bundle, env: &Env<'_>) -> Result<Bundle, ManifestErrors> {
        let (_, now) = read(&self.path, env)?;
        let EngineParts {
            source,
            problems,
            entries,
            ..
        } = now;
        match ManifestErrors::new(problems) {
            Some(errors) => Err(errors),
            None => bundle::reread(&self.parts.with(source, Vec::new(), entries, true), bundle),
        }
    }

    /// Reads the credentials for servers outside anew, with the secrets that they name. They alone
    /// count: all else is that of this file as it was.
    ///
    /// # Errors
    /// Every problem of the file, wherever it is.
    pub fn reload_credentials(&self) -> Result<Vec<HttpCredential>, ManifestErrors> {
        let (config, now) = read(&self.path, &|name| std::env::var_os(name))?;
        match (ManifestErrors::new(now.problems), config) {
            (None, Some(config)) => Ok(config.http.credentials),
            (Some(errors), _) => Err(errors),
            (None, None) => Err(file::unexplained(&now.source).into()),
        }
    }

    /// Reads and checks the bundles of further modules: those of the `[[modules]]` tables in
    /// `text`, which are written as in this file. `path` is what problems call it; relative paths
    /// in it are resolved against its folder.
    ///
    /// # Errors
    /// Every problem of the text and of all bundles, and of how they go together.
    pub fn load_more(&self, path: &Path, text: String) -> Result<Vec<Bundle>, ManifestErrors> {
        let folder = path.parent().unwrap_or(Path::new(""));
        let Parsed { raw, decoder } = file::parse::<RawMoreModules>(&text);
        let words = decode::words(&RawMoreModules::schema());
        let shown = Shown::Only {
            words: &words,
            values: &decoder.shown,
        };
        let source = Source::new(path, text, &shown);
        let entries = raw.iter().flat_map(|raw| enabled(raw.modules.as_ref()));
        let entries = entries.filter_map(|raw| entry(raw, folder, &source));
        let entries = entries.collect();
        let problems = file::problems(&source, decoder.found);
        let parts = self.parts.with(source, problems, entries, false);
        let (bundles, of_bundles) = bundle::read_all(&parts);
        let problems = parts.problems.iter().cloned().chain(of_bundles).collect();
        ManifestErrors::new(problems).map_or(Ok(bundles), Err)
    }

    /// What under `[policy.modules]`, `[identity.modules]` and `[[http.credentials]]` is for no
    /// module, each as a problem that refuses nothing.
    /// `modules`: those that run or are to, from this file or not. Those that this file disables
    /// are known, too.
    #[must_use]
    pub fn for_nobody(&self, modules: impl IntoIterator<Item = ModuleName>) -> Vec<Problem> {
        let mut known: BTreeSet<_> = modules.into_iter().collect();
        known.extend(self.parts.disabled.iter().filter_map(bundle::name_of));
        let mut found = self.parts.said.to_nobody(&known);
        found.extend(self.parts.of_keys.to_nobody(&known));
        found
    }

    /// Where the folder of keystores is written: the file as a whole where there is none.
    #[must_use]
    pub fn keystore(&self) -> Place {
        let written = self.parts.of_keys.keystore.clone();
        written.unwrap_or_else(|| self.parts.source.whole())
    }

    /// Where an account is first given to a module: the file as a whole where it is not.
    #[must_use]
    pub fn account(&self, account: &Address) -> Place {
        let written = self.parts.of_keys.accounts.get(account).cloned();
        written.unwrap_or_else(|| self.parts.source.whole())
    }

    /// Where the address of the metrics is written: the file as a whole where it is the default.
    #[must_use]
    pub fn metrics(&self) -> &Place {
        &self.parts.metrics
    }

    /// Where the address of the health reports is written: the file as a whole where it is the
    /// default.
    #[must_use]
    pub fn health(&self) -> &Place {
        &self.parts.health
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
                engine: EngineFile {
                    path: path.to_owned(),
                    config,
                    parts,
                },
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
    /// The name of the file that configures the chains.
    pub(crate) file: String,
    pub(crate) policy: Policy,
    /// Where the policy says what.
    pub(crate) said: Arc<Said<Place>>,
    pub(crate) identity: IdentitySettings,
    /// Where what is said of keys.
    pub(crate) of_keys: Arc<SaidOfKeys<Place>>,
    pub(crate) problems: Vec<Problem>,
    /// The enabled entries that have a path.
    pub(crate) entries: Vec<EntryParts>,
    /// The others that have one.
    pub(crate) disabled: Vec<EntryParts>,
    /// Whether they are those of the operator's file, and not of modules beside it.
    pub(crate) is_operators: bool,
    /// The chains that are configured, well or not.
    pub(crate) chains: BTreeSet<ChainId>,
    endpoints: BTreeMap<ChainId, Vec<Place>>,
    metrics: Place,
    health: Place,
}

impl EngineParts {
    /// The same with other entries.
    fn with(
        &self,
        source: Arc<Source>,
        problems: Vec<Problem>,
        entries: Vec<EntryParts>,
        is_operators: bool,
    ) -> Self {
        Self {
            source,
            problems,
            entries,
            is_operators,
            file: self.file.clone(),
            policy: self.policy.clone(),
            said: self.said.clone(),
            identity: self.identity.clone(),
            of_keys: self.of_keys.clone(),
            disabled: Vec::new(),
            chains: self.chains.clone(),
            endpoints: BTreeMap::new(),
            metrics: self.metrics.clone(),
            health: self.health.clone(),
        }
    }
}

/// One enabled `[[modules]]` entry.
#[derive(Debug)]
pub(crate) struct EntryParts {
    pub(crate) entry: ModuleEntry,
    pub(crate) path: Place,
    pub(crate) name: Option<Place>,
    pub(crate) digest: Option<Place>,
    /// Where the values of `config` are.
    pub(crate) config: BTreeMap<String, Place>,
}

fn read(path: &Path, env: &Env<'_>) -> Result<(Option<EngineConfig>, EngineParts), ManifestErrors> {
    let text = file::read(path)?;
    let folder = path.parent().unwrap_or(Path::new(""));
    let Parsed { raw, mut decoder } = file::parse::<RawEngineFile>(&text);
    let mut places = BTreeMap::new();
    let chains = raw.as_ref().map(|raw| {
        let chains = raw.chains.as_ref();
        chains::resolve(chains, folder, env, &mut places, &mut decoder)
    });
    let raw_policy = raw.as_ref().and_then(|raw| raw.policy.as_ref());
    let (policy, mut said) = policy::resolve(raw_policy, &mut decoder);
    let raw_http = raw.as_ref().and_then(|raw| raw.http.as_ref());
    let http = http::resolve(raw_http, folder, env, &mut decoder);
    said.credentials = http::named_modules(raw_http);
    let observability = raw.as_ref().and_then(|raw| raw.observability.as_ref());
    let (observability, listen) = observability::resolve(observability, &mut decoder);
    let raw_identity = raw.as_ref().and_then(|raw| raw.identity.as_ref());
    let configured = raw.iter().filter_map(|raw| raw.chains.as_ref());
    let configured = configured.flat_map(RawChains::ids).collect();
    let (identity, of_keys) =
        identity::resolve(raw_identity, folder, env, &configured, &mut decoder);
    let words = decode::words(&RawEngineFile::schema());
    let shown = Shown::Only {
        words: &words,
        values: &decoder.shown,
    };
    let source = Source::new(path, text, &shown);
    let entries: Vec<_> = raw
        .iter()
        .flat_map(|raw| enabled(raw.modules.as_ref()))
        .filter_map(|raw| entry(raw, folder, &source))
        .collect();
    let all = raw.iter().filter_map(|raw| raw.modules.as_ref()).flatten();
    let disabled = all
        .filter(|entry| !entry.value.enabled)
        .filter_map(|raw| entry(&raw.value, folder, &source))
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
            policy: policy.clone(),
            http,
            identity: identity.clone(),
            observability,
            modules: entries.iter().map(|parts| parts.entry.clone()).collect(),
        })
    });
    let place = |spans: Vec<Span>| spans.into_iter().map(|span| source.place(span)).collect();
    let written =
        |span: Option<Span>| span.map_or_else(|| source.whole(), |span| source.place(span));
    let parts = EngineParts {
        problems: file::problems(&source, decoder.found),
        entries,
        disabled,
        is_operators: true,
        chains: configured,
        endpoints: places
            .into_iter()
            .map(|(chain, spans)| (chain, place(spans)))
            .collect(),
        file: source.name().to_owned(),
        said: Arc::new(said.places(&source)),
        policy,
        of_keys: Arc::new(of_keys.places(&source)),
        identity,
        metrics: written(listen.metrics),
        health: written(listen.health),
        source,
    };
    Ok((config, parts))
}

/// What relative paths in a file are resolved against.
fn folder_of(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new(""))
}

fn enabled(modules: Option<&Vec<At<RawEntry>>>) -> impl Iterator<Item = &RawEntry> {
    modules
        .into_iter()
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
            digest: raw.digest.as_ref().map(|digest| digest.value),
            config: config.map(RawConfig::resolve).unwrap_or_default(),
        },
        path: source.place(path.span.clone()),
        name: raw
            .name
            .as_ref()
            .map(|name| source.place(name.span.clone())),
        digest: raw
            .digest
            .as_ref()
            .map(|digest| source.place(digest.span.clone())),
        config: config
            .iter()
            .flat_map(|config| &config.0)
            .map(|(key, entry)| (key.clone(), source.place(entry.span.clone())))
            .collect(),
    })
}

/// The JSON Schema of `nexum-engine.toml`, as text.
#[must_use]
pub fn schema_engine() -> String {
    file::schema::<RawEngineFile>("nexum-engine.toml")
}
