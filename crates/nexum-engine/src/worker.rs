//! One module's worker: its own task, its own place in each feed, its own state. It shares no
//! loop and no queue with any other module, so no module waits for another.

use std::{
    collections::{BTreeSet, VecDeque},
    future, mem,
    panic::AssertUnwindSafe,
    pin::pin,
    sync::Arc,
    time::Duration,
};

use futures::FutureExt as _;
use nexum_chain::FeedItem;
use nexum_host::{CallReport, Instance, Loaded, Outcome};
use nexum_identity::Sender;
use nexum_manifest::{Durability, Restart};
use nexum_store::{DeadLetter, ModuleStore, StateDir, Step, StoreError, StoreOptions};
use nexum_types::{
    B256, CallId, CallKey, CallState, Config, Cursor, Event, EventId, ModuleName, Source, WriteSet,
};
use tokio::{sync::mpsc, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::{
    command::Command,
    failure::{Failure, FailureKind, with_causes},
    inlet::{Inlet, next_item},
    letters::{self, Failing},
    lifecycle::{Backoff, Happened, Lifecycle, Phase},
    modules::Open,
    status::{Letters, StatusBoard},
    timetable::{Due, Timetable},
    watch::{Observer, Watch},
    withdrawal::Withdrawal,
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
    /// What its transactions go through.
    pub(crate) sender: Sender,
    pub(crate) options: StoreOptions,
    pub(crate) inlets: Vec<Inlet>,
    /// The inlet whose turn is next, where several have something.
    pub(crate) turn: usize,
    pub(crate) timetable: Timetable,
    /// Whether a tick came last, so that it is a feed's turn.
    pub(crate) was_tick: bool,
    pub(crate) restart: Restart,
    pub(crate) backoff: Backoff,
    pub(crate) observer: Option<Arc<dyn Observer>>,
    /// The call that is being watched.
    pub(crate) watch: Option<Watch>,
    pub(crate) failing: Failing,
    /// Whether an event has been handled since this was last asked.
    pub(crate) has_delivered: bool,
    /// Since when the block could be had whose events are being given, where that is known.
    pub(crate) available_since: Option<std::time::Instant>,
    pub(crate) status: Arc<StatusBoard>,
    pub(crate) stop: CancellationToken,
    pub(crate) commands: mpsc::Receiver<Command>,
    /// What was asked for and has to wait for the end of a block.
    pub(crate) asked: Option<Command>,
    /// Where the state stands, while it is open.
    pub(crate) open: Open,
    /// The event that is being given, or has failed last.
    pub(crate) about: Option<EventId>,
}

/// A module that handles events.
pub(crate) struct Running {
    pub(crate) instance: Instance,
    pub(crate) store: ModuleStore,
    /// Whether the store has had a commit since it was opened.
    has_committed: bool,
    /// The dead letters that are to be given once more.
    pub(crate) retries: VecDeque<u64>,
    /// When what is pending in the store must be on disk.
    pub(crate) flush_at: Option<Instant>,
}

/// What a worker has in its hands from one phase to the next. The store outlives an instance, but
/// not a failure of its own: it is opened anew then, which tells what has reached the disk.
#[derive(Default)]
pub(crate) struct Held {
    pub(crate) idle_store: Option<ModuleStore>,
    pub(crate) running: Option<Running>,
}

impl Held {
    /// Ends the instance, and keeps the store.
    pub(crate) fn set_aside(&mut self) {
        if let Some(module) = self.running.take() {
            self.idle_store = Some(module.store);
        }
    }
}

/// All that can wake a running worker.
enum Wake {
    Item(usize, FeedItem),
    Tick(Due),
    Command(Command),
    /// What was asked for and has to wait is not asked for any more.
    Withdrawn,
    FlushDue,
    Stop,
}

/// What a running module comes to.
enum Next {
    Happened(Happened),
    Command(Command),
}

impl Worker {
    /// Runs the module until it is asked to stop. What is pending is on disk when this returns ok.
    /// `store` is its state, opened.
    pub(crate) async fn run(mut self, store: ModuleStore) -> Result<(), String> {
        let mut life = Lifecycle::START;
        let mut held = Held {
            idle_store: Some(store),
            running: None,
        };
        while life.phase != Phase::Stopped {
            self.status.stands(life.phase, life.failures);
            // A panic of the worker is a fault of the engine's own. It costs this module its life,
            // says so, and leaves the others alone.
            let step = AssertUnwindSafe(self.step(life, &mut held)).catch_unwind();
            let happened = match step.await {
                Ok(happened) => happened,
                Err(_) => {
                    held = Held::default();
                    let error = "the engine's own worker panicked: please report it";
                    self.tell(FailureKind::Panicked, error, "");
                    Happened::Panicked
                }
            };
            if mem::take(&mut self.has_delivered) {
                life = life.after(Happened::Delivered, self.restart);
            }
            let before = life.phase;
            life = life.after(happened, self.restart);
            if life.phase == Phase::Dead && before != Phase::Dead {
                tracing::error!(
                    module = %self.name,
                    failures = life.failures,
                    "module is dead: nothing of it runs until it is restarted or upgraded"
                );
            }
        }
        self.status.stands(Phase::Stopped, life.failures);
        self.open.set(None);
        match held.running.map(|module| module.store).or(held.idle_store) {
            Some(store) => blocking(move || store.flush())
                .await
                .map_err(|failure| with_causes(&failure)),
            None => Ok(()),
        }
    }

    /// Does what a phase is there for, until something has happened.
    async fn step(&mut self, life: Lifecycle, held: &mut Held) -> Happened {
        match life.phase {
            Phase::Init => match self.initialise(held).await {
                Ok(fresh) => {
                    held.running = Some(fresh);
                    Happened::Initialised
                }
                Err(failure) => self.failed(&failure, held, Happened::InitFailed),
            },
            Phase::Run => self.go_on(held).await,
            Phase::Park => self.park(held).await,
            Phase::Backoff => {
                self.flush_idle(held).await;
                let wait = self.backoff.wait(life.setbacks, rand::random());
                tracing::info!(module = %self.name, wait_ms = wait.as_millis(), "restarting after a wait");
                self.wait_until(Some(Instant::now() + wait), held).await
            }
            Phase::Dead => {
                self.flush_idle(held).await;
                self.wait_until(None, held).await
            }
            Phase::Stopped => Happened::StopAsked,
        }
    }

    /// Delivers until an event was handled, or something else has happened.
    async fn go_on(&mut self, held: &mut Held) -> Happened {
        loop {
            let Some(module) = &mut held.running else {
                return Happened::Panicked;
            };
            let next = match module.retries.pop_front() {
                Some(letter) => self.give_letter(module, letter).await.map(Next::Happened),
                None => self.deliver_next(module).await,
            };
            match next {
                Ok(Next::Command(command)) => {
                    if let Some(happened) = self.obey(command, held).await {
                        return happened;
                    }
                }
                Ok(Next::Happened(Happened::RetryFailed)) => {
                    held.set_aside();
                    return Happened::RetryFailed;
                }
                Ok(Next::Happened(happened)) => return happened,
                Err(failure) => {
                    held.set_aside();
                    let attempts = self.failing.attempts();
                    return self.failed(&failure, held, Happened::EventFailed { attempts });
                }
            }
        }
    }

    /// Brings to the disk what a module that fails has pending: nobody else would for as long as
    /// it goes on failing.
    async fn flush_idle(&mut self, held: &mut Held) {
        let Some(store) = held.idle_store.clone() else {
            return;
        };
        if let Err(failure) = blocking(move || store.flush()).await {
            let error = with_causes(&failure);
            tracing::error!(module = %self.name, error, "what was pending is not on disk");
            held.idle_store = None;
        }
    }

    /// Makes a fresh instance, runs its `init`, commits, and goes back to the committed cursors.
    async fn initialise(&mut self, held: &mut Held) -> Result<Running, Failure> {
        self.about = None;
        let store = self.store(held).await?;
        self.know_calls(&store).await?;
        self.watch_call(&store, None);
        let begun = self.begin_and_commit(&store).await;
        self.watched(&store, &begun);
        let instance = begun?;
        let running = self.take_place(store, instance).await?;
        held.idle_store = None;
        tracing::info!(module = %self.name, "module is running");
        Ok(running)
    }

    async fn begin_and_commit(&mut self, store: &ModuleStore) -> Result<Instance, Failure> {
        let (loaded, config) = (self.loaded.clone(), self.config.clone());
        let (instance, accepted) = self.begin(store, &loaded, &config, self.quota).await?;
        if accepted.needs_commit() {
            self.commit(store, accepted, None, false).await?;
        }
        Ok(instance)
    }

    /// Makes an instance and runs its `init`; what that wrote is not committed yet.
    pub(crate) async fn begin(
        &mut self,
        store: &ModuleStore,
        loaded: &Loaded,
        config: &Config,
        quota: u64,
    ) -> Result<(Instance, Accepted), Failure> {
        let mut instance = loaded.instantiate().await.map_err(Failure::Trapped)?;
        let init = CallKey::Init(B256::new(loaded.digest().0));
        let state = CallState::new(Arc::new(store.clone()), quota).of(Some(init));
        let began = std::time::Instant::now();
        self.status.call_begins(began);
        let mut report = instance.init(state, config).await;
        self.status.call_ended();
        if let Some(watch) = &mut self.watch {
            watch.ran(began, &mut report);
        }
        Ok((instance, accepted(report)?))
    }

    /// Goes back to the committed cursors with an instance whose `init` is committed.
    async fn take_place(
        &mut self,
        store: ModuleStore,
        instance: Instance,
    ) -> Result<Running, Failure> {
        for inlet in &mut self.inlets {
            let cursor = store.cursor(&inlet.route.source());
            inlet.rewind(cursor, &store).map_err(Failure::Store)?;
        }
        let begins = self.timetable.rewind(&store);
        note_beginnings(&store, begins).await?;
        let parked = parked_in(&store).await?;
        Ok(self.stand(store, instance, parked))
    }

    /// Is ready to deliver from where the inlets have been put.
    pub(crate) fn stand(
        &mut self,
        store: ModuleStore,
        instance: Instance,
        parked: Parked,
    ) -> Running {
        let schedules: BTreeSet<_> = self.timetable.sources().collect();
        let feeds = self.inlets.iter().map(|inlet| inlet.route.source());
        for source in feeds.chain(schedules.iter().copied()) {
            if let Some(cursor) = store.cursor(&source) {
                self.status.has_come(source, cursor);
            }
        }
        let places = self.inlets.iter();
        let places = places.map(|inlet| (inlet.route.source(), inlet.place()));
        self.status.reads(places.collect(), &schedules);
        self.status.has_letters(parked.told);
        let mut running = Running {
            instance,
            store,
            has_committed: false,
            retries: letters::marked(&parked.letters),
            flush_at: None,
        };
        self.plan_flush(&mut running);
        running
    }

    /// The state, opened anew where it has failed.
    pub(crate) async fn store(&mut self, held: &mut Held) -> Result<ModuleStore, Failure> {
        if let Some(store) = &held.idle_store {
            return Ok(store.clone());
        }
        // Nobody else may have it open then.
        self.open.set(None);
        let (dir, name, options) = (Arc::clone(&self.state_dir), self.name.clone(), self.options);
        let store = blocking(move || dir.open_module(&name, options)).await?;
        self.open.set(Some(store.clone()));
        held.idle_store = Some(store.clone());
        Ok(store)
    }

    /// Goes on until an event has been delivered, or something else has happened.
    async fn deliver_next(&mut self, module: &mut Running) -> Result<Next, Failure> {
        loop {
            let asked = self
                .asked
                .take_if(|asked| !asked.waits_for_block(&self.inlets));
            if let Some(command) = asked {
                return Ok(Next::Command(command));
            }
            let withdrawal = self.asked.as_ref().and_then(Command::withdrawal);
            let wake = tokio::select! {
                biased;
                () = self.stop.cancelled() => Wake::Stop,
                () = at(module.flush_at) => Wake::FlushDue,
                Some(command) = self.commands.recv(), if self.asked.is_none() => Wake::Command(command),
                () = withdrawn(withdrawal) => Wake::Withdrawn,
                wake = next_event(&mut self.inlets, self.turn, &mut self.timetable, self.was_tick) => wake,
            };
            match wake {
                Wake::Stop => return Ok(Next::Happened(Happened::StopAsked)),
                Wake::Command(command) => self.asked = Some(command),
                Wake::Withdrawn => self.asked = None,
                Wake::FlushDue => {
                    let store = module.store.clone();
                    blocking(move || store.flush()).await?;
                    self.plan_flush(module);
                }
                Wake::Tick(due) => {
                    self.was_tick = true;
                    let given = self.take_tick(module, due).await?;
                    self.plan_flush(module);
                    if given {
                        return Ok(Next::Happened(Happened::Delivered));
                    }
                }
                Wake::Item(inlet, item) => {
                    self.was_tick = false;
                    self.turn = inlet + 1;
                    let given = self.take(module, inlet, item).await?;
                    self.plan_flush(module);
                    if given {
                        return Ok(Next::Happened(Happened::Delivered));
                    }
                }
            }
        }
    }

    /// Gives the module a tick, or leaves it out. True where it was given.
    async fn take_tick(&mut self, module: &mut Running, due: Due) -> Result<bool, Failure> {
        let step = self.timetable.step(due);
        if due.missed > 0 {
            tracing::warn!(
                module = %self.name, source = %step.0, ticks = due.missed,
                "ticks were missed and are left out, as the manifest says"
            );
            self.status.missed(due.missed);
        }
        if due.is_given {
            let late = self.timetable.late(due);
            self.available_since =
                late.and_then(|late| std::time::Instant::now().checked_sub(late));
            let event = self.timetable.event(due);
            // Whatever the call leaves behind goes to the disk with it.
            module.store.note(self.timetable.begun(due).into());
            self.give(module, &event, 0, step.into()).await?;
        } else {
            self.note(module, step);
        }
        self.timetable.passed(due);
        Ok(due.is_given)
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
        self.available_since = self.inlets[inlet].available_since(&item);
        match item {
            FeedItem::Block(block) => {
                given |= self.give_block(module, inlet, &block, turns).await?;
            }
            FeedItem::Early(block) if self.inlets[inlet].holds_back => {
                self.inlets[inlet].open = turns.map(|turns| (block.block.block_ref(), turns));
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

    /// One call with one event, and the commit of both its writes and its step. `turn`: that of
    /// the event in its block.
    pub(crate) async fn give(
        &mut self,
        module: &mut Running,
        event: &Event,
        turn: u32,
        step: Step,
    ) -> Result<(), Failure> {
        let source = step.source;
        self.about = event.id();
        self.watch_call(&module.store, Some(event));
        let given = self.call_and_commit(module, event, step.clone()).await;
        self.watched(&module.store, &given);
        self.status.given(event, given.is_ok());
        match &given {
            Ok(()) => {
                self.failing.passed(source);
                self.has_delivered = true;
            }
            Err(failure) if failure.is_of_store() => {}
            Err(failure) => self.failing.note(event, turn, step, &with_causes(failure)),
        }
        given
    }

    async fn call_and_commit(
        &mut self,
        module: &mut Running,
        event: &Event,
        step: Step,
    ) -> Result<(), Failure> {
        if let Some(since) = self.available_since {
            self.status.meters.queued(since.elapsed());
        }
        let report = self
            .call(module, CallKey::of(step.source, event), event)
            .await;
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
        Ok(())
    }

    /// One call with one event, of that name.
    pub(crate) async fn call(
        &mut self,
        module: &mut Running,
        name: Option<CallKey>,
        event: &Event,
    ) -> CallReport {
        let state = CallState::new(Arc::new(module.store.clone()), self.quota).of(name);
        let began = std::time::Instant::now();
        self.status.call_begins(began);
        let call = module.instance.on_event(state, event);
        let mut report = flushing(&self.name, &module.store, &mut module.flush_at, call).await;
        self.status.call_ended();
        self.status.meters.ran(began.elapsed(), report.fuel);
        if let Some(watch) = &mut self.watch {
            watch.ran(began, &mut report);
        }
        report
    }

    /// A call is about to begin; whoever watches is to be told of it.
    pub(crate) fn watch_call(&mut self, store: &ModuleStore, event: Option<&Event>) {
        let observer = self.observer.as_ref();
        self.watch = observer.map(|observer| Watch::begin(observer, &self.name, store, event));
    }

    /// It has ended, and what it left is committed or not.
    pub(crate) fn watched<T>(&mut self, store: &ModuleStore, ended: &Result<T, Failure>) {
        if let Some(watch) = self.watch.take() {
            watch.end(store, ended.as_ref().map(drop));
        }
    }

    /// Moves a cursor along with nothing else: it reaches the disk in its own time.
    pub(crate) fn note(&mut self, module: &Running, step: impl Into<Step>) {
        let step = step.into();
        self.failing.passed(step.source);
        self.status.has_come(step.source, step.cursor);
        module.store.note(step);
    }

    pub(crate) async fn commit(
        &mut self,
        store: &ModuleStore,
        accepted: Accepted,
        step: Option<Step>,
        has_committed: bool,
    ) -> Result<(), Failure> {
        let Accepted { writes, has_traces } = accepted;
        let is_lazy = matches!(self.options.durability, Durability::Interval(_));
        if is_lazy && has_committed && !has_traces && is_small(&writes) {
            // This touches memory only, and costs less than handing it to another thread. A
            // store's first commit writes what its opening has held back.
            let committed = store.commit(&writes, step).map_err(Failure::Store)?;
            self.settled(committed.settled);
            return Ok(());
        }
        // The disk is waited for on a thread that no other module needs.
        let store = store.clone();
        let committed = blocking(move || {
            let committed = store.commit(&writes, step)?;
            if has_traces {
                store.flush()?;
            }
            Ok(committed)
        });
        let settled = committed.await?.settled;
        self.settled(settled);
        Ok(())
    }

    /// Calls that have sent transactions are over.
    pub(crate) fn settled(&self, calls: Vec<CallId>) {
        for call in calls {
            self.sender.settled(call);
        }
    }

    /// Says which of the calls that have sent transactions are to be made again.
    async fn know_calls(&mut self, store: &ModuleStore) -> Result<(), Failure> {
        if !self.sender.is_open() {
            return Ok(());
        }
        let (sender, name, store) = (self.sender.clone(), self.name.clone(), store.clone());
        blocking(move || {
            sender.calls_of(&name, &store.open_calls());
            Ok(())
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

    /// Waits until `until`, or forever, and does what the operator asks meanwhile.
    async fn wait_until(&mut self, until: Option<Instant>, held: &mut Held) -> Happened {
        loop {
            let command = match self.asked.take() {
                Some(command) => command,
                None => tokio::select! {
                    biased;
                    () = self.stop.cancelled() => return Happened::StopAsked,
                    Some(command) = self.commands.recv() => command,
                    () = at(until) => return Happened::Waited,
                },
            };
            if let Some(happened) = self.obey(command, held).await {
                return happened;
            }
        }
    }

    /// What has happened where something failed: `of_module` where it was the module's fault.
    pub(crate) fn failed(
        &self,
        failure: &Failure,
        held: &mut Held,
        of_module: Happened,
    ) -> Happened {
        self.tell(failure.kind(), &with_causes(failure), failure.backtrace());
        if failure.is_of_store() {
            held.idle_store = None;
            return Happened::StoreFailed;
        }
        of_module
    }

    /// Logs a failure, and keeps it for whoever asks.
    pub(crate) fn tell(&self, kind: FailureKind, error: &str, backtrace: &str) {
        let chain = self.about.and_then(|event| Some(event.chain_id()?.0));
        let block = self.about.and_then(|event| Some(event.block()?.0));
        let event = self.about.map(tracing::field::display);
        tracing::error!(module = %self.name, chain, block, event, error, backtrace, "module failed");
        self.status.failed(kind, error.to_owned());
    }
}

/// What a call that succeeded leaves to commit.
pub(crate) struct Accepted {
    pub(crate) writes: WriteSet,
    has_traces: bool,
}

impl Accepted {
    /// False where repeating the call would be as if it had been made once: its cursor can wait.
    pub(crate) fn needs_commit(&self) -> bool {
        self.has_traces || !self.writes.is_empty()
    }
}

/// True for what a commit in memory takes no time for that another task would notice.
fn is_small(writes: &WriteSet) -> bool {
    let bytes = |(key, value): (&str, Option<&[u8]>)| key.len() + value.map_or(0, <[u8]>::len);
    writes.len() <= SMALL_KEYS && writes.entries().map(bytes).sum::<usize>() <= SMALL_BYTES
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

pub(crate) fn accepted(report: CallReport) -> Result<Accepted, Failure> {
    match report.outcome {
        Outcome::Ok { writes, has_traces } => Ok(Accepted { writes, has_traces }),
        Outcome::Err(error) => Err(Failure::Returned(error)),
        Outcome::Trap(trap) => Err(Failure::Trapped(trap)),
    }
}

/// Does work that waits for the disk where waiting stops nobody.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, Failure> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(Failure::StoreCutOff)?
        .map_err(Failure::Store)
}

/// The dead letters in a state, and what is told of them.
#[derive(Default)]
pub(crate) struct Parked {
    letters: Vec<(u64, DeadLetter)>,
    told: Letters,
}

/// Reads the dead letters in a state.
pub(crate) async fn parked_in(store: &ModuleStore) -> Result<Parked, Failure> {
    if store.letter_count() == 0 {
        return Ok(Parked::default());
    }
    let store = store.clone();
    blocking(move || {
        Ok(Parked {
            letters: store.letters()?,
            told: Letters::of(&store),
        })
    })
    .await
}

/// Brings to the disk where schedules begin: what is due from then on is not lost with a crash.
pub(crate) async fn note_beginnings(
    store: &ModuleStore,
    begins: impl IntoIterator<Item = (Source, Cursor)>,
) -> Result<(), Failure> {
    let mut begins = begins.into_iter().peekable();
    if begins.peek().is_none() {
        return Ok(());
    }
    for begin in begins {
        store.note(begin.into());
    }
    let store = store.clone();
    blocking(move || store.flush()).await
}

/// What comes next of feeds and schedules. Neither keeps the other waiting, however far behind it
/// is: after a tick it is the feeds' turn.
async fn next_event(
    inlets: &mut [Inlet],
    turn: usize,
    timetable: &mut Timetable,
    was_tick: bool,
) -> Wake {
    let items = next_item(inlets, turn).map(|(inlet, item)| Wake::Item(inlet, item));
    let ticks = timetable.next().map(Wake::Tick);
    if was_tick {
        tokio::select! {
            biased;
            item = items => item,
            tick = ticks => tick,
        }
    } else {
        tokio::select! {
            biased;
            tick = ticks => tick,
            item = items => item,
        }
    }
}

/// Comes once what was asked for is taken back, where that can be.
async fn withdrawn(withdrawal: Option<Arc<Withdrawal>>) {
    match withdrawal {
        Some(withdrawal) => withdrawal.withdrawn().await,
        None => future::pending().await,
    }
}

async fn at(instant: Option<Instant>) {
    match instant {
        Some(instant) => tokio::time::sleep_until(instant).await,
        None => future::pending().await,
    }
}
