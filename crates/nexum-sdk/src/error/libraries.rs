//! The errors of the libraries that every module has at hand, as a module's.

use std::convert::Infallible;

use alloy_primitives::{
    AddressError, BigIntConversionError, ParseSignedError, SignatureError,
    hex::FromHexError,
    ruint::{FromUintError, ParseError, ToUintError},
    utils::UnitsError,
};

use super::HostError;

/// Errors that say the input is wrong, each after a word for what it was read as.
macro_rules! refusals {
    ($($error:ty: $what:literal;)*) => {$(
        impl From<$error> for HostError {
            fn from(error: $error) -> Self {
                Self::invalid_input(format!(concat!($what, ": {}"), error))
            }
        }
    )*};
}

refusals! {
    serde_json::Error: "JSON";
    alloy_sol_types::Error: "ABI";
    FromHexError: "hex";
    AddressError: "address";
    ParseError: "integer";
    ParseSignedError: "integer";
    BigIntConversionError: "integer";
    UnitsError: "amount";
    SignatureError: "signature";
    std::num::ParseIntError: "integer";
    std::num::TryFromIntError: "integer";
    std::num::ParseFloatError: "number";
    std::str::ParseBoolError: "boolean";
    std::str::Utf8Error: "text";
    std::string::FromUtf8Error: "text";
    std::array::TryFromSliceError: "bytes";
}

impl<T> From<FromUintError<T>> for HostError {
    fn from(error: FromUintError<T>) -> Self {
        Self::invalid_input(format!("integer: {error}"))
    }
}

impl<T> From<ToUintError<T>> for HostError {
    fn from(error: ToUintError<T>) -> Self {
        Self::invalid_input(format!("integer: {error}"))
    }
}

impl From<Infallible> for HostError {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}
