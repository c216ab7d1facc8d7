//! The scalar values of both files: how each is written, checked and described.

use std::{fmt, path::PathBuf, str::FromStr, time::Duration};

use nexum_types::{B256, BlockNumber, ChainId, ModuleName};
use serde_json::{Value, json};
use toml::de::DeValue;

use crate::{
    Capability, Durability, LogFormat, OnFailure, Sha256, Start,
    decode::{Decode, Decoder, Node, Written, table},
    wording::{listed, nearest, quoted},
};

/// Shorter waits are a busy loop, longer ones overflow a clock.
const DURATIONS: std::ops::RangeInclusive<Duration> =
    Duration::from_millis(1)..=Duration::from_secs(365 * 24 * 60 * 60);

/// Content references of other schemes.
const ABSENT_SCHEMES: [&str; 4] = ["bzz:", "ipfs:", "oci:", "https:"];

impl Decode for String {
    const EXPECTS: &'static str = "a string";

    fn schema() -> Value {
        json!({ "type": "string" })
    }

    fn decode(node: &Node<'_>, decoder: &mut Decoder) -> Option<Self> {
        decoder.text::<Self>(node).map(str::to_owned)
    }
}

impl Written for String {
    fn written(&self) -> Value {
        json!(self)
    }
}

impl Decode for bool {
    const EXPECTS: &'static str = "true or false";

    fn schema() -> Value {
        json!({ "type": "boolean" })
    }

    fn decode(node: &Node<'_>, decoder: &mut Decoder) -> Option<Self> {
        decoder.show(node);
        let value = node.get_ref().as_bool();
        if value.is_none() {
            decoder.mismatch::<Self>(node);
        }
        value
    }
}

impl Written for bool {
    fn written(&self) -> Value {
        json!(self)
    }
}

/// An integer of at least `MIN`.
#[derive(Clone, Copy)]
pub(crate) struct AtLeast<const MIN: u64>(pub(crate) u64);

impl<const MIN: u64> Decode for AtLeast<MIN> {
    const EXPECTS: &'static str = "an integer";

    fn schema() -> Value {
        json!({ "type": "integer", "minimum": MIN })
    }

    fn decode(node: &Node<'_>, decoder: &mut Decoder) -> Option<Self> {
        let min = i64::try_from(MIN).unwrap_or(i64::MAX);
        decoder
            .integer::<Self>(node, min)
            .map(|number| Self(number.unsigned_abs()))
    }
}

impl<const MIN: u64> Written for AtLeast<MIN> {
    fn written(&self) -> Value {
        json!(self.0)
    }
}

/// An integer from `MIN` to `MAX`.
#[derive(Clone, Copy)]
pub(crate) struct Between<const MIN: u32, const MAX: u32>(pub(crate) u32);

impl<const MIN: u32, const MAX: u32> Decode for Between<MIN, MAX> {
    const EXPECTS: &'static str = "an integer";

    fn schema() -> Value {
        json!({ "type": "integer", "minimum": MIN, "maximum": MAX })
    }

    fn decode(node: &Node<'_>, decoder: &mut Decoder) -> Option<Self> {
        let number = decoder.integer::<Self>(node, MIN.into())?;
        let fitting = u32::try_from(number).ok().filter(|number| *number <= MAX);
        if fitting.is_none() {
            let message = format!("{} is {number}, and the most is {MAX}", decoder.subject());
            decoder.report(node.span(), message, "too large");
        }
        fitting.map(Self)
    }
}

impl<const MIN: u32, const MAX: u32> Written for Between<MIN, MAX> {
    fn written(&self) -> Value {
        json!(self.0)
    }
}

impl Decode for u32 {
    const EXPECTS: &'static str = "an integer";

    fn schema() -> Value {
        Between::<0, { Self::MAX }>::schema()
    }

    fn decode(node: &Node<'_>, decoder: &mut Decoder) -> Option<Self> {
        Between::<0, { Self::MAX }>::decode(node, decoder).map(|number| number.0)
    }
}

impl Written for u32 {
    fn written(&self) -> Value {
        json!(self)
    }
}

impl Decode for ChainId {
    const EXPECTS: &'static str = "a chain id";

    fn schema() -> Value {
        json!({ "type": "integer", "minimum": 1 })
    }

    fn decode(node: &Node<'_>, decoder: &mut Decoder) -> Option<Self> {
        decoder
            .integer::<Self>(node, 1)
            .map(|id| Self(id.unsigned_abs()))
    }
}

impl Decode for Duration {
    const EXPECTS: &'static str = "a duration such as \"30s\"";

    fn schema() -> Value {
        json!({ "type": "string", "examples": ["30s", "5m", "500ms"] })
    }

