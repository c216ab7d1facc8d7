//! What a script does to the endpoints in front of its chain.

use std::time::Duration;

use super::words::{ScriptProblem, count, duration, number};
use crate::{Fault, Injection, RateLimit, Wording};

/// How long an answer can be at most: it is made in memory.
const MAX_BYTES: u64 = 1 << 30;

/// One change of an endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum EndpointChange {
    /// See `Wire::set_down`.
    Down(bool),
    /// See `Wire::drop_connections`.
    Disconnect,
    /// See `Wire::set_half_open`.
    HalfOpen(bool),
    /// See `Wire::set_muted`.
    Muted(bool),
    /// See `Wire::set_latency`.
    Latency(Duration),
    /// See `Wire::set_rate_limit`.
    Rate(Option<RateLimit>),
    /// See `Wire::inject`.
    Fail(Injection),
    /// See `View::chain_id`.
    ChainId(Option<u64>),
    /// See `View::lag`.
    Lag(u64),
    /// See `View::unknown_newest`.
    UnknownNewest(u64),
    /// See `View::logs_missing_newest`.
    LogsMissingNewest(u64),
    /// See `View::logs_missing_in`.
    LogsMissingIn(u64),
    /// See `View::empty_blooms`.
    EmptyBlooms(bool),
    /// See `View::log_timestamps`.
    LogTimestamps(bool),
    /// See `View::refuse_beyond_head`.
    RefuseBeyondHead(bool),
    /// See `LogLimits::max_blocks`.
    RangeLimit(Option<u64>, Wording),
    /// See `LogLimits::max_results`.
    ResultLimit(Option<u64>, Wording),
    /// See `View::max_batch`.
    BatchLimit(Option<u64>),
    /// See `RpcServer::heal`.
    Heal,
}

/// An endpoint that a script can change: a server, or what stands for one in a test.
pub trait Endpoint: std::fmt::Debug {
    /// Does it, at once.
    fn change(&self, change: &EndpointChange);
}

/// What each word takes; the errors show it.
const FORMS: [(&str, &str); 19] = [
    ("down", "down"),
    ("up", "up"),
    ("disconnect", "disconnect"),
    ("half-open", "half-open on or off"),
    ("mute", "mute on or off"),
    ("latency", "latency <duration>"),
    (
        "rate",
        "rate <per second> [retry-after <duration>], or rate off",
    ),
    ("fail", "fail <fault> [times <n>] [on <method>]"),
    ("chain-id", "chain-id <id> or own"),
    ("lag", "lag <blocks>"),
    ("unknown-newest", "unknown-newest <blocks>"),
    (
        "logs-missing",
        "logs-missing newest <blocks>, or logs-missing in <block>",
    ),
    ("blooms", "blooms empty or true"),
    ("log-timestamps", "log-timestamps on or off"),
    ("beyond-head", "beyond-head refused or cut"),
    (
        "range-limit",
        "range-limit <blocks> [<wording>], or range-limit off",
    ),
    (
        "result-limit",
        "result-limit <logs> [<wording>], or result-limit off",
    ),
    ("batch-limit", "batch-limit <requests> or off"),
    ("heal", "heal"),
];

/// The words that a line about endpoints can begin with.
pub(crate) fn words() -> impl Iterator<Item = &'static str> {
    FORMS.iter().map(|(word, _)| *word)
}

/// `None`: the line begins with no word for endpoints.
pub(super) fn parse(words: &[&str]) -> Option<Result<EndpointChange, ScriptProblem>> {
    let (_, form) = FORMS.iter().find(|(word, _)| words.first() == Some(word))?;
    Some(change(words).and_then(|change| change.ok_or(ScriptProblem::Form(form))))
}

/// `None`: the words after the first are not what it takes.
fn change(words: &[&str]) -> Result<Option<EndpointChange>, ScriptProblem> {
    use EndpointChange as Change;
    Ok(Some(match words {
        ["down"] => Change::Down(true),
        ["up"] => Change::Down(false),
        ["disconnect"] => Change::Disconnect,
        ["half-open", "on"] => Change::HalfOpen(true),
        ["half-open", "off"] => Change::HalfOpen(false),
        ["mute", "on"] => Change::Muted(true),
        ["mute", "off"] => Change::Muted(false),
        ["latency", latency] => Change::Latency(duration(latency)?),
        ["rate", "off"] => Change::Rate(None),
        ["rate", per_second, rest @ ..] => {
            let (retry_after, []) = retry_after(rest)? else {
                return Ok(None);
            };
            let per_second = u32::try_from(number(per_second)?)
                .map_err(|_| ScriptProblem::Number((*per_second).into()))?;
            Change::Rate(Some(RateLimit {
                per_second,
                retry_after,
            }))
        }
        ["fail", rest @ ..] => match fail(rest)? {
            Some(injection) => Change::Fail(injection),
            None => return Ok(None),
        },
        ["chain-id", "own"] => Change::ChainId(None),
        ["chain-id", id] => Change::ChainId(Some(number(id)?)),
        ["lag", blocks] => Change::Lag(number(blocks)?),
        ["unknown-newest", blocks] => Change::UnknownNewest(number(blocks)?),
        ["logs-missing", "newest", blocks] => Change::LogsMissingNewest(number(blocks)?),
        ["logs-missing", "in", block] => Change::LogsMissingIn(number(block)?),
        ["blooms", "empty"] => Change::EmptyBlooms(true),
        ["blooms", "true"] => Change::EmptyBlooms(false),
        ["log-timestamps", "on"] => Change::LogTimestamps(true),
        ["log-timestamps", "off"] => Change::LogTimestamps(false),
        ["beyond-head", "refused"] => Change::RefuseBeyondHead(true),
        ["beyond-head", "cut"] => Change::RefuseBeyondHead(false),
        ["range-limit", max, rest @ ..] if rest.len() <= 1 => {
            Change::RangeLimit(limit(max)?, wording(rest)?)
        }
        ["result-limit", max, rest @ ..] if rest.len() <= 1 => {
            Change::ResultLimit(limit(max)?, wording(rest)?)
        }
        ["batch-limit", max] => Change::BatchLimit(limit(max)?),
        ["heal"] => Change::Heal,
        _ => return Ok(None),
    }))
}

