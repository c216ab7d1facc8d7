//! The modules that run, by name, and what it takes to run another.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use nexum_chain::{ChainError, Chains};
use nexum_host::{Host, Loaded};
use nexum_http::Egress;
use nexum_identity::{Accounts, Sender};
use nexum_manifest::{Bundle, EngineFile, ModuleManifest, Sha256, Withheld};
use nexum_store::{ModuleStore, StateDir};
use nexum_types::{ModuleName, StateBackend as _};
use serde::{Deserialize, Serialize};
use tokio::{
    runtime,
    sync::{Notify, mpsc},
    task::JoinHandle,
};
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
    timetable::Timetable,
    watch::Observer,
    wire::{ChainReport, EngineReport, ModuleReport},
    withdrawal::Withdrawal,
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
    /// The way to servers outside.
    pub(crate) egress: Egress,
    pub(crate) accounts: Accounts,
    /// What the transactions of all modules go through.
    pub(crate) sender: Sender,
    pub(crate) file: EngineFile,
    /// Held from reading the credentials anew until they are in use.
    pub(crate) reloading: Mutex<()>,
    pub(crate) state_dir: Arc<StateDir>,
    pub(crate) remembered: Arc<Remembered>,
    pub(crate) code: Keeping,
    pub(crate) backoff: Backoff,
    /// How long an operation waits for an answer that comes between two calls of a module.
    pub(crate) answer_within: Duration,
    pub(crate) observer: Option<Arc<dyn Observer>>,
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
    /// The modules with which something is being done, and what takes that back where it can be.
    busy: Mutex<BTreeMap<ModuleName, Option<Arc<Withdrawal>>>>,
    /// Told whenever that is done.
    freed: Notify,
    /// Cancelled once the engine is to end; no module starts after that.
    stop: CancellationToken,
    /// Cancelled where the modules are to come to their end in order, and not to be cut off.
    ends: CancellationToken,
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

/// Why there is no turn to be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoTurn {
    /// Somebody else has it.
    Taken,
    /// The engine is to end.
    Closed,
}

/// The turn of doing something with one module.
#[derive(Debug)]
pub(crate) struct Turn<'a> {
    modules: &'a Modules,
    name: ModuleName,
}

impl Turn<'_> {
    /// What is done may be taken back from now on.
    pub(crate) fn withdrawal(&self) -> Arc<Withdrawal> {
        let withdrawal = Arc::new(Withdrawal::default());
        let known = Some(Arc::clone(&withdrawal));
        self.modules.busy().insert(self.name.clone(), known);
        withdrawal
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.modules.busy().remove(&self.name);
        self.modules.freed.notify_waiters();
    }
}

impl Core {
    /// Starts a worker for a version of a module that has been checked. False, with nothing done,
    /// where the engine is to end.
    pub(crate) fn run(
        &self,
        bundle: Bundle,
        version: Version,
        store: ModuleStore,
        origin: Origin,
    ) -> bool {
        let mut by_name = self.modules.by_name();
        // Whoever ends the engine takes those that run only after it is closed.
        if self.modules.is_closed() {
            return false;
        }
        let name = bundle.name().clone();
        tell_grants(&bundle);
        let digest = version.loaded.digest();
        let Version {
            loaded,
            config,
            quota,
            restart,
            inlets,
            timetable,
            ..
        } = version;
        let status = Arc::new(StatusBoard::new(name.clone(), &loaded));
        let stop = self.modules.ends.child_token();
        let open = Open::default();
        open.set(Some(store.clone()));
        let (sender, commands) = mpsc::channel(COMMANDS);
        let worker = Worker {
            options: store_options(&bundle.manifest),
            name: name.clone(),
            loaded,
            config,
            quota,
            state_dir: Arc::clone(&self.state_dir),
            sender: self.sender.clone(),
            inlets,
            timetable,
            turn: 0,
            was_tick: false,
            restart,
            backoff: self.backoff,
            observer: self.observer.clone(),
            watch: None,
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
        by_name.insert(name, handle);
        true
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
        if self.observer.is_some() {
            loaded.trace_calls();
        }
        let settings = &self.file.config().chains;
        let inlets = Route::of(manifest).into_iter().map(|route| {
            let chain = route.chain();
            let feed = self.chains.feed(chain, self.modules.stop.clone())?;
            let window = settings.get(&chain).map_or(0, |chain| chain.reorg_window);
            Ok(Inlet::new(route, feed, window))
        });
        let timetable = Timetable::of(manifest, Arc::clone(loaded.clock()));
        Ok(Version {
            loaded,
            config: manifest.config.clone(),
            quota: manifest.resources.max_state_bytes,
            durability: manifest.durability,
            restart: manifest.restart,
            inlets: inlets.collect::<Result<_, _>>()?,
            timetable,
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

    /// The turn of doing something with a module.
    pub(crate) fn turn(&self, name: &ModuleName) -> Result<Turn<'_>, NoTurn> {
        let mut busy = self.busy();
        if self.is_closed() {
            return Err(NoTurn::Closed);
        }
        if busy.contains_key(name) {
            return Err(NoTurn::Taken);
        }
        busy.insert(name.clone(), None);
        Ok(Turn {
            modules: self,
            name: name.clone(),
        })
    }

    /// The same, once whatever is being done with it and can be taken back has been.
    pub(crate) async fn turn_before_others(&self, name: &ModuleName) -> Result<Turn<'_>, NoTurn> {
        loop {
            // Before the look, so that nothing is missed between the two.
            let freed = self.freed.notified();
            match self.turn(name) {
                Err(NoTurn::Taken) if self.withdraw(name) => freed.await,
                turn => return turn,
            }
        }
    }

    /// Takes back what is being done with a module. False where that cannot be.
    fn withdraw(&self, name: &ModuleName) -> bool {
        let withdrawal = match self.busy().get(name) {
            Some(withdrawal) => withdrawal.clone(),
            None => return true,
        };
        // Where it is too late, it is about to end.
        let withdraw = |withdrawal: Arc<Withdrawal>| withdrawal.withdraw();
        withdrawal.map(withdraw).is_some()
    }

    /// Waits until nothing is being done with any module.
    pub(crate) async fn all_done(&self) {
        loop {
            let freed = self.freed.notified();
            if self.busy().is_empty() {
                return;
            }
            freed.await;
        }
    }

    fn busy(&self) -> MutexGuard<'_, BTreeMap<ModuleName, Option<Arc<Withdrawal>>>> {
        // Every change is a single insertion or removal.
        self.busy.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.stop.is_cancelled()
    }

    /// Lets every module come to its end, and gives no more turns.
    pub(crate) fn close(&self) {
        self.refuse();
        self.ends.cancel();
    }

    /// Gives no more turns, and starts no more modules.
    pub(crate) fn refuse(&self) {
        let _busy = self.busy();
        self.stop.cancel();
    }

    /// Comes once the modules are to come to their end.
    pub(crate) async fn closed(&self) {
        self.stop.cancelled().await;
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
