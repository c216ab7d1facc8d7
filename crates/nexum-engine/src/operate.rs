//! What an operator does with modules while the engine runs. One operation at a time on a module;
//! what has begun goes on to its end, whoever has asked for it and gone away.

mod loading;
mod upgrade;

use std::{
    collections::BTreeSet,
    fs::File,
    path::PathBuf,
    sync::{Arc, PoisonError},
    time::Duration,
};

use nexum_manifest::{ManifestErrors, Sha256};
use nexum_store::{DeadLetter, ModuleStore, Resynced, StoreError};
use nexum_types::{BlockNumber, ChainId, ModuleName};
use tokio::sync::oneshot;
use toml::Table;

use crate::{
    StartError,
    command::{Command, LetterOrder},
    difference::Widening,
    modules::{Core, Handle, NoTurn, Origin, Turn},
    remembered::BundlesError,
    status::ModuleStatus,
};

/// Why an operation was not done. Nothing has changed then, unless it says so.
#[derive(Debug, thiserror::Error)]
pub enum OperateError {
    /// No module of that name runs.
    #[error("no module runs under the name {name}{}", among(known))]
    NoSuchModule {
        /// The name asked for.
        name: ModuleName,
        /// The names that there are.
        known: Vec<ModuleName>,
    },
    /// A module of that name runs.
    #[error("a module runs under the name {name} already: {}", .origin.remedy())]
    Exists {
        /// The name.
        name: ModuleName,
        /// Where it is from.
        origin: Origin,
    },
    /// Something else is being done with the module.
    #[error("something else is being done with module {0} just now; try again when that is done")]
    Busy(ModuleName),
    /// The engine is ending.
    #[error("the engine is stopping, and takes no more operations")]
    Stopping,
    /// A file or a component is refused.
    #[error("{0}")]
    Refused(ManifestErrors),
    /// The new version asks for more than the running one has.
    #[error(
        "the new version asks for more than the running one has: {}",
        listed(more)
    )]
    Widens {
        /// What it asks for.
        more: Vec<Widening>,
        /// What accepts just that.
        token: String,
    },
    /// The operation is not for this module.
    #[error("{0}")]
    Unfit(String),
    /// The module did not come to the end of a call in time.
    #[error("module {0} is still busy with a call; what was asked for is done when that has ended")]
    Slow(ModuleName),
    /// The module is being unloaded, for which its upgrade was taken back.
    #[error("module {0} is being unloaded, and the upgrade was taken back")]
    Unloading(ModuleName),
    /// The module did not come to its upgrade in time, which was taken back.
    #[error(
        "module {name} did not come to the end of a call, or of a block, within {most:?}, and the upgrade was taken back: the old version goes on. Try again when its source does, or unload the module and load the new version"
    )]
    Withdrawn {
        /// The module.
        name: ModuleName,
        /// How long that was waited for.
        most: Duration,
    },
    /// It was tried, and failed.
    #[error("{0}")]
    Failed(String),
    /// The state cannot be used.
    #[error(transparent)]
    Store(StoreError),
}

fn among(known: &[ModuleName]) -> String {
    let names: Vec<_> = known.iter().map(ToString::to_string).collect();
    match names.as_slice() {
        [] => ": none does".to_owned(),
        names => format!("; there are {}", names.join(", ")),
    }
}

fn listed(more: &[Widening]) -> String {
    let more: Vec<_> = more.iter().map(ToString::to_string).collect();
    more.join(", ")
}

impl Origin {
    fn remedy(self) -> &'static str {
        match self {
            Self::Configured => {
                "it is in the engine's file; give this one another with `--name`, or upgrade that one"
            }
            Self::Loaded => {
                "it was loaded before; give this one another with `--name`, or upgrade that one"
            }
        }
    }
}

/// A module to load.
#[derive(Debug, Clone)]
pub struct LoadRequest {
    /// The bundle's folder, absolute.
    pub path: PathBuf,
    /// The name to run under, if not the manifest's.
    pub name: Option<ModuleName>,
    /// Values laid over the manifest's `[config]`.
    pub config: Table,
    /// The digest that the component's bytes must have, now and at each further start.
    pub digest: Option<Sha256>,
}

/// A new version of a module.
#[derive(Debug, Clone, Default)]
pub struct UpgradeRequest {
    /// The new bundle's folder, absolute, for a module that was loaded at run time; for one in the
    /// engine's file, its entry there says where it is.
    pub path: Option<PathBuf>,
    /// The token of [`OperateError::Widens`].
    pub accept: Option<String>,
    /// The digest that the new component's bytes must have. Only with a path; the engine's file has
    /// the one of a module that is in it. One that was pinned before is not given up: without this,
    /// the new bytes must be those.
    pub digest: Option<Sha256>,
}

