//! Ways in which an endpoint fails, and when.
//!
//! [`Fault`] is one way, [`Injection`] says which requests it hits. Both are values: the script
//! words of [`Script`](crate::Script) and the methods of [`Wire`](crate::Wire) make the same ones.

mod distort;
mod rate;

use std::time::Duration;

use crate::message::Message;

pub(crate) use distort::distort;
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

    /// True where the fault means something for the message.
    fn concerns(&self, message: &Message) -> bool {
        let asks = |method: &str| message.methods().any(|asked| asked.starts_with(method));
        match self {
            Self::BatchRefused | Self::DuplicateId | Self::MissingAnswer | Self::Reordered => {
                message.is_batch()
            }
            Self::LogsOfAnotherBlock
            | Self::LogsOutOfOrder
            | Self::LogsOutOfRange
            | Self::LogMissing => asks("eth_getLogs"),
            Self::WrongParent => asks("eth_getBlockBy"),
            _ => true,
        }
    }
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

/// What subscriptions announce goes by this method.
pub(crate) const NOTE: &str = "eth_subscription";

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

    fn hits(&self, message: &Message) -> bool {
        let named = self
            .method
            .as_ref()
            .is_none_or(|method| message.methods().any(|asked| asked == method));
        named && self.fault.concerns(message)
    }
}

/// The injections of one endpoint, in the order in which they were made: the first that hits
/// counts.
#[derive(Debug, Default)]
pub(crate) struct Injections(Vec<Injection>);

impl Injections {
    pub(crate) fn add(&mut self, injection: Injection) {
        self.0.push(injection);
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// The fault that hits a request.
    pub(crate) fn strike(&mut self, message: &Message) -> Option<Fault> {
        self.take(|injection| injection.hits(message))
    }

    /// The fault that hits what a subscription announces.
    pub(crate) fn strike_note(&mut self) -> Option<Fault> {
        self.take(|injection| injection.method.as_deref() == Some(NOTE))
    }

    fn take(&mut self, hits: impl Fn(&Injection) -> bool) -> Option<Fault> {
        let index = self
            .0
            .iter()
            .position(|injection| injection.times != Some(0) && hits(injection))?;
        let injection = &mut self.0[index];
        let fault = injection.fault.clone();
        if let Some(times) = &mut injection.times {
            *times -= 1;
            if *times == 0 {
                self.0.remove(index);
            }
        }
        Some(fault)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(text: &str) -> Message {
        Message::read(text.as_bytes())
    }

    #[test]
    fn an_injection_hits_as_often_as_it_says_and_only_what_it_names() {
        let mut injections = Injections::default();
        injections.add(Injection::new(Fault::Garbage).times(2).on("eth_getLogs"));
        injections.add(Injection::new(Fault::Null).on(NOTE));
        injections.add(Injection::new(Fault::MissingAnswer).times(1));
        let logs = message(r#"{"id":1,"method":"eth_getLogs","params":[]}"#);
        let batch = message(r#"[{"id":1,"method":"eth_chainId"}]"#);
        let other = message(r#"{"id":1,"method":"eth_chainId"}"#);
        assert_eq!(injections.strike(&other), None);
        assert_eq!(injections.strike(&logs), Some(Fault::Garbage));
        assert_eq!(injections.strike(&batch), Some(Fault::MissingAnswer));
        assert_eq!(injections.strike(&batch), None);
        assert_eq!(injections.strike(&logs), Some(Fault::Garbage));
        assert_eq!(injections.strike(&logs), None);
        assert_eq!(injections.strike_note(), Some(Fault::Null));
        assert_eq!(injections.strike_note(), Some(Fault::Null));
    }
}
