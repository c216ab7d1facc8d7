//! From a TOML tree with places to typed values, and from the same declarations to a JSON Schema.
//!
//! A table is declared once, by `table!`: its keys, their types, which are required, their
//! defaults and their documentation. The decoder and the schema both come from that, so they
//! cannot drift apart. Decoding never stops at the first problem: what is bad is reported and
//! left out, and the rest is decoded.

use std::{collections::BTreeSet, fmt};

use serde_json::{Value, json};
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use crate::{
    source::Span,
    wording::{self, is_bare, key_text, kind, listed, nearest, quoted},
};

pub(crate) type Node<'i> = Spanned<DeValue<'i>>;

/// A problem whose file is not a [`Source`](crate::source::Source) yet.
pub(crate) struct Found {
    pub(crate) span: Span,
    pub(crate) message: String,
    pub(crate) label: String,
    pub(crate) help: Option<String>,
    pub(crate) also: Option<(Span, String)>,
}

/// What can stand at a key.
pub(crate) trait Decode: Sized {
    /// With an article, for "`key` takes …".
    const EXPECTS: &'static str;

    /// The JSON Schema of it.
    fn schema() -> Value;

    /// The value, or `None` after every problem with it has been reported.
    fn decode(node: &Node<'_>, decoder: &mut Decoder) -> Option<Self>;
}

/// A value that can be a default: how it is written, as JSON.
pub(crate) trait Written {
    fn written(&self) -> Value;
}

/// A value and the place it was written at.
#[derive(Clone)]
pub(crate) struct At<T> {
    pub(crate) value: T,
    pub(crate) span: Span,
}

impl<T: Decode> Decode for At<T> {
    const EXPECTS: &'static str = T::EXPECTS;

    fn schema() -> Value {
        T::schema()
    }

    fn decode(node: &Node<'_>, decoder: &mut Decoder) -> Option<Self> {
        T::decode(node, decoder).map(|value| Self {
            value,
            span: node.span(),
        })
    }
}

impl<T> At<T> {
    /// A value that stands nowhere: a default.
    pub(crate) fn nowhere(value: T) -> Self {
        Self { value, span: 0..0 }
    }
}

impl<T: Written> Written for At<T> {
    fn written(&self) -> Value {
        self.value.written()
    }
}

/// A value that is there, well or not: the absence of another can be told apart from a problem
/// that has been reported.
pub(crate) struct Tried<T>(pub(crate) Option<T>);

impl<T: Decode> Decode for Tried<T> {
    const EXPECTS: &'static str = T::EXPECTS;

    fn schema() -> Value {
        T::schema()
    }

    fn decode(node: &Node<'_>, decoder: &mut Decoder) -> Option<Self> {
        Some(Self(T::decode(node, decoder)))
    }
}

enum Step {
    Key(String),
    Item,
}

/// Collects problems, and the places of values that an excerpt may show.
#[derive(Default)]
pub(crate) struct Decoder {
    pub(crate) found: Vec<Found>,
    pub(crate) shown: Vec<Span>,
    path: Vec<Step>,
    doc: &'static str,
}

/// The entries of one table whose keys have been checked.
pub(crate) struct Fields<'n, 'i> {
    table: &'n DeTable<'i>,
    span: Span,
    /// Keys that an unknown one was taken for. They are not reported as missing on top.
    meant: Vec<&'static str>,
}

impl Decoder {
    /// Decodes a whole file.
    pub(crate) fn file<T: Decode>(&mut self, root: Spanned<DeTable<'_>>) -> Option<T> {
        let span = root.span();
        T::decode(&Spanned::new(span, DeValue::Table(root.into_inner())), self)
    }

    /// The key that is being decoded, for the beginning of a sentence.
    pub(crate) fn subject(&self) -> String {
        match self.path.last() {
            Some(Step::Item) => format!("an entry of `{}`", self.keys()),
            Some(Step::Key(_)) => format!("`{}`", self.keys()),
            None => "the file".to_owned(),
        }
    }

    /// The keys from the top of the file to what is being decoded, with dots between.
    pub(crate) fn keys(&self) -> String {
        let keys = self.path.iter().filter_map(|step| match step {
            Step::Key(key) => Some(key.as_str()),
            Step::Item => None,
        });
        keys.collect::<Vec<_>>().join(".")
    }

    /// Lets excerpts show the value at `node`, if it is a scalar.
    pub(crate) fn show(&mut self, node: &Node<'_>) {
        if !matches!(node.get_ref(), DeValue::Array(_) | DeValue::Table(_)) {
            self.shown.push(node.span());
        }
    }

    /// Reports a problem; the key's own documentation is the help.
    pub(crate) fn report(&mut self, span: Span, message: String, label: impl Into<String>) {
        let help = (!self.doc.is_empty()).then(|| wording::first_sentence(self.doc));
        self.found.push(Found {
            span,
            message,
            label: label.into(),
            help,
            also: None,
        });
    }

