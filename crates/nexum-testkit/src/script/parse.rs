//! Lines to steps.

use std::{str::FromStr, time::Duration};

use super::{
    Action, Script, ScriptError, Step, abi, endpoint,
    lexer::{Word, texts, words_of},
    words::{self, ScriptProblem, address, amount, count, duration, nearest, number},
};

/// What one line can ask for at most: each is kept in memory, and endpoints are open sockets.
const MAX_BLOCKS: u64 = 100_000;
const MAX_LOGS: u64 = 10_000;
const MAX_ENDPOINTS: u64 = 16;

/// The pace where a script names none.
const DEFAULT_PACE: Duration = Duration::from_millis(200);

/// The words that a line about a chain can begin with, but for those of endpoints.
pub(crate) const WORDS: [&str; 10] = [
    "balance", "call", "emit", "endpoint", "log", "logs", "mine", "reorg", "rollback", "wait",
];

impl FromStr for Script {
    type Err = ScriptError;

    fn from_str(text: &str) -> Result<Self, ScriptError> {
        let mut lines = lines_of(text);
        let (line, words) = lines.next().unwrap_or(Ok((1, Vec::new())))?;
        let ChainLine { id, every } =
            ChainLine::parse(&words).map_err(|problem| ScriptError { line, problem })?;
        let mut reader = StepReader::default();
        let mut steps = Vec::new();
        for numbered in lines {
            let (line, words) = numbered?;
            steps.extend(reader.read(line, &words)?);
        }
        reader.finish()?;
        Ok(Self {
            chain_id: id,
            every,
            steps,
        })
    }
}

/// The lines that have words, with their numbers.
pub(crate) fn lines_of(
    text: &str,
) -> impl Iterator<Item = Result<(usize, Vec<Word>), ScriptError>> {
    text.lines().enumerate().filter_map(|(index, text)| {
        let line = index + 1;
        match words_of(text) {
            Ok(words) if words.is_empty() => None,
            Ok(words) => Some(Ok((line, words))),
            Err(problem) => Some(Err(ScriptError { line, problem })),
        }
    })
}

/// `chain <id> [every <duration>]`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ChainLine {
    pub(crate) id: u64,
    pub(crate) every: Duration,
}

impl ChainLine {
    pub(crate) fn parse(words: &[Word]) -> Result<Self, ScriptProblem> {
        let (id, every) = match texts(words).as_slice() {
            ["chain", id] => (number(id)?, DEFAULT_PACE),
            ["chain", id, "every", pace] => (number(id)?, duration(pace)?),
            _ => return Err(ScriptProblem::NoChain),
        };
        Ok(Self { id, every })
    }
}

/// Reads lines about a chain, one after another.
#[derive(Debug, Default)]
pub(crate) struct StepReader {
    /// The branch that is being read: its first line, its depth, its steps.
    open: Option<(usize, u64, Vec<Step>)>,
}

impl StepReader {
    /// True between the lines of a branch.
    pub(crate) fn is_in_branch(&self) -> bool {
        self.open.is_some()
    }

    /// The step that ends with this line; `None` within a branch.
    pub(crate) fn read(
        &mut self,
        line: usize,
        words: &[Word],
    ) -> Result<Option<Step>, ScriptError> {
        let at = |problem| ScriptError { line, problem };
        match (texts(words).as_slice(), &mut self.open) {
            (["reorg", depth, "{"], None) => {
                self.open = Some((line, number(depth).map_err(at)?, Vec::new()));
                Ok(None)
            }
            (["}"], Some(_)) => Ok(self.open.take().map(|(line, depth, steps)| Step {
                line,
                action: Action::Branch { depth, steps },
            })),
            (["}"], None) | (["reorg", _, "{"], Some(_)) => Err(at(ScriptProblem::Braces)),
            (["mine" | "log" | "logs" | "emit" | "balance" | "call", ..], Some((_, _, inner))) => {
                let action = action(words).map_err(at)?;
                inner.push(Step { line, action });
                Ok(None)
            }
            (words, Some(_)) => Err(at(ScriptProblem::NotInBranch(words.join(" ")))),
            (_, None) => {
                let action = action(words).map_err(at)?;
                Ok(Some(Step { line, action }))
            }
        }
    }

