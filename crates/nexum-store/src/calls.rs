//! The calls that have an id: those that had an effect which must not be had twice, and are not
//! committed yet. They are a few; the table `calls` is made with the first one, and holds each
//! call's name to the sixteen bytes of its id.

use std::collections::BTreeMap;

use nexum_types::CallId;
use redb::{
    Database, ReadTransaction, ReadableDatabase, ReadableTable, TableDefinition, TableError,
    WriteTransaction,
};

use crate::{error::Fault, format::copy_table};

const CALLS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("calls");

/// The calls that have an id, by name.
pub(crate) type Calls = BTreeMap<String, CallId>;

/// What becomes of one call in a transaction.
#[derive(Debug, Clone)]
pub(crate) enum CallChange {
    /// It gets an id.
    Open(String, CallId),
    /// It is over, and has none any more.
    Settle(String),
    /// It has another name from now on.
    Rename(String, String),
}

impl CallChange {
    /// What becomes of `calls`. Answers the call that is over.
    pub(crate) fn apply(self, calls: &mut Calls) -> Option<CallId> {
        match self {
            Self::Open(name, id) => {
                calls.insert(name, id);
                None
            }
            Self::Settle(name) => calls.remove(&name),
            Self::Rename(from, to) => {
                if let Some(id) = calls.remove(&from) {
                    calls.insert(to, id);
                }
                None
            }
        }
    }
}

/// Those there are in `db`.
pub(crate) fn load(db: &Database) -> Result<Calls, Fault> {
    let table = match db.begin_read()?.open_table(CALLS) {
        Ok(table) => table,
        Err(TableError::TableDoesNotExist(_)) => return Ok(Calls::default()),
        Err(error) => return Err(error.into()),
    };
    let call = |row: Result<(redb::AccessGuard<'_, &str>, redb::AccessGuard<'_, &[u8]>), _>| {
        let (name, id) = row?;
        let id = id.value().try_into().map(CallId);
        let id = id.map_err(|_| Fault::Damaged("the id of a call".to_owned()))?;
        Ok((name.value().to_owned(), id))
    };
    table.iter()?.map(call).collect()
}

/// Writes changes, within the transaction of a commit.
pub(crate) fn write(transaction: &WriteTransaction, changes: &[CallChange]) -> Result<(), Fault> {
    if changes.is_empty() {
        return Ok(());
    }
    let mut calls = transaction.open_table(CALLS)?;
    for change in changes {
        match change {
            CallChange::Open(name, id) => drop(calls.insert(name.as_str(), id.0.as_slice())?),
            CallChange::Settle(name) => drop(calls.remove(name.as_str())?),
            CallChange::Rename(from, to) => {
                let id = calls.remove(from.as_str())?;
                let id = id.map(|id| id.value().to_vec());
                if let Some(id) = id {
                    calls.insert(to.as_str(), id.as_slice())?;
                }
            }
        }
    }
    Ok(())
}

/// Copies the table, where it is there.
pub(crate) fn copy(snapshot: &ReadTransaction, to: &WriteTransaction) -> Result<(), Fault> {
    copy_table(snapshot, to, CALLS)
}
