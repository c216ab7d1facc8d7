//! How one endpoint is reached: packets of JSON-RPC requests over HTTP or WebSocket.
//!
//! The innermost service of an endpoint's [stack](crate::layers).

mod http;
mod ws;

use std::{
    error::Error,
    io,
    task::{Context, Poll},
    time::Duration,
};

use alloy_json_rpc::ResponsePacket;
use futures::future::BoxFuture;
use tower::Service;
use url::Url;

use crate::{failure::Failure, layers::Call};
pub(crate) use http::HttpTransport;
pub(crate) use ws::{HeadSubscription, LogSubscription, WsTransport};

/// The way to one endpoint. Clones share the connections.
#[derive(Clone)]
pub(crate) enum Transport {
    Http(HttpTransport),
    Ws(WsTransport),
}

impl Transport {
    /// `None` where the URL's scheme is neither HTTP nor WebSocket.
    pub(crate) fn new(url: &Url, client: &reqwest::Client) -> Option<Self> {
        match url.scheme() {
            "http" | "https" => Some(Self::Http(HttpTransport::new(client.clone(), url.clone()))),
            "ws" | "wss" => Some(Self::Ws(WsTransport::new(url))),
            _ => None,
        }
    }

    /// Gives up the connection, if there is one that outlives a request.
    pub(crate) fn disconnect(&self) {
        match self {
            // The pool finds out by itself which of its connections are dead.
            Self::Http(_) => {}
            Self::Ws(ws) => ws.disconnect(),
        }
    }
}

/// Sends one packet. Bounds no time: the layers above do.
impl Service<Call> for Transport {
    type Response = ResponsePacket;
    type Error = Failure;
    type Future = BoxFuture<'static, Result<ResponsePacket, Failure>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, call: Call) -> Self::Future {
        let transport = self.clone();
        Box::pin(async move {
            match transport {
                Self::Http(http) => http.send(&call.packet).await,
                Self::Ws(ws) => ws.send(&call.packet).await,
            }
        })
    }
}

/// The I/O error at the bottom of `error`: the only part of a transport's error that is kept.
/// The texts above it may quote the URL.
fn io_kind(error: &(dyn Error + 'static)) -> io::ErrorKind {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(io) = error.downcast_ref::<io::Error>() {
            // An I/O error may wrap another library's error that wraps the real one.
            match io.get_ref() {
                Some(inner) if io.kind() == io::ErrorKind::Other => return io_kind(inner),
                _ => return io.kind(),
            }
        }
        next = error.source();
    }
    io::ErrorKind::Other
}

/// The wait that a `Retry-After` header asks for, where it counts seconds. Its other form, a
/// date, is hardly sent by any endpoint and needs a clock that agrees with theirs.
fn retry_after(header: Option<&[u8]>) -> Option<Duration> {
    let seconds = std::str::from_utf8(header?).ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_read_in_seconds() {
        assert_eq!(retry_after(Some(b" 7 ")), Some(Duration::from_secs(7)));
        for none in [None, Some(&b"-1"[..]), Some(b"soon"), Some(b"\xff")] {
            assert_eq!(retry_after(none), None);
        }
    }
}
