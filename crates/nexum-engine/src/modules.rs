//! The modules that run, by name, and what it takes to run another.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use nexum_chain::{ChainError, Chains};
use nexum_host::{Host, Loaded};
use nexum_manifest::{Bundle, EngineFile, ModuleManifest, Sha256, Withheld};
use nexum_store::{ModuleStore, StateDir};
use nexum_types::{ModuleName, StateBackend as _};
use serde::{Deserialize, Serialize};
use tokio::{runtime, sync::mpsc, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use crate::{
    code_cache::Keeping,
    command::{Command, Version},
    engine::store_options,
    inlet::Inlet,
    letters::Failing,
    lifecycle::Backoff,
    logbook::LogBook,
    observe::ChainLook,
    remembered::Remembered,
    route::Route,
    status::{ModuleStatus, StatusBoard},
    wire::{ChainReport, EngineReport, ModuleReport},
    worker::Worker,
};

/// Commands that wait for a module's call to end; who asks more often than that has to wait, too.
const COMMANDS: usize = 8;

/// How a worker ended: in order, or why what it had pending is not on disk.
pub(crate) type Ended = Result<(), String>;

/// Everything that modules are run with.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) host: Arc<Host>,
    pub(crate) chains: Chains,
    pub(crate) file: EngineFile,
    pub(crate) state_dir: Arc<StateDir>,
    pub(crate) remembered: Arc<Remembered>,
    pub(crate) code: Keeping,
    pub(crate) backoff: Backoff,
    pub(crate) modules: Modules,
    /// Where the workers run.
    pub(crate) runtime: runtime::Handle,
    /// The lines that were logged of late.
    pub(crate) log: Arc<LogBook>,
    pub(crate) started: Instant,
}

/// The modules that run.
#[derive(Debug, Default)]
pub(crate) struct Modules {
    by_name: Mutex<BTreeMap<ModuleName, Handle>>,
    /// The modules with which something is being done.
    busy: Mutex<BTreeSet<ModuleName>>,
    /// Cancelled once the engine is to end; no module starts after that.
    stop: CancellationToken,
}

/// Where it is written that a module is to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// In the operator's file.
    Configured,
    /// It was loaded while the engine ran.
    Loaded,
}

/// One module that runs.
#[derive(Debug)]
pub(crate) struct Handle {
    pub(crate) status: Arc<StatusBoard>,
    pub(crate) commands: mpsc::Sender<Command>,
    pub(crate) stop: CancellationToken,
    pub(crate) task: JoinHandle<Ended>,
    pub(crate) bundle: Bundle,
    pub(crate) digest: Sha256,
    pub(crate) origin: Origin,
    /// Its state, while that is open.
    pub(crate) store: Open,
}

/// How a worker came to its end.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// In order.
    InOrder,
    /// What it had pending is not on disk, and why.
    Unsaved(String),
    /// Its call in flight did not end in time.
    CutOff,
}

impl Handle {
    /// Waits for the end of a worker that was asked to end, and cuts it off at the deadline.
    pub(crate) async fn end(&mut self, deadline: tokio::time::Instant) -> End {
        let ended = match tokio::time::timeout_at(deadline, &mut self.task).await {
            Ok(ended) => ended,
            Err(_) => {
                self.task.abort();
                // A busy guest yields at the next tick; its state is free once the task is gone.
                (&mut self.task).await
            }
        };
        match ended {
            Ok(Ok(())) => End::InOrder,
            Ok(Err(why)) => End::Unsaved(why),
            Err(error) if error.is_panic() => End::Unsaved("its worker panicked".to_owned()),
            Err(_) => End::CutOff,
        }
    }

    fn report(&self) -> ModuleReport {
        let version = self.bundle.manifest.version.clone();
        let state_bytes = self.store.get().map(|store| store.used_bytes());
        let identity = (version, self.digest.to_string());
        ModuleReport::new(self.status.read(), identity, self.origin, state_bytes)
    }
}

/// The state of a module as its worker has it open: for whoever wants to read it, too.
#[derive(Debug, Clone, Default)]
pub(crate) struct Open(Arc<Mutex<Option<ModuleStore>>>);

impl Open {
    pub(crate) fn get(&self) -> Option<ModuleStore> {
        self.lock().clone()
    }

    pub(crate) fn set(&self, store: Option<ModuleStore>) {
        *self.lock() = store;
    }

    fn lock(&self) -> MutexGuard<'_, Option<ModuleStore>> {
        // It is only ever replaced.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The turn of doing something with one module.
#[derive(Debug)]
pub(crate) struct Turn<'a> {
    modules: &'a Modules,
    name: ModuleName,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.modules.busy().remove(&self.name);
    }
}

