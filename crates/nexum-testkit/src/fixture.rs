//! What a module is to meet and what is to become of it, as a few readable lines.
//!
//! A fixture is a [`Script`](crate::Script) with more words: several chains, what the state holds
//! to begin with, answers from the web, ticks, messages, and `expect` blocks. Every script is a
//! fixture.
//!
//! ```text
//! chain 1
//! state threshold = "2500"
//! call 0xfeed latestAnswer() returns (int256) = 250000000000
//! mine
//! emit 0xc0 Transfer(address indexed from, address indexed to, uint256 value) 0xa1 0xb2 3 ether
//! mine
//! expect {
//!   log info "3 ether"
//!   no log error
//!   state total/0x00000000000000000000000000000000000000b2 = 3000000000000000000
//!   request eth_call times 1
//!   events 2
//! }
//! ```
//!
//! It is plain data here: who plays it says what hosts it. Every word stands in
//! `docs/reference/fixture.md`.

mod expect;
mod parse;

use std::{collections::BTreeMap, time::Duration};

use crate::{Action, NewLog, ScriptError, ScriptedChain, Step};
pub use expect::{Expect, Expectation, LogLevel, Seen, Unmet};
pub use parse::fixture_words;

/// A parsed fixture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fixture {
    /// The chains, in the order in which they are first named. There is one at least.
    pub chains: Vec<FixtureChain>,
    /// What the state holds before anything happens.
    pub state: Vec<StateEntry>,
    /// What is laid over the manifest's `[config]`.
    pub config: Vec<ConfigEntry>,
    /// What happens, in order.
    pub steps: Vec<FixtureStep>,
}

/// A chain of a fixture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FixtureChain {
    /// The line that names it first, counted from 1.
    pub line: usize,
    /// Its id.
    pub id: u64,
    /// The pace of a player that has one.
    pub every: Duration,
}

/// One key of the state, before anything happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateEntry {
    /// The line it stands on, counted from 1.
    pub line: usize,
    /// The key.
    pub key: String,
    /// The value.
    pub value: Vec<u8>,
}

/// One entry of the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigEntry {
    /// The line it stands on, counted from 1.
    pub line: usize,
    /// The key; dots stand for nested tables.
    pub key: String,
    /// The value.
    pub value: ConfigSetting,
}

/// A value of the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConfigSetting {
    /// One value.
    Scalar(ConfigScalar),
    /// A list of values.
    List(Vec<ConfigScalar>),
}

/// A value that is no list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConfigScalar {
    /// In quotes.
    Text(String),
    /// A decimal number.
    Integer(i64),
    /// `true` or `false`.
    Boolean(bool),
}

/// One step of a fixture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FixtureStep {
    /// The line it begins on, counted from 1.
    pub line: usize,
    /// What happens.
    pub act: Act,
}

/// What can happen in a fixture.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Act {
    /// A balance or an answer to calls that the chain of this id has from its genesis block on: the
    /// first line about it, before the chain's first block.
    Genesis(u64, Action),
    /// Something on the chain of this id, or to its endpoints.
    Chain(u64, Action),
    /// A schedule fires.
    Tick {
        /// The schedule, as the manifest has it.
        schedule: String,
    },
    /// A message arrives.
    Message {
        /// Its content topic.
        topic: String,
        /// Its payload.
        payload: Vec<u8>,
    },
    /// From now on the web answers this.
    Http {
        /// The method, such as `GET`.
        method: String,
        /// The whole URL.
        url: String,
        /// The answer.
        answer: HttpAnswer,
    },
    /// Everything up to here is handled, and then looked at.
    Expect(Vec<Expectation>),
}

/// What the web answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HttpAnswer {
    /// A response.
    Response {
        /// Its status code.
        status: u16,
        /// Its body.
        body: Vec<u8>,
    },
    /// Nobody is there.
    Unreachable,
}

impl Fixture {
    /// The chain of that id as it begins: its genesis block, with what that has.
    ///
    /// # Errors
    ///
    /// Where a balance leaves the range of wei, with its line.
    pub fn scripted_chain(&self, id: u64) -> Result<ScriptedChain, ScriptError> {
        let chain = ScriptedChain::new(id);
        for step in &self.steps {
            if let Act::Genesis(of, action) = &step.act
                && *of == id
            {
                let (line, action) = (step.line, action.clone());
                chain.at_genesis(|branch| Step { line, action }.build(branch))?;
            }
        }
        Ok(chain)
    }

    /// The lines whose logs, balances and answers no block takes: nothing is mined after them, or
    /// not before a reorg, which drops what waits.
    #[must_use]
    pub fn without_block(&self) -> Vec<usize> {
        let mut waiting: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
        let mut lines = Vec::new();
        for step in &self.steps {
            let Act::Chain(chain, action) = &step.act else {
                continue;
            };
            let waiting = waiting.entry(*chain).or_default();
            match action {
                Action::Mine(0) => {}
                action if action.waits_for_a_block() => waiting.push(step.line),
                Action::Mine(_) => waiting.clear(),
                Action::Reorg(_) | Action::Replay { .. } | Action::Rollback(_) => {
                    lines.append(waiting);
                }
                Action::Branch { steps, .. } => {
                    lines.append(waiting);
                    let last = steps
                        .iter()
                        .rposition(|one| matches!(one.action, Action::Mine(_)));
                    let rest = &steps[last.map_or(0, |last| last + 1)..];
                    waiting.extend(rest.iter().map(|one| one.line));
                }
                _ => {}
            }
        }
        lines.extend(waiting.into_values().flatten());
        lines.sort_unstable();
        lines
    }

    /// How many endpoints the fixture speaks of in front of a chain; one at least.
    #[must_use]
    pub fn endpoints(&self, chain: u64) -> usize {
        let named = self.steps.iter().filter_map(|step| match &step.act {
            Act::Chain(of, Action::Endpoint(Some(which), _)) if *of == chain => Some(*which),
            _ => None,
        });
        named.max().unwrap_or(1).max(1)
    }

    /// Every log that the fixture emits, with its line and its chain.
    #[must_use]
    pub fn logs(&self) -> Vec<(usize, u64, &NewLog)> {
        let mut logs = Vec::new();
        for step in &self.steps {
            if let Act::Chain(chain, action) = &step.act {
                logs_of(step.line, *chain, action, &mut logs);
            }
        }
        logs
    }
}

fn logs_of<'a>(
    line: usize,
    chain: u64,
    action: &'a Action,
    logs: &mut Vec<(usize, u64, &'a NewLog)>,
) {
    match action {
        Action::Logs(emitted) => logs.extend(emitted.iter().map(|log| (line, chain, log))),
        Action::Branch { steps, .. } => {
            for Step { line, action } in steps {
                logs_of(*line, chain, action, logs);
            }
        }
        _ => {}
    }
}
