//! JSON-RPC calls over HTTP and WebSocket, for tests that ask a node directly, and for the proxy.

mod ws;

use std::sync::OnceLock;

use serde_json::{Value, json};

pub use ws::{WsClient, WsError};
pub(crate) use ws::{WsReader, WsWriter, connect};

/// Why a call has no result.
#[derive(Debug, thiserror::Error)]
pub enum RpcCallError {
    /// The node could not be reached, or answered no JSON.
    #[error("{method} got no answer from the node")]
    Transport {
        /// The method called.
        method: String,
        /// What failed.
        #[source]
        source: reqwest::Error,
    },
    /// The node answered an error.
    #[error("{method} was answered with an error: {error}")]
    Node {
        /// The method called.
        method: String,
        /// The `error` object.
        error: Value,
    },
}

/// Calls `method` with `params` (a JSON array or object) and answers the `result`.
pub async fn rpc(url: &str, method: &str, params: Value) -> Result<Value, RpcCallError> {
    let transport = |source: reqwest::Error| RpcCallError::Transport {
        method: method.to_owned(),
        source: source.without_url(),
    };
    let request = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
    let sent = client()
        .map_err(transport)?
        .post(url)
        .json(&request)
        .send()
        .await;
    let mut answer: Value = sent.map_err(transport)?.json().await.map_err(transport)?;
    match answer.get_mut("error").map(Value::take) {
        None | Some(Value::Null) => Ok(answer["result"].take()),
        Some(error) => Err(RpcCallError::Node {
            method: method.to_owned(),
            error,
        }),
    }
}

/// A client without a pool: each test has a runtime of its own, and a pooled connection would
/// outlive the one that drives it.
pub(crate) fn client() -> Result<reqwest::Client, reqwest::Error> {
    static PROVIDER: OnceLock<()> = OnceLock::new();
    PROVIDER.get_or_init(|| {
        // An error means that another part of the program has installed one already.
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
    reqwest::Client::builder()
        .pool_max_idle_per_host(0)
        .no_proxy()
        .build()
}
