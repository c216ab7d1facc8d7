//! What an expression of `PromQL` asks for: metrics, labels, and what is done with them. It reads no
//! more of the language than that; whether an expression is one at all, promtool tells.

use std::collections::{BTreeMap, BTreeSet};

/// What one expression asks for.
#[derive(Debug, Default)]
pub(crate) struct Expression {
    pub(crate) selectors: Vec<Selector>,
    /// The labels of `by` and `without`, and of `on`, `ignoring`, `group_left` and `group_right`.
    pub(crate) grouped: Vec<Grouped>,
}

/// One metric with its matchers.
#[derive(Debug)]
pub(crate) struct Selector {
    pub(crate) metric: String,
    pub(crate) matchers: Vec<Matcher>,
    /// The function that is applied to it alone, if there is one.
    pub(crate) within: Option<String>,
}

/// `label="value"`, or another comparison.
#[derive(Debug)]
pub(crate) struct Matcher {
    pub(crate) label: String,
    pub(crate) value: String,
}

/// A list of labels, and the word before it.
#[derive(Debug)]
pub(crate) struct Grouped {
    pub(crate) word: String,
    pub(crate) labels: Vec<String>,
}

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Word(String),
    Text(String),
    Mark(char),
}

const GROUPING: [&str; 6] = [
    "by",
    "without",
    "on",
    "ignoring",
    "group_left",
    "group_right",
];
const OPERATORS: [&str; 6] = ["and", "or", "unless", "atan2", "bool", "offset"];

impl Expression {
    pub(crate) fn read(text: &str) -> Result<Self, String> {
        let mut tokens = tokens(text)?.into_iter().peekable();
        let mut found = Self::default();
        let mut before: Option<String> = None;
        while let Some(token) = tokens.next() {
            let word = match token {
                Token::Word(word) => word,
                Token::Mark('(') => continue,
                Token::Mark('{') => return Err(format!("a selector without a metric: {text}")),
                Token::Mark(_) | Token::Text(_) => {
                    before = None;
                    continue;
                }
            };
            let is_called = tokens.peek() == Some(&Token::Mark('('));
            if GROUPING.contains(&word.as_str()) {
                if is_called {
                    tokens.next();
                    let labels = listed(&mut tokens);
                    found.grouped.push(Grouped { word, labels });
                }
            } else if OPERATORS.contains(&word.as_str()) {
                before = None;
            } else if is_called {
                before = Some(word);
            } else if !matches!(tokens.peek(), Some(Token::Word(next)) if GROUPING.contains(&next.as_str()))
            {
                let mut matchers = Vec::new();
                if tokens.peek() == Some(&Token::Mark('{')) {
                    tokens.next();
                    matchers = matchers_of(&mut tokens)
                        .ok_or_else(|| format!("unreadable matchers: {text}"))?;
                }
                found.selectors.push(Selector {
                    metric: word,
                    matchers,
                    within: before.take(),
                });
            }
        }
        if found.selectors.is_empty() {
            return Err(format!("no metric in {text:?}"));
        }
        Ok(found)
    }
}

fn listed(tokens: &mut impl Iterator<Item = Token>) -> Vec<String> {
    let mut labels = Vec::new();
    for token in tokens {
        match token {
            Token::Word(label) => labels.push(label),
            Token::Mark(',') => {}
            _ => break,
        }
    }
    labels
}

fn matchers_of(tokens: &mut impl Iterator<Item = Token>) -> Option<Vec<Matcher>> {
    let mut matchers = Vec::new();
    loop {
        match tokens.next()? {
            Token::Mark('}') => return Some(matchers),
            Token::Mark(',') => {}
            Token::Word(label) => {
                let value = loop {
                    match tokens.next()? {
                        Token::Mark('=' | '!' | '~') => {}
                        Token::Text(value) => break value,
                        _ => return None,
                    }
                };
                matchers.push(Matcher { label, value });
            }
            _ => return None,
        }
    }
}

fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let is_in_word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
        let taken = match first {
            '"' | '\'' => {
                let end = rest[1..].find(first);
                let end = end.ok_or_else(|| format!("a text without an end: {text}"))?;
                tokens.push(Token::Text(rest[1..=end].to_owned()));
                end + 2
            }
            '[' => {
                let end = rest.find(']');
                end.ok_or_else(|| format!("a range without an end: {text}"))? + 1
            }
            c if is_in_word(c) => {
                let end = rest.find(|c| !is_in_word(c)).unwrap_or(rest.len());
                // A number, or a duration, is neither a metric nor a label.
                if !c.is_ascii_digit() {
                    tokens.push(Token::Word(rest[..end].to_owned()));
                }
                end
            }
            c => {
                if !c.is_whitespace() {
                    tokens.push(Token::Mark(c));
                }
                c.len_utf8()
            }
        };
        rest = &rest[taken..];
    }
    Ok(tokens)
}

/// What there is to ask for: each metric with its kind and its labels.
#[derive(Debug)]
pub(crate) struct Known(BTreeMap<String, (Kind, BTreeSet<String>)>);

#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    /// It only grows.
    Counter,
    Gauge,
}

impl Known {
    /// Of the rows of the metrics' reference: name, kind and labels.
    pub(crate) fn of(rows: Vec<(String, String, BTreeSet<String>)>) -> Self {
        let mut known = BTreeMap::new();
        // What Prometheus itself makes: whether a target answered, and the alerts there are.
        known.insert("up".to_owned(), (Kind::Gauge, BTreeSet::new()));
        let labels = ["alertname", "alertstate"].map(str::to_owned);
        known.insert("ALERTS".to_owned(), (Kind::Gauge, labels.into()));
        for (name, kind, labels) in rows {
            match kind.as_str() {
                "counter" => known.insert(name, (Kind::Counter, labels)),
                "gauge" => known.insert(name, (Kind::Gauge, labels)),
                "histogram" => {
                    for part in ["_sum", "_count"] {
                        known.insert(format!("{name}{part}"), (Kind::Counter, labels.clone()));
                    }
                    let mut labels = labels;
                    labels.insert("le".to_owned());
                    known.insert(format!("{name}_bucket"), (Kind::Counter, labels))
                }
                _ => panic!("{name} is a {kind}"),
            };
        }
        Self(known)
    }

    /// Everything that `text` asks for and that there is not, or that is no use in that way.
    /// `shown`: the labels whose values are shown with the result.
    pub(crate) fn problems(&self, text: &str, shown: &[String]) -> Vec<String> {
        let expression = match Expression::read(text) {
            Ok(expression) => expression,
            Err(problem) => return vec![problem],
        };
        let mut problems = Vec::new();
        // Those that Prometheus adds to what it scrapes.
        let mut labels: BTreeSet<&str> = ["job", "instance"].into();
        for selector in &expression.selectors {
            let metric = &selector.metric;
            let Some((kind, own)) = self.0.get(metric) else {
                problems.push(format!("no metric {metric}: {text}"));
                continue;
            };
            labels.extend(own.iter().map(String::as_str));
            for Matcher { label, .. } in &selector.matchers {
                let is_added = label == "job" || label == "instance";
                if !own.contains(label) && !is_added {
                    problems.push(format!("{metric} has no label {label}: {text}"));
                }
            }
            let needed = match selector.within.as_deref() {
                Some("rate" | "irate" | "increase") => Some(Kind::Counter),
                Some("deriv" | "delta" | "changes") => Some(Kind::Gauge),
                _ => None,
            };
            if needed.is_some_and(|needed| needed != *kind) {
                problems.push(format!("{metric} is a {kind:?}: {text}"));
            }
        }
        for Grouped { labels: named, .. } in &expression.grouped {
            for label in named
                .iter()
                .filter(|label| !labels.contains(label.as_str()))
            {
                problems.push(format!("nothing here has a label {label}: {text}"));
            }
        }
        let of_word = |word: &str| -> BTreeSet<&str> {
            let these = expression.grouped.iter().filter(|by| by.word == word);
            let named = these.flat_map(|by| &by.labels);
            named.map(String::as_str).collect()
        };
        let (by, without) = (of_word("by"), of_word("without"));
        for label in shown.iter().map(String::as_str) {
            let is_left = labels.contains(label) && !without.contains(label);
            if !is_left || (!by.is_empty() && !by.contains(label)) {
                problems.push(format!("the result has no label {label}: {text}"));
            }
        }
        problems
    }
}
