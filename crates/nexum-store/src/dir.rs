//! The state directory: who may use it, and where each module's file is.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    process,
    sync::{Arc, Mutex, PoisonError},
};

use nexum_types::ModuleName;
use redb::backends::FileBackend;
use rustix::process::geteuid;

use crate::{Ledger, ModuleStore, StoreError, StoreOptions, ledger::LEDGER_FILE};

const LOCK_FILE: &str = "engine.lock";
const MODULES_DIR: &str = "modules";
const SUFFIX: &str = ".redb";
/// Can write everywhere, whatever the permissions say.
const ROOT: u32 = 0;

/// The directory in which one engine keeps its state, locked against every other engine.
#[derive(Debug)]
pub struct StateDir {
    path: PathBuf,
    lock: Arc<DirLock>,
    /// Held while a module's file is made, so that two never make the same one.
    creating: Mutex<()>,
}

/// The hold on a state directory: an advisory lock on `engine.lock`. The system releases it when
/// the process ends, however it ends; the file stays.
#[derive(Debug)]
pub(crate) struct DirLock {
    _file: File,
}

impl StateDir {
    /// Takes hold of the state directory, making it where its parent exists. Nobody else may be able
    /// to write to it: whoever can, has the states, and the engine.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, StoreError> {
        let path = path.into();
        make_dir(&path)?;
        let lock = Arc::new(DirLock::exclusive(&path)?);
        make_dir(&path.join(MODULES_DIR))?;
        sync_dir(&path)?;
        Ok(Self {
            path,
            lock,
            creating: Mutex::new(()),
        })
    }

    /// Takes hold of the state directory where it is there, and makes none.
    pub fn open_existing(path: impl Into<PathBuf>) -> Result<Option<Self>, StoreError> {
        let path = path.into();
        match fs::metadata(&path) {
            // What stands in the way of making one is told by `open`.
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
                ) =>
            {
                Ok(None)
            }
            _ => Self::open(path).map(Some),
        }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Opens the state of a module, or begins one where there is none. After an unclean end this
    /// reads the whole file once, to check it.
    ///
    /// An existing file is not written to before the first commit; one that cannot be read as a
    /// module's state is left as it is.
    pub fn open_module(
        &self,
        name: &ModuleName,
        options: StoreOptions,
    ) -> Result<ModuleStore, StoreError> {
        let path = module_path(&self.path, name);
        let lock = Some(Arc::clone(&self.lock));
        if let Some(file) = open_existing(&path)? {
            return ModuleStore::open(backend(file, &path)?, &path, options, lock);
        }
        let _turn = self.creating.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = open_existing(&path)? {
            return ModuleStore::open(backend(file, &path)?, &path, options, lock);
        }
        // The file gets its name only once it is a complete, empty state: a crash on the way
        // leaves no half of one to be mistaken for damage.
        let unnamed = path.with_extension("redb.new");
        match fs::remove_file(&unnamed) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(StoreError::io("remove", &unnamed, error));
            }
            _ => {}
        }
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&unnamed)
            .map_err(|error| StoreError::io("make", &unnamed, error))?;
        let store = ModuleStore::create(backend(file, &path)?, &path, options, lock)?;
        fs::rename(&unnamed, &path).map_err(|error| StoreError::io("make", &path, error))?;
        sync_dir(&self.path.join(MODULES_DIR))?;
        Ok(store)
    }
}

impl StateDir {
    /// The transactions that were signed for modules. Where there is no file of them, one is made.
    pub fn open_ledger(&self) -> Result<Ledger, StoreError> {
        Ledger::open(&self.path, Arc::clone(&self.lock))
    }

    /// Whether there is a file of transactions.
    #[must_use]
    pub fn has_ledger(&self) -> bool {
        self.path.join(LEDGER_FILE).exists()
    }

