//! What the attributes of a field ask of its type. Each is a trait of its own, so that the
//! compiler says what is wrong with a field in its words, and not in those of the expansion.

use std::{fmt::Display, ops::RangeBounds, str::FromStr};

use alloy_primitives::Bytes;

/// What `#[config(parse)]` reads.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be read by `#[config(parse)]`",
    label = "no `FromStr` with an error that can be displayed",
    note = "implement `std::str::FromStr` for it; its error says what is wrong and what to do"
)]
pub trait FromText: Sized {
    /// The value, or what is wrong with the text and what to do.
    fn from_text(text: &str) -> Result<Self, String>;
}

#[diagnostic::do_not_recommend]
impl<T: FromStr<Err: Display>> FromText for T {
    fn from_text(text: &str) -> Result<Self, String> {
        text.parse().map_err(|error: T::Err| error.to_string())
    }
}

/// What `#[config(range = …)]` takes for a field of the type `T`.
#[diagnostic::on_unimplemented(
    message = "this is no range of `{T}`",
    label = "of another type",
    note = "a range has the field's own type at its ends; of a list it is not taken"
)]
pub trait RangeOf<T> {
    /// True where the value is within.
    fn holds(&self, value: &T) -> bool;
}

#[diagnostic::do_not_recommend]
impl<T: PartialOrd, R: RangeBounds<T>> RangeOf<T> for R {
    fn holds(&self, value: &T) -> bool {
        self.contains(value)
    }
}

/// What `#[config(non_empty)]` can be asked of.
#[diagnostic::on_unimplemented(
    message = "a value of `{Self}` is never empty",
    label = "neither a text nor a list",
    note = "`#[config(non_empty)]` is for String, Bytes and lists (`Vec`)"
)]
pub trait CanBeEmpty {
    /// True where nothing is in it.
    fn is_nothing(&self) -> bool;
}

impl CanBeEmpty for String {
    fn is_nothing(&self) -> bool {
        self.is_empty()
    }
}

impl CanBeEmpty for Bytes {
    fn is_nothing(&self) -> bool {
        self.is_empty()
    }
}

impl<T> CanBeEmpty for Vec<T> {
    fn is_nothing(&self) -> bool {
        self.is_empty()
    }
}
