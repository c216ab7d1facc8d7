//! What can become of a request, in one table: the kind that the module decides on, and what it
//! and the operator read. No failure holds text of a server or a library.

use std::{error::Error, io, time::Duration};

use nexum_types::{HostError, HostErrorKind, HttpFailure};

use crate::lookup::{Refused, Unknown};

pub(crate) const DOMAIN: &str = "http";

/// Why there is no response. Servers are named by scheme, host and port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The request is malformed.
    Invalid(&'static str),
    /// The request has a header that is not the module's to set.
    Reserved(String),
    /// The request is larger than the operator allows.
    TooLargeRequest(u32),
    /// A rule forbids it.
    Denied(Denied),
    /// More than the module, or all of them, may ask at a time.
    OverRate(Duration),
    /// All requests that may be under way are.
    Busy,
    /// There is nothing to connect with.
    NoClient,
    /// The name of the server has no address.
    NoAddress(String),
    /// There is no connection to the server.
    Connect(String, Option<io::ErrorKind>),
    /// The server does not prove to be the one it should be, or speaks no TLS.
    Tls(String),
    /// The connection ended without a whole response, or what came was none.
    Lost(String),
    /// It redirects to what is no URL, or to one that cannot be sent.
    Location(String),
    /// What came is not what its headers say it is.
    Malformed(String),
    /// The response is larger than the operator allows.
    TooLarge(String, u32),
    /// More redirects than the operator allows, one after the other.
    Redirects(String, u32),
    /// No connection, no byte for too long, or no end in time.
    Timeout(String),
}

/// Which rule forbids a request, and to which server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Denied {
    /// The manifest does not list it.
    NotListed(String),
    /// The policy forbids it.
    Forbidden(String),
    /// The policy lists others only.
    BeyondPolicy(String),
    /// It would be reached in the clear.
    InTheClear(String),
    /// Its address is not of the public internet, and it is not listed for that.
    Address(String),
    /// It redirects to a URL that no request may have: of another scheme, or with userinfo.
    Redirect(String),
    /// The request sets a header that is a credential of the operator's.
    Credential(String, String),
}

impl Denied {
    /// What is denied, for the log.
    fn what(&self) -> String {
        match self {
            Self::NotListed(server) => {
                format!("http to {server}, which the manifest does not list")
            }
            Self::Forbidden(server) => format!("http to {server}, which the policy denies"),
            Self::BeyondPolicy(server) => {
                format!("http to {server}, which is not among those that the policy allows")
            }
            Self::InTheClear(server) => format!("http to {server} without TLS"),
            Self::Address(server) => {
                format!("http to {server}, whose address is not of the public internet")
            }
            Self::Redirect(server) => format!(
                "http to where {server} redirects: neither https nor http, or with userinfo"
            ),
            Self::Credential(server, header) => {
                format!("http to {server} with the header {header}, which is a credential's")
            }
        }
    }

    /// What to do about it.
    fn remedy(&self) -> String {
        let bare = |server: &str| server.strip_prefix("http://").unwrap_or(server).to_owned();
        match self {
            Self::NotListed(server) => {
                format!("add \"{server}\" to `allow` under [capabilities.http] of nexum.toml")
            }
            Self::Forbidden(server) => format!(
                "the operator's policy denies {server}: take it out of `http_deny`, or do without"
            ),
            Self::BeyondPolicy(server) => format!(
                "the operator's policy allows other servers only: add \"{server}\" to `http_allow`, or do without"
            ),
            Self::InTheClear(server) => format!(
                "ask it over https, or have the operator add \"{}\" to `allow_http` under [http]",
                bare(server)
            ),
            Self::Address(server) => format!(
                "if {server} is meant to be reached there, the operator adds \"{}\" to `allow_private` under [http]",
                bare(server)
            ),
            Self::Redirect(server) => format!(
                "{server} redirects to a URL whose scheme is neither https nor http, or which has userinfo: ask where it means to lead, or do without"
            ),
            Self::Credential(_, header) => format!(
                "leave the header {header} out: the operator's [[http.credentials]] set it for this server"
            ),
        }
    }
}

