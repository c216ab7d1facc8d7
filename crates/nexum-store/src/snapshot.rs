//! Reading a module's state as it was at one instant.

use std::path::{Path, PathBuf};

use nexum_types::{Snapshot, StateError};
use redb::{Database, ReadOnlyTable, ReadableDatabase};

use crate::{
    error::{Fault, guarded},
    format::STATE,
    module_store::storage,
};

/// The state at one instant. What it reads stays, whatever is committed meanwhile.
pub(crate) struct TableSnapshot {
    table: ReadOnlyTable<&'static str, &'static [u8]>,
    path: PathBuf,
}

impl TableSnapshot {
    /// The state of `db` as it is now. `path` names it in errors.
    pub(crate) fn of(db: &Database, path: &Path) -> Result<Self, Fault> {
        let table = db.begin_read()?.open_table(STATE)?;
        Ok(Self {
            table,
            path: path.to_owned(),
        })
    }
}

impl Snapshot for TableSnapshot {
    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StateError> {
        guarded(&self.path, || {
            Ok(self.table.get(key)?.map(|value| value.value().to_vec()))
        })
        .map_err(storage)
    }

    fn value_len(&self, key: &str) -> Result<Option<usize>, StateError> {
        guarded(&self.path, || {
            Ok(self.table.get(key)?.map(|value| value.value().len()))
        })
        .map_err(storage)
    }

    fn visit_keys(
        &self,
        prefix: &str,
        visit: &mut dyn FnMut(&str) -> bool,
    ) -> Result<(), StateError> {
        let mut range = guarded(&self.path, || Ok(self.table.range(prefix..)?)).map_err(storage)?;
        let mut key = String::new();
        loop {
            let found = guarded(&self.path, || {
                let Some((next, _)) = range.next().transpose()? else {
                    return Ok(false);
                };
                key.clear();
                key.push_str(next.value());
                Ok(key.starts_with(prefix))
            })
            .map_err(storage)?;
            if !found || !visit(&key) {
                return Ok(());
            }
        }
    }
}
