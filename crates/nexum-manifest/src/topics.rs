//! Which topics a log must have: written raw, or as values of an event's indexed arguments.

use alloy_primitives::{I256, U256, keccak256};
use nexum_types::{B256, MAX_TOPICS};
use serde_json::{Value, json};
use toml::de::DeValue;

use crate::{
    address::{hex_bytes, parse_address},
    decode::{At, Decode, Decoder, Node},
    event::{Argument, Kind, Signature},
    lists::{NonEmpty, OneOrMore, report_repeated},
    source::Span,
    wording::{is_bare, nearest, quoted},
};

/// The alternatives at each position; none at one means any.
pub(crate) type Topics = [Vec<B256>; MAX_TOPICS];

const WILDCARD: &str = "*";

/// `topics`: by position, a topic, a list of alternatives, or "*" for any.
pub(crate) struct RawTopics(pub(crate) Topics);

impl Decode for RawTopics {
    const EXPECTS: &'static str = "a list of topics";

    fn schema() -> Value {
        let topics = json!({ "anyOf": [{ "const": WILDCARD }, OneOrMore::<B256>::schema()] });
        json!({ "type": "array", "items": topics, "minItems": 1, "maxItems": MAX_TOPICS })
    }

    fn decode(node: &Node<'_>, decoder: &mut Decoder) -> Option<Self> {
        let NonEmpty(positions) = NonEmpty::<Position>::decode(node, decoder)?;
        let written = node.get_ref().as_array().map_or(0, |array| array.len());
        if written > MAX_TOPICS {
            let message = format!("`{}` has {written} positions", decoder.keys());
            let help = format!(
                "a log has at most {MAX_TOPICS} topics; alternatives for one stand in a list within the list"
            );
            decoder.report_with_help(node.span(), message, "too many", help);
            return None;
        }
        if positions.len() < written {
            return None;
        }
        // Nodes differ in whether it demands a topic there; the filter here could not.
        if let Some(last) = positions.last().filter(|last| last.value.0.is_empty()) {
            let message = format!("`{}` ends with \"*\"", decoder.keys());
            let help =
                "take it out: behind the last topic that is named, a log may have any or none";
            decoder.report_with_help(last.span.clone(), message, "says nothing", help);
            return None;
        }
        let mut topics = Topics::default();
        for (topic, position) in topics.iter_mut().zip(positions) {
            *topic = position.value.0;
        }
        Some(Self(topics))
    }
}

/// One position of `topics`.
struct Position(Vec<B256>);

impl Decode for Position {
    const EXPECTS: &'static str = B256::EXPECTS;

    fn schema() -> Value {
        OneOrMore::<B256>::schema()
    }

    fn decode(node: &Node<'_>, decoder: &mut Decoder) -> Option<Self> {
        if node.get_ref().as_str() == Some(WILDCARD) {
            decoder.show(node);
            return Some(Self(Vec::new()));
        }
        let before = decoder.found.len();
        let OneOrMore(topics) = OneOrMore::<B256>::decode(node, decoder)?;
        report_repeated(&topics, decoder);
        // A list that has lost an entry must not be taken for one that takes any.
        (decoder.found.len() == before).then(|| Self(plain(topics)))
    }
}

/// The values without their places, in one order whatever order they were written in.
pub(crate) fn plain<T: Ord>(items: Vec<At<T>>) -> Vec<T> {
    let mut plain: Vec<_> = items.into_iter().map(|item| item.value).collect();
    plain.sort_unstable();
    plain
}

/// `where`: the values that indexed arguments must have. They become topics once the event is
/// known.
pub(crate) struct RawWhere(Vec<Condition>);

struct Condition {
    argument: String,
    key: Span,
    values: Vec<At<Scalar>>,
}

/// A value as TOML has it.
enum Scalar {
    Text(String),
    Integer(i64),
    Boolean(bool),
}

impl Decode for Scalar {
    const EXPECTS: &'static str = "a string, an integer, or true or false";

    fn schema() -> Value {
        json!({ "type": ["string", "integer", "boolean"] })
    }

    fn decode(node: &Node<'_>, decoder: &mut Decoder) -> Option<Self> {
        decoder.show(node);
        match node.get_ref() {
            DeValue::String(text) => Some(Self::Text(text.clone().into_owned())),
            DeValue::Boolean(value) => Some(Self::Boolean(*value)),
            DeValue::Integer(_) => decoder.integer::<Self>(node, i64::MIN).map(Self::Integer),
            _ => {
                decoder.mismatch::<Self>(node);
                None
            }
        }
    }
}

