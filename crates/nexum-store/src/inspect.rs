//! Looking at a module's state while no engine runs, without changing a byte of it.

use std::{
    collections::BTreeMap,
    fmt,
    fs::File,
    io,
    path::{Path, PathBuf},
};

use nexum_types::{Cursor, ModuleName, Source};
use redb::{Database, Range, ReadOnlyTable, ReadableDatabase};

use crate::{
    DeadLetter, StoreError, StoreOptions,
    dir::{DirLock, module_path, modules_dir},
    error::guarded,
    format::{Head, STATE},
    letters,
    module_store::open_staged,
    staging::ReadOnlyFile,
};

/// A module's state as its last durable commit left it.
///
/// While this lives, no engine can take hold of the state directory, unless the directory has no
/// lock file yet (a copy of one that was made without it).
pub struct Inspection {
    path: PathBuf,
    format_version: u32,
    head: Head,
    table: ReadOnlyTable<&'static str, &'static [u8]>,
    db: Database,
    _lock: Option<DirLock>,
}

/// Opens the state of a module for reading only.
///
/// Works after an unclean end too: what an engine would repair is repaired in memory. Refused
/// while an engine has the state directory.
pub fn inspect(state_dir: &Path, name: &ModuleName) -> Result<Inspection, StoreError> {
    modules_dir(state_dir)?;
    let lock = DirLock::shared(state_dir)?;
    let path = module_path(state_dir, name);
    let file = File::open(&path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => StoreError::NoSuchModule {
            name: name.clone(),
            path: path.clone(),
        },
        _ => StoreError::io("open", &path, error),
    })?;
    // The staging is never released, so that closing the database writes nothing either.
    let (db, (format_version, head), _staging) = open_staged(
        Box::new(ReadOnlyFile(file)),
        &path,
        StoreOptions::DEFAULT_CACHE_BYTES,
    )?;
    let table = guarded(&path, || Ok(db.begin_read()?.open_table(STATE)?))?;
    Ok(Inspection {
        path,
        format_version,
        head,
        table,
        db,
        _lock: lock,
    })
}

/// That the file at `path` is a module's state, whole and of a known format, every entry of it
/// readable. `named` is what errors call it.
pub(crate) fn prove(path: &Path, named: &Path) -> Result<(), StoreError> {
    let file = File::open(path).map_err(|error| StoreError::io("open", path, error))?;
    let backend = Box::new(ReadOnlyFile(file));
    let (db, (_, head), _staging) = open_staged(backend, named, StoreOptions::DEFAULT_CACHE_BYTES)?;
    let used_bytes = guarded(named, || {
        let table = db.begin_read()?.open_table(STATE)?;
        let mut used_bytes = 0;
        for row in table.range::<&str>(..)? {
            let (key, value) = row?;
            used_bytes += (key.value().len() + value.value().len()) as u64;
        }
        letters::read_all(&db)?;
        Ok(used_bytes)
    })?;
    if used_bytes == head.used_bytes {
        return Ok(());
    }
    Err(StoreError::Corrupt {
        path: named.to_owned(),
        detail: format!(
            "its entries have {used_bytes} bytes, and it says {}",
            head.used_bytes
        ),
    })
}

impl Inspection {
    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The version of the file's format.
    #[must_use]
    pub fn format_version(&self) -> u32 {
        self.format_version
    }

    /// The bytes of all keys and values, as the quota counts them.
    #[must_use]
    pub fn used_bytes(&self) -> u64 {
        self.head.used_bytes
    }

    /// How far the module has come in each of its sources.
    #[must_use]
    pub fn cursors(&self) -> &BTreeMap<Source, Cursor> {
        &self.head.cursors
    }

    /// The module's dead letters, by number, oldest first.
    pub fn letters(&self) -> Result<Vec<(u64, DeadLetter)>, StoreError> {
        guarded(&self.path, || letters::read_all(&self.db))
    }

    /// The value of `key`.
    pub fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        guarded(&self.path, || {
            Ok(self.table.get(key)?.map(|value| value.value().to_vec()))
        })
    }

    /// The entries whose keys begin with `prefix`, in the order of their keys.
    pub fn entries<'a>(&'a self, prefix: &'a str) -> Result<Entries<'a>, StoreError> {
        let range = guarded(&self.path, || Ok(self.table.range(prefix..)?))?;
        Ok(Entries {
            path: &self.path,
            prefix,
            range: Some(range),
        })
    }
}

impl fmt::Debug for Inspection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inspection")
            .field("path", &self.path)
            .field("format_version", &self.format_version)
            .field("head", &self.head)
            .finish_non_exhaustive()
    }
}

/// Entries of a state, in the order of their keys. Ends after the first error.
pub struct Entries<'a> {
    path: &'a Path,
    prefix: &'a str,
    range: Option<Range<'a, &'static str, &'static [u8]>>,
}

impl Iterator for Entries<'_> {
    type Item = Result<(String, Vec<u8>), StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        let range = self.range.as_mut()?;
        let entry = guarded(self.path, || {
            let entry = range.next().transpose()?;
            Ok(entry
                .filter(|(key, _)| key.value().starts_with(self.prefix))
                .map(|(key, value)| (key.value().to_owned(), value.value().to_vec())))
        });
        if !matches!(entry, Ok(Some(_))) {
            self.range = None;
        }
        entry.transpose()
    }
}

impl fmt::Debug for Entries<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entries")
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}
