//! What a module adds to an error on its way up: what was being done, and for errors of other
//! libraries the kind.

use std::{convert::Infallible, fmt};

use super::{HostError, HostErrorKind, Result};

/// An error that `?` makes a [`HostError`]; nobody else implements it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not become a `HostError` by itself",
    label = "no `HostError`, and nothing makes one of it",
    note = "for an error of a library, write `.or_invalid(\"what was being read\")?` or `.or_internal(\"what was being done\")?`",
    note = "for an error of the module's own, write `impl From<{Self}> for HostError`"
)]
pub trait IntoHostError {
    /// The error as a module's.
    fn into_host_error(self) -> HostError;
}

#[diagnostic::do_not_recommend]
impl<E: Into<HostError>> IntoHostError for E {
    fn into_host_error(self) -> HostError {
        self.into()
    }
}

/// Says what was being done when something failed, before the failure's own message. The kind, the
/// code and the data stay.
pub trait Context<T>: Sized {
    /// What failed.
    type Error;

    /// Puts `doing` and a colon before the message.
    fn context(self, doing: impl fmt::Display) -> Result<T>
    where
        Self::Error: IntoHostError,
    {
        self.with_context(|| doing)
    }

    /// As [`Context::context`], made only where something failed.
    fn with_context<D: fmt::Display>(self, doing: impl FnOnce() -> D) -> Result<T>
    where
        Self::Error: IntoHostError;
}

impl<T, E> Context<T> for Result<T, E> {
    type Error = E;

    fn with_context<D: fmt::Display>(self, doing: impl FnOnce() -> D) -> Result<T>
    where
        E: IntoHostError,
    {
        self.map_err(|error| {
            let mut error = error.into_host_error();
            error.message = format!("{}: {}", doing(), error.message);
            error
        })
    }
}

impl<T> Context<T> for Option<T> {
    type Error = Infallible;

    /// Nothing where there must be something is an internal error with `missing` as its message.
    fn with_context<D: fmt::Display>(self, missing: impl FnOnce() -> D) -> Result<T> {
        self.ok_or_else(|| HostError::internal(missing().to_string()))
    }
}

/// Makes the error of any library, or a text, the module's own: whoever calls says of what kind it
/// is. What already is a [`HostError`], or becomes one with `?`, keeps its kind by
/// [`Context::context`] instead.
///
/// ```
/// use nexum_sdk::prelude::*;
///
/// fn cents(text: &str) -> Result<std::num::NonZeroU8> {
///     text.parse().or_invalid(format!("the cents {text:?}"))
/// }
/// assert_eq!(cents("0").unwrap_err().kind, HostErrorKind::InvalidInput);
///
/// fn decoded(bytes: Vec<u8>) -> Result<std::ffi::CString, HostError> {
///     std::ffi::CString::new(bytes).or_internal("the name in the state")
/// }
/// assert_eq!(decoded(vec![0]).unwrap_err().kind, HostErrorKind::Internal);
/// ```
pub trait Foreign<T>: Sized {
    /// An error of that kind, with `doing` and a colon before its own message.
    fn or_kind(self, kind: HostErrorKind, doing: impl fmt::Display) -> Result<T>;

    /// What the module was given is not what it takes.
    fn or_invalid(self, doing: impl fmt::Display) -> Result<T> {
        self.or_kind(HostErrorKind::InvalidInput, doing)
    }

    /// A failure that nobody who calls can do anything about.
    fn or_internal(self, doing: impl fmt::Display) -> Result<T> {
        self.or_kind(HostErrorKind::Internal, doing)
    }
}

impl<T, E: fmt::Display> Foreign<T> for Result<T, E> {
    fn or_kind(self, kind: HostErrorKind, doing: impl fmt::Display) -> Result<T> {
        self.map_err(|error| HostError::new(kind, format!("{doing}: {error}")))
    }
}
