//! The stage of a story: a folder with the operator's file and bundles, a chain, and the engine
//! that runs over them. Each test has a folder and a port of its own.

use std::{
    collections::BTreeSet,
    fmt::Write as _,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use nexum_engine::{
    Backoff, CodeOrigins, Engine, LogBook, ModuleStatus, Observer, Operator, Options, Password,
    Phase, StartError, Stopped,
};
use nexum_host::{Clock, Host, SystemClock};
use nexum_manifest::{Setup, Start};
use nexum_store::{StateDir, StoreError};
use nexum_testkit::{Anvil, RpcServer, ScriptedChain, guests};
use nexum_types::{B256, BlockNumber, ChainId, Depth, ModuleName, Source};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::evidence::State;

/// The chain that a module gets its blocks from, unless told otherwise.
pub(crate) const CHAIN: u64 = 31337;

/// Longer than anything here takes on a slow and busy machine.
pub(crate) const DEADLINE: Duration = Duration::from_secs(120);

/// The two ways to a node.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Via {
    Http,
    Ws,
}

impl Via {
    pub(crate) fn url(self, server: &RpcServer) -> String {
        match self {
            Self::Http => server.http_url(),
            Self::Ws => server.ws_url(),
        }
    }
}

/// A server before a chain that has `blocks` blocks after its genesis.
pub(crate) async fn server_of(chain_id: u64, blocks: u64) -> RpcServer {
    let chain = ScriptedChain::new(chain_id);
    chain.mine(blocks);
    RpcServer::start(chain).await.unwrap()
}

/// A server before [`CHAIN`], with `blocks` blocks after its genesis.
pub(crate) async fn server(blocks: u64) -> RpcServer {
    server_of(CHAIN, blocks).await
}

/// A bundle to be: a guest and what its manifest says.
#[derive(Debug, Clone)]
pub(crate) struct Module {
    name: String,
    component: PathBuf,
    /// The text of its manifest, where that is not made of what follows.
    shipped: Option<String>,
    digest: Option<String>,
    capabilities: Vec<&'static str>,
    optional: Vec<&'static str>,
    /// What it does with accounts, where it declares that it uses some.
    identity: Vec<&'static str>,
    optional_chains: Vec<u64>,
    /// Chains that it asks beside those of which it gets something.
    asked_chains: Vec<u64>,
    servers: Vec<String>,
    subscriptions: Vec<(u64, Start)>,
    log_subscriptions: Vec<String>,
    schedules: Vec<String>,
    resources: String,
    restart: String,
    durability: String,
    config: String,
    /// What the operator's entry says, further to the path.
    entry: String,
}

impl Module {
    /// A probing guest, under its own name. It may use everything, and gets each block of
    /// [`CHAIN`] from the first on.
    pub(crate) fn fixture(name: &str) -> Self {
        Self::of(name, guests::fixture(name).unwrap())
    }

    /// An example module; the rest is as for a fixture.
    pub(crate) fn example(name: &str) -> Self {
        Self::of(name, guests::module(name).unwrap())
    }

    /// An example module with the manifest that it is shipped with.
    pub(crate) fn shipped(name: &str) -> Self {
        let path = workspace().join(format!("modules/{name}/nexum.toml"));
        Self {
            shipped: Some(fs::read_to_string(path).unwrap()),
            ..Self::example(name)
        }
    }

