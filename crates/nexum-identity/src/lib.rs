//! Keystores, accounts and signing.
//!
//! Keys come from files in the formats that others write, Web3 Secret Storage, version 3, and the
//! container of EIP-2335, version 4; or they stay with a remote signer. This crate signs what is of
//! a known form only: messages, typed data, and transactions that the operator's rules allow. It
//! never signs a bare hash on somebody's behalf, and no key, password or word of a mnemonic reaches
//! an error, a `Debug` or a log.

mod accounts;
mod key;
mod keystore;
mod local;
mod mnemonic;
mod password;
mod remote;
mod sending;
mod signer;
mod typed_data;

pub use accounts::{Accounts, Grant, MAX_MESSAGE_BYTES, ModuleAccounts};
pub use key::{InvalidKey, Key, NoRandomness};
pub use keystore::{
    Entry, Kdf, KdfError, KeyFile, KeyFileError, KeyFolder, Read, Save, SaveError, WriteCost,
};
pub use local::{KeyWarning, KeystoreError, LocalSigner, Unlock};
pub use mnemonic::{DEFAULT_PATH, MnemonicError, key_of_mnemonic};
pub use password::Password;
pub use remote::{RemoteError, RemoteSigner};
pub use sending::{AccountTally, Sender, Transaction};
pub use signer::{SignError, Signer, ToSign};
pub use typed_data::{MAX_TYPED_DATA_BYTES, TypedData, TypedDataError};
