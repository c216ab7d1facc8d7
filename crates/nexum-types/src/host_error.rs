//! The one error that crosses into a module: `host-error` of `nexum:host/types`.

use std::fmt;

/// What kind of failure a module meets; it decides on this, never on the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HostErrorKind {
    /// The engine has no such capability, or not for this module.
    Unsupported,
    /// The thing asked is out of reach for now; the same call may succeed later.
    Unavailable,
    /// A grant is missing: the manifest or the operator does not allow it.
    Denied,
    /// Too many calls in too short a time.
    RateLimited,
    /// No answer within the time allowed.
    Timeout,
    /// The arguments are not what the function takes.
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
}

impl fmt::Display for HostErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A failure as a module sees it.
///
/// Neither `message` nor `data` ever holds the secret part of a URL, a path of the host, or an
/// upstream's raw text where that could hold one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{domain}: {message} ({kind}, code {code})")]
pub struct HostError {
    /// Where it arose: the interface's name (`chain`, `local-store`), or a module's own word.
    pub domain: String,
    /// What kind of failure it is.
    pub kind: HostErrorKind,
    /// A code within the domain; for `chain` the JSON-RPC error code. 0 where there is none.
    pub code: i32,
    /// For people: what failed, on what, and what to do.
    pub message: String,
    /// Further data, for example a call's revert data as 0x-prefixed hex.
    pub data: Option<String>,
}

impl HostError {
    /// An error without code or data.
    #[must_use]
    pub fn new(domain: &str, kind: HostErrorKind, message: impl Into<String>) -> Self {
        Self {
            domain: domain.into(),
            kind,
            code: 0,
            message: message.into(),
            data: None,
        }
    }

    /// The same error with a code.
    #[must_use]
    pub fn with_code(mut self, code: i32) -> Self {
        self.code = code;
        self
    }

    /// The same error with data.
    #[must_use]
    pub fn with_data(mut self, data: impl Into<String>) -> Self {
        self.data = Some(data.into());
        self
    }
}
