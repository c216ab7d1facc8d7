//! One module's worker: its own task, its own place in each feed, its own state. It shares no
//! loop and no queue with any other module, so no module waits for another.

use std::{future, sync::Arc, time::Duration};

use futures::future::select_all;
use nexum_chain::{Feed, FeedItem, FeedReader, Position};
use nexum_host::{CallReport, Instance, Loaded, Outcome, Trap};
use nexum_manifest::Durability;
use nexum_store::{ModuleStore, StateDir, StoreError, StoreOptions};
use nexum_types::{CallState, Config, Cursor, Event, HostError, ModuleName, Source, WriteSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{
    lifecycle::{Happened, Lifecycle, Phase},
    route::Route,
    status::StatusBoard,
};

/// How long the cursor of a module that writes nothing may run ahead of the disk. Repeating
/// events that wrote nothing is harmless, and so is a longer time; it only bounds the work that
/// a crash makes again.
const LAZY_CURSOR: Duration = Duration::from_secs(30);

/// Everything a worker needs, ready to start.
pub(crate) struct Worker {
    pub(crate) name: ModuleName,
    pub(crate) loaded: Loaded,
    pub(crate) config: Config,
    pub(crate) quota: u64,
    pub(crate) state_dir: Arc<StateDir>,
    pub(crate) options: StoreOptions,
    pub(crate) inlets: Vec<Inlet>,
    pub(crate) status: Arc<StatusBoard>,
    pub(crate) stop: CancellationToken,
}

/// A module that handles events.
struct Running {
    instance: Instance,
    store: ModuleStore,
    /// When what is pending in the store must be on disk.
    flush_at: Option<Instant>,
}

/// One feed as it comes in to one module.
pub(crate) struct Inlet {
    route: Route,
    feed: Feed,
    reader: FeedReader,
    /// Where the module's first event is, while it has no cursor: what `start = "latest"` meant
    /// when it was first asked must still hold after a failure.
    first: Option<Position>,
}

impl Inlet {
    pub(crate) fn new(route: Route, feed: Feed, cursor: Option<Cursor>) -> Self {
        let reader = feed.reader(route.position(cursor));
        Self {
            route,
            feed,
            reader,
            first: None,
        }
    }

    /// Reads on from what is committed.
    fn rewind(&mut self, cursor: Option<Cursor>) {
        let position = match (cursor, self.first) {
            (Some(_), _) => self.route.position(cursor),
            (None, Some(first)) => first,
            // Nothing has been read: the reader is still where it began, though the head is not.
            (None, None) => return,
        };
        self.reader = self.feed.reader(position);
    }

    async fn next(&mut self) -> FeedItem {
        let item = self.reader.next().await;
        if self.first.is_none() {
            let FeedItem::Block(block) = &item;
            self.first = Some(Position::At(block.number));
        }
        item
    }
}

/// All that can wake a running worker.
enum Wake {
    Item(usize, FeedItem),
    FlushDue,
    Stop,
}

/// Why an `init` or an event was not committed.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("the module returned an error: {0}")]
    Returned(#[source] HostError),
    #[error("{0}")]
    Trapped(#[source] Trap),
    #[error("its state could not be committed: {0}")]
    Commit(#[source] StoreError),
    #[error("the commit was cut off")]
    CommitCutOff(#[source] tokio::task::JoinError),
}

impl Failure {
    /// True where the store has to be opened anew before it can be used again.
    fn breaks_store(&self) -> bool {
        match self {
            Self::Commit(_) | Self::CommitCutOff(_) | Self::Trapped(Trap::Store(_)) => true,
            Self::Returned(_) | Self::Trapped(_) => false,
        }
    }
}

impl Worker {
    /// Runs the module until it is asked to stop; what is pending is on disk when this returns.
    /// `store` is its state, opened.
    pub(crate) async fn run(mut self, store: ModuleStore) {
        let mut lifecycle = Lifecycle::START;
        // The store outlives an instance, but not a failure of its own: it is opened anew then,
        // which tells what has reached the disk.
        let mut idle_store = Some(store);
        let mut running: Option<Running> = None;
        loop {
            self.status.phase(lifecycle.phase);
            let happened = match (lifecycle.phase, &mut running) {
                (Phase::Init, _) => match self.initialise(&mut idle_store).await {
                    Ok(fresh) => {
                        running = Some(fresh);
                        Happened::Initialised
                    }
                    Err(failure) => self.failed(&failure, &mut idle_store),
                },
                (Phase::Run, Some(module)) => match self.deliver_next(module).await {
                    Ok(happened) => happened,
                    Err(failure) => {
                        idle_store = running.take().map(|module| module.store);
                        self.failed(&failure, &mut idle_store)
                    }
                },
                (Phase::Run, None) => Happened::Failed,
                (Phase::Backoff, _) => self.wait(lifecycle.wait(rand::random())).await,
                (Phase::Stopped, _) => break,
            };
            lifecycle = lifecycle.after(happened);
        }
        let store = running.map(|module| module.store).or(idle_store);
        if let Some(store) = store
            && let Err(error) = blocking(move || store.flush()).await
        {
            tracing::error!(module = %self.name, %error, "the last flush failed");
        }
    }

    /// Makes a fresh instance, runs its `init`, commits, and goes back to the committed cursors.
    async fn initialise(
        &mut self,
        idle_store: &mut Option<ModuleStore>,
    ) -> Result<Running, Failure> {
        let store = match idle_store.as_ref() {
            Some(store) => store.clone(),
            None => {
                let (dir, name, options) =
                    (Arc::clone(&self.state_dir), self.name.clone(), self.options);
                blocking(move || dir.open_module(&name, options)).await?
            }
        };
        *idle_store = Some(store.clone());
        let mut instance = self.loaded.instantiate().await.map_err(Failure::Trapped)?;
        let report = instance.init(self.call_state(&store), &self.config).await;
        let writes = accepted(report)?;
        if !writes.is_empty() {
            self.commit(&store, writes, None).await?;
        }
        for inlet in &mut self.inlets {
            inlet.rewind(store.cursor(&inlet.route.source()));
        }
        tracing::info!(module = %self.name, "module is running");
        *idle_store = None;
        let mut running = Running {
            instance,
            store,
            flush_at: None,
        };
        self.plan_flush(&mut running);
        Ok(running)
    }

    async fn deliver_next(&mut self, module: &mut Running) -> Result<Happened, Failure> {
        loop {
            let wake = tokio::select! {
                biased;
                () = self.stop.cancelled() => Wake::Stop,
                () = at(module.flush_at) => Wake::FlushDue,
                (inlet, item) = next_item(&mut self.inlets) => Wake::Item(inlet, item),
            };
            match wake {
                Wake::Stop => return Ok(Happened::StopAsked),
                Wake::FlushDue => {
                    let store = module.store.clone();
                    blocking(move || store.flush()).await?;
                    self.plan_flush(module);
                }
                Wake::Item(inlet, item) => {
                    let (event, cursor) = Route::event(&item);
                    let source = self.inlets[inlet].route.source();
                    self.deliver(module, &event, source, cursor).await?;
                    self.plan_flush(module);
                    self.status.delivered();
                    return Ok(Happened::Delivered);
                }
            }
        }
    }

    async fn deliver(
        &mut self,
        module: &mut Running,
        event: &Event,
        source: Source,
        cursor: Cursor,
    ) -> Result<(), Failure> {
        let report = module
            .instance
            .on_event(self.call_state(&module.store), event)
            .await;
        let writes = accepted(report)?;
        if writes.is_empty() {
            module.store.note_cursor(source, cursor);
            return Ok(());
        }
        self.commit(&module.store, writes, Some((source, cursor)))
            .await
    }

    async fn commit(
        &mut self,
        store: &ModuleStore,
        writes: WriteSet,
        cursor: Option<(Source, Cursor)>,
    ) -> Result<(), Failure> {
        match self.options.durability {
            // The disk is waited for on a thread that no other module needs.
            Durability::Event => {
                let store = store.clone();
                blocking(move || store.commit(&writes, cursor).map(drop)).await
            }
            // This touches memory only, and costs less than handing it to another thread.
            Durability::Interval(_) => store
                .commit(&writes, cursor)
                .map(drop)
                .map_err(Failure::Commit),
        }
    }

    /// Sets the time of the next flush, once for everything that gathers until then.
    fn plan_flush(&self, module: &mut Running) {
        module.flush_at = match (module.store.is_dirty(), module.flush_at) {
            (false, _) => None,
            (true, Some(planned)) => Some(planned),
            (true, None) => Some(Instant::now() + self.flush_delay()),
        };
    }

    fn flush_delay(&self) -> Duration {
        match self.options.durability {
            Durability::Event => LAZY_CURSOR,
            Durability::Interval(interval) => interval,
        }
    }

    async fn wait(&mut self, wait: Duration) -> Happened {
        tracing::info!(module = %self.name, wait_ms = wait.as_millis(), "restarting after a wait");
        tokio::select! {
            () = self.stop.cancelled() => Happened::StopAsked,
            () = tokio::time::sleep(wait) => Happened::Waited,
        }
    }

    fn call_state(&self, store: &ModuleStore) -> CallState {
        CallState::new(Arc::new(store.clone()), self.quota)
    }

    fn failed(&self, failure: &Failure, store: &mut Option<ModuleStore>) -> Happened {
        if failure.breaks_store() {
            *store = None;
        }
        let backtrace = match failure {
            Failure::Trapped(Trap::Guest { backtrace, .. }) => backtrace.as_str(),
            _ => "",
        };
        tracing::error!(module = %self.name, error = %failure, backtrace, "module failed");
        self.status.failed(failure.to_string());
        Happened::Failed
    }
}

fn accepted(report: CallReport) -> Result<WriteSet, Failure> {
    match report.outcome {
        Outcome::Ok(writes) => Ok(writes),
        Outcome::Err(error) => Err(Failure::Returned(error)),
        Outcome::Trap(trap) => Err(Failure::Trapped(trap)),
    }
}

/// Does work that waits for the disk where waiting stops nobody.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, Failure> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(Failure::CommitCutOff)?
        .map_err(Failure::Commit)
}

/// The next item of any inlet. Nothing is lost where this is cancelled.
async fn next_item(inlets: &mut [Inlet]) -> (usize, FeedItem) {
    match inlets {
        [] => future::pending().await,
        [only] => (0, only.next().await),
        several => {
            let next = several.iter_mut().map(|inlet| Box::pin(inlet.next()));
            let (item, inlet, _) = select_all(next).await;
            (inlet, item)
        }
    }
}

async fn at(instant: Option<Instant>) {
    match instant {
        Some(instant) => tokio::time::sleep_until(instant).await,
        None => future::pending().await,
    }
}
