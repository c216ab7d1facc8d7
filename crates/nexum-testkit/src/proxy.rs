//! A proxy in front of any JSON-RPC node, such as anvil, that can be made to fail.
//!
//! Messages pass as they are. HTTP requests go to the node's HTTP URL; each WebSocket has one of
//! its own to the node, and ends with it.

use std::{
    collections::HashMap,
    fmt, io,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use serde_json::Value;
use tokio::sync::oneshot;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::{
    Anvil, RequestLog, Wire,
    client::{WsReader, WsWriter, client, connect},
    front::{Announced, Answered, Backend, Front, Outbox, Session, Unreachable},
    message::Message,
};

/// A JSON-RPC endpoint in front of another one. Stops when dropped; the node goes on.
#[derive(Debug)]
pub struct FaultProxy {
    front: Front,
}

impl FaultProxy {
    /// A proxy on a free loopback port, in front of a node's two URLs.
    pub async fn start(http_url: &str, ws_url: &str) -> io::Result<Self> {
        let client = client().map_err(|error| io::Error::other(error.without_url()))?;
        let front = Front::start(Upstream {
            http_url: http_url.to_owned(),
            ws_url: ws_url.to_owned(),
            client,
        })
        .await?;
        Ok(Self { front })
    }

    /// A proxy in front of anvil.
    pub async fn before(anvil: &Anvil) -> io::Result<Self> {
        Self::start(&anvil.http_url(), &anvil.ws_url()).await
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.front.addr()
    }

    /// Its URL for HTTP.
    #[must_use]
    pub fn http_url(&self) -> String {
        format!("http://{}", self.addr())
    }

    /// Its URL for WebSocket.
    #[must_use]
    pub fn ws_url(&self) -> String {
        format!("ws://{}", self.addr())
    }

    /// Its faults, and the log of what it was asked.
    #[must_use]
    pub fn wire(&self) -> &Wire {
        self.front.wire()
    }

    /// See [`Wire::request_log`].
    #[must_use]
    pub fn request_log(&self) -> RequestLog {
        self.wire().request_log()
    }

    /// Closes every connection, and returns once the port is free.
    pub async fn shutdown(self) {
        self.front.shutdown().await;
    }
}

struct Upstream {
    http_url: String,
    ws_url: String,
    client: reqwest::Client,
}

/// The URLs can hold secrets.
impl fmt::Debug for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upstream").finish_non_exhaustive()
    }
}

impl Backend for Upstream {
    type Session = Relay;

    async fn answer(&self, message: &Message) -> Result<Option<String>, Unreachable> {
        let request = self
            .client
            .post(&self.http_url)
            .header(reqwest::header::CONTENT_TYPE, "application/json")
            .body(message.text.clone());
        let response = request.send().await.map_err(|_| Unreachable)?;
        let answer = response.text().await.map_err(|_| Unreachable)?;
        Ok((!answer.is_empty()).then_some(answer))
    }

    async fn open(&self, outbox: Outbox) -> Result<Relay, Unreachable> {
        let (reader, writer) = connect(&self.ws_url).await.map_err(|_| Unreachable)?;
        let waiting = Waiting::default();
        let end = CancellationToken::new();
        let relaying = relay(reader, waiting.clone(), outbox);
        tokio::spawn(end.clone().run_until_cancelled_owned(relaying));
        Ok(Relay {
            writer,
            waiting,
            _end: end.drop_guard(),
        })
    }
}

/// One client's WebSocket to the node.
#[derive(Debug)]
pub(crate) struct Relay {
    writer: WsWriter,
    waiting: Waiting,
    _end: DropGuard,
}

/// An answer from the node, and what to hold until the client has it.
#[derive(Debug)]
struct Arrived {
    text: String,
    delivered: oneshot::Sender<()>,
}

/// Who waits for the answer with which id; a batch goes by the id of one of its requests.
#[derive(Debug, Clone, Default)]
struct Waiting(Arc<Mutex<HashMap<String, oneshot::Sender<Arrived>>>>);

impl Waiting {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, oneshot::Sender<Arrived>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes whoever waits for this answer.
    fn take(&self, answer: &Message) -> Option<oneshot::Sender<Arrived>> {
        let mut waiting = self.lock();
        answer.ids().find_map(|id| waiting.remove(&id.to_string()))
    }
}

impl Session for Relay {
    async fn answer(&self, message: &Message) -> Result<Answered, Unreachable> {
        let text = std::str::from_utf8(&message.text).map_err(|_| Unreachable)?;
        let key = message.ids().next().map(Value::to_string);
        let arrived = key.map(|id| {
            let (arrived, arriving) = oneshot::channel();
            self.waiting.lock().insert(id, arrived);
            arriving
        });
        self.writer.send(text).await.map_err(|_| Unreachable)?;
        let Some(arrived) = arrived else {
            return Ok(Answered::default());
        };
        let Arrived { text, delivered } = arrived.await.map_err(|_| Unreachable)?;
        Ok(Answered {
            text: Some(text),
            begins: vec![delivered],
        })
    }
}

/// Hands on what the node sends, in order, until it ends.
async fn relay(mut reader: WsReader, waiting: Waiting, outbox: Outbox) {
    while let Ok(text) = reader.next().await {
        match waiting.take(&Message::read(text.as_bytes())) {
            Some(waiter) => {
                let (delivered, delivery) = oneshot::channel();
                if waiter.send(Arrived { text, delivered }).is_ok() {
                    // Dropped, not sent to. What the node announces next comes after the answer.
                    let _ = delivery.await;
                }
            }
            None => {
                if outbox.send(Announced::Note(text)).is_err() {
                    return;
                }
            }
        }
    }
    waiting.lock().clear();
    // The connection has ended by itself.
    let _ = outbox.send(Announced::End);
}
