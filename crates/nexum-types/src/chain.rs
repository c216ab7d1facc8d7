//! The port from a module's `chain` imports to the endpoints.

use std::{future::Future, pin::Pin};

use crate::{ChainId, HostError};

/// A boxed future that borrows for `'a`.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// One JSON-RPC request as a module makes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RpcRequest {
    /// The method, such as `eth_getBalance`.
    pub method: String,
    /// The parameters: the text of a JSON array or object.
    pub params: String,
}

/// The text of a JSON value, or why there is none.
pub type RpcResult = Result<String, HostError>;

/// Reads from chains on behalf of modules.
///
/// The implementation allows only reads: any other method is answered `denied`, code -32601,
/// and never leaves the engine. Every error has the domain `chain`.
pub trait ChainRpc: Send + Sync + 'static {
    /// Asks one question.
    fn request<'a>(&'a self, chain: ChainId, request: &'a RpcRequest) -> BoxFuture<'a, RpcResult>;

    /// Asks several questions at once. The answers have the length and the order of `requests`;
    /// the outer error means that none of them was answered.
    fn request_batch<'a>(
        &'a self,
        chain: ChainId,
        requests: &'a [RpcRequest],
    ) -> BoxFuture<'a, Result<Vec<RpcResult>, HostError>>;
}
