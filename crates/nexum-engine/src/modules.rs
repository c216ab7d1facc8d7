//! The modules that run, by name, and what it takes to run another.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use nexum_chain::{ChainError, Chains};
use nexum_host::{Host, Loaded};
use nexum_manifest::{Bundle, EngineFile, ModuleManifest};
use nexum_store::{ModuleStore, StateDir};
use nexum_types::ModuleName;
use tokio::{sync::mpsc, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use crate::{
    command::{Command, Version},
    engine::store_options,
    inlet::Inlet,
    letters::Failing,
    lifecycle::Backoff,
    route::Route,
    status::{ModuleStatus, StatusBoard},
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
    pub(crate) backoff: Backoff,
    pub(crate) modules: Modules,
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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
    pub(crate) origin: Origin,
    /// Its state, while that is open.
    pub(crate) store: Open,
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
        let manifest = &bundle.manifest;
        let Version {
            loaded,
            config,
            quota,
            restart,
            inlets,
            ..
        } = self.version(manifest, loaded)?;
        let status = Arc::new(StatusBoard::new(name.clone()));
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
            status: Arc::clone(&status),
            stop: stop.clone(),
            commands,
            asked: None,
            open: open.clone(),
        };
        let handle = Handle {
            status,
            commands: sender,
            stop,
            task: tokio::spawn(worker.run(store)),
            bundle,
            origin,
            store: open,
        };
        self.modules.by_name().insert(name, handle);
        Ok(())
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
