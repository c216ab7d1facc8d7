//! Bounds the time of one attempt, and takes note of it.

use std::{
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use alloy_json_rpc::ResponsePacket;
use futures::future::BoxFuture;
use tokio::time::{Instant, timeout_at};
use tower::{Layer, Service};

use super::Call;
use crate::{failure::Failure, provider::Health};

/// Bounds an attempt by a time, and by the call's deadline where that comes first.
pub(super) struct TimeoutLayer {
    pub(super) longest: Duration,
    pub(super) health: Arc<Health>,
}

impl<S> Layer<S> for TimeoutLayer {
    type Service = Timeout<S>;

    fn layer(&self, inner: S) -> Timeout<S> {
        Timeout {
            inner,
            longest: self.longest,
            health: Arc::clone(&self.health),
        }
    }
}

/// See [`TimeoutLayer`].
#[derive(Clone)]
pub(crate) struct Timeout<S> {
    inner: S,
    longest: Duration,
    health: Arc<Health>,
}

impl<S> Service<Call> for Timeout<S>
where
    S: Service<Call, Response = ResponsePacket, Error = Failure>,
    S::Future: Send + 'static,
{
    type Response = ResponsePacket;
    type Error = Failure;
    type Future = BoxFuture<'static, Result<ResponsePacket, Failure>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, call: Call) -> Self::Future {
        let start = Instant::now();
        let until = call.deadline.min(start + self.longest);
        let answer = self.inner.call(call);
        let health = Arc::clone(&self.health);
        Box::pin(async move {
            let answer = timeout_at(until, answer).await;
            health.counters().took(start.elapsed());
            answer.unwrap_or_else(|_| Err(Failure::Timeout(until - start)))
        })
    }
}
