//! Takes note of how each attempt went.

use std::{
    sync::Arc,
    task::{Context, Poll},
};

use alloy_json_rpc::{RequestPacket, ResponsePacket};
use futures::future::BoxFuture;
use tower::{Layer, Service};

use super::Call;
use crate::{
    failure::{Failure, limits_rate_of},
    provider::Health,
};

/// Tells the endpoint's health of every attempt.
pub(super) struct ObserveLayer(pub(super) Arc<Health>);

impl<S> Layer<S> for ObserveLayer {
    type Service = Observe<S>;

    fn layer(&self, inner: S) -> Observe<S> {
        Observe {
            inner,
            health: Arc::clone(&self.0),
        }
    }
}

/// See [`ObserveLayer`].
#[derive(Clone)]
pub(crate) struct Observe<S> {
    inner: S,
    health: Arc<Health>,
}

impl<S> Service<Call> for Observe<S>
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
        let health = Arc::clone(&self.health);
        health.counters().requests.add(1);
        let packet = Arc::clone(&call.packet);
        let answer = self.inner.call(call);
        Box::pin(async move {
            let answer = answer.await;
            let answer = answer.and_then(|answer| without_rate_limit(&packet, answer));
            health.counters().ended(answer.is_ok());
            match &answer {
                Ok(_) => health.succeeded(),
                Err(failure) => health.failed(failure),
            }
            answer
        })
    }
}

/// A rate limit that is told as JSON-RPC is as much a failure of the attempt as HTTP's 429. In a
/// batch, each entry stands for itself.
fn without_rate_limit(
    asked: &RequestPacket,
    answer: ResponsePacket,
) -> Result<ResponsePacket, Failure> {
    let refused = match &answer {
        ResponsePacket::Single(response) => response.payload.as_error(),
        ResponsePacket::Batch(_) => None,
    };
    let method = match asked {
        RequestPacket::Single(request) => request.method(),
        RequestPacket::Batch(_) => "",
    };
    match refused {
        Some(error) if limits_rate_of(method, error.code) => Err(Failure::refused(error)),
        _ => Ok(answer),
    }
}
