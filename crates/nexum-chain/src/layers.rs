//! The stack of one endpoint, as tower layers over its transport:
//!
//! ```text
//! retry -> identify -> observe -> rate limit -> timeout -> transport
//! ```
//!
//! Each attempt of a retry costs its units and its time, and counts for the endpoint's health.
//! tower's own timeout and rate limit are not used: the one makes a typed error into a boxed one,
//! the other knows neither weights nor a deadline. alloy's retry layer decides by an error's
//! text.

mod identify;
mod observe;
mod rate_limit;
mod retry;
mod timeout;

use std::{sync::Arc, time::Duration};

use alloy_json_rpc::RequestPacket;
use tokio::time::Instant;
use tower::{
    ServiceBuilder,
    retry::{Retry, RetryLayer},
};

use crate::{provider::Health, rate::RateLimiter, transport::Transport, weights};
pub(crate) use identify::identify;
use identify::{Identify, IdentifyLayer};
use observe::{Observe, ObserveLayer};
use rate_limit::{RateLimit, RateLimitLayer};
pub(crate) use retry::LONGEST_WAIT;
use retry::RetryPolicy;
use timeout::{Timeout, TimeoutLayer};

/// One message to an endpoint.
#[derive(Clone)]
pub(crate) struct Call {
    pub(crate) packet: Arc<RequestPacket>,
    /// What it costs of the endpoint's rate.
    pub(crate) units: u32,
    /// Until when an answer is of use.
    pub(crate) deadline: Instant,
    /// True where it asks for the chain id: before that is known, nothing else goes out.
    identifies: bool,
}

impl Call {
    /// Whether it hands a transaction to the endpoint.
    pub(crate) fn is_handing_over(&self) -> bool {
        let mut methods = self.packet.method_names();
        methods.any(|method| method == "eth_sendRawTransaction")
    }

    pub(crate) fn new(packet: RequestPacket, deadline: Instant) -> Self {
        let units = packet.method_names().map(weights::of).sum();
        Self {
            packet: Arc::new(packet),
            units,
            deadline,
            identifies: false,
        }
    }
}

/// The way to one endpoint, with everything that makes it dependable.
pub(crate) type Stack = Retry<RetryPolicy, Identify<Observe<RateLimit<Timeout<Transport>>>>>;

pub(crate) fn stack(
    transport: Transport,
    health: &Arc<Health>,
    limiter: Option<Arc<RateLimiter>>,
    request_timeout: Duration,
    max_retries: u32,
) -> Stack {
    ServiceBuilder::new()
        .layer(RetryLayer::new(RetryPolicy::new(
            Arc::clone(health),
            max_retries,
        )))
        .layer(IdentifyLayer(Arc::clone(health)))
        .layer(ObserveLayer(Arc::clone(health)))
        .layer(RateLimitLayer {
            limiter,
            health: Arc::clone(health),
        })
        .layer(TimeoutLayer {
            longest: request_timeout,
            health: Arc::clone(health),
        })
        .service(transport)
}
