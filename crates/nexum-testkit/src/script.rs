//! A chain as a few readable lines, with the endpoints in front of it.
//!
//! ```text
//! # what follows a '#' is a comment
//! chain 31337 every 200ms         the first line: chain id, and the pace of playing
//! balance 0xa1 = 5 ether          from the next block on; short addresses are filled with zeros
//! mine 3
//! balance 0xa1 -= 1.5 ether
//! log 0xc0 Transfer(address,address,uint256) 0xa1 0xb2 data 1000
//! emit 0xc0 Transfer(address indexed from, address indexed to, uint256 value) 0xa1 0xb2 3 ether
//! call 0xfe latestAnswer() returns (int256) = 250000000000
//! mine
//! reorg 2                         other blocks in the place of the last two, empty ones
//! reorg 2 keep                    other blocks with the same transactions
//! reorg 2 {                       another branch, seen at once
//!   logs 3 0xc0 Ping(uint256) i   three logs of one transaction; 'i' is 0, 1, 2
//!   mine 4
//! }
//! rollback 1                      the last block goes, nothing takes its place
//! endpoint 2 fail status 429 retry-after 1s times 3 on eth_getLogs
//! down                            every endpoint
//! wait 500ms
//! up
//! ```
//!
//! Every word stands in `docs/reference/script.md`.

mod abi;
mod endpoint;
mod lexer;
mod parse;
mod words;

use std::time::Duration;

use alloy_primitives::{Address, U256};

use crate::{Branch, CallAnswer, CallInput, ChainOpError, NewLog, ScriptedChain};
pub(crate) use endpoint::words as endpoint_words;
pub use endpoint::{Endpoint, EndpointChange};
pub(crate) use lexer::{Word, split_list};
pub(crate) use parse::{ChainLine, StepReader, WORDS as CHAIN_WORDS, lines_of};
pub use words::ScriptProblem;
pub(crate) use words::{nearest, number};

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

/// What can happen to a chain and to its endpoints.
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
    /// One transaction with these logs, in the next block.
    Logs(Vec<NewLog>),
    /// Answers calls of a contract from the next block on.
    Call(Address, CallInput, CallAnswer),
    /// Replaces the last blocks by empty ones.
    Reorg(u64),
    /// Replaces the last blocks by others with the same transactions.
    Replay {
        /// How many blocks.
        depth: u64,
        /// How many blocks later the transactions are.
        late: u64,
    },
    /// Replaces the last blocks by another branch, seen at once.
    Branch {
        /// How many blocks.
        depth: u64,
        /// What the branch is made of: blocks, logs, balances and answers to calls.
        steps: Vec<Step>,
    },
    /// Takes the last blocks off.
    Rollback(u64),
    /// Waits, where the script is played at a pace.
    Wait(Duration),
    /// Changes one endpoint, counted from 1, or all of them.
    Endpoint(Option<usize>, EndpointChange),
}

impl Action {
    /// True where it shows in the next block and not before: whoever follows the chain sees
    /// nothing of it until then.
    #[must_use]
    pub fn waits_for_a_block(&self) -> bool {
        matches!(
            self,
            Self::Logs(_)
                | Self::Call(..)
                | Self::SetBalance(..)
                | Self::Credit(..)
                | Self::Debit(..)
        )
    }
}

/// What a script is played on.
#[derive(Debug, Clone, Copy)]
pub struct Stage<'a> {
    /// The chain.
    pub chain: &'a ScriptedChain,
    /// The endpoints in front of it, in the order of their numbers.
    pub endpoints: &'a [&'a dyn Endpoint],
}

