//! Connections that can be cut at any moment, or frozen.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Waker},
};

use axum::{
    extract::connect_info::Connected,
    serve::{IncomingStream, Listener},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// Decides whether connections live. Cutting takes those that are open, too.
#[derive(Debug, Clone)]
pub(crate) struct Gate(Arc<Mutex<GateState>>);

#[derive(Debug, Default)]
struct GateState {
    closed: bool,
    frozen: bool,
    /// Who waits for the thaw.
    waiting: Vec<Waker>,
    refused: usize,
    /// Cancelled to cut the connections made since it was new.
    cut: CancellationToken,
}

impl Gate {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Mutex::new(GateState::default())))
    }

    pub(crate) fn set_closed(&self, closed: bool) {
        let mut state = self.state();
        state.closed = closed;
        if closed {
            std::mem::take(&mut state.cut).cancel();
        }
    }

    pub(crate) fn cut_all(&self) {
        std::mem::take(&mut self.state().cut).cancel();
    }

    pub(crate) fn set_frozen(&self, frozen: bool) {
        let mut state = self.state();
        state.frozen = frozen;
        if !frozen {
            state.waiting.drain(..).for_each(Waker::wake);
        }
    }

    pub(crate) fn refused(&self) -> usize {
        self.state().refused
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

    /// Ready where bytes may pass.
    fn poll_open(&self, cx: &Context<'_>) -> Poll<()> {
        let mut state = self.state();
        if !state.frozen {
            return Poll::Ready(());
        }
        if !state
            .waiting
            .iter()
            .any(|waker| waker.will_wake(cx.waker()))
        {
            state.waiting.push(cx.waker().clone());
        }
        Poll::Pending
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
                let connection = Connection {
                    cut: cut.clone(),
                    left: Arc::new(AtomicUsize::new(usize::MAX)),
                };
                let guarded = GuardedStream {
                    stream,
                    gate: self.gate.clone(),
                    cut: Box::pin(cut.cancelled_owned()),
                    connection,
                };
                return (guarded, addr);
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// What a handler can do to the connection it answers on.
#[derive(Debug, Clone)]
pub(super) struct Connection {
    cut: CancellationToken,
    /// How many bytes may still be written; `usize::MAX` is any number.
    left: Arc<AtomicUsize>,
}

impl Connection {
    /// The connection ends after so many bytes more.
    pub(super) fn cut_after(&self, bytes: usize) {
        self.left.store(bytes, Ordering::Relaxed);
    }

    /// Returns once the connection has been cut.
    pub(super) async fn ended(&self) {
        self.cut.cancelled().await;
    }
}

impl Connected<IncomingStream<'_, GuardedListener>> for Connection {
    fn connect_info(stream: IncomingStream<'_, GuardedListener>) -> Self {
        stream.io().connection.clone()
    }
}

pub(super) struct GuardedStream {
    stream: TcpStream,
    gate: Gate,
    cut: Pin<Box<WaitForCancellationFutureOwned>>,
    connection: Connection,
}

impl GuardedStream {
    /// An error where the connection is cut, and pending where it is frozen.
    fn poll_passable(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.cut.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
            Poll::Pending => self.gate.poll_open(cx).map(Ok),
        }
    }
}

impl AsyncRead for GuardedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        std::task::ready!(self.poll_passable(cx))?;
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for GuardedStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        std::task::ready!(self.poll_passable(cx))?;
        let left = self.connection.left.load(Ordering::Relaxed);
        if left == 0 {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        let allowed = &buf[..buf.len().min(left)];
        let written = std::task::ready!(Pin::new(&mut self.stream).poll_write(cx, allowed))?;
        if left != usize::MAX {
            self.connection
                .left
                .store(left - written, Ordering::Relaxed);
        }
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
