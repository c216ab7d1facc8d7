//! A chain as a few readable lines.
//!
//! ```text
//! # what follows a '#' is a comment
//! chain 31337 every 200ms         the first line: chain id, and the pace of playing
//! balance 0xa1 = 5 ether          from the next block on; short addresses are filled with zeros
//! mine 3
//! balance 0xa1 -= 1.5 ether
//! mine
//! reorg 2                         other blocks in the place of the last two
//! rollback 1                      the last block goes, nothing takes its place
//! ```

use std::{num::ParseIntError, str::FromStr, time::Duration};

use alloy_primitives::{
    Address, U256,
    utils::{ParseUnits, parse_units},
};

use crate::{ChainOpError, ScriptedChain};

/// The pace where a script names none.
const DEFAULT_PACE: Duration = Duration::from_millis(200);

/// A parsed script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Script {
    /// The chain's id.
    pub chain_id: u64,
    /// How long [`Script::play`] waits after each block.
    pub every: Duration,
    /// What happens, in order.
    pub steps: Vec<Step>,
}

/// One line of a script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The line it stands on, counted from 1.
    pub line: usize,
    /// What it does.
    pub action: Action,
}

/// What can happen to a chain.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Action {
    /// Mines that many blocks.
    Mine(u64),
    /// Sets a balance, in wei.
    SetBalance(Address, U256),
    /// Adds to a balance, in wei.
    Credit(Address, U256),
    /// Takes from a balance, in wei.
    Debit(Address, U256),
    /// Replaces the last blocks.
    Reorg(u64),
    /// Takes the last blocks off.
    Rollback(u64),
}

impl Action {
    /// Does it, at once.
    pub fn apply(&self, chain: &ScriptedChain) -> Result<(), ChainOpError> {
        match *self {
            Self::Mine(count) => chain.mine(count),
            Self::SetBalance(address, wei) => chain.set_balance(address, wei),
            Self::Credit(address, wei) => chain.credit(address, wei)?,
            Self::Debit(address, wei) => chain.debit(address, wei)?,
            Self::Reorg(depth) => chain.reorg(depth)?,
            Self::Rollback(depth) => chain.rollback(depth)?,
        }
        Ok(())
    }
}

/// What is wrong with a script, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct ScriptError {
    /// The line, counted from 1.
    pub line: usize,
    /// What is wrong with it.
    #[source]
    pub problem: ScriptProblem,
}

