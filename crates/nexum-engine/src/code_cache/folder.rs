//! The folder of the kept code: who may write to it, what is in it, and each access to it.
//!
//! Everything is opened relative to a handle that has been looked at, and never through a link in
//! the folder, so that what was looked at is what is used.

use std::{
    fs::File,
    io::{self, Read as _, Write as _},
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use rustix::{
    fs::{
        AtFlags, Dir, FileType, Mode, OFlags, Stat, Timespec, Timestamps, UTIME_NOW, fstat,
        mkdirat, open, openat, renameat, statat, unlinkat, utimensat,
    },
    io::Errno,
    process::geteuid,
};

const FOLDER: &str = "code";
const FOLDER_FLAGS: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::CLOEXEC);
/// Can write everywhere, whatever the permissions say.
const ROOT: u32 = 0;
/// Of a file that is being written: it gets its name once it is complete.
const UNNAMED: &str = ".new";

/// Why something of the cache was not used.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    #[error("{path} cannot be {tried}: {error}", path = .path.display())]
    Io {
        path: PathBuf,
        tried: &'static str,
        #[source]
        error: io::Error,
    },
    #[error("{path} is not a {expected}", path = .path.display())]
    OtherKind {
        path: PathBuf,
        expected: &'static str,
    },
    #[error("{path} belongs to the user {owner}, and not to the engine's own", path = .path.display())]
    OtherOwner { path: PathBuf, owner: u32 },
    #[error("others than its owner have access to {path} (its mode is {mode:04o})", path = .path.display())]
    OpenToOthers { path: PathBuf, mode: u32 },
    #[error("{path} has more than {most} bytes", path = .path.display())]
    TooLarge { path: PathBuf, most: u64 },
}

/// The folder, which only this process's user can write to.
#[derive(Debug)]
pub(super) struct Folder {
    handle: OwnedFd,
    path: PathBuf,
}

/// A file in the folder, as a listing tells of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Listed {
    pub(super) name: String,
    pub(super) bytes: u64,
    pub(super) used: SystemTime,
}

impl Folder {
    /// The folder, if it is there.
    pub(super) fn open(state_dir: &Path) -> Result<Option<Self>, Fault> {
        let Some(parent) = parent(state_dir)? else {
            return Ok(None);
        };
        let path = state_dir.join(FOLDER);
        let flags = FOLDER_FLAGS | OFlags::NOFOLLOW;
        let handle = match openat(&parent, FOLDER, flags, Mode::empty()) {
            Ok(handle) => handle,
            Err(Errno::NOENT) => return Ok(None),
            Err(Errno::LOOP | Errno::NOTDIR) => return Err(Fault::no(&path, "folder")),
            Err(error) => return Err(Fault::io(&path, "opened", error)),
        };
        private(&handle, &path, FileType::Directory)?;
        Ok(Some(Self { handle, path }))
    }

    /// The folder, made if it is not there.
    pub(super) fn make(state_dir: &Path) -> Result<Self, Fault> {
        if let Some(folder) = Self::open(state_dir)? {
            return Ok(folder);
        }
        let gone = |path: &Path| Fault::io(path, "opened", Errno::NOENT);
        let parent = parent(state_dir)?.ok_or_else(|| gone(state_dir))?;
        let path = state_dir.join(FOLDER);
        mkdirat(&parent, FOLDER, Mode::RWXU).map_err(|error| Fault::io(&path, "made", error))?;
        Self::open(state_dir)?.ok_or_else(|| gone(&path))
    }

    /// The bytes of a file, if it is there.
    pub(super) fn read(&self, name: &str, most: u64) -> Result<Option<Vec<u8>>, Fault> {
        // Nobody waits for the other end of what turns out to be a pipe.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let path = self.path.join(name);
        let handle = match openat(&self.handle, name, flags, Mode::empty()) {
            Ok(handle) => handle,
            Err(Errno::NOENT) => return Ok(None),
            Err(Errno::LOOP) => return Err(Fault::no(&path, "file")),
            Err(error) => return Err(Fault::io(&path, "opened", error)),
        };
        let found = private(&handle, &path, FileType::RegularFile)?;
        let length = u64::try_from(found.st_size).unwrap_or(u64::MAX);
        let mut bytes = Vec::with_capacity(usize::try_from(length.min(most)).unwrap_or(0));
        // It may have grown since.
        let read = File::from(handle).take(most + 1).read_to_end(&mut bytes);
        read.map_err(|error| Fault::io(&path, "read", error))?;
        if bytes.len() as u64 > most {
            return Err(Fault::TooLarge { path, most });
        }
        Ok(Some(bytes))
    }