    /// Reports a problem with a remedy of its own.
    pub(crate) fn report_with_help(
        &mut self,
        span: Span,
        message: String,
        label: impl Into<String>,
        help: impl Into<String>,
    ) {
        let help = Some(help.into());
        self.found.push(Found {
            span,
            message,
            label: label.into(),
            help,
            also: None,
        });
    }

    /// Reports two entries of which there may be one.
    pub(crate) fn report_twice(
        &mut self,
        first: Span,
        second: Span,
        message: String,
        help: impl Into<String>,
    ) {
        self.found.push(Found {
            span: second,
            message,
            label: "again here".to_owned(),
            help: Some(help.into()),
            also: Some((first, "first here".to_owned())),
        });
    }

    /// Reports a value of the wrong type, without showing it.
    pub(crate) fn mismatch<T: Decode>(&mut self, node: &Node<'_>) {
        let found = kind(node.get_ref());
        let message = format!("{} takes {}, not {found}", self.subject(), T::EXPECTS);
        self.report(node.span(), message, found);
    }

    /// A public string.
    pub(crate) fn text<'n, T: Decode>(&mut self, node: &'n Node<'_>) -> Option<&'n str> {
        self.show(node);
        let text = node.get_ref().as_str();
        if text.is_none() {
            self.mismatch::<T>(node);
        }
        text
    }

    /// A public integer of at least `min`.
    pub(crate) fn integer<T: Decode>(&mut self, node: &Node<'_>, min: i64) -> Option<i64> {
        self.show(node);
        let DeValue::Integer(integer) = node.get_ref() else {
            self.mismatch::<T>(node);
            return None;
        };
        let Ok(number) = i64::from_str_radix(integer.as_str(), integer.radix()) else {
            let message = format!("{} does not fit in 64 bits", self.subject());
            self.report(node.span(), message, "too large");
            return None;
        };
        if number < min {
            let message = format!("{} is {number}, and the least is {min}", self.subject());
            self.report(node.span(), message, "too small");
            return None;
        }
        Some(number)
    }

    /// One of `names`, which the result indexes.
    pub(crate) fn name(&mut self, node: &Node<'_>, text: &str, names: &[&str]) -> Option<usize> {
        let index = names.iter().position(|name| *name == text);
        if index.is_none() {
            let message = format!("{} does not take {}", self.subject(), quoted(text));
            let help = match nearest(text, names) {
                Some(name) => format!("did you mean {name:?}?"),
                None => format!("it takes one of {}", listed(names)),
            };
            self.report_with_help(node.span(), message, "unknown", help);
        }
        index
    }