/// What is wrong with one line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScriptProblem {
    /// There is no `chain` line, or not first.
    #[error("a script begins with 'chain <id>', optionally 'every <duration>'")]
    NoChain,
    /// The line begins with no known word.
    #[error("unknown action '{0}'; there are balance, mine, reorg and rollback")]
    UnknownAction(String),
    /// The words after the action are not what it takes.
    #[error("expected '{0}'")]
    Form(&'static str),
    /// A number is none.
    #[error("'{0}' is not a number of blocks or a chain id")]
    Number(String),
    /// An address is none.
    #[error("'{0}' is not an address: 0x and up to 40 hex digits")]
    Address(String),
    /// An amount is none.
    #[error("'{0}' is not an amount such as '5 ether', '30 gwei' or '1 wei'")]
    Amount(String),
    /// A duration is none.
    #[error("'{0}' is not a duration such as '200ms'")]
    Duration(String),
    /// The chain refused the step when it was played.
    #[error(transparent)]
    Refused(#[from] ChainOpError),
}

impl FromStr for Script {
    type Err = ScriptError;

    fn from_str(text: &str) -> Result<Self, ScriptError> {
        let mut lines = text.lines().enumerate().filter_map(|(index, line)| {
            let line = line.split('#').next().unwrap_or_default();
            let words: Vec<_> = line.split_whitespace().collect();
            (!words.is_empty()).then_some((index + 1, words))
        });
        let (line, words) = lines.next().ok_or(ScriptError {
            line: 1,
            problem: ScriptProblem::NoChain,
        })?;
        let (chain_id, every) =
            parse_chain(&words).map_err(|problem| ScriptError { line, problem })?;
        let steps = lines
            .map(|(line, words)| match parse_action(&words) {
                Ok(action) => Ok(Step { line, action }),
                Err(problem) => Err(ScriptError { line, problem }),
            })
            .collect::<Result<_, _>>()?;
        Ok(Self {
            chain_id,
            every,
            steps,
        })
    }
}

impl Script {
    /// The chain that the script starts from.
    #[must_use]
    pub fn chain(&self) -> ScriptedChain {
        ScriptedChain::new(self.chain_id)
    }

    /// Does every step at once.
    pub fn play_at_once(&self, chain: &ScriptedChain) -> Result<(), ScriptError> {
        self.steps.iter().try_for_each(|step| step.apply(chain))
    }

    /// Does every step at the script's pace: after each new block it waits.
    pub async fn play(&self, chain: &ScriptedChain) -> Result<(), ScriptError> {
        for step in &self.steps {
            match step.action {
                Action::Mine(count) => {
                    for _ in 0..count {
                        chain.mine(1);
                        tokio::time::sleep(self.every).await;
                    }
                }
                Action::Reorg(_) => {
                    step.apply(chain)?;
                    tokio::time::sleep(self.every).await;
                }
                _ => step.apply(chain)?,
            }
        }
        Ok(())
    }
}

impl Step {
    /// Does it, at once; an error names the line.
    pub fn apply(&self, chain: &ScriptedChain) -> Result<(), ScriptError> {
        let refused = |error| ScriptError {
            line: self.line,
            problem: ScriptProblem::from(error),
        };
        self.action.apply(chain).map_err(refused)
    }
}

fn parse_chain(words: &[&str]) -> Result<(u64, Duration), ScriptProblem> {
    match words {
        ["chain", id] => Ok((parse_number(id)?, DEFAULT_PACE)),
        ["chain", id, "every", pace] => {
            let pace = humantime::parse_duration(pace)
                .map_err(|_| ScriptProblem::Duration((*pace).into()))?;
            Ok((parse_number(id)?, pace))
        }
        _ => Err(ScriptProblem::NoChain),
    }
}

fn parse_action(words: &[&str]) -> Result<Action, ScriptProblem> {
    match words {
        ["mine"] => Ok(Action::Mine(1)),
        ["mine", count] => Ok(Action::Mine(parse_number(count)?)),
        ["mine", ..] => Err(ScriptProblem::Form("mine [blocks]")),
        ["reorg", depth] => Ok(Action::Reorg(parse_number(depth)?)),
        ["reorg", ..] => Err(ScriptProblem::Form("reorg <depth>")),
        ["rollback", depth] => Ok(Action::Rollback(parse_number(depth)?)),
        ["rollback", ..] => Err(ScriptProblem::Form("rollback <depth>")),
        ["balance", address, change, amount @ ..] if !amount.is_empty() => {
            let (address, wei) = (parse_address(address)?, parse_amount(amount)?);
            match *change {
                "=" => Ok(Action::SetBalance(address, wei)),
                "+=" => Ok(Action::Credit(address, wei)),
                "-=" => Ok(Action::Debit(address, wei)),
                _ => Err(ScriptProblem::Form(
                    "balance <address> =, += or -= <amount>",
                )),
            }
        }
        ["balance", ..] => Err(ScriptProblem::Form(
            "balance <address> =, += or -= <amount>",
        )),
        [other, ..] => Err(ScriptProblem::UnknownAction((*other).into())),
        [] => Err(ScriptProblem::Form("an action")),
    }
}

fn parse_number(text: &str) -> Result<u64, ScriptProblem> {
    text.parse()
        .map_err(|_: ParseIntError| ScriptProblem::Number(text.into()))
}

fn parse_address(text: &str) -> Result<Address, ScriptProblem> {
    let bad = || ScriptProblem::Address(text.into());
    let digits = text
        .strip_prefix("0x")
        .filter(|d| (1..=40).contains(&d.len()))
        .ok_or_else(bad)?;
    format!("{digits:0>40}").parse().map_err(|_| bad())
}

fn parse_amount(words: &[&str]) -> Result<U256, ScriptProblem> {
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
