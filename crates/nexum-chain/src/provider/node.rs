//! One endpoint: whether it may be used, and when it may be tried again.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use alloy_json_rpc::{Id, Request, RequestPacket, ResponsePacket};
use alloy_primitives::U64;
use nexum_manifest::Endpoint;
use nexum_types::{Block, ChainId};
use serde_json::value::RawValue;
use tokio::time::{Instant, timeout};

use crate::{
    backoff::Backoff,
    failure::Failure,
    header,
    transport::{HeadSubscription, Transport},
};

/// How long a node that failed comes after those that did not: from here, doubling, up to
/// [`LONGEST_REST`].
const SHORTEST_REST: Duration = Duration::from_millis(250);
/// See [`SHORTEST_REST`].
const LONGEST_REST: Duration = Duration::from_secs(15);

/// One endpoint of one chain.
pub(crate) struct Node {
    chain: ChainId,
    endpoint: Endpoint,
    transport: Transport,
    request_timeout: Duration,
    health: Mutex<Health>,
    /// Held while the chain id is asked, so that it is asked once.
    checking: tokio::sync::Mutex<()>,
}

struct Health {
    identity: Identity,
    rest: Backoff,
    rests_until: Option<Instant>,
    /// How often it has failed, and how the last time.
    failures: u64,
    last_failure: Option<Failure>,
}

/// What is known of the chain behind the endpoint. Asked anew after each failure: another node
/// may have taken the address.
#[derive(Clone, Copy)]
enum Identity {
    Unknown,
    Confirmed,
    /// Serves another chain: never used again.
    Wrong(ChainId),
}

impl Node {
    pub(crate) fn new(
        chain: ChainId,
        endpoint: &Endpoint,
        transport: Transport,
        request_timeout: Duration,
    ) -> Self {
        let health = Health {
            identity: Identity::Unknown,
            rest: Backoff::new(SHORTEST_REST, LONGEST_REST),
            rests_until: None,
            failures: 0,
            last_failure: None,
        };
        Self {
            chain,
            endpoint: endpoint.clone(),
            transport,
            request_timeout,
            health: Mutex::new(health),
            checking: tokio::sync::Mutex::default(),
        }
    }

    /// Shows no secret.
    pub(crate) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    pub(crate) fn is_usable(&self) -> bool {
        !matches!(self.health().identity, Identity::Wrong(_))
    }

    /// True where the node announces heads by itself.
    pub(crate) fn announces(&self) -> bool {
        matches!(self.transport, Transport::Ws(_))
    }

    /// Until when the node rests after a failure, if it does.
    pub(crate) fn cooling(&self) -> Option<Instant> {
        self.health()
            .rests_until
            .filter(|until| *until > Instant::now())
    }

    /// Makes sure that the node is there and serves the chain.
    pub(crate) async fn ready(&self, id: Id) -> Result<(), Failure> {
        let known = |identity| match identity {
            Identity::Confirmed => Some(Ok(())),
            Identity::Wrong(answered) => Some(Err(Failure::WrongChain(answered))),
            Identity::Unknown => None,
        };
        let failures = {
            let health = self.health();
            if let Some(known) = known(health.identity) {
                return known;
            }
            health.failures
        };
        let _checking = self.checking.lock().await;
        {
            let health = self.health();
            if let Some(known) = known(health.identity) {
                return known;
            }
            // Whoever held the lock has asked in vain: those who waited do not ask one by one.
            if let Some(failure) = health
                .last_failure
                .clone()
                .filter(|_| health.failures > failures)
            {
                return Err(failure);
            }
        }
        let answered = self.ask_chain_id(id).await?;
        if answered == self.chain {
            self.health().identity = Identity::Confirmed;
            return Ok(());
        }
        self.health().identity = Identity::Wrong(answered);
        self.transport.disconnect();
        tracing::error!(
            chain = %self.chain, endpoint = %self.endpoint, %answered,
            "the endpoint serves another chain and is not used any more; correct its URL",
        );
        Err(Failure::WrongChain(answered))
    }

    async fn ask_chain_id(&self, id: Id) -> Result<ChainId, Failure> {
        let answer = self.ask("eth_chainId", id, &[]).await?;
        let parsed = serde_json::from_str::<U64>(answer.get());
        parsed
            .map(|id| ChainId(id.to()))
            .map_err(|_| self.failed(Failure::Malformed))
    }

    /// The head as this node sees it now.
    pub(crate) async fn latest(&self, id: Id) -> Result<Block, Failure> {
        let params = [serde_json::json!("latest"), serde_json::json!(false)];
        let answer = self.ask("eth_getBlockByNumber", id, &params).await?;
        header::parse(self.chain, answer.get())?.ok_or(Failure::Malformed)
    }

    async fn ask(
        &self,
        method: &'static str,
        id: Id,
        params: &[serde_json::Value],
    ) -> Result<Box<RawValue>, Failure> {
        let request = Request::new(method, id, params).serialize();
        let request = request.map_err(|_| Failure::Malformed)?;
        match self.send(RequestPacket::Single(request)).await? {
            ResponsePacket::Single(response) => response
                .payload
                .try_into_success()
                .map_err(|error| Failure::Node(error.code)),
            ResponsePacket::Batch(_) => Err(Failure::Malformed),
        }
    }

    /// Sends a packet, within the time allowed, and takes note of how it went.
    pub(crate) async fn send(&self, packet: RequestPacket) -> Result<ResponsePacket, Failure> {
        self.within(self.transport.send(packet)).await
    }

    /// Subscribes to the node's heads. Only where it [announces](Self::announces) them.
    pub(crate) async fn subscribe_heads(&self, id: Id) -> Result<HeadSubscription, Failure> {
        match &self.transport {
            Transport::Ws(ws) => self.within(ws.subscribe_heads(id)).await,
            Transport::Http(_) => Err(Failure::Malformed),
        }
    }

    async fn within<T>(
        &self,
        exchange: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        match timeout(self.request_timeout, exchange).await {
            Ok(Ok(answer)) => {
                let mut health = self.health();
                health.rest.reset();
                health.rests_until = None;
                Ok(answer)
            }
            Ok(Err(failure)) => Err(self.failed(failure)),
            Err(_) => Err(self.failed(Failure::Timeout(self.request_timeout))),
        }
    }

    /// Takes note of a failure, and answers it back.
    pub(crate) fn failed(&self, failure: Failure) -> Failure {
        if !failure.is_endpoints_own() {
            return failure;
        }
        // One slow answer does not mean that the connection is dead; its keepalive finds out.
        if !matches!(
            failure,
            Failure::Timeout(_) | Failure::Node(_) | Failure::Status(_)
        ) {
            self.transport.disconnect();
        }
        let mut health = self.health();
        health.failures += 1;
        health.last_failure = Some(failure.clone());
        if matches!(health.identity, Identity::Confirmed) {
            health.identity = Identity::Unknown;
        }
        // Those who fail together count as one.
        if health
            .rests_until
            .is_none_or(|until| until <= Instant::now())
        {
            let rest = health.rest.next_delay();
            health.rests_until = Some(Instant::now() + rest);
            drop(health);
            tracing::warn!(
                chain = %self.chain, endpoint = %self.endpoint, %failure,
                "the endpoint failed; the next one is asked, if there is one",
            );
        }
        failure
    }

    fn health(&self) -> MutexGuard<'_, Health> {
        // Health is plain values: a panic while it is held leaves it whole.
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
