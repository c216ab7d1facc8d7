//! The words of a script: numbers, addresses, amounts, logs, and what is wrong with them.

use std::{num::ParseIntError, time::Duration};

use alloy_primitives::{
    Address, B256, Bytes, U256, hex, keccak256,
    utils::{ParseUnits, parse_units},
};

use crate::{ChainOpError, NewLog};

/// What is wrong with one line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ScriptProblem {
    /// There is no `chain` line, or not first.
    #[error("a script begins with 'chain <id>', optionally 'every <duration>'")]
    NoChain,
    /// The line begins with no known word.
    #[error("unknown action '{word}'; {}", did_you_mean(*.meant))]
    UnknownAction {
        /// The word.
        word: String,
        /// What it may have been meant as.
        meant: Option<&'static str>,
    },
    /// What was opened is not closed before the end of the line.
    #[error("there is no {0} to close what was opened: it has to be on the same line")]
    Unclosed(char),
    /// What is closed was not opened.
    #[error("the {0} closes nothing")]
    Unopened(char),
    /// A backslash between quotes stands before something else than what it escapes.
    #[error(
        "between double quotes there are \\\", \\\\, \\n and \\t; between single quotes \
         a backslash is one"
    )]
    Escape,
    /// A quote closes in the middle of a word.
    #[error("a space has to follow the closing quote")]
    BehindQuote,
    /// The words after the action are not what it takes.
    #[error("expected '{0}'")]
    Form(&'static str),
    /// A number is none.
    #[error("'{0}' is not a number of blocks or a chain id")]
    Number(String),
    /// A count is more than anyone could want, and than could be played.
    #[error("{count} is more {what} than there can be: at most {most}")]
    TooMany {
        /// How many were asked for.
        count: u64,
        /// Of what.
        what: &'static str,
        /// How many there can be.
        most: u64,
    },
    /// An address is none.
    #[error("'{0}' is not an address: 0x and up to 40 hex digits")]
    Address(String),
    /// An amount is none.
    #[error("'{0}' is not an amount such as '5 ether', '30 gwei' or '1 wei'")]
    Amount(String),
    /// A duration is none.
    #[error("'{0}' is not a duration such as '200ms'")]
    Duration(String),
    /// An event is none.
    #[error(
        "'{0}' is not an event such as Transfer(address,address,uint256): its name and the \
         canonical types, without spaces, or the word anonymous"
    )]
    Event(String),
    /// A signature is no event's.
    #[error(
        "'{0}' is not an event's signature; write it as in Solidity: \
         Transfer(address indexed from, address indexed to, uint256 value)"
    )]
    EventSignature(String),
    /// A signature is no function's.
    #[error(
        "'{0}' is not a function's signature; write it as in Solidity: \
         balanceOf(address owner) returns (uint256)"
    )]
    FunctionSignature(String),
    /// A type is none of the ABI.
    #[error(
        "'{0}' is no type of the ABI: a contract is address, an enum uint8, uint is uint256, and \
         a struct a tuple such as (address,uint256)"
    )]
    Type(String),
    /// There are too many values, or too few.
    #[error("expected {wanted} values ({types}), and there are {found}")]
    Values {
        /// How many there are.
        found: usize,
        /// How many there have to be.
        wanted: usize,
        /// Their types.
        types: String,
    },
    /// A value is not of its type.
    #[error("'{text}' is not a value of the type {wanted}{}", of(.name))]
    Value {
        /// The value.
        text: String,
        /// The type.
        wanted: String,
        /// The argument that it is for; empty where that has no name.
        name: String,
    },
    /// A function's results are given, and its signature has none.
    #[error("the signature says nothing of results: add 'returns (<type>, …)' behind it")]
    NoReturns,
    /// Bytes are none.
    #[error("'{0}' is not bytes: 0x and an even number of hex digits")]
    Bytes(String),
    /// A topic or a piece of data is none.
    #[error("'{0}' is neither a decimal number nor 0x and hex digits")]
    Word(String),
    /// A log has too many topics.
    #[error("a log has at most 4 topics, the event's own included")]
    Topics,
    /// A wording is none.
    #[error("'{0}' is none of the wordings: geth, erigon, reth, alchemy and so on")]
    Wording(String),
    /// A fault is none.
    #[error("'{0}' is not a fault; there are {words}", words = super::endpoint::fault_words())]
    Fault(String),
    /// A value of the configuration is none.
    #[error(
        "'{0}' is not a value of the configuration: text in quotes, an integer, true, false, or \
         a list of these in brackets"
    )]
    Setting(String),
    /// The state and the configuration are what the module begins with.
    #[error(
        "'state' and 'config' say what the module begins with: write them before the first step"
    )]
    TooLate,
    /// A key of the state or of the configuration has a value already.
    #[error("line {line} says already what '{key}' is: take one of the two out")]
    Twice {
        /// The key.
        key: String,
        /// The line that has it first.
        line: usize,
    },
    /// A key of the configuration is a value and a table.
    #[error("'{key}' is a table of the configuration or a value, and line {line} has '{other}'")]
    ValueAndTable {
        /// The key.
        key: String,
        /// The line that has the other one.
        line: usize,
        /// The key there.
        other: String,
    },
    /// A status code is none.
    #[error("'{0}' is not a status code such as 200")]
    Status(String),
    /// A level is none.
    #[error(
        "'{0}' is not a level: there are trace, debug, info, warn and error; text stands in quotes"
    )]
    Level(String),
    /// An expectation is about a chain that the fixture does not have.
    #[error("the fixture has no chain {0}")]
    NoSuchChain(u64),
    /// A line of an `expect` block begins with no word of it.
    #[error(
        "unknown expectation '{word}'; {}",
        .meant.map_or("there are log, no log, state, request, no request, events and failed".to_owned(), |meant| format!("did you mean '{meant}'?"))
    )]
    UnknownExpectation {
        /// The word.
        word: String,
        /// What it may have been meant as.
        meant: Option<&'static str>,
    },
    /// A branch holds something that is no content of blocks.
    #[error(
        "'{0}' cannot stand in a branch, where there are balance, call, emit, log, logs and mine"
    )]
    NotInBranch(String),
    /// A branch has no end, or an end has no branch.
    #[error("a branch begins with 'reorg <depth> {{' and ends with '}}' on a line of its own")]
    Braces,
    /// The script is played without the endpoint that it names.
    #[error("there is no endpoint {which}: the script is played on {there} of them")]
    NoEndpoint {
        /// Which one, counted from 1.
        which: usize,
        /// How many there are.
        there: usize,
    },
    /// The chain refused the step when it was played.
    #[error(transparent)]
    Refused(#[from] ChainOpError),
}

