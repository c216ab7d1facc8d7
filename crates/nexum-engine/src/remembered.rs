//! What was loaded while the engine ran, kept in the `state_dir`: a copy of each bundle, and a file
//! that says which of them are to run. It is written as `[[modules]]` of the operator's file are.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use nexum_manifest::{Bundle, EngineFile, ManifestErrors, Problem};
use nexum_store::StateDir;
use nexum_types::ModuleName;
use toml::{Table, Value};

use crate::load::MAX_COMPONENT_BYTES;

/// The file that names them.
const FILE: &str = "loaded.toml";
/// The folder of the copies.
const BUNDLES: &str = "bundles";
/// The files of a bundle, and the most bytes of each.
const PARTS: [(&str, u64); 2] = [
    ("nexum.toml", 1024 * 1024),
    ("module.wasm", MAX_COMPONENT_BYTES),
];

/// Why what was loaded could not be read or kept.
#[derive(Debug, thiserror::Error)]
pub enum RememberError {
    /// The operating system refuses.
    #[error("could not {action} {}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// A file is larger than one of a bundle may be.
    #[error("{} has more than {most} bytes", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The most that it may have.
        most: u64,
    },
    /// The file that names them is none of ours.
    #[error("{} cannot be understood: {detail}; correct it, or move it away to forget what was loaded", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        detail: String,
    },
}

/// The modules that were loaded while an engine ran, in one `state_dir`. That is locked for as long
/// as this is there, so that no other process reads or changes them; within the process, there is
/// one of these for each lock.
#[derive(Debug)]
pub struct Remembered {
    state_dir: Arc<StateDir>,
    /// Held from the reading of the file to the end of its writing.
    turn: Mutex<()>,
}

impl Remembered {
    /// Those of this `state_dir`.
    #[must_use]
    pub fn of(state_dir: &Arc<StateDir>) -> Self {
        Self {
            state_dir: Arc::clone(state_dir),
            turn: Mutex::default(),
        }
    }

    /// The file that names them.
    #[must_use]
    pub fn file(&self) -> PathBuf {
        self.folder().join(FILE)
    }

    fn folder(&self) -> &Path {
        self.state_dir.path()
    }

    fn turn(&self) -> MutexGuard<'_, ()> {
        // It guards the file, which is replaced as a whole.
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Their bundles, checked against the operator's file.
    pub(crate) fn bundles(
        &self,
        file: &EngineFile,
        configured: &[Bundle],
    ) -> Result<Vec<Bundle>, BundlesError> {
        let path = self.file();
        let Some(text) = read_text(&path)? else {
            return Ok(Vec::new());
        };
        let bundles = file.load_more(&path, text).map_err(BundlesError::Refused)?;
        let twice = bundles.iter().filter_map(|bundle| {
            let first = configured.iter().find(|it| it.name() == bundle.name())?;
            let name = bundle.name();
            Some(
                Problem::new(
                    bundle.entry.clone(),
                    format!("module `{name}` was loaded at run time, and the engine's file has it too"),
                )
                .with_also(first.entry.clone(), format!("`{name}` is also this one"))
                .with_help(format!(
                    "forget the one that was loaded with `nexum module unload {name}`, or take the other out of the engine's file; both would have the same state"
                )),
            )
        });
        match ManifestErrors::new(twice.collect()) {
            None => Ok(bundles),
            Some(errors) => Err(BundlesError::Refused(errors)),
        }
    }

    /// The names of those that are to run.
    pub fn names(&self) -> Result<Vec<ModuleName>, RememberError> {
        Self::names_in(self.folder())
    }

    /// The same for a `state_dir` that an engine may hold: what was loaded is only ever replaced
    /// whole.
    pub fn names_in(state_dir: &Path) -> Result<Vec<ModuleName>, RememberError> {
        let entries = entries(&state_dir.join(FILE))?;
        Ok(entries.iter().filter_map(name_of).collect())
    }