impl Decode for RawWhere {
    const EXPECTS: &'static str = "a table";

    fn schema() -> Value {
        json!({
            "type": "object",
            "additionalProperties": OneOrMore::<Scalar>::schema(),
            "minProperties": 1,
        })
    }

    fn decode(node: &Node<'_>, decoder: &mut Decoder) -> Option<Self> {
        let DeValue::Table(table) = node.get_ref() else {
            decoder.mismatch::<Self>(node);
            return None;
        };
        if table.is_empty() {
            let message = format!("`{}` is empty", decoder.keys());
            decoder.report(node.span(), message, "empty");
            return None;
        }
        let conditions = table.iter().filter_map(|(key, node)| {
            let name = key.get_ref().as_ref();
            let doc =
                "One value or a list of them, where an integer of more than 64 bits is a string";
            let values =
                decoder.within(shown(name), doc, |decoder| OneOrMore::decode(node, decoder));
            values.map(|OneOrMore(values)| Condition {
                argument: name.to_owned(),
                key: key.span(),
                values,
            })
        });
        Some(Self(conditions.collect()))
    }
}

/// An argument's name within the path of keys.
fn shown(name: &str) -> &str {
    if is_bare(name) { name } else { "\"…\"" }
}

impl RawWhere {
    /// Fills in the topics of `event` that the conditions ask for. What does not fit the event is
    /// reported.
    pub(crate) fn fill(self, event: &Signature, topics: &mut Topics, decoder: &mut Decoder) {
        for condition in self.0 {
            let found = event
                .indexed()
                .find(|(_, argument)| argument.name == condition.argument);
            let Some((position, argument)) = found else {
                report_not_indexed(&condition, event, decoder);
                continue;
            };
            if argument.kind == Kind::Compound {
                let (name, type_name) = (&argument.name, &argument.type_name);
                let message = format!("`{}` cannot filter by `{name}`", decoder.keys());
                let help = format!(
                    "its type is {type_name}, of which a log has only a hash; compare it in the module, or write the hash in `topics`"
                );
                decoder.report_with_help(condition.key, message, "an array or a tuple", help);
                continue;
            }
            decoder.within(shown(&condition.argument), "", |decoder| {
                let words: Vec<_> = condition
                    .values
                    .iter()
                    .filter_map(|value| word(value, argument, decoder))
                    .collect();
                report_repeated(&words, decoder);
                topics[position] = plain(words);
            });
        }
    }
}

fn report_not_indexed(condition: &Condition, event: &Signature, decoder: &mut Decoder) {
    let name = condition.argument.as_str();
    let indexed: Vec<_> = event
        .indexed()
        .map(|(_, argument)| argument.name.as_str())
        .filter(|name| !name.is_empty())
        .collect();
    let choice = match indexed[..] {
        [] => "the event has no indexed argument with a name".to_owned(),
        _ => format!("the indexed arguments are `{}`", indexed.join("`, `")),
    };
    let keys = decoder.keys();
    let (message, label, help) = if event.arguments.iter().any(|known| known.name == name) {
        (
            format!("`{keys}` cannot filter by `{name}`, which is not indexed"),
            "not indexed",
            format!("compare it in the module: a node filters by topics only; {choice}"),
        )
    } else {
        (
            format!("the event has no argument {}", quoted(name)),
            "unknown",
            match nearest(name, &indexed) {
                Some(near) => format!("did you mean `{near}`?"),
                None => choice,
            },
        )
    };
    decoder.report_with_help(condition.key.clone(), message, label, help);
}

/// The topic that a value is, as the ABI encodes indexed arguments.
fn word(value: &At<Scalar>, argument: &Argument, decoder: &mut Decoder) -> Option<At<B256>> {
    let word = encode(&value.value, argument.kind).map_err(|bad| {
        let (keys, type_name) = (decoder.keys(), &argument.type_name);
        let written = match &value.value {
            Scalar::Text(text) => quoted(text),
            Scalar::Integer(number) => number.to_string(),
            Scalar::Boolean(value) => value.to_string(),
        };
        let (message, help) = match bad {
            Unfit::Form(expected) => (
                format!("`{keys}` is {written}, which is no {type_name}"),
                expected,
            ),
            Unfit::Range => (
                format!("`{keys}` is {written}, which does not fit in {type_name}"),
                "write a value of the argument's type".to_owned(),
            ),
            Unfit::Address(what, help) => (format!("`{keys}` is {written}, {what}"), help),
        };
        decoder.report_with_help(value.span.clone(), message, format!("no {type_name}"), help);
    });
    word.ok().map(|word| At {
        value: word,
        span: value.span.clone(),
    })
}

