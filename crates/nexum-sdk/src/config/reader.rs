//! Reads fields one after another, and notes whatever is wrong.

use std::fmt::Write;

use super::{
    ConfigErrors, ConfigProblem, ConfigValue, FieldSpec, Fit, FromScalar, FromText, Given, Kinds,
    NexumConfig, Refusal, Scalar, Schema, Shape,
    nearest::Name,
    schema::{Text, find, with_keys},
};

/// What stands at a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found<T> {
    /// Nothing: there is no such key.
    Missing,
    /// Something that is wrong, and was reported.
    Bad,
    /// A good value.
    Good(T),
}

impl<T> Found<T> {
    /// Ends a field whose key may be missing.
    #[must_use]
    pub fn optional(self) -> Option<Option<T>> {
        match self {
            Self::Good(value) => Some(Some(value)),
            Self::Missing => Some(None),
            Self::Bad => None,
        }
    }

    /// Ends a field where something else is done if its key is missing: a default is taken, or a
    /// problem is reported.
    #[must_use]
    pub fn or_else(self, missing: impl FnOnce() -> Option<T>) -> Option<T> {
        match self {
            Self::Good(value) => Some(value),
            Self::Missing => missing(),
            Self::Bad => None,
        }
    }
}

/// The entries of a configuration, the table that is being read, and the problems so far.
#[derive(Debug)]
pub struct Reader<'c> {
    config: &'c [(String, ConfigValue)],
    /// Empty, or the table's name and a dot.
    table: String,
    problems: Vec<ConfigProblem>,
}

impl<'c> Reader<'c> {
    pub(super) fn new(config: &'c [(String, ConfigValue)]) -> Self {
        Self {
            config,
            table: String::new(),
            problems: Vec::new(),
        }
    }

