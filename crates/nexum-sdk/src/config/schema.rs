//! What a configuration takes, as constants, and what is known to be wrong without reading it.
//!
//! Everything here can be evaluated by the compiler: `#[nexum::module]` holds the manifest's
//! `[config]` against the schema with it.

use super::nearest::{Name, nearest};

/// Which keys a configuration takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Schema {
    /// Any.
    Anything,
    /// Those of these fields.
    Fields(&'static [FieldSpec]),
}

/// One field of a configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FieldSpec {
    /// Its key within its table.
    pub key: &'static str,
    /// What it takes.
    pub shape: Shape,
    /// Whether the key must be there.
    pub required: bool,
    /// The first sentence of its documentation, without the full stop; empty where there is none.
    pub about: &'static str,
}

/// What a field takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// A scalar.
    Scalar(Kinds),
    /// A list of scalars, each of which is this.
    List(Kinds),
    /// A table with these fields.
    Table(&'static [FieldSpec]),
}

/// The scalars that a type takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kinds {
    /// Some strings.
    pub string: bool,
    /// Some integers.
    pub integer: bool,
    /// Booleans.
    pub boolean: bool,
    /// All in words, with an article: `an integer from 0 to 255`.
    pub words: &'static str,
}

impl Kinds {
    /// Any string.
    pub const TEXT: Self = Self::string("a string");

    /// Strings alone; which ones the words say.
    #[must_use]
    pub const fn string(words: &'static str) -> Self {
        Self {
            string: true,
            integer: false,
            boolean: false,
            words,
        }
    }

    /// Integers alone; which ones the words say.
    #[must_use]
    pub const fn integer(words: &'static str) -> Self {
        Self {
            string: false,
            integer: true,
            boolean: false,
            words,
        }
    }

    /// Integers and strings; which ones the words say.
    #[must_use]
    pub const fn integer_or_string(words: &'static str) -> Self {
        Self {
            string: true,
            ..Self::integer(words)
        }
    }

    /// Booleans.
    #[must_use]
    pub const fn boolean() -> Self {
        Self {
            string: false,
            integer: false,
            boolean: true,
            words: "a boolean",
        }
    }

    const fn take(&self, given: Given) -> bool {
        match given {
            Given::String => self.string,
            Given::Integer => self.integer,
            Given::Boolean => self.boolean,
            Given::List(_) => false,
        }
    }
}

/// What kind of value a manifest gives for a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Given {
    /// A text.
    String,
    /// A signed integer of 64 bits.
    Integer,
    /// True or false.
    Boolean,
    /// A list, with the kinds of its entries.
    List(&'static [Given]),
}

impl Given {
    /// In words, with an article.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::String => "a string",
            Self::Integer => "an integer",
            Self::Boolean => "a boolean",
            Self::List(_) => "a list",
        }
    }
}

/// Whether a kind of value can stand at a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fit {
    /// It can, as far as its kind tells.
    Fits,
    /// No field has that key; this one is near.
    Unknown(Option<Name>),
    /// The field is of another kind, which is this.
    Misfits(Shape),
    /// The list has a bad entry, counted from 1; each must be this.
    Entry(usize, Given, Kinds),
}

impl Schema {
    /// The fields, none where anything is taken.
    #[must_use]
    pub const fn fields(&self) -> &'static [FieldSpec] {
        match self {
            Self::Anything => &[],
            Self::Fields(fields) => fields,
        }
    }

    /// Whether such a value can stand at `key`, which has dots where it is in a table.
    #[must_use]
    pub const fn fit(&self, key: &str, given: Given) -> Fit {
        let Self::Fields(fields) = self else {
            return Fit::Fits;
        };
        match find(fields, key.as_bytes()) {
            Some(Shape::Scalar(kinds)) if kinds.take(given) => Fit::Fits,
            Some(Shape::List(kinds)) if let Given::List(entries) = given => {
                let mut index = 0;
                while index < entries.len() {
                    if !kinds.take(entries[index]) {
                        return Fit::Entry(index + 1, entries[index], kinds);
                    }
                    index += 1;
                }
                Fit::Fits
            }
            Some(shape) => Fit::Misfits(shape),
            None => Fit::Unknown(nearest(fields, key)),
        }
    }
}

