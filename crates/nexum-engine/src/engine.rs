//! The facade: start, status, stop.

use std::{panic::AssertUnwindSafe, path::Path, sync::Arc, time::Duration};

use futures::{FutureExt as _, StreamExt as _, TryStreamExt as _, stream};
use nexum_chain::{ChainError, Chains, WrongChainId, WrongChainIds};
use nexum_host::{Host, HostSetupError, SystemClock};
use nexum_manifest::{EngineFile, ManifestErrors, ModuleManifest, Problem, Setup};
use nexum_store::{ModuleStore, StateDir, StoreError, StoreOptions};
use nexum_types::ModuleName;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::{
    Phase,
    inlet::Inlet,
    load,
    route::Route,
    status::{ModuleStatus, StatusBoard},
    worker::Worker,
};

/// States opened at the same time at the start; each waits for the disk most of its time.
const OPENED_AT_ONCE: usize = 16;

/// A running engine. Call [`Engine::stop`] to end it; dropping it cuts off the calls in flight,
/// which are then delivered again at the next start.
#[derive(Debug)]
pub struct Engine {
    workers: Vec<(Arc<StatusBoard>, JoinHandle<Ended>)>,
    stop: CancellationToken,
    grace: Duration,
}

/// How a worker ended: in order, or why what it had pending is not on disk.
type Ended = Result<(), String>;

/// Why an engine did not start. Nothing of any module has run.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The wasm engine could not be set up.
    #[error(transparent)]
    Host(HostSetupError),
    /// Components were refused, or endpoints are of other chains than they are configured for.
    #[error("{0}")]
    Refused(ManifestErrors),
    /// A chain cannot be set up as configured.
    #[error(transparent)]
    Chain(ChainError),
    /// Endpoints of other chains than they are configured for, with no line to point at.
    #[error(transparent)]
    WrongChainIds(WrongChainIds),
    /// The `state_dir` or a module's state cannot be opened.
    #[error(transparent)]
    Store(StoreError),
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
        let Setup {
            engine: file,
            bundles,
        } = setup;
        let config = file.config();
        let chains = Chains::new(config.chains.values().cloned()).map_err(StartError::Chain)?;
        let rate = config.policy.rpc_rate;
        let loaded = load::load(host, &bundles, &chains, rate).await?;
        chains
            .verify()
            .await
            .map_err(|wrong| match misplaced(&file, &wrong) {
                Some(errors) => StartError::Refused(errors),
                None => StartError::WrongChainIds(wrong),
            })?;
        let manifests: Vec<_> = bundles.into_iter().map(|bundle| bundle.manifest).collect();
        let (state_dir, stores) = open_stores(&config.state_dir, &manifests).await?;

        // Nothing can be refused any more: now they run.
        let stop = CancellationToken::new();
        let mut engine = Self {
            workers: Vec::with_capacity(manifests.len()),
            stop: stop.clone(),
            grace: config.shutdown_grace,
        };
        for ((manifest, loaded), store) in manifests.into_iter().zip(loaded).zip(stores) {
            let mut inlets = Vec::new();
            for route in Route::of(&manifest) {
                let feed = chains
                    .feed(route.chain(), stop.clone())
                    .map_err(StartError::Chain)?;
                let window = config
                    .chains
                    .get(&route.chain())
                    .map_or(0, |chain| chain.reorg_window);
                inlets.push(Inlet::new(route, feed, window));
            }
            let status = Arc::new(StatusBoard::new(manifest.name.clone()));
            let worker = Worker {
                options: store_options(&manifest),
                name: manifest.name,
                loaded,
                config: manifest.config,
                quota: manifest.resources.max_state_bytes,
                state_dir: Arc::clone(&state_dir),
                inlets,
                turn: 0,
                status: Arc::clone(&status),
                stop: stop.clone(),
            };
            let task = tokio::spawn(supervised(worker, store));
            engine.workers.push((status, task));
        }
        Ok(engine)
    }

    /// The modules as they are now.
    #[must_use]
    pub fn status(&self) -> Vec<ModuleStatus> {
        self.workers
            .iter()
            .map(|(status, _)| status.read())
            .collect()
    }

    /// Takes no more events, lets the calls in flight end within the configured grace, commits,
    /// and flushes.
    pub async fn stop(mut self) -> Stopped {
        self.stop.cancel();
        let deadline = tokio::time::Instant::now() + self.grace;
        let (mut cut_off, mut unsaved) = (Vec::new(), Vec::new());
        for (status, worker) in &mut self.workers {
            let ended = match tokio::time::timeout_at(deadline, &mut *worker).await {
                Ok(ended) => ended,
                Err(_) => {
                    worker.abort();
                    // A busy guest yields at the next tick; its state is free once the task is
                    // gone.
                    worker.await
                }
            };
            match ended {
                Ok(Ok(())) => {}
                Ok(Err(why)) => unsaved.push((status.read().name, why)),
                Err(_) => cut_off.push(status.read().name),
            }
        }
        Stopped {
            modules: self.status(),
            cut_off,
            unsaved,
        }
    }
}

/// Runs a worker. A panic of it is a fault of the engine's own: it ends this module, says so, and
/// leaves the others alone.
async fn supervised(worker: Worker, store: ModuleStore) -> Ended {
    let (name, status) = (worker.name.clone(), Arc::clone(&worker.status));
    let ended = AssertUnwindSafe(worker.run(store)).catch_unwind().await;
    ended.unwrap_or_else(|_| {
        let error = "its worker panicked; the module stands still until the engine is restarted";
        tracing::error!(module = %name, error, "module failed");
        status.failed(error.to_owned());
        status.phase(Phase::Stopped);
        Err(error.to_owned())
    })
}

fn store_options(manifest: &ModuleManifest) -> StoreOptions {
    StoreOptions {
        durability: manifest.durability,
        ..StoreOptions::default()
    }
}

/// Locks the `state_dir` and opens the state of every module, several at a time: each open waits
/// for the disk.
async fn open_stores(
    path: &Path,
    manifests: &[ModuleManifest],
) -> Result<(Arc<StateDir>, Vec<ModuleStore>), StartError> {
    let path = path.to_owned();
    let state_dir = tokio::task::spawn_blocking(move || StateDir::open(&path))
        .await
        .map_err(StartError::Task)?
        .map_err(StartError::Store)?;
    let state_dir = Arc::new(state_dir);
    let stores = stream::iter(manifests)
        .map(|manifest| {
            let (dir, name) = (Arc::clone(&state_dir), manifest.name.clone());
            let options = store_options(manifest);
            tokio::task::spawn_blocking(move || dir.open_module(&name, options))
        })
        .buffered(OPENED_AT_ONCE)
        .map(|opened| opened.map_err(StartError::Task)?.map_err(StartError::Store))
        .try_collect()
        .await?;
    Ok((state_dir, stores))
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
        self.stop.cancel();
        for (_, worker) in &self.workers {
            worker.abort();
        }
    }
}
