//! Typed configuration: from the entries that `init` is given to a type of the module's own.
//!
//! A struct under `#[derive(NexumConfig)]` says which keys there are and what each takes
//! ([`NexumConfig`]); what can stand at a key is a [`ConfigField`], what can stand in a list too
//! is [`FromScalar`]. Reading never stops at the first problem: [`ConfigErrors`] has all of them.
//!
//! What a type takes is also there as a constant, its [`Schema`], so that the manifest's
//! `[config]` is held against it when the module is compiled.

mod conditions;
mod duration;
mod errors;
mod nearest;
mod reader;
mod schema;
mod types;

use crate::{Result, bindings::nexum::host::types as raw, module::Config};

pub use conditions::{CanBeEmpty, FromText, RangeOf};
pub use errors::{ConfigErrors, ConfigProblem};
pub use nearest::Name;
pub use reader::{Found, Reader};
pub use schema::{FieldSpec, Fit, Given, Kinds, Schema, Shape, Text, complaint};
pub use types::{FromScalar, Refusal};

/// A type that a module's configuration is read into. Derive it.
///
/// # What the derive takes
///
/// A struct with named fields. A field's name is its key; a field whose type derives
/// `NexumConfig` too is a table, whose fields have dotted keys.
///
/// | Field | Takes |
/// |---|---|
/// | `String`, `bool` | a string, a boolean |
/// | `u8` to `u32`, `i8` to `i64`, `usize`, `isize` | an integer that fits |
/// | `u64`, `u128`, `i128`, `U256` | an integer, or a string of decimal digits or of hex after `0x` |
/// | `Address` | a string; letters of both cases are a checksum (EIP-55) and must be right |
/// | `B256`, `FixedBytes<N>`, `Bytes` | a string: hex after `0x` |
/// | `Duration` | a string such as `"30s"` or `"1h 30m"`; units are `ms`, `s`, `m`, `h`, `d` |
/// | `Vec<T>` of any of these | a list |
/// | `Option<T>` of any of these | the same, or no such key |
///
/// | Attribute | Means |
/// |---|---|
/// | `#[config(default)]` | where the key is missing, the type's `Default` |
/// | `#[config(default = expr)]` | where the key is missing, this |
/// | `#[config(range = 1..=10)]` | the value must be within |
/// | `#[config(non_empty)]` | a text or a list must have something in it |
/// | `#[config(parse)]` | a string that the type's `FromStr` takes |
/// | `#[config(rename = "key")]` | the key, where it is not the field's name |
///
/// A key that no field has is refused, with the nearest that one has.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no typed configuration",
    label = "not `NexumConfig`",
    note = "write `#[derive(NexumConfig)]` on the struct `{Self}`; a handler takes it by reference"
)]
pub trait NexumConfig: Sized {
    /// Which keys it takes, and what each takes.
    const SCHEMA: Schema;

    /// Reads the fields, and reports every problem with them to `reader`; `None` where there was
    /// one. Keys that are no field's are not looked at.
    fn read(reader: &mut Reader<'_>) -> Option<Self>;

    /// Reads all entries. An error names every entry that is wrong, missing or unknown.
    fn from_config(config: &Config) -> Result<Self, ConfigErrors> {
        let mut reader = Reader::new(config);
        let read = Self::read(&mut reader);
        reader.finish(&Self::SCHEMA, read)
    }
}

/// What can stand at a key: a scalar, a list of scalars, or a table.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be read from the configuration",
    label = "no type for a config field",
    note = "there are String, bool, integers, U256, Address, B256, Bytes, Duration, lists (`Vec`) of these, `Option`, and structs that derive `NexumConfig`",
    note = "for another type, implement `nexum_sdk::config::FromScalar`, or write `#[config(parse)]` where it has `FromStr`"
)]
pub trait ConfigField: Sized {
    /// What it takes.
    const SHAPE: Shape;

    /// Reads what stands at `key`, within the table that `reader` is at.
    fn read(reader: &mut Reader<'_>, key: &'static str) -> Found<Self>;

