//! One module's worker: its own task, its own place in each feed, its own state. It shares no
//! loop and no queue with any other module, so no module waits for another.

use std::{future, sync::Arc, time::Duration};

use futures::future::select_all;
use nexum_chain::{Feed, FeedBlock, FeedItem, FeedReader, Position};
use nexum_host::{CallReport, Instance, Loaded, Outcome, Trap};
use nexum_manifest::Durability;
use nexum_store::{History, ModuleStore, StateDir, Step, StoreError, StoreOptions};
use nexum_types::{
    BlockNumber, BlockRef, CallState, Config, Cursor, Delivered, Event, HostError, ModuleName,
    WriteSet,
};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{
    lifecycle::{Happened, Lifecycle, Phase},
    route::{self, Deal, Route},
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
    /// How many blocks back what was delivered is remembered.
    window: u64,
    reader: FeedReader,
    /// The block of which only the events before this turn have been committed, until it comes
    /// again or turns out to have left the chain.
    open: Option<(BlockRef, u32)>,
    /// Nothing has come and nothing is committed: the first item tells where the module begins.
    is_fresh: bool,
}

impl Inlet {
    pub(crate) fn new(route: Route, feed: Feed, window: u32) -> Self {
        // Where `start = "latest"` is, is known from here on, however long the first `init` takes.
        let reader = feed.reader(Position::Latest, route.interest());
        Self {
            route,
            feed,
            window: window.into(),
            reader,
            open: None,
            is_fresh: false,
        }
    }

    /// Reads on from what is committed in `store`.
    fn rewind(&mut self, store: &ModuleStore) -> Result<(), StoreError> {
        let source = self.route.source();
        let cursor = store.cursor(&source);
        self.is_fresh = cursor.is_none();
        self.open = match cursor {
            Some(Cursor::Part { block, turn, .. }) => Some((block, turn)),
            _ => None,
        };
        let position = self.route.position(cursor, store.history(source)?);
        // At the latest head the reader has been since it was made, though the head has moved on.
        if position != Position::Latest {
            self.reader = self.feed.reader(position, self.route.interest());
        }
        Ok(())
    }

    async fn next(&mut self) -> FeedItem {
        let item = self.reader.next().await;
        if self.is_fresh {
            self.is_fresh = false;
            self.route.fix_latest(&item, self.feed.head());
        }
        item
    }

    /// What has to be remembered of a block along with a step.
    fn history(&self, delivered: &Delivered) -> History {
        if !self.route.can_be_taken_back() {
            return History::Unchanged;
        }
        let number = delivered.block.number.0;
        History::Remember {
            delivered: delivered.clone(),
            keep_from: BlockNumber(number.saturating_sub(self.window)),
        }
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
            inlet.rewind(&store).map_err(Failure::Commit)?;
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
        let mut first_turn = 0;
        if let Some((block, turn)) = open {
            if matches!(&item, FeedItem::Block(again) if again.block.block_ref() == block) {
                first_turn = turn;
            } else {
                given |= self.take_back(module, inlet, block.number).await?;
            }
        }
        let source = self.inlets[inlet].route.source();
        match item {
            FeedItem::Block(block) => {
                given |= self.give_block(module, inlet, &block, first_turn).await?;
            }
            FeedItem::Reverted(block) => {
                given |= self.take_back(module, inlet, block.number).await?;
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
                     the module gets nothing of it until `nexum module resync {}`",
                    from.number, self.name
                );
                tracing::error!(module = %self.name, %source, block = %from.number, hash = %from.hash, "{error}");
                self.status.stalled(error);
            }
        }
        Ok(given)
    }

    /// Gives the module the events of a block from `first_turn` on, each with a commit of its
    /// own.
    async fn give_block(
        &mut self,
        module: &mut Running,
        inlet: usize,
        block: &FeedBlock,
        first_turn: u32,
    ) -> Result<bool, Failure> {
        let route = &self.inlets[inlet].route;
        let source = route.source();
        let mut deals = route.deals(block);
        deals.retain(|deal| deal.turn >= first_turn);
        let block_ref = block.block.block_ref();
        let Some(last) = deals.last().map(|deal| deal.turn) else {
            self.note(module, (source, Cursor::Block(block_ref)));
            return Ok(false);
        };
        let known = if first_turn == 0 {
            None
        } else {
            let known = module.store.delivered(source, block_ref.number);
            known.map_err(Failure::Commit)?
        };
        let mut delivered = known.unwrap_or(Delivered {
            block: block_ref,
            parent_hash: block.block.parent_hash,
            logs: Vec::new(),
        });
        for Deal { turn, event } in deals {
            if let Event::Logs(logs) = &event {
                delivered.logs.push((turn, logs.clone()));
            }
            let cursor = if turn == last {
                Cursor::Block(block_ref)
            } else {
                route::part(&delivered, turn + 1)
            };
            let history = self.inlets[inlet].history(&delivered);
            let step = Step {
                source,
                cursor,
                history,
            };
            self.give(module, &event, step).await?;
            if turn != last && self.stop.is_cancelled() {
                break;
            }
        }
        Ok(true)
    }

    /// Gives the module the logs of a block that has left the chain once more, as removed, each
    /// with a commit of its own.
    async fn take_back(
        &mut self,
        module: &mut Running,
        inlet: usize,
        number: BlockNumber,
    ) -> Result<bool, Failure> {
        let source = self.inlets[inlet].route.source();
        let forget = Step {
            source,
            cursor: Cursor::Before(number),
            history: History::Forget { from: number },
        };
        let known = module.store.delivered(source, number);
        let known = known.map_err(Failure::Commit)?;
        let Some(mut delivered) = known.filter(|delivered| !delivered.logs.is_empty()) else {
            self.note(module, forget);
            return Ok(false);
        };
        while let Some(Deal { turn, event }) = route::take_back(&mut delivered) {
            let step = if delivered.logs.is_empty() {
                forget.clone()
            } else {
                Step {
                    source,
                    cursor: route::part(&delivered, turn),
                    history: self.inlets[inlet].history(&delivered),
                }
            };
            self.give(module, &event, step).await?;
        }
        Ok(true)
    }

    /// One call with one event, and the commit of both its writes and its step.
    async fn give(
        &mut self,
        module: &mut Running,
        event: &Event,
        step: Step,
    ) -> Result<(), Failure> {
        let state = self.call_state(&module.store);
        let report = module.instance.on_event(state, event).await;
        let writes = accepted(report)?;
        if writes.is_empty() {
            self.note(module, step);
        } else {
            let (source, cursor) = (step.source, step.cursor);
            self.commit(&module.store, writes, Some(step)).await?;
            self.status.has_come(source, cursor);
        }
        self.status.delivered();
        Ok(())
    }

    /// Moves a cursor along with nothing else: it reaches the disk in its own time.
    fn note(&self, module: &Running, step: impl Into<Step>) {
        let step = step.into();
        self.status.has_come(step.source, step.cursor);
        module.store.note(step);
    }

    async fn commit(
        &mut self,
        store: &ModuleStore,
        writes: WriteSet,
        step: Option<Step>,
    ) -> Result<(), Failure> {
        match self.options.durability {
            // The disk is waited for on a thread that no other module needs.
            Durability::Event => {
                let store = store.clone();
                blocking(move || store.commit(&writes, step).map(drop)).await
            }
            // This touches memory only, and costs less than handing it to another thread.
            Durability::Interval(_) => store
                .commit(&writes, step)
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