    /// Nothing may be open at the end.
    pub(crate) fn finish(self) -> Result<(), ScriptError> {
        match self.open {
            Some((line, ..)) => Err(ScriptError {
                line,
                problem: ScriptProblem::Braces,
            }),
            None => Ok(()),
        }
    }
}

fn action(words: &[Word]) -> Result<Action, ScriptProblem> {
    const REORG: ScriptProblem =
        ScriptProblem::Form("reorg <depth> [drop, keep, late <blocks>, or { for a branch]");
    const BALANCE: ScriptProblem = ScriptProblem::Form("balance <address> =, += or -= <amount>");
    let all = texts(words);
    if let Some(change) = endpoint::parse(&all) {
        return Ok(Action::Endpoint(None, change?));
    }
    match all.as_slice() {
        ["mine"] => Ok(Action::Mine(1)),
        ["mine", blocks] => Ok(Action::Mine(count(blocks, "blocks", MAX_BLOCKS)?)),
        ["mine", ..] => Err(ScriptProblem::Form("mine [blocks]")),
        ["emit", ..] => Ok(Action::Logs(vec![abi::emit(&words[1..])?])),
        ["call", ..] => {
            let (to, input, answer) = abi::call(&words[1..])?;
            Ok(Action::Call(to, input, answer))
        }
        ["log", log @ ..] => Ok(Action::Logs(vec![words::log(log, 0)?])),
        ["logs", copies, log @ ..] => {
            let copies = count(copies, "logs", MAX_LOGS)?;
            let copies = (0..copies).map(|copy| words::log(log, copy));
            Ok(Action::Logs(copies.collect::<Result<_, _>>()?))
        }
        ["logs"] => Err(ScriptProblem::Form("logs <count> <address> <event> …")),
        ["reorg", depth] | ["reorg", depth, "drop"] => Ok(Action::Reorg(number(depth)?)),
        ["reorg", depth, "keep"] => Ok(Action::Replay {
            depth: number(depth)?,
            late: 0,
        }),
        ["reorg", depth, "late", late] => Ok(Action::Replay {
            depth: number(depth)?,
            late: count(late, "blocks", MAX_BLOCKS)?,
        }),
        ["reorg", ..] => Err(REORG),
        ["rollback", depth] => Ok(Action::Rollback(number(depth)?)),
        ["rollback", ..] => Err(ScriptProblem::Form("rollback <depth>")),
        ["wait", wait] => Ok(Action::Wait(duration(wait)?)),
        ["wait", ..] => Err(ScriptProblem::Form("wait <duration>")),
        ["balance", account, change, wei @ ..] if !wei.is_empty() => {
            let (account, wei) = (address(account)?, amount(wei)?);
            match *change {
                "=" => Ok(Action::SetBalance(account, wei)),
                "+=" => Ok(Action::Credit(account, wei)),
                "-=" => Ok(Action::Debit(account, wei)),
                _ => Err(BALANCE),
            }
        }
        ["balance", ..] => Err(BALANCE),
        ["endpoint", which, words @ ..] if !words.is_empty() => {
            let which = count(which, "endpoints", MAX_ENDPOINTS)? as usize;
            match endpoint::parse(words) {
                Some(change) => Ok(Action::Endpoint(Some(which), change?)),
                None => Err(ScriptProblem::UnknownAction {
                    word: words.join(" "),
                    meant: nearest(words[0], endpoint::words()),
                }),
            }
        }
        ["endpoint", ..] => Err(ScriptProblem::Form("endpoint <number> <change>")),
        [other, ..] => Err(ScriptProblem::UnknownAction {
            word: (*other).to_owned(),
            meant: nearest(other, WORDS.into_iter().chain(endpoint::words())),
        }),
        [] => Err(ScriptProblem::Form("an action")),
    }
}