    /// Puts a file of these bytes under `name`, in the place of what was there. A crash on the way
    /// can leave a file that is not whole, under the name or beside it.
    pub(super) fn write(&self, name: &str, bytes: &[u8]) -> Result<(), Fault> {
        let unnamed = format!("{name}{UNNAMED}");
        self.remove(&unnamed)?;
        let path = self.path.join(&unnamed);
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let handle = openat(&self.handle, &unnamed, flags, Mode::RUSR | Mode::WUSR)
            .map_err(|error| Fault::io(&path, "made", error))?;
        let written = File::from(handle)
            .write_all(bytes)
            .map_err(|error| Fault::io(&path, "written", error))
            .and_then(|()| {
                renameat(&self.handle, &unnamed, &self.handle, name)
                    .map_err(|error| Fault::io(&self.path.join(name), "made", error))
            });
        if written.is_err() {
            // What cannot be removed now is removed at the next start.
            let _ = self.remove(&unnamed);
        }
        written
    }

    /// Marks a file as used now.
    pub(super) fn touch(&self, name: &str) -> Result<(), Fault> {
        let now = Timespec {
            tv_sec: 0,
            tv_nsec: UTIME_NOW,
        };
        let times = Timestamps {
            last_access: now,
            last_modification: now,
        };
        utimensat(&self.handle, name, &times, AtFlags::SYMLINK_NOFOLLOW)
            .map_err(|error| Fault::io(&self.path.join(name), "touched", error))
    }

    /// Removes a file, if it is there.
    pub(super) fn remove(&self, name: &str) -> Result<(), Fault> {
        match unlinkat(&self.handle, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(Fault::io(&self.path.join(name), "removed", error)),
        }
    }

    /// The files whose names are text; whatever is not a file is left out.
    pub(super) fn list(&self) -> Result<Vec<Listed>, Fault> {
        let unlistable = |error| Fault::io(&self.path, "listed", error);
        let mut listed = Vec::new();
        for entry in Dir::read_from(&self.handle).map_err(unlistable)? {
            let entry = entry.map_err(unlistable)?;
            let Ok(name) = entry.file_name().to_str() else {
                continue;
            };
            let Ok(found) = statat(&self.handle, name, AtFlags::SYMLINK_NOFOLLOW) else {
                continue;
            };
            if FileType::from_raw_mode(found.st_mode) == FileType::RegularFile {
                listed.push(Listed {
                    name: name.to_owned(),
                    bytes: found.st_size.try_into().unwrap_or(0),
                    used: modified(&found),
                });
            }
        }
        Ok(listed)
    }
}

/// The folder above, if it is there. Who can write to it can put another folder in the place of
/// ours.
fn parent(state_dir: &Path) -> Result<Option<OwnedFd>, Fault> {
    let handle = match open(state_dir, FOLDER_FLAGS, Mode::empty()) {
        Ok(handle) => handle,
        Err(Errno::NOENT | Errno::NOTDIR) => return Ok(None),
        Err(error) => return Err(Fault::io(state_dir, "opened", error)),
    };
    let found = fstat(&handle).map_err(|error| Fault::io(state_dir, "read", error))?;
    let (owner, mode) = (found.st_uid, permissions(&found));
    let path = || state_dir.to_owned();
    if owner != geteuid().as_raw() && owner != ROOT {
        return Err(Fault::OtherOwner {
            path: path(),
            owner,
        });
    }
    if mode & 0o022 != 0 {
        return Err(Fault::OpenToOthers { path: path(), mode });
    }
    Ok(Some(handle))
}

/// Whether a name is that of a file whose writing was cut off.
pub(super) fn is_unnamed(name: &str) -> bool {
    name.ends_with(UNNAMED)
}

impl Fault {
    fn io(path: &Path, tried: &'static str, error: impl Into<io::Error>) -> Self {
        Self::Io {
            path: path.to_owned(),
            tried,
            error: error.into(),
        }
    }

    fn no(path: &Path, expected: &'static str) -> Self {
        Self::OtherKind {
            path: path.to_owned(),
            expected,
        }
    }
}

/// Checks that what is open is of this kind, and that only this process's user can use it.
fn private(handle: &OwnedFd, path: &Path, kind: FileType) -> Result<Stat, Fault> {
    let found = fstat(handle).map_err(|error| Fault::io(path, "read", error))?;
    if FileType::from_raw_mode(found.st_mode) != kind {
        let expected = if kind == FileType::Directory {
            "folder"
        } else {
            "file"
        };
        return Err(Fault::no(path, expected));
    }
    let (owner, mode) = (found.st_uid, permissions(&found));
    let path = || path.to_owned();
    if owner != geteuid().as_raw() {
        return Err(Fault::OtherOwner {
            path: path(),
            owner,
        });
    }
    if mode & 0o077 != 0 {
        return Err(Fault::OpenToOthers { path: path(), mode });
    }
    Ok(found)
}

fn permissions(found: &Stat) -> u32 {
    found.st_mode & 0o7777
}

fn modified(found: &Stat) -> SystemTime {
    let seconds = u64::try_from(found.st_mtime).unwrap_or(0);
    let nanos = u32::try_from(found.st_mtime_nsec).unwrap_or(0);
    SystemTime::UNIX_EPOCH + Duration::new(seconds, nanos)
}
