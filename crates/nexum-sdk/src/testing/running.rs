//! An instance of a module on a mock host, and the calls of it.

use std::{
    any::Any,
    cell::Cell,
    collections::VecDeque,
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    rc::Rc,
};

use nexum_testkit::{Endpoint, Script, ScriptError, Stage};
use nexum_types::CallKey;

use super::{MockHost, call, route::Router};
use crate::{
    Event, HostError, Module, host,
    log::{self, Level},
};

/// A module that has begun. After a call that failed, the instance is thrown away, and the next
/// call begins with `init` on the committed state, as on the engine.
pub struct Running<M: Module> {
    host: MockHost,
    /// None after a call that failed.
    instance: Option<M::Instance>,
    /// What the instance lets through to the log.
    level: Cell<Level>,
    router: Router,
    due: VecDeque<Event>,
    handled: usize,
}

/// Why a call failed. Nothing that it wrote was kept but what it checkpointed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// `init` or a handler answered an error.
    #[error(transparent)]
    Error(#[from] HostError),
    /// It panicked, which ends a component's call as a trap.
    #[error("the module panicked: {0}")]
    Panic(String),
}

/// Why a script was not played to its end.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum PlayError {
    /// The script itself is wrong, or impossible on the chain as it is.
    #[error(transparent)]
    Script(#[from] ScriptError),
    /// A call failed. The event is still due: [`Running::settle`] gives it again.
    #[error("line {line}: {failure}")]
    Failed {
        /// The line that the event came from, counted from 1.
        line: usize,
        /// Why.
        #[source]
        failure: Failure,
    },
}

impl<M: Module> Running<M> {
    pub(super) fn start(host: MockHost) -> Result<Self, Failure> {
        let router = {
            let world = &mut *host.world_mut();
            Router::new(&world.manifest, &mut world.chains, world.now_ms)
        };
        let mut running = Self {
            host,
            instance: None,
            level: Cell::new(Level::Trace),
            router,
            due: VecDeque::new(),
            handled: 0,
        };
        running.init()?;
        Ok(running)
    }

    /// Gives the module one event, whether it subscribed to it or not. The clock goes on to the
    /// event's own time.
    ///
    /// # Errors
    ///
    /// What the handler answered, or with what it panicked.
    pub fn dispatch(&mut self, event: Event) -> Result<(), Failure> {
        self.follow(&event);
        let mut instance = match self.instance.take() {
            Some(instance) => instance,
            None => self.made()?,
        };
        let outcome = self.call(call::of(&event), || M::on_event(&mut instance, event));
        if outcome.is_ok() {
            self.instance = Some(instance);
            self.handled += 1;
        }
        outcome
    }

    /// Lets time pass until a schedule of the manifest is due, and gives the module that tick, with
    /// everything else that is due by then. `schedule` is the text that its ticks have.
    ///
    /// # Errors
    ///
    /// The first failure, as for [`Running::settle`].
    ///
    /// # Panics
    ///
    /// The manifest has no such schedule.
    pub fn tick(&mut self, schedule: &str) -> Result<(), Failure> {
        match self.router.next_tick(schedule) {
            Ok(Some(due_ms)) => {
                let mut world = self.host.world_mut();
                world.now_ms = world.now_ms.max(due_ms);
            }
            Ok(None) => {}
            Err(known) => panic!("the manifest has no schedule {schedule:?}; it has {known:?}"),
        }
        self.settle()
    }

    /// Gives the module everything that its subscriptions have let become due, in order: what the
    /// chains have brought, and then the schedules that are due by the time of the newest block.
    ///
    /// # Errors
    ///
    /// The first failure. Its event and what follows it stay due, for the next time.
    pub fn settle(&mut self) -> Result<(), Failure> {
        let due = {
            let world = &mut *self.host.world_mut();
            self.router.due(&mut world.chains)
        };
        self.due.extend(due);
        self.give_due()?;
        let now_ms = {
            let world = &mut *self.host.world_mut();
            world.now_ms = world.now_ms.max(world.chains.newest_ms());
            world.now_ms
        };
        self.due.extend(self.router.ticks(now_ms));
        self.give_due()
    }

