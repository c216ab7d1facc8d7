//! The types that can stand at a key or in a list, and what each takes.

use std::{borrow::Cow, time::Duration};

use alloy_primitives::{Address, Bytes, FixedBytes, U256, hex};

use super::{ConfigField, Found, Kinds, Reader, Scalar, Shape, duration};

/// A type that one scalar of the configuration makes.
///
/// Implement it for a type of your own that stands at a key or in a list.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be read from one value of the configuration",
    label = "no type for a config value",
    note = "there are String, bool, integers, U256, Address, B256, Bytes and Duration; for another type, implement `nexum_sdk::config::FromScalar`"
)]
pub trait FromScalar: Sized {
    /// What it takes.
    const KINDS: Kinds;

    /// Makes the value.
    fn from_scalar(scalar: Scalar<'_>) -> Result<Self, Refusal>;
}

/// Why a scalar makes no value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// It is of a kind that the type does not take.
    Kind,
    /// It is of the right kind, and none of the values that the type takes.
    Value,
    /// As [`Refusal::Value`], and this says what is wrong and what to do.
    Because(Cow<'static, str>),
}

impl Refusal {
    /// As [`Refusal::Value`]; the reason says what is wrong and what to do.
    #[must_use]
    pub fn because(reason: impl Into<Cow<'static, str>>) -> Self {
        Self::Because(reason.into())
    }
}

#[diagnostic::do_not_recommend]
impl<T: FromScalar> ConfigField for T {
    const SHAPE: Shape = Shape::Scalar(T::KINDS);

    fn read(reader: &mut Reader<'_>, key: &'static str) -> Found<Self> {
        reader.scalar(key)
    }
}

#[diagnostic::do_not_recommend]
impl<T: FromScalar> ConfigField for Vec<T> {
    const SHAPE: Shape = Shape::List(T::KINDS);

    fn read(reader: &mut Reader<'_>, key: &'static str) -> Found<Self> {
        reader.list(key)
    }
}

impl FromScalar for String {
    const KINDS: Kinds = Kinds::TEXT;

    fn from_scalar(scalar: Scalar<'_>) -> Result<Self, Refusal> {
        text(scalar).map(str::to_owned)
    }
}

impl FromScalar for bool {
    const KINDS: Kinds = Kinds::boolean();

    fn from_scalar(scalar: Scalar<'_>) -> Result<Self, Refusal> {
        match scalar {
            Scalar::Boolean(truth) => Ok(truth),
            Scalar::String(_) | Scalar::Integer(_) => Err(Refusal::Kind),
        }
    }
}

macro_rules! integers {
    ($($type:ty: $words:literal;)*) => {$(
        impl FromScalar for $type {
            const KINDS: Kinds = Kinds::integer($words);

            fn from_scalar(scalar: Scalar<'_>) -> Result<Self, Refusal> {
                match scalar {
                    Scalar::Integer(number) => number.try_into().map_err(|_| Refusal::Value),
                    Scalar::String(_) | Scalar::Boolean(_) => Err(Refusal::Kind),
                }
            }
        }
    )*};
}

integers! {
    u8: "an integer from 0 to 255";
    u16: "an integer from 0 to 65535";
    u32: "an integer from 0 to 4294967295";
    usize: "an integer that is not negative";
    i8: "an integer from -128 to 127";
    i16: "an integer from -32768 to 32767";
    i32: "an integer from -2147483648 to 2147483647";
    i64: "an integer";
    isize: "an integer";
}

/// Types with values that no integer of the configuration has: those are written as strings.
macro_rules! wide_integers {
    ($($type:ty: $words:literal;)*) => {$(
        impl FromScalar for $type {
            const KINDS: Kinds = Kinds::integer_or_string($words);

            fn from_scalar(scalar: Scalar<'_>) -> Result<Self, Refusal> {
                let value = match scalar {
                    Scalar::Integer(number) => number.try_into().ok(),
                    Scalar::String(text) => {
                        digits(text).and_then(|(radix, digits)| Self::from_str_radix(digits, radix.into()).ok())
                    }
                    Scalar::Boolean(_) => return Err(Refusal::Kind),
                };
                value.ok_or(Refusal::Value)
            }
        }
    )*};
}

wide_integers! {
    u64: "an integer from 0 to 18446744073709551615, as a string where it is large";
    u128: "an integer from 0 to 2^128 - 1, as a string where it is large";
    i128: "an integer from -2^127 to 2^127 - 1, as a string where it is large";
    U256: "an integer from 0 to 2^256 - 1, as a string where it is large";
}

/// The digits, decimal or of hex after `0x`, and their radix; a minus stays with decimal ones.
fn digits(text: &str) -> Option<(u32, &str)> {
    let (radix, digits) = match text.strip_prefix("0x") {
        Some(digits) => (16, digits),
        None => (10, text),
    };
    let plain = match radix {
        10 => digits.strip_prefix('-').unwrap_or(digits),
        _ => digits,
    };
    let all = plain.chars().all(|digit| digit.is_digit(radix));
    (all && !plain.is_empty()).then_some((radix, digits))
}

impl FromScalar for Address {
    const KINDS: Kinds = Kinds::string("an address, \"0x\" and 40 hex digits");