/// What may have been meant, or where all words stand.
fn did_you_mean(meant: Option<&str>) -> String {
    match meant {
        Some(meant) => format!("did you mean '{meant}'?"),
        None => format!(
            "there are {}, and the words for endpoints",
            super::CHAIN_WORDS.join(", ")
        ),
    }
}

fn of(name: &str) -> String {
    if name.is_empty() {
        return String::new();
    }
    format!(" ({name})")
}

/// The nearest of `words`, if one is near enough to have been meant.
pub(crate) fn nearest(
    text: &str,
    words: impl IntoIterator<Item = &'static str>,
) -> Option<&'static str> {
    // The distance costs the product of both lengths, and no word is this long.
    if text.len() > 64 {
        return None;
    }
    let distance = |word: &str| strsim::osa_distance(&text.to_lowercase(), word);
    words
        .into_iter()
        .filter(|word| distance(word) <= (word.len().max(text.len()) / 3).max(1))
        .min_by_key(|word| distance(word))
}

pub(crate) fn number(text: &str) -> Result<u64, ScriptProblem> {
    text.parse()
        .map_err(|_: ParseIntError| ScriptProblem::Number(text.into()))
}

/// A number of `what`, of which there can be `most`.
pub(super) fn count(text: &str, what: &'static str, most: u64) -> Result<u64, ScriptProblem> {
    let count = number(text)?;
    if count > most {
        return Err(ScriptProblem::TooMany { count, what, most });
    }
    Ok(count)
}

pub(super) fn duration(text: &str) -> Result<Duration, ScriptProblem> {
    humantime::parse_duration(text).map_err(|_| ScriptProblem::Duration(text.into()))
}

pub(super) fn address(text: &str) -> Result<Address, ScriptProblem> {
    let bad = || ScriptProblem::Address(text.into());
    let digits = text
        .strip_prefix("0x")
        .filter(|d| (1..=40).contains(&d.len()))
        .ok_or_else(bad)?;
    format!("{digits:0>40}").parse().map_err(|_| bad())
}

pub(super) fn amount(words: &[&str]) -> Result<U256, ScriptProblem> {
    let bad = || ScriptProblem::Amount(words.join(" "));
    let (amount, unit) = match words {
        [amount] => (amount, "wei"),
        [amount, unit] => (amount, *unit),
        _ => return Err(bad()),
    };
    match parse_units(amount, unit) {
        Ok(ParseUnits::U256(wei)) => Ok(wei),
        _ => Err(bad()),
    }
}

