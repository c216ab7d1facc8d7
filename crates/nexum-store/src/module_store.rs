//! The state of one module: snapshots, one commit, lazy cursors.

mod commit;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    fs::{self, OpenOptions},
    io,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use nexum_manifest::Durability;
use nexum_types::{
    BlockNumber, BlockRef, CallId, CallKey, Cursor, Delivered, Snapshot, Source, StateBackend,
    StateError, WriteSet,
};
use redb::{Builder, Database, StorageBackend, backends::FileBackend};

use crate::{
    StoreError,
    calls::{self, Calls},
    dir::DirLock,
    error::guarded,
    format::{self, Head},
    history::{Pending, Row, Step},
    letters::{self, DeadLetter, Shelf},
    snapshot::TableSnapshot,
    staging::Staging,
};

/// How a module's state is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoreOptions {
    /// When a commit reaches the disk.
    pub durability: Durability,
    /// The most memory that cached pages and unflushed writes may take, in bytes.
    pub cache_bytes: usize,
}

impl StoreOptions {
    /// The page cache of a module, unless told otherwise: hundreds of modules share one engine,
    /// and the system's own cache stands behind this one.
    pub const DEFAULT_CACHE_BYTES: usize = 512 * 1024;
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self {
            durability: Durability::default(),
            cache_bytes: Self::DEFAULT_CACHE_BYTES,
        }
    }
}

/// Some entries of a state, and how many more there are.
pub type Page = (Vec<(String, Vec<u8>)>, u64);

/// What a commit did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    /// The bytes of all keys and values from now on.
    pub used_bytes: u64,
    /// Whether it has reached the disk. If not, the next [`ModuleStore::flush`] brings it there.
    pub durable: bool,
    /// The calls that had an id until now.
    pub settled: Vec<CallId>,
}

/// What a resync did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resynced {
    /// Where the cursors were.
    pub before: Vec<(Source, Cursor)>,
    /// How many dead letters were removed.
    pub letters: usize,
}

/// The state of one module. Clones share it.
///
/// Every method that commits or opens blocks for the disk; the others never wait for a commit.
///
/// After a failed commit the store is stopped: what it knew stays as it was, every further
/// operation answers [`StoreError::NeedsReopen`], and only opening it anew tells whether that
/// commit reached the disk. State and cursor agree either way.
#[derive(Clone)]
pub struct ModuleStore(Arc<Inner>);

struct Inner {
    path: PathBuf,
    durability: Mutex<Durability>,
    db: Database,
    /// What opening wanted to write, held back until the first commit: a module that only reads
    /// leaves its file alone, and starting hundreds of them waits for no disk.
    staging: Option<Staging>,
    /// Held while a commit runs, so that commits take turns.
    writer: Mutex<()>,
    view: Mutex<View>,
    /// The size in `view`, to be read without its lock.
    used_bytes: AtomicU64,
    stopped: AtomicBool,
    /// The state directory stays locked for as long as a file in it is open.
    _lock: Option<Arc<DirLock>>,
}

struct View {
    committed: Head,
    /// Steps ahead of `committed`, with nothing else to commit.
    noted: Pending,
    /// The rows of the history, noted ones included.
    remembered: BTreeSet<Row>,
    /// The dead letters that there are.
    shelf: Shelf,
    /// The calls that have an id.
    calls: Calls,
    /// Whether `committed` has not reached the disk yet.
    volatile: bool,
}

impl ModuleStore {
    /// Opens the state that `backend` holds, or begins one where it is empty. `path` names it in
    /// errors.
    ///
    /// This is for storage that is not a file of a [`StateDir`](crate::StateDir): there, an empty
    /// file is damage and no beginning.
    pub fn open_with_backend(
        backend: impl StorageBackend,
        path: &Path,
        options: StoreOptions,
    ) -> Result<Self, StoreError> {
        let empty = backend
            .len()
            .map_err(|error| StoreError::io("read", path, error))?
            == 0;
        if empty {
            Self::create(backend, path, options, None)
        } else {
            Self::open(backend, path, options, None)
        }
    }

    /// Begins a state in an empty backend.
    pub(crate) fn create(
        backend: impl StorageBackend,
        path: &Path,
        options: StoreOptions,
        lock: Option<Arc<DirLock>>,
    ) -> Result<Self, StoreError> {
        let (db, head) = guarded(path, || {
            let db = builder(options.cache_bytes).create_with_backend(backend)?;
            let head = format::initialize(&db)?;
            Ok((db, head))
        })?;
        let opened = (
            db,
            head,
            BTreeSet::new(),
            Shelf::default(),
            Calls::default(),
        );
        Ok(Self::new(opened, None, path, options, lock))
    }

