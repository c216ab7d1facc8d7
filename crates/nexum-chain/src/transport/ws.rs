//! JSON-RPC over WebSocket, with subscriptions.
//!
//! The connection is made when it is first needed. When it is lost, whoever uses it is told;
//! it never comes back behind their backs, since the chain id must be asked again first.
//!
//! Written here rather than taken from alloy, whose client sends the requests of a batch as
//! frames of their own, and writes whole messages to the log.

mod connection;
mod pending;

use std::{
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use alloy_json_rpc::{Id, Request, RequestPacket, ResponsePacket};
use alloy_primitives::hex;
use alloy_transport::Authorization;
use serde_json::Value;
use tokio::sync::{mpsc, watch};
use tokio_tungstenite::{
    connect_async_with_config,
    tungstenite::{
        self,
        client::IntoClientRequest,
        handshake::client::Request as Handshake,
        http::{HeaderValue, header},
        protocol::WebSocketConfig,
    },
};
use url::Url;

use super::{io_kind, retry_after};
use crate::{failure::Failure, limits};
use connection::{Connection, Subscribed};
use pending::Sink;

/// One WebSocket endpoint. Clones share the connection.
#[derive(Clone)]
pub(crate) struct WsTransport(Arc<Endpoint>);

struct Endpoint {
    url: Url,
    /// Held while connecting, so that all who come meanwhile share the one connection.
    connecting: tokio::sync::Mutex<()>,
    connection: Mutex<Option<Connection>>,
}

impl WsTransport {
    pub(super) fn new(url: &Url) -> Self {
        Self(Arc::new(Endpoint {
            url: url.clone(),
            connecting: tokio::sync::Mutex::default(),
            connection: Mutex::default(),
        }))
    }

    /// Sends a packet in one frame.
    pub(super) async fn send(&self, packet: &RequestPacket) -> Result<ResponsePacket, Failure> {
        self.connection().await?.exchange(packet).await
    }

    /// Ends the connection, with everything that goes on over it.
    pub(super) fn disconnect(&self) {
        if let Some(connection) = self.slot().take() {
            connection.end();
        }
    }

    /// Subscribes to new heads. Answers nothing that came before.
    pub(crate) async fn subscribe_heads(&self, id: Id) -> Result<HeadSubscription, Failure> {
        let (sink, heads) = watch::channel(None);
        let subscribed = self
            .subscribe(id, &["newHeads"], Sink::Newest(sink))
            .await?;
        Ok(HeadSubscription {
            heads,
            _subscribed: subscribed,
        })
    }

    /// Subscribes to the logs of each of these criteria, as `eth_subscribe` takes them, with an
    /// id for each.
    pub(crate) async fn subscribe_logs(
        &self,
        criteria: Vec<(Id, Value)>,
    ) -> Result<LogSubscription, Failure> {
        let (sink, logs) = mpsc::channel(limits::WAITING_PUSHES);
        let mut subscribed = Vec::with_capacity(criteria.len());
        for (id, criteria) in criteria {
            let (params, sink) = (("logs", criteria), Sink::Each(sink.clone()));
            subscribed.push(self.subscribe(id, &params, sink).await?);
        }
        Ok(LogSubscription {
            logs,
            _subscribed: subscribed,
        })
    }

    async fn subscribe<P: serde::Serialize>(
        &self,
        id: Id,
        params: &P,
        sink: Sink,
    ) -> Result<Subscribed, Failure> {
        let params = serde_json::value::to_raw_value(params).map_err(|_| Failure::Malformed)?;
        let request = Request::new("eth_subscribe", id, params);
        let request = request.serialize().map_err(|_| Failure::Malformed)?;
        self.connection().await?.subscribe(request, sink).await
    }

    async fn connection(&self) -> Result<Connection, Failure> {
        let _connecting = self.0.connecting.lock().await;
        if let Some(connection) = self.slot().as_ref().filter(|open| !open.has_ended()) {
            return Ok(connection.clone());
        }
        let config = WebSocketConfig::default()
            .max_message_size(Some(limits::MAX_RESPONSE_BYTES))
            .max_frame_size(Some(limits::MAX_RESPONSE_BYTES));
        let handshake = handshake(&self.0.url)?;
        // Small frames would otherwise wait for the peer's delayed acknowledgement.
        let no_delay = true;
        let connected = connect_async_with_config(handshake, Some(config), no_delay).await;
        let (socket, _) = connected.map_err(|error| refused(&error))?;
        let connection = Connection::start(socket);
        *self.slot() = Some(connection.clone());
        Ok(connection)
    }

    fn slot(&self) -> MutexGuard<'_, Option<Connection>> {
        self.0
            .connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// The heads of a chain as one connection announces them. Ends the subscription when dropped.
pub(crate) struct HeadSubscription {
    heads: watch::Receiver<Option<String>>,
    _subscribed: Subscribed,
}

impl HeadSubscription {
    /// The header announced last, once there is one that has not been taken. Those before it are
    /// passed over: the gap is filled by number. Cancel-safe.
    pub(crate) async fn newest(&mut self) -> Result<String, Failure> {
        loop {
            self.heads.changed().await.map_err(|_| Failure::Lost)?;
            if let Some(header) = self.heads.borrow_and_update().clone() {
                return Ok(header);
            }
        }
    }
}

/// Logs as one connection pushes them, of several subscriptions. Ends them when dropped.
pub(crate) struct LogSubscription {
    logs: mpsc::Receiver<String>,
    _subscribed: Vec<Subscribed>,
}

impl LogSubscription {
    /// The next log. Some may have been passed over where they came faster than they were taken.
    /// Cancel-safe.
    pub(crate) async fn next(&mut self) -> Result<String, Failure> {
        self.logs.recv().await.ok_or(Failure::Lost)
    }
}

/// The request that opens the connection. Userinfo goes into a header, and out of the URL.
fn handshake(url: &Url) -> Result<Handshake, Failure> {
    let invalid = Failure::Connect(io::ErrorKind::InvalidInput);
    let mut bare = url.clone();
    bare.set_username("").map_err(|()| invalid.clone())?;
    bare.set_password(None).map_err(|()| invalid.clone())?;
    let handshake = bare.as_str().into_client_request();
    let mut handshake = handshake.map_err(|_| invalid.clone())?;
    if !url.username().is_empty() || url.password().is_some() {
        let password = url.password().unwrap_or_default();
        let basic = Authorization::basic(decoded(url.username()), decoded(password));
        let value = HeaderValue::from_str(&basic.to_string());
        let mut value = value.map_err(|_| invalid)?;
        value.set_sensitive(true);
        handshake.headers_mut().insert(header::AUTHORIZATION, value);
    }
    Ok(handshake)
}

/// Undoes percent-encoding (RFC 3986, section 2.1). What is none stays as it is.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let escaped = after.get(..2).filter(|_| *first == b'%');
        match escaped.and_then(|digits| hex::decode(digits).ok()) {
            Some(byte) => {
                bytes.extend(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|_| text.to_owned())
}

fn refused(error: &tungstenite::Error) -> Failure {
    match error {
        tungstenite::Error::Http(response) => {
            let wait = response.headers().get(header::RETRY_AFTER);
            Failure::Status {
                code: response.status().as_u16(),
                retry_after: retry_after(wait.map(HeaderValue::as_bytes)),
            }
        }
        error => Failure::Connect(io_kind(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn userinfo_goes_into_a_header_that_is_marked_as_secret() {
        let url = "wss://al%40ice:s%3acret@node.example/v2/KEY?x=1"
            .parse()
            .unwrap();
        let request = handshake(&url).unwrap();
        assert_eq!(request.uri().to_string(), "wss://node.example/v2/KEY?x=1");
        let value = &request.headers()[header::AUTHORIZATION];
        assert!(value.is_sensitive());
        assert_eq!(value, "Basic YWxAaWNlOnM6Y3JldA==");
        assert_eq!(request.headers()[header::HOST], "node.example");
        assert_eq!(decoded("100%25%zz%"), "100%%zz%");
    }
}
