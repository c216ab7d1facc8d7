//! What can go wrong with the state on disk, and the one place where redb's errors become ours.

use std::{
    any::Any,
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
};

use nexum_types::ModuleName;

use crate::letters::{MAX_LETTERS, MAX_LETTERS_BYTES};

/// Why the store did not do as asked. Each message names the path and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Another engine has the state directory.
    #[error(
        "the state directory {} is in use by another engine{}; stop that one, or give this one a state_dir of its own",
        path.display(), process(*pid)
    )]
    Locked {
        /// The state directory.
        path: PathBuf,
        /// The other engine's process id, where it could be read.
        pid: Option<u32>,
    },
    /// An offline inspection is reading the state directory.
    #[error("the state directory {} is being inspected; start again when that has ended", path.display())]
    BeingInspected {
        /// The state directory.
        path: PathBuf,
    },
    /// The folder in which the state directory would be made does not exist.
    #[error(
        "the state directory {} cannot be made: its parent folder does not exist; make the parent, or correct state_dir",
        path.display()
    )]
    MissingParent {
        /// The state directory.
        path: PathBuf,
    },
    /// There is no state directory.
    #[error("there is no state directory {}; check state_dir in the engine's file", path.display())]
    MissingStateDir {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// The path of a folder is taken by something else.
    #[error("{} is not a folder; move it away, or correct state_dir", path.display())]
    NotADirectory {
        /// What is no folder.
        path: PathBuf,
    },
    /// Others could change what the engine keeps, and operate it.
    #[error(
        "others than its owner can write to {0} (its mode is {mode:04o}); take that from them with `chmod go-w {0}`, or let state_dir be a folder within it, which the engine makes for itself",
        path.display()
    )]
    OpenToOthers {
        /// The folder.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// The folder is somebody else's, who could do the same.
    #[error(
        "{} belongs to the user {owner}, and this is the user {user}; run as its owner, or let this user own it",
        path.display()
    )]
    OtherOwner {
        /// The folder.
        path: PathBuf,
        /// Whose it is.
        owner: u32,
        /// Whose this process is.
        user: u32,
    },
    /// The operating system denies access.
    #[error(
        "no permission to {action} {}; let the engine's user own the state directory and what is in it",
        path.display()
    )]
    Permission {
        /// What was tried.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// No space is left, or the user's disk quota is used up.
    #[error("no space left to write {}; free some, what was committed before is safe", path.display())]
    DiskFull {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The file is damaged, or no module's state at all. It has been left as it is.
    #[error(
        "the state file {} is damaged or not a module's state: {detail}; restore it from a backup, or move it away to start with an empty state",
        path.display()
    )]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What was found.
        detail: String,
    },
    /// The file was written by a newer version. It has been left as it is.
    #[error(
        "the state file {} has format version {found}, and this nexum knows versions up to {supported}; use a newer nexum",
        path.display()
    )]
    NewerFormat {
        /// The file.
        path: PathBuf,
        /// The file's version.
        found: u32,
        /// The newest version known here.
        supported: u32,
    },
    /// The same file is open already, in this process or another.
    #[error("the state file {} is already open; close the other user of it first", path.display())]
    AlreadyOpen {
        /// The file.
        path: PathBuf,
    },
    /// The module has no state.
    #[error("module {name} has no state: there is no {}", path.display())]
    NoSuchModule {
        /// The module asked for.
        name: ModuleName,
        /// Where its state would be.
        path: PathBuf,
    },
    /// The module has a state, which is not to be replaced.
    #[error("module {name} has a state, {}; with --yes it is replaced", path.display())]
    StateExists {
        /// The module.
        name: ModuleName,
        /// Its state.
        path: PathBuf,
    },
    /// No further event can be parked.
    #[error(
        "the dead letters in {} are as many as a module may have ({MAX_LETTERS}, or {MAX_LETTERS_BYTES} bytes); retry or drop some with `nexum module dead-letters`",
        path.display()
    )]
    LettersFull {
        /// The file.
        path: PathBuf,
    },
    /// An earlier failure left it open whether the last commit reached the disk.
    #[error(
        "an earlier failure stopped the store {}; open it again, which brings back the last committed state",
        path.display()
    )]
    NeedsReopen {
        /// The file.
        path: PathBuf,
    },
    /// The operating system reports another failure.
    #[error("could not {action} {}; check the disk and its file system", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The database reports another failure.
    #[error("the database {} failed; open it again, which brings back the last committed state", path.display())]
    Database {
        /// The file.
        path: PathBuf,
        /// The database's error.
        source: Box<redb::Error>,
    },
}