    /// Opens the state in a backend that has one. Writes nothing before the first commit.
    pub(crate) fn open(
        backend: impl StorageBackend,
        path: &Path,
        options: StoreOptions,
        lock: Option<Arc<DirLock>>,
    ) -> Result<Self, StoreError> {
        // After a failed commit the file may show what has not reached the disk. Whoever reads it
        // from now on may act on it, so it has to be there first.
        backend
            .sync_data()
            .map_err(|error| StoreError::io("sync", path, error))?;
        let (db, (_version, head), staging) =
            open_staged(Box::new(backend), path, options.cache_bytes)?;
        let remembered = guarded(path, || format::remembered(&db))?;
        let shelf = guarded(path, || Shelf::load(&db))?;
        let calls = guarded(path, || calls::load(&db))?;
        let opened = (db, head, remembered, shelf, calls);
        Ok(Self::new(opened, Some(staging), path, options, lock))
    }

    fn new(
        (db, head, remembered, shelf, calls): (Database, Head, BTreeSet<Row>, Shelf, Calls),
        staging: Option<Staging>,
        path: &Path,
        options: StoreOptions,
        lock: Option<Arc<DirLock>>,
    ) -> Self {
        Self(Arc::new(Inner {
            path: path.to_owned(),
            durability: Mutex::new(options.durability),
            db,
            staging,
            writer: Mutex::new(()),
            used_bytes: AtomicU64::new(head.used_bytes),
            view: Mutex::new(View {
                committed: head,
                noted: Pending::default(),
                remembered,
                shelf,
                calls,
                volatile: false,
            }),
            stopped: AtomicBool::new(false),
            _lock: lock,
        }))
    }

    /// When commits reach the disk from now on.
    pub fn set_durability(&self, durability: Durability) {
        *self.durability() = durability;
    }

    /// The file, as errors name it.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// The module's dead letters, by number, oldest first. Reads from the disk.
    pub fn letters(&self) -> Result<Vec<(u64, DeadLetter)>, StoreError> {
        self.check_running()?;
        guarded(&self.0.path, || letters::read_all(&self.0.db))
    }

    /// The last `most` of them, newest first. Reads from the disk.
    pub fn newest_letters(&self, most: usize) -> Result<Vec<(u64, DeadLetter)>, StoreError> {
        self.check_running()?;
        guarded(&self.0.path, || letters::read_newest(&self.0.db, most))
    }

    /// The dead letter of that number. Reads from the disk.
    pub fn letter(&self, id: u64) -> Result<Option<DeadLetter>, StoreError> {
        self.check_running()?;
        guarded(&self.0.path, || letters::read(&self.0.db, id))
    }

