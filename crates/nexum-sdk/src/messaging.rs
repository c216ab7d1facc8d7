//! The interface `messaging`: messages over topics, between whoever listens. A message is public,
//! can be lost, can come twice and can come late. They come in by subscription, as events.
//!
//! Every error has the domain `messaging`.

use crate::{Message, Result, host};

/// One content topic: a path of the form `/application/version/name/encoding`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Messaging {
    content_topic: String,
}

impl Messaging {
    /// The topic of that name. Whether it is well-formed, and the module's to use, is told by the
    /// first use.
    #[must_use]
    pub fn on(content_topic: impl Into<String>) -> Self {
        Self {
            content_topic: content_topic.into(),
        }
    }

    /// Sends `payload`. `Ok` means that a peer took it, not that anyone has read it. It is not
    /// taken back when the call fails.
    pub fn publish(&self, payload: impl AsRef<[u8]>) -> Result<()> {
        host::with(|host| host.publish(&self.content_topic, payload.as_ref()))
    }

    /// Messages of the past, as far as peers have kept them, oldest first. `start` and `end` bound
    /// their timestamps, in milliseconds, and are both included.
    pub fn query(
        &self,
        start: Option<u64>,
        end: Option<u64>,
        limit: Option<u32>,
    ) -> Result<Vec<Message>> {
        host::with(|host| host.query(&self.content_topic, start, end, limit))
    }
}
