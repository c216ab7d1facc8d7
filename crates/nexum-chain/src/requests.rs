//! Modules' reads: what may be asked, and how the answers come back.

use std::sync::Arc;

use nexum_types::{BoxFuture, ChainId, ChainRpc, HostError, HostErrorKind, RpcRequest, RpcResult};
use serde_json::value::RawValue;

use crate::{
    Chains, failure,
    limits::{MAX_BATCH, MAX_BATCH_BYTES, MAX_PARAMS_BYTES},
    reads::{Reads, lost},
};

/// The JSON-RPC code of a method that does not exist, or not for the asker.
const METHOD_NOT_FOUND: i32 = -32601;
/// The JSON-RPC code of parameters that are none.
const INVALID_PARAMS: i32 = -32602;

impl ChainRpc for Chains {
    fn request<'a>(&'a self, chain: ChainId, request: &'a RpcRequest) -> BoxFuture<'a, RpcResult> {
        Box::pin(async move {
            let reads = self.configured(chain)?;
            let read = (request.method.as_str(), check(request)?);
            let answer = reads.answer(&[read]).await.pop();
            answer
                .unwrap_or_else(|| Err(lost()))
                .map(|answer| answer.to_string())
        })
    }

    fn request_batch<'a>(
        &'a self,
        chain: ChainId,
        requests: &'a [RpcRequest],
    ) -> BoxFuture<'a, Result<Vec<RpcResult>, HostError>> {
        Box::pin(async move {
            let reads = self.configured(chain)?;
            if requests.len() > MAX_BATCH {
                let message = format!(
                    "a batch has at most {MAX_BATCH} requests, not {}",
                    requests.len()
                );
                return Err(error(HostErrorKind::InvalidInput, message));
            }
            let bytes: usize = requests.iter().map(|request| request.params.len()).sum();
            if bytes > MAX_BATCH_BYTES {
                let message = format!(
                    "the params of a batch have at most {MAX_BATCH_BYTES} bytes together, not {bytes}"
                );
                return Err(error(HostErrorKind::InvalidInput, message));
            }
            // What is refused here is answered here; the rest goes out together.
            let mut allowed = Vec::with_capacity(requests.len());
            let refused: Vec<Option<HostError>> = requests
                .iter()
                .map(|request| match check(request) {
                    Ok(params) => {
                        allowed.push((request.method.as_str(), params));
                        None
                    }
                    Err(refused) => Some(refused),
                })
                .collect();
            let mut answers = reads.answer(&allowed).await.into_iter();
            let results = refused.into_iter().map(|refused| match refused {
                Some(refused) => Err(refused),
                None => answers
                    .next()
                    .unwrap_or_else(|| Err(lost()))
                    .map(|answer| answer.to_string()),
            });
            Ok(results.collect())
        })
    }
}

impl Chains {
    fn configured(&self, chain: ChainId) -> Result<&Arc<Reads>, HostError> {
        self.reads(chain).ok_or_else(|| {
            error(
                HostErrorKind::Unsupported,
                format!("chain {chain} is not configured"),
            )
        })
    }
}

/// Refuses what must not, or cannot, be sent; answers the parameters as they go out.
fn check(request: &RpcRequest) -> Result<Box<RawValue>, HostError> {
    let RpcRequest { method, params } = request;
    if !nexum_types::is_allowed(method) {
        let shown: String = method.chars().take(64).collect();
        let message = format!("the method {shown:?} is not allowed; modules only read");
        return Err(error(HostErrorKind::Denied, message).with_code(METHOD_NOT_FOUND));
    }
    let invalid = |message: String| {
        Err(error(HostErrorKind::InvalidInput, message).with_code(INVALID_PARAMS))
    };
    if params.len() > MAX_PARAMS_BYTES {
        let len = params.len();
        return invalid(format!(
            "params have at most {MAX_PARAMS_BYTES} bytes, not {len}"
        ));
    }
    match RawValue::from_string(params.clone()) {
        Ok(json) if json.get().trim_start().starts_with(['[', '{']) => Ok(json),
        _ => invalid("params must be the text of a JSON array or object".to_owned()),
    }
}

fn error(kind: HostErrorKind, message: String) -> HostError {
    HostError::new(failure::DOMAIN, kind, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind_and_code(method: &str, params: &str) -> Result<(), (HostErrorKind, i32)> {
        let request = RpcRequest {
            method: method.into(),
            params: params.into(),
        };
        check(&request)
            .map(drop)
            .map_err(|error| (error.kind, error.code))
    }

    #[test]
    fn only_reads_with_an_array_or_an_object_go_out() {
        let denied = Err((HostErrorKind::Denied, METHOD_NOT_FOUND));
        let invalid = Err((HostErrorKind::InvalidInput, INVALID_PARAMS));
        assert_eq!(kind_and_code("eth_call", "[]"), Ok(()));
        assert_eq!(kind_and_code("eth_call", " {\"a\": 1} "), Ok(()));
        assert_eq!(kind_and_code("eth_sendTransaction", "[]"), denied);
        for params in ["", "null", "1", "\"[]\"", "[", "[] []", "{]"] {
            assert_eq!(kind_and_code("eth_call", params), invalid, "{params}");
        }
        let huge = format!("[\"{}\"]", "x".repeat(MAX_PARAMS_BYTES));
        assert_eq!(kind_and_code("eth_call", &huge), invalid);
    }
}