impl StoreError {
    /// Sorts an I/O error by what an operator has to do about it.
    pub(crate) fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Self::DiskFull { path, source }
            }
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                Self::Permission {
                    action,
                    path,
                    source,
                }
            }
            _ => Self::Io {
                action,
                path,
                source,
            },
        }
    }
}

fn process(pid: Option<u32>) -> String {
    pid.map(|pid| format!(" (process {pid})"))
        .unwrap_or_default()
}

/// A failure inside the database, before the path is known.
pub(crate) enum Fault {
    Redb(redb::Error),
    Damaged(String),
    Newer(u32),
}

impl<E: Into<redb::Error>> From<E> for Fault {
    fn from(error: E) -> Self {
        Self::Redb(error.into())
    }
}

impl Fault {
    fn at(self, path: &Path) -> StoreError {
        let corrupt = |detail| StoreError::Corrupt {
            path: path.to_owned(),
            detail,
        };
        match self {
            Self::Damaged(detail) => corrupt(detail),
            Self::Newer(found) => StoreError::NewerFormat {
                path: path.to_owned(),
                found,
                supported: crate::FORMAT_VERSION,
            },
            Self::Redb(error) => match error {
                redb::Error::Corrupted(detail) => corrupt(detail),
                redb::Error::Io(error) => match error.kind() {
                    io::ErrorKind::InvalidData => corrupt(error.to_string()),
                    io::ErrorKind::UnexpectedEof => corrupt("it ends too early".to_owned()),
                    _ => StoreError::io("access", path, error),
                },
                redb::Error::PreviousIo | redb::Error::DatabaseClosed => StoreError::NeedsReopen {
                    path: path.to_owned(),
                },
                redb::Error::DatabaseAlreadyOpen => StoreError::AlreadyOpen {
                    path: path.to_owned(),
                },
                error @ (redb::Error::TableTypeMismatch { .. }
                | redb::Error::TableIsMultimap(_)
                | redb::Error::TableDoesNotExist(_)
                | redb::Error::TypeDefinitionChanged { .. }) => corrupt(error.to_string()),
                error => StoreError::Database {
                    path: path.to_owned(),
                    source: Box::new(error),
                },
            },
        }
    }
}

/// Runs a piece of work on the database at `path`.
///
/// redb trusts a file that was closed cleanly and may panic on one that was altered since. Such
/// a panic is a damaged file, and must not take the engine down.
pub(crate) fn guarded<T>(
    path: &Path,
    work: impl FnOnce() -> Result<T, Fault>,
) -> Result<T, StoreError> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(result) => result.map_err(|fault| fault.at(path)),
        Err(panic) => Err(Fault::Damaged(panic_text(&*panic)).at(path)),
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("the database gave up on it").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sorted(kind: io::ErrorKind) -> StoreError {
        StoreError::io("write", Path::new("/state/modules/watch.redb"), kind.into())
    }

    #[test]
    fn io_errors_are_sorted_by_what_an_operator_does_about_them() {
        for kind in [io::ErrorKind::StorageFull, io::ErrorKind::QuotaExceeded] {
            assert!(matches!(sorted(kind), StoreError::DiskFull { .. }));
        }
        for kind in [
            io::ErrorKind::PermissionDenied,
            io::ErrorKind::ReadOnlyFilesystem,
        ] {
            assert!(matches!(
                sorted(kind),
                StoreError::Permission {
                    action: "write",
                    ..
                }
            ));
        }
        let other = sorted(io::ErrorKind::TimedOut);
        assert_eq!(
            other.to_string(),
            "could not write /state/modules/watch.redb; check the disk and its file system"
        );
    }

    #[test]
    fn a_panic_of_the_database_is_a_damaged_file() {
        let path = Path::new("watch.redb");
        let error = guarded::<()>(path, || panic!("page 7 is no leaf")).unwrap_err();
        assert!(
            matches!(&error, StoreError::Corrupt { detail, .. } if detail == "page 7 is no leaf"),
            "{error}"
        );
    }
}
