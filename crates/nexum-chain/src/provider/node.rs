//! One endpoint: its stack, its chain id, and what only one endpoint can be asked.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use alloy_json_rpc::{Id, Request, RequestPacket, ResponsePacket};
use nexum_manifest::{ChainSettings, Endpoint};
use nexum_types::{Block, BlockNumber, ChainId, LogFilter};
use serde_json::value::RawValue;
use tokio::time::{Instant, timeout_at};
use tower::Service;

use super::health::{Health, Standing};
use crate::{
    failure::Failure,
    header,
    layers::{self, Call, Stack},
    logs,
    rate::RateLimiter,
    stats::EndpointStats,
    transport::{HeadSubscription, LogSubscription, Transport},
    weights,
};

/// One endpoint of one chain.
pub(crate) struct Node {
    chain: ChainId,
    endpoint: Endpoint,
    transport: Transport,
    stack: Stack,
    health: Arc<Health>,
    limiter: Option<Arc<RateLimiter>>,
    request_timeout: Duration,
    call_deadline: Duration,
    /// The most requests of one batch that the endpoint is known to take.
    max_batch: AtomicUsize,
}

impl Node {
    pub(super) fn new(settings: &ChainSettings, endpoint: &Endpoint, transport: Transport) -> Self {
        let ChainSettings {
            id: chain,
            request_timeout,
            ..
        } = *settings;
        let health = Health::new(chain, endpoint, transport.clone(), request_timeout);
        let health = Arc::new(health);
        let limiter = endpoint.rate.map(RateLimiter::new).map(Arc::new);
        let stack = layers::stack(
            transport.clone(),
            &health,
            limiter.clone(),
            request_timeout,
            settings.max_retries,
        );
        Self {
            chain,
            endpoint: endpoint.clone(),
            transport,
            stack,
            health,
            limiter,
            request_timeout,
            call_deadline: settings.call_deadline,
            max_batch: AtomicUsize::new(endpoint.max_batch.max(1)),
        }
    }

    /// Shows no secret.
    pub(crate) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    pub(super) fn health(&self) -> &Health {
        &self.health
    }

    /// `None`: never used again.
    pub(super) fn standing(&self) -> Option<Standing> {
        self.health.standing()
    }

    /// True where the node announces heads by itself.
    pub(crate) fn announces(&self) -> bool {
        matches!(self.transport, Transport::Ws(_))
    }

    /// Until when the node rests after failures, if it does.
    pub(crate) fn cooling(&self) -> Option<Instant> {
        match self.standing()? {
            Standing::Well | Standing::Lagging => None,
            Standing::Resting(until) | Standing::Spared(until) => Some(until),
        }
    }

    /// The most requests of one batch.
    pub(super) fn max_batch(&self) -> usize {
        self.max_batch.load(Ordering::Relaxed)
    }

    /// The endpoint takes no more than this.
    pub(super) fn lower_max_batch(&self, most: usize) {
        let before = self.max_batch.fetch_min(most, Ordering::Relaxed);
        if most < before {
            tracing::info!(
                chain = %self.chain, endpoint = %self.endpoint, max_batch = most,
                "the endpoint refuses longer batches; set max_batch to spare it the attempts",
            );
        }
    }

    /// Makes sure that the node is there and serves the chain.
    pub(crate) async fn ready(&self, id: Id) -> Result<(), Failure> {
        let mut stack = self.stack.clone();
        let send = |call| stack.call(call);
        layers::identify(&self.health, id, self.deadline(), send).await
    }

    /// The head as this node sees it now.
    pub(crate) async fn latest(&self, id: Id) -> Result<Block, Failure> {
        let params = [serde_json::json!("latest"), serde_json::json!(false)];
        let answer = self.ask("eth_getBlockByNumber", id, &params).await?;
        let head = header::parse(self.chain, answer.get()).and_then(|head| {
            // Every chain has a head.
            head.ok_or(Failure::Malformed)
        });
        let head = head.map_err(|failure| self.failed(failure))?;
        self.health.saw(head.number);
        Ok(head)
    }

    /// The node told this head, asked or not.
    pub(crate) fn told_head(&self, head: BlockNumber) {
        self.health.saw(head);
    }

