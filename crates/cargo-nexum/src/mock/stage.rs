//! What a fixture is played on: chains, servers in front of them, and an engine with a state of
//! its own, all in a folder that goes when it is over.

use std::{collections::BTreeSet, fmt::Write as _, path::Path, sync::Arc};

use nexum_engine::{Backoff, Engine, Observer, Options};
use nexum_host::Host;
use nexum_identity::{Key, KeyFile, KeyFolder, Password, Save, WriteCost};
use nexum_manifest::{
    Capability, ManifestErrors, ModuleManifest, Place, Problem, Schedule, Scheme, Setup,
    Subscription,
};
use nexum_store::{StateDir, Step, StoreOptions};
use nexum_testkit::{
    Act, Action, ConfigScalar, ConfigSetting, Endpoint, Fixture, RpcServer, ScriptedChain, Stage,
};
use nexum_types::{BlockNumber, BlockRef, Cursor, Depth, Source};
use tempfile::TempDir;

use super::{
    Told,
    seed::{self, Entry},
    servers::Servers,
};
use crate::{build::Built, exit::Failure};

/// The folder of keystores, and their password: there is nothing to keep secret of the one in it.
const KEYS: &str = "keys";
const PASSWORD: &str = "mock";

/// How often an engine that has lost its subscription looks at a chain.
const POLL: &str = "20ms";

/// Everything that one fixture is played on.
#[derive(Debug)]
pub(super) struct Staged {
    /// Goes last.
    _folder: TempDir,
    pub(super) chains: Vec<StagedChain>,
    pub(super) servers: Arc<Servers>,
    pub(super) engine: Engine,
    /// Where events come from.
    pub(super) sources: BTreeSet<Source>,
    /// The module's schedules.
    pub(super) schedules: Vec<Schedule>,
}

/// A chain with the servers in front of it.
#[derive(Debug)]
pub(super) struct StagedChain {
    pub(super) chain: ScriptedChain,
    servers: Vec<RpcServer>,
}

impl StagedChain {
    pub(super) fn id(&self) -> u64 {
        self.chain.chain_id()
    }

    /// How many endpoints there are.
    pub(super) fn endpoints(&self) -> usize {
        self.servers.len()
    }

    /// Does what a line of the fixture says.
    pub(super) fn apply(
        &self,
        line: usize,
        action: &Action,
    ) -> Result<(), nexum_testkit::ScriptError> {
        let endpoints: Vec<_> = self
            .servers
            .iter()
            .map(|server| server as &dyn Endpoint)
            .collect();
        let step = nexum_testkit::Step {
            line,
            action: action.clone(),
        };
        step.apply(Stage {
            chain: &self.chain,
            endpoints: &endpoints,
        })
    }
}

impl Staged {
    /// Sets up everything, and starts the engine.
    pub(super) async fn start(
        host: &Arc<Host>,
        built: &Built,
        told: &Told,
        given: &[Entry],
        observer: Arc<dyn Observer>,
    ) -> Result<Self, Failure> {
        let Told {
            path,
            text,
            fixture,
        } = told;
        let folder = tempfile::Builder::new()
            .prefix("nexum-")
            .tempdir()
            .map_err(|error| Failure::other("making a folder for the run", error))?;
        let chains = chains(built, told).await?;
        let file = folder.path().join("nexum-engine.toml");
        let engine_file = engine_file(built, fixture, &chains)?;
        std::fs::write(&file, engine_file)
            .map_err(|error| Failure::other("writing the engine's file", error))?;
        if declares_identity(built) {
            save_key(&folder.path().join(KEYS))?;
        }
        let setup = Setup::load(&file)?;
        let manifest = setup.bundles.first().map(|bundle| bundle.manifest.clone());
        let manifest = manifest.unwrap_or_else(|| built.manifest.clone());
        let sources = sources(&manifest);
        plant(
            &folder.path().join("state"),
            &manifest,
            &chains,
            given,
            fixture,
            &sources,
        )
        .map_err(|(line, failure)| match line {
            Some(line) => {
                let place = Place::of_line(path, text, line);
                Failure::Refused(Problem::new(place, failure.summary()).into())
            }
            None => failure,
        })?;
        let servers = Arc::new(Servers::default());
        // What is said before all else is there for `init`.
        for step in &fixture.steps {
            let Act::Http {
                method,
                url,
                answer,
            } = &step.act
            else {
                break;
            };
            servers.answer(method, url, answer);
        }
        let options = Options {
            backoff: patient(),
            observer: Some(observer),
            http: Some(Arc::clone(&servers) as _),
            ..Options::default()
        };
        let engine = Engine::start_with(host, setup, options).await?;
        Ok(Self {
            _folder: folder,
            chains,
            servers,
            engine,
            sources,
            schedules: schedules(&manifest),
        })
    }