    fn decode(node: &Node<'_>, decoder: &mut Decoder) -> Option<Self> {
        let text = decoder.text::<Self>(node)?;
        let help = "write a number and a unit, such as \"500ms\", \"30s\" or \"5m\"";
        match humantime::parse_duration(text) {
            Ok(duration) if DURATIONS.contains(&duration) => Some(duration),
            Ok(_) => {
                let subject = decoder.subject();
                let message = format!(
                    "{subject} is {}, and lies between 1ms and 365days",
                    quoted(text)
                );
                decoder.report_with_help(node.span(), message, "out of range", help);
                None
            }
            Err(_) => {
                let message = format!(
                    "{} is {}, which is no duration",
                    decoder.subject(),
                    quoted(text)
                );
                decoder.report_with_help(node.span(), message, "no duration", help);
                None
            }
        }
    }
}

impl Written for Duration {
    fn written(&self) -> Value {
        json!(humantime::format_duration(*self).to_string())
    }
}

impl Decode for ModuleName {
    const EXPECTS: &'static str = "a string";

    fn schema() -> Value {
        json!({ "type": "string", "pattern": "^[a-z0-9-]{1,64}$" })
    }

    fn decode(node: &Node<'_>, decoder: &mut Decoder) -> Option<Self> {
        let name = decoder.text::<Self>(node)?.parse();
        name.map_err(|error| {
            let message = format!("{}: {error}", decoder.subject());
            let help = "a name is 1 to 64 of a-z, 0-9 and '-', such as \"price-alert\"";
            decoder.report_with_help(node.span(), message, "no module name", help);
        })
        .ok()
    }
}

/// The author's version of a module.
pub(crate) struct Version(pub(crate) String);

impl Decode for Version {
    const EXPECTS: &'static str = "a string";

    fn schema() -> Value {
        json!({ "type": "string", "pattern": "^[0-9A-Za-z.+-]{1,64}$" })
    }

    fn decode(node: &Node<'_>, decoder: &mut Decoder) -> Option<Self> {
        let text = decoder.text::<Self>(node)?;
        let allowed = |c: char| c.is_ascii_alphanumeric() || ".+-".contains(c);
        if (1..=64).contains(&text.len()) && text.chars().all(allowed) {
            return Some(Self(text.to_owned()));
        }
        let message = format!(
            "{} is {}, which is no version",
            decoder.subject(),
            quoted(text)
        );
        let help = "a version is 1 to 64 of letters, digits, '.', '+' and '-', such as \"0.1.0\"";
        decoder.report_with_help(node.span(), message, "no version", help);
        None
    }
}

impl Decode for Sha256 {
    const EXPECTS: &'static str = "\"sha256:\" and 64 hex digits";

    fn schema() -> Value {
        json!({ "type": "string", "pattern": "^sha256:[0-9a-fA-F]{64}$" })
    }

    fn decode(node: &Node<'_>, decoder: &mut Decoder) -> Option<Self> {
        let text = decoder.text::<Self>(node)?;
        let help = "write \"sha256:\" and the 64 hex digits that `sha256sum module.wasm` prints";
        if let Some(scheme) = ABSENT_SCHEMES
            .into_iter()
            .find(|scheme| text.starts_with(scheme))
        {
            let message = format!(
                "{} is a `{scheme}` reference, which this engine does not take",
                decoder.subject()
            );
            decoder.report_with_help(node.span(), message, "not a digest", help);
            return None;
        }
        let digest = text.parse().ok();
        if digest.is_none() {
            let message = format!(
                "{} is {}, which is no digest",
                decoder.subject(),
                quoted(text)
            );
            decoder.report_with_help(node.span(), message, "no digest", help);
        }
        digest
    }
}

/// Why a text is no digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoDigest;

impl fmt::Display for NoDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a digest is {}", Sha256::EXPECTS)
    }
}

impl std::error::Error for NoDigest {}

impl FromStr for Sha256 {
    type Err = NoDigest;

    /// Reads `"sha256:"` and 64 hex digits.
    fn from_str(text: &str) -> Result<Self, NoDigest> {
        let hex = text.strip_prefix("sha256:").ok_or(NoDigest)?;
        if hex.len() != 64 || hex.starts_with("0x") {
            return Err(NoDigest);
        }
        let digest: B256 = hex.parse().map_err(|_| NoDigest)?;
        Ok(Self(digest.0))
    }
}

impl Decode for PathBuf {
    const EXPECTS: &'static str = "a path";

    fn schema() -> Value {
        json!({ "type": "string", "minLength": 1 })
    }

    fn decode(node: &Node<'_>, decoder: &mut Decoder) -> Option<Self> {
        let text = decoder.text::<Self>(node)?;
        if text.is_empty() || text.contains('\0') {
            let message = format!("{} is not a path", decoder.subject());
            decoder.report(node.span(), message, "not a path");
            return None;
        }
        Some(Self::from(text))
    }
}

impl Decode for Capability {
    const EXPECTS: &'static str = "the name of a capability";

    fn schema() -> Value {
        json!({ "type": "string", "enum": Self::ALL.map(Self::as_str) })
    }

