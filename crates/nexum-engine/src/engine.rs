//! The facade: start, status, stop.

use std::{
    mem,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use futures::{StreamExt as _, TryStreamExt as _, stream};
use nexum_chain::{ChainError, Chains, WrongChainId, WrongChainIds};
use nexum_host::{Host, HostSetupError, SystemClock};
use nexum_http::{Egress, HttpSetupError};
use nexum_identity::{Password, Sender};
use nexum_manifest::{EngineFile, ManifestErrors, ModuleManifest, Problem, Setup};
use nexum_store::{ModuleStore, StateDir, StoreError, StoreOptions};
use nexum_types::{HttpFetch, ModuleName, StateError};
use tokio::{task::JoinHandle, time::sleep};

use crate::{
    admin::{AdminError, AdminServer, AdminSocket},
    code_cache::{CodeCache, CodeOrigins, Keeping},
    failure::with_causes,
    identities,
    lifecycle::Backoff,
    load::{self, Loader},
    logbook::LogBook,
    modules::{Core, End, Modules, Origin},
    observe::{Addresses, HealthReport, Listeners, Roster, Server},
    operate::Operator,
    remembered::{RememberError, Remembered},
    status::ModuleStatus,
    watch::Observer,
};

/// States opened at the same time at the start; each waits for the disk most of its time.
const OPENED_AT_ONCE: usize = 16;

/// How long a start waits for those who look at the states, and how often it tries.
const LONGEST_LOOK: Duration = Duration::from_secs(5);
const TRY_AGAIN: Duration = Duration::from_millis(20);

/// A running engine. Call [`Engine::stop`] to end it; dropping it cuts off the calls in flight,
/// which are then delivered again at the next start.
#[derive(Debug)]
pub struct Engine {
    operator: Operator,
    /// Ends when the engine is to end.
    admin: Option<AdminServer>,
    code_origins: CodeOrigins,
    roster: Arc<Roster>,
    server: Server,
    /// Looks after the transactions that were sent, and ends with this.
    _tending: Tending,
}

#[derive(Debug)]
struct Tending(JoinHandle<()>);

impl Drop for Tending {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// What an engine is started with beside its files.
pub struct Options {
    /// The waits between the attempts of a module that fails.
    pub backoff: Backoff,
    /// How long an operation waits for a module that does not come to the end of a call or of a
    /// block, beyond what the module's own calls may take.
    pub answer_within: Duration,
    /// The program's log, where operators may follow it.
    pub log: Arc<LogBook>,
    /// Who answers modules' requests in the place of all servers outside, if not they themselves.
    pub http: Option<Arc<dyn HttpFetch>>,
    /// Who watches every call of every module: a tool of an author's, which pays for it in time.
    pub observer: Option<Arc<dyn Observer>>,
    /// The password of the keystores, where the operator's file has none and whoever started the
    /// program was asked.
    pub password: Option<Password>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            backoff: Backoff::default(),
            answer_within: Duration::from_secs(60),
            log: Arc::default(),
            http: None,
            observer: None,
            password: None,
        }
    }
}

impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options")
            .field("backoff", &self.backoff)
            .field("answer_within", &self.answer_within)
            .finish_non_exhaustive()
    }
}

