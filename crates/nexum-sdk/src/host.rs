//! The seam beneath the interfaces: in a component the imports, natively whatever host the thread
//! has installed.
//!
//! Only the modules named as the interfaces call it; a module's author meets it by implementing
//! [`Host`] for a mock of another kind than `testing::MockHost`.

use crate::{
    HostError, Message, Result,
    chain::RpcRequest,
    http::{Request, Response},
    log::Level,
};
use alloy_primitives::{Address, B256};

/// What a module can ask, one method for each function of the contract. Shapes, units and errors
/// are those of the interface of the same name.
#[expect(
    missing_docs,
    reason = "each is the function of the contract that it is named for"
)]
pub trait Host {
    fn chain_request(&self, chain_id: u64, request: &RpcRequest) -> Result<String>;
    fn chain_request_batch(
        &self,
        chain_id: u64,
        requests: &[RpcRequest],
    ) -> Result<Vec<Result<String>>>;
    fn store_get(&self, key: &str) -> Result<Option<Vec<u8>>>;
    fn store_set(&self, key: &str, value: &[u8]) -> Result<()>;
    fn store_delete(&self, key: &str) -> Result<()>;
    fn store_list_keys(&self, prefix: &str) -> Result<Vec<String>>;
    fn store_checkpoint(&self) -> Result<()>;
    fn accounts(&self) -> Result<Vec<Address>>;
    fn sign(&self, account: Address, message: &[u8]) -> Result<Vec<u8>>;
    fn sign_typed_data(&self, account: Address, json: &str) -> Result<Vec<u8>>;
    fn upload(&self, data: &[u8]) -> Result<String>;
    fn download(&self, reference: &str) -> Result<Vec<u8>>;
    fn read_feed(&self, owner: Address, topic: B256) -> Result<Option<Vec<u8>>>;
    fn write_feed(&self, topic: B256, data: &[u8]) -> Result<String>;
    fn publish(&self, content_topic: &str, payload: &[u8]) -> Result<()>;
    fn query(
        &self,
        content_topic: &str,
        start: Option<u64>,
        end: Option<u64>,
        limit: Option<u32>,
    ) -> Result<Vec<Message>>;
    fn fetch(&self, request: &Request) -> Result<Response>;
    fn now_ms(&self) -> u64;
    fn monotonic_ns(&self) -> u64;
    fn random_fill(&self, len: u32) -> Vec<u8>;
    fn log(&self, level: Level, message: &str);
}

#[cfg(target_family = "wasm")]
mod component;
#[cfg(not(target_family = "wasm"))]
mod native;

#[cfg(target_family = "wasm")]
pub(crate) use component::with;
#[cfg(not(target_family = "wasm"))]
pub(crate) use native::with;
#[cfg(not(target_family = "wasm"))]
pub use native::{Installed, install};

/// The signature that a host answered, of 65 bytes.
pub(crate) fn signature(bytes: &[u8]) -> Result<alloy_primitives::Signature> {
    alloy_primitives::Signature::from_raw(bytes)
        .map_err(|error| HostError::internal(format!("the engine answered no signature: {error}")))
}