    fn decode(node: &Node<'_>, decoder: &mut Decoder) -> Option<Self> {
        let text = decoder.text::<Self>(node)?;
        let capability = Self::from_name(text);
        if capability.is_none() {
            let names = Self::ALL.map(Self::as_str);
            let message = format!("there is no capability {}", quoted(text));
            let help = match nearest(text, &names) {
                Some(name) => format!("did you mean {name:?}?"),
                None => format!("there are {}", listed(&names)),
            };
            decoder.report_with_help(node.span(), message, "unknown", help);
        }
        capability
    }
}

/// A capability that this engine has.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Hosted(pub(crate) Capability);

impl fmt::Display for Hosted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Decode for Hosted {
    const EXPECTS: &'static str = Capability::EXPECTS;

    fn schema() -> Value {
        let names: Vec<_> = Capability::hosted().map(Capability::as_str).collect();
        json!({ "type": "string", "enum": names })
    }

    fn decode(node: &Node<'_>, decoder: &mut Decoder) -> Option<Self> {
        let capability = Capability::decode(node, decoder)?;
        if !capability.is_hosted() {
            let message = format!(
                "the capability \"{capability}\" is in the contract, but this engine does not have it yet"
            );
            let help = "if the module can do without, declare it under `optional`: its functions \
                        answer `unsupported` then";
            decoder.report_with_help(node.span(), message, "not available", help);
            return None;
        }
        Some(Self(capability))
    }
}

impl Decode for OnFailure {
    const EXPECTS: &'static str = "\"retry\" or \"dead-letter\"";

    fn schema() -> Value {
        json!({ "type": "string", "enum": ["retry", "dead-letter"] })
    }

    fn decode(node: &Node<'_>, decoder: &mut Decoder) -> Option<Self> {
        let text = decoder.text::<Self>(node)?;
        let index = decoder.name(node, text, &["retry", "dead-letter"])?;
        Some([Self::Retry, Self::DeadLetter][index])
    }
}

impl Written for OnFailure {
    fn written(&self) -> Value {
        match self {
            Self::Retry => json!("retry"),
            Self::DeadLetter => json!("dead-letter"),
        }
    }
}

impl Decode for LogFormat {
    const EXPECTS: &'static str = "\"pretty\" or \"json\"";

    fn schema() -> Value {
        json!({ "type": "string", "enum": ["pretty", "json"] })
    }

    fn decode(node: &Node<'_>, decoder: &mut Decoder) -> Option<Self> {
        let text = decoder.text::<Self>(node)?;
        let index = decoder.name(node, text, &["pretty", "json"])?;
        Some([Self::Pretty, Self::Json][index])
    }
}

impl Written for LogFormat {
    fn written(&self) -> Value {
        match self {
            Self::Pretty => json!("pretty"),
            Self::Json => json!("json"),
        }
    }
}

impl Decode for Start {
    const EXPECTS: &'static str = "\"latest\" or a block number";

    fn schema() -> Value {
        json!({ "anyOf": [{ "const": "latest" }, { "type": "integer", "minimum": 0 }] })
    }

    fn decode(node: &Node<'_>, decoder: &mut Decoder) -> Option<Self> {
        match node.get_ref() {
            DeValue::String(text) => {
                decoder.show(node);
                if text == "latest" {
                    return Some(Self::Latest);
                }
                let message = format!("{} does not take {}", decoder.subject(), quoted(text));
                let help = "write \"latest\", or a block number without quotes";
                decoder.report_with_help(node.span(), message, "unknown", help);
                None
            }
            _ => decoder
                .integer::<Self>(node, 0)
                .map(|number| Self::Number(BlockNumber(number.unsigned_abs()))),
        }
    }
}

impl Written for Start {
    fn written(&self) -> Value {
        match self {
            Self::Latest => json!("latest"),
            Self::Number(number) => json!(number.0),
        }
    }
}

table! {
    /// Commits are flushed to the disk together.
    struct RawInterval {
        /// The longest time between two flushes: what a power cut takes back at most.
        required interval: Duration,
    }
}

impl Decode for Durability {
    const EXPECTS: &'static str = "\"event\" or { interval = \"1s\" }";

    fn schema() -> Value {
        json!({ "anyOf": [{ "const": "event" }, RawInterval::schema()] })
    }

    fn decode(node: &Node<'_>, decoder: &mut Decoder) -> Option<Self> {
        match node.get_ref() {
            DeValue::Table(_) => RawInterval::decode(node, decoder)?
                .interval
                .map(Self::Interval),
            DeValue::String(text) if text == "event" => Some(Self::Event),
            DeValue::String(text) => {
                decoder.show(node);
                let message = format!("{} does not take {}", decoder.subject(), quoted(text));
                let help = "write \"event\" or { interval = \"1s\" }";
                decoder.report_with_help(node.span(), message, "unknown", help);
                None
            }
            _ => {
                decoder.show(node);
                decoder.mismatch::<Self>(node);
                None
            }
        }
    }
}

impl Written for Durability {
    fn written(&self) -> Value {
        match self {
            Self::Event => json!("event"),
            Self::Interval(interval) => json!({ "interval": interval.written() }),
        }
    }
}
