//! The one error of a module, and how the errors of the libraries beneath become it.

mod context;
mod libraries;

use std::{error::Error, fmt};

pub use context::{Context, Foreign, IntoHostError};

/// What kind of failure it is. A module decides on this, never on the text of the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HostErrorKind {
    /// The engine has no such capability, or this module was not granted it.
    Unsupported,
    /// What was asked is out of reach for now; the same call may succeed later.
    Unavailable,
    /// A rule forbids it: the manifest, the operator's policy, a quota or an allowlist.
    Denied,
    /// Too many calls in too short a time. Try again later.
    RateLimited,
    /// There was no answer in the time allowed. It is not known whether the other side acted.
    Timeout,
    /// The arguments are not what the function takes. The same call fails again.
    InvalidInput,
    /// A failure that the caller can do nothing about.
    Internal,
}

impl HostErrorKind {
    /// The kind as the contract spells it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unsupported => "unsupported",
            Self::Unavailable => "unavailable",
            Self::Denied => "denied",
            Self::RateLimited => "rate-limited",
            Self::Timeout => "timeout",
            Self::InvalidInput => "invalid-input",
            Self::Internal => "internal",
        }
    }

    /// The kind that the contract gives to a node's own error, by its JSON-RPC code.
    #[must_use]
    pub fn of_node(code: i64) -> Self {
        match code {
            3 | -32600 | -32602 => Self::InvalidInput,
            -32601 | -32004 => Self::Unsupported,
            -32001 | -32002 => Self::Unavailable,
            429 | -32005 | -32029 => Self::RateLimited,
            _ => Self::Internal,
        }
    }
}

impl fmt::Display for HostErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// `host-error` of the contract: what a host function answers, and what a handler returns.
///
/// A handler returns it with `?` from host calls and from the errors of alloy, `serde_json`, the
/// standard library's parsers and this crate; any other error becomes one with
/// [`or_invalid`](Foreign::or_invalid) or [`or_internal`](Foreign::or_internal). The engine then delivers the event again, after a pause. An event that can never
/// be dealt with is to be logged and answered with `Ok`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostError {
    /// Where it arose: the name of an interface, such as `chain`, or a word of the module's own.
    pub domain: String,
    /// What kind of failure it is.
    pub kind: HostErrorKind,
    /// A code within the domain, 0 where there is none. In `chain` it is the code of the JSON-RPC
    /// error.
    pub code: i32,
    /// For people: what failed, on what, and what to do about it.
    pub message: String,
    /// Further data where the domain has some, such as the data of a call that reverted, as
    /// 0x-prefixed hex.
    pub data: Option<String>,
}

/// What a handler returns, and every function of this crate that can fail.
pub type Result<T, E = HostError> = std::result::Result<T, E>;

impl HostError {
    /// The domain of an error that names none.
    pub const DOMAIN: &'static str = "module";

    /// An error of the module's own, without code or data.
    #[must_use]
    pub fn new(kind: HostErrorKind, message: impl Into<String>) -> Self {
        Self {
            domain: Self::DOMAIN.into(),
            kind,
            code: 0,
            message: message.into(),
            data: None,
        }
    }

    /// Something the module was given is not what it takes.
    #[must_use]
    pub fn invalid_input(message: impl Into<String>) -> Self {
        Self::new(HostErrorKind::InvalidInput, message)
    }

    /// Something is out of reach for now.
    #[must_use]
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(HostErrorKind::Unavailable, message)
    }

    /// A failure that nobody who calls can do anything about.
    #[must_use]
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(HostErrorKind::Internal, message)
    }

    /// The same error in another domain.
    #[must_use]
    pub fn in_domain(mut self, domain: impl Into<String>) -> Self {
        self.domain = domain.into();
        self
    }

    /// True where a later attempt may go better: the endpoint is down, busy or late.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        matches!(
            self.kind,
            HostErrorKind::Unavailable | HostErrorKind::RateLimited | HostErrorKind::Timeout
        )
    }
}

impl fmt::Display for HostError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} ({}", self.domain, self.message, self.kind)?;
        match self.code {
            0 => f.write_str(")"),
            code => write!(f, ", code {code})"),
        }
    }
}

impl Error for HostError {}

mod contract {
    //! From and to the generated types.

    use super::{HostError, HostErrorKind};
    use crate::bindings::nexum::host::types as raw;

    impl From<raw::HostError> for HostError {
        fn from(error: raw::HostError) -> Self {
            Self {
                domain: error.domain,
                kind: error.kind.into(),
                code: error.code,
                message: error.message,
                data: error.data,
            }
        }
    }

    impl From<HostError> for raw::HostError {
        fn from(error: HostError) -> Self {
            Self {
                domain: error.domain,
                kind: error.kind.into(),
                code: error.code,
                message: error.message,
                data: error.data,
            }
        }
    }

    macro_rules! same_kinds {
        ($($kind:ident),*) => {
            impl From<raw::HostErrorKind> for HostErrorKind {
                fn from(kind: raw::HostErrorKind) -> Self {
                    match kind { $(raw::HostErrorKind::$kind => Self::$kind),* }
                }
            }

            impl From<HostErrorKind> for raw::HostErrorKind {
                fn from(kind: HostErrorKind) -> Self {
                    match kind { $(HostErrorKind::$kind => Self::$kind),* }
                }
            }
        };
    }

    same_kinds!(
        Unsupported,
        Unavailable,
        Denied,
        RateLimited,
        Timeout,
        InvalidInput,
        Internal
    );
}
