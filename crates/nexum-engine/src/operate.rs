//! What an operator does with modules while the engine runs. One operation at a time on a module;
//! what has begun goes on to its end, whoever has asked for it and gone away.

use std::{
    collections::BTreeSet,
    fs::File,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use nexum_manifest::{Bundle, ManifestErrors, Sha256};
use nexum_store::{DeadLetter, ModuleStore, StoreError};
use nexum_types::{BlockNumber, ChainId, Cursor, ModuleName, Source};
use tokio::sync::oneshot;
use toml::{Table, Value};

use crate::{
    StartError,
    command::{Command, LetterOrder},
    difference::{self, Widening},
    engine::store_options,
    load::{self, Loader},
    modules::{Core, End, Handle, Origin, tell_grants},
    remembered::{self, BundlesError, Remembered},
    status::ModuleStatus,
};

/// How long an answer is waited for that comes between two calls of a module.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);

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

    /// Puts a module's cursors of a chain before a block. Answers where they were.
    pub async fn resync(
        &self,
        name: &ModuleName,
        chain: ChainId,
        at: BlockNumber,
    ) -> Result<Vec<(Source, Cursor)>, OperateError> {
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
    async fn load(&self, request: LoadRequest) -> Result<ModuleStatus, OperateError> {
        let remembered = Arc::clone(&self.remembered);
        let LoadRequest {
            path,
            name,
            config,
            digest,
        } = request;
        let mut entry = Table::new();
        if let Some(name) = &name {
            entry.insert("name".into(), name.as_str().into());
        }
        if !config.is_empty() {
            entry.insert("config".into(), Value::Table(config));
        }
        pin(&mut entry, digest);
        // Only its manifest knows the name.
        let name = self.bundle_at(&path, entry.clone()).await?.name().clone();
        let _turn = self.turn(&name)?;
        if let Some(handle) = self.modules.by_name().get(&name) {
            let origin = handle.origin;
            return Err(OperateError::Exists { name, origin });
        }
        entry.insert("name".into(), name.as_str().into());
        let copied = self.copied(&path, &name, entry).await?;
        let loaded = self.loaded(&copied.bundle).await;
        let loaded = copied.kept_if(&remembered, loaded)?;
        let (dir, manifest) = (Arc::clone(&self.state_dir), copied.bundle.manifest.clone());
        let options = store_options(&manifest);
        let opening = name.clone();
        let store = blocking(move || {
            dir.open_module(&opening, options)
                .map_err(OperateError::Store)
        });
        let store = copied.kept_if(&remembered, store.await)?;
        let (keeping, entry) = (name.clone(), copied.entry.clone());
        let kept = blocking(move || remembered.keep(&keeping, entry).map_err(failed)).await;
        copied.kept_if(&self.remembered, kept)?;
        self.run(copied.bundle, loaded, store, Origin::Loaded)
            .map_err(failed)?;
        self.status_of(&name)
    }

    async fn unload(&self, name: &ModuleName) -> Result<Unloaded, OperateError> {
        let _turn = self.turn(name)?;
        let origin = self.of(name, |handle| handle.origin)?;
        if origin == Origin::Loaded {
            let (remembered, name) = (Arc::clone(&self.remembered), name.clone());
            // It is to be gone after a crash, too, so this comes first; where it fails, the module
            // goes on as it was.
            blocking(move || remembered.forget(&name).map_err(failed)).await?;
        }
        let removed = self.modules.by_name().remove(name);
        let mut handle = removed.ok_or_else(|| self.no_such(name))?;
        handle.stop.cancel();
        let grace = self.file.config().shutdown_grace;
        let ended = handle.end(tokio::time::Instant::now() + grace).await;
        tracing::info!(module = %name, "module is unloaded");
        match ended {
            End::Unsaved(why) => Err(OperateError::Failed(format!(
                "module {name} is unloaded, but what it had pending is not on disk: {why}"
            ))),
            ended => Ok(Unloaded {
                comes_back: origin == Origin::Configured,
                cut_off: ended == End::CutOff,
            }),
        }
    }

    async fn upgrade(
        &self,
        name: &ModuleName,
        request: UpgradeRequest,
    ) -> Result<ModuleStatus, OperateError> {
        let UpgradeRequest {
            path,
            accept,
            digest,
        } = request;
        let _turn = self.turn(name)?;
        let (running, origin, commands) = self.of(name, |handle| {
            let commands = handle.commands.clone();
            (handle.bundle.clone(), handle.origin, commands)
        })?;
        let remembered = Arc::clone(&self.remembered);
        let copied = match (origin, path) {
            (Origin::Configured, None) if digest.is_some() => {
                return Err(OperateError::Unfit(format!(
                    "module {name} is in the engine's file: write the new version's digest into its entry there, and upgrade without `--digest`"
                )));
            }
            (Origin::Configured, None) => {
                let bundle = self.file.reload(&running).map_err(OperateError::Refused)?;
                Copied {
                    bundle,
                    entry: Table::new(),
                    copy: None,
                }
            }
            (Origin::Configured, Some(_)) => {
                return Err(OperateError::Unfit(format!(
                    "module {name} is in the engine's file: put the new version into its bundle, or its path into its entry there, and upgrade without one"
                )));
            }
            (Origin::Loaded, None) => {
                return Err(OperateError::Unfit(format!(
                    "module {name} was loaded at run time: say where the new version's bundle is"
                )));
            }
            (Origin::Loaded, Some(path)) => {
                let entry = remembered.entry(name).map_err(failed)?;
                let mut entry = entry.unwrap_or_default();
                pin(&mut entry, digest);
                self.copied(&path, name, entry).await?
            }
        };
        let loaded = self.loaded(&copied.bundle).await;
        let loaded = copied.kept_if(&remembered, loaded)?;
        let more = difference::between(&running.manifest, &copied.bundle.manifest);
        let digest = loaded.digest();
        let token = difference::token(&more, digest);
        if !more.is_empty() && accept.as_ref() != Some(&token) {
            return copied.kept_if(&remembered, Err(OperateError::Widens { more, token }));
        }
        let version = self.version(&copied.bundle.manifest, loaded);
        let version = copied.kept_if(&remembered, version.map_err(failed))?;
        let (done, answer) = oneshot::channel();
        let asked = commands.send(Command::Upgrade(Box::new(version), done));
        let answer = match asked.await {
            // It ends as the call in flight and the new `init` do.
            Ok(()) => answer.await.map_err(|_| OperateError::Stopping),
            Err(_) => Err(OperateError::Stopping),
        };
        let upgraded = answer.and_then(|answer| {
            answer.map_err(|error| {
                OperateError::Failed(format!(
                    "the new version's init failed, and the old version goes on: {error}"
                ))
            })
        });
        copied.kept_if(&remembered, upgraded)?;
        let Copied { bundle, entry, .. } = copied;
        tell_grants(&bundle);
        if let Some(handle) = self.modules.by_name().get_mut(name) {
            handle.bundle = bundle;
            handle.digest = digest;
        }
        if origin == Origin::Loaded {
            let keeping = name.clone();
            let before = blocking(move || remembered.keep(&keeping, entry).map_err(failed)).await;
            let before = before.map_err(|error| {
                OperateError::Failed(format!(
                    "module {name} is upgraded, but the old version runs again after a restart: {error}"
                ))
            })?;
            if let Some(before) = before {
                self.remembered.remove_copy(&before);
            }
        }
        self.status_of(name)
    }

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
        match tokio::time::timeout(ANSWER_WITHIN, asked).await {
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
    fn turn(&self, name: &ModuleName) -> Result<crate::modules::Turn<'_>, OperateError> {
        if self.modules.is_closed() {
            return Err(OperateError::Stopping);
        }
        self.modules
            .turn(name)
            .ok_or_else(|| OperateError::Busy(name.clone()))
    }

    pub(crate) fn no_such(&self, name: &ModuleName) -> OperateError {
        OperateError::NoSuchModule {
            name: name.clone(),
            known: self.modules.names(),
        }
    }

    /// The bundle in a folder, checked, under what the operator says of it.
    async fn bundle_at(&self, folder: &Path, entry: Table) -> Result<Bundle, OperateError> {
        let Some(folder) = folder.to_str() else {
            let what = format!("the path {} is not UTF-8", folder.display());
            return Err(OperateError::Unfit(what));
        };
        let mut with_path = Table::from_iter([("path".to_owned(), Value::from(folder))]);
        with_path.extend(entry);
        let file = self.remembered.file();
        let text = remembered::as_text(vec![with_path]);
        let bundles = self.file.load_more(&file, text);
        bundles
            .map_err(OperateError::Refused)?
            .pop()
            .ok_or_else(|| OperateError::Failed("the bundle is not there any more".into()))
    }

    /// Copies a bundle to where it stays, and checks what was copied.
    async fn copied(
        &self,
        path: &Path,
        name: &ModuleName,
        mut entry: Table,
    ) -> Result<Copied, OperateError> {
        let label = format!("{name}-{:08x}", rand::random::<u32>());
        let (remembered, from) = (Arc::clone(&self.remembered), path.to_owned());
        let copy = blocking(move || remembered.copy(&from, &label).map_err(failed)).await?;
        let relative = copy.to_string_lossy().into_owned();
        entry.insert("path".into(), relative.into());
        let bundle = self.bundle_at(&copy, entry.clone()).await;
        let bundle = bundle.inspect_err(|_| self.remembered.remove_copy(&copy))?;
        Ok(Copied {
            bundle,
            entry,
            copy: Some(copy),
        })
    }

    async fn loaded(&self, bundle: &Bundle) -> Result<nexum_host::Loaded, OperateError> {
        let loader = Loader {
            host: &self.host,
            pin_required: self.file.config().policy.require_digest,
            kept: self.code.cache(),
        };
        match load::load_one(&loader, bundle, self.chains.clone()).await {
            Ok(loaded) => {
                self.code.keep(vec![loaded.code().clone()]);
                Ok(loaded)
            }
            Err(StartError::Refused(errors)) => Err(OperateError::Refused(errors)),
            Err(error) => Err(failed(error)),
        }
    }
}

/// A bundle that is about to run.
struct Copied {
    bundle: Bundle,
    /// What has to be written for it to run after a restart.
    entry: Table,
    /// Where its copy is, relative to the `state_dir`.
    copy: Option<PathBuf>,
}

impl Copied {
    /// Takes the copy away where nothing came of it.
    fn kept_if<T>(
        &self,
        remembered: &Remembered,
        done: Result<T, OperateError>,
    ) -> Result<T, OperateError> {
        if let (Err(_), Some(copy)) = (&done, &self.copy) {
            remembered.remove_copy(copy);
        }
        done
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

/// Lets an entry say which bytes its component must have; where nothing is said, what it has said
/// before stays.
fn pin(entry: &mut Table, digest: Option<Sha256>) {
    if let Some(digest) = digest {
        entry.insert("digest".into(), format!("sha256:{digest}").into());
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