    /// All entries, whatever table is being read.
    #[must_use]
    pub fn entries(&self) -> &'c [(String, ConfigValue)] {
        self.config
    }

    /// Ends the reading: what was read, unless anything is wrong, unknown keys included.
    pub(super) fn finish<T>(mut self, schema: &Schema, read: Option<T>) -> Result<T, ConfigErrors> {
        self.report_unknown(schema);
        match read {
            Some(read) if self.problems.is_empty() => Ok(read),
            _ => Err(ConfigErrors(self.problems)),
        }
    }

    fn report_unknown(&mut self, schema: &Schema) {
        let Schema::Fields(fields) = *schema else {
            return;
        };
        for (key, _) in self.config {
            if find(fields, key.as_bytes()).is_some() {
                continue;
            }
            let mut message = String::from(" is unknown: ");
            match (schema.fit(key, Given::Boolean), fields) {
                (Fit::Unknown(Some(near)), _) => {
                    message.push_str("did you mean `");
                    message.push_str(near.as_str());
                    message.push_str("`?");
                }
                (_, []) => message.push_str("the module takes no configuration"),
                (_, fields) => {
                    message.push_str("there are ");
                    message.push_str(keys(fields).as_str());
                }
            }
            self.problems.push(ConfigProblem {
                key: shown_key(key),
                message,
            });
        }
    }

    fn value(&self, key: &str) -> Option<&'c ConfigValue> {
        let entry = self.config.iter().find(|(name, _)| {
            name.strip_prefix(self.table.as_str())
                .is_some_and(|name| name == key)
        });
        entry.map(|(_, value)| value)
    }

    /// Notes that something is wrong with `key` of this table. The message is the rest of the
    /// sentence that the key begins, such as ` is too much: …`.
    pub fn report(&mut self, key: &str, message: String) {
        self.problems.push(ConfigProblem {
            key: format!("{}{key}", self.table),
            message,
        });
    }

    /// Notes that `key` is missing, and what it would take. `about` may be empty.
    pub fn report_missing(&mut self, key: &str, shape: &Shape, about: &str) {
        let mut message = String::from(" is missing: it takes ");
        message.push_str(&words(shape));
        if !about.is_empty() {
            message.push_str(" (");
            message.push_str(about);
            message.push(')');
        }
        self.report(key, message);
    }

    /// Reads a scalar, the value at `key`.
    pub(super) fn scalar<T: FromScalar>(&mut self, key: &str) -> Found<T> {
        match self.value(key) {
            None => Found::Missing,
            Some(value) => match self.scalar_of(key, value, &T::KINDS) {
                None => Found::Bad,
                Some(scalar) => self.parsed(key, None, scalar),
            },
        }
    }

    /// Reads a list of scalars.
    pub(super) fn list<T: FromScalar>(&mut self, key: &str) -> Found<Vec<T>> {
        let entries = match self.value(key) {
            None => return Found::Missing,
            Some(ConfigValue::List(entries)) => entries,
            Some(value) => {
                self.report_misfit(key, value, &Shape::List(T::KINDS));
                return Found::Bad;
            }
        };
        let mut read = Vec::with_capacity(entries.len());
        for (entry, position) in entries.iter().zip(1..) {
            if let Found::Good(value) = self.parsed(key, Some(position), entry.into()) {
                read.push(value);
            }
        }
        if read.len() == entries.len() {
            Found::Good(read)
        } else {
            Found::Bad
        }
    }

    /// Reads a table; missing where no key is in it.
    pub fn table<T: NexumConfig>(&mut self, key: &'static str) -> Found<T> {
        if let Some(value) = self.value(key) {
            self.report_misfit(key, value, &Shape::Table(T::SCHEMA.fields()));
            return Found::Bad;
        }
        let before = self.enter(key);
        let has_any = self
            .config
            .iter()
            .any(|(name, _)| name.starts_with(self.table.as_str()));
        let read = has_any.then(|| T::read(self));
        self.table.truncate(before);
        match read {
            None => Found::Missing,
            Some(None) => Found::Bad,
            Some(Some(read)) => Found::Good(read),
        }
    }

    /// Reads a table none of whose keys is there: good where no field needs one.
    pub fn absent_table<T: NexumConfig>(&mut self, key: &'static str) -> Option<T> {
        let before = self.enter(key);
        let read = T::read(self);
        self.table.truncate(before);
        read
    }

    fn enter(&mut self, key: &str) -> usize {
        let before = self.table.len();
        self.table.push_str(key);
        self.table.push('.');
        before
    }

    /// Reads a string by `FromStr`.
    pub fn parse<T: FromText>(&mut self, key: &'static str) -> Found<T> {
        let text = match self.value(key) {
            None => return Found::Missing,
            Some(ConfigValue::String(text)) => text,
            Some(other) => {
                self.report_misfit(key, other, &Shape::Scalar(Kinds::TEXT));
                return Found::Bad;
            }
        };
        match T::from_text(text) {
            Ok(value) => Found::Good(value),
            Err(reason) => {
                let refusal = Refusal::because(reason);
                self.refuse(key, None, Scalar::String(text), &refusal, "");
                Found::Bad
            }
        }
    }

    /// Holds a value against a condition. `wanted` is what it asks for, such as `must be from 1
    /// to 10`.
    pub fn within<T>(
        &mut self,
        key: &'static str,
        found: Found<T>,
        wanted: &'static str,
        holds: impl FnOnce(&T) -> bool,
    ) -> Found<T> {
        match found {
            Found::Good(value) if !holds(&value) => {
                self.report_outside(key, wanted);
                Found::Bad
            }
            found => found,
        }
    }

    fn report_outside(&mut self, key: &str, wanted: &str) {
        let shown = self.value(key).map_or_else(String::new, shown);
        self.report(key, format!(" is {shown}: it {wanted}"));
    }

    /// The scalar, unless it is of a kind that is not taken, which is then reported.
    fn scalar_of(
        &mut self,
        key: &str,
        value: &'c ConfigValue,
        kinds: &Kinds,
    ) -> Option<Scalar<'c>> {
        match value {
            ConfigValue::String(text) => Some(Scalar::String(text)),
            ConfigValue::Integer(number) => Some(Scalar::Integer(*number)),
            ConfigValue::Boolean(truth) => Some(Scalar::Boolean(*truth)),
            ConfigValue::List(_) => {
                self.report_misfit(key, value, &Shape::Scalar(*kinds));
                None
            }
        }
    }

    fn parsed<T: FromScalar>(
        &mut self,
        key: &str,
        position: Option<usize>,
        scalar: Scalar<'_>,
    ) -> Found<T> {
        match T::from_scalar(scalar) {
            Ok(value) => Found::Good(value),
            Err(refusal) => {
                self.refuse(key, position, scalar, &refusal, T::KINDS.words);
                Found::Bad
            }
        }
    }

    fn refuse(
        &mut self,
        key: &str,
        position: Option<usize>,
        scalar: Scalar<'_>,
        refusal: &Refusal,
        wanted: &str,
    ) {
        let mut message = String::new();
        if let Some(position) = position {
            let _ = write!(message, ", entry {position},");
        }
        message.push_str(" is ");
        match refusal {
            Refusal::Kind => message.push_str(kind(scalar)),
            Refusal::Value | Refusal::Because(_) => message.push_str(&shown_scalar(scalar)),
        }
        match refusal {
            Refusal::Kind | Refusal::Value => {
                message.push_str(": it takes ");
                message.push_str(wanted);
            }
            Refusal::Because(reason) => {
                message.push_str(": ");
                message.push_str(reason);
            }
        }
        self.report(key, message);
    }

    fn report_misfit(&mut self, key: &str, value: &ConfigValue, shape: &Shape) {
        let kind = match value {
            ConfigValue::String(_) => Given::String.words(),
            ConfigValue::Integer(_) => Given::Integer.words(),
            ConfigValue::Boolean(_) => Given::Boolean.words(),
            ConfigValue::List(_) => Given::List(&[]).words(),
        };
        let message = format!(" is {kind}: it takes {}", words(shape));
        self.report(key, message);
    }
}

