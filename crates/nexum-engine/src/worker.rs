//! One module's worker: its own task, its own place in each feed, its own state. It shares no
//! loop and no queue with any other module, so no module waits for another.

use std::{future, pin::pin, sync::Arc, time::Duration};

use nexum_chain::FeedItem;
use nexum_host::{CallReport, Instance, Loaded, Outcome, Trap};
use nexum_manifest::Durability;
use nexum_store::{ModuleStore, StateDir, Step, StoreError, StoreOptions};
use nexum_types::{CallState, Config, Cursor, Event, HostError, ModuleName, WriteSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{
    inlet::{Inlet, next_item},
    lifecycle::{Happened, Lifecycle, Phase},
    status::StatusBoard,
};

/// How long the cursor of a module that writes nothing may run ahead of the disk. Repeating
/// events that wrote nothing is harmless, and so is a longer time; it only bounds the work that
/// a crash makes again.
const LAZY_CURSOR: Duration = Duration::from_secs(30);
/// See [`is_small`].
const SMALL_KEYS: usize = 16;
/// See [`is_small`].
const SMALL_BYTES: usize = 16 * 1024;

/// Everything a worker needs, ready to start.
pub(crate) struct Worker {
    pub(crate) name: ModuleName,
    pub(crate) loaded: Loaded,
    pub(crate) config: Config,
    pub(crate) quota: u64,
    pub(crate) state_dir: Arc<StateDir>,
    pub(crate) options: StoreOptions,
    pub(crate) inlets: Vec<Inlet>,
    /// The inlet whose turn is next, where several have something.
    pub(crate) turn: usize,
    pub(crate) status: Arc<StatusBoard>,
    pub(crate) stop: CancellationToken,
}

/// A module that handles events.
pub(crate) struct Running {
    instance: Instance,
    pub(crate) store: ModuleStore,
    /// Whether the store has had a commit since it was opened.
    has_committed: bool,
    /// When what is pending in the store must be on disk.
    flush_at: Option<Instant>,
}

/// All that can wake a running worker.
enum Wake {
    Item(usize, FeedItem),
    FlushDue,
    Stop,
}

/// Why an `init` or an event was not committed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("the module returned an error")]
    Returned(#[source] HostError),
    #[error(transparent)]
    Trapped(Trap),
    #[error("its state could not be opened, read or committed")]
    Store(#[source] StoreError),
    #[error("the work on its state was cut off")]
    StoreCutOff(#[source] tokio::task::JoinError),
}

impl Failure {
    /// True where the store has to be opened anew before it can be used again.
    fn breaks_store(&self) -> bool {
        match self {
            Self::Store(_) | Self::StoreCutOff(_) | Self::Trapped(Trap::Store(_)) => true,
            Self::Returned(_) | Self::Trapped(_) => false,
        }
    }
}

impl Worker {
    /// Runs the module until it is asked to stop. What is pending is on disk when this returns ok.
    /// `store` is its state, opened.
    pub(crate) async fn run(mut self, store: ModuleStore) -> Result<(), String> {
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
                (Phase::Backoff, _) => {
                    self.flush_idle(&mut idle_store).await;
                    self.wait(lifecycle.wait(rand::random())).await
                }
                (Phase::Stopped, _) => break,
            };
            lifecycle = lifecycle.after(happened);
        }
        match running.map(|module| module.store).or(idle_store) {
            Some(store) => blocking(move || store.flush())
                .await
                .map_err(|failure| with_causes(&failure)),
            None => Ok(()),
        }
    }

    /// Brings to the disk what a module that fails has pending: nobody else would for as long as
    /// it goes on failing.
    async fn flush_idle(&mut self, idle_store: &mut Option<ModuleStore>) {
        let Some(store) = idle_store.clone() else {
            return;
        };
        if let Err(failure) = blocking(move || store.flush()).await {
            let error = with_causes(&failure);
            tracing::error!(module = %self.name, error, "what was pending is not on disk");
            *idle_store = None;
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
        let accepted = accepted(report)?;
        if accepted.needs_commit() {
            self.commit(&store, accepted, None, false).await?;
        }
        for inlet in &mut self.inlets {
            inlet.rewind(&store).map_err(Failure::Store)?;
            let source = inlet.route.source();
            if let Some(cursor) = store.cursor(&source) {
                self.status.has_come(source, cursor);
            }
        }
        tracing::info!(module = %self.name, "module is running");
        *idle_store = None;
        let mut running = Running {
            instance,
            store,
            has_committed: false,
            flush_at: None,
        };
        self.plan_flush(&mut running);
        Ok(running)
    }

    /// Goes on until an event has been delivered, or something else has happened.
    async fn deliver_next(&mut self, module: &mut Running) -> Result<Happened, Failure> {
        loop {
            let wake = tokio::select! {
                biased;
                () = self.stop.cancelled() => Wake::Stop,
                () = at(module.flush_at) => Wake::FlushDue,
                (inlet, item) = next_item(&mut self.inlets, self.turn) => Wake::Item(inlet, item),
            };
            match wake {
                Wake::Stop => return Ok(Happened::StopAsked),
                Wake::FlushDue => {
                    let store = module.store.clone();
                    blocking(move || store.flush()).await?;
                    self.plan_flush(module);
                }
                Wake::Item(inlet, item) => {
                    self.turn = inlet + 1;
                    let delivered = self.take(module, inlet, item).await?;
                    self.plan_flush(module);
                    if delivered {
                        return Ok(Happened::Delivered);
                    }
                }
            }
        }
    }

    /// Does what an item of a feed asks for. True where the module was given an event.
    async fn take(
        &mut self,
        module: &mut Running,
        inlet: usize,
        item: FeedItem,
    ) -> Result<bool, Failure> {
        let open = self.inlets[inlet].open.take();
        let mut given = false;
        let mut turns = None;
        if let Some((block, before)) = open {
            let goes_on = match &item {
                FeedItem::Block(more) | FeedItem::Early(more) => more.block.block_ref() == block,
                _ => false,
            };
            if goes_on {
                turns = Some(before);
            } else {
                given |= self.take_back(module, inlet, block.number, before).await?;
            }
        }
        let source = self.inlets[inlet].route.source();
        match item {
            FeedItem::Block(block) => {
                given |= self.give_block(module, inlet, &block, turns).await?;
            }
            FeedItem::Early(block) => {
                given |= self.give_early(module, inlet, &block, turns).await?;
            }
            FeedItem::Reverted(block) => {
                given |= self
                    .take_back(module, inlet, block.number, u32::MAX)
                    .await?;
            }
            FeedItem::Progress(block) => {
                self.note(module, (source, Cursor::Block(block)));
            }
            FeedItem::Skipped { first, last } => {
                let blocks = last.0.saturating_sub(first.0) + 1;
                tracing::warn!(
                    module = %self.name, %source, %first, %last, blocks,
                    "the module is too far behind and skips to the head, as its manifest says"
                );
                self.status.skipped(blocks);
                self.note(module, (source, Cursor::Before(last.next())));
            }
            FeedItem::BeyondWindow { from } => {
                let error = format!(
                    "{source} has been reorganised deeper than its window, below block {}; \
                     the module gets nothing of it until `nexum module resync {} --chain … --at …`",
                    from.number, self.name
                );
                tracing::error!(module = %self.name, %source, block = %from.number, hash = %from.hash, "{error}");
                self.status.stalled(error);
            }
        }
        Ok(given)
    }

    /// One call with one event, and the commit of both its writes and its step.
    pub(crate) async fn give(
        &mut self,
        module: &mut Running,
        event: &Event,
        step: Step,
    ) -> Result<(), Failure> {
        let state = self.call_state(&module.store);
        let call = module.instance.on_event(state, event);
        let report = flushing(&self.name, &module.store, &mut module.flush_at, call).await;
        let accepted = accepted(report)?;
        if accepted.needs_commit() {
            let (source, cursor) = (step.source, step.cursor);
            let has_committed = module.has_committed;
            self.commit(&module.store, accepted, Some(step), has_committed)
                .await?;
            module.has_committed = true;
            self.status.has_come(source, cursor);
        } else {
            self.note(module, step);
        }
        self.status.delivered();
        Ok(())
    }

    /// Moves a cursor along with nothing else: it reaches the disk in its own time.
    pub(crate) fn note(&self, module: &Running, step: impl Into<Step>) {
        let step = step.into();
        self.status.has_come(step.source, step.cursor);
        module.store.note(step);
    }

    async fn commit(
        &mut self,
        store: &ModuleStore,
        accepted: Accepted,
        step: Option<Step>,
        has_committed: bool,
    ) -> Result<(), Failure> {
        let Accepted {
            writes,
            has_checkpointed,
        } = accepted;
        let is_lazy = matches!(self.options.durability, Durability::Interval(_));
        if is_lazy && has_committed && !has_checkpointed && is_small(&writes) {
            // This touches memory only, and costs less than handing it to another thread. A
            // store's first commit writes what its opening has held back.
            return store
                .commit(&writes, step)
                .map(drop)
                .map_err(Failure::Store);
        }
        // The disk is waited for on a thread that no other module needs.
        let store = store.clone();
        blocking(move || {
            store.commit(&writes, step)?;
            if has_checkpointed {
                store.flush()
            } else {
                Ok(())
            }
        })
        .await
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
        let error = with_causes(failure);
        tracing::error!(module = %self.name, error, backtrace, "module failed");
        self.status.failed(error);
        Happened::Failed
    }
}

/// What a call that succeeded leaves to commit.
struct Accepted {
    writes: WriteSet,
    has_checkpointed: bool,
}

impl Accepted {
    /// False where repeating the call would be as if it had been made once: its cursor can wait.
    fn needs_commit(&self) -> bool {
        self.has_checkpointed || !self.writes.is_empty()
    }
}

/// True for what a commit in memory takes no time for that another task would notice.
fn is_small(writes: &WriteSet) -> bool {
    let bytes = |(key, value): (&str, Option<&[u8]>)| key.len() + value.map_or(0, <[u8]>::len);
    writes.len() <= SMALL_KEYS && writes.entries().map(bytes).sum::<usize>() <= SMALL_BYTES
}

/// An error and what led to it, in one line.
fn with_causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    let texts: Vec<_> = causes.map(ToString::to_string).collect();
    texts.join(": ")
}

/// Waits for a call, and flushes what falls due meanwhile.
async fn flushing<T>(
    name: &ModuleName,
    store: &ModuleStore,
    flush_at: &mut Option<Instant>,
    call: impl Future<Output = T>,
) -> T {
    let mut call = pin!(call);
    loop {
        tokio::select! {
            biased;
            report = &mut call => return report,
            () = at(*flush_at) => {
                *flush_at = None;
                let store = store.clone();
                // The store has stopped then, and the commit of this call will say so too.
                if let Err(failure) = blocking(move || store.flush()).await {
                    let error = with_causes(&failure);
                    tracing::error!(module = %name, error, "what was pending is not on disk");
                }
            }
        }
    }
}

fn accepted(report: CallReport) -> Result<Accepted, Failure> {
    match report.outcome {
        Outcome::Ok {
            writes,
            has_checkpointed,
        } => Ok(Accepted {
            writes,
            has_checkpointed,
        }),
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
        .map_err(Failure::StoreCutOff)?
        .map_err(Failure::Store)
}

async fn at(instant: Option<Instant>) {
    match instant {
        Some(instant) => tokio::time::sleep_until(instant).await,
        None => future::pending().await,
    }
}
