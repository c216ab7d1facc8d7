//! The interface `local-store`: the module's own state, bytes under keys.
//! [`TypedState`](crate::TypedState) and [`TypedMap`](crate::TypedMap) are the typed way.
//!
//! Reads answer the committed state with the writes of the current call laid over. Writes take
//! effect when the call returns `Ok`, all together, and not at all when it fails.
//!
//! Every error has the domain `local-store`: `invalid-input` where a limit is passed, `denied`
//! where the state would outgrow the quota. Limits: a key has 1 to 1024 bytes, a value 0 to 1 MiB.

use crate::{Result, host};

/// The value of `key`, or none where it is not set. An empty value is a value.
pub fn get(key: &str) -> Result<Option<Vec<u8>>> {
    host::with(|host| host.store_get(key))
}

/// Sets `key` to `value`, over any value it has.
pub fn set(key: &str, value: &[u8]) -> Result<()> {
    host::with(|host| host.store_set(key, value))
}

/// Deletes `key`. A key that is not set is no error.
pub fn delete(key: &str) -> Result<()> {
    host::with(|host| host.store_delete(key))
}

/// The keys that begin with `prefix`, in the order of their bytes, at most 16384; the empty prefix
/// names all keys.
pub fn list_keys(prefix: &str) -> Result<Vec<String>> {
    host::with(|host| host.store_list_keys(prefix))
}

/// Commits what this call has written so far, durably and before it returns. A later failure of
/// the call no longer takes these writes back. [`Journal`](crate::Journal) is built on it.
pub fn checkpoint() -> Result<()> {
    host::with(|host| host.store_checkpoint())
}
