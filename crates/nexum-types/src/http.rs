//! The port from a module's `http` imports to servers outside.

use std::time::Duration;

use crate::{BoxFuture, HostError};

/// One header field, as it stands in a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpHeader {
    /// The name. Case does not matter.
    pub name: String,
    /// The value.
    pub value: String,
}

/// A request as a module makes it. Nothing of it has been checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpRequest {
    /// The method, in capitals.
    pub method: String,
    /// An absolute URL.
    pub url: String,
    /// The header fields, in order. A name may occur more than once.
    pub headers: Vec<HttpHeader>,
    /// The body, if there is one.
    pub body: Option<Vec<u8>>,
    /// How long the whole exchange may take, if the module says so.
    pub timeout: Option<Duration>,
}

impl HttpRequest {
    /// Whether sending it is an effect outside of the state. `GET` and `HEAD` are none: they are
    /// safe to repeat (RFC 9110, section 9.2.1).
    #[must_use]
    pub fn is_effect(&self) -> bool {
        !matches!(self.method.as_str(), "GET" | "HEAD")
    }
}

/// A response, whatever its status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpResponse {
    /// The status, 100 to 599.
    pub status: u16,
    /// The header fields, in order, names in small letters.
    pub headers: Vec<HttpHeader>,
    /// The body, decoded.
    pub body: Vec<u8>,
}

/// Why there is no response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpFailure {
    /// What the module gets.
    pub error: HostError,
    /// What was denied, where a rule has denied it: a server or a header, without anything secret
    /// of a URL. The error's message is what to do about it then.
    pub denied: Option<String>,
    /// Whether a server may have got the request all the same, or one before a redirect: it may have
    /// acted then, whatever the error says. True wherever that is in doubt.
    pub was_sent: bool,
}

/// Requests of one module to servers outside.
///
/// The implementation holds every request against what the module and the operator allow. Every
/// error has the domain `http`, and none has a part of a URL beyond scheme, host and port, or text
/// of a server. Dropping the future ends the exchange.
pub trait HttpFetch: Send + Sync + 'static {
    /// Sends a request, and answers its response.
    fn fetch(&self, request: HttpRequest) -> BoxFuture<'_, Result<HttpResponse, HttpFailure>>;
}
