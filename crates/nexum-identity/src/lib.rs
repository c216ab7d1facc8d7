//! Keystores, accounts and signing.
//!
//! Keys come from files in the formats that others write: Web3 Secret Storage, version 3, and the
//! container of EIP-2335, version 4. This crate signs what is of a known form only; it never signs
//! a bare hash on somebody's behalf, and no key, password or word of a mnemonic reaches an error, a
//! `Debug` or a log.

mod key;
mod keystore;
mod mnemonic;
mod password;

pub use key::{InvalidKey, Key, NoRandomness};
pub use keystore::{
    Entry, Kdf, KdfError, KeyFile, KeyFileError, KeyFolder, Read, Save, SaveError, WriteCost,
};
pub use mnemonic::{DEFAULT_PATH, MnemonicError, key_of_mnemonic};
pub use password::Password;