/// A module that was unloaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unloaded {
    /// Whether the engine's file brings it back at the next start.
    pub comes_back: bool,
    /// Whether its call in flight was cut off; its event is delivered again.
    pub cut_off: bool,
}

/// Does what an operator asks. Clones stand for the same engine. Once that is stopped,
/// everything is refused.
#[derive(Debug, Clone)]
pub struct Operator(pub(crate) Arc<Core>);

impl Operator {
    /// Loads a module and lets it run, now and after each further start.
    pub async fn load(&self, request: LoadRequest) -> Result<ModuleStatus, OperateError> {
        let core = Arc::clone(&self.0);
        self.to_the_end(async move { core.load(request).await })
            .await
    }

    /// Ends a module after its call in flight, and forgets it where it was loaded at run time. Its
    /// state stays.
    pub async fn unload(&self, name: &ModuleName) -> Result<Unloaded, OperateError> {
        let (core, name) = (Arc::clone(&self.0), name.clone());
        self.to_the_end(async move { core.unload(&name).await })
            .await
    }

    /// Gives a module a fresh instance, whatever it was doing.
    pub async fn restart(&self, name: &ModuleName) -> Result<(), OperateError> {
        let (core, name) = (Arc::clone(&self.0), name.clone());
        self.to_the_end(async move { core.ask(&name, Command::Restart).await })
            .await
    }

    /// Ends the wait of a module that has failed, and makes its next attempt now. What has failed
    /// still counts; a module that does not wait goes on as it was.
    pub async fn hurry(&self, name: &ModuleName) -> Result<(), OperateError> {
        let (core, name) = (Arc::clone(&self.0), name.clone());
        self.to_the_end(async move { core.ask(&name, Command::Hurry).await })
            .await
    }

    /// Puts a new version in the place of a module's running one, on the same state.
    pub async fn upgrade(
        &self,
        name: &ModuleName,
        request: UpgradeRequest,
    ) -> Result<ModuleStatus, OperateError> {
        let (core, name) = (Arc::clone(&self.0), name.clone());
        self.to_the_end(async move { core.upgrade(&name, request).await })
            .await
    }

    /// The dead letters of a module, by number, oldest first.
    pub async fn dead_letters(
        &self,
        name: &ModuleName,
    ) -> Result<Vec<(u64, DeadLetter)>, OperateError> {
        self.0.read(name, ModuleStore::letters).await
    }

    /// Lets a module have dead letters once more, or drops them; none named means all. Answers how
    /// many.
    pub async fn order_letters(
        &self,
        name: &ModuleName,
        retry: bool,
        ids: Vec<u64>,
    ) -> Result<usize, OperateError> {
        let (core, name) = (Arc::clone(&self.0), name.clone());
        let work = async move {
            let known = core.read(&name, ModuleStore::letters).await?;
            let known: BTreeSet<_> = known.iter().map(|(id, _)| *id).collect();
            if let Some(id) = ids.iter().find(|id| !known.contains(id)) {
                let what = format!("module {name} has no dead letter {id}");
                return Err(OperateError::Unfit(what));
            }
            let order = LetterOrder { retry, ids };
            let answer = core.ask(&name, |done| Command::Letters(order, done));
            answer.await?.map_err(OperateError::Failed)
        };
        self.to_the_end(work).await
    }

    /// Puts a module's cursors of a chain before a block, and removes its dead letters from there on.
    pub async fn resync(
        &self,
        name: &ModuleName,
        chain: ChainId,
        at: BlockNumber,
    ) -> Result<Resynced, OperateError> {
        let (core, name) = (Arc::clone(&self.0), name.clone());
        let work = async move {
            let answer = core.ask(&name, |done| Command::Resync { chain, at, done });
            answer.await?.map_err(OperateError::Failed)
        };
        self.to_the_end(work).await
    }

    /// Reads a module's state while it runs.
    pub async fn read<T: Send + 'static>(
        &self,
        name: &ModuleName,
        look: impl FnOnce(&ModuleStore) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, OperateError> {
        self.0.read(name, look).await
    }

    /// A copy of a module's state as it is now, in a file without a name: it is gone once it is
    /// closed.
    pub async fn backup(&self, name: &ModuleName) -> Result<File, OperateError> {
        let (state_dir, named) = (Arc::clone(&self.0.state_dir), name.clone());
        let copy = move |store: &ModuleStore| state_dir.copy(store, &named);
        self.0.read(name, copy).await
    }

