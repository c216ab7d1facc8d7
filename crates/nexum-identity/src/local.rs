//! Accounts whose keys are in the operator's folder of keystores.

use std::{
    collections::BTreeMap,
    io,
    path::PathBuf,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use alloy_primitives::Signature;
use nexum_types::{Address, BoxFuture};

use crate::{Key, KeyFile, KeyFileError, KeyFolder, Password, SignError, Signer, ToSign};

/// When keys are opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Unlock {
    /// Before anything runs: a wrong password is told then.
    #[default]
    AtStart,
    /// Each when a module first signs with it.
    OnFirstUse,
}

/// The operator's keystores. Keys that were opened stay in memory, until this is dropped.
pub struct LocalSigner(Arc<Keys>);

struct Keys {
    slots: BTreeMap<Address, Slot>,
    password: Password,
    /// One at a time: each takes hundreds of megabytes.
    opening: Mutex<()>,
}

struct Slot {
    path: PathBuf,
    file: KeyFile,
    /// Once it is known: the key, or that there is none to be had. Not tried twice, since a module
    /// could keep the machine busy with that.
    key: OnceLock<Option<Key>>,
}

/// What an operator should know of the folder, and what does not keep the engine from running.
#[derive(Debug, thiserror::Error)]
pub enum KeyWarning {
    /// Others than its owner may read a file.
    #[error("{0} can be read by others than its owner: chmod 600")]
    ReadableByOthers(PathBuf),
    /// Others than its owner may put files into the folder, or others in their place.
    #[error("{0} can be written to by others than its owner: chmod go-w")]
    OpenToOthers(PathBuf),
    /// It is no keystore.
    #[error("{path} is left out: {source}")]
    NoKeystore {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: KeyFileError,
    },
    /// It does not say whose it is, and the password does not open it.
    #[error("{path} says no account and is left out: {source}")]
    Unnamed {
        /// The file.
        path: PathBuf,
        /// Why it does not open.
        #[source]
        source: KeyFileError,
    },
}

/// Why the keystores are of no use.
#[derive(Debug, thiserror::Error)]
pub enum KeystoreError {
    /// The folder cannot be read.
    #[error("the folder of keystores {path} cannot be read: {source}")]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// It is not clear which file is meant.
    #[error("{first} and {second} both hold the key of {account}: move one elsewhere")]
    Twice {
        /// The account.
        account: Address,
        /// The first file.
        first: PathBuf,
        /// The second.
        second: PathBuf,
    },
    /// A file does not open.
    #[error("the keystore of {account}, {path}, does not open: {source}")]
    Locked {
        /// The account.
        account: Address,
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: KeyFileError,
    },
}

impl LocalSigner {
    /// Looks for the accounts that are wanted, and opens their keystores now or later. Files that
    /// do not say their account are opened in any case, as long as one is looked for. Blocks, for
    /// a second or so for each.
    ///
    /// What it does not have, [`has`](Self::has) tells.
    pub fn open(
        folder: &KeyFolder,
        password: Password,
        wanted: impl IntoIterator<Item = Address>,
        unlock: Unlock,
    ) -> Result<(Self, Vec<KeyWarning>), KeystoreError> {
        let unread = |source| KeystoreError::Folder {
            path: folder.path().to_owned(),
            source,
        };
        let entries = folder.entries().map_err(unread)?;
        let mut missing: std::collections::BTreeSet<_> = wanted.into_iter().collect();
        let wanted = missing.clone();
        let mut warnings = Vec::new();
        if folder.is_open_to_others().map_err(unread)? {
            warnings.push(KeyWarning::OpenToOthers(folder.path().to_owned()));
        }
        let mut slots = BTreeMap::new();
        let mut unnamed = Vec::new();
        for entry in entries {
            if entry.is_readable_by_others {
                warnings.push(KeyWarning::ReadableByOthers(entry.path.clone()));
            }
            let path = entry.path;
            match entry.file {
                Err(source) => warnings.push(KeyWarning::NoKeystore { path, source }),
                Ok(file) => match file.address() {
                    Some(account) if wanted.contains(&account) => {
                        missing.remove(&account);
                        let key = OnceLock::new();
                        put(&mut slots, account, Slot { path, file, key })?;
                    }
                    Some(_) => {}
                    None => unnamed.push((path, file)),
                },
            }
        }
        for (path, file) in unnamed {
            if missing.is_empty() {
                break;
            }
            match file.open(&password) {
                Ok(key) if wanted.contains(&key.address()) => {
                    let account = key.address();
                    missing.remove(&account);
                    let key = OnceLock::from(Some(key));
                    put(&mut slots, account, Slot { path, file, key })?;
                }
                Ok(_) => {}
                Err(source) => warnings.push(KeyWarning::Unnamed { path, source }),
            }
        }
        let keys = Keys {
            slots,
            password,
            opening: Mutex::default(),
        };
        if unlock == Unlock::AtStart {
            for (account, slot) in &keys.slots {
                if slot.key.get().is_none() {
                    let opened = slot.file.open(&keys.password);
                    let key = opened.map_err(|source| KeystoreError::Locked {
                        account: *account,
                        path: slot.path.clone(),
                        source,
                    })?;
                    let _ = slot.key.set(Some(key));
                }
            }
        }
        Ok((Self(Arc::new(keys)), warnings))
    }

    /// Whether there is a keystore of that account.
    #[must_use]
    pub fn has(&self, account: &Address) -> bool {
        self.0.slots.contains_key(account)
    }
}

fn put(
    slots: &mut BTreeMap<Address, Slot>,
    account: Address,
    slot: Slot,
) -> Result<(), KeystoreError> {
    if let Some(first) = slots.get(&account) {
        return Err(KeystoreError::Twice {
            account,
            first: first.path.clone(),
            second: slot.path,
        });
    }
    slots.insert(account, slot);
    Ok(())
}

impl Keys {
    /// The key of an account, which may take a second to open.
    fn key(&self, account: Address) -> Result<&Key, SignError> {
        let slot = self
            .slots
            .get(&account)
            .ok_or(SignError::NoAccount(account))?;
        let _one = match slot.key.get() {
            Some(_) => None,
            None => Some(self.opening.lock().unwrap_or_else(PoisonError::into_inner)),
        };
        let key = slot.key.get_or_init(|| match slot.file.open(&self.password) {
            Ok(key) => Some(key),
            Err(error) => {
                let path = slot.path.display();
                tracing::error!(%account, %path, "the keystore does not open: {error}; start the engine anew with its password");
                None
            }
        });
        key.as_ref().ok_or(SignError::Locked(account))
    }
}

impl Signer for LocalSigner {
    fn sign<'a>(
        &'a self,
        account: Address,
        what: ToSign<'a>,
    ) -> BoxFuture<'a, Result<Signature, SignError>> {
        let digest = what.digest();
        let keys = Arc::clone(&self.0);
        let sign = move || {
            let signed = keys.key(account)?.sign_hash(&digest);
            signed.map_err(|_| SignError::NotItsSignature(account))
        };
        Box::pin(async move {
            let signed = tokio::task::spawn_blocking(sign).await;
            signed.map_err(|_| SignError::CutOff)?
        })
    }
}

impl std::fmt::Debug for LocalSigner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.slots.keys()).finish()
    }
}
