//! The socket side of an endpoint, the same for the scripted chain and for the proxy: HTTP and
//! WebSocket on one loopback port, every path, through a [`Wire`] that can fail.

mod gate;
mod http;
mod ws;

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
};

use axum::{
    Router,
    body::Bytes,
    extract::{ConnectInfo, FromRequest, FromRequestParts, Request, State, WebSocketUpgrade},
    http::{Method, StatusCode},
    response::{IntoResponse, Response},
};
use tokio::{
    net::TcpListener,
    sync::{mpsc, oneshot},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

use crate::{Wire, message::Message};
use gate::Connection;
pub(crate) use gate::Gate;

/// The largest message that is read.
const MAX_BODY: usize = 32 * 1024 * 1024;

/// What answers behind the wire.
pub(crate) trait Backend: Send + Sync + 'static {
    /// What lives on one WebSocket.
    type Session: Session;

    /// Answers the body of one HTTP request.
    fn answer(
        &self,
        message: &Message,
    ) -> impl Future<Output = Result<Option<String>, Unreachable>> + Send;

    /// Opens a WebSocket. What it announces goes to the outbox.
    fn open(
        &self,
        outbox: Outbox,
    ) -> impl Future<Output = Result<Self::Session, Unreachable>> + Send;
}

/// What lives on one WebSocket. Dropping it ends it.
pub(crate) trait Session: Send + Sync + 'static {
    /// Answers one message.
    fn answer(
        &self,
        message: &Message,
    ) -> impl Future<Output = Result<Answered, Unreachable>> + Send;
}

/// What is behind the wire has gone.
#[derive(Debug)]
pub(crate) struct Unreachable;

#[derive(Debug, Default)]
pub(crate) struct Answered {
    /// `None`: there is nothing to answer.
    pub(crate) text: Option<String>,
    /// Dropped once the answer is on its way: nothing is announced by a subscription before its
    /// id is known.
    pub(crate) begins: Vec<oneshot::Sender<()>>,
}

/// Takes what subscriptions announce; an error means that the connection has ended.
pub(crate) type Outbox = mpsc::UnboundedSender<Announced>;

#[derive(Debug)]
pub(crate) enum Announced {
    Note(String),
    /// There is nobody behind the wire any more.
    End,
}

/// A listening endpoint. Stops when dropped.
#[derive(Debug)]
pub(crate) struct Front {
    addr: SocketAddr,
    wire: Wire,
    stop: CancellationToken,
    task: Option<JoinHandle<io::Result<()>>>,
}

struct Shared<B> {
    wire: Wire,
    backend: B,
}

impl Front {
    /// Serves on a free loopback port.
    pub(crate) async fn start<B: Backend>(backend: B) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let addr = listener.local_addr()?;
        let wire = Wire::new(Gate::new());
        let listener = wire.gate().guard(listener);
        let shared = Arc::new(Shared {
            wire: wire.clone(),
            backend,
        });
        let app = Router::new()
            .fallback(serve::<B>)
            .with_state(shared)
            .into_make_service_with_connect_info::<Connection>();
        let stop = CancellationToken::new();
        let stopped = stop.clone().cancelled_owned();
        let serving = axum::serve(listener, app).with_graceful_shutdown(stopped);
        let task = tokio::spawn(async move { serving.await });
        Ok(Self {
            addr,
            wire,
            stop,
            task: Some(task),
        })
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    pub(crate) fn wire(&self) -> &Wire {
        &self.wire
    }

    /// Closes every connection, and returns once the port is free.
    pub(crate) async fn shutdown(mut self) {
        self.close();
        if let Some(task) = self.task.take() {
            // The task ends by itself; it fails only if it panicked, which has been printed.
            let _ = task.await;
        }
    }

    fn close(&self) {
        self.wire.set_down(true);
        self.stop.cancel();
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.close();
    }
}

async fn serve<B: Backend>(
    State(shared): State<Arc<Shared<B>>>,
    ConnectInfo(connection): ConnectInfo<Connection>,
    request: Request,
) -> Response {
    if request.method() == Method::POST {
        return match Bytes::from_request(limited(request), &()).await {
            Ok(body) => http::answer(&shared, &connection, &body).await,
            Err(refused) => refused.into_response(),
        };
    }
    let (mut parts, _) = request.into_parts();
    match WebSocketUpgrade::from_request_parts(&mut parts, &()).await {
        Ok(upgrade) => upgrade
            .max_message_size(MAX_BODY)
            .on_upgrade(move |socket| ws::serve(shared, connection, socket)),
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