    fn of(name: &str, component: PathBuf) -> Self {
        Self {
            name: name.to_owned(),
            shipped: None,
            component,
            digest: None,
            capabilities: vec!["chain", "local-store", "logging", "clock", "random"],
            optional: Vec::new(),
            identity: vec!["accounts", "sign", "sign-typed-data"],
            optional_chains: Vec::new(),
            asked_chains: Vec::new(),
            servers: Vec::new(),
            subscriptions: vec![(CHAIN, Start::Number(BlockNumber(1)))],
            log_subscriptions: Vec::new(),
            schedules: Vec::new(),
            resources: String::new(),
            restart: String::new(),
            durability: "\"event\"".to_owned(),
            config: String::new(),
            entry: String::new(),
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn named(self, name: &str) -> Self {
        Self {
            name: name.to_owned(),
            ..self
        }
    }

    pub(crate) fn with_digest(self, digest: &str) -> Self {
        Self {
            digest: Some(digest.to_owned()),
            ..self
        }
    }

    pub(crate) fn granted(self, capabilities: &[&'static str]) -> Self {
        Self {
            capabilities: capabilities.to_vec(),
            ..self
        }
    }

    /// It signs, and does nothing else with its accounts but this.
    pub(crate) fn signs(mut self, methods: &[&'static str]) -> Self {
        self.capabilities.push("identity");
        self.identity = methods.to_vec();
        self
    }

    /// What it can do without: capabilities, and chains.
    pub(crate) fn optional(self, capabilities: &[&'static str], chains: &[u64]) -> Self {
        Self {
            optional: capabilities.to_vec(),
            optional_chains: chains.to_vec(),
            ..self
        }
    }

    /// One that asks that chain, too.
    pub(crate) fn asking(mut self, chain: u64) -> Self {
        self.asked_chains.push(chain);
        self
    }

    /// One that requires `http`, for these servers.
    pub(crate) fn reaching(mut self, servers: &[&str]) -> Self {
        self.capabilities.push("http");
        self.servers = servers.iter().map(|&server| server.to_owned()).collect();
        self
    }

    pub(crate) fn subscribed(self, subscriptions: &[(u64, Start)]) -> Self {
        Self {
            subscriptions: subscriptions.to_vec(),
            ..self
        }
    }

    /// No blocks.
    pub(crate) fn without_blocks(self) -> Self {
        self.subscribed(&[])
    }

    /// One more subscription to logs of [`CHAIN`], after those there are: its further lines.
    pub(crate) fn logs(mut self, lines: &str) -> Self {
        self.log_subscriptions.push(lines.to_owned());
        self
    }

    /// A schedule: its lines.
    pub(crate) fn cron(mut self, lines: &str) -> Self {
        self.schedules.push(lines.to_owned());
        self
    }

    pub(crate) fn since_latest(self) -> Self {
        self.subscribed(&[(CHAIN, Start::Latest)])
    }

    /// A line for `[module.resources]`.
    pub(crate) fn limited(mut self, line: &str) -> Self {
        writeln!(self.resources, "{line}").unwrap();
        self
    }

    /// Lines for `[module.restart]`.
    pub(crate) fn restarted(mut self, lines: &str) -> Self {
        writeln!(self.restart, "{lines}").unwrap();
        self
    }

    /// A flush once in this time, instead of one for each event.
    pub(crate) fn flushed_every(self, interval: &str) -> Self {
        Self {
            durability: format!("{{ interval = \"{interval}\" }}"),
            ..self
        }
    }

    /// A line for `[config]`.
    pub(crate) fn config(mut self, line: &str) -> Self {
        writeln!(self.config, "{line}").unwrap();
        self
    }

    /// A line for the operator's entry.
    pub(crate) fn entry(mut self, line: &str) -> Self {
        writeln!(self.entry, "{line}").unwrap();
        self
    }

    pub(crate) fn manifest(&self) -> String {
        if let Some(shipped) = &self.shipped {
            return shipped.clone();
        }
        let Self {
            name,
            capabilities,
            optional,
            identity,
            optional_chains,
            resources,
            restart,
            durability,
            config,
            ..
        } = self;
        let digest = self.digest.iter();
        let component: String = digest.map(|d| format!("component = \"{d}\"\n")).collect();
        let of_logs = self.log_subscriptions.iter().map(|_| CHAIN);
        let of_blocks = self.subscriptions.iter().map(|(chain, _)| *chain);
        let is_optional = |chain: &u64| self.optional_chains.contains(chain);
        let asked = self.asked_chains.iter().copied();
        let chains = of_blocks.chain(of_logs).chain(asked);
        let chains = chains.filter(|chain| !is_optional(chain));
        let chains: BTreeSet<_> = chains.collect();
        let chains: Vec<_> = chains.into_iter().collect();
        let servers = match &self.servers[..] {
            [] => String::new(),
            servers => format!("[capabilities.http]\nallow = {servers:?}\n"),
        };
        let mut all = capabilities.iter().chain(optional);
        let identity = match all.any(|capability| *capability == "identity") {
            true => format!("[capabilities.identity]\nmethods = {identity:?}\n"),
            false => String::new(),
        };
        let mut text = format!(
            "[module]\nname = \"{name}\"\nversion = \"1.0.0\"\n{component}\
             [module.resources]\n{resources}\
             [module.restart]\n{restart}\
             [module.state]\ndurability = {durability}\n\
             [chains]\nrequired = {chains:?}\noptional = {optional_chains:?}\n\
             [capabilities]\nrequired = {capabilities:?}\noptional = {optional:?}\n\
             {servers}{identity}[config]\n{config}"
        );
        for (chain, start) in &self.subscriptions {
            let start = match start {
                Start::Latest => "\"latest\"".to_owned(),
                Start::Number(number) => number.0.to_string(),
            };
            write!(
                text,
                "[[subscription]]\nkind = \"block\"\nchain_id = {chain}\nstart = {start}\n"
            )
            .unwrap();
        }
        for lines in &self.schedules {
            write!(text, "[[subscription]]\nkind = \"cron\"\n{lines}\n").unwrap();
        }
        for lines in &self.log_subscriptions {
            write!(
                text,
                "[[subscription]]\nkind = \"log\"\nchain_id = {CHAIN}\n{lines}\n"
            )
            .unwrap();
        }
        text
    }
}

/// A folder with everything that an engine needs.
#[derive(Debug)]
pub(crate) struct World {
    folder: TempDir,
    chains: String,
    /// The lines of `[http]`, and what stands below it.
    http: String,
    policy: String,
    /// The operator's tables of keys.
    identity: String,
    password: Option<Password>,
    /// Each module with what its entry says, further to the path.
    entries: Vec<(String, String)>,
    grace: &'static str,
    /// The lines of `[observability]`.
    observability: String,
    host: Option<Arc<Host>>,
    backoff: Backoff,
    log: Arc<LogBook>,
    answer_within: Duration,
    observer: Option<Arc<dyn Observer>>,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::within(tempfile::tempdir().unwrap(), None)
    }

    /// Everything in it gets its time from this.
    pub(crate) fn at(self, clock: Arc<dyn Clock>) -> Self {
        let host = Arc::new(Host::new(clock).unwrap());
        Self {
            host: Some(host),
            ..self
        }
    }

    /// A world for a test that starts very many engines: they share a wasm engine, and their
    /// files are in memory where the machine has a folder for that.
    pub(crate) fn light(host: Arc<Host>) -> Self {
        let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
        Self::within(folder.unwrap(), Some(host))
    }

    fn within(folder: TempDir, host: Option<Arc<Host>>) -> Self {
        Self {
            folder,
            host,
            backoff: Backoff::default(),
            log: Arc::default(),
            answer_within: DEADLINE,
            observer: None,
            chains: String::new(),
            http: String::new(),
            policy: String::new(),
            identity: String::new(),
            password: None,
            entries: Vec::new(),
            grace: "60s",
            observability: "metrics = \"off\"\nhealth = \"off\"\n".to_owned(),
        }
    }

    /// A world with one chain.
    pub(crate) fn over(server: &RpcServer, via: Via) -> Self {
        Self::new().chain(server.chain().chain_id(), &via.url(server))
    }

    pub(crate) fn chain(self, id: u64, url: &str) -> Self {
        self.chain_of(id, &[url], "")
    }

    /// A chain with several endpoints, the first preferred, and further lines for its table.
    pub(crate) fn chain_of(mut self, id: u64, urls: &[&str], lines: &str) -> Self {
        let chains = &mut self.chains;
        write!(chains, "[chains.{id}]\npoll_interval = \"20ms\"\n{lines}\n").unwrap();
        for url in urls {
            write!(chains, "[[chains.{id}.endpoints]]\nurl = \"{url}\"\n").unwrap();
        }
        self
    }

    pub(crate) fn module(mut self, module: Module) -> Self {
        self.bundle(&module, &module.name);
        self.entries.push((module.name, module.entry));
        self
    }

    /// A bundle that the operator's file does not name, in a folder of this name.
    pub(crate) fn bundle(&self, module: &Module, folder: &str) -> PathBuf {
        let bundle = self.folder.path().join(folder);
        guests::bundle(&bundle, &module.manifest(), &module.component).unwrap();
        bundle
    }

    /// The operator's file does not name the module any more.
    pub(crate) fn without(mut self, module: &str) -> Self {
        self.entries.retain(|(name, _)| name != module);
        self
    }

    /// Modules that fail are kept waiting for a few milliseconds only.
    pub(crate) fn impatient(self) -> Self {
        let backoff = Backoff {
            first: Duration::from_millis(1),
            longest: Duration::from_millis(8),
        };
        Self { backoff, ..self }
    }

    /// Where engines of this world let operators read the log.
    pub(crate) fn log(&self) -> &LogBook {
        &self.log
    }

    /// How long an operation waits for a module that does not come to it.
    pub(crate) fn answers_within(self, answer_within: Duration) -> Self {
        Self {
            answer_within,
            ..self
        }
    }

    /// Modules that fail wait until somebody hurries them.
    pub(crate) fn patient(self) -> Self {
        let year = Duration::from_secs(365 * 24 * 60 * 60);
        let backoff = Backoff {
            first: 100 * year,
            longest: 100 * year,
        };
        Self { backoff, ..self }
    }

    /// Every call is told to `observer`.
    pub(crate) fn watched(self, observer: Arc<dyn Observer>) -> Self {
        let observer = Some(observer);
        Self { observer, ..self }
    }

    pub(crate) fn modules(self, modules: impl IntoIterator<Item = Module>) -> Self {
        modules.into_iter().fold(self, Self::module)
    }

    /// A line for `[policy]`.
    pub(crate) fn policy(mut self, line: &str) -> Self {
        writeln!(self.policy, "{line}").unwrap();
        self
    }

    /// Lines of `[identity]` and its tables.
    pub(crate) fn identity(mut self, lines: &str) -> Self {
        writeln!(self.identity, "{lines}").unwrap();
        self
    }

    /// Whoever starts the engine is asked for a password, and says this.
    pub(crate) fn password(self, password: &str) -> Self {
        let password = Some(Password::new(password.to_owned()));
        Self { password, ..self }
    }

    /// A place in the operator's folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// How long calls in flight may take once the engine is to stop.
    /// A line of `[http]`, or what stands below it.
    pub(crate) fn http(mut self, line: &str) -> Self {
        writeln!(self.http, "{line}").unwrap();
        self
    }

    pub(crate) fn grace(self, grace: &'static str) -> Self {
        Self { grace, ..self }
    }

    /// The engine tells how it is, on free ports.
    pub(crate) fn observed(self) -> Self {
        self.observed_at("127.0.0.1:0", "127.0.0.1:0")
    }

    /// The same at these addresses.
    pub(crate) fn observed_at(mut self, metrics: &str, health: &str) -> Self {
        self.observability = format!("metrics = \"{metrics}\"\nhealth = \"{health}\"\n");
        self
    }

    /// A line for `[observability]`, further to the addresses.
    pub(crate) fn observability(mut self, line: &str) -> Self {
        writeln!(self.observability, "{line}").unwrap();
        self
    }

    /// The component of a module that is in this world, to be tampered with.
    pub(crate) fn component(&self, module: &str) -> PathBuf {
        self.folder.path().join(module).join("module.wasm")
    }

    pub(crate) fn manifest(&self, module: &str) -> PathBuf {
        self.folder.path().join(module).join("nexum.toml")
    }

    pub(crate) fn state_dir(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    /// Takes away what `module` has left on the disk, so that it begins anew.
    pub(crate) fn forget(&self, module: &str) {
        let file = format!("modules/{module}.redb");
        fs::remove_file(self.state_dir().join(file)).unwrap();
    }

    /// The operator's file; written anew with each start.
    pub(crate) fn engine_file(&self) -> PathBuf {
        self.folder.path().join("nexum-engine.toml")
    }

    pub(crate) async fn try_start(&self) -> Result<Running, StartError> {
        let Self {
            grace,
            chains,
            http,
            policy,
            identity,
            entries,
            observability,
            ..
        } = self;
        let mut text = format!(
            "[engine]\nstate_dir = \"state\"\nshutdown_grace = \"{grace}\"\n\
             [http]\n{http}[policy]\n{policy}[observability]\n{observability}\
             [identity]\n{identity}{chains}"
        );
        for (name, entry) in entries {
            write!(text, "[[modules]]\npath = \"{name}\"\n{entry}").unwrap();
        }
        fs::write(self.engine_file(), text).unwrap();
        let setup = Setup::load(&self.engine_file()).unwrap();
        let host = match &self.host {
            Some(host) => Arc::clone(host),
            None => Arc::new(Host::new(Arc::new(SystemClock::new())).unwrap()),
        };
        let options = Options {
            backoff: self.backoff,
            log: Arc::clone(&self.log),
            answer_within: self.answer_within,
            observer: self.observer.clone(),
            http: None,
            password: self.password.clone(),
        };
        let engine = Engine::start_with(&host, setup, options).await;
        engine.map(|engine| Running { engine })
    }

    /// Starts the engine, once nobody has the folder any more: a program that another test has just
    /// begun to start holds the locks of this process as well, until it runs.
    pub(crate) async fn start(&self) -> Running {
        self.start_if_free().await.unwrap()
    }

    /// Why the engine does not start, once nobody has the folder any more.
    pub(crate) async fn start_error(&self) -> StartError {
        self.start_if_free().await.map(drop).unwrap_err()
    }

    async fn start_if_free(&self) -> Result<Running, StartError> {
        let started = tokio::time::timeout(DEADLINE, async {
            loop {
                match self.try_start().await {
                    Err(StartError::Store(error)) if is_held(&error) => {
                        tokio::time::sleep(Duration::from_millis(2)).await;
                    }
                    started => return started,
                }
            }
        });
        started.await.unwrap()
    }

    /// What `module` has left on the disk. The engine has stopped, and no program that another test
    /// has just begun to start holds its locks any more.
    pub(crate) fn state(&self, module: &str) -> State {
        let deadline = Instant::now() + DEADLINE;
        loop {
            match State::read(&self.state_dir(), &name(module)) {
                Err(error) if is_held(&error) && Instant::now() < deadline => {
                    thread::sleep(Duration::from_millis(2));
                }
                read => return read.unwrap(),
            }
        }
    }

    /// What `module` has left on the disk once the engine's last task has let go of it.
    pub(crate) async fn state_after_crash(&self, module: &str) -> State {
        let state_dir = self.state_dir();
        // Every worker and every open state has a share of the folder's lock: it is the last that
        // a crashed engine lets go of.
        let free = eventually("the folder is free", || match StateDir::open(&state_dir) {
            // By the engine, or by a look at the state: a program that another test has just
            // begun to start holds locks as well, until it runs.
            Err(error) if is_held(&error) => None,
            opened => Some(opened.unwrap()),
        })
        .await;
        drop(free);
        self.state(module)
    }
}

/// Whether somebody else has the folder or the state.
fn is_held(error: &StoreError) -> bool {
    matches!(
        error,
        StoreError::Locked { .. } | StoreError::BeingInspected { .. }
    )
}

/// An engine at work.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) engine: Engine,
}

impl Running {
    pub(crate) fn operator(&self) -> &Operator {
        self.engine.operator()
    }

    /// Where the engine tells how it is. It does so.
    pub(crate) fn health(&self) -> SocketAddr {
        self.engine.addresses().health.unwrap()
    }

    /// Where its metrics are. It has some.
    pub(crate) fn metrics(&self) -> SocketAddr {
        self.engine.addresses().metrics.unwrap()
    }

    pub(crate) fn status(&self, module: &str) -> ModuleStatus {
        of(self.engine.status(), module)
    }

    pub(crate) fn code_origins(&self) -> CodeOrigins {
        self.engine.code_origins()
    }

    /// Waits until `module` is as `condition` says, and answers how it was then.
    pub(crate) async fn until(
        &self,
        module: &str,
        what: &str,
        condition: impl Fn(&ModuleStatus) -> bool,
    ) -> ModuleStatus {
        let mut last = self.status(module);
        let reached = tokio::time::timeout(DEADLINE, async {
            while !condition(&last) {
                tokio::time::sleep(Duration::from_millis(1)).await;
                last = self.status(module);
            }
        })
        .await;
        assert!(
            reached.is_ok(),
            "not in time: {what}; the module is {last:?}"
        );
        last
    }

    /// Waits until `module` has committed `count` events since the start.
    pub(crate) async fn delivered(&self, module: &str, count: u64) {
        let what = format!("{count} events are delivered");
        self.until(module, &what, |status| status.delivered >= count)
            .await;
    }

    /// Waits until `module` has come to this block of [`CHAIN`] at this depth, or further.
    pub(crate) async fn reaches_at(&self, module: &str, depth: Depth, number: u64) {
        let source = Source::Chain(ChainId(CHAIN), depth);
        let what = format!("block {number} is reached");
        self.until(module, &what, |status| {
            let cursor = status.cursors.get(&source);
            cursor.is_some_and(|cursor| cursor.next_number().is_some_and(|next| next.0 > number))
        })
        .await;
    }

    /// The same with blocks as they come.
    pub(crate) async fn reaches(&self, module: &str, number: u64) {
        self.reaches_at(module, Depth::Head, number).await;
    }

    /// Waits until `module` is done with all that there is of [`CHAIN`] up to this head.
    pub(crate) async fn at(&self, module: &str, head: B256) {
        let source = Source::Chain(ChainId(CHAIN), Depth::Head);
        self.until(module, &format!("it is done up to {head}"), |status| {
            let rest = status.rests.get(&source);
            rest.is_some_and(|rest| rest.head.hash == head)
        })
        .await;
    }

    /// Waits until `count` of `module`'s calls have failed since the start, and answers how the
    /// last one did.
    pub(crate) async fn failed(&self, module: &str, count: u64) -> String {
        let what = format!("{count} calls have failed");
        let status = self
            .until(module, &what, |status| status.failed >= count)
            .await;
        status.last_error.unwrap()
    }

    /// Waits until `module` is in this phase.
    pub(crate) async fn is(&self, module: &str, phase: Phase) -> ModuleStatus {
        self.until(module, phase.as_str(), |status| status.phase == phase)
            .await
    }

    /// Waits until the `init` of `module` has succeeded.
    pub(crate) async fn runs(&self, module: &str) {
        self.until(module, "it runs", |status| status.phase == Phase::Run)
            .await;
    }

    /// Ends the engine in order. No call was cut off.
    pub(crate) async fn stop(self) -> Ended {
        let ended = self.stop_in_grace().await;
        assert!(ended.0.cut_off.is_empty(), "cut off: {:?}", ended.0.cut_off);
        ended
    }

    /// Ends the engine in order; calls that take longer than the grace are cut off.
    pub(crate) async fn stop_in_grace(self) -> Ended {
        let stopped = tokio::time::timeout(DEADLINE, self.engine.stop()).await;
        Ended(stopped.expect("the engine stops in time"))
    }

    /// Ends the engine as a crash would: nothing more is committed, nothing is flushed.
    pub(crate) fn crash(self) {
        drop(self.engine);
    }
}

/// How the engine ended.
#[derive(Debug)]
pub(crate) struct Ended(Stopped);

impl Ended {
    pub(crate) fn module(&self, module: &str) -> ModuleStatus {
        of(self.0.modules.clone(), module)
    }

    pub(crate) fn cut_off(&self) -> Vec<&str> {
        self.0.cut_off.iter().map(ModuleName::as_str).collect()
    }
}

fn of(modules: Vec<ModuleStatus>, name: &str) -> ModuleStatus {
    let found = modules
        .into_iter()
        .find(|module| module.name.as_str() == name);
    found.unwrap_or_else(|| panic!("no module runs under the name {name}"))
}

pub(crate) fn name(module: &str) -> ModuleName {
    module.parse().unwrap()
}

/// What `look` finds, as soon as it finds something.
pub(crate) async fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let found = tokio::time::timeout(DEADLINE, async {
        loop {
            if let Some(found) = look() {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
    found.unwrap_or_else(|_| panic!("not in time: {what}"))
}

/// The receipt of a transaction that `anvil` has taken: it answers before it mines.
pub(crate) async fn receipt(anvil: &Anvil, hash: &Value) -> Value {
    let mined = tokio::time::timeout(DEADLINE, async {
        loop {
            let asked = anvil.rpc("eth_getTransactionReceipt", json!([hash])).await;
            match asked.unwrap() {
                Value::Null => tokio::time::sleep(Duration::from_millis(2)).await,
                receipt => return receipt,
            }
        }
    })
    .await;
    mined.unwrap_or_else(|_| panic!("not mined in time: {hash}"))
}

/// The root of the workspace.
pub(crate) fn workspace() -> &'static Path {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2);
    root.expect("this crate is two folders below the root")
}
