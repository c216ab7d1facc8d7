//! Connections that can be cut at any moment, and what lives on a WebSocket.

use std::{
    collections::HashMap,
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
};

use axum::{
    extract::ws::{Message, WebSocket},
    serve::Listener,
};
use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    task::JoinSet,
};
use tokio_util::sync::{CancellationToken, DropGuard, WaitForCancellationFutureOwned};

use super::{Shared, dispatch};
use crate::{RpcAnswer, rpc};

/// Decides whether connections live. Cutting takes those that are open, too.
#[derive(Debug, Clone)]
pub(super) struct Gate(Arc<Mutex<GateState>>);

#[derive(Debug, Default)]
struct GateState {
    closed: bool,
    refused: usize,
    /// Cancelled to cut the connections made since it was new.
    cut: CancellationToken,
}

impl Gate {
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new(GateState::default())))
    }

    pub(super) fn set_closed(&self, closed: bool) {
        let mut state = self.state();
        state.closed = closed;
        if closed {
            std::mem::take(&mut state.cut).cancel();
        }
    }

    pub(super) fn guard(&self, listener: TcpListener) -> GuardedListener {
        GuardedListener {
            listener,
            gate: self.clone(),
        }
    }

    fn state(&self) -> MutexGuard<'_, GateState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The token that cuts a new connection; `None` where the gate is closed.
    fn admit(&self) -> Option<CancellationToken> {
        let mut state = self.state();
        state.refused += usize::from(state.closed);
        (!state.closed).then(|| state.cut.clone())
    }

    pub(super) fn refused(&self) -> usize {
        self.state().refused
    }
}

pub(super) struct GuardedListener {
    listener: TcpListener,
    gate: Gate,
}

impl Listener for GuardedListener {
    type Io = GuardedStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (GuardedStream, SocketAddr) {
        loop {
            let (stream, addr) = Listener::accept(&mut self.listener).await;
            if let Some(cut) = self.gate.admit() {
                // Small answers would otherwise wait for the peer's delayed acknowledgement.
                let _ = stream.set_nodelay(true);
                return (
                    GuardedStream {
                        stream,
                        cut: Box::pin(cut.cancelled_owned()),
                    },
                    addr,
                );
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

pub(super) struct GuardedStream {
    stream: TcpStream,
    cut: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl GuardedStream {
    fn check(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        match self.cut.as_mut().poll(cx) {
            Poll::Ready(()) => Err(io::ErrorKind::ConnectionReset.into()),
            Poll::Pending => Ok(()),
        }
    }
}

impl AsyncRead for GuardedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.check(cx)?;
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for GuardedStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.check(cx)?;
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// The subscriptions of one connection. Dropping it ends them.
#[derive(Debug)]
pub(super) struct Subscriptions {
    outbox: mpsc::UnboundedSender<String>,
    running: Mutex<HashMap<String, DropGuard>>,
    last_id: AtomicU64,
}

impl Subscriptions {
    fn new(outbox: mpsc::UnboundedSender<String>) -> Self {
        Self {
            outbox,
            running: Mutex::default(),
            last_id: AtomicU64::new(0),
        }
    }

    /// `None`: the method is none of this connection's own.
    pub(super) fn answer(
        &self,
        shared: &Shared,
        method: &str,
        params: &Value,
    ) -> Option<RpcAnswer> {
        let what = params.get(0).and_then(Value::as_str);
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        match (method, what) {
            ("eth_subscribe", Some("newHeads")) => {
                let id = format!("{:#x}", self.last_id.fetch_add(1, Ordering::Relaxed) + 1);
                running.insert(id.clone(), self.announce_heads(shared, id.clone()));
                Some(Ok(json!(id)))
            }
            ("eth_subscribe", _) => Some(Err(rpc::error(
                -32602,
                "there is a subscription to newHeads only",
            ))),
            ("eth_unsubscribe", Some(id)) => Some(Ok(json!(running.remove(id).is_some()))),
            _ => None,
        }
    }

    fn announce_heads(&self, shared: &Shared, id: String) -> DropGuard {
        let end = CancellationToken::new();
        let (ended, outbox) = (end.clone(), self.outbox.clone());
        let (mut heads, muted) = (shared.chain.heads(), Arc::clone(&shared.muted));
        tokio::spawn(ended.run_until_cancelled_owned(async move {
            loop {
                let block = heads.next().await;
                if muted.load(Ordering::Relaxed) {
                    continue;
                }
                let params = json!({ "subscription": id, "result": rpc::header(&block) });
                let note = json!({
                    "jsonrpc": "2.0", "method": "eth_subscription", "params": params,
                });
                if outbox.send(note.to_string()).is_err() {
                    return;
                }
            }
        }));
        end.drop_guard()
    }
}

/// Serves one WebSocket until it ends. Requests are answered side by side, as nodes do.
pub(super) async fn serve_ws(shared: Arc<Shared>, socket: WebSocket) {
    let (mut sink, mut stream) = socket.split();
    let (outbox, mut outgoing) = mpsc::unbounded_channel::<String>();
    let subscriptions = Arc::new(Subscriptions::new(outbox.clone()));
    let mut answering = JoinSet::new();
    loop {
        tokio::select! {
            message = stream.next() => {
                let text = match message {
                    Some(Ok(Message::Text(text))) => text,
                    Some(Ok(Message::Ping(_) | Message::Pong(_))) => continue,
                    _ => return,
                };
                let (shared, subscriptions) = (Arc::clone(&shared), Arc::clone(&subscriptions));
                let outbox = outbox.clone();
                answering.spawn(async move {
                    let answer =
                        dispatch::answer(&shared, text.as_bytes(), Some(&subscriptions)).await;
                    if let Some(answer) = answer {
                        // The connection has ended: nobody waits for the answer.
                        let _ = outbox.send(answer.to_string());
                    }
                });
            }
            Some(text) = outgoing.recv() => {
                if sink.send(Message::Text(text.into())).await.is_err() {
                    return;
                }
            }
            Some(_) = answering.join_next() => {}
        }
    }
}
