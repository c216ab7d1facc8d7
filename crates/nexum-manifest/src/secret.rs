//! Values of the operator's file that are never shown: written there, or said where they are.

use std::{ffi::OsString, path::Path};

use serde_json::{Value, json};
use toml::de::DeValue;

use crate::{
    decode::{Decode, Decoder, Node},
    source,
};

/// Looks up a variable of the environment.
pub(crate) type Env<'a> = dyn Fn(&str) -> Option<OsString> + 'a;

/// Where a secret is. Has no `Debug` and no `Display`.
pub(crate) enum Secret {
    /// In the file itself.
    Literal(String),
    /// In a variable of the environment.
    Env(String),
    /// In another file. Relative paths are resolved against the folder of the first.
    File(String),
}

/// Why a secret could not be had: what failed, and the remedy. Names no part of the secret.
pub(crate) struct Unresolved {
    pub(crate) message: String,
    pub(crate) help: String,
}

impl Secret {
    pub(crate) fn resolve(&self, folder: &Path, env: &Env<'_>) -> Result<String, Unresolved> {
        let value = match self {
            Self::Literal(text) => return Ok(text.clone()),
            Self::Env(name) => {
                let help = format!("set it for the process that runs the engine: {name}=…");
                let value = env(name).ok_or_else(|| Unresolved {
                    message: format!("the environment variable `{name}` is not set"),
                    help: help.clone(),
                })?;
                value.into_string().map_err(|_| Unresolved {
                    message: format!("the environment variable `{name}` is not UTF-8"),
                    help,
                })?
            }
            Self::File(path) => {
                let path = folder.join(path);
                let text = source::read(&path).map_err(|error| Unresolved {
                    message: format!("the secret's file {} is of no use: {error}", path.display()),
                    help: "write the value, and nothing else, into that file".to_owned(),
                })?;
                text.strip_suffix('\n')
                    .map_or(text.as_str(), |line| {
                        line.strip_suffix('\r').unwrap_or(line)
                    })
                    .to_owned()
            }
        };
        if value.is_empty() {
            return Err(Unresolved {
                message: format!("{} is empty", self.origin()),
                help: "write the value into it".to_owned(),
            });
        }
        Ok(value)
    }

    /// Where the value comes from, for a message.
    pub(crate) fn origin(&self) -> String {
        match self {
            Self::Literal(_) => "the value".to_owned(),
            Self::Env(name) => format!("the value of the environment variable `{name}`"),
            Self::File(path) => format!("the value in the file {path:?}"),
        }
    }
}

impl Decode for Secret {
    const EXPECTS: &'static str = "a string, { env = \"NAME\" } or { file = \"path\" }";

    fn schema() -> Value {
        let reference = |key: &str, description: &str, value: Value| {
            let mut value = value;
            value["description"] = json!(description);
            json!({
                "type": "object",
                "properties": { key: value },
                "required": [key],
                "additionalProperties": false,
            })
        };
        json!({ "anyOf": [
            { "type": "string" },
            reference(
                "env",
                "The name of the environment variable that has the value.",
                json!({ "type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_]*$" }),
            ),
            reference(
                "file",
                "The path of the file that has the value, relative to this file's folder. A \
                 newline at its end does not count.",
                json!({ "type": "string", "minLength": 1 }),
            ),
        ] })
    }

    fn decode(node: &Node<'_>, decoder: &mut Decoder) -> Option<Self> {
        let help = "write { env = \"NAME\" } or { file = \"path\" }";
        match node.get_ref() {
            DeValue::String(text) => return Some(Self::Literal(text.clone().into_owned())),
            DeValue::Table(_) => {}
            _ => {
                decoder.mismatch::<Self>(node);
                return None;
            }
        }
        let before = decoder.found.len();
        let fields = decoder.table::<Self>(node, &["env", "file"])?;
        let name = decoder.optional::<Reference>(&fields, "env", "");
        let path = decoder.optional::<Reference>(&fields, "file", "");
        match (name, path) {
            (Some(Reference(name, node)), None) if is_variable(&name) => {
                decoder.shown.push(node);
                Some(Self::Env(name))
            }
            (Some(Reference(_, span)), None) => {
                let message = format!(
                    "`{}.env` is not the name of an environment variable",
                    decoder.keys()
                );
                let help = "a name is letters, digits and '_', and begins with no digit; the value itself stands without `env`";
                decoder.report_with_help(span, message, "no name", help);
                None
            }
            (None, Some(Reference(path, span))) if !path.is_empty() && !path.contains("://") => {
                decoder.shown.push(span);
                Some(Self::File(path))
            }
            (None, Some(Reference(_, span))) => {
                let message = format!("`{}.file` is not a path", decoder.keys());
                decoder.report_with_help(
                    span,
                    message,
                    "no path",
                    "the value itself stands without `file`",
                );
                None
            }
            (first, _) => {
                if decoder.found.len() == before {
                    let which = if first.is_some() {
                        "both of"
                    } else {
                        "neither of"
                    };
                    let message = format!("`{}` has {which} `env` and `file`", decoder.keys());
                    decoder.report_with_help(node.span(), message, "one of them is needed", help);
                }
                None
            }
        }
    }
}

/// A name or a path, not shown before it is known not to be the secret itself.
struct Reference(String, source::Span);

impl Decode for Reference {
    const EXPECTS: &'static str = "a string";

    fn schema() -> Value {
        String::schema()
    }

    fn decode(node: &Node<'_>, decoder: &mut Decoder) -> Option<Self> {
        let text = node.get_ref().as_str();
        if text.is_none() {
            decoder.mismatch::<Self>(node);
        }
        text.map(|text| Self(text.to_owned(), node.span()))
    }
}

fn is_variable(name: &str) -> bool {
    let begins = |c: char| c.is_ascii_alphabetic() || c == '_';
    name.starts_with(begins) && name.chars().all(|c| begins(c) || c.is_ascii_digit())
}
