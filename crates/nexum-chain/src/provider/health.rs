//! How one endpoint is: what its layers and its users tell, and whether it may be used.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use nexum_manifest::Endpoint;
use nexum_types::{BlockNumber, ChainId};
use tokio::time::Instant;

use super::circuit::{Circuit, Signal, THRESHOLD};
use crate::{
    failure::Failure,
    layers::LONGEST_WAIT,
    stats::{Counters, EndpointState, ErrorKind},
    transport::Transport,
};

/// The health of one endpoint. Shared by its layers and its node.
pub(crate) struct Health {
    chain: ChainId,
    endpoint: Endpoint,
    transport: Transport,
    request_timeout: Duration,
    counters: Counters,
    state: Mutex<State>,
    /// Held while the chain id is asked, so that it is asked once.
    checking: tokio::sync::Mutex<()>,
}

struct State {
    identity: Identity,
    circuit: Circuit,
    /// The last failure, and how many there have been.
    last_failure: Option<Failure>,
    failures: u64,
    head: Option<BlockNumber>,
    lag: u64,
    lagging: bool,
}

/// What is known of the chain behind the endpoint. Asked anew after each failure that another
/// node behind the same address could explain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Identity {
    Unknown,
    Confirmed,
    /// Serves another chain: never used again.
    Wrong(ChainId),
}

/// How an endpoint stands among the others: the lowest is used first. The order of the variants
/// is the order of use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Standing {
    Well,
    Lagging,
    /// It has failed; the one whose rest ends first comes first.
    Resting(Instant),
    /// It has asked to be left alone until then.
    Spared(Instant),
}

impl Health {
    pub(super) fn new(
        chain: ChainId,
        endpoint: &Endpoint,
        transport: Transport,
        request_timeout: Duration,
    ) -> Self {
        let state = State {
            identity: Identity::Unknown,
            circuit: Circuit::NEW,
            last_failure: None,
            failures: 0,
            head: None,
            lag: 0,
            lagging: false,
        };
        Self {
            chain,
            endpoint: endpoint.clone(),
            transport,
            request_timeout,
            counters: Counters::default(),
            state: Mutex::new(state),
            checking: tokio::sync::Mutex::default(),
        }
    }

    pub(crate) fn counters(&self) -> &Counters {
        &self.counters
    }

    /// True where the endpoint is asked as it comes.
    pub(crate) fn is_well(&self) -> bool {
        self.state().circuit.is_closed()
    }

    /// An attempt was answered.
    pub(crate) fn succeeded(&self) {
        let mut state = self.state();
        let was_closed = state.circuit.is_closed();
        state.circuit = state.circuit.next(Signal::Succeeded, Instant::now(), 1.0);
        drop(state);
        if !was_closed {
            let (chain, endpoint) = (self.chain, &self.endpoint);
            tracing::info!(%chain, %endpoint, "the endpoint is well again");
        }
    }

    /// An attempt failed, or what was answered is wrong.
    pub(crate) fn failed(&self, failure: &Failure) {
        let Some(kind) = ErrorKind::of(failure) else {
            return;
        };
        self.counters.failed(kind);
        let mut state = self.state();
        state.failures += 1;
        state.last_failure = Some(failure.clone());
        let Some(signal) = self.signal(failure) else {
            return;
        };
        if loses_identity(failure) {
            // One slow answer does not mean that the connection is dead; its keepalive finds out.
            if !matches!(failure, Failure::Timeout(_) | Failure::Status { .. }) {
                self.transport.disconnect();
            }
            if state.identity == Identity::Confirmed {
                state.identity = Identity::Unknown;
            }
        }
        let was_closed = state.circuit.is_closed();
        let jitter = rand::random_range(0.5..=1.0);
        state.circuit = state.circuit.next(signal, Instant::now(), jitter);
        let is_closed = state.circuit.is_closed();
        drop(state);
        let (chain, endpoint) = (self.chain, &self.endpoint);
        if was_closed && !is_closed {
            tracing::warn!(
                %chain, %endpoint, %failure,
                "the endpoint failed, and is left for a while; the next one is asked, if there is one",
            );
        } else {
            tracing::debug!(%chain, %endpoint, %failure, "an attempt failed");
        }
    }

    /// Takes note of a failure that no layer can see, and answers it back.
    pub(crate) fn blame(&self, failure: Failure) -> Failure {
        self.failed(&failure);
        failure
    }

