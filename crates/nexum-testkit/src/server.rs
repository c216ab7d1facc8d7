//! The scripted chain as a real JSON-RPC server: HTTP and WebSocket on one loopback port.
//!
//! Every path is served, so that an endpoint's URL may carry a key. A test changes the
//! [`Wire`] and the [`View`] while clients are connected. Several servers can stand in front of
//! one chain, as the endpoints of several providers do.

mod dispatch;
mod scripted;
mod session;

use std::{
    collections::BTreeMap,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crate::{
    Injection, RequestLog, RpcAnswer, ScriptedChain, View, Wire,
    front::{Backend, Front, Outbox, Unreachable},
    message::Message,
};
use session::Subscriptions;

/// A JSON-RPC server in front of a [`ScriptedChain`]. Stops when dropped.
#[derive(Debug)]
pub struct RpcServer {
    truth: Arc<Truth>,
    front: Front,
}

/// What the server knows, and what it says in its place.
#[derive(Debug)]
struct Truth {
    chain: ScriptedChain,
    says: Mutex<Says>,
}

#[derive(Debug, Default)]
struct Says {
    view: View,
    scripted: BTreeMap<String, RpcAnswer>,
}

impl Truth {
    fn says(&self) -> MutexGuard<'_, Says> {
        self.says.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn view(&self) -> View {
        self.says().view.clone()
    }

    fn now(&self, method: &str) -> (Option<RpcAnswer>, View) {
        let says = self.says();
        (says.scripted.get(method).cloned(), says.view.clone())
    }
}

struct Scripted(Arc<Truth>);

impl Backend for Scripted {
    type Session = Subscriptions;

    async fn answer(&self, message: &Message) -> Result<Option<String>, Unreachable> {
        Ok(dispatch::answer(&self.0, message, |_, _| None))
    }

    async fn open(&self, outbox: Outbox) -> Result<Subscriptions, Unreachable> {
        Ok(Subscriptions::new(Arc::clone(&self.0), outbox))
    }
}

impl RpcServer {
    /// Serves `chain` on a free loopback port.
    pub async fn start(chain: ScriptedChain) -> io::Result<Self> {
        let truth = Arc::new(Truth {
            chain,
            says: Mutex::default(),
        });
        let front = Front::start(Scripted(Arc::clone(&truth))).await?;
        Ok(Self { truth, front })
    }

    /// The chain it serves.
    #[must_use]
    pub fn chain(&self) -> &ScriptedChain {
        &self.truth.chain
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

    /// What it shows of the chain.
    #[must_use]
    pub fn view(&self) -> View {
        self.truth.view()
    }

    /// Changes what it shows of the chain, from the next request on.
    pub fn change_view<T>(&self, change: impl FnOnce(&mut View) -> T) -> T {
        change(&mut self.truth.says().view)
    }

    /// Answers `method` with this from now on, whatever its parameters; `None`: with the truth.
    pub fn set_answer(&self, method: &str, answer: Option<RpcAnswer>) {
        let scripted = &mut self.truth.says().scripted;
        match answer {
            Some(answer) => scripted.insert(method.to_owned(), answer),
            None => scripted.remove(method),
        };
    }

    /// A good node again: its wire is healed, its view and its answers are the truth.
    pub fn heal(&self) {
        *self.truth.says() = Says::default();
        self.wire().heal();
    }

    /// See [`Wire::set_down`].
    pub fn set_down(&self, down: bool) {
        self.wire().set_down(down);
    }

    /// See [`Wire::refused_connections`].
    #[must_use]
    pub fn refused_connections(&self) -> usize {
        self.wire().refused_connections()
    }

    /// See [`Wire::set_latency`].
    pub fn set_latency(&self, latency: Duration) {
        self.wire().set_latency(latency);
    }

    /// See [`Wire::set_muted`].
    pub fn set_muted(&self, muted: bool) {
        self.wire().set_muted(muted);
    }

    /// See [`Wire::inject`].
    pub fn inject(&self, injection: Injection) {
        self.wire().inject(injection);
    }

    /// See [`Wire::request_log`].
    #[must_use]
    pub fn request_log(&self) -> RequestLog {
        self.wire().request_log()
    }

    /// See [`Wire::clear_request_log`].
    pub fn clear_request_log(&self) {
        self.wire().clear_request_log();
    }

    /// Closes every connection, and returns once the port is free.
    pub async fn shutdown(self) {
        self.front.shutdown().await;
    }
}