    fn give_due(&mut self) -> Result<(), Failure> {
        while let Some(event) = self.due.front() {
            self.dispatch(event.clone())?;
            self.due.pop_front();
        }
        Ok(())
    }

    /// Plays a script, line by line, and after each gives the module what has become due.
    ///
    /// # Errors
    ///
    /// Where the script is wrong, and at the first call that fails.
    pub fn play(&mut self, script: &str) -> Result<(), PlayError> {
        let script: Script = script.parse()?;
        let (chain, endpoint) = {
            let chains = &mut self.host.world_mut().chains;
            (
                chains.chain(script.chain_id),
                chains.endpoint(script.chain_id),
            )
        };
        let endpoints: [&dyn Endpoint; 1] = [&*endpoint];
        for step in &script.steps {
            let stage = Stage {
                chain: &chain,
                endpoints: &endpoints,
            };
            step.apply(stage)?;
            self.settle().map_err(|failure| PlayError::Failed {
                line: step.line,
                failure,
            })?;
        }
        Ok(())
    }

    /// Throws the instance away and begins another on the committed state, as after a restart of
    /// the engine.
    ///
    /// # Errors
    ///
    /// What `init` answered, or with what it panicked.
    pub fn restart(&mut self) -> Result<(), Failure> {
        self.instance = None;
        self.init()
    }

    /// The instance, to look into; none after a call that failed.
    #[must_use]
    pub fn instance(&self) -> Option<&M::Instance> {
        self.instance.as_ref()
    }

    /// How many events were handled.
    #[must_use]
    pub fn handled(&self) -> usize {
        self.handled
    }

    fn init(&mut self) -> Result<(), Failure> {
        self.instance = Some(self.made()?);
        Ok(())
    }

    fn made(&self) -> Result<M::Instance, Failure> {
        let config = self.host.world().config.clone().into_iter().collect();
        self.level.set(Level::Trace);
        self.call(Some(CallKey::Init(alloy_primitives::B256::ZERO)), || {
            M::init(config)
        })
    }

    /// One attempt of a call: its writes are kept where it succeeds.
    fn call<T>(
        &self,
        name: Option<CallKey>,
        call: impl FnOnce() -> crate::Result<T>,
    ) -> Result<T, Failure> {
        let _installed = host::install(Rc::new(self.host.clone()));
        self.host.begin(name);
        log::set_max_level(self.level.get());
        // What a panic leaves half-done is thrown away: the instance and the writes.
        let outcome = match catch_unwind(AssertUnwindSafe(call)) {
            Ok(outcome) => outcome.map_err(Failure::Error),
            Err(payload) => Err(Failure::Panic(text(&*payload))),
        };
        self.level.set(log::replace_max_level(Level::Trace));
        match outcome {
            Ok(_) => self.host.commit(),
            Err(_) => self.host.roll_back(),
        }
        outcome
    }

    fn follow(&self, event: &Event) {
        let at = match event {
            Event::Block(block) => block.timestamp,
            Event::Logs(logs) => logs
                .iter()
                .map(|log| log.block_timestamp)
                .max()
                .unwrap_or(0),
            Event::Tick(tick) => tick.fired_at,
            Event::Message(message) => message.timestamp,
        };
        let mut world = self.host.world_mut();
        world.now_ms = world.now_ms.max(at);
    }
}

impl<M: Module> fmt::Debug for Running<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Running")
            .field("due", &self.due)
            .field("handled", &self.handled)
            .finish_non_exhaustive()
    }
}

fn text(payload: &(dyn Any + Send)) -> String {
    let text = payload
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned());
    let text = text.or_else(|| payload.downcast_ref::<String>().cloned());
    text.unwrap_or_else(|| "with a value that is no text".to_owned())
}
