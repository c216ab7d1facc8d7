//! One module's worker: its own task, its own place in each feed, its own state. It shares no
//! loop and no queue with any other module, so no module waits for another.

use std::{
    collections::{BTreeSet, VecDeque},
    future, mem,
    panic::AssertUnwindSafe,
    sync::Arc,
};

use futures::FutureExt as _;
use nexum_host::{Instance, Loaded};
use nexum_identity::Sender;
use nexum_manifest::Restart;
use nexum_store::{ModuleStore, StateDir, StoreOptions};
use nexum_types::{B256, CallKey, CallState, Config, EventId, ModuleName};
use tokio::{sync::mpsc, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::{
    command::Command,
    committing::{Accepted, Parked, accepted, blocking, note_beginnings, parked_in},
    failure::{Failure, FailureKind, with_causes},
    inlet::Inlet,
    letters::{self, Failing},
    lifecycle::{Backoff, Happened, Lifecycle, Phase},
    modules::Open,
    status::StatusBoard,
    timetable::Timetable,
    watch::{Observer, Watch},
};

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
    pub(crate) has_committed: bool,
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

/// What a running module comes to.
pub(crate) enum Next {
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

/// Comes at that instant, if there is one.
pub(crate) async fn at(instant: Option<Instant>) {
    match instant {
        Some(instant) => tokio::time::sleep_until(instant).await,
        None => future::pending().await,
    }
}
