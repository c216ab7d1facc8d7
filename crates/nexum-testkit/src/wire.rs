//! What stands between a node and its clients, and can be made to fail.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use serde_json::json;

use crate::{
    RequestLog,
    fault::{Bucket, Fault, Injection, Injections, RateLimit, distort},
    front::Gate,
    message::Message,
    request_log::Recorder,
    rpc::error,
};

/// The faults of one endpoint, and the log of what it was asked. Every change holds from the next
/// message on, for clients that are connected, too. Clones are the same wire.
#[derive(Debug, Clone)]
pub struct Wire {
    gate: Gate,
    controls: Arc<Mutex<Controls>>,
}

#[derive(Debug, Default)]
struct Controls {
    latency: Duration,
    muted: bool,
    rate: Option<Bucket>,
    injections: Injections,
    recorder: Recorder,
}

/// What a client gets for one message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    /// There is nothing to answer.
    Nothing,
    Text(String),
    /// This, and the connection ends in the middle of it.
    Cut(String),
    /// An HTTP status; on a WebSocket, `text` alone.
    Status {
        code: u16,
        retry_after: Option<Duration>,
        text: String,
    },
    /// `head`, then `bytes` zeros, then `tail`.
    Enormous {
        head: String,
        bytes: usize,
        tail: &'static str,
    },
    /// Nothing, for as long as the connection lives.
    Silence,
}

impl Wire {
    pub(crate) fn new(gate: Gate) -> Self {
        Self {
            gate,
            controls: Arc::default(),
        }
    }

    /// Down: every connection is closed, and new ones are closed at once. The port stays taken,
    /// so that the endpoint comes up again where it was.
    pub fn set_down(&self, down: bool) {
        self.gate.set_closed(down);
    }

    /// Closes the connections there are, and takes new ones.
    pub fn drop_connections(&self) {
        self.gate.cut_all();
    }

    /// How many connections were closed at once because the endpoint was down.
    #[must_use]
    pub fn refused_connections(&self) -> usize {
        self.gate.refused()
    }

    /// Half-open: every connection stays, new ones are taken, and no byte comes through, not even
    /// the answer to a ping. What is under way goes on when it is over.
    pub fn set_half_open(&self, half_open: bool) {
        self.gate.set_frozen(half_open);
    }

    /// How long every answer is held back.
    pub fn set_latency(&self, latency: Duration) {
        self.controls().latency = latency;
    }

    /// Muted: subscriptions stay open and announce nothing, requests are answered.
    pub fn set_muted(&self, muted: bool) {
        self.controls().muted = muted;
    }

    /// How many requests it takes; `None`: any.
    pub fn set_rate_limit(&self, limit: Option<RateLimit>) {
        self.controls().rate = limit.map(|limit| Bucket::new(limit, Instant::now()));
    }

    /// Fails in this way, too. Of several that hit a message, the one made first counts.
    pub fn inject(&self, injection: Injection) {
        self.controls().injections.add(injection);
    }

    /// Everything that was set here is over.
    pub fn heal(&self) {
        {
            let mut controls = self.controls();
            controls.latency = Duration::ZERO;
            controls.muted = false;
            controls.rate = None;
            controls.injections.clear();
        }
        self.gate.set_closed(false);
        self.gate.set_frozen(false);
    }

    /// What clients have asked so far.
    #[must_use]
    pub fn request_log(&self) -> RequestLog {
        self.controls().recorder.log.clone()
    }

    /// Forgets what clients have asked.
    pub fn clear_request_log(&self) {
        self.controls().recorder = Recorder::default();
    }

    pub(crate) fn gate(&self) -> &Gate {
        &self.gate
    }

    fn controls(&self) -> MutexGuard<'_, Controls> {
        self.controls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes the message, waits as long as is set, and answers the fault that hits it.
    pub(crate) async fn take(&self, message: &Message) -> Option<Fault> {
        let (latency, fault) = {
            let now = Instant::now();
            let mut controls = self.controls();
            let batch = message.is_batch();
            controls.recorder.record(batch, &message.asked, now);
            let over = controls
                .rate
                .as_mut()
                .and_then(|rate| rate.take(message.asked.len().max(1), now).err());
            let fault = match over {
                Some(limit) => Some(Fault::Status {
                    code: 429,
                    retry_after: limit.retry_after,
                }),
                None => controls.injections.strike(message),
            };
            (controls.latency, fault)
        };
        if !latency.is_zero() {
            tokio::time::sleep(latency).await;
        }
        fault
    }

    /// What becomes of something that a subscription announces. `None`: nobody hears of it.
    pub(crate) fn announce(&self, note: String) -> Option<Reply> {
        let fault = {
            let mut controls = self.controls();
            if controls.muted {
                return None;
            }
            controls.injections.strike_note()
        };
        match fault {
            None => Some(Reply::Text(note)),
            Some(Fault::Silent) => None,
            Some(fault) => Some(late(&fault, note)),
        }
    }
}

/// The reply of a fault that needs no answer from the node; `None`: it needs one.
pub(crate) fn early(fault: &Fault, message: &Message) -> Option<Reply> {
    Some(match fault {
        Fault::Status { code, retry_after } => Reply::Status {
            code: *code,
            retry_after: *retry_after,
            text: message.all_refused(&match code {
                429 => error(429, "too many requests"),
                _ => error(-32603, "the node is not available"),
            }),
        },
        Fault::Garbage => Reply::Text(distort(fault, "")),
        Fault::Silent => Reply::Silence,
        Fault::Enormous { bytes } => Reply::Enormous {
            head: format!(
                r#"{{"jsonrpc":"2.0","id":{},"result":"0x"#,
                message.ids().next().unwrap_or(&json!(null))
            ),
            bytes: *bytes,
            tail: r#""}"#,
        },
        Fault::BatchRefused => Reply::Text(
            crate::message::failure(&json!(null), &error(-32600, "batches are not supported"))
                .to_string(),
        ),
        _ => return None,
    })
}

/// The reply of a fault to which the node has answered.
pub(crate) fn late(fault: &Fault, answer: String) -> Reply {
    if *fault == Fault::Cut {
        return Reply::Cut(answer);
    }
    Reply::Text(distort(fault, &answer))
}
