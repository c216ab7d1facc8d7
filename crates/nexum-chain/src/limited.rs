//! A ceiling on how much one module may ask.

use std::time::Duration;

use nexum_manifest::Rate;
use nexum_types::{
    BoxFuture, ChainId, ChainRpc, HostError, HostErrorKind, OverRate, RpcRequest, RpcResult,
};
use tokio::time::Instant;

use crate::{RateLimiter, failure::DOMAIN, weights};

/// How long a request waits for its turn before it is refused.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// Asks `C` at no more than a rate. What would have to wait longer than a second for its turn is
/// answered `rate-limited` at once, and costs nothing.
///
/// A request costs what it costs an endpoint: 1, but for methods of more weight; a batch costs
/// the sum. Of all chains together.
#[derive(Debug)]
pub struct Limited<C> {
    inner: C,
    limiter: RateLimiter,
}

impl<C: ChainRpc> Limited<C> {
    /// A port of its own to `inner`: a module has one, and shares its rate with nobody.
    #[must_use]
    pub fn new(inner: C, rate: Rate) -> Self {
        Self {
            inner,
            limiter: RateLimiter::new(rate),
        }
    }

    async fn turn(&self, requests: &[RpcRequest]) -> Result<(), HostError> {
        let units = requests.iter().map(|request| weights::of(&request.method));
        let deadline = Instant::now() + LONGEST_WAIT;
        let turn = self.limiter.acquire(units.sum(), deadline).await;
        turn.map(drop).map_err(|OverRate { retry_in }| {
            let message = format!(
                "the module asks more than its rate allows; the next turn is in {} ms",
                retry_in.as_millis(),
            );
            HostError::new(DOMAIN, HostErrorKind::RateLimited, message)
        })
    }
}

impl<C: ChainRpc> ChainRpc for Limited<C> {
    fn request<'a>(&'a self, chain: ChainId, request: &'a RpcRequest) -> BoxFuture<'a, RpcResult> {
        Box::pin(async move {
            self.turn(std::slice::from_ref(request)).await?;
            self.inner.request(chain, request).await
        })
    }

    fn request_batch<'a>(
        &'a self,
        chain: ChainId,
        requests: &'a [RpcRequest],
    ) -> BoxFuture<'a, Result<Vec<RpcResult>, HostError>> {
        Box::pin(async move {
            self.turn(requests).await?;
            self.inner.request_batch(chain, requests).await
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers everything with the method's name.
    struct Echo;

    impl ChainRpc for Echo {
        fn request<'a>(&'a self, _: ChainId, request: &'a RpcRequest) -> BoxFuture<'a, RpcResult> {
            Box::pin(async { Ok(request.method.clone()) })
        }

        fn request_batch<'a>(
            &'a self,
            _: ChainId,
            requests: &'a [RpcRequest],
        ) -> BoxFuture<'a, Result<Vec<RpcResult>, HostError>> {
            Box::pin(async {
                let answers = requests.iter().map(|request| Ok(request.method.clone()));
                Ok(answers.collect())
            })
        }
    }

    fn request(method: &str) -> RpcRequest {
        RpcRequest {
            method: method.into(),
            params: "[]".into(),
        }
    }

    #[tokio::test]
    async fn a_short_wait_is_waited_and_a_long_one_refused() {
        let limited = Limited::new(
            Echo,
            Rate {
                per_second: 2,
                burst: 2,
            },
        );
        let start = Instant::now();
        let call = request("eth_call");
        for _ in 0..3 {
            limited.request(ChainId(1), &call).await.unwrap();
        }
        assert!(start.elapsed() >= Duration::from_millis(500));
        // Ten of `eth_getLogs` are fifty units, and half a minute.
        let batch = vec![request("eth_getLogs"); 10];
        let error = limited.request_batch(ChainId(1), &batch).await.unwrap_err();
        assert_eq!(
            (error.kind, error.domain.as_str()),
            (HostErrorKind::RateLimited, "chain")
        );
        // What was refused cost nothing.
        limited.request(ChainId(1), &call).await.unwrap();
    }
}