impl<'a> From<&'a ScriptedChain> for Stage<'a> {
    /// A chain without endpoints.
    fn from(chain: &'a ScriptedChain) -> Self {
        Self {
            chain,
            endpoints: &[],
        }
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

impl Script {
    /// The chain that the script starts from.
    #[must_use]
    pub fn chain(&self) -> ScriptedChain {
        ScriptedChain::new(self.chain_id)
    }

    /// Does every step at once. A script with words for endpoints takes a [`Stage`] with them.
    pub fn play_at_once<'a>(&self, stage: impl Into<Stage<'a>>) -> Result<(), ScriptError> {
        let stage = stage.into();
        self.steps.iter().try_for_each(|step| step.apply(stage))
    }

    #[cfg(feature = "server")]
    /// Does every step at the script's pace: after each new block it waits.
    pub async fn play<'a>(&self, stage: impl Into<Stage<'a>>) -> Result<(), ScriptError> {
        let stage = stage.into();
        for step in &self.steps {
            match &step.action {
                Action::Mine(count) => {
                    for _ in 0..*count {
                        stage.chain.mine(1);
                        tokio::time::sleep(self.every).await;
                    }
                }
                Action::Reorg(_) | Action::Replay { .. } | Action::Branch { .. } => {
                    step.apply(stage)?;
                    tokio::time::sleep(self.every).await;
                }
                Action::Wait(duration) => tokio::time::sleep(*duration).await,
                _ => step.apply(stage)?,
            }
        }
        Ok(())
    }
}

impl Step {
    /// Does it, at once; an error names the line.
    pub fn apply<'a>(&self, stage: impl Into<Stage<'a>>) -> Result<(), ScriptError> {
        let stage = stage.into();
        let at = |problem: ScriptProblem| ScriptError {
            line: self.line,
            problem,
        };
        let refused = |error: ChainOpError| at(error.into());
        match &self.action {
            Action::Reorg(depth) => stage.chain.reorg(*depth).map_err(refused),
            Action::Replay { depth, late } => {
                stage.chain.reorg_replaying(*depth, *late).map_err(refused)
            }
            Action::Branch { depth, steps } => stage
                .chain
                .reorg_to(*depth, |branch| {
                    steps.iter().try_for_each(|step| step.build(branch))
                })
                .map_err(refused)?,
            Action::Rollback(depth) => stage.chain.rollback(*depth).map_err(refused),
            Action::Wait(_) => Ok(()),
            Action::Endpoint(which, change) => change_endpoints(stage, *which, change).map_err(at),
            _ => stage.chain.at_once(|branch| self.build(branch)),
        }
    }

    /// Does it to a branch. The parser lets nothing else into one than blocks and their content.
    pub(crate) fn build(&self, branch: &mut Branch) -> Result<(), ScriptError> {
        let done = match &self.action {
            Action::Mine(count) => {
                branch.mine(*count);
                Ok(())
            }
            Action::Logs(logs) => {
                branch.transaction(logs.clone());
                Ok(())
            }
            Action::Call(to, input, answer) => {
                branch.set_call(*to, input.clone(), answer.clone());
                Ok(())
            }
            Action::SetBalance(address, wei) => {
                branch.set_balance(*address, *wei);
                Ok(())
            }
            Action::Credit(address, wei) => branch.credit(*address, *wei),
            Action::Debit(address, wei) => branch.debit(*address, *wei),
            other => Err(ScriptError {
                line: self.line,
                problem: ScriptProblem::NotInBranch(format!("{other:?}")),
            })?,
        };
        done.map_err(|error| ScriptError {
            line: self.line,
            problem: error.into(),
        })
    }
}

fn change_endpoints(
    stage: Stage<'_>,
    which: Option<usize>,
    change: &EndpointChange,
) -> Result<(), ScriptProblem> {
    let there = stage.endpoints.len();
    let chosen = match which {
        None => stage.endpoints,
        Some(which) => which
            .checked_sub(1)
            .and_then(|index| stage.endpoints.get(index..=index))
            .unwrap_or_default(),
    };
    if chosen.is_empty() {
        let which = which.unwrap_or(1);
        return Err(ScriptProblem::NoEndpoint { which, there });
    }
    chosen.iter().for_each(|endpoint| endpoint.change(change));
    Ok(())
}
