//! How soon an engine with a hundred modules runs, whose code and states are there from before.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use nexum_engine::{Engine, Phase};
use nexum_host::{
    CodeKey, CodeOrigin, Host, Instance, KeptCode, Loaded, ModuleSpec, NothingKept, SystemClock,
};
use nexum_store::StoreOptions;
use nexum_testkit::{RpcServer, ScriptedChain};
use redb::Database;

use crate::{
    place::{self, Place, wait_until},
    report::{Budget, Row, Samples},
    rig::{self, CHAIN},
};

const MODULES: usize = 100;
const ROUNDS: usize = 15;
const BUDGET: Duration = Duration::from_secs(1);

/// From the engine's file to the last of 100 modules that runs: each has bytes of its own, which
/// an earlier start has compiled, and a state, which an earlier start has left.
pub(crate) fn of_a_hundred_modules() -> Row {
    let components = place::distinct("noop", MODULES);
    let memory = Memory::of(&components);
    let folder = rig::folder();
    let files = files(folder.path());

    let node = rig::runtime(Some(1));
    let chain = ScriptedChain::new(CHAIN);
    let server = node.block_on(RpcServer::start(chain.clone())).unwrap();
    let mut place = Place::new(&server.ws_url());
    place.distinct_modules("noop", MODULES);
    let runtime = rig::runtime(None);
    let engine = place.start(&runtime);
    assert_eq!(engine.code_origins().compiled, MODULES);
    chain.mine(1);
    wait_until("each has had a block", || {
        engine.status().iter().all(|module| module.delivered >= 1)
    });
    place.wait_for_code(MODULES);
    runtime.block_on(engine.stop());

    let (mut raw, mut opened, mut whole) =
        (Samples::default(), Samples::default(), Samples::default());
    for _ in 0..ROUNDS {
        // What is made is let go of once the time is taken, as the engine is stopped after its.
        // And what it is given is made before: chains bring a client for HTTP.
        let (host, spec) = (host(), rig::spec());
        let begun = Instant::now();
        let instances = node.block_on(memory.instances(&host, &spec, &components));
        raw.push(begun.elapsed(), 1);
        drop(instances);
        let begun = Instant::now();
        let databases: Vec<_> = files.iter().map(open).collect();
        opened.push(begun.elapsed(), 1);
        drop(databases);
        let begun = Instant::now();
        let engine = place.start(&runtime);
        wait_until("each runs", || are_running(&engine));
        whole.push(begun.elapsed(), 1);
        assert_eq!(engine.code_origins().kept, MODULES);
        runtime.block_on(engine.stop());
    }
    Row::new(
        "100 modules with code and states from before, to the last one that runs",
        "raw: their kept code, loaded and instantiated",
        raw,
    )
    .also("redb alone: 100 files opened, on one thread", opened)
    .budget("engine: from its file on", whole, Budget::Within(BUDGET))
}

fn are_running(engine: &Engine) -> bool {
    let status = engine.status();
    status.len() == MODULES && status.iter().all(|module| module.phase == Phase::Run)
}

/// Kept code, in memory.
#[derive(Debug)]
struct Memory(HashMap<CodeKey, Vec<u8>>);

impl KeptCode for Memory {
    fn read(&self, key: CodeKey) -> Option<Vec<u8>> {
        self.0.get(&key).cloned()
    }
}

impl Memory {
    fn of(components: &[Vec<u8>]) -> Self {
        let host = host();
        let kept = components.iter().map(|component| {
            let loaded = host.load(component, rig::spec(), &NothingKept).unwrap();
            (loaded.code().key(), loaded.code().kept_form().unwrap())
        });
        Self(kept.collect())
    }

    /// One instance of each. The only way to kept code is that of `nexum-host`, which makes sure of
    /// its sha256 first; see docs/adr/0021.
    async fn instances(
        &self,
        host: &Host,
        spec: &ModuleSpec,
        components: &[Vec<u8>],
    ) -> Vec<(Loaded, Instance)> {
        let mut instances = Vec::with_capacity(components.len());
        for component in components {
            let loaded = host.load(component, spec.clone(), self).unwrap();
            assert_eq!(loaded.code().origin(), CodeOrigin::Kept);
            let instance = loaded.instantiate().await.unwrap();
            instances.push((loaded, instance));
        }
        instances
    }
}

fn host() -> Host {
    Host::new(Arc::new(SystemClock::new())).unwrap()
}

/// As many files of redb as there are modules, closed.
fn files(dir: &Path) -> Vec<PathBuf> {
    let paths = (0..MODULES).map(|index| dir.join(format!("{index}.redb")));
    let made = paths.inspect(|path| drop(Database::create(path).unwrap()));
    made.collect()
}

fn open(path: &PathBuf) -> Database {
    let mut builder = Database::builder();
    builder.set_cache_size(StoreOptions::DEFAULT_CACHE_BYTES);
    builder.open(path).unwrap()
}
