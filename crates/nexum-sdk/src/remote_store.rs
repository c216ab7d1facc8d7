//! The interface `remote-store`: content on a decentralised store, named by its hash, and feeds,
//! whose content their owner can replace. What is uploaded is public and is not taken back when
//! the call fails.
//!
//! Every error has the domain `remote-store`.

use alloy_primitives::{Address, B256};

use crate::{Result, host};

/// The store.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RemoteStore;

impl RemoteStore {
    /// Stores `data` and answers its reference, such as `bzz:` and 64 hex digits.
    pub fn upload(&self, data: impl AsRef<[u8]>) -> Result<String> {
        host::with(|host| host.upload(data.as_ref()))
    }

    /// The content of a reference. The bytes have been checked against it.
    pub fn download(&self, reference: &str) -> Result<Vec<u8>> {
        host::with(|host| host.download(reference))
    }

    /// The latest content of a feed, or none where nothing was ever written to it.
    pub fn read_feed(&self, owner: Address, topic: B256) -> Result<Option<Vec<u8>>> {
        host::with(|host| host.read_feed(owner, topic))
    }

    /// Replaces the content of the module's own feed under `topic`, and answers the reference of
    /// this content.
    pub fn write_feed(&self, topic: B256, data: impl AsRef<[u8]>) -> Result<String> {
        host::with(|host| host.write_feed(topic, data.as_ref()))
    }
}
