//! How values, keys and documentation are put into messages.

use toml::de::DeValue;

/// The type of a value, with an article.
pub(crate) fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(_) => "a float",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

/// The nearest of `names`, if one is near enough to have been meant.
pub(crate) fn nearest<'n>(text: &str, names: &[&'n str]) -> Option<&'n str> {
    // The distance costs the product of both lengths, and no name is this long.
    if text.len() > 64 {
        return None;
    }
    let distance = |name: &str| strsim::osa_distance(&text.to_lowercase(), name);
    let near = |name: &&str| distance(name) <= (name.len().max(text.len()) / 3).max(1);
    names
        .iter()
        .copied()
        .filter(near)
        .min_by_key(|name| distance(name))
}

/// `"a", "b"`.
pub(crate) fn listed(names: &[&str]) -> String {
    names
        .iter()
        .map(|name| format!("{name:?}"))
        .collect::<Vec<_>>()
        .join(", ")
}

/// A public text in quotes, cut where it is long, and without what a terminal would obey.
pub(crate) fn quoted(text: &str) -> String {
    match text.char_indices().nth(64) {
        Some((end, _)) => format!("{:?}…", &text[..end]),
        None => format!("{text:?}"),
    }
}

/// A key for a message. One that has to be quoted is not shown: it is no key of these files, and
/// may be a value that went astray.
pub(crate) fn key_text(key: &str) -> String {
    if is_bare(key) {
        format!("`{key}`")
    } else {
        "(a quoted key)".to_owned()
    }
}

pub(crate) fn is_bare(key: &str) -> bool {
    (1..=64).contains(&key.len())
        && key
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'))
}

/// A doc comment without the spaces around it.
pub(crate) fn prose(doc: &str) -> &str {
    doc.trim()
}

/// The part of a doc comment that a message has room for.
pub(crate) fn first_sentence(doc: &str) -> String {
    let doc = doc.trim();
    doc.split_once(". ")
        .map_or(doc, |(first, _)| first)
        .trim_end_matches('.')
        .to_owned()
}
