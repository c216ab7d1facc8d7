//! The interface `http`: requests to servers that the manifest lists and the operator does not
//! forbid. The engine adds the operator's credentials after a request has left the module.
//!
//! A status is no error: a 404 or a 500 is a [`Response`]. Where there was none, the error has
//! the domain `http`. A request other than `GET` or `HEAD` is an effect outside of the state: it
//! is not taken back when the call fails, and comes again when the event does.

use std::time::Duration;

use serde::{Serialize, de::DeserializeOwned};

use crate::{Context, HostError, HostErrorKind, Result, host};

/// One header field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// The name. Case does not matter.
    pub name: String,
    /// The value, visible ASCII, without line breaks.
    pub value: String,
}

/// A request. Made by [`get`], [`post`] and their kin, and sent by [`Request::send`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "a request does nothing until it is sent"]
pub struct Request {
    /// The method, in capitals.
    pub method: String,
    /// An absolute URL, `https` or `http`, without userinfo.
    pub url: String,
    /// The header fields, in order. A name may occur more than once.
    pub headers: Vec<Header>,
    /// The body, if the request has one.
    pub body: Option<Vec<u8>>,
    /// How long the whole exchange may take, in milliseconds. None leaves it to the engine.
    pub timeout_ms: Option<u32>,
}

/// A response, whatever its status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// The status, 100 to 599.
    pub status: u16,
    /// The header fields, in order, names in small letters.
    pub headers: Vec<Header>,
    /// The body. May be empty.
    pub body: Vec<u8>,
}

/// A `GET` of `url`.
pub fn get(url: impl Into<String>) -> Request {
    Request::new("GET", url)
}

/// A `POST` to `url`.
pub fn post(url: impl Into<String>) -> Request {
    Request::new("POST", url)
}

/// A `PUT` to `url`.
pub fn put(url: impl Into<String>) -> Request {
    Request::new("PUT", url)
}

/// A `DELETE` of `url`.
pub fn delete(url: impl Into<String>) -> Request {
    Request::new("DELETE", url)
}

impl Request {
    /// A request of that method, in capitals.
    pub fn new(method: impl Into<String>, url: impl Into<String>) -> Self {
        Self {
            method: method.into(),
            url: url.into(),
            headers: Vec::new(),
            body: None,
            timeout_ms: None,
        }
    }

    /// Adds a header field.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push(Header {
            name: name.into(),
            value: value.into(),
        });
        self
    }

    /// Sets the body.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = Some(body.into());
        self
    }

    /// Sets the body to `value` as JSON, and `content-type` with it.
    pub fn json(self, value: &impl Serialize) -> Result<Self> {
        let body = serde_json::to_vec(value)?;
        Ok(self.header("content-type", "application/json").body(body))
    }

    /// How long the whole exchange may take, to the millisecond. The operator's limit caps it.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout_ms = Some(u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX));
        self
    }

    /// Sends it and waits for the response.
    pub fn send(&self) -> Result<Response> {
        host::with(|host| host.fetch(self))
    }
}

impl Response {
    /// True for the statuses 200 to 299.
    #[must_use]
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The response where its status says success. Otherwise an error in the domain `http` with
    /// the status as its code: `rate-limited` for 429, `unavailable` for 5xx, `denied` for 401 and
    /// 403, and `invalid-input` for all else.
    pub fn error_for_status(self) -> Result<Self> {
        if self.is_success() {
            return Ok(self);
        }
        let kind = match self.status {
            429 => HostErrorKind::RateLimited,
            401 | 403 => HostErrorKind::Denied,
            500.. => HostErrorKind::Unavailable,
            _ => HostErrorKind::InvalidInput,
        };
        let message = format!("the server answered status {}", self.status);
        let mut error = HostError::new(kind, message).in_domain("http");
        error.code = i32::from(self.status);
        Err(error)
    }

    /// The first header field of that name. Case does not matter.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut named = self
            .headers
            .iter()
            .filter(|header| header.name.eq_ignore_ascii_case(name));
        named.next().map(|header| header.value.as_str())
    }

    /// The body as text.
    pub fn text(&self) -> Result<&str> {
        str::from_utf8(&self.body)
            .map_err(|_| HostError::invalid_input("the body is not UTF-8").in_domain("http"))
    }

    /// The body read as JSON.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_slice(&self.body).context("the body of the response")
    }
}