    /// Reads the credentials of the operator's file anew, and the secrets that they name: requests
    /// that leave from now on get them. Answers how many there are. All else of the file stays as
    /// it was at the start.
    pub async fn reload_credentials(&self) -> Result<usize, OperateError> {
        let core = Arc::clone(&self.0);
        let work = blocking(move || {
            // Else what was read first could be what is used in the end.
            let _alone = core
                .reloading
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            let credentials = core.file.reload_credentials();
            let credentials = credentials.map_err(OperateError::Refused)?;
            let count = credentials.len();
            let replaced = core.egress.replace_credentials(credentials);
            replaced.map_err(failed)?;
            tracing::info!(
                credentials = count,
                "the credentials for servers outside were read anew"
            );
            Ok(count)
        });
        self.to_the_end(work).await
    }

    /// Goes on to the end of an operation though nobody waits for it any more.
    async fn to_the_end<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, OperateError>> + Send + 'static,
    ) -> Result<T, OperateError> {
        match self.0.runtime.spawn(work).await {
            Ok(done) => done,
            Err(error) => Err(failed(error)),
        }
    }

    /// Removes the state of a module that does not run.
    pub async fn purge(&self, name: &ModuleName) -> Result<(), OperateError> {
        let core = Arc::clone(&self.0);
        let name = name.clone();
        let work = async move {
            let _turn = core.turn(&name)?;
            if core.modules.by_name().contains_key(&name) {
                let what = format!("module {name} runs: unload it first");
                return Err(OperateError::Unfit(what));
            }
            let dir = Arc::clone(&core.state_dir);
            blocking(move || dir.remove_module(&name).map_err(OperateError::Store)).await
        };
        self.to_the_end(work).await
    }
}

impl Core {
    /// Sends a command, and waits for what comes of it.
    async fn ask<T>(
        &self,
        name: &ModuleName,
        command: impl FnOnce(oneshot::Sender<T>) -> Command,
    ) -> Result<T, OperateError> {
        let _turn = self.turn(name)?;
        let commands = self.of(name, |handle| handle.commands.clone())?;
        let (done, answer) = oneshot::channel();
        let asked = async {
            commands.send(command(done)).await.ok()?;
            answer.await.ok()
        };
        match tokio::time::timeout(self.answer_within, asked).await {
            Ok(Some(answer)) => Ok(answer),
            Ok(None) => Err(OperateError::Stopping),
            Err(_) => Err(OperateError::Slow(name.clone())),
        }
    }

    async fn read<T: Send + 'static>(
        &self,
        name: &ModuleName,
        look: impl FnOnce(&ModuleStore) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, OperateError> {
        let store = self.of(name, |handle| handle.store.get())?;
        let store = store.ok_or_else(|| {
            OperateError::Failed(format!(
                "the state of module {name} cannot be opened at the moment; its last error says why"
            ))
        })?;
        blocking(move || look(&store).map_err(OperateError::Store)).await
    }

    /// What `look` finds of a module that runs.
    fn of<T>(&self, name: &ModuleName, look: impl FnOnce(&Handle) -> T) -> Result<T, OperateError> {
        let found = self.modules.by_name().get(name).map(look);
        found.ok_or_else(|| self.no_such(name))
    }

    fn status_of(&self, name: &ModuleName) -> Result<ModuleStatus, OperateError> {
        self.of(name, |handle| handle.status.read())
    }

    /// Takes the turn of doing something with a module, which nobody else has until it is dropped.
    fn turn(&self, name: &ModuleName) -> Result<Turn<'_>, OperateError> {
        let turn = self.modules.turn(name);
        turn.map_err(|why| no_turn(why, name))
    }

    /// The same, for what goes before an upgrade: that is taken back.
    async fn turn_before_others(&self, name: &ModuleName) -> Result<Turn<'_>, OperateError> {
        let turn = self.modules.turn_before_others(name);
        match tokio::time::timeout(self.answer_within, turn).await {
            Ok(turn) => turn.map_err(|why| no_turn(why, name)),
            Err(_) => Err(OperateError::Busy(name.clone())),
        }
    }

    pub(crate) fn no_such(&self, name: &ModuleName) -> OperateError {
        OperateError::NoSuchModule {
            name: name.clone(),
            known: self.modules.names(),
        }
    }
}

impl From<BundlesError> for StartError {
    fn from(error: BundlesError) -> Self {
        match error {
            BundlesError::Refused(errors) => Self::Refused(errors),
            BundlesError::Remember(error) => Self::Remember(error),
        }
    }
}

fn no_turn(why: NoTurn, name: &ModuleName) -> OperateError {
    match why {
        NoTurn::Taken => OperateError::Busy(name.clone()),
        NoTurn::Closed => OperateError::Stopping,
    }
}

fn failed(error: impl std::error::Error) -> OperateError {
    OperateError::Failed(crate::failure::with_causes(&error))
}

/// Does work that waits for the disk where waiting stops nobody.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, OperateError> + Send + 'static,
) -> Result<T, OperateError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => Err(failed(error)),
    }
}