impl Failure {
    fn kind(&self) -> HostErrorKind {
        match self {
            Self::Invalid(_) | Self::Reserved(_) | Self::TooLargeRequest(_) => {
                HostErrorKind::InvalidInput
            }
            Self::Denied(_) => HostErrorKind::Denied,
            Self::OverRate(_) | Self::Busy => HostErrorKind::RateLimited,
            Self::Timeout(_) => HostErrorKind::Timeout,
            Self::NoClient
            | Self::NoAddress(_)
            | Self::Connect(..)
            | Self::Tls(_)
            | Self::Lost(_)
            | Self::Location(_)
            | Self::Malformed(_)
            | Self::TooLarge(..)
            | Self::Redirects(..) => HostErrorKind::Unavailable,
        }
    }

    fn message(&self) -> String {
        match self {
            Self::Invalid(what) => (*what).to_owned(),
            Self::Reserved(header) => format!(
                "the header {header} concerns the connection and is the engine's: leave it out"
            ),
            Self::TooLargeRequest(most) => format!(
                "the request has more than {most} bytes, which is `max_request_bytes` of the operator's [http]"
            ),
            Self::Denied(denied) => denied.remedy(),
            Self::OverRate(wait) => format!(
                "the module asks more than its rate allows; the next turn is in {} ms",
                wait.as_millis()
            ),
            Self::Busy => "all requests that may be under way at once are; try again".to_owned(),
            Self::NoClient => "the engine cannot set up a client for requests".to_owned(),
            Self::NoAddress(server) => format!("the name of {server} has no address"),
            Self::Connect(server, Some(kind)) => format!("no connection to {server}: {kind}"),
            Self::Connect(server, None) => format!("no connection to {server}"),
            Self::Tls(server) => format!(
                "no secure connection to {server}: its certificate does not hold, or it speaks no TLS"
            ),
            Self::Lost(server) => {
                format!("the connection to {server} ended without a whole response")
            }
            Self::Location(server) => {
                format!("{server} redirects to what is no URL, or one that cannot be sent")
            }
            Self::Malformed(server) => {
                format!("what {server} answered is not what its headers say")
            }
            Self::TooLarge(server, most) => format!(
                "the response of {server} has more than {most} bytes, which is `max_response_bytes` of the operator's [http]"
            ),
            Self::Redirects(server, most) => {
                format!("{server} redirects further than the {most} hops that the operator allows")
            }
            Self::Timeout(server) => format!("{server} did not answer in time"),
        }
    }

    /// What became of an exchange with `server`, by the types of what `error` is made of.
    pub(crate) fn of(error: &reqwest::Error, server: &str) -> Self {
        let server = || server.to_owned();
        if find::<Refused>(error).is_some() {
            return Self::Denied(Denied::Address(server()));
        }
        if find::<Unknown>(error).is_some() {
            return Self::NoAddress(server());
        }
        if error.is_timeout() {
            return Self::Timeout(server());
        }
        if find::<rustls::Error>(error).is_some() {
            return Self::Tls(server());
        }
        let io = find::<io::Error>(error).map(io::Error::kind);
        if error.is_connect() {
            return Self::Connect(server(), io);
        }
        match io {
            Some(io::ErrorKind::TimedOut) => Self::Timeout(server()),
            Some(_) | None => Self::Lost(server()),
        }
    }
}

/// Of a request that was not sent; what is known of one that was is for the exchange to say.
impl From<Failure> for HttpFailure {
    fn from(failure: Failure) -> Self {
        let denied = match &failure {
            Failure::Denied(denied) => Some(denied.what()),
            _ => None,
        };
        Self {
            error: HostError::new(DOMAIN, failure.kind(), failure.message()),
            denied,
            was_sent: false,
        }
    }
}

/// The first error of this type that `error` is or is caused by. An I/O error keeps what it wraps
/// to itself, and is asked for it.
fn find<'e, T: Error + 'static>(error: &'e (dyn Error + 'static)) -> Option<&'e T> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        next = match error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref)
        {
            Some(wrapped) => Some(wrapped as &(dyn Error + 'static)),
            None => error.source(),
        };
    }
    None
}
