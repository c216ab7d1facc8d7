//! How a worker puts another version in the place of the one that runs, on the same state.
//!
//! What can fail comes first: the new version's `init`, and everything that it goes on from is
//! read. Then it is written down which version runs after a restart, and only then the writes of
//! that `init` are committed. So the next start never runs the old version on what the new one has
//! made of the state, but for what its `init` has checkpointed itself.

use std::collections::BTreeMap;

use std::sync::Arc;

use nexum_host::Instance;
use nexum_store::ModuleStore;
use nexum_types::{Cursor, Source};
use tokio::sync::oneshot;

use crate::{
    command::{Version, of_source},
    committing::{Accepted, Parked, parked_in},
    failure::{Failure, with_causes},
    letters::Failing,
    lifecycle::Happened,
    withdrawal::Withdrawal,
    worker::{Held, Worker},
};

/// Writes down that a version runs after a restart, too; or says why not.
pub(crate) type Keep = Box<dyn FnOnce() -> Result<(), String> + Send>;

/// An upgrade that was asked for.
pub(crate) struct Upgrade {
    pub(crate) version: Version,
    pub(crate) keep: Keep,
    pub(crate) withdrawal: Arc<Withdrawal>,
    pub(crate) done: oneshot::Sender<Result<(), UpgradeFault>>,
}

/// Why an upgrade did not come to its end in order.
#[derive(Debug)]
pub(crate) enum UpgradeFault {
    /// It was taken back, and the old version goes on.
    Withdrawn,
    /// The new version's `init` failed, and the old version goes on.
    Init(String),
    /// It could not be written down, and the old version goes on.
    Keep(String),
    /// The new version has taken its place, but its `init` could not be committed and runs again.
    State(String),
}

/// A version whose `init` has succeeded, with all that it goes on from.
struct Ready {
    version: Version,
    store: ModuleStore,
    instance: Instance,
    accepted: Accepted,
    /// The cursors that stand within a block, in the turns of the new version.
    parts: Vec<(Source, Cursor)>,
    /// The cursors of the schedules that the old version did not have.
    begins: BTreeMap<Source, Cursor>,
    parked: Parked,
}

impl Worker {
    /// Upgrades the module. `None` where the old version goes on as it was.
    pub(crate) async fn upgrade(&mut self, upgrade: Upgrade, held: &mut Held) -> Option<Happened> {
        let Upgrade {
            version,
            keep,
            withdrawal,
            done,
        } = upgrade;
        let (happened, answer) = match self.ready(version, &withdrawal, held).await {
            Ok(Some(ready)) if withdrawal.pass() => self.put_in_place(ready, keep, held).await,
            Ok(_) => (None, Err(UpgradeFault::Withdrawn)),
            Err(failure) => {
                let error = with_causes(&failure);
                tracing::warn!(module = %self.name, error, "the new version fails in its init: the old one goes on");
                let happened = self.after_store(&failure, held);
                (happened, Err(UpgradeFault::Init(error)))
            }
        };
        // Who has asked may have gone away meanwhile, which changes nothing.
        let _ = done.send(answer);
        happened
    }

    /// Runs the new version's `init` and reads what it goes on from. Changes nothing. `None` where
    /// the upgrade was taken back meanwhile.
    async fn ready(
        &mut self,
        mut version: Version,
        withdrawal: &Withdrawal,
        held: &mut Held,
    ) -> Result<Option<Ready>, Failure> {
        if withdrawal.is_withdrawn() {
            return Ok(None);
        }
        let store = match &held.running {
            Some(module) => module.store.clone(),
            None => self.store(held).await?,
        };
        let begun = tokio::select! {
            begun = self.begin(&store, &version.loaded, &version.config, version.quota) => begun?,
            () = withdrawal.withdrawn() => {
                self.status.call_ended();
                return Ok(None);
            }
        };
        let (instance, accepted) = begun;
        let mut parts = Vec::new();
        for newer in &mut version.inlets {
            let source = newer.route.source();
            let mut cursor = store.cursor(&source);
            if let Some(older) = of_source(&self.inlets, source) {
                newer.take_over(older);
                if let Some(Cursor::Part {
                    block,
                    parent_hash,
                    turn,
                }) = cursor
                {
                    let part = Cursor::Part {
                        block,
                        parent_hash,
                        turn: older.route.turn_for(&newer.route, turn),
                    };
                    parts.push((source, part));
                    cursor = Some(part);
                }
            }
            newer.rewind(cursor, &store).map_err(Failure::Store)?;
        }
        version.timetable.take_over(&self.timetable);
        let begins = version.timetable.rewind(&store);
        let parked = parked_in(&store).await?;
        Ok(Some(Ready {
            version,
            store,
            instance,
            accepted,
            parts,
            begins,
            parked,
        }))
    }

    /// Writes down that the new version runs from now on, commits its `init`, and lets it go on.
    async fn put_in_place(
        &mut self,
        ready: Ready,
        keep: Keep,
        held: &mut Held,
    ) -> (Option<Happened>, Result<(), UpgradeFault>) {
        let Ready {
            version,
            store,
            instance,
            accepted,
            parts,
            begins,
            parked,
        } = ready;
        let kept = tokio::task::spawn_blocking(keep).await;
        if let Err(error) = kept.unwrap_or_else(|error| Err(error.to_string())) {
            tracing::warn!(module = %self.name, error, "the new version cannot be kept: the old one goes on");
            return (None, Err(UpgradeFault::Keep(error)));
        }
        for part in parts.into_iter().chain(begins) {
            store.note(part.into());
        }
        let committed = if accepted.needs_commit() {
            self.commit(&store, accepted, None, false).await
        } else {
            Ok(())
        };
        self.is(version);
        if let Err(failure) = committed {
            // Whether it has reached the disk is not known; the new version is what has to deal
            // with the state in either case.
            let error = with_causes(&failure);
            self.about = None;
            self.tell(failure.kind(), &error, failure.backtrace());
            *held = Held::default();
            return (
                Some(Happened::RestartAsked),
                Err(UpgradeFault::State(error)),
            );
        }
        store.set_durability(self.options.durability);
        held.idle_store = None;
        held.running = Some(self.stand(store, instance, parked));
        tracing::info!(module = %self.name, "module is upgraded");
        (Some(Happened::Upgraded), Ok(()))
    }

    /// Is another version of the module from now on.
    fn is(&mut self, version: Version) {
        let Version {
            loaded,
            config,
            quota,
            durability,
            restart,
            inlets,
            timetable,
        } = version;
        self.status.runs(&loaded);
        self.loaded = loaded;
        self.config = config;
        self.quota = quota;
        self.options.durability = durability;
        self.restart = restart;
        self.inlets = inlets;
        self.timetable = timetable;
        self.turn = 0;
        self.failing = Failing::default();
    }
}
