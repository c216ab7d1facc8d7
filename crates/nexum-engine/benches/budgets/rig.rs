//! What is measured: a module on its own, over the host and the store, and whole engines on a
//! scripted chain behind a real JSON-RPC server.

use std::{
    collections::BTreeSet,
    fs,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use nexum_chain::Chains;
use nexum_engine::{Engine, ModuleStatus, NoServers};
use nexum_host::{Host, Instance, LogRate, ModuleSpec, NothingKept, Outcome, SystemClock};
use nexum_manifest::{Capabilities, Capability, Durability, Resources};
use nexum_store::{ModuleStore, StateDir, StoreOptions};
use nexum_testkit::{RpcServer, ScriptedChain, guests};
use nexum_types::{
    B256, Block, BlockNumber, CallState, ChainId, Config, Cursor, Depth, Event, Source, WriteSet,
};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::place::Place;

pub(crate) const CHAIN: u64 = 1;
/// Something is broken where an engine takes longer than this.
pub(crate) const PATIENCE: Duration = Duration::from_secs(300);
/// Between two looks at what an engine has delivered.
pub(crate) const LOOK: Duration = Duration::from_micros(100);

/// A folder on the disk that the project is built on: the system's temporary folder may be kept
/// in memory, where a flush costs nothing.
pub(crate) fn folder() -> TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

/// The bytes of a fixture's component.
pub(crate) fn component(fixture: &str) -> Vec<u8> {
    fs::read(guests::fixture(fixture).unwrap()).unwrap()
}

/// A runtime with `threads` threads; without a number, as many as the engine's binary has.
pub(crate) fn runtime(threads: Option<usize>) -> Runtime {
    nexum_engine::runtime(threads).unwrap()
}

/// A store of its own.
pub(crate) struct Store {
    pub(crate) store: ModuleStore,
    _dir: TempDir,
}

impl Store {
    pub(crate) fn new(durability: Durability) -> Self {
        let dir = folder();
        let options = StoreOptions {
            durability,
            ..StoreOptions::default()
        };
        let state = StateDir::open(dir.path().join("state")).unwrap();
        let store = state
            .open_module(&"bench".parse().unwrap(), options)
            .unwrap();
        Self { store, _dir: dir }
    }

    /// Commits with the cursor of block `number`.
    pub(crate) fn commit(&self, writes: &WriteSet, number: u64) {
        let cursor = Cursor::Block(block(number).block_ref());
        self.store
            .commit(
                writes,
                Some((Source::Chain(ChainId(CHAIN), Depth::Head), cursor).into()),
            )
            .unwrap();
    }
}

/// One module over the host and a store, without an engine.
pub(crate) struct Module {
    instance: Instance,
    pub(crate) state: Store,
    /// Advances the epoch while it lives.
    _host: Host,
}

impl Module {
    pub(crate) async fn new(fixture: &str, durability: Durability) -> Self {
        let host = Host::new(Arc::new(SystemClock::new())).unwrap();
        let loaded = host.load(&component(fixture), spec(), &NothingKept);
        let loaded = loaded.unwrap();
        let mut module = Self {
            instance: loaded.instantiate().await.unwrap(),
            state: Store::new(durability),
            _host: host,
        };
        let state = module.call_state();
        let report = module.instance.init(state, &Config::default()).await;
        assert!(matches!(report.outcome, Outcome::Ok { .. }), "{report:?}");
        module
    }

    /// Calls the module with `event`, and answers what it wrote.
    pub(crate) async fn call(&mut self, event: &Event) -> WriteSet {
        let state = self.call_state();
        let report = self.instance.on_event(state, event).await;
        match report.outcome {
            Outcome::Ok { writes, .. } => writes,
            failed => panic!("{failed:?}"),
        }
    }

    fn call_state(&self) -> CallState {
        let quota = Resources::default().max_state_bytes;
        CallState::new(Arc::new(self.state.store.clone()), quota)
    }
}

/// A module that may do everything.
pub(crate) fn spec() -> ModuleSpec {
    ModuleSpec {
        chain: Arc::new(Chains::new([]).unwrap()),
        http: Arc::new(NoServers),
        identity: Arc::new(
            nexum_engine::Accounts::default()
                .of_module("bench".parse().unwrap(), Default::default()),
        ),
        name: "bench".parse().unwrap(),
        pin: None,
        pin_required: false,
        capabilities: Capabilities {
            required: Capability::hosted().collect(),
            ..Capabilities::default()
        },
        absent_chains: BTreeSet::new(),
        chains: BTreeSet::from([ChainId(CHAIN)]),
        resources: Resources::default(),
        log_rate: LogRate::default(),
    }
}

pub(crate) fn block(number: u64) -> Block {
    Block {
        chain_id: ChainId(CHAIN),
        number: BlockNumber(number),
        hash: B256::left_padding_from(&number.to_be_bytes()),
        parent_hash: B256::left_padding_from(&number.wrapping_sub(1).to_be_bytes()),
        timestamp_ms: 1_700_000_000_000,
    }
}

/// How an engine learns of new heads.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Heads {
    /// `eth_subscribe("newHeads")`: each block as it comes.
    Announced,
    /// Polled: what comes between two polls is seen together.
    Polled,
}

