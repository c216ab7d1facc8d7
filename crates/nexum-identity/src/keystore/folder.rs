//! The folder of an operator's keystores.

use std::{
    fs, io,
    io::{Read as _, Write as _},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use nexum_types::Address;

use super::{KeyFile, KeyFileError, Read};

/// A folder with keystores, as geth and foundry have one: each file in it is one.
#[derive(Debug, Clone)]
pub struct KeyFolder(PathBuf);

/// One file of it.
#[derive(Debug)]
pub struct Entry {
    /// Where it is.
    pub path: PathBuf,
    /// What is in it.
    pub file: Read<KeyFile>,
    /// Whether the system lets others than its owner read it.
    pub is_readable_by_others: bool,
}

/// How a new file is called.
#[derive(Debug, Clone, Copy)]
pub enum Save<'a> {
    /// By its account.
    ByAddress,
    /// By a name, as foundry does.
    As(&'a str),
}

/// Why a keystore was not written. There is nothing of it then.
#[derive(Debug, thiserror::Error)]
pub enum SaveError {
    /// The name leads elsewhere.
    #[error(
        "`{0}` is no name of a file: it is made of letters, digits, '-', '_' and '.', and does not begin with '.'"
    )]
    Name(String),
    /// There is one of that name.
    #[error("{0} is there already, and is not overwritten")]
    Exists(PathBuf),
    /// There is one of that account.
    #[error("{path} holds the key of {account} already")]
    Twice {
        /// The account.
        account: Address,
        /// That file.
        path: PathBuf,
    },
    /// The folder cannot be read or written.
    #[error("{path}: {source}")]
    Io {
        /// What cannot.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

impl KeyFolder {
    /// That one. It need not be there yet.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        Self(path)
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Whether the system lets others than its owner put files into it, or take some away.
    pub fn is_open_to_others(&self) -> io::Result<bool> {
        Ok(fs::metadata(&self.0)?.permissions().mode() & 0o022 != 0)
    }

    /// Its files, by name. Folders within it, and files whose names begin with a dot, are none.
    pub fn entries(&self) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for found in fs::read_dir(&self.0)? {
            let found = found?;
            if found.file_name().as_encoded_bytes().starts_with(b".") {
                continue;
            }
            let path = found.path();
            // Follows links: secrets are often mounted as such.
            match fs::metadata(&path) {
                Ok(about) if !about.is_file() => {}
                Ok(about) => entries.push(Entry {
                    file: read(&path),
                    is_readable_by_others: about.permissions().mode() & 0o077 != 0,
                    path,
                }),
                Err(error) => entries.push(Entry {
                    file: Err(KeyFileError::Read(error)),
                    is_readable_by_others: false,
                    path,
                }),
            }
        }
        entries.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(entries)
    }

    /// Writes the text of a keystore into a file that only its owner may read: as a whole, or not
    /// at all. Makes the folder where there is none.
    pub fn save(&self, account: Address, text: &str, name: Save<'_>) -> Result<PathBuf, SaveError> {
        let io = |path: &Path, source| SaveError::Io {
            path: path.to_owned(),
            source,
        };
        let name = match name {
            Save::ByAddress => format!("{}.json", hex::encode(account)),
            Save::As(name) if is_name(name) => name.to_owned(),
            Save::As(name) => return Err(SaveError::Name(name.to_owned())),
        };
        make(&self.0).map_err(|error| io(&self.0, error))?;
        for entry in self.entries().map_err(|error| io(&self.0, error))? {
            if entry.file.is_ok_and(|file| file.address() == Some(account)) {
                let path = entry.path;
                return Err(SaveError::Twice { account, path });
            }
        }
        let path = self.0.join(name);
        // Its mode is 0600 from the first byte on.
        let mut file = tempfile::Builder::new()
            .prefix(".")
            .tempfile_in(&self.0)
            .map_err(|error| io(&self.0, error))?;
        let written = file.write_all(text.as_bytes());
        let written = written.and_then(|()| file.as_file().sync_all());
        written.map_err(|error| io(file.path(), error))?;
        if let Err(error) = file.persist_noclobber(&path) {
            return Err(match error.error.kind() {
                io::ErrorKind::AlreadyExists => SaveError::Exists(path),
                _ => io(&path, error.error),
            });
        }
        let synced = fs::File::open(&self.0).and_then(|folder| folder.sync_all());
        synced.map_err(|error| io(&self.0, error))?;
        Ok(path)
    }
}

/// A new folder is for its owner alone.
fn make(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
}

fn is_name(name: &str) -> bool {
    let is_fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    !name.is_empty() && name.len() <= 128 && !name.starts_with('.') && name.chars().all(is_fine)
}

impl KeyFile {
    /// Reads and checks a file. Nothing is derived yet.
    pub fn read(path: &Path) -> Read<Self> {
        read(path)
    }
}

fn read(path: &Path) -> Read<KeyFile> {
    let file = fs::File::open(path).map_err(KeyFileError::Read)?;
    let mut text = String::new();
    let mut file = file.take(KeyFile::MAX_BYTES + 1);
    match file.read_to_string(&mut text) {
        Ok(_) => KeyFile::parse(&text),
        // No text at all.
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            Err(KeyFileError::Malformed { line: 1, column: 1 })
        }
        Err(error) => Err(KeyFileError::Read(error)),
    }
}