    fn from_scalar(scalar: Scalar<'_>) -> Result<Self, Refusal> {
        let text = text(scalar)?;
        let address = Self::from(bytes::<20>(text)?);
        let letters = || text.bytes().skip(2).filter(u8::is_ascii_alphabetic);
        let one_case =
            letters().all(|c| c.is_ascii_lowercase()) || letters().all(|c| c.is_ascii_uppercase());
        if one_case || address.to_checksum(None) == text {
            return Ok(address);
        }
        Err(Refusal::because(
            "its checksum (EIP-55) is wrong: compare it with its source, since a digit may be \
             wrong; if none is, write it in small letters",
        ))
    }
}

impl<const N: usize> FromScalar for FixedBytes<N> {
    const KINDS: Kinds = Kinds::string(match N {
        32 => "32 bytes, \"0x\" and 64 hex digits",
        _ => "bytes in hex after \"0x\", as many as the type has",
    });

    fn from_scalar(scalar: Scalar<'_>) -> Result<Self, Refusal> {
        Ok(bytes::<N>(text(scalar)?)?.into())
    }
}

impl FromScalar for Bytes {
    const KINDS: Kinds = Kinds::string("bytes in hex after \"0x\"");

    fn from_scalar(scalar: Scalar<'_>) -> Result<Self, Refusal> {
        let digits = hex_digits(text(scalar)?)?;
        let bytes = hex::decode(digits).map_err(|_| Refusal::Value)?;
        Ok(bytes.into())
    }
}

impl FromScalar for Duration {
    const KINDS: Kinds = Kinds::string("a duration such as \"30s\" or \"1h 30m\"");

    fn from_scalar(scalar: Scalar<'_>) -> Result<Self, Refusal> {
        match scalar {
            Scalar::String(text) => duration::parse(text).ok_or(Refusal::Value),
            Scalar::Integer(_) | Scalar::Boolean(_) => Err(Refusal::Kind),
        }
    }
}

fn text(scalar: Scalar<'_>) -> Result<&str, Refusal> {
    match scalar {
        Scalar::String(text) => Ok(text),
        Scalar::Integer(_) | Scalar::Boolean(_) => Err(Refusal::Kind),
    }
}

fn bytes<const N: usize>(text: &str) -> Result<[u8; N], Refusal> {
    let mut bytes = [0; N];
    hex::decode_to_slice(hex_digits(text)?, &mut bytes).map_err(|_| Refusal::Value)?;
    Ok(bytes)
}

/// What stands after `0x`. The decoder would take a second one.
fn hex_digits(text: &str) -> Result<&str, Refusal> {
    match text.strip_prefix("0x") {
        Some(digits) if !digits.starts_with("0x") => Ok(digits),
        _ => Err(Refusal::Value),
    }
}