    /// What a failure means to the circuit. `None`: nothing, since it is not the endpoint's.
    fn signal(&self, failure: &Failure) -> Option<Signal> {
        let weight = match failure {
            Failure::TooLarge | Failure::WrongChain(_) => return None,
            // The call had no more time to give.
            Failure::Timeout(waited) if *waited < self.request_timeout => return None,
            // These cost much time, or show that the node is unwell as a whole; and what answers
            // wrongly would, by the answers in between, never come to fail several times in a row.
            Failure::Timeout(_) | Failure::Malformed | Failure::Behind | Failure::Stalled => {
                THRESHOLD
            }
            _ => 1,
        };
        // A shorter wish is granted by the retry.
        let wish = failure.retry_after().filter(|wish| *wish > LONGEST_WAIT);
        Some(Signal::Failed { weight, wish })
    }

    /// Begins a probe, where the time for one has come; the caller has to make it.
    pub(super) fn begin_probe(&self, longest: Duration) -> bool {
        let now = Instant::now();
        let mut state = self.state();
        let usable = !matches!(state.identity, Identity::Wrong(_));
        let due = usable && state.circuit.is_due(now);
        if due {
            state.circuit = state.circuit.next(Signal::Probed(longest), now, 1.0);
        }
        due
    }

    /// `None`: never used again.
    pub(super) fn standing(&self) -> Option<Standing> {
        let state = self.state();
        if matches!(state.identity, Identity::Wrong(_)) {
            return None;
        }
        let spared = || {
            let last = state.last_failure.as_ref();
            last.is_some_and(|failure| failure.is_rate_limit() && failure.retry_after().is_some())
        };
        Some(match state.circuit.until() {
            Some(until) if until > Instant::now() && spared() => Standing::Spared(until),
            Some(until) => Standing::Resting(until),
            None if state.lagging => Standing::Lagging,
            None => Standing::Well,
        })
    }

    pub(crate) fn identity(&self) -> Identity {
        self.state().identity
    }

    /// Waits until nobody else asks for the chain id.
    pub(crate) async fn checking(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.checking.lock().await
    }

    /// The endpoint told the chain that it serves. Another one takes it out for good.
    pub(crate) fn identify(&self, answered: ChainId) -> Result<(), Failure> {
        if answered == self.chain {
            self.state().identity = Identity::Confirmed;
            return Ok(());
        }
        let failure = Failure::WrongChain(answered);
        {
            let mut state = self.state();
            state.identity = Identity::Wrong(answered);
            state.last_failure = Some(failure.clone());
        }
        self.counters.failed(ErrorKind::WrongChain);
        self.transport.disconnect();
        tracing::error!(
            chain = %self.chain, endpoint = %self.endpoint, %answered,
            "the endpoint serves another chain and is not used any more; correct its URL",
        );
        Err(failure)
    }

    pub(crate) fn failures(&self) -> u64 {
        self.state().failures
    }

    pub(crate) fn last_failure(&self) -> Option<Failure> {
        self.state().last_failure.clone()
    }

    /// The endpoint told this head.
    pub(super) fn saw(&self, head: BlockNumber) {
        self.state().head = Some(head);
    }

    pub(super) fn is_lagging(&self) -> bool {
        self.state().lagging
    }

    /// The endpoints have been compared.
    pub(super) fn compared(&self, lag: u64, lagging: bool) {
        let mut state = self.state();
        state.lag = lag;
        let was_lagging = std::mem::replace(&mut state.lagging, lagging);
        drop(state);
        let (chain, endpoint) = (self.chain, &self.endpoint);
        match (was_lagging, lagging) {
            (false, true) => tracing::warn!(
                %chain, %endpoint, lag,
                "the endpoint is behind the others, and is left until it has caught up",
            ),
            (true, false) => tracing::info!(%chain, %endpoint, "the endpoint has caught up"),
            _ => {}
        }
    }

    pub(super) fn state_for_stats(&self) -> (EndpointState, Option<BlockNumber>, u64) {
        let state = self.state();
        let shown = match (state.identity, state.circuit) {
            (Identity::Wrong(_), _) => EndpointState::WrongChain,
            (_, Circuit::Open { .. }) => EndpointState::Open,
            (_, Circuit::HalfOpen { .. }) => EndpointState::HalfOpen,
            (_, Circuit::Closed { .. }) if state.lagging => EndpointState::Lagging,
            (_, Circuit::Closed { .. }) => EndpointState::Well,
        };
        (shown, state.head, state.lag)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Plain values: a panic while they are held leaves them whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// True where another node may have taken the address since.
fn loses_identity(failure: &Failure) -> bool {
    matches!(
        failure,
        Failure::Timeout(_) | Failure::Connect(_) | Failure::Lost | Failure::Malformed
    ) || matches!(failure, Failure::Status { code, .. } if *code != 429)
}
