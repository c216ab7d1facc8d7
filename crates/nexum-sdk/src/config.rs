//! Typed configuration: from the entries that `init` is given to a type of the module's own.

use crate::{Result, bindings::nexum::host::types as raw, module::Config};

/// A type that a module's configuration is read into.
pub trait NexumConfig: Sized {
    /// Reads all entries. An error names every entry that is wrong, missing or unknown.
    fn from_config(config: &Config) -> Result<Self>;
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
