//! What the requests of a chain have come to: a snapshot for metrics and health. Holds no secret.

use std::{collections::BTreeMap, fmt, time::Duration};

use nexum_types::{BlockNumber, ChainId, Counter, Histogram, HistogramReading};

use crate::failure::Failure;

/// The requests of one chain so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainStats {
    /// The chain.
    pub chain: ChainId,
    /// Its endpoints, most preferred first.
    pub endpoints: Vec<EndpointStats>,
    /// The one of them that would be asked now. `None`: none serves the chain.
    pub in_use: Option<usize>,
    /// Modules' requests, each of a batch counted.
    pub asked: u64,
    /// Those of them that joined the same request under way.
    pub coalesced: u64,
    /// Those of them that were answered from memory.
    pub cached: u64,
    /// What the answers in memory take, in bytes.
    pub cache_bytes: u64,
    /// How often an endpoint did not answer and the next one was asked.
    pub fallbacks: u64,
}

/// The requests to one endpoint so far, and how it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointStats {
    /// Scheme, host and port.
    pub endpoint: String,
    /// How it is.
    pub state: EndpointState,
    /// The last head that it told.
    pub head: Option<BlockNumber>,
    /// How many blocks it was behind the best known head when the endpoints were last compared.
    pub lag: u64,
    /// Messages on their way to it: a batch is one, a retry one more.
    pub requests: u64,
    /// Those of them that were answered, though perhaps with an error of the node's.
    pub answered: u64,
    /// Those of them that failed, one way or another.
    pub unanswered: u64,
    /// How long it had each message, waits for a turn not counted, in nanoseconds.
    pub latency: HistogramReading,
    /// Those of them that were retries.
    pub retries: u64,
    /// Those of them that had to wait for their turn within the endpoint's rate.
    pub rate_limit_waits: u64,
    /// Failures, by kind.
    pub errors: BTreeMap<ErrorKind, u64>,
    /// The kind of the last failure.
    pub last_error: Option<ErrorKind>,
    /// The most requests that are sent in one batch: what the settings say, or less where the
    /// endpoint has refused.
    pub max_batch: usize,
}

/// How an endpoint is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EndpointState {
    /// It is asked as it comes.
    Well,
    /// It is too far behind the best known head, and left until it has caught up.
    Lagging,
    /// It has failed, and is left for a while.
    Open,
    /// It has failed, and is being tried again.
    HalfOpen,
    /// It serves another chain, and is never asked again.
    WrongChain,
}

impl EndpointState {
    /// Every state.
    pub const ALL: [Self; 5] = [
        Self::Well,
        Self::Lagging,
        Self::Open,
        Self::HalfOpen,
        Self::WrongChain,
    ];

    /// The state as a word, for metrics and for people.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Well => "well",
            Self::Lagging => "lagging",
            Self::Open => "open",
            Self::HalfOpen => "half-open",
            Self::WrongChain => "wrong-chain",
        }
    }
}

/// What kind of failure an endpoint had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ErrorKind {
    /// No answer in time.
    Timeout,
    /// No connection.
    Connect,
    /// The connection ended before the answer was there.
    Lost,
    /// An HTTP status that is no success.
    Status,
    /// It has been asked too much, by HTTP status or JSON-RPC code.
    RateLimited,
    /// An answer beyond the limit.
    TooLarge,
    /// An answer that is none.
    Malformed,
    /// It does not know a block that it should know.
    Behind,
    /// Its subscription has gone silent.
    Stalled,
    /// It serves another chain.
    WrongChain,
}

impl ErrorKind {
    /// Every kind, in order.
    pub const ALL: [Self; 10] = [
        Self::Timeout,
        Self::Connect,
        Self::Lost,
        Self::Status,
        Self::RateLimited,
        Self::TooLarge,
        Self::Malformed,
        Self::Behind,
        Self::Stalled,
        Self::WrongChain,
    ];

    /// The kind as a word, for metrics and for people.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::Connect => "connect",
            Self::Lost => "lost",
            Self::Status => "status",
            Self::RateLimited => "rate-limited",
            Self::TooLarge => "too-large",
            Self::Malformed => "malformed",
            Self::Behind => "behind",
            Self::Stalled => "stalled",
            Self::WrongChain => "wrong-chain",
        }
    }

    /// `None`: it is no failure of an endpoint's.
    pub(crate) fn of(failure: &Failure) -> Option<Self> {
        Some(match failure {
            Failure::OverRate | Failure::NoEndpoint => return None,
            failure if failure.is_rate_limit() => Self::RateLimited,
            Failure::Node(_) => return None,
            Failure::Timeout(_) => Self::Timeout,
            Failure::Connect(_) => Self::Connect,
            Failure::Lost => Self::Lost,
            Failure::Status { .. } => Self::Status,
            Failure::TooLarge => Self::TooLarge,
            Failure::Malformed => Self::Malformed,
            Failure::Behind => Self::Behind,
            Failure::Stalled => Self::Stalled,
            Failure::WrongChain(_) => Self::WrongChain,
        })
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The counts of one endpoint.
#[derive(Debug)]
pub(crate) struct Counters {
    pub(crate) requests: Counter,
    answered: Counter,
    unanswered: Counter,
    latency: Histogram,
    pub(crate) retries: Counter,
    pub(crate) rate_limit_waits: Counter,
    errors: [Counter; ErrorKind::ALL.len()],
}

impl Default for Counters {
    fn default() -> Self {
        Self {
            requests: Counter::default(),
            answered: Counter::default(),
            unanswered: Counter::default(),
            latency: Histogram::of_durations(),
            retries: Counter::default(),
            rate_limit_waits: Counter::default(),
            errors: Default::default(),
        }
    }
}

impl Counters {
    /// An attempt has ended, in an answer or not.
    pub(crate) fn ended(&self, answered: bool) {
        let ended = if answered {
            &self.answered
        } else {
            &self.unanswered
        };
        ended.add(1);
    }

    pub(crate) fn answered(&self) -> u64 {
        self.answered.get()
    }

    pub(crate) fn unanswered(&self) -> u64 {
        self.unanswered.get()
    }

    /// The endpoint had a message for so long, whatever became of it.
    pub(crate) fn took(&self, time: Duration) {
        self.latency.observe_duration(time);
    }

    pub(crate) fn latency(&self) -> HistogramReading {
        self.latency.read()
    }

    pub(crate) fn failed(&self, kind: ErrorKind) {
        // `ALL` has the order of the enum.
        self.errors[kind as usize].add(1);
    }

    pub(crate) fn errors(&self) -> BTreeMap<ErrorKind, u64> {
        ErrorKind::ALL
            .into_iter()
            .zip(self.errors.iter().map(Counter::get))
            .filter(|(_, count)| *count > 0)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_counts_for_itself() {
        for (index, kind) in ErrorKind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, index);
            let counters = Counters::default();
            counters.failed(kind);
            assert_eq!(counters.errors(), BTreeMap::from([(kind, 1)]));
        }
    }
}