    /// Writes what is committed into a new file at `path`.
    pub(crate) fn copy_to(&self, path: &Path) -> Result<(), StoreError> {
        self.check_running()?;
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(StoreError::io("remove", path, error));
            }
            _ => {}
        }
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)
            .map_err(|error| StoreError::io("make", path, error))?;
        guarded(path, || {
            let mut copy = builder(StoreOptions::DEFAULT_CACHE_BYTES)
                .create_with_backend(FileBackend::new(file)?)?;
            format::copy(&self.0.db, &copy)?;
            copy.compact()?;
            Ok(())
        })
    }

    /// The committed entries whose keys begin with `prefix` and come after `after`, in the order of
    /// their keys: at most `limit`, and of their values at most `most_bytes`; and how many more
    /// there are. Reads from the disk.
    pub fn entries(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: u64,
        most_bytes: usize,
    ) -> Result<Page, StoreError> {
        self.check_running()?;
        guarded(&self.0.path, || {
            format::entries(&self.0.db, prefix, after, limit, most_bytes)
        })
    }

    /// How many dead letters the module has.
    #[must_use]
    pub fn letter_count(&self) -> usize {
        self.view().shelf.len()
    }

    /// Takes one step of one source in memory only. It reaches the disk with the next commit or
    /// flush; until then a crash takes it back, and the events since are delivered again. For
    /// calls that wrote nothing and had no effect outside.
    pub fn note(&self, step: Step) {
        let mut view = self.view();
        let View {
            committed,
            noted,
            remembered,
            ..
        } = &mut *view;
        let (source, cursor) = (step.source, step.cursor);
        noted.add(step, remembered);
        if committed.cursors.get(&source) == Some(&cursor) {
            noted.cursors.remove(&source);
        }
    }

    /// Brings everything noted or committed so far to the disk. Costs nothing where all of it is
    /// there already.
    pub fn flush(&self) -> Result<(), StoreError> {
        let nothing = WriteSet::default();
        self.apply(&nothing, None, &[], None, redb::Durability::Immediate)
            .map(drop)
    }

    /// Whether a flush has something to do.
    #[must_use]
    pub fn is_dirty(&self) -> bool {
        let view = self.view();
        view.volatile || !view.noted.is_empty()
    }

    /// Whether an earlier failure stopped this store, so that it must be opened anew.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.0.stopped.load(Ordering::Acquire)
    }

    /// How far the module has come in `source`, noted steps included.
    #[must_use]
    pub fn cursor(&self, source: &Source) -> Option<Cursor> {
        let view = self.view();
        view.noted
            .cursors
            .get(source)
            .or_else(|| view.committed.cursors.get(source))
            .copied()
    }

    /// How far the module has come in each of its sources, noted steps included.
    #[must_use]
    pub fn cursors(&self) -> BTreeMap<Source, Cursor> {
        let view = self.view();
        let mut cursors = view.committed.cursors.clone();
        cursors.extend(&view.noted.cursors);
        cursors
    }

    /// The recent blocks of `source` of which the module was given something, oldest first,
    /// noted steps included. Reads from the disk.
    pub fn history(&self, source: Source) -> Result<Vec<BlockRef>, StoreError> {
        let numbers: Vec<BlockNumber> = {
            let view = self.view();
            let rows = (source, BlockNumber(0))..=(source, BlockNumber(u64::MAX));
            view.remembered
                .range(rows)
                .map(|(_, number)| *number)
                .collect()
        };
        let block = |number| {
            let delivered = self.delivered(source, number)?;
            Ok(delivered.map(|delivered| delivered.block))
        };
        numbers
            .into_iter()
            .filter_map(|number| block(number).transpose())
            .collect()
    }

    /// What the module was given of the block of that number, if it is remembered. Reads from
    /// the disk.
    pub fn delivered(
        &self,
        source: Source,
        number: BlockNumber,
    ) -> Result<Option<Delivered>, StoreError> {
        self.check_running()?;
        let row = (source, number);
        if let Some(noted) = self.view().noted.rows.get(&row) {
            return Ok(noted.clone());
        }
        guarded(&self.0.path, || format::delivered(&self.0.db, row))
    }

    /// The calls that had an effect which must not be had twice, and are not committed.
    #[must_use]
    pub fn open_calls(&self) -> BTreeSet<CallId> {
        self.view().calls.values().copied().collect()
    }

    fn check_running(&self) -> Result<(), StoreError> {
        if self.is_stopped() {
            return Err(StoreError::NeedsReopen {
                path: self.0.path.clone(),
            });
        }
        Ok(())
    }

    fn durability(&self) -> MutexGuard<'_, Durability> {
        self.0
            .durability
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn view(&self) -> MutexGuard<'_, View> {
        // Every change of the view is complete before anything in it could panic.
        self.0.view.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for ModuleStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ModuleStore")
            .field("path", &self.0.path)
            .finish_non_exhaustive()
    }
}

impl StateBackend for ModuleStore {
    fn snapshot(&self) -> Result<Box<dyn Snapshot>, StateError> {
        self.check_running().map_err(storage)?;
        let snapshot = guarded(&self.0.path, || TableSnapshot::of(&self.0.db, &self.0.path));
        Ok(Box::new(snapshot.map_err(storage)?))
    }

    fn used_bytes(&self) -> u64 {
        self.0.used_bytes.load(Ordering::Acquire)
    }

    /// Under `interval` durability this also brings the commits before it to the disk.
    fn checkpoint(&self, writes: &WriteSet) -> Result<(), StateError> {
        self.apply(writes, None, &[], None, redb::Durability::Immediate)
            .map(drop)
            .map_err(storage)
    }

    fn call_id(&self, call: CallKey) -> Result<CallId, StateError> {
        self.open_call(&call.to_string()).map_err(storage)
    }

    fn has_call_id(&self, call: CallKey) -> bool {
        let view = self.view();
        !view.calls.is_empty() && view.calls.contains_key(&call.to_string())
    }
}

/// An opened database with the format version and head that it holds, not written to before its
/// staging is released.
pub(crate) type Staged = (Database, (u32, Head), Staging);

pub(crate) fn open_staged(
    backend: Box<dyn StorageBackend>,
    path: &Path,
    cache_bytes: usize,
) -> Result<Staged, StoreError> {
    let failed = |error: io::Error| StoreError::io("read", path, error);
    let staging = Staging::over(backend).map_err(failed)?;
    if staging.len().map_err(failed)? == 0 {
        // redb would begin a new database in it.
        let detail = "it is empty".to_owned();
        return Err(StoreError::Corrupt {
            path: path.to_owned(),
            detail,
        });
    }
    guarded(path, || {
        let mut builder = builder(cache_bytes);
        let name = path.to_owned();
        builder.set_repair_callback(move |repair| {
            if repair.progress() == 0.0 {
                tracing::info!(path = %name.display(), "checking a state that was not closed cleanly");
            }
        });
        let db = builder.create_with_backend(staging.clone())?;
        let head = format::load(&db)?;
        Ok((db, head, staging))
    })
}

fn builder(cache_bytes: usize) -> Builder {
    let mut builder = Builder::new();
    builder.set_cache_size(cache_bytes);
    builder
}

pub(crate) fn storage(error: StoreError) -> StateError {
    StateError::Storage(Box::new(error))
}
