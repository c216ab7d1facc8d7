//! What an operator asks of a running module, and how its worker does it: between two calls, in
//! whatever phase the module is.

use std::sync::Arc;

use nexum_host::Loaded;
use nexum_manifest::{Durability, Restart};
use nexum_store::{DeadLetter, LetterChange, Resynced};
use nexum_types::{BlockNumber, ChainId, Config, Cursor, Source, WriteSet};
use tokio::sync::oneshot;

use crate::{
    committing::blocking,
    failure::{Failure, with_causes},
    inlet::Inlet,
    letters::Failing,
    lifecycle::Happened,
    status::Letters,
    timetable::Timetable,
    upgrading::Upgrade,
    withdrawal::Withdrawal,
    worker::{Held, Worker},
};

/// All that makes one version of a module another.
pub(crate) struct Version {
    pub(crate) loaded: Loaded,
    pub(crate) config: Config,
    pub(crate) quota: u64,
    pub(crate) durability: Durability,
    pub(crate) restart: Restart,
    pub(crate) inlets: Vec<Inlet>,
    pub(crate) timetable: Timetable,
}

/// What an operator asks of a module. Each answers once it is done, or why it is not.
pub(crate) enum Command {
    /// A fresh instance.
    Restart(oneshot::Sender<()>),
    /// The next attempt of a module that has failed, now. What has failed still counts.
    Hurry(oneshot::Sender<()>),
    /// Another version in its place, on the same state.
    Upgrade(Box<Upgrade>),
    /// Something becomes of dead letters; answers how many it did become of.
    Letters(LetterOrder, oneshot::Sender<Result<usize, String>>),
    /// The cursors of a chain are put before a block, and its dead letters from there on go.
    Resync {
        chain: ChainId,
        at: BlockNumber,
        done: oneshot::Sender<Result<Resynced, String>>,
    },
}

/// Which dead letters, and what becomes of them.
#[derive(Debug, Clone)]
pub(crate) struct LetterOrder {
    /// Given once more, or dropped.
    pub(crate) retry: bool,
    /// Their numbers; empty for all.
    pub(crate) ids: Vec<u64>,
}

impl LetterOrder {
    /// The changes that this comes to.
    pub(crate) fn changes(&self, letters: &[(u64, DeadLetter)]) -> Vec<LetterChange> {
        let chosen = |id: &u64| self.ids.is_empty() || self.ids.contains(id);
        let chosen = letters.iter().filter(|(id, _)| chosen(id));
        chosen
            .map(|(id, letter)| LetterChange::ordered(*id, letter, self.retry))
            .collect()
    }
}

impl Command {
    /// Whether it has to wait until a block that has been begun is finished: another list of
    /// subscriptions would count its turns otherwise.
    pub(crate) fn waits_for_block(&self, inlets: &[Inlet]) -> bool {
        let Self::Upgrade(upgrade) = self else {
            return false;
        };
        let waits = |inlet: &Inlet| {
            let newer = of_source(&upgrade.version.inlets, inlet.route.source());
            inlet.open.is_some() && newer.is_none_or(|newer| inlet.route.differs(&newer.route))
        };
        !upgrade.withdrawal.is_withdrawn() && inlets.iter().any(waits)
    }

    /// What takes it back, where it can be.
    pub(crate) fn withdrawal(&self) -> Option<Arc<Withdrawal>> {
        match self {
            Self::Upgrade(upgrade) => Some(Arc::clone(&upgrade.withdrawal)),
            Self::Restart(_) | Self::Hurry(_) | Self::Letters(..) | Self::Resync { .. } => None,
        }
    }
}

pub(crate) fn of_source(inlets: &[Inlet], source: Source) -> Option<&Inlet> {
    inlets.iter().find(|inlet| inlet.route.source() == source)
}

impl Worker {
    /// Does what the operator asks. `None` where the module goes on as it was.
    pub(crate) async fn obey(&mut self, command: Command, held: &mut Held) -> Option<Happened> {
        // Who has asked may have gone away meanwhile, which changes nothing.
        match command {
            Command::Restart(done) => {
                tracing::info!(module = %self.name, "module is restarted, as asked");
                held.set_aside();
                self.failing = Failing::default();
                let _ = done.send(());
                Some(Happened::RestartAsked)
            }
            Command::Hurry(done) => {
                let _ = done.send(());
                Some(Happened::Waited)
            }
            Command::Upgrade(upgrade) => self.upgrade(*upgrade, held).await,
            Command::Letters(order, done) => {
                let (happened, answer) = match self.order_letters(&order, held).await {
                    Ok(count) => (None, Ok(count)),
                    Err(failure) => (self.after_store(&failure, held), Err(with_causes(&failure))),
                };
                let _ = done.send(answer);
                happened
            }
            Command::Resync { chain, at, done } => {
                let (happened, answer) = match self.resync(chain, at, held).await {
                    Ok(moved) => (Some(Happened::RestartAsked), Ok(moved)),
                    Err(failure) => (self.after_store(&failure, held), Err(with_causes(&failure))),
                };
                let _ = done.send(answer);
                happened
            }
        }
    }

    /// A state that failed under a command has to be opened anew, by way of a restart.
    pub(crate) fn after_store(&mut self, failure: &Failure, held: &mut Held) -> Option<Happened> {
        if !failure.is_of_store() {
            return None;
        }
        *held = Held::default();
        Some(Happened::RestartAsked)
    }

    async fn order_letters(
        &mut self,
        order: &LetterOrder,
        held: &mut Held,
    ) -> Result<usize, Failure> {
        let store = match &held.running {
            Some(module) => module.store.clone(),
            None => self.store(held).await?,
        };
        let (asked, writing) = (order.clone(), store);
        let (changes, letters, settled) = blocking(move || {
            let changes = asked.changes(&writing.letters()?);
            let committed = writing.commit_letters(&WriteSet::default(), None, &changes)?;
            Ok((changes, Letters::of(&writing), committed.settled))
        })
        .await?;
        self.status.has_letters(letters);
        self.settled(settled);
        if let (true, Some(module)) = (order.retry, &mut held.running) {
            for change in &changes {
                if let LetterChange::Replace(id, _) = change
                    && !module.retries.contains(id)
                {
                    module.retries.push_back(*id);
                }
            }
        }
        Ok(changes.len())
    }

    /// Puts the cursors of a chain before a block, and forgets what was delivered or parked of it.
    async fn resync(
        &mut self,
        chain: ChainId,
        at: BlockNumber,
        held: &mut Held,
    ) -> Result<Resynced, Failure> {
        held.set_aside();
        let store = self.store(held).await?;
        let resync = blocking(move || {
            let done = store.resync(chain, at)?;
            Ok((done, Letters::of(&store)))
        });
        let (done, letters) = resync.await?;
        self.status.has_letters(letters);
        self.failing = Failing::default();
        // Whoever has the answer reads of no block that comes again that it was reached.
        let moved = done.before.iter();
        self.status
            .moved(moved.map(|(source, _)| (*source, Cursor::Before(at))));
        tracing::warn!(module = %self.name, %chain, at = %at, letters = done.letters, "the module goes on with the chain from this block, as asked");
        Ok(done)
    }
}
