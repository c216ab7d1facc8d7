//! The transactions that were signed for modules, in a file of the engine's own: whatever becomes
//! of the module that asked for one, it is known until its fate is final.
//!
//! One table, `transactions`: the number of each to the [`SentTransaction`] in postcard. The row
//! `format` of the table `host` is as in a module's file.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use nexum_types::{SentTransaction, StateError, TransactionLedger};
use redb::{
    Builder, Database, ReadableDatabase, ReadableTable, TableDefinition, backends::FileBackend,
};

use crate::{
    StoreError,
    dir::{DirLock, modules_dir, sync_dir},
    error::{Fault, guarded},
    format::{FORMAT_VERSION, HOST},
    module_store::storage,
    staging::{ReadOnlyFile, Staging},
};

const TRANSACTIONS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("transactions");
const FORMAT_ROW: &str = "format";
/// The version of this file's format: it goes with that of the modules' files.
const VERSION: u32 = FORMAT_VERSION;
/// Few are looked at, and once each.
const CACHE_BYTES: usize = 1024 * 1024;

pub(crate) const LEDGER_FILE: &str = "transactions.redb";

/// The file of the transactions.
pub struct Ledger {
    db: Database,
    path: PathBuf,
    /// The state directory stays locked for as long as a file in it is open.
    _lock: Arc<DirLock>,
}

impl Ledger {
    /// Opens the file, or makes one.
    pub(crate) fn open(dir: &Path, lock: Arc<DirLock>) -> Result<Self, StoreError> {
        let path = dir.join(LEDGER_FILE);
        let failed = |action, path: &Path| {
            let path = path.to_owned();
            move |error| StoreError::io(action, &path, error)
        };
        let mut options = OpenOptions::new();
        options.read(true).write(true).mode(0o600);
        let db = match options.open(&path) {
            Ok(file) if file.metadata().map_err(failed("read", &path))?.len() == 0 => {
                return Err(empty(&path));
            }
            Ok(file) => guarded(&path, || {
                let db = database(file)?;
                check(&db)?;
                Ok(db)
            })?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                // As a module's file, it has its name only once it is complete.
                let unnamed = path.with_extension("redb.new");
                let file = options.create(true).truncate(true).open(&unnamed);
                let file = file.map_err(failed("make", &unnamed))?;
                let db = guarded(&path, || {
                    let db = database(file)?;
                    begin(&db)?;
                    Ok(db)
                })?;
                fs::rename(&unnamed, &path).map_err(failed("make", &path))?;
                sync_dir(dir)?;
                db
            }
            Err(error) => return Err(StoreError::io("open", &path, error)),
        };
        Ok(Self {
            db,
            path,
            _lock: lock,
        })
    }
}

/// The transactions in a state directory, by number, for reading only: none where there is no file
/// of them.
///
/// Works after an unclean end too. Refused while an engine has the state directory.
pub fn inspect_transactions(state_dir: &Path) -> Result<Vec<SentTransaction>, StoreError> {
    modules_dir(state_dir)?;
    let _lock = DirLock::shared(state_dir)?;
    let path = state_dir.join(LEDGER_FILE);
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(StoreError::io("open", &path, error)),
    };
    let failed = |error| StoreError::io("read", &path, error);
    if file.metadata().map_err(failed)?.len() == 0 {
        return Err(empty(&path));
    }
    // Never released, so that nothing is written.
    let staging = Staging::over(Box::new(ReadOnlyFile(file))).map_err(failed)?;
    guarded(&path, || {
        let db = builder().create_with_backend(staging)?;
        check(&db)?;
        read_all(&db)
    })
}

/// redb would begin a new one, and what was sent would be forgotten.
fn empty(path: &Path) -> StoreError {
    StoreError::Corrupt {
        path: path.to_owned(),
        detail: "it is empty".to_owned(),
    }
}

fn builder() -> Builder {
    let mut builder = Builder::new();
    builder.set_cache_size(CACHE_BYTES);
    builder
}

fn database(file: File) -> Result<Database, Fault> {
    Ok(builder().create_with_backend(FileBackend::new(file)?)?)
}

fn begin(db: &Database) -> Result<(), Fault> {
    let transaction = db.begin_write()?;
    transaction.open_table(TRANSACTIONS)?;
    transaction
        .open_table(HOST)?
        .insert(FORMAT_ROW, VERSION.to_le_bytes().as_slice())?;
    transaction.commit()?;
    Ok(())
}

fn check(db: &Database) -> Result<(), Fault> {
    let host = db.begin_read()?.open_table(HOST)?;
    let row = host.get(FORMAT_ROW)?;
    let version = row.and_then(|row| row.value().try_into().ok());
    match version.map(u32::from_le_bytes) {
        Some(version) if version > VERSION => Err(Fault::Newer(version)),
        Some(_) => Ok(()),
        None => Err(Fault::Damaged("the format version".to_owned())),
    }
}

fn read_all(db: &Database) -> Result<Vec<SentTransaction>, Fault> {
    let table = db.begin_read()?.open_table(TRANSACTIONS)?;
    let rows = table.iter()?;
    rows.map(|row| {
        postcard::from_bytes(row?.1.value())
            .map_err(|error| Fault::Damaged(format!("a transaction: {error}")))
    })
    .collect()
}

impl TransactionLedger for Ledger {
    fn load(&self) -> Result<Vec<SentTransaction>, StateError> {
        guarded(&self.path, || read_all(&self.db)).map_err(storage)
    }

    fn change(&self, put: &[SentTransaction], remove: &[u64]) -> Result<(), StateError> {
        let changed = guarded(&self.path, || {
            let transaction = self.db.begin_write()?;
            {
                let mut table = transaction.open_table(TRANSACTIONS)?;
                for sent in put {
                    let bytes = postcard::to_stdvec(sent)
                        .map_err(|error| Fault::Damaged(format!("a transaction: {error}")))?;
                    table.insert(sent.id, bytes.as_slice())?;
                }
                for id in remove {
                    table.remove(id)?;
                }
            }
            transaction.commit()?;
            Ok(())
        });
        changed.map_err(storage)
    }
}

impl std::fmt::Debug for Ledger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ledger")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}