    /// The chain of that id.
    pub(super) fn chain(&self, id: u64) -> Option<(usize, &StagedChain)> {
        self.chains
            .iter()
            .enumerate()
            .find(|(_, chain)| chain.id() == id)
    }
}

/// A module that has failed waits until the fixture goes on: longer than anybody lives.
fn patient() -> Backoff {
    const CENTURY: std::time::Duration = std::time::Duration::from_secs(100 * 365 * 24 * 60 * 60);
    Backoff {
        first: CENTURY,
        longest: CENTURY,
    }
}

/// The chains that the fixture tells of, and those that the module cannot do without.
async fn chains(built: &Built, told: &Told) -> Result<Vec<StagedChain>, Failure> {
    let fixture = &told.fixture;
    let named = fixture.chains.iter().map(|chain| chain.id);
    let ids: BTreeSet<u64> = built
        .required_chains
        .iter()
        .map(|chain| chain.0)
        .chain(named)
        .collect();
    let mut chains = Vec::new();
    for id in ids {
        let chain = fixture
            .scripted_chain(id)
            .map_err(|error| refused(told, error.line, error.problem.to_string()))?;
        let mut servers = Vec::new();
        for _ in 0..fixture.endpoints(id) {
            let server = RpcServer::start(chain.clone())
                .await
                .map_err(|error| Failure::other("serving a mock chain on 127.0.0.1", error))?;
            servers.push(server);
        }
        chains.push(StagedChain { chain, servers });
    }
    Ok(chains)
}

/// The operator's file of the run: the policy is the one of an operator who says nothing.
fn engine_file(
    built: &Built,
    fixture: &Fixture,
    chains: &[StagedChain],
) -> Result<String, Failure> {
    let mut text = String::from(
        "[engine]\nstate_dir = \"state\"\n[observability]\nmetrics = \"off\"\nhealth = \"off\"\n",
    );
    // Writing to a String cannot fail.
    for chain in chains {
        let _ = writeln!(text, "[chains.{}]\npoll_interval = \"{POLL}\"", chain.id());
        for server in &chain.servers {
            let url = server.ws_url();
            let _ = writeln!(text, "[[chains.{}.endpoints]]\nurl = \"{url}\"", chain.id());
        }
    }
    text += &http(built);
    if declares_identity(built) {
        let name = &built.manifest.name;
        let account = mock_key()?.address();
        let _ = writeln!(
            text,
            "[identity]\nkeystore = \"{KEYS}\"\npassword = \"{PASSWORD}\"\n\
             [identity.modules.{name}]\naccounts = [\"{account}\"]"
        );
    }
    let path = toml::Value::String(path_text(&built.bundle)?);
    let _ = writeln!(text, "[[modules]]\npath = {path}");
    let config = config(fixture);
    if !config.is_empty() {
        let _ = writeln!(text, "config = {}", toml::Value::Table(config));
    }
    Ok(text)
}

/// No server is reached in a run, so that every one of the manifest may be.
fn http(built: &Built) -> String {
    let listed = |patterns: Vec<String>| {
        let patterns = patterns.into_iter().map(toml::Value::String);
        toml::Value::Array(patterns.collect())
    };
    let allow = &built.manifest.http_allow;
    let plain = allow
        .iter()
        .filter(|pattern| pattern.scheme() == Some(Scheme::Http));
    format!(
        "[http]\nallow_http = {}\nallow_private = {}\n",
        listed(plain.map(ToString::to_string).collect()),
        listed(allow.iter().map(ToString::to_string).collect()),
    )
}

fn declares_identity(built: &Built) -> bool {
    let declared = built.manifest.capabilities.declared();
    declared.contains(&Capability::Identity)
}

/// The key that everyone knows: the number 1, as the first account of the SDK's mock host has it.
fn mock_key() -> Result<Key, Failure> {
    let key = Key::from_hex(&format!("{:064x}", 1));
    key.map_err(|error| Failure::other("the account of the run", error))
}

