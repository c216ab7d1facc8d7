//! A module's configuration: what its author wrote, with the operator's values laid over.

/// The entries that `init` takes, in the order of their keys. Nested tables have become dotted
/// keys.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Config(pub Vec<(String, ConfigValue)>);

/// One value. There are no floats: an amount is an integer in base units, or a string.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConfigValue {
    /// A text.
    String(String),
    /// A signed 64-bit integer.
    Integer(i64),
    /// True or false.
    Boolean(bool),
    /// A list of scalars, which may be of different types.
    List(Vec<ConfigScalar>),
}

/// A value inside a list. WIT has no recursive types, so lists do not nest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConfigScalar {
    /// A text.
    String(String),
    /// A signed 64-bit integer.
    Integer(i64),
    /// True or false.
    Boolean(bool),
}
