//! The call: fuel, deadline, guest; what it wrote is handed back.

use std::sync::Arc;

use nexum_types::{CallState, Config, Event, HostError, WriteSet};
use tracing::Level;
use wasmtime::{Store, component::ResourceTable};

use crate::{
    bindings::{self, EventModule, types},
    guest::Guest,
    limits::{MAX_ARGUMENT_BYTES, MAX_HANDLES, MemoryLimit},
    load::Loaded,
    logging::printable,
    stdio::LogStream,
    trace::Did,
    trap::Trap,
    wasi,
    withheld::Stub,
};

/// One running copy of a module. It lives from its `init` to its first trap.
pub struct Instance {
    store: Store<Guest>,
    exports: EventModule,
    loaded: Loaded,
    stdout: LogStream,
    stderr: LogStream,
}

/// How a call ended, and what it took.
#[derive(Debug)]
pub struct CallReport {
    /// How it ended.
    pub outcome: Outcome,
    /// The fuel it used.
    pub fuel: u64,
    /// What it did, in order, where [`Loaded::trace_calls`] has asked for it.
    pub did: Vec<Did>,
}

/// How a call ended. Only one of these leaves something to commit.
#[derive(Debug)]
pub enum Outcome {
    /// The guest returned `ok`: commit this.
    Ok {
        /// What it wrote, but for what it has checkpointed.
        writes: WriteSet,
        /// Whether it has left something behind already: it has checkpointed, or had an effect
        /// outside. Its cursor must reach the disk at once then, since repeating the call would
        /// not be the same as having made it once.
        has_traces: bool,
    },
    /// The guest returned an error: nothing is committed.
    /// What it holds in memory may be ahead of its state.
    Err(HostError),
    /// The guest did not return: nothing is committed, and the instance must be dropped.
    Trap(Trap),
}

impl Loaded {
    /// Makes a fresh instance, under the same limits as a call.
    pub async fn instantiate(&self) -> Result<Instance, Trap> {
        let stdout = LogStream::new(Arc::clone(&self.log), Level::INFO, "stdout");
        let stderr = LogStream::new(Arc::clone(&self.log), Level::WARN, "stderr");
        let mut table = ResourceTable::new();
        table.set_max_capacity(MAX_HANDLES);
        let guest = Guest {
            state: None,
            checkpoint: None,
            chain: Arc::clone(&self.chain),
            identity: Arc::clone(&self.identity),
            has_identity: self.has_identity,
            sends: 0,
            chains: Arc::clone(&self.chains),
            absent_chains: Arc::clone(&self.absent_chains),
            http: Arc::clone(&self.http),
            had_effect: false,
            denials: Arc::clone(&self.denials),
            stub: Stub {
                withheld: Arc::clone(&self.withheld),
                denials: Arc::clone(&self.denials),
                usage: Arc::clone(&self.usage),
            },
            clock: Arc::clone(&self.clock),
            log: Arc::clone(&self.log),
            memory: MemoryLimit::new(self.resources.max_memory_bytes, Arc::clone(&self.usage)),
            usage: Arc::clone(&self.usage),
            wasi: wasi::context(&self.clock, stdout.clone(), stderr.clone()),
            table,
        };
        let mut store = Store::new(self.pre.engine(), guest);
        store.limiter(|guest| &mut guest.memory);
        store.set_hostcall_fuel(MAX_ARGUMENT_BYTES);
        store.epoch_deadline_async_yield_and_update(1);
        let fuel = self.resources.max_fuel_per_event;
        store
            .set_fuel(fuel)
            .map_err(|error| Trap::from_wasmtime(error, fuel))?;
        let deadline = self.resources.max_event_duration;
        let exports =
            match tokio::time::timeout(deadline, self.pre.instantiate_async(&mut store)).await {
                Ok(Ok(exports)) => exports,
                Ok(Err(error)) => return Err(Trap::from_wasmtime(error, fuel)),
                Err(_) => return Err(Trap::Deadline(deadline)),
            };
        Ok(Instance {
            store,
            exports,
            loaded: self.clone(),
            stdout,
            stderr,
        })
    }
}

impl Instance {
    /// Calls the guest's `init`.
    pub async fn init(&mut self, state: CallState, config: &Config) -> CallReport {
        self.loaded.log.about(None);
        let config = bindings::wit_config(config);
        self.call(
            state,
            async |exports: &EventModule, store: &mut Store<Guest>| {
                exports.call_init(store, &config).await
            },
        )
        .await
    }

    /// Calls the guest's `on-event`.
    pub async fn on_event(&mut self, state: CallState, event: &Event) -> CallReport {
        self.loaded.log.about(event.id());
        let event = types::Event::from(event);
        let report = self
            .call(
                state,
                async |exports: &EventModule, store: &mut Store<Guest>| {
                    exports.call_on_event(store, &event).await
                },
            )
            .await;
        self.loaded.log.about(None);
        report
    }

    async fn call(
        &mut self,
        state: CallState,
        guest: impl AsyncFnOnce(
            &EventModule,
            &mut Store<Guest>,
        ) -> wasmtime::Result<Result<(), types::HostError>>,
    ) -> CallReport {
        let fuel = self.loaded.resources.max_fuel_per_event;
        let deadline = self.loaded.resources.max_event_duration;
        let data = self.store.data_mut();
        data.state = Some(state);
        data.had_effect = false;
        data.sends = 0;
        let ended = match self.store.set_fuel(fuel) {
            Ok(()) => {
                let call = guest(&self.exports, &mut self.store);
                match tokio::time::timeout(deadline, call).await {
                    Ok(Ok(answer)) => Ok(answer.map_err(|error| printable_error(error.into()))),
                    Ok(Err(error)) => Err(Trap::from_wasmtime(error, fuel)),
                    Err(_) => Err(Trap::Deadline(deadline)),
                }
            }
            Err(error) => Err(Trap::from_wasmtime(error, fuel)),
        };
        if let Some(checkpoint) = self.store.data_mut().checkpoint.take() {
            // What the cut-off call has put on its way lands before anything follows it. How it
            // ended is for the next call to see: this one has failed already.
            let _ = checkpoint.await;
        }
        self.stdout.finish_line();
        self.stderr.finish_line();
        let left = self.store.get_fuel().unwrap_or(0);
        let state = self.store.data_mut().state.take();
        let had_effect = self.store.data().had_effect;
        let outcome = match ended {
            Ok(Ok(())) => match state {
                Some(state) => Outcome::Ok {
                    has_traces: state.has_checkpointed() || had_effect,
                    writes: state.into_writes(),
                },
                // Only a cancelled checkpoint takes the state away, and its call never returns.
                None => Outcome::Trap(Trap::Store("the call lost its state".into())),
            },
            Ok(Err(error)) => Outcome::Err(error),
            Err(trap) => Outcome::Trap(trap),
        };
        CallReport {
            outcome,
            fuel: fuel.saturating_sub(left),
            did: self.loaded.log.trace.take(),
        }
    }
}

/// The guest's own words, as the engine's log may repeat them.
fn printable_error(error: HostError) -> HostError {
    HostError {
        domain: printable(&error.domain),
        message: printable(&error.message),
        ..error
    }
}

impl std::fmt::Debug for Instance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Instance")
            .field("loaded", &self.loaded)
            .finish_non_exhaustive()
    }
}
