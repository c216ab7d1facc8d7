//! What the tests share.

use std::{future::Future, time::Duration};

use nexum_testkit::{RpcCallError, RpcServer, Script, rpc};
use serde_json::Value;

/// Longer than anything here takes on a slow machine.
const DEADLINE: Duration = Duration::from_secs(60);

pub(crate) fn script(text: &str) -> Script {
    text.parse().unwrap()
}

/// A server in front of the chain that the script makes.
pub(crate) async fn server_of(script: &Script) -> RpcServer {
    let chain = script.chain();
    script.play_at_once(&chain).unwrap();
    RpcServer::start(chain).await.unwrap()
}

/// The result, or the node's error object.
pub(crate) async fn call(server: &RpcServer, method: &str, params: Value) -> Result<Value, Value> {
    match within(rpc(&server.http_url(), method, params)).await {
        Ok(result) => Ok(result),
        Err(RpcCallError::Node { error, .. }) => Err(error),
        Err(error) => panic!("{error}"),
    }
}

/// The block numbers and the indices of logs, in the order of the answer.
pub(crate) fn numbers(logs: &Value) -> Vec<(u64, u64)> {
    let number = |value: &Value| {
        let digits = value.as_str().unwrap().strip_prefix("0x").unwrap();
        u64::from_str_radix(digits, 16).unwrap()
    };
    let logs = logs.as_array().unwrap().iter();
    logs.map(|log| (number(&log["blockNumber"]), number(&log["logIndex"])))
        .collect()
}

/// The future's output, which must come in time.
pub(crate) async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, future)
        .await
        .unwrap_or_else(|_| panic!("it did not happen within {DEADLINE:?}"))
}
