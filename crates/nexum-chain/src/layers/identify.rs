//! Makes sure of the chain behind an endpoint before each attempt: after a connection was lost,
//! another node may have taken the address.

use std::{
    sync::Arc,
    task::{Context, Poll},
};

use alloy_json_rpc::{Id, Request, RequestPacket, ResponsePacket};
use alloy_primitives::U64;
use futures::future::BoxFuture;
use nexum_types::ChainId;
use tokio::time::Instant;
use tower::{Layer, Service};

use super::Call;
use crate::{
    failure::Failure,
    provider::{Health, Identity},
};

/// Asks the endpoint for its chain id where that is not known (any more).
pub(super) struct IdentifyLayer(pub(super) Arc<Health>);

impl<S> Layer<S> for IdentifyLayer {
    type Service = Identify<S>;

    fn layer(&self, inner: S) -> Identify<S> {
        Identify {
            inner,
            health: Arc::clone(&self.0),
        }
    }
}

/// See [`IdentifyLayer`].
#[derive(Clone)]
pub(crate) struct Identify<S> {
    inner: S,
    health: Arc<Health>,
}

impl<S> Service<Call> for Identify<S>
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
        if call.identifies || self.health.identity() == Identity::Confirmed {
            return Box::pin(self.inner.call(call));
        }
        // Nothing below waits in `poll_ready`, so that a fresh clone is as ready as this one.
        let (mut inner, health) = (self.inner.clone(), Arc::clone(&self.health));
        Box::pin(async move {
            // One is asked at a time, and a late answer to an earlier one says the same.
            let id = Id::String("chain-id".to_owned());
            identify(&health, id, call.deadline, |call| inner.call(call)).await?;
            inner.call(call).await
        })
    }
}

/// Makes sure that the endpoint is there and serves the chain; `send` reaches it.
pub(crate) async fn identify<F>(
    health: &Health,
    id: Id,
    deadline: Instant,
    send: impl FnOnce(Call) -> F,
) -> Result<(), Failure>
where
    F: Future<Output = Result<ResponsePacket, Failure>>,
{
    let known = || match health.identity() {
        Identity::Confirmed => Some(Ok(())),
        Identity::Wrong(answered) => Some(Err(Failure::WrongChain(answered))),
        Identity::Unknown => None,
    };
    if let Some(known) = known() {
        return known;
    }
    let failures = health.failures();
    let _checking = health.checking().await;
    if let Some(known) = known() {
        return known;
    }
    // Whoever held the lock has asked in vain: those who waited do not ask one by one.
    if health.failures() > failures
        && let Some(failure) = health.last_failure()
    {
        return Err(failure);
    }
    let request = Request::new("eth_chainId", id.clone(), [(); 0]).serialize();
    let request = request.map_err(|_| Failure::Malformed)?;
    let mut call = Call::new(RequestPacket::Single(request), deadline);
    call.identifies = true;
    let answer = match send(call).await? {
        ResponsePacket::Single(answer) if answer.id == id => answer.payload,
        _ => return Err(health.blame(Failure::Malformed)),
    };
    let answer = answer
        .try_into_success()
        .map_err(|error| Failure::refused(&error))?;
    let answered = serde_json::from_str::<U64>(answer.get());
    let answered = answered.map_err(|_| health.blame(Failure::Malformed))?;
    health.identify(ChainId(answered.to()))
}
