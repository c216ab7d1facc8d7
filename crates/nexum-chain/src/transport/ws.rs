//! JSON-RPC over WebSocket, with subscriptions.
//!
//! The connection is made when it is first needed. When it is lost, whoever uses it is told;
//! it never comes back behind their backs, since the chain id must be asked again first.
//!
//! alloy's pubsub frontend sends the requests of a packet as frames of their own, one after the
//! other without waiting in between: on a WebSocket a batch is pipelined, not one frame.

use std::sync::{Mutex, PoisonError};

use alloy_json_rpc::{Id, Request, RequestPacket, ResponsePacket, RpcError};
use alloy_primitives::B256;
use alloy_pubsub::{ConnectionHandle, PubSubConnect, PubSubFrontend, RawSubscription};
use alloy_transport::{TransportError, TransportErrorKind, TransportResult};
use alloy_transport_ws::{WebSocketConfig, WsConnect};
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use url::Url;

use super::io_kind;
use crate::{failure::Failure, limits};

/// One WebSocket endpoint.
pub(crate) struct WsTransport {
    connect: WsConnect,
    /// Held while connecting, so that all who come meanwhile share the one connection.
    connecting: tokio::sync::Mutex<()>,
    connection: Mutex<Option<PubSubFrontend>>,
}

impl WsTransport {
    pub(super) fn new(url: &Url) -> Self {
        let config = WebSocketConfig::default()
            .max_message_size(Some(limits::MAX_RESPONSE_BYTES))
            .max_frame_size(Some(limits::MAX_RESPONSE_BYTES));
        Self {
            connect: WsConnect::new(url.as_str()).with_config(config),
            connecting: tokio::sync::Mutex::default(),
            connection: Mutex::default(),
        }
    }

    pub(super) async fn send(&self, packet: RequestPacket) -> Result<ResponsePacket, Failure> {
        let connection = self.connection().await?;
        connection
            .send_packet(packet)
            .await
            .map_err(|error| failure(&error))
    }

    pub(super) fn disconnect(&self) {
        self.slot().take();
    }

    /// Subscribes to new heads. Answers nothing that came before.
    pub(crate) async fn subscribe_heads(&self, id: Id) -> Result<HeadSubscription, Failure> {
        let connection = self.connection().await?;
        let request = Request::new("eth_subscribe", id, ["newHeads"]);
        let request = request.serialize().map_err(|_| Failure::Malformed)?;
        let answer = connection
            .send(request)
            .await
            .map_err(|error| failure(&error))?;
        let local_id = answer
            .payload
            .try_into_success()
            .map_err(|e| Failure::Node(e.code))?;
        let local_id: B256 =
            serde_json::from_str(local_id.get()).map_err(|_| Failure::Malformed)?;
        let heads = connection
            .get_subscription(local_id)
            .await
            .map_err(|e| failure(&e))?;
        Ok(HeadSubscription { heads, connection })
    }

    async fn connection(&self) -> Result<PubSubFrontend, Failure> {
        let _connecting = self.connecting.lock().await;
        if let Some(connection) = self.slot().clone() {
            return Ok(connection);
        }
        let connection = NoReconnect(self.connect.clone()).into_service().await;
        let connection = connection.map_err(|error| match error {
            RpcError::Transport(TransportErrorKind::Custom(error)) => {
                Failure::Connect(io_kind(&*error))
            }
            _ => Failure::Connect(std::io::ErrorKind::Other),
        })?;
        *self.slot() = Some(connection.clone());
        Ok(connection)
    }

    fn slot(&self) -> std::sync::MutexGuard<'_, Option<PubSubFrontend>> {
        self.connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// The heads of a chain as one connection announces them.
pub(crate) struct HeadSubscription {
    heads: RawSubscription,
    connection: PubSubFrontend,
}

impl HeadSubscription {
    /// The header announced last, once there is one that has not been taken. Those before it are
    /// passed over: the gap is filled by number. Cancel-safe.
    pub(crate) async fn newest(&mut self) -> Result<String, Failure> {
        let mut newest = loop {
            match self.heads.rx.recv().await {
                Ok(header) => break header,
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return Err(Failure::Lost),
            }
        };
        loop {
            match self.heads.rx.try_recv() {
                Ok(header) => newest = header,
                Err(TryRecvError::Lagged(_)) => {}
                Err(TryRecvError::Empty | TryRecvError::Closed) => break,
            }
        }
        Ok(newest.get().to_owned())
    }
}

impl Drop for HeadSubscription {
    fn drop(&mut self) {
        // Fails only where the connection has ended, and the subscription with it.
        let _ = self.connection.unsubscribe(*self.heads.local_id());
    }
}

/// Connects once: a lost connection ends the service, and with it every request under way.
struct NoReconnect(WsConnect);

impl PubSubConnect for NoReconnect {
    fn is_local(&self) -> bool {
        self.0.is_local()
    }

    async fn connect(&self) -> TransportResult<ConnectionHandle> {
        self.0.connect().await
    }

    async fn try_reconnect(&self) -> TransportResult<ConnectionHandle> {
        Err(TransportErrorKind::non_retryable_str(
            "the connection is lost",
        ))
    }
}

fn failure(error: &TransportError) -> Failure {
    match error {
        RpcError::ErrorResp(error) => Failure::Node(error.code),
        RpcError::DeserError { .. } | RpcError::SerError(_) | RpcError::NullResp => {
            Failure::Malformed
        }
        _ => Failure::Lost,
    }
}
