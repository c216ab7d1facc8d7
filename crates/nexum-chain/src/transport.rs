//! How one endpoint is reached: packets of JSON-RPC requests over HTTP or WebSocket.

mod http;
mod ws;

use std::{error::Error, io};

use alloy_json_rpc::{RequestPacket, ResponsePacket};
use url::Url;

use crate::failure::Failure;
pub(crate) use http::HttpTransport;
pub(crate) use ws::{HeadSubscription, WsTransport};

/// The way to one endpoint.
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

    /// Sends one packet. Bounds no time: the caller does.
    pub(crate) async fn send(&self, packet: RequestPacket) -> Result<ResponsePacket, Failure> {
        match self {
            Self::Http(http) => http.send(&packet).await,
            Self::Ws(ws) => ws.send(packet).await,
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
