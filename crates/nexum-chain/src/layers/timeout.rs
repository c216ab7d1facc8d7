//! Bounds the time of one attempt.

use std::{
    task::{Context, Poll},
    time::Duration,
};

use alloy_json_rpc::ResponsePacket;
use futures::future::BoxFuture;
use tokio::time::{Instant, timeout_at};
use tower::{Layer, Service};

use super::Call;
use crate::failure::Failure;

/// Bounds an attempt by this time, and by the call's deadline where that comes first.
pub(super) struct TimeoutLayer(pub(super) Duration);

impl<S> Layer<S> for TimeoutLayer {
    type Service = Timeout<S>;

    fn layer(&self, inner: S) -> Timeout<S> {
        Timeout {
            inner,
            longest: self.0,
        }
    }
}

/// See [`TimeoutLayer`].
#[derive(Clone)]
pub(crate) struct Timeout<S> {
    inner: S,
    longest: Duration,
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
        Box::pin(async move {
            timeout_at(until, answer)
                .await
                .unwrap_or_else(|_| Err(Failure::Timeout(until - start)))
        })
    }
}