fn kind(scalar: Scalar<'_>) -> &'static str {
    match scalar {
        Scalar::String(_) => Given::String.words(),
        Scalar::Integer(_) => Given::Integer.words(),
        Scalar::Boolean(_) => Given::Boolean.words(),
    }
}

/// The value, for a message.
fn shown(value: &ConfigValue) -> String {
    match value {
        ConfigValue::String(text) => shown_scalar(Scalar::String(text)),
        ConfigValue::Integer(number) => shown_scalar(Scalar::Integer(*number)),
        ConfigValue::Boolean(truth) => shown_scalar(Scalar::Boolean(*truth)),
        ConfigValue::List(entries) if entries.is_empty() => "empty".to_owned(),
        ConfigValue::List(entries) => match entries.len() {
            1 => "a list of 1".to_owned(),
            count => format!("a list of {count}"),
        },
    }
}

/// A long text is cut.
fn shown_scalar(scalar: Scalar<'_>) -> String {
    match scalar {
        Scalar::String(text) => match text.char_indices().nth(80) {
            Some((end, _)) => format!("{:?}…", &text[..end]),
            None => format!("{text:?}"),
        },
        Scalar::Integer(number) => number.to_string(),
        Scalar::Boolean(truth) => truth.to_string(),
    }
}

fn shown_key(key: &str) -> String {
    match key.char_indices().nth(64) {
        Some((end, _)) => format!("{}…", &key[..end]),
        None => key.to_owned(),
    }
}

fn words(shape: &Shape) -> String {
    match shape {
        Shape::Scalar(kinds) => kinds.words.to_owned(),
        Shape::List(kinds) => format!("a list, each entry {}", kinds.words),
        Shape::Table(fields) => format!("a table of {}", keys(fields).as_str()),
    }
}

fn keys(fields: &[FieldSpec]) -> Text {
    with_keys(Text::new(), fields, &Name::new(), true)
}