impl Core {
    /// Starts a worker for a module that has been checked. Does nothing where the engine ends.
    pub(crate) fn run(
        &self,
        bundle: Bundle,
        loaded: Loaded,
        store: ModuleStore,
        origin: Origin,
    ) -> Result<(), ChainError> {
        let name = bundle.name().clone();
        tell_grants(&bundle);
        let manifest = &bundle.manifest;
        let digest = loaded.digest();
        let Version {
            loaded,
            config,
            quota,
            restart,
            inlets,
            ..
        } = self.version(manifest, loaded)?;
        let status = Arc::new(StatusBoard::new(name.clone(), &loaded));
        let stop = self.modules.stop.child_token();
        let open = Open::default();
        open.set(Some(store.clone()));
        let (sender, commands) = mpsc::channel(COMMANDS);
        let worker = Worker {
            options: store_options(manifest),
            name: name.clone(),
            loaded,
            config,
            quota,
            state_dir: Arc::clone(&self.state_dir),
            inlets,
            turn: 0,
            restart,
            backoff: self.backoff,
            failing: Failing::default(),
            has_delivered: false,
            available_since: None,
            status: Arc::clone(&status),
            stop: stop.clone(),
            commands,
            asked: None,
            open: open.clone(),
            about: None,
        };
        let handle = Handle {
            status,
            commands: sender,
            stop,
            task: self.runtime.spawn(worker.run(store)),
            bundle,
            digest,
            origin,
            store: open,
        };
        self.modules.by_name().insert(name, handle);
        Ok(())
    }

    /// How the engine is.
    pub(crate) fn report(&self) -> EngineReport {
        let uptime = self.started.elapsed().as_millis();
        EngineReport {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            uptime_ms: u64::try_from(uptime).unwrap_or(u64::MAX),
            modules: self.module_reports(),
            chains: ChainLook::of_all(&self.chains)
                .iter()
                .map(ChainReport::new)
                .collect(),
        }
    }

    /// How each module is, by name.
    pub(crate) fn module_reports(&self) -> Vec<ModuleReport> {
        let by_name = self.modules.by_name();
        by_name.values().map(Handle::report).collect()
    }

    /// How one module is.
    pub(crate) fn module_report(&self, name: &ModuleName) -> Option<ModuleReport> {
        self.modules.by_name().get(name).map(Handle::report)
    }

    /// What a worker needs of a manifest and its component.
    pub(crate) fn version(
        &self,
        manifest: &ModuleManifest,
        loaded: Loaded,
    ) -> Result<Version, ChainError> {
        let settings = &self.file.config().chains;
        let inlets = Route::of(manifest).into_iter().map(|route| {
            let chain = route.chain();
            let feed = self.chains.feed(chain, self.modules.stop.clone())?;
            let window = settings.get(&chain).map_or(0, |chain| chain.reorg_window);
            Ok(Inlet::new(route, feed, window))
        });
        Ok(Version {
            loaded,
            config: manifest.config.clone(),
            quota: manifest.resources.max_state_bytes,
            durability: manifest.durability,
            restart: manifest.restart,
            inlets: inlets.collect::<Result<_, _>>()?,
        })
    }
}

/// What a module does not get of what its manifest asks for.
pub(crate) fn tell_grants(bundle: &Bundle) {
    let (module, manifest) = (bundle.name(), &bundle.manifest);
    if bundle.asked != manifest.resources {
        tracing::info!(%module, asked = ?bundle.asked, granted = ?manifest.resources, "the policy caps what the manifest asks for");
    }
    for (capability, why) in manifest.capabilities.withheld() {
        let why = match why {
            Withheld::NotHosted => "this engine does not have it",
            Withheld::Denied => "the policy denies it",
        };
        tracing::info!(%module, %capability, "an optional capability is not there: {why}");
    }
    for chain in &manifest.absent_chains {
        tracing::info!(%module, %chain, "an optional chain is not configured: the module gets nothing of it");
    }
}

impl Modules {
    pub(crate) fn status(&self) -> Vec<ModuleStatus> {
        let by_name = self.by_name();
        by_name
            .values()
            .map(|handle| handle.status.read())
            .collect()
    }

    /// The names of the modules that run.
    pub(crate) fn names(&self) -> Vec<ModuleName> {
        self.by_name().keys().cloned().collect()
    }

    /// The turn of doing something with a module, unless somebody has it.
    pub(crate) fn turn(&self, name: &ModuleName) -> Option<Turn<'_>> {
        let is_free = self.busy().insert(name.clone());
        is_free.then(|| Turn {
            modules: self,
            name: name.clone(),
        })
    }

    fn busy(&self) -> MutexGuard<'_, BTreeSet<ModuleName>> {
        // Every change is a single insertion or removal.
        self.busy.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.stop.is_cancelled()
    }

    /// Lets every module come to its end.
    pub(crate) fn close(&self) {
        self.stop.cancel();
    }

    /// All that there are; afterwards there are none.
    pub(crate) fn take(&self) -> Vec<Handle> {
        std::mem::take(&mut *self.by_name()).into_values().collect()
    }

    pub(crate) fn by_name(&self) -> MutexGuard<'_, BTreeMap<ModuleName, Handle>> {
        // Every change is a single insertion or removal.
        self.by_name.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
