//! What both files have in common: reading, parsing, and turning what was found into problems.

use std::{path::Path, sync::Arc};

use serde_json::{Value, json};
use toml::de::DeTable;

use crate::{
    ManifestErrors, Problem,
    config::value_schema,
    decode::{Decode, Decoder, Found},
    source::{self, Source},
};

/// So many problems of one file are told; a file that has more is not one of these files.
const MAX_PROBLEMS: usize = 100;

pub(crate) struct Parsed<T> {
    /// `None` where the text is no TOML. Parts that were bad are missing inside.
    pub(crate) raw: Option<T>,
    pub(crate) decoder: Decoder,
}

pub(crate) fn read(path: &Path) -> Result<String, ManifestErrors> {
    source::read(path).map_err(|error| {
        Problem::new(Source::unread(path).whole(), error)
            .with_help("check the path and who may read it")
            .into()
    })
}

pub(crate) fn parse<T: Decode>(text: &str) -> Parsed<T> {
    let mut decoder = Decoder::default();
    let (root, errors) = DeTable::parse_recoverable(text);
    if errors.is_empty() {
        let raw = decoder.file(root);
        return Parsed { raw, decoder };
    }
    let mut last_line = None;
    for error in errors {
        let span = error.span().unwrap_or_default();
        // The parser goes on after an error, and what it says about the rest of that line is
        // of no use.
        let line = text
            .get(..span.start)
            .map(|before| before.matches('\n').count());
        if line.is_none() || line != last_line {
            let message = format!("this is not TOML: {}", error.message());
            let help = "see https://toml.io for how it is written".to_owned();
            decoder.report_with_help(span, message, "here", help);
        }
        last_line = line;
    }
    Parsed { raw: None, decoder }
}

/// The problems, in the order of their places.
pub(crate) fn problems(source: &Arc<Source>, mut found: Vec<Found>) -> Vec<Problem> {
    found.sort_by_key(|found| found.span.start);
    let further = found.len().saturating_sub(MAX_PROBLEMS);
    let cut = found.get(MAX_PROBLEMS).map(|found| found.span.clone());
    found.truncate(MAX_PROBLEMS);
    let mut problems: Vec<_> = found
        .into_iter()
        .map(|found| {
            let problem =
                Problem::new(source.place(found.span), found.message).with_label(found.label);
            let problem = match found.help {
                Some(help) => problem.with_help(help),
                None => problem,
            };
            match found.also {
                Some((span, label)) => problem.with_also(source.place(span), label),
                None => problem,
            }
        })
        .collect();
    problems.extend(cut.map(|span| {
        Problem::new(
            source.place(span),
            format!("there are {further} more problems from here on"),
        )
    }));
    problems
}

/// For a file that resolved to nothing although nothing was reported.
pub(crate) fn unexplained(source: &Arc<Source>) -> Problem {
    Problem::new(
        source.whole(),
        "the file is incomplete, and nothing says where",
    )
    .with_help("this is a defect of the engine: report it with the file")
}

/// The schema of a whole file, as text.
pub(crate) fn schema<T: Decode>(title: &str) -> String {
    let mut schema = T::schema();
    schema["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    schema["title"] = json!(title);
    schema["$defs"] = json!({ "config-value": value_schema() });
    // The order must not depend on a feature that another crate turns on.
    Value::sort_all_objects(&mut schema);
    format!("{schema:#}\n")
}