    /// Removes the state of a module for good. Nothing may have it open.
    ///
    /// # Errors
    /// [`StoreError::NoSuchModule`] where it has none.
    pub fn remove_module(&self, name: &ModuleName) -> Result<(), StoreError> {
        let path = module_path(&self.path, name);
        match fs::remove_file(&path) {
            Ok(()) => sync_dir(&self.path.join(MODULES_DIR)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let name = name.clone();
                Err(StoreError::NoSuchModule { name, path })
            }
            Err(error) => Err(StoreError::io("remove", &path, error)),
        }
    }

    /// Puts the copy at `from` in the place of a module's state, once it has proven to be one.
    /// Nothing may have the state open. Answers how many bytes it has.
    ///
    /// # Errors
    /// [`StoreError::StateExists`] where there is a state, unless it is to be replaced. What was
    /// there stays as it was wherever this fails.
    pub fn restore(
        &self,
        name: &ModuleName,
        from: &Path,
        replace: bool,
    ) -> Result<u64, StoreError> {
        let path = module_path(&self.path, name);
        if !replace && path.exists() {
            let name = name.clone();
            return Err(StoreError::StateExists { name, path });
        }
        let unnamed = path.with_extension("redb.new");
        let mut to = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&unnamed)
            .map_err(|error| StoreError::io("make", &unnamed, error))?;
        let mut copy = File::open(from).map_err(|error| StoreError::io("read", from, error))?;
        let bytes = io::copy(&mut copy, &mut to)
            .and_then(|bytes| to.sync_all().map(|()| bytes))
            .map_err(|error| StoreError::io("write", &unnamed, error))?;
        let proven = crate::inspect::prove(&unnamed, from);
        if proven.is_err() {
            // It would only be in the way; the copy itself stays.
            let _ = fs::remove_file(&unnamed);
        }
        proven?;
        fs::rename(&unnamed, &path).map_err(|error| StoreError::io("make", &path, error))?;
        sync_dir(&self.path.join(MODULES_DIR))?;
        Ok(bytes)
    }

    /// A copy of a module's state as it is now, pending cursors included, in a file without a
    /// name: the system frees it once it is closed. It stands at its beginning.
    pub fn copy(&self, store: &ModuleStore, name: &ModuleName) -> Result<File, StoreError> {
        store.flush()?;
        let path = self
            .path
            .join(MODULES_DIR)
            .join(format!("{name}.backup.new"));
        let _turn = self.creating.lock().unwrap_or_else(PoisonError::into_inner);
        let copied = store.copy_to(&path);
        let file = copied
            .and_then(|()| File::open(&path).map_err(|error| StoreError::io("open", &path, error)));
        // Also what was left of an attempt that failed.
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(StoreError::io("remove", &path, error));
            }
            _ => {}
        }
        file
    }
}

impl DirLock {
    fn exclusive(dir: &Path) -> Result<Self, StoreError> {
        let path = dir.join(LOCK_FILE);
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(|error| StoreError::io("open", &path, error))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(held_by_other(dir, &mut file)),
            Err(TryLockError::Error(error)) => return Err(StoreError::io("lock", &path, error)),
        }
        // The process id is for people and for the error of whoever comes second.
        file.set_len(0)
            .and_then(|()| writeln!(file, "{}", process::id()))
            .map_err(|error| StoreError::io("write", &path, error))?;
        Ok(Self { _file: file })
    }

    /// Keeps engines out while something is read. `None` where no engine has ever been: a copy of
    /// a state directory, for instance.
    pub(crate) fn shared(dir: &Path) -> Result<Option<Self>, StoreError> {
        let path = dir.join(LOCK_FILE);
        let mut file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(StoreError::io("open", &path, error)),
        };
        match file.try_lock_shared() {
            Ok(()) => Ok(Some(Self { _file: file })),
            Err(TryLockError::WouldBlock) => Err(StoreError::Locked {
                path: dir.to_owned(),
                pid: read_pid(&mut file),
            }),
            Err(TryLockError::Error(error)) => Err(StoreError::io("lock", &path, error)),
        }
    }
}

