//! The interface `chain`: JSON-RPC questions to a chain, as text. [`crate::provider()`] is the
//! typed way.

use crate::{Result, host};

/// The most requests that one batch takes.
pub const MAX_BATCH_REQUESTS: usize = 256;
/// The most bytes of parameters that one request takes.
pub const MAX_PARAMS_BYTES: usize = 1024 * 1024;
/// The most bytes of parameters that one batch takes.
pub const MAX_BATCH_BYTES: usize = 16 * 1024 * 1024;

/// One JSON-RPC request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RpcRequest {
    /// The method, such as `eth_getBalance`. Methods that read are allowed, and with `identity` those
    /// that ask the module's accounts: `eth_accounts`, `personal_sign`, `eth_signTypedData_v4` and
    /// `eth_sendTransaction`.
    pub method: String,
    /// The parameters: the text of a JSON array or object, `[]` where there are none.
    pub params: String,
}

/// Asks one question and answers with the text of the JSON value under `result`.
///
/// Every error has the domain `chain`; a node's own error has the node's code. What the module's
/// accounts do not do has the domain `identity`.
pub fn request(chain_id: u64, method: &str, params: &str) -> Result<String> {
    let request = RpcRequest {
        method: method.to_owned(),
        params: params.to_owned(),
    };
    host::with(|host| host.chain_request(chain_id, &request))
}

/// Asks up to [`MAX_BATCH_REQUESTS`] questions at once. The answers have the length and the order
/// of `requests`; the outer error means that none was answered.
pub fn request_batch(chain_id: u64, requests: &[RpcRequest]) -> Result<Vec<Result<String>>> {
    host::with(|host| host.chain_request_batch(chain_id, requests))
}
