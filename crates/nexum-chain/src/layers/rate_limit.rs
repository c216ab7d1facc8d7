//! Keeps within the rate that an endpoint grants.

use std::{
    sync::Arc,
    task::{Context, Poll},
};

use alloy_json_rpc::ResponsePacket;
use futures::future::BoxFuture;
use tower::{Layer, Service};

use super::Call;
use crate::{failure::Failure, provider::Health, rate::RateLimiter};

/// Lets a call wait for its turn, and refuses at once one whose turn would come after its
/// deadline.
pub(super) struct RateLimitLayer {
    pub(super) limiter: Option<Arc<RateLimiter>>,
    pub(super) health: Arc<Health>,
}

impl<S> Layer<S> for RateLimitLayer {
    type Service = RateLimit<S>;

    fn layer(&self, inner: S) -> RateLimit<S> {
        RateLimit {
            inner,
            limiter: self.limiter.clone(),
            health: Arc::clone(&self.health),
        }
    }
}

/// See [`RateLimitLayer`].
#[derive(Clone)]
pub(crate) struct RateLimit<S> {
    inner: S,
    limiter: Option<Arc<RateLimiter>>,
    health: Arc<Health>,
}

impl<S> Service<Call> for RateLimit<S>
where
    S: Service<Call, Response = ResponsePacket, Error = Failure> + Clone + Send + 'static,
    S::Future: Send + 'static,
{
    type Response = ResponsePacket;
    type Error = Failure;
    type Future = BoxFuture<'static, Result<ResponsePacket, Failure>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, call: Call) -> Self::Future {
        let Some(limiter) = self.limiter.clone() else {
            return Box::pin(self.inner.call(call));
        };
        // Nothing here waits in `poll_ready`, so that a fresh clone is as ready as this one.
        let (mut inner, health) = (self.inner.clone(), Arc::clone(&self.health));
        Box::pin(async move {
            let turn = limiter.acquire(call.units, call.deadline).await;
            let waited = turn.map_err(|_| Failure::OverRate)?;
            if !waited.is_zero() {
                health.counters().rate_limit_waits.add(1);
            }
            inner.call(call).await
        })
    }
}
