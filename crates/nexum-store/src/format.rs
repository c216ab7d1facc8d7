//! What is in a module's file: two tables, and the rows of the host's.
//!
//! `state` is the module's, key to value. `host` is the engine's: the row `format` holds the
//! format version as four bytes, little-endian, and the row `head` a [`Head`] in postcard. The
//! head is one row, so that a commit touches the host's table once, whatever it moves.

use std::collections::BTreeMap;

use nexum_types::{Cursor, Source, WriteSet};
use redb::{Database, Durability, ReadableDatabase, TableDefinition};
use serde::{Deserialize, Serialize};

use crate::error::Fault;

/// The version of the format that this crate writes, and the newest that it reads.
pub const FORMAT_VERSION: u32 = 1;

pub(crate) const STATE: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("state");
const HOST: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("host");

const FORMAT_ROW: &str = "format";
const HEAD_ROW: &str = "head";

/// What the engine knows of a state beside the state itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Head {
    /// The bytes of all keys and values.
    pub(crate) used_bytes: u64,
    /// The last committed event of each source.
    pub(crate) cursors: BTreeMap<Source, Cursor>,
}

/// Makes an empty state, durably.
pub(crate) fn initialize(db: &Database) -> Result<Head, Fault> {
    let head = Head::default();
    let transaction = db.begin_write()?;
    transaction.open_table(STATE)?;
    {
        let mut host = transaction.open_table(HOST)?;
        host.insert(FORMAT_ROW, FORMAT_VERSION.to_le_bytes().as_slice())?;
        host.insert(HEAD_ROW, encode(&head)?.as_slice())?;
    }
    transaction.commit()?;
    Ok(head)
}

/// Reads the head of an existing state, once its format has proven to be known.
pub(crate) fn load(db: &Database) -> Result<(u32, Head), Fault> {
    let transaction = db.begin_read()?;
    let host = transaction.open_table(HOST)?;
    let row = |name| {
        host.get(name)?
            .ok_or_else(|| Fault::Damaged(format!("the host's row {name:?} is missing")))
    };
    let version = row(FORMAT_ROW)?;
    let version = <[u8; 4]>::try_from(version.value())
        .map(u32::from_le_bytes)
        .map_err(|_| Fault::Damaged("the format version cannot be read".to_owned()))?;
    if version > FORMAT_VERSION {
        return Err(Fault::Newer(version));
    }
    let head = postcard::from_bytes(row(HEAD_ROW)?.value())
        .map_err(|error| Fault::Damaged(format!("the host's row {HEAD_ROW:?}: {error}")))?;
    transaction.open_table(STATE)?;
    Ok((version, head))
}

/// Applies `writes` and moves the head from `before` to `after`, in one transaction. The size
/// is counted here, against what the tables really hold, and returned with the new head.
pub(crate) fn apply(
    db: &Database,
    writes: &WriteSet,
    before: &Head,
    mut after: Head,
    durability: Durability,
) -> Result<Head, Fault> {
    let mut transaction = db.begin_write()?;
    transaction.set_durability(durability)?;
    if !writes.is_empty() {
        let mut state = transaction.open_table(STATE)?;
        let mut used_bytes = before.used_bytes;
        for (key, value) in writes.entries() {
            let old = match value {
                Some(value) => {
                    used_bytes += (key.len() + value.len()) as u64;
                    state.insert(key, value)?
                }
                None => state.remove(key)?,
            };
            let freed = old.map_or(0, |old| key.len() + old.value().len());
            used_bytes = used_bytes.saturating_sub(freed as u64);
        }
        after.used_bytes = used_bytes;
    }
    if after != *before {
        let mut host = transaction.open_table(HOST)?;
        host.insert(HEAD_ROW, encode(&after)?.as_slice())?;
    }
    transaction.commit()?;
    Ok(after)
}

fn encode(head: &Head) -> Result<Vec<u8>, Fault> {
    postcard::to_stdvec(head).map_err(|error| Fault::Damaged(format!("encoding the head: {error}")))
}
