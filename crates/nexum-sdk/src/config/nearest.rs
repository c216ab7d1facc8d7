//! The key that was meant.

use super::schema::{FieldSpec, Shape};

/// A key with dots where it is in a table. One that is longer than any key should be is cut, and
/// near to none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Name {
    bytes: [u8; Self::CAPACITY],
    len: usize,
}

impl Name {
    const CAPACITY: usize = 64;

    pub(super) const fn new() -> Self {
        Self {
            bytes: [0; Self::CAPACITY],
            len: 0,
        }
    }

    /// The name of `key` within the table of this name.
    pub(super) const fn within(&self, key: &str) -> Self {
        let name = if self.len > 0 { self.with(".") } else { *self };
        name.with(key)
    }

    const fn with(mut self, more: &str) -> Self {
        let more = more.as_bytes();
        let mut index = 0;
        while index < more.len() && self.len < Self::CAPACITY {
            self.bytes[self.len] = more[index];
            self.len += 1;
            index += 1;
        }
        self
    }

    const fn as_bytes(&self) -> &[u8] {
        self.bytes.split_at(self.len).0
    }

    /// The name as text.
    #[must_use]
    pub const fn as_str(&self) -> &str {
        match str::from_utf8(self.as_bytes()) {
            Ok(text) => text,
            Err(_) => "…",
        }
    }
}

/// The name among the fields that `key` is near enough to, to have been meant: at most a third of
/// its letters differ.
pub(super) const fn nearest(fields: &[FieldSpec], key: &str) -> Option<Name> {
    if key.len() > Name::CAPACITY {
        return None;
    }
    match closest(fields, &Name::new(), key.as_bytes(), None) {
        Some((name, distance)) => {
            let longer = if name.len > key.len() {
                name.len
            } else {
                key.len()
            };
            let near = if longer < 3 { 1 } else { longer / 3 };
            if distance <= near { Some(name) } else { None }
        }
        None => None,
    }
}

const fn closest(
    fields: &[FieldSpec],
    table: &Name,
    key: &[u8],
    mut best: Option<(Name, usize)>,
) -> Option<(Name, usize)> {
    let mut index = 0;
    while index < fields.len() {
        let name = table.within(fields[index].key);
        if let Shape::Table(fields) = fields[index].shape {
            best = closest(fields, &name, key, best);
        } else {
            let distance = distance(key, name.as_bytes());
            best = match best {
                Some((_, least)) if least <= distance => best,
                _ => Some((name, distance)),
            };
        }
        index += 1;
    }
    best
}

/// How many letters must be put in, taken out or replaced (Levenshtein). Both have at most
/// [`Name::CAPACITY`].
const fn distance(one: &[u8], other: &[u8]) -> usize {
    let mut row = [0; Name::CAPACITY + 1];
    let mut column = 0;
    while column <= other.len() {
        row[column] = column;
        column += 1;
    }
    let mut line = 0;
    while line < one.len() {
        let mut diagonal = row[0];
        row[0] = line + 1;
        let mut column = 0;
        while column < other.len() {
            let differs = !one[line].eq_ignore_ascii_case(&other[column]);
            let replaced = diagonal + differs as usize;
            diagonal = row[column + 1];
            let mut least = replaced;
            if row[column] + 1 < least {
                least = row[column] + 1;
            }
            if diagonal + 1 < least {
                least = diagonal + 1;
            }
            row[column + 1] = least;
            column += 1;
        }
        line += 1;
    }
    row[other.len()]
}
