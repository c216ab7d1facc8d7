//! The scripted chain as a real JSON-RPC server: HTTP and WebSocket on one loopback port.
//!
//! Every path is served, so that an endpoint's URL may carry a key. The controls stand on
//! [`RpcServer`]; a test flips them while clients are connected.

mod connection;
mod dispatch;

use std::{
    collections::BTreeMap,
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    body::Bytes,
    extract::{FromRequest, FromRequestParts, Request, State, WebSocketUpgrade},
    http::{Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use crate::{RpcAnswer, ScriptedChain};
use connection::Gate;

/// The largest HTTP body that is read.
const MAX_BODY: usize = 32 * 1024 * 1024;

/// A JSON-RPC server in front of a [`ScriptedChain`]. Stops when dropped.
#[derive(Debug)]
pub struct RpcServer {
    addr: SocketAddr,
    shared: Arc<Shared>,
    stop: CancellationToken,
    task: Option<JoinHandle<io::Result<()>>>,
}

/// What clients have asked so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RequestLog {
    /// Requests by method, those inside batches included.
    pub by_method: BTreeMap<String, usize>,
    /// HTTP bodies and WebSocket frames: what went over the wire.
    pub wire_messages: usize,
    /// Those among them that were JSON-RPC batches.
    pub batches: usize,
}

impl RequestLog {
    /// How often `method` was asked.
    #[must_use]
    pub fn count(&self, method: &str) -> usize {
        self.by_method.get(method).copied().unwrap_or_default()
    }
}

#[derive(Debug)]
struct Shared {
    chain: ScriptedChain,
    gate: Gate,
    muted: Arc<AtomicBool>,
    controls: Mutex<Controls>,
}

#[derive(Debug, Default)]
struct Controls {
    latency: Duration,
    scripted: BTreeMap<String, RpcAnswer>,
    log: RequestLog,
}

impl Shared {
    fn controls(&self) -> MutexGuard<'_, Controls> {
        // The controls are plain values: a panic while they are held leaves them whole.
        self.controls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RpcServer {
    /// Serves `chain` on a free port of 127.0.0.1.
    pub async fn start(chain: ScriptedChain) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let addr = listener.local_addr()?;
        let gate = Gate::new();
        let listener = gate.guard(listener);
        let shared = Arc::new(Shared {
            chain,
            gate,
            muted: Arc::default(),
            controls: Mutex::default(),
        });
        let app = Router::new()
            .fallback(serve)
            .with_state(Arc::clone(&shared));
        let stop = CancellationToken::new();
        let stopped = stop.clone().cancelled_owned();
        let serving = axum::serve(listener, app).with_graceful_shutdown(stopped);
        let task = tokio::spawn(async move { serving.await });
        Ok(Self {
            addr,
            shared,
            stop,
            task: Some(task),
        })
    }

    /// The chain it serves.
    #[must_use]
    pub fn chain(&self) -> &ScriptedChain {
        &self.shared.chain
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Its URL for HTTP.
    #[must_use]
    pub fn http_url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// Its URL for WebSocket.
    #[must_use]
    pub fn ws_url(&self) -> String {
        format!("ws://{}", self.addr)
    }

    /// Down: every connection is closed, and new ones are closed at once. The port stays taken,
    /// so that the server comes up again where it was.
    pub fn set_down(&self, down: bool) {
        self.shared.gate.set_closed(down);
    }

    /// How many connections were closed at once because the server was down.
    #[must_use]
    pub fn refused_connections(&self) -> usize {
        self.shared.gate.refused()
    }

    /// How long every answer is held back.
    pub fn set_latency(&self, latency: Duration) {
        self.shared.controls().latency = latency;
    }

    /// Muted: subscriptions stay open and announce nothing, as on a half-open connection.
    pub fn set_muted(&self, muted: bool) {
        self.shared.muted.store(muted, Ordering::Relaxed);
    }

    /// Answers `method` with this from now on, whatever its parameters; `None`: with the truth.
    pub fn set_answer(&self, method: &str, answer: Option<RpcAnswer>) {
        let scripted = &mut self.shared.controls().scripted;
        match answer {
            Some(answer) => scripted.insert(method.to_owned(), answer),
            None => scripted.remove(method),
        };
    }

    /// What clients have asked so far.
    #[must_use]
    pub fn request_log(&self) -> RequestLog {
        self.shared.controls().log.clone()
    }

    /// Forgets what clients have asked.
    pub fn clear_request_log(&self) {
        self.shared.controls().log = RequestLog::default();
    }

    /// Closes every connection, and returns once the port is free.
    pub async fn shutdown(mut self) {
        self.close();
        if let Some(task) = self.task.take() {
            // The task ends by itself; it fails only if it panicked, which has been printed.
            let _ = task.await;
        }
    }

    fn close(&self) {
        self.shared.gate.set_closed(true);
        self.stop.cancel();
    }
}

impl Drop for RpcServer {
    fn drop(&mut self) {
        self.close();
    }
}

async fn serve(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    if request.method() == Method::POST {
        return match Bytes::from_request(limited(request), &()).await {
            Ok(body) => answer_http(&shared, &body).await,
            Err(refused) => refused.into_response(),
        };
    }
    let (mut parts, _) = request.into_parts();
    match WebSocketUpgrade::from_request_parts(&mut parts, &()).await {
        Ok(upgrade) => upgrade
            .max_message_size(MAX_BODY)
            .on_upgrade(move |socket| connection::serve_ws(shared, socket)),
        Err(_) => (
            StatusCode::METHOD_NOT_ALLOWED,
            "POST JSON-RPC, or open a WebSocket\n",
        )
            .into_response(),
    }
}

fn limited(mut request: Request) -> Request {
    use axum::extract::DefaultBodyLimit;
    DefaultBodyLimit::max(MAX_BODY).apply(&mut request);
    request
}

async fn answer_http(shared: &Shared, body: &[u8]) -> Response {
    match dispatch::answer(shared, body, None).await {
        Some(answer) => (
            [(header::CONTENT_TYPE, "application/json")],
            answer.to_string(),
        )
            .into_response(),
        // A body of notifications alone has no answer.
        None => StatusCode::NO_CONTENT.into_response(),
    }
}
