//! `[config]`: any values an author likes, made flat, and the operator's laid over them.

use std::collections::BTreeMap;

use nexum_types::{Config, ConfigScalar, ConfigValue};
use serde_json::{Value, json};
use toml::de::{DeTable, DeValue};

use crate::{
    decode::{Decode, Decoder, Node},
    source::Span,
    wording::{is_bare, kind},
};

/// A `[config]` table: nested tables have become dotted keys.
#[derive(Default)]
pub(crate) struct RawConfig(pub(crate) BTreeMap<String, Entry>);

/// One value, and the places of it and of its key.
pub(crate) struct Entry {
    pub(crate) value: ConfigValue,
    pub(crate) span: Span,
    key: Span,
}

impl RawConfig {
    pub(crate) fn resolve(&self) -> Config {
        Config(
            self.0
                .iter()
                .map(|(key, entry)| (key.clone(), entry.value.clone()))
                .collect(),
        )
    }
}

impl Decode for RawConfig {
    const EXPECTS: &'static str = "a table";

    fn schema() -> Value {
        let value = json!({ "$ref": "#/$defs/config-value" });
        json!({ "type": "object", "additionalProperties": value })
    }

    fn decode(node: &Node<'_>, decoder: &mut Decoder) -> Option<Self> {
        let DeValue::Table(table) = node.get_ref() else {
            decoder.mismatch::<Self>(node);
            return None;
        };
        let mut config = Self::default();
        flatten(table, "", &mut config, decoder);
        Some(config)
    }
}

/// The schema of one value, which refers to itself for nested tables.
pub(crate) fn value_schema() -> Value {
    let scalar = json!({ "type": ["string", "integer", "boolean"] });
    json!({
        "description": "A string, an integer, a boolean, a list of those, or a table of values.",
        "anyOf": [
            scalar,
            { "type": "array", "items": scalar },
            { "type": "object", "additionalProperties": { "$ref": "#/$defs/config-value" } },
        ],
    })
}

fn flatten(table: &DeTable<'_>, prefix: &str, config: &mut RawConfig, decoder: &mut Decoder) {
    for (key, node) in table {
        let name = key.get_ref().as_ref();
        let dotted = format!("{prefix}{name}");
        let shown = if is_bare(name) { name } else { "\"…\"" };
        if is_bare(name) {
            decoder.shown.push(key.span());
        }
        decoder.within(shown, "", |decoder| {
            if let DeValue::Table(table) = node.get_ref() {
                return flatten(table, &format!("{dotted}."), config, decoder);
            }
            let Some(value) = value(node, decoder) else {
                return;
            };
            let entry = Entry {
                value,
                span: node.span(),
                key: key.span(),
            };
            let Some(other) = config.0.insert(dotted, entry) else {
                return;
            };
            // The tree is in the order of its keys, not of the text.
            let (first, second) = if other.key.start < key.span().start {
                (other.key, key.span())
            } else {
                (key.span(), other.key)
            };
            let message = "two values have the same key once nested tables are dotted".to_owned();
            decoder.report_twice(first, second, message, "rename one of them");
        });
    }
}

fn value(node: &Node<'_>, decoder: &mut Decoder) -> Option<ConfigValue> {
    match node.get_ref() {
        DeValue::Array(array) => {
            let items = array.iter().map(|item| scalar(item, decoder));
            // Every entry is looked at before the first bad one ends the list.
            let items: Vec<_> = items.collect();
            items
                .into_iter()
                .collect::<Option<_>>()
                .map(ConfigValue::List)
        }
        _ => scalar(node, decoder).map(|scalar| match scalar {
            ConfigScalar::String(text) => ConfigValue::String(text),
            ConfigScalar::Integer(number) => ConfigValue::Integer(number),
            ConfigScalar::Boolean(value) => ConfigValue::Boolean(value),
        }),
    }
}

/// A string is not marked as shown: the operator may have written a token there.
fn scalar(node: &Node<'_>, decoder: &mut Decoder) -> Option<ConfigScalar> {
    let help = match node.get_ref() {
        DeValue::String(text) => return Some(ConfigScalar::String(text.clone().into_owned())),
        DeValue::Integer(_) => {
            return decoder
                .integer::<RawConfig>(node, i64::MIN)
                .map(ConfigScalar::Integer);
        }
        DeValue::Boolean(value) => {
            decoder.show(node);
            return Some(ConfigScalar::Boolean(*value));
        }
        DeValue::Float(_) => "an amount is an integer in base units or a string",
        DeValue::Datetime(_) => "write a date or time as a string, or as an integer",
        DeValue::Array(_) => "lists do not nest: give each inner list a key of its own",
        DeValue::Table(_) => {
            "a list holds strings, integers and booleans: give the table a key of its own"
        }
    };
    decoder.show(node);
    let kind = kind(node.get_ref());
    let message = format!(
        "`{}` holds {kind}, which a module's config cannot have",
        decoder.keys()
    );
    decoder.report_with_help(node.span(), message, kind, help);
    None
}

/// The type of a value, with an article.
pub(crate) fn value_kind(value: &ConfigValue) -> &'static str {
    match value {
        ConfigValue::String(_) => "a string",
        ConfigValue::Integer(_) => "an integer",
        ConfigValue::Boolean(_) => "a boolean",
        ConfigValue::List(_) => "a list",
    }
}
