//! The state of modules on disk: one redb file per module, and one for the transactions that were
//! signed for them.
//!
//! A call reads from a snapshot and writes into a `WriteSet`; [`ModuleStore::commit`] applies
//! that set together with the cursor of its source in one transaction, or not at all. The host's
//! own rows (format version, cursors, size) stand in a table of their own, which no module can
//! see and no quota counts.
//!
//! Invariants:
//! - A transaction is open only while a commit runs, never across a guest's call.
//! - State and cursor never part: whatever a crash leaves, they are of the same commit.
//! - Opening writes nothing. The first commit does, and by then the file has proven to be a
//!   module's state of a known format; one that is damaged, or newer, is never touched.
//! - This crate reads no clock and runs no thread; when to flush is the caller's decision.

mod calls;
mod dir;
mod error;
mod format;
mod history;
mod inspect;
mod ledger;
mod letters;
mod module_store;
mod snapshot;
mod staging;

pub use dir::{StateDir, list_modules};
pub use error::StoreError;
pub use format::FORMAT_VERSION;
pub use history::{History, Step};
pub use inspect::{Entries, Inspection, inspect};
pub use ledger::{Ledger, inspect_transactions};
pub use letters::{DeadLetter, LetterChange, MAX_LETTERS, MAX_LETTERS_BYTES};
pub use module_store::{Committed, ModuleStore, Page, Resynced, StoreOptions};