    /// The entries of the table at `node`, after reporting each key that is not in `known`.
    pub(crate) fn table<'n, 'i, T: Decode>(
        &mut self,
        node: &'n Node<'i>,
        known: &[&'static str],
    ) -> Option<Fields<'n, 'i>> {
        let DeValue::Table(table) = node.get_ref() else {
            self.mismatch::<T>(node);
            return None;
        };
        let mut fields = Fields {
            table,
            span: node.span(),
            meant: Vec::new(),
        };
        for key in table.keys() {
            let name = key.get_ref().as_ref();
            if known.contains(&name) {
                continue;
            }
            let within = if self.path.is_empty() {
                String::new()
            } else {
                format!(" in `{}`", self.keys())
            };
            let near = nearest(name, known).filter(|near| !table.contains_key(*near));
            let help = match near {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("the keys here are `{}`", known.join("`, `")),
            };
            fields.meant.extend(near);
            if is_bare(name) {
                self.shown.push(key.span());
            }
            let message = format!("unknown key {}{within}", key_text(name));
            self.report_with_help(key.span(), message, "unknown key", help);
        }
        Some(fields)
    }

    /// The value of a key that has to be there.
    pub(crate) fn required<T: Decode>(
        &mut self,
        fields: &Fields<'_, '_>,
        key: &'static str,
        doc: &'static str,
    ) -> Option<T> {
        if !fields.table.contains_key(key) && !fields.meant.contains(&key) {
            self.within(key, doc, |decoder| {
                let message = format!("{} is missing", decoder.subject());
                decoder.report(fields.span.clone(), message, format!("no `{key}` here"));
            });
        }
        self.optional(fields, key, doc)
    }

    /// The value of a key that need not be there.
    pub(crate) fn optional<T: Decode>(
        &mut self,
        fields: &Fields<'_, '_>,
        key: &'static str,
        doc: &'static str,
    ) -> Option<T> {
        let node = fields.table.get(key)?;
        self.within(key, doc, |decoder| T::decode(node, decoder))
    }

    /// Decodes below `key`.
    pub(crate) fn within<R>(
        &mut self,
        key: &str,
        doc: &'static str,
        decode: impl FnOnce(&mut Self) -> R,
    ) -> R {
        self.path.push(Step::Key(key.to_owned()));
        let outer = std::mem::replace(&mut self.doc, doc);
        let result = decode(self);
        self.doc = outer;
        self.path.pop();
        result
    }

    /// Decodes each entry of a list, leaving out the bad ones.
    pub(crate) fn list<L: Decode, T: Decode>(&mut self, node: &Node<'_>) -> Option<Vec<At<T>>> {
        let DeValue::Array(array) = node.get_ref() else {
            self.mismatch::<L>(node);
            return None;
        };
        self.path.push(Step::Item);
        let items = array
            .iter()
            .filter_map(|item| At::decode(item, self))
            .collect();
        self.path.pop();
        Some(items)
    }
}

/// A key of a table, for its schema.
pub(crate) struct Field {
    pub(crate) key: &'static str,
    pub(crate) doc: &'static str,
    pub(crate) schema: Value,
    pub(crate) required: bool,
    pub(crate) default: Option<Value>,
}

/// The schema of a table.
pub(crate) fn table_schema(doc: &str, fields: Vec<Field>) -> Value {
    let required: Vec<_> = fields
        .iter()
        .filter(|field| field.required)
        .map(|f| f.key)
        .collect();
    let properties = fields.into_iter().map(|field| {
        let mut schema = field.schema;
        schema["description"] = json!(wording::prose(field.doc));
        if let Some(default) = field.default {
            schema["default"] = default;
        }
        (field.key.to_owned(), schema)
    });
    let mut schema = json!({
        "type": "object",
        "description": wording::prose(doc),
        "properties": serde_json::Map::from_iter(properties),
        "additionalProperties": false,
    });
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    schema
}

/// The key that a field of a table stands for. One that is a keyword of Rust is declared raw.
pub(crate) fn key(field: &'static str) -> &'static str {
    field.strip_prefix("r#").unwrap_or(field)
}

/// Declares a table: `required` and `optional` keys decode to an `Option` (a required one is
/// `None` only after its absence or its problem was reported), `default` keys to the value.
macro_rules! table {
    (
        $(#[doc = $doc:literal])*
        struct $name:ident {
            $($(#[doc = $field_doc:literal])* $kind:ident $field:ident: $type:ty $(= $default:expr)?,)*
        }
    ) => {
        $(#[doc = $doc])*
        pub(crate) struct $name {
            $($(#[doc = $field_doc])* pub(crate) $field: table!(@type $kind $type),)*
        }

        impl $crate::decode::Decode for $name {
            const EXPECTS: &'static str = "a table";

            fn schema() -> serde_json::Value {
                $crate::decode::table_schema(concat!($($doc),*), vec![$($crate::decode::Field {
                    key: $crate::decode::key(stringify!($field)),
                    doc: concat!($($field_doc),*),
                    schema: <$type as $crate::decode::Decode>::schema(),
                    required: table!(@required $kind),
                    default: table!(@default $type $(, $default)?),
                }),*])
            }

            fn decode(
                node: &$crate::decode::Node<'_>,
                decoder: &mut $crate::decode::Decoder,
            ) -> Option<Self> {
                let fields = decoder
                    .table::<Self>(node, &[$($crate::decode::key(stringify!($field))),*])?;
                Some(Self {
                    $($field: table!(@read $kind decoder, &fields,
                        $crate::decode::key(stringify!($field)), concat!($($field_doc),*) $(, $default)?),)*
                })
            }
        }
    };
    (@type default $type:ty) => { $type };
    (@type $kind:ident $type:ty) => { Option<$type> };
    (@required required) => { true };
    (@required $kind:ident) => { false };
    (@default $type:ty) => { None };
    (@default $type:ty, $default:expr) => {
        Some(<$type as $crate::decode::Written>::written(&$default))
    };
    (@read required $decoder:ident, $fields:expr, $key:expr, $doc:expr) => {
        $decoder.required($fields, $key, $doc)
    };
    (@read optional $decoder:ident, $fields:expr, $key:expr, $doc:expr) => {
        $decoder.optional($fields, $key, $doc)
    };
    (@read default $decoder:ident, $fields:expr, $key:expr, $doc:expr, $default:expr) => {
        $decoder.optional($fields, $key, $doc).unwrap_or_else(|| $default)
    };
}
pub(crate) use table;

/// Every key that a schema names.
pub(crate) fn words(schema: &Value) -> BTreeSet<String> {
    let mut words = BTreeSet::new();
    let mut rest = vec![schema];
    while let Some(schema) = rest.pop() {
        match schema {
            Value::Object(object) => {
                if let Some(Value::Object(properties)) = object.get("properties") {
                    words.extend(properties.keys().cloned());
                }
                rest.extend(object.values());
            }
            Value::Array(items) => rest.extend(items),
            _ => {}
        }
    }
    words
}

impl<T: fmt::Debug> fmt::Debug for At<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(f)
    }
}