    async fn ask(
        &self,
        method: &'static str,
        id: Id,
        params: &[serde_json::Value],
    ) -> Result<Box<RawValue>, Failure> {
        let request = Request::new(method, id.clone(), params).serialize();
        let request = request.map_err(|_| Failure::Malformed)?;
        let packet = RequestPacket::Single(request);
        match self.send(packet, self.deadline()).await? {
            ResponsePacket::Single(response) if response.id == id => response
                .payload
                .try_into_success()
                .map_err(|error| Failure::refused(&error)),
            _ => Err(self.failed(Failure::Malformed)),
        }
    }

    /// Sends a packet through the stack.
    pub(super) async fn send(
        &self,
        packet: RequestPacket,
        deadline: Instant,
    ) -> Result<ResponsePacket, Failure> {
        // A clone is as good: no layer waits in `poll_ready`.
        self.stack.clone().call(Call::new(packet, deadline)).await
    }

    /// Subscribes to the node's heads. Only where it [announces](Self::announces) them.
    pub(crate) async fn subscribe_heads(&self, id: Id) -> Result<HeadSubscription, Failure> {
        let Transport::Ws(ws) = &self.transport else {
            return Err(Failure::Malformed);
        };
        self.subscribing(ws.subscribe_heads(id)).await
    }

    /// Subscribes to the logs that match any of these. Only where it
    /// [announces](Self::announces) them.
    pub(crate) async fn subscribe_logs(
        &self,
        filters: &[LogFilter],
        next_id: impl Fn() -> Id,
    ) -> Result<LogSubscription, Failure> {
        let Transport::Ws(ws) = &self.transport else {
            return Err(Failure::Malformed);
        };
        let criteria = filters
            .iter()
            .map(|filter| (next_id(), logs::pushed(filter)))
            .collect();
        self.subscribing(ws.subscribe_logs(criteria)).await
    }

    /// What the stack does for a request, for one whose answer is not a packet. Not retried: the
    /// feed does that, on the next endpoint.
    async fn subscribing<T>(
        &self,
        subscribing: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        if let Some(limiter) = &self.limiter {
            let turn = limiter.acquire(weights::of("eth_subscribe"), self.deadline());
            turn.await.map_err(|_| Failure::OverRate)?;
        }
        let counters = self.health.counters();
        counters.requests.add(1);
        let start = Instant::now();
        let answer = timeout_at(start + self.request_timeout, subscribing).await;
        counters.took(start.elapsed());
        counters.ended(matches!(answer, Ok(Ok(_))));
        match answer {
            Ok(Ok(subscription)) => {
                self.health.succeeded();
                Ok(subscription)
            }
            Ok(Err(failure)) => Err(self.failed(failure)),
            Err(_) => Err(self.failed(Failure::Timeout(self.request_timeout))),
        }
    }

    /// Takes note of a failure that the stack cannot see, and answers it back.
    pub(crate) fn failed(&self, failure: Failure) -> Failure {
        self.health.blame(failure)
    }

    /// Tries a node that has been left. How it goes is noted on the way.
    pub(super) async fn probe(&self, id: Id) {
        if let Err(failure) = self.latest(id).await {
            tracing::debug!(
                chain = %self.chain, endpoint = %self.endpoint, %failure,
                "the endpoint is not well yet",
            );
        }
    }

    pub(super) fn stats(&self) -> EndpointStats {
        let (state, head, lag) = self.health.state_for_stats();
        let counters = self.health.counters();
        let last_error = self.health.last_failure();
        EndpointStats {
            endpoint: self.endpoint.to_string(),
            state,
            head,
            lag,
            requests: counters.requests.get(),
            answered: counters.answered(),
            unanswered: counters.unanswered(),
            latency: counters.latency(),
            retries: counters.retries.get(),
            rate_limit_waits: counters.rate_limit_waits.get(),
            errors: counters.errors(),
            last_error: last_error.and_then(|failure| crate::ErrorKind::of(&failure)),
            max_batch: self.max_batch(),
        }
    }

    fn deadline(&self) -> Instant {
        Instant::now() + self.call_deadline
    }
}