/// A running engine on a scripted chain.
pub(crate) struct Running {
    // Dropped first: it stops before its node does.
    engine: Launched,
    chain: ScriptedChain,
    _server: (RpcServer, Runtime),
}

impl Running {
    /// Starts an engine with `modules` modules, and waits until all of them have had an event.
    pub(crate) fn start(
        fixture: &str,
        modules: usize,
        durability: &str,
        heads: Heads,
        runtime: Runtime,
    ) -> Self {
        let chain = ScriptedChain::new(CHAIN);
        let server_runtime = self::runtime(Some(1));
        let server = server_runtime
            .block_on(RpcServer::start(chain.clone()))
            .unwrap();
        let url = match heads {
            Heads::Announced => server.ws_url(),
            Heads::Polled => server.http_url(),
        };

        let poll = Duration::from_millis(20);
        let engine = Launched::start(&url, poll, fixture, modules, durability, runtime);
        Self {
            engine,
            chain,
            _server: (server, server_runtime),
        }
    }

    pub(crate) fn chain(&self) -> &ScriptedChain {
        &self.chain
    }

    /// Events delivered so far, to all modules together.
    pub(crate) fn delivered(&self) -> u64 {
        self.engine.delivered()
    }

    /// Waits until `delivered` events have been delivered, to all modules together.
    pub(crate) fn wait_for(&self, delivered: u64) {
        self.engine.wait_for(delivered);
    }

    /// Mines `blocks` blocks and waits for every module to have them.
    pub(crate) fn mine(&self, blocks: u64) {
        let modules = self.engine.status().len() as u64;
        let target = self.delivered() + blocks * modules;
        self.chain.mine(blocks);
        self.wait_for(target);
    }

    /// Replaces the last `blocks` blocks, and answers how long the modules took for how many
    /// events. A feed puts a whole branch into its ring at once, so that no node is waited for.
    pub(crate) fn replace_blocks(&self, blocks: u64) -> (Duration, u64) {
        let modules = self.engine.status().len() as u64;
        let before = self.delivered();
        self.chain.reorg(blocks).unwrap();
        self.wait_for(before + 1);
        let (begun, at_first) = (Instant::now(), self.delivered());
        let target = before + blocks * modules;
        self.wait_for(target);
        (begun.elapsed(), target - at_first)
    }
}

/// A running engine whose modules are one fixture, several times, on whatever node.
pub(crate) struct Launched {
    engine: Option<Engine>,
    runtime: Runtime,
    _place: Place,
}

impl Launched {
    /// Starts an engine on the node at `url`, and waits until all modules have had an event.
    pub(crate) fn start(
        url: &str,
        poll: Duration,
        fixture: &str,
        modules: usize,
        durability: &str,
        runtime: Runtime,
    ) -> Self {
        let mut place = Place::polling(url, poll);
        let durability = format!("[module.state]\ndurability = {durability}\n");
        place.bundle(fixture, &durability);
        place.modules(fixture, modules);
        let engine = place.start(&runtime);
        let running = Self {
            engine: Some(engine),
            runtime,
            _place: place,
        };
        running.wait(|status| status.iter().all(|module| module.delivered >= 1));
        running
    }

    fn status(&self) -> Vec<ModuleStatus> {
        self.engine.as_ref().map(Engine::status).unwrap_or_default()
    }

    /// Events delivered so far, to all modules together.
    pub(crate) fn delivered(&self) -> u64 {
        self.status().iter().map(|module| module.delivered).sum()
    }

    /// Waits until `delivered` events have been delivered, to all modules together.
    pub(crate) fn wait_for(&self, delivered: u64) {
        self.wait(|status| status.iter().map(|module| module.delivered).sum::<u64>() >= delivered);
    }

    fn wait(&self, done: impl Fn(&[ModuleStatus]) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let status = self.status();
            if done(&status) {
                return;
            }
            let failed = status.iter().find(|module| module.failed > 0);
            assert!(failed.is_none(), "{failed:?}");
            assert!(Instant::now() < deadline, "{status:?}");
            thread::sleep(LOOK);
        }
    }
}

impl Drop for Launched {
    fn drop(&mut self) {
        if let Some(engine) = self.engine.take() {
            self.runtime.block_on(engine.stop());
        }
    }
}