    /// Copies a bundle to where it stays once it is kept.
    pub(crate) fn copy(&self, bundle: &Path, label: &str) -> Result<BundleCopy, RememberError> {
        let relative = Path::new(BUNDLES).join(label);
        let folder = self.folder().join(&relative);
        let bundles = self.folder().join(BUNDLES);
        make_dir(&bundles)?;
        make_dir(&folder)?;
        let copy = BundleCopy {
            folder,
            relative,
            stays: false,
        };
        for (part, most) in PARTS {
            write(
                &copy.folder.join(part),
                &read_bounded(&bundle.join(part), most)?,
            )?;
        }
        // Its files, its name, and that of the folder that it is in.
        sync_dir(&copy.folder)?;
        sync_dir(&bundles)?;
        sync_dir(self.folder())?;
        Ok(copy)
    }

    /// From now on, and after a restart, the module is to run as `entry` says, from `copy`. The
    /// copy that it has run from before goes.
    pub(crate) fn keep(
        &self,
        name: &ModuleName,
        entry: Table,
        mut copy: BundleCopy,
    ) -> Result<(), RememberError> {
        let _turn = self.turn();
        let mut entries = self.entries()?;
        let before = take(&mut entries, name);
        entries.push(entry);
        let written = self.write(entries);
        // What cannot be known to be on the disk may be there, and the next start would miss it.
        copy.stays = written.is_ok() || self.names_copy(&copy.folder);
        written?;
        if let Some(before) = before.as_ref().and_then(path_of) {
            self.remove_copy(&before);
        }
        Ok(())
    }

    /// Removes the copies that no entry names: they are of operations that were cut off.
    pub(crate) fn tidy(&self) -> Result<(), RememberError> {
        let _turn = self.turn();
        let bundles = self.folder().join(BUNDLES);
        let found = match fs::read_dir(&bundles) {
            Ok(found) => found,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(io_error("list", &bundles)(error)),
        };
        for copy in found {
            let copy = copy.map_err(io_error("list", &bundles))?;
            if !self.names_copy(&copy.path()) {
                remove(&copy.path());
            }
        }
        Ok(())
    }

    /// Whether an entry names this folder, as far as can be known.
    fn names_copy(&self, folder: &Path) -> bool {
        let is_it = |path: PathBuf| self.folder().join(path).starts_with(folder);
        match self.entries() {
            Ok(entries) => entries.iter().filter_map(path_of).any(is_it),
            Err(_) => true,
        }
    }

    /// Takes a copy away. What is left of it does no harm.
    fn remove_copy(&self, relative: &Path) {
        if relative.starts_with(BUNDLES) {
            remove(&self.folder().join(relative));
        }
    }

    /// The module is not to run any more, and the copy of its bundle goes. Answers whether it was
    /// to run.
    pub fn forget(&self, name: &ModuleName) -> Result<bool, RememberError> {
        let _turn = self.turn();
        let mut entries = self.entries()?;
        let Some(entry) = take(&mut entries, name) else {
            return Ok(false);
        };
        self.write(entries)?;
        if let Some(copy) = path_of(&entry) {
            self.remove_copy(&copy);
        }
        Ok(true)
    }

    /// What the operator laid over the manifest of a module, when it was loaded.
    pub(crate) fn entry(&self, name: &ModuleName) -> Result<Option<Table>, RememberError> {
        let entries = self.entries()?;
        Ok(entries
            .into_iter()
            .find(|it| name_of(it).as_ref() == Some(name)))
    }

    fn entries(&self) -> Result<Vec<Table>, RememberError> {
        entries(&self.file())
    }

    fn write(&self, entries: Vec<Table>) -> Result<(), RememberError> {
        let path = self.file();
        let unnamed = path.with_extension("toml.new");
        write(&unnamed, as_text(entries).as_bytes())?;
        fs::rename(&unnamed, &path).map_err(io_error("write", &path))?;
        sync_dir(self.folder())
    }
}