fn limit(word: &str) -> Result<Option<u64>, ScriptProblem> {
    if word == "off" {
        return Ok(None);
    }
    number(word).map(Some)
}

fn wording(rest: &[&str]) -> Result<Wording, ScriptProblem> {
    let Some(word) = rest.first() else {
        return Ok(Wording::default());
    };
    Wording::ALL
        .iter()
        .find(|(name, _)| name == word)
        .map(|(_, wording)| *wording)
        .ok_or_else(|| ScriptProblem::Wording((*word).into()))
}

/// The duration after `retry-after`, and the words after it.
fn retry_after<'a, 'b>(
    words: &'a [&'b str],
) -> Result<(Option<Duration>, &'a [&'b str]), ScriptProblem> {
    match words {
        ["retry-after", wait, rest @ ..] => Ok((Some(duration(wait)?), rest)),
        rest => Ok((None, rest)),
    }
}

fn fail(words: &[&str]) -> Result<Option<Injection>, ScriptProblem> {
    let (fault, mut rest) = match words {
        ["status", code, rest @ ..] => {
            let number = ScriptProblem::Number;
            let code = code.parse().map_err(|_| number((*code).into()))?;
            let (retry_after, rest) = retry_after(rest)?;
            (Fault::Status { code, retry_after }, rest)
        }
        ["enormous", bytes, rest @ ..] => {
            let bytes = count(bytes, "bytes", MAX_BYTES)? as usize;
            (Fault::Enormous { bytes }, rest)
        }
        [word, rest @ ..] => {
            let named = FAULTS.iter().find(|(name, _)| name == word);
            let (_, fault) = named.ok_or_else(|| ScriptProblem::Fault((*word).into()))?;
            (fault.clone(), rest)
        }
        [] => return Ok(None),
    };
    let mut injection = Injection::new(fault);
    loop {
        (injection, rest) = match rest {
            [] => return Ok(Some(injection)),
            ["times", times, rest @ ..] => (injection.times(number(times)?), rest),
            ["on", method, rest @ ..] => (injection.on(method), rest),
            _ => return Ok(None),
        };
    }
}

/// The faults that a word says wholly.
const FAULTS: [(&str, Fault); 16] = [
    ("garbage", Fault::Garbage),
    ("truncated", Fault::Truncated),
    ("cut", Fault::Cut),
    ("silent", Fault::Silent),
    ("batch-refused", Fault::BatchRefused),
    ("duplicate-id", Fault::DuplicateId),
    ("missing-answer", Fault::MissingAnswer),
    ("reordered", Fault::Reordered),
    ("foreign-id", Fault::ForeignId),
    ("null", Fault::Null),
    ("wrong-type", Fault::WrongType),
    ("logs-of-another-block", Fault::LogsOfAnotherBlock),
    ("logs-out-of-order", Fault::LogsOutOfOrder),
    ("logs-out-of-range", Fault::LogsOutOfRange),
    ("log-missing", Fault::LogMissing),
    ("wrong-parent", Fault::WrongParent),
];

/// The words for faults, for the error that asks for one.
pub(super) fn fault_words() -> String {
    let words = FAULTS.iter().map(|(word, _)| *word);
    let words: Vec<_> = ["status <code>", "enormous <bytes>"]
        .into_iter()
        .chain(words)
        .collect();
    words.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<EndpointChange, ScriptProblem> {
        parse(&line.split_whitespace().collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn a_fault_takes_its_words_in_any_order() {
        let expected = Injection::new(Fault::Status {
            code: 429,
            retry_after: Some(Duration::from_secs(2)),
        })
        .times(3)
        .on("eth_getLogs");
        for line in [
            "fail status 429 retry-after 2s times 3 on eth_getLogs",
            "fail status 429 retry-after 2s on eth_getLogs times 3",
        ] {
            assert_eq!(parsed(line), Ok(EndpointChange::Fail(expected.clone())));
        }
        for (word, fault) in FAULTS {
            let injection = Injection::new(fault);
            let change = parsed(&format!("fail {word}"));
            assert_eq!(change, Ok(EndpointChange::Fail(injection)));
        }
    }

    #[test]
    fn each_word_shows_its_form_when_it_is_misused() {
        for (word, form) in FORMS {
            let misused = match word {
                "fail" => parsed("fail garbage 1 2 3"),
                word => parsed(&format!("{word} 1 2 3 4")),
            };
            assert_eq!(misused, Err(ScriptProblem::Form(form)), "{word}");
        }
        assert_eq!(
            parsed("range-limit 5 acme"),
            Err(ScriptProblem::Wording("acme".into()))
        );
        assert_eq!(
            parsed("fail gracefully"),
            Err(ScriptProblem::Fault("gracefully".into()))
        );
        assert!(parse(&["mine"]).is_none());
    }
}