/// Why a value is none of a type.
enum Unfit {
    /// It is written as one of another type; this is how to write it.
    Form(String),
    /// It is a number that the type does not have.
    Range,
    /// It is a bad address: what is wrong, and what to do.
    Address(&'static str, String),
}

/// One word: numbers and addresses fill it from the right, bytes from the left, and what has no
/// fixed length is hashed (Contract ABI Specification, "Events").
fn encode(value: &Scalar, kind: Kind) -> Result<B256, Unfit> {
    let form = |expected: &str| Unfit::Form(format!("write {expected}"));
    match (kind, value) {
        (Kind::Address, Scalar::Text(text)) => parse_address(text)
            .map(|address| address.into_word())
            .map_err(|bad| {
                let (what, help) = bad.explain();
                Unfit::Address(what, help)
            }),
        (Kind::Bool, Scalar::Boolean(value)) => Ok(U256::from(*value).into()),
        (Kind::Uint(bits), Scalar::Integer(_) | Scalar::Text(_)) => {
            let (negative, magnitude) = number(value).ok_or_else(|| form(NUMBER))?;
            let fits = magnitude.is_some_and(|magnitude| magnitude.bit_len() <= bits);
            match magnitude {
                Some(magnitude) if fits && (!negative || magnitude.is_zero()) => {
                    Ok(magnitude.into())
                }
                _ => Err(Unfit::Range),
            }
        }
        (Kind::Int(bits), Scalar::Integer(_) | Scalar::Text(_)) => {
            let (negative, magnitude) = number(value).ok_or_else(|| form(NUMBER))?;
            let magnitude = magnitude.ok_or(Unfit::Range)?;
            let half = U256::from(1) << (bits - 1);
            // Two's complement: one more below zero than above it.
            if magnitude > half || (magnitude == half && !negative) {
                return Err(Unfit::Range);
            }
            let raw = I256::from_raw(magnitude);
            let number = if negative { raw.wrapping_neg() } else { raw };
            Ok(number.into_raw().into())
        }
        (Kind::FixedBytes(length), Scalar::Text(text)) => hex_bytes(text)
            .filter(|bytes| bytes.len() == length)
            .map(|bytes| B256::right_padding_from(&bytes))
            .ok_or_else(|| form(&format!("\"0x\" and {} hex digits", 2 * length))),
        (Kind::Bytes, Scalar::Text(text)) => hex_bytes(text)
            .map(keccak256)
            .ok_or_else(|| form("\"0x\" and the bytes in hex: a log has their hash")),
        (Kind::String, Scalar::Text(text)) => Ok(keccak256(text)),
        (Kind::Address, _) => Err(form("\"0x\" and 40 hex digits, as a string")),
        (Kind::Bool, _) => Err(form("true or false, without quotes")),
        (Kind::Uint(_) | Kind::Int(_), Scalar::Boolean(_)) => Err(form(NUMBER)),
        (Kind::FixedBytes(length), _) => Err(form(&format!(
            "\"0x\" and {} hex digits, as a string",
            2 * length
        ))),
        (Kind::Bytes, _) => Err(form("\"0x\" and the bytes in hex, as a string")),
        (Kind::String, _) => Err(form("a string: a log has its hash")),
        (Kind::Compound, _) => Err(form("the hash in `topics`")),
    }
}

const NUMBER: &str = "an integer, or a string of decimal digits or \"0x\" and hex digits";

/// The sign and the magnitude of an integer, `None` inside where it has more than 256 bits.
fn number(value: &Scalar) -> Option<(bool, Option<U256>)> {
    let text = match value {
        Scalar::Integer(number) => {
            return Some((*number < 0, Some(U256::from(number.unsigned_abs()))));
        }
        Scalar::Text(text) => text,
        Scalar::Boolean(_) => return None,
    };
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.as_str()),
    };
    let (digits, radix) = match digits.strip_prefix("0x") {
        Some(digits) => (digits, 16),
        None => (digits, 10),
    };
    let is_number = !digits.is_empty() && digits.chars().all(|c| c.is_digit(radix));
    is_number.then(|| {
        let magnitude = U256::from_str_radix(digits, radix.into()).ok();
        (negative, magnitude)
    })
}
