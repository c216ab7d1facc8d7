//! `[engine.log].level`: how much is logged, in general and by part.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::{
    decode::{Decode, Decoder, Node, Written},
    wording::{listed, nearest, quoted},
};

/// The parts that log. `nexum` is all of them, and `nexum::module` what modules say.
const PARTS: [&str; 7] = [
    "nexum",
    "nexum::module",
    "nexum_chain",
    "nexum_engine",
    "nexum_host",
    "nexum_identity",
    "nexum_store",
];

/// How much is logged.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogLevels {
    /// What holds for every part that is not named.
    pub default: LogLevel,
    /// What holds for a part, and for what is below it. The longer name counts.
    pub parts: BTreeMap<String, LogLevel>,
}

/// The least level of a line that is logged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LogLevel {
    /// Nothing.
    Off,
    /// What has failed.
    Error,
    /// And what may fail.
    Warn,
    /// And what happens.
    #[default]
    Info,
    /// And why.
    Debug,
    /// And each step.
    Trace,
}

impl LogLevel {
    const NAMES: [(&'static str, Self); 6] = [
        ("off", Self::Off),
        ("error", Self::Error),
        ("warn", Self::Warn),
        ("info", Self::Info),
        ("debug", Self::Debug),
        ("trace", Self::Trace),
    ];

    fn from_name(name: &str) -> Option<Self> {
        Self::NAMES
            .into_iter()
            .find_map(|(known, level)| (known == name).then_some(level))
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

/// What is wrong with one directive, and the remedy.
struct Wrong {
    message: String,
    help: String,
}

impl LogLevels {
    fn parse(text: &str) -> Result<Self, Wrong> {
        let mut levels = Self::default();
        let mut default = None;
        for directive in text.split(',').map(str::trim) {
            match directive.split_once('=') {
                Some((part, name)) => {
                    let (part, level) = (part.trim(), level(name.trim())?);
                    check_part(part)?;
                    if levels.parts.insert(part.to_owned(), level).is_some() {
                        return Err(twice(&format!("{part:?} has two levels")));
                    }
                }
                None => {
                    if default.replace(level(directive)?).is_some() {
                        return Err(twice("there are two levels for everything"));
                    }
                }
            }
        }
        levels.default = default.unwrap_or_default();
        Ok(levels)
    }
}

fn level(name: &str) -> Result<LogLevel, Wrong> {
    LogLevel::from_name(name).ok_or_else(|| Wrong {
        message: format!("there is no level {}", quoted(name)),
        help: meant(
            name,
            &LogLevel::NAMES.map(|(name, _)| name),
            "the levels are",
        ),
    })
}

/// A part is known, or below one that is: `nexum_chain::feed`.
fn check_part(part: &str) -> Result<(), Wrong> {
    let below = |known: &str| part.strip_prefix(known);
    let is_known = |below: &str| below.is_empty() || below.starts_with("::");
    if PARTS.into_iter().filter_map(below).any(is_known) {
        return Ok(());
    }
    Err(Wrong {
        message: format!("nothing is logged under {}", quoted(part)),
        help: meant(part, &PARTS, "the parts are"),
    })
}

fn meant(text: &str, names: &[&str], otherwise: &str) -> String {
    match nearest(text, names) {
        Some(name) => format!("did you mean {name:?}?"),
        None => format!("{otherwise} {}", listed(names)),
    }
}

fn twice(message: &str) -> Wrong {
    Wrong {
        message: message.to_owned(),
        help: "keep one of them".to_owned(),
    }
}

impl std::str::FromStr for LogLevels {
    type Err = String;

    /// As in the operator's file; an error says what is wrong, and the remedy.
    fn from_str(text: &str) -> Result<Self, String> {
        Self::parse(text).map_err(|Wrong { message, help }| format!("{message}; {help}"))
    }
}

impl std::fmt::Display for LogLevels {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.default.as_str())?;
        for (part, level) in &self.parts {
            write!(f, ",{part}={}", level.as_str())?;
        }
        Ok(())
    }
}

impl Decode for LogLevels {
    const EXPECTS: &'static str = "a string";

    fn schema() -> Value {
        let level = LogLevel::NAMES.map(|(name, _)| name).join("|");
        let directive = format!("({level}|nexum[a-z_:]* *= *({level}))");
        json!({ "type": "string", "pattern": format!("^ *{directive} *(, *{directive} *)*$") })
    }

    fn decode(node: &Node<'_>, decoder: &mut Decoder) -> Option<Self> {
        let text = decoder.text::<Self>(node)?;
        let parsed = Self::parse(text);
        parsed
            .map_err(|Wrong { message, help }| {
                let message = format!("{}: {message}", decoder.subject());
                decoder.report_with_help(node.span(), message, "not a log level", help);
            })
            .ok()
    }
}

impl Written for LogLevels {
    fn written(&self) -> Value {
        json!(self.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_holds_for_everything_and_a_directive_for_its_part() {
        let levels = LogLevels::parse("warn, nexum_chain::feed = trace,nexum::module=off");
        let Ok(levels) = levels else {
            panic!("refused")
        };
        assert_eq!(levels.default, LogLevel::Warn);
        let parts = [
            ("nexum::module".to_owned(), LogLevel::Off),
            ("nexum_chain::feed".to_owned(), LogLevel::Trace),
        ];
        assert_eq!(levels.parts, parts.into());
        assert_eq!(
            levels.written(),
            "warn,nexum::module=off,nexum_chain::feed=trace"
        );
    }

    #[test]
    fn what_would_have_no_effect_is_refused() {
        let rows = [
            ("verbose", "there is no level \"verbose\""),
            ("", "there is no level \"\""),
            ("info,", "there is no level \"\""),
            ("INFO", "there is no level \"INFO\""),
            ("info,nexum_chain=loud", "there is no level \"loud\""),
            ("hyper=trace", "nothing is logged under \"hyper\""),
            (
                "nexum_chian=debug",
                "nothing is logged under \"nexum_chian\"",
            ),
            ("nexumx=debug", "nothing is logged under \"nexumx\""),
            ("info,debug", "there are two levels for everything"),
            ("nexum=info,nexum=warn", "\"nexum\" has two levels"),
        ];
        for (text, expected) in rows {
            match LogLevels::parse(text) {
                Ok(levels) => panic!("{text:?} was taken as {levels:?}"),
                Err(wrong) => assert_eq!(wrong.message, expected),
            }
        }
    }
}
