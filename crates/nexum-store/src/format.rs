//! What is in a module's file: three tables, the rows of the host's, and two more where events were
//! parked ([`letters`](crate::letters)) or transactions were sent ([`calls`](crate::calls)).
//!
//! `delivered` holds what the module was given of recent blocks: the source in postcard, then
//! the block's number as eight bytes, big-endian, to a [`Delivered`] in postcard. `state` is the module's, key to value. `host` is the engine's: the row `format` holds the
//! format version as four bytes, little-endian, and the row `head` a [`Head`] in postcard. The
//! head is one row, so that a commit touches the host's table once, whatever it moves.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
};

use nexum_types::{BlockNumber, Cursor, Delivered, Source, WriteSet};
use redb::{
    Database, Durability, ReadTransaction, ReadableDatabase, ReadableTable, TableDefinition,
    TableError, WriteTransaction,
};
use serde::{Deserialize, Serialize};

use crate::{
    calls::{self, CallChange},
    error::Fault,
    history::{Pending, Row},
    letters::{self, Shelf},
    module_store::Page,
};

/// The version of the format that this crate writes, and the newest that it reads.
pub const FORMAT_VERSION: u32 = 1;

pub(crate) const STATE: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("state");
pub(crate) const HOST: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("host");

const DELIVERED: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("delivered");

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
    transaction.open_table(DELIVERED)?;
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

/// The rows of the history that there are.
pub(crate) fn remembered(db: &Database) -> Result<BTreeSet<Row>, Fault> {
    let table = db.begin_read()?.open_table(DELIVERED)?;
    table
        .range::<&[u8]>(..)?
        .map(|row| decode_row(row?.0.value()))
        .collect()
}

/// What a module was given of one block.
pub(crate) fn delivered(db: &Database, row: Row) -> Result<Option<Delivered>, Fault> {
    let table = db.begin_read()?.open_table(DELIVERED)?;
    let value = table.get(encode_row(row)?.as_slice())?;
    value
        .map(|value| {
            postcard::from_bytes(value.value())
                .map_err(|error| Fault::Damaged(format!("what was delivered: {error}")))
        })
        .transpose()
}

/// What one transaction changes beside the head.
pub(crate) struct Changes<'a> {
    pub(crate) writes: &'a WriteSet,
    pub(crate) pending: &'a Pending,
    /// The dead letters after it, and their rows.
    pub(crate) letters: Option<&'a (Shelf, Vec<letters::Row>)>,
    pub(crate) calls: &'a [CallChange],
}

/// Applies `changes`, and moves the head from `before` to `after`, in one transaction. The size is
/// counted here, against what the tables really hold, and returned with the new head.
pub(crate) fn apply(
    db: &Database,
    changes: &Changes<'_>,
    before: &Head,
    mut after: Head,
    durability: Durability,
) -> Result<Head, Fault> {
    let Changes {
        writes,
        pending,
        letters,
        calls: of_calls,
    } = changes;
    let mut transaction = db.begin_write()?;
    transaction.set_durability(durability)?;
    if writes.changes_keys() {
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
    if !pending.rows.is_empty() {
        let mut table = transaction.open_table(DELIVERED)?;
        for (row, delivered) in &pending.rows {
            let key = encode_row(*row)?;
            match delivered {
                Some(delivered) => {
                    let value = postcard::to_stdvec(delivered)
                        .map_err(|error| Fault::Damaged(format!("encoding a delivery: {error}")))?;
                    table.insert(key.as_slice(), value.as_slice())?;
                }
                None => drop(table.remove(key.as_slice())?),
            }
        }
    }
    if let Some((after, rows)) = letters {
        letters::write(&transaction, after, rows)?;
    }
    calls::write(&transaction, of_calls)?;
    if after != *before {
        let mut host = transaction.open_table(HOST)?;
        host.insert(HEAD_ROW, encode(&after)?.as_slice())?;
    }
    transaction.commit()?;
    Ok(after)
}

/// Some of the module's entries, and how many more there are.
pub(crate) fn entries(
    db: &Database,
    prefix: &str,
    after: Option<&str>,
    limit: u64,
    most_bytes: usize,
) -> Result<Page, Fault> {
    let table = db.begin_read()?.open_table(STATE)?;
    let (mut entries, mut more, mut bytes) = (Vec::new(), 0, 0);
    let first = match after {
        Some(after) if after >= prefix => Bound::Excluded(after),
        _ => Bound::Included(prefix),
    };
    for row in table.range::<&str>((first, Bound::Unbounded))? {
        let (key, value) = row?;
        if !key.value().starts_with(prefix) {
            break;
        }
        bytes += value.value().len();
        if entries.len() as u64 >= limit || bytes > most_bytes {
            more += 1;
        } else {
            entries.push((key.value().to_owned(), value.value().to_vec()));
        }
    }
    Ok((entries, more))
}

/// Copies every table of `from`, at one moment, into the empty `to`, durably.
pub(crate) fn copy(from: &Database, to: &Database) -> Result<(), Fault> {
    let snapshot = from.begin_read()?;
    let transaction = to.begin_write()?;
    copy_table(&snapshot, &transaction, STATE)?;
    copy_table(&snapshot, &transaction, HOST)?;
    copy_table(&snapshot, &transaction, DELIVERED)?;
    letters::copy(&snapshot, &transaction)?;
    calls::copy(&snapshot, &transaction)?;
    transaction.commit()?;
    Ok(())
}

/// Copies one table, where it is there.
pub(crate) fn copy_table<K: redb::Key + 'static>(
    snapshot: &ReadTransaction,
    transaction: &WriteTransaction,
    table: TableDefinition<'_, K, &[u8]>,
) -> Result<(), Fault> {
    let from = match snapshot.open_table(table) {
        Ok(from) => from,
        Err(TableError::TableDoesNotExist(_)) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    let mut to = transaction.open_table(table)?;
    for row in from.iter()? {
        let (key, value) = row?;
        to.insert(key.value(), value.value())?;
    }
    Ok(())
}

fn encode(head: &Head) -> Result<Vec<u8>, Fault> {
    postcard::to_stdvec(head).map_err(|error| Fault::Damaged(format!("encoding the head: {error}")))
}

/// The source first, and the number big-endian, so that a source's blocks stand in their order.
fn encode_row((source, number): Row) -> Result<Vec<u8>, Fault> {
    let mut key = postcard::to_stdvec(&source)
        .map_err(|error| Fault::Damaged(format!("encoding a source: {error}")))?;
    key.extend_from_slice(&number.0.to_be_bytes());
    Ok(key)
}

fn decode_row(key: &[u8]) -> Result<Row, Fault> {
    let damaged = || Fault::Damaged("a row of what was delivered".to_owned());
    let (source, number) = key.split_last_chunk::<8>().ok_or_else(damaged)?;
    let source = postcard::from_bytes(source).map_err(|_| damaged())?;
    Ok((source, BlockNumber(u64::from_be_bytes(*number))))
}
