//! One call of a module, and what it leaves: the commit of its writes with its cursor, or a cursor
//! that reaches the disk in its own time.

use std::{pin::pin, sync::Arc, time::Duration};

use nexum_host::{CallReport, Outcome};
use nexum_manifest::Durability;
use nexum_store::{DeadLetter, ModuleStore, Step, StoreError};
use nexum_types::{CallId, CallKey, CallState, Cursor, Event, ModuleName, Source, WriteSet};
use tokio::time::Instant;

use crate::{
    failure::{Failure, with_causes},
    status::Letters,
    watch::Watch,
    worker::{Running, Worker, at},
};

/// How long the cursor of a module that writes nothing may run ahead of the disk. Repeating
/// events that wrote nothing is harmless, and so is a longer time; it only bounds the work that
/// a crash makes again.
const LAZY_CURSOR: Duration = Duration::from_secs(30);
/// See [`is_small`].
const SMALL_KEYS: usize = 16;
/// See [`is_small`].
const SMALL_BYTES: usize = 16 * 1024;

impl Worker {
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
    pub(crate) async fn know_calls(&mut self, store: &ModuleStore) -> Result<(), Failure> {
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
    pub(crate) fn plan_flush(&self, module: &mut Running) {
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
    pub(crate) letters: Vec<(u64, DeadLetter)>,
    pub(crate) told: Letters,
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
