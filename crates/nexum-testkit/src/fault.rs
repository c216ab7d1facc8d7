//! Ways in which an endpoint fails, and when.
//!
//! [`Fault`] is one way, [`Injection`] says which requests it hits. Both are values: the script
//! words of [`Script`](crate::Script) and the methods of [`Wire`](crate::Wire) make the same ones.

#[cfg(feature = "server")]
mod distort;
#[cfg(feature = "server")]
mod inject;
mod rate;

use std::time::Duration;

#[cfg(feature = "server")]
pub(crate) use distort::distort;
#[cfg(feature = "server")]
pub(crate) use inject::Injections;
#[cfg(feature = "server")]
pub(crate) use rate::Bucket;
pub use rate::RateLimit;

/// One way to answer wrongly, or not at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// An HTTP status in place of an answer, with `Retry-After` in seconds where there is one. On
    /// a WebSocket, an error object for each request.
    Status {
        /// The status code, such as 429 or 503.
        code: u16,
        /// What `Retry-After` says; rounded up to seconds.
        retry_after: Option<Duration>,
    },
    /// Text that is no JSON, with status 200.
    Garbage,
    /// The first half of the answer, as if it were whole.
    Truncated,
    /// The connection ends in the middle of the answer; on a WebSocket, in the middle of a frame.
    Cut,
    /// The request is taken, and nothing comes.
    Silent,
    /// A well-formed answer of at least so many bytes.
    Enormous {
        /// Its length.
        bytes: usize,
    },
    /// One error object in place of a whole batch. Hits batches only.
    BatchRefused,
    /// The first answer of a batch comes twice. Hits batches only.
    DuplicateId,
    /// The last answer of a batch is not there. Hits batches only.
    MissingAnswer,
    /// The answers of a batch come in the reverse order, which JSON-RPC allows. Hits batches only.
    Reordered,
    /// The answer has an id that nobody asked with.
    ForeignId,
    /// The result is `null`.
    Null,
    /// The result is an object with a key that means nothing.
    WrongType,
    /// Each log says it is of another block than it is. Hits `eth_getLogs` only.
    LogsOfAnotherBlock,
    /// The logs come in the reverse order. Hits `eth_getLogs` only.
    LogsOutOfOrder,
    /// Each log says it is of a block far above. Hits `eth_getLogs` only.
    LogsOutOfRange,
    /// The last log is not there. Hits `eth_getLogs` only.
    LogMissing,
    /// The header names a parent that is none. Hits the getters of blocks only, and `newHeads`
    /// where the injection is on `eth_subscription`.
    WrongParent,
}

impl Fault {
    /// Too many requests, without a `Retry-After`.
    pub const TOO_MANY_REQUESTS: Self = Self::Status {
        code: 429,
        retry_after: None,
    };
}

/// A fault, and which messages it hits: by default every one, for good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Injection {
    /// The fault.
    pub fault: Fault,
    /// How many messages it hits until it is over; `None`: it stays until
    /// [`Wire::heal`](crate::Wire::heal).
    pub times: Option<u64>,
    /// Only messages that ask this method. `eth_subscription` names what subscriptions announce,
    /// which no other injection touches.
    pub method: Option<String>,
}

impl Injection {
    /// The fault for every message, for good.
    #[must_use]
    pub fn new(fault: Fault) -> Self {
        Self {
            fault,
            times: None,
            method: None,
        }
    }

    /// For so many messages.
    #[must_use]
    pub fn times(mut self, times: u64) -> Self {
        self.times = Some(times);
        self
    }

    /// For messages that ask `method`.
    #[must_use]
    pub fn on(mut self, method: &str) -> Self {
        self.method = Some(method.to_owned());
        self
    }
}