/// Tells an engine from an inspection: only the latter shares its lock.
fn held_by_other(dir: &Path, file: &mut File) -> StoreError {
    match file.try_lock_shared() {
        Ok(()) => StoreError::BeingInspected {
            path: dir.to_owned(),
        },
        Err(_) => StoreError::Locked {
            path: dir.to_owned(),
            pid: read_pid(file),
        },
    }
}

fn read_pid(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

/// The modules that have a state in this directory, by name.
pub fn list_modules(state_dir: &Path) -> Result<Vec<ModuleName>, StoreError> {
    let dir = modules_dir(state_dir)?;
    let entries = match fs::read_dir(&dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(StoreError::io("list", &dir, error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|error| StoreError::io("list", &dir, error))?;
        let file_name = entry.file_name();
        names.extend(
            file_name
                .to_str()
                .and_then(|name| name.strip_suffix(SUFFIX))
                .and_then(|name| name.parse::<ModuleName>().ok()),
        );
    }
    names.sort();
    Ok(names)
}

/// The folder of the modules' files, once the state directory has proven to be there.
pub(crate) fn modules_dir(state_dir: &Path) -> Result<PathBuf, StoreError> {
    match fs::metadata(state_dir) {
        Ok(metadata) if metadata.is_dir() => Ok(state_dir.join(MODULES_DIR)),
        Ok(_) => Err(StoreError::NotADirectory {
            path: state_dir.to_owned(),
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(StoreError::MissingStateDir {
            path: state_dir.to_owned(),
        }),
        Err(error) => Err(StoreError::io("read", state_dir, error)),
    }
}

pub(crate) fn module_path(state_dir: &Path, name: &ModuleName) -> PathBuf {
    state_dir.join(MODULES_DIR).join(format!("{name}{SUFFIX}"))
}

fn open_existing(path: &Path) -> Result<Option<File>, StoreError> {
    match OpenOptions::new().read(true).write(true).open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(StoreError::io("open", path, error)),
    }
}

fn backend(file: File, path: &Path) -> Result<FileBackend, StoreError> {
    crate::error::guarded(path, || Ok(FileBackend::new(file)?))
}

fn make_dir(path: &Path) -> Result<(), StoreError> {
    let owned = || path.to_owned();
    match DirBuilder::new().mode(0o700).create(path) {
        Ok(()) => Ok(()),
        Err(error) => match error.kind() {
            io::ErrorKind::AlreadyExists if path.is_dir() => check_private(path),
            io::ErrorKind::AlreadyExists | io::ErrorKind::NotADirectory => {
                Err(StoreError::NotADirectory { path: owned() })
            }
            io::ErrorKind::NotFound => Err(StoreError::MissingParent { path: owned() }),
            _ => Err(StoreError::io("make", path, error)),
        },
    }
}

/// Checks that nobody but this process's user, and root, can write to a folder.
fn check_private(path: &Path) -> Result<(), StoreError> {
    let found = fs::metadata(path).map_err(|error| StoreError::io("read", path, error))?;
    let (owner, user) = (found.uid(), geteuid().as_raw());
    let mode = found.mode() & 0o7777;
    let path = || path.to_owned();
    if owner != user && owner != ROOT {
        return Err(StoreError::OtherOwner {
            path: path(),
            owner,
            user,
        });
    }
    if mode & 0o022 != 0 {
        return Err(StoreError::OpenToOthers { path: path(), mode });
    }
    Ok(())
}

/// Makes the names in a folder survive a power cut, as syncing a file does not.
pub(crate) fn sync_dir(path: &Path) -> Result<(), StoreError> {
    File::open(path)
        .and_then(|dir| dir.sync_all())
        .map_err(|error| StoreError::io("sync", path, error))
}