/// `<address> <event> [<topic>…] [data <word>…]`; the word `i` stands for `copy`.
pub(super) fn log(words: &[&str], copy: u64) -> Result<NewLog, ScriptProblem> {
    const FORM: ScriptProblem =
        ScriptProblem::Form("log <address> <event> [<topic> …] [data <word> …]");
    let [emitter, event, rest @ ..] = words else {
        return Err(FORM);
    };
    let data = rest.iter().position(|word| *word == "data");
    let (topics, data) = rest.split_at(data.unwrap_or(rest.len()));
    let copy = copy.to_string();
    let word = |word: &&str| {
        if *word == "i" {
            copy.clone()
        } else {
            (*word).to_owned()
        }
    };
    let mut log = NewLog {
        address: address(emitter)?,
        topics: signature(event)?.into_iter().collect(),
        data: Bytes::new(),
    };
    for topic in topics {
        log.topics.push(topic_of(&word(topic))?);
    }
    if log.topics.len() > 4 {
        return Err(ScriptProblem::Topics);
    }
    let mut bytes = Vec::new();
    for piece in data.iter().skip(1) {
        append(&mut bytes, &word(piece))?;
    }
    log.data = bytes.into();
    Ok(log)
}

/// The event's topic; `None` for an anonymous one.
fn signature(event: &str) -> Result<Option<B256>, ScriptProblem> {
    if event == "anonymous" {
        return Ok(None);
    }
    let bad = || ScriptProblem::Event(event.into());
    let (name, types) = event.split_once('(').ok_or_else(bad)?;
    let types = types.strip_suffix(')').ok_or_else(bad)?;
    let is_name = |text: &str| {
        text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_' || c == '$')
            && text
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '$')
    };
    // `uint` and `int` are short for types that the hash is made of.
    let is_type = |text: &str| {
        let base = text.trim_matches(['(', ')']).trim_end_matches(['[', ']']);
        let base = base.split('[').next().unwrap_or_default();
        is_name(base) && !matches!(base, "uint" | "int" | "fixed" | "ufixed" | "byte")
    };
    if !is_name(name) || !(types.is_empty() || types.split(',').all(is_type)) {
        return Err(bad());
    }
    Ok(Some(keccak256(event)))
}

/// A decimal number, or hex digits that are padded on the left.
fn topic_of(text: &str) -> Result<B256, ScriptProblem> {
    let bad = || ScriptProblem::Word(text.into());
    match text.strip_prefix("0x") {
        Some(digits) if (1..=64).contains(&digits.len()) => {
            format!("{digits:0>64}").parse().map_err(|_| bad())
        }
        Some(_) => Err(bad()),
        None => decimal(text).ok_or_else(bad),
    }
}

/// A decimal number is a word of 32 bytes; hex digits are those bytes, no more.
fn append(bytes: &mut Vec<u8>, text: &str) -> Result<(), ScriptProblem> {
    let bad = || ScriptProblem::Word(text.into());
    if text.starts_with("0x") {
        bytes.extend(hex::decode(text).map_err(|_| bad())?);
    } else {
        bytes.extend_from_slice(decimal(text).ok_or_else(bad)?.as_slice());
    }
    Ok(())
}

fn decimal(text: &str) -> Option<B256> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = digits.then(|| U256::from_str_radix(text, 10));
    number?.ok().map(B256::from)
}

#[cfg(test)]
mod tests {
    use alloy_primitives::b256;

    use super::*;

    fn parsed(line: &str) -> Result<NewLog, ScriptProblem> {
        log(&line.split_whitespace().collect::<Vec<_>>(), 7)
    }

    #[test]
    fn a_log_is_a_signature_topics_and_data() {
        let log = parsed("0xa1 Transfer(address,address,uint256) 0xb1 i data 1 0xff00 i").unwrap();
        let mut data = B256::with_last_byte(1).to_vec();
        data.extend([0xff, 0]);
        data.extend(B256::with_last_byte(7));
        assert_eq!(log.address, Address::with_last_byte(0xa1));
        assert_eq!(
            log.topics,
            [
                b256!("ddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"),
                B256::with_last_byte(0xb1),
                B256::with_last_byte(7)
            ]
        );
        assert_eq!(log.data, Bytes::from(data));
        assert!(parsed("0xa1 anonymous").unwrap().topics.is_empty());
        for event in ["E()", "E((uint256,bytes[])[2],address[])", "_e$1(bool)"] {
            let log = parsed(&format!("0xa1 {event}")).unwrap();
            assert_eq!(log.topics, [keccak256(event)], "{event}");
        }
    }

    #[test]
    fn what_is_no_log_says_which_word_is_wrong() {
        let problem = |line: &str| parsed(line).unwrap_err();
        for event in [
            "Transfer",
            "T(uint)",
            "T(address indexed from)",
            "1(bool)",
            "T(,)",
        ] {
            let event = event.split(' ').next().unwrap();
            let line = format!("0xa1 {event}");
            assert_eq!(problem(&line), ScriptProblem::Event(event.into()));
        }
        assert_eq!(problem("0xa1 T() -1"), ScriptProblem::Word("-1".into()));
        assert_eq!(
            problem("0xa1 T() data 0xf"),
            ScriptProblem::Word("0xf".into())
        );
        assert_eq!(problem("0xa1 T() 1 2 3 4"), ScriptProblem::Topics);
        assert!(matches!(problem("0xa1"), ScriptProblem::Form(_)));
    }
}