/// A copy of a bundle, which goes with this unless it was kept.
#[derive(Debug)]
pub(crate) struct BundleCopy {
    folder: PathBuf,
    /// The same, relative to the `state_dir`.
    pub(crate) relative: PathBuf,
    stays: bool,
}

impl Drop for BundleCopy {
    fn drop(&mut self) {
        if !self.stays {
            remove(&self.folder);
        }
    }
}

/// Why the bundles of what was loaded are not to be had.
pub(crate) enum BundlesError {
    Refused(ManifestErrors),
    Remember(RememberError),
}

impl From<RememberError> for BundlesError {
    fn from(error: RememberError) -> Self {
        Self::Remember(error)
    }
}

/// Entries as they stand in a file.
pub(crate) fn as_text(entries: Vec<Table>) -> String {
    let entries = entries.into_iter().map(Value::Table).collect();
    let table = Table::from_iter([("modules".to_owned(), Value::Array(entries))]);
    table.to_string()
}

/// Takes the entry of a module out.
fn take(entries: &mut Vec<Table>, name: &ModuleName) -> Option<Table> {
    let found = entries
        .iter()
        .position(|entry| name_of(entry).as_ref() == Some(name));
    found.map(|index| entries.remove(index))
}

fn name_of(entry: &Table) -> Option<ModuleName> {
    entry.get("name")?.as_str()?.parse().ok()
}

fn path_of(entry: &Table) -> Option<PathBuf> {
    Some(entry.get("path")?.as_str()?.into())
}

fn remove(folder: &Path) {
    if let Err(error) = fs::remove_dir_all(folder) {
        tracing::warn!(folder = %folder.display(), %error, "a bundle that is not used any more was left behind");
    }
}

/// The entries in the file; none where there is no file.
fn entries(path: &Path) -> Result<Vec<Table>, RememberError> {
    let Some(text) = read_text(path)? else {
        return Ok(Vec::new());
    };
    let damaged = |detail: String| RememberError::Damaged {
        path: path.to_owned(),
        detail,
    };
    let table: Table = text.parse().map_err(|error| damaged(format!("{error}")))?;
    match table.get("modules") {
        None => Ok(Vec::new()),
        Some(Value::Array(entries)) => entries
            .iter()
            .map(|entry| entry.as_table().cloned())
            .collect::<Option<_>>()
            .ok_or_else(|| damaged("an entry is no table".into())),
        Some(_) => Err(damaged("`modules` is no list".into())),
    }
}

fn read_text(path: &Path) -> Result<Option<String>, RememberError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        // Whatever stands in the way of the `state_dir` is told when that is opened.
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            Ok(None)
        }
        Err(error) => Err(io_error("read", path)(error)),
    }
}

fn read_bounded(path: &Path, most: u64) -> Result<Vec<u8>, RememberError> {
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(io_error("read", path))?;
    io::Read::read_to_end(&mut io::Read::take(file, most + 1), &mut bytes)
        .map_err(io_error("read", path))?;
    if bytes.len() as u64 > most {
        let path = path.to_owned();
        return Err(RememberError::TooLarge { path, most });
    }
    Ok(bytes)
}

/// Makes a file, or makes it anew, that only its owner can read. It is on the disk then.
fn write(path: &Path, bytes: &[u8]) -> Result<(), RememberError> {
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .map_err(io_error("make", path))?;
    file.write_all(bytes)
        .and_then(|()| file.sync_all())
        .map_err(io_error("write", path))
}

fn make_dir(path: &Path) -> Result<(), RememberError> {
    match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            Err(io_error("make", path)(error))
        }
        _ => Ok(()),
    }
}

fn sync_dir(path: &Path) -> Result<(), RememberError> {
    File::open(path)
        .and_then(|dir| dir.sync_all())
        .map_err(io_error("sync", path))
}

fn io_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> RememberError {
    let path = path.to_owned();
    move |source| RememberError::Io {
        action,
        path,
        source,
    }
}