/// Writes the account that the module signs with.
fn save_key(folder: &Path) -> Result<(), Failure> {
    let failed =
        |error: &dyn std::fmt::Display| Failure::other("the account of the run", error.to_string());
    let key = mock_key()?;
    let password = Password::new(PASSWORD.to_owned());
    let text = KeyFile::write(&key, &password, WriteCost::Light).map_err(|error| failed(&error))?;
    let folder = KeyFolder::new(folder.to_owned());
    let saved = folder.save(key.address(), &text, Save::ByAddress);
    saved.map(drop).map_err(|error| failed(&error))
}

fn path_text(path: &Path) -> Result<String, Failure> {
    let text = path.to_str().map(str::to_owned);
    text.ok_or_else(|| Failure::other(&format!("{}", path.display()), "the path is not UTF-8"))
}

/// The configuration of the fixture, its dotted keys as nested tables.
fn config(fixture: &Fixture) -> toml::Table {
    let scalar = |scalar: &ConfigScalar| match scalar {
        ConfigScalar::Text(text) => toml::Value::String(text.clone()),
        ConfigScalar::Integer(number) => toml::Value::Integer(*number),
        ConfigScalar::Boolean(value) => toml::Value::Boolean(*value),
    };
    let mut config = toml::Table::new();
    for entry in &fixture.config {
        let value = match &entry.value {
            ConfigSetting::Scalar(one) => scalar(one),
            ConfigSetting::List(list) => toml::Value::Array(list.iter().map(scalar).collect()),
        };
        put(&mut config, &entry.key, value);
    }
    config
}

fn put(table: &mut toml::Table, key: &str, value: toml::Value) {
    let Some((first, rest)) = key.split_once('.') else {
        table.insert(key.to_owned(), value);
        return;
    };
    let inner = table
        .entry(first)
        .or_insert_with(|| toml::Value::Table(toml::Table::new()));
    if let toml::Value::Table(inner) = inner {
        put(inner, rest, value);
    }
}

/// The sources of a module's events.
pub(super) fn sources(manifest: &ModuleManifest) -> BTreeSet<Source> {
    let source = |subscription: &Subscription| match subscription {
        Subscription::Block(block) => Source::Chain(block.chain_id, block.depth),
        Subscription::Log(log) => Source::Chain(log.chain_id, log.depth),
        Subscription::Cron(cron) => Source::Schedule(cron.schedule.id()),
    };
    manifest.subscriptions.iter().map(source).collect()
}

/// The schedules of a module.
pub(super) fn schedules(manifest: &ModuleManifest) -> Vec<Schedule> {
    let schedule = |subscription: &Subscription| match subscription {
        Subscription::Cron(cron) => Some(cron.schedule.clone()),
        Subscription::Block(_) | Subscription::Log(_) => None,
    };
    manifest.subscriptions.iter().filter_map(schedule).collect()
}

/// Makes the state that the module begins with. It has come to the genesis block of each chain:
/// what the fixture mines is all that there is to tell.
fn plant(
    state_dir: &Path,
    manifest: &ModuleManifest,
    chains: &[StagedChain],
    given: &[Entry],
    fixture: &Fixture,
    sources: &BTreeSet<Source>,
) -> Result<(), (Option<usize>, Failure)> {
    let failed = |error| (None, Failure::other("the state", error));
    let dir = StateDir::open(state_dir).map_err(failed)?;
    let store = dir
        .open_module(&manifest.name, StoreOptions::default())
        .map_err(failed)?;
    let at_genesis = |source: &Source| {
        let chain = source.chain()?;
        let chain = chains.iter().find(|staged| staged.id() == chain.0)?;
        let genesis = chain.chain.head();
        let block = BlockRef {
            number: BlockNumber(genesis.number),
            hash: genesis.hash,
        };
        Some(Step::from((*source, Cursor::Block(block))))
    };
    let steps = sources.iter().filter_map(at_genesis).collect();
    let quota = manifest.resources.max_state_bytes;
    seed::plant(&store, quota, given, &fixture.state, steps)
}

/// The newest block of a chain that there is at this depth, in numbers of blocks behind the head.
pub(super) fn newest(chain: &ScriptedChain, depth: Depth) -> Option<u64> {
    let head = chain.head().number;
    match depth {
        Depth::Head => Some(head),
        Depth::Confirmations(blocks) => head.checked_sub(blocks.into()),
        Depth::Safe => Some(chain.safe().number),
        Depth::Finalized => Some(chain.finalized().number),
    }
}

/// What is wrong with a fixture, at its line.
pub(super) fn refused(told: &Told, line: usize, message: String) -> Failure {
    let place = Place::of_line(&told.path, &told.text, line);
    let problem = Problem::new(place, message);
    Failure::Refused(ManifestErrors::from(problem))
}
