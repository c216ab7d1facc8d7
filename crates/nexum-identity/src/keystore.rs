//! Keys in files, under a password.
//!
//! Read here rather than by `eth-keystore`: that crate derives at whatever cost a file asks for,
//! and keeps what it derived in memory.

mod cipher;
mod folder;
mod format;
mod kdf;

pub use folder::{Entry, KeyFolder, Save, SaveError};
pub use format::{KeyFile, KeyFileError, Read, WriteCost};
pub use kdf::{Kdf, KdfError};