/// The field with that key, a table included.
pub(super) const fn find(fields: &[FieldSpec], key: &[u8]) -> Option<Shape> {
    let mut index = 0;
    while index < fields.len() {
        let field = &fields[index];
        if let Some(rest) = without_prefix(key, field.key.as_bytes()) {
            match (rest, field.shape) {
                ([], shape) => return Some(shape),
                ([b'.', within @ ..], Shape::Table(fields)) => return find(fields, within),
                _ => {}
            }
        }
        index += 1;
    }
    None
}

const fn without_prefix<'k>(key: &'k [u8], prefix: &[u8]) -> Option<&'k [u8]> {
    let Some((front, rest)) = key.split_at_checked(prefix.len()) else {
        return None;
    };
    let mut index = 0;
    while index < prefix.len() {
        if front[index] != prefix[index] {
            return None;
        }
        index += 1;
    }
    Some(rest)
}

/// A text that the compiler puts together. What does not fit is cut.
#[derive(Debug, Clone, Copy)]
pub struct Text {
    bytes: [u8; Self::CAPACITY],
    len: usize,
}

impl Text {
    const CAPACITY: usize = 2048;

    /// No text.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            bytes: [0; Self::CAPACITY],
            len: 0,
        }
    }

    /// This text, and `more` behind it.
    #[must_use]
    pub const fn with(mut self, more: &str) -> Self {
        let more = more.as_bytes();
        let mut index = 0;
        while index < more.len() && self.len < Self::CAPACITY {
            self.bytes[self.len] = more[index];
            self.len += 1;
            index += 1;
        }
        self
    }

    /// This text, and a number behind it.
    #[must_use]
    pub const fn with_number(self, number: usize) -> Self {
        const DIGITS: &str = "0123456789";
        let (rest, last) = (number / 10, number % 10);
        let before = if rest > 0 {
            self.with_number(rest)
        } else {
            self
        };
        before.with(DIGITS.split_at(last).1.split_at(1).0)
    }

    /// True where it is empty.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The text.
    #[must_use]
    pub const fn as_str(&self) -> &str {
        let mut len = self.len;
        loop {
            match str::from_utf8(self.bytes.split_at(len).0) {
                Ok(text) => return text,
                // Cut within a character: without it.
                Err(error) => len = error.valid_up_to(),
            }
        }
    }
}

impl Default for Text {
    fn default() -> Self {
        Self::new()
    }
}

/// What is wrong with the manifest's value for `key`, at `place` of the manifest; empty where
/// nothing is.
#[must_use]
pub const fn complaint(schema: &Schema, place: &str, key: &str, given: Given) -> Text {
    let fit = schema.fit(key, given);
    let text = Text::new();
    if matches!(fit, Fit::Fits) {
        return text;
    }
    let text = text.with(place).with(": config `").with(key).with("`");
    match fit {
        Fit::Fits => text,
        Fit::Unknown(near) => {
            let text = text.with(" is unknown: ");
            match (near, schema.fields()) {
                (Some(near), _) => text.with("did you mean `").with(near.as_str()).with("`?"),
                (None, []) => text.with("the module takes no configuration"),
                (None, fields) => with_keys(text.with("there are "), fields, &Name::new(), true),
            }
        }
        Fit::Misfits(shape) => with_shape(
            text.with(" is ").with(given.words()).with(": it takes "),
            &shape,
        ),
        Fit::Entry(position, given, kinds) => text
            .with(", entry ")
            .with_number(position)
            .with(", is ")
            .with(given.words())
            .with(": it takes ")
            .with(kinds.words),
    }
}

const fn with_shape(text: Text, shape: &Shape) -> Text {
    match shape {
        Shape::Scalar(kinds) => text.with(kinds.words),
        Shape::List(kinds) => text.with("a list, each entry ").with(kinds.words),
        Shape::Table(fields) => with_keys(text.with("a table of "), fields, &Name::new(), true),
    }
}

/// `` `a`, `b.c` `` behind the text.
pub(super) const fn with_keys(
    mut text: Text,
    fields: &[FieldSpec],
    table: &Name,
    mut first: bool,
) -> Text {
    let mut index = 0;
    while index < fields.len() {
        let name = table.within(fields[index].key);
        match fields[index].shape {
            Shape::Table(fields) => text = with_keys(text, fields, &name, first),
            Shape::Scalar(_) | Shape::List(_) => {
                let separator = if first { "`" } else { ", `" };
                text = text.with(separator).with(name.as_str()).with("`");
            }
        }
        first = false;
        index += 1;
    }
    text
}