    /// What becomes of a field whose key is missing: a problem, or for a table whatever its own
    /// fields say. `about` is what the field's documentation says.
    fn missing(reader: &mut Reader<'_>, key: &'static str, about: &str) -> Option<Self> {
        reader.report_missing(key, &Self::SHAPE, about);
        None
    }
}

/// The entries as they are, for a module that reads them by hand.
impl NexumConfig for Config {
    const SCHEMA: Schema = Schema::Anything;

    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        Some(reader.entries().to_vec())
    }
}

/// No configuration: any key is one too many.
impl NexumConfig for () {
    const SCHEMA: Schema = Schema::Fields(&[]);

    fn read(_: &mut Reader<'_>) -> Option<Self> {
        Some(())
    }
}

/// A value of the configuration. There are no floats: an amount is an integer in base units, or a
/// string where it may not fit one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConfigValue {
    /// A text.
    String(String),
    /// A signed integer of 64 bits.
    Integer(i64),
    /// True or false.
    Boolean(bool),
    /// A list of scalars, which may be of different types.
    List(Vec<ConfigScalar>),
}

/// A value inside a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConfigScalar {
    /// A text.
    String(String),
    /// A signed integer of 64 bits.
    Integer(i64),
    /// True or false.
    Boolean(bool),
}

/// A scalar, wherever it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scalar<'a> {
    /// A text.
    String(&'a str),
    /// A signed integer of 64 bits.
    Integer(i64),
    /// True or false.
    Boolean(bool),
}

impl<'a> From<&'a ConfigScalar> for Scalar<'a> {
    fn from(scalar: &'a ConfigScalar) -> Self {
        match scalar {
            ConfigScalar::String(text) => Self::String(text),
            ConfigScalar::Integer(number) => Self::Integer(*number),
            ConfigScalar::Boolean(truth) => Self::Boolean(*truth),
        }
    }
}

impl From<&str> for ConfigValue {
    fn from(text: &str) -> Self {
        Self::String(text.to_owned())
    }
}

impl From<String> for ConfigValue {
    fn from(text: String) -> Self {
        Self::String(text)
    }
}

impl From<i64> for ConfigValue {
    fn from(number: i64) -> Self {
        Self::Integer(number)
    }
}

impl From<bool> for ConfigValue {
    fn from(truth: bool) -> Self {
        Self::Boolean(truth)
    }
}

impl<T: Into<ConfigScalar>> From<Vec<T>> for ConfigValue {
    fn from(list: Vec<T>) -> Self {
        Self::List(list.into_iter().map(Into::into).collect())
    }
}

impl From<&str> for ConfigScalar {
    fn from(text: &str) -> Self {
        Self::String(text.to_owned())
    }
}

impl From<String> for ConfigScalar {
    fn from(text: String) -> Self {
        Self::String(text)
    }
}

impl From<i64> for ConfigScalar {
    fn from(number: i64) -> Self {
        Self::Integer(number)
    }
}

impl From<bool> for ConfigScalar {
    fn from(truth: bool) -> Self {
        Self::Boolean(truth)
    }
}

impl From<raw::ConfigValue> for ConfigValue {
    fn from(value: raw::ConfigValue) -> Self {
        match value {
            raw::ConfigValue::String(text) => Self::String(text),
            raw::ConfigValue::Integer(number) => Self::Integer(number),
            raw::ConfigValue::Boolean(truth) => Self::Boolean(truth),
            raw::ConfigValue::List(list) => {
                Self::List(list.into_iter().map(ConfigScalar::from).collect())
            }
        }
    }
}

impl From<raw::ConfigScalar> for ConfigScalar {
    fn from(value: raw::ConfigScalar) -> Self {
        match value {
            raw::ConfigScalar::String(text) => Self::String(text),
            raw::ConfigScalar::Integer(number) => Self::Integer(number),
            raw::ConfigScalar::Boolean(truth) => Self::Boolean(truth),
        }
    }
}