/// Why an engine did not start. Nothing of any module has run.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The wasm engine could not be set up.
    #[error(transparent)]
    Host(HostSetupError),
    /// Components were refused, endpoints are of other chains than they are configured for, or
    /// addresses to listen on cannot be had.
    #[error("{0}")]
    Refused(ManifestErrors),
    /// A chain cannot be set up as configured.
    #[error(transparent)]
    Chain(ChainError),
    /// The way to servers outside cannot be set up as configured.
    #[error(transparent)]
    Http(HttpSetupError),
    /// A remote signer cannot be set up.
    #[error("the remote signer cannot be set up")]
    RemoteSigner(#[source] nexum_identity::RemoteError),
    /// Endpoints of other chains than they are configured for, with no line to point at.
    #[error(transparent)]
    WrongChainIds(WrongChainIds),
    /// The transactions that were sent before cannot be read.
    #[error("the transactions that were sent before cannot be read")]
    Transactions(#[source] StateError),
    /// The `state_dir` or a module's state cannot be opened.
    #[error(transparent)]
    Store(StoreError),
    /// What was loaded while an engine ran cannot be read.
    #[error(transparent)]
    Remember(RememberError),
    /// The admin API cannot be served.
    #[error(transparent)]
    Admin(AdminError),
    /// The thread that serves metrics and health could not be started.
    #[error("the thread that serves metrics and health could not be started")]
    Serve(#[source] std::io::Error),
    /// A task of the start was cut off.
    #[error("the start was cut off")]
    Task(#[source] tokio::task::JoinError),
}

/// How an engine ended.
#[derive(Debug)]
pub struct Stopped {
    /// What became of each module.
    pub modules: Vec<ModuleStatus>,
    /// The modules whose call in flight did not end within the grace and was cut off. Its event is
    /// delivered again at the next start, unless its commit had begun, which nothing cuts off.
    pub cut_off: Vec<ModuleName>,
    /// The modules whose end was not in order, and why: what they had pending is not on disk.
    pub unsaved: Vec<(ModuleName, String)>,
}

impl Engine {
    /// Starts the engine: every file, component, chain and state is checked before any module's
    /// `init` runs.
    pub async fn start(setup: Setup) -> Result<Self, StartError> {
        let host = Host::new(Arc::new(SystemClock::new())).map_err(StartError::Host)?;
        Self::start_on(&Arc::new(host), setup).await
    }

    /// The same on a wasm engine that others may share: components of the same bytes are compiled
    /// once for all of them, as long as one of them is loaded.
    pub async fn start_on(host: &Arc<Host>, setup: Setup) -> Result<Self, StartError> {
        Self::start_with(host, setup, Options::default()).await
    }

    /// The same, with what no file says.
    pub async fn start_with(
        host: &Arc<Host>,
        setup: Setup,
        options: Options,
    ) -> Result<Self, StartError> {
        let Options {
            backoff,
            answer_within,
            log,
            http,
            observer,
            password,
        } = options;
        let Setup {
            engine: file,
            mut bundles,
        } = setup;
        let config = file.config();
        // First of all: whoever watches over the process sees it start.
        let listeners = match Listeners::bind(&file) {
            Ok(listeners) => listeners,
            Err(refused) => return Err(in_use(&config.state_dir, refused).await),
        };
        let roster = Arc::new(Roster::new());
        let server = listeners.serve(&roster, &log).map_err(StartError::Serve)?;
        let chains = Chains::new(config.chains.values().cloned()).map_err(StartError::Chain)?;
        roster.has(&chains);
        let egress = match http {
            Some(stand_in) => Egress::with_stand_in(config.http.clone(), stand_in),
            None => Egress::new(config.http.clone()),
        };
        let egress = egress.map_err(StartError::Http)?;
        let configured = bundles.len();
        // Nobody changes what was loaded between here and the end of this engine. One that is not
        // there yet is made only once nothing is refused.
        let held = hold(&config.state_dir, StateDir::open_existing).await?;
        let held = held.map(Arc::new);
        if let Some(dir) = &held {
            bundles.extend(Remembered::of(dir).bundles(&file, &bundles)?);
        }
        for problem in file.for_nobody(bundles.iter().map(|it| it.name().clone())) {
            let place = problem.place();
            tracing::warn!(%place, help = problem.remedy(), "{}", problem.message());
        }
        let accounts = identities::open(&file, password).await?;
        let clock = Arc::clone(host.clock());
        let now = move || u64::try_from(clock.now().as_millis()).unwrap_or(u64::MAX);
        let sender = Sender::new(Arc::new(chains.clone()), now);
        roster.sends(&sender);
        let cache = Arc::new(CodeCache::new(&config.state_dir));
        let loader = Loader {
            host,
            pin_required: config.policy.require_digest,
            kept: Arc::clone(&cache) as _,
            egress: egress.clone(),
            accounts: &accounts,
            sender: Some(&sender),
        };
        let loaded = load::load(&loader, &bundles, &chains).await?;
        let codes: Vec<_> = loaded.iter().map(|loaded| loaded.code().clone()).collect();
        chains
            .verify()
            .await
            .map_err(|wrong| match misplaced(&file, &wrong) {
                Some(errors) => StartError::Refused(errors),
                None => StartError::WrongChainIds(wrong),
            })?;
        let manifests = bundles.iter().map(|bundle| &bundle.manifest);
        let state_dir = match held {
            Some(dir) => dir,
            None => Arc::new(hold(&config.state_dir, StateDir::open).await?),
        };
        identities::open_ledger(&sender, &file, &state_dir).await?;
        let stores = open_stores(&state_dir, manifests).await?;

        let admin = AdminSocket::bind(state_dir.path()).map_err(StartError::Admin)?;

        // Nothing can be refused any more: now they run.
        let core = Arc::new(Core {
            host: Arc::clone(host),
            chains,
            egress,
            accounts,
            sender: sender.clone(),
            file,
            reloading: Mutex::default(),
            code: Keeping::new(cache, Arc::clone(&state_dir)),
            remembered: Arc::new(Remembered::of(&state_dir)),
            state_dir,
            backoff,
            answer_within,
            observer,
            modules: Modules::default(),
            runtime: tokio::runtime::Handle::current(),
            log,
            started: Instant::now(),
        });
        let modules = bundles.into_iter().zip(loaded).zip(stores);
        for (index, ((bundle, loaded), store)) in modules.enumerate() {
            let origin = if index < configured {
                Origin::Configured
            } else {
                Origin::Loaded
            };
            let version = core.version(&bundle.manifest, loaded);
            core.run(bundle, version.map_err(StartError::Chain)?, store, origin);
        }
        let remembered = Arc::clone(&core.remembered);
        let tidied = tokio::task::spawn_blocking(move || remembered.tidy());
        if let Err(error) = tidied.await.map_err(StartError::Task)? {
            let error = with_causes(&error);
            tracing::warn!(error, "bundles that are not used any more were left behind");
        }
        let code_origins = CodeOrigins::of(&codes);
        // Only now, so that no module waits for it.
        core.code.keep(codes);
        roster.runs(&core);
        Ok(Self {
            admin: Some(admin.serve(&core)),
            operator: Operator(core),
            code_origins,
            roster,
            server,
            _tending: Tending(tokio::spawn(async move { sender.tend().await })),
        })
    }

    /// Where the engine tells how it is.
    #[must_use]
    pub fn addresses(&self) -> Addresses {
        self.server.addresses()
    }

    /// How the engine is, as it tells at `/health`.
    #[must_use]
    pub fn health(&self) -> HealthReport {
        HealthReport::of(&self.roster.look())
    }

    /// The modules as they are now.
    #[must_use]
    pub fn status(&self) -> Vec<ModuleStatus> {
        self.core().modules.status()
    }

    /// For whoever operates the modules of this engine.
    #[must_use]
    pub fn operator(&self) -> &Operator {
        &self.operator
    }

    fn core(&self) -> &Core {
        &self.operator.0
    }

    /// How the modules came by their code when the engine started.
    #[must_use]
    pub fn code_origins(&self) -> CodeOrigins {
        self.code_origins
    }

    /// Takes no more events, lets the calls in flight and the operations under way end within the
    /// configured grace, commits, and flushes. Until all of that is done, metrics and health are served.
    pub async fn stop(mut self) -> Stopped {
        let grace = self.core().file.config().shutdown_grace;
        self.roster.ends(self.core().cards());
        // What has been asked for is told that the engine stops; nothing new gets in.
        self.core().modules.close();
        drop(self.admin.take());
        let deadline = tokio::time::Instant::now() + grace;
        // The modules come to their end meanwhile. An operation that takes longer waits for one
        // that is cut off, or for the disk.
        let _ = tokio::time::timeout_at(deadline, self.core().modules.all_done()).await;
        let (mut cut_off, mut unsaved, mut modules) = (Vec::new(), Vec::new(), Vec::new());
        for mut handle in self.core().modules.take() {
            let name = handle.status.read().name;
            match handle.end(deadline).await {
                End::InOrder => {}
                End::Unsaved(why) => unsaved.push((name, why)),
                End::CutOff => cut_off.push(name),
            }
            modules.push(handle.status.read());
        }
        // What is not kept in time is compiled again at the next start.
        let _ = tokio::time::timeout_at(deadline, self.core().code.end()).await;
        self.server.stop().await;
        Stopped {
            modules,
            cut_off,
            unsaved,
        }
    }
}

pub(crate) fn store_options(manifest: &ModuleManifest) -> StoreOptions {
    StoreOptions {
        durability: manifest.durability,
        ..StoreOptions::default()
    }
}

/// Takes hold of the `state_dir`, which waits for the disk.
/// Why there is nothing to listen on: an engine that has the same folder has the addresses, too, and
/// then that it runs is what is to be told.
async fn in_use(state_dir: &Path, refused: ManifestErrors) -> StartError {
    match hold(state_dir, StateDir::open_existing).await {
        Err(locked @ StartError::Store(StoreError::Locked { .. })) => locked,
        _ => StartError::Refused(refused),
    }
}

async fn hold<T: Send + 'static>(
    path: &Path,
    open: impl Fn(PathBuf) -> Result<T, StoreError> + Copy + Send + 'static,
) -> Result<T, StartError> {
    let began = Instant::now();
    let mut is_told = false;
    loop {
        let path = path.to_owned();
        let opened = tokio::task::spawn_blocking(move || open(path)).await;
        match opened.map_err(StartError::Task)? {
            // A script that looks at states from time to time keeps no engine from starting.
            Err(StoreError::BeingInspected { path }) if began.elapsed() < LONGEST_LOOK => {
                if !mem::replace(&mut is_told, true) {
                    let path = path.display();
                    tracing::info!(%path, "waiting until nobody looks at the states");
                }
                sleep(TRY_AGAIN).await;
            }
            opened => return opened.map_err(StartError::Store),
        }
    }
}

/// Opens the state of every module, several at a time: each open waits for the disk.
async fn open_stores(
    state_dir: &Arc<StateDir>,
    manifests: impl Iterator<Item = &ModuleManifest>,
) -> Result<Vec<ModuleStore>, StartError> {
    stream::iter(manifests)
        .map(|manifest| {
            let (dir, name) = (Arc::clone(state_dir), manifest.name.clone());
            let options = store_options(manifest);
            tokio::task::spawn_blocking(move || dir.open_module(&name, options))
        })
        .buffered(OPENED_AT_ONCE)
        .map(|opened| opened.map_err(StartError::Task)?.map_err(StartError::Store))
        .try_collect()
        .await
}

/// Endpoints of other chains, each at its line of the operator's file.
fn misplaced(file: &EngineFile, wrong: &WrongChainIds) -> Option<ManifestErrors> {
    let problem = |wrong: &WrongChainId| {
        let place = file.endpoint(wrong.chain, wrong.index)?.clone();
        Some(Problem::new(place, wrong.to_string()).with_help(format!(
            "correct the URL, or move the endpoint to [chains.{}]",
            wrong.answered
        )))
    };
    ManifestErrors::new(wrong.0.iter().filter_map(problem).collect())
}

impl Drop for Engine {
    fn drop(&mut self) {
        let modules = &self.core().modules;
        // Nothing begins between the two.
        let mut by_name = modules.by_name();
        // They do not hear of the end: one that is not waiting just then would flush before it ends.
        for handle in mem::take(&mut *by_name).into_values() {
            handle.task.abort();
        }
        modules.refuse();
    }
}
