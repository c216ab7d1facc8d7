//! A chain in memory: blocks, logs, balances, reorgs. Pure: the same operations make the same
//! hashes.

mod block;
mod branch;
#[cfg(feature = "server")]
mod heads;
mod state;

use std::{
    ops::RangeInclusive,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use alloy_primitives::{Address, B256, U256};
pub use block::{ChainBlock, ChainLog, GENESIS_TIME, IntoTopic, NewLog};
pub use branch::{Branch, News};
#[cfg(feature = "server")]
pub use heads::Heads;
#[cfg(feature = "server")]
pub(crate) use heads::NewsReader;
pub use state::{CallAnswer, CallInput};

/// How far `safe` is behind the head.
pub(crate) const SAFE_DEPTH: u64 = 32;
/// How far `finalized` is behind the head.
pub(crate) const FINALIZED_DEPTH: u64 = 64;

/// Why an operation is impossible on the chain as it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChainOpError {
    /// The genesis block cannot be replaced.
    #[error("cannot take {depth} blocks off a chain whose head is block {head}")]
    TooDeep {
        /// Blocks asked to go.
        depth: u64,
        /// The head's number.
        head: u64,
    },
    /// A balance would leave the range of wei.
    #[error("the balance of {address} is {balance} wei and cannot change by that much")]
    Balance {
        /// Whose balance.
        address: Address,
        /// What it is.
        balance: U256,
    },
}

/// A chain that does what a test says. Clones share it.
#[derive(Debug, Clone)]
pub struct ScriptedChain {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    chain_id: u64,
    branch: Mutex<Branch>,
    /// How many news there are.
    #[cfg(feature = "server")]
    news: tokio::sync::watch::Sender<usize>,
}

impl ScriptedChain {
    /// A chain with its genesis block alone.
    #[must_use]
    pub fn new(chain_id: u64) -> Self {
        Self {
            shared: Arc::new(Shared {
                chain_id,
                branch: Mutex::new(Branch::new(chain_id)),
                #[cfg(feature = "server")]
                news: tokio::sync::watch::Sender::new(0),
            }),
        }
    }

    /// The chain's id.
    #[must_use]
    pub fn chain_id(&self) -> u64 {
        self.shared.chain_id
    }

    /// Mines `count` blocks. The first takes the logs and balances set since the last one.
    pub fn mine(&self, count: u64) {
        self.change(|branch| branch.mine(count));
    }

    /// One log in a transaction of its own, in the next block.
    pub fn log(&self, log: NewLog) {
        self.change(|branch| branch.log(log));
    }

    /// One transaction that emits these logs, in the next block.
    pub fn transaction(&self, logs: Vec<NewLog>) {
        self.change(|branch| branch.transaction(logs));
    }

    /// Sets a balance from the next block on.
    pub fn set_balance(&self, address: Address, wei: U256) {
        self.change(|branch| branch.set_balance(address, wei));
    }

    /// Adds to a balance from the next block on.
    pub fn credit(&self, address: Address, wei: U256) -> Result<(), ChainOpError> {
        self.change(|branch| branch.credit(address, wei))
    }

    /// Takes from a balance from the next block on.
    pub fn debit(&self, address: Address, wei: U256) -> Result<(), ChainOpError> {
        self.change(|branch| branch.debit(address, wei))
    }

    /// Answers calls of a contract from the next block on.
    pub fn set_call(&self, to: Address, input: CallInput, answer: CallAnswer) {
        self.change(|branch| branch.set_call(to, input, answer));
    }

    /// Does several things in one step: nobody sees the chain in between.
    pub fn at_once<T>(&self, change: impl FnOnce(&mut Branch) -> T) -> T {
        self.change(change)
    }

    /// Replaces the last `depth` blocks by as many empty ones, so that the head keeps its height.
    /// What changed in the blocks that go is undone.
    pub fn reorg(&self, depth: u64) -> Result<(), ChainOpError> {
        self.reorg_to(depth, |branch| branch.mine(depth))
    }

    /// Replaces the last `depth` blocks by as many with the same transactions, `late` blocks later
    /// than they were (0: at the same heights). Those that no block takes wait for the next one.
    pub fn reorg_replaying(&self, depth: u64, late: u64) -> Result<(), ChainOpError> {
        self.change(|branch| {
            let gone = branch.take_off(depth)?;
            branch.replay(&gone, late as usize);
            Ok(())
        })
    }

    /// Takes the last `depth` blocks off and builds another branch in their place, of any height
    /// and with any logs, in one step.
    pub fn reorg_to<T>(
        &self,
        depth: u64,
        build: impl FnOnce(&mut Branch) -> T,
    ) -> Result<T, ChainOpError> {
        self.change(|branch| {
            branch.take_off(depth)?;
            Ok(build(branch))
        })
    }

    /// Takes the last `depth` blocks off and puts nothing in their place: the head goes back, and
    /// nothing is announced until the next block is mined on the new branch.
    pub fn rollback(&self, depth: u64) -> Result<(), ChainOpError> {
        self.reorg_to(depth, |_| ())
    }

    /// Sets balances and answers to calls that are there from the genesis block on: before there is
    /// any other block. Once there is one, they are of the next.
    pub fn at_genesis<T>(&self, change: impl FnOnce(&mut Branch) -> T) -> T {
        self.change(|branch| {
            let done = change(branch);
            branch.begin();
            done
        })
    }

    /// The head.
    #[must_use]
    pub fn head(&self) -> Arc<ChainBlock> {
        Arc::clone(self.lock().head())
    }

    /// The canonical block of that number.
    #[must_use]
    pub fn block(&self, number: u64) -> Option<Arc<ChainBlock>> {
        self.lock()
            .canonical()
            .get(usize::try_from(number).ok()?)
            .cloned()
    }

    /// The block of that hash, canonical or orphaned.
    #[must_use]
    pub fn block_by_hash(&self, hash: &B256) -> Option<Arc<ChainBlock>> {
        self.lock().by_hash(hash).cloned()
    }

    /// The canonical blocks of these numbers that have logs, oldest first, as they are at one
    /// moment.
    #[must_use]
    pub fn blocks_with_logs(&self, numbers: RangeInclusive<u64>) -> Vec<Arc<ChainBlock>> {
        let branch = self.lock();
        let blocks = branch.canonical();
        let end = (*numbers.end()).min(branch.head().number) as usize;
        let start = usize::try_from(*numbers.start()).unwrap_or(usize::MAX);
        let asked = blocks.get(start..=end).unwrap_or_default();
        asked
            .iter()
            .filter(|block| !block.logs.is_empty())
            .cloned()
            .collect()
    }

    /// The newest block that a node would call safe.
    #[must_use]
    pub fn safe(&self) -> Arc<ChainBlock> {
        self.behind_head(SAFE_DEPTH)
    }

    /// The newest block that a node would call final.
    #[must_use]
    pub fn finalized(&self) -> Arc<ChainBlock> {
        self.behind_head(FINALIZED_DEPTH)
    }

    /// The canonical block that has `depth` blocks on top; the genesis block where there are
    /// fewer.
    pub(crate) fn behind_head(&self, depth: u64) -> Arc<ChainBlock> {
        let branch = self.lock();
        let number = branch.head().number.saturating_sub(depth);
        Arc::clone(&branch.canonical()[number as usize])
    }

    /// What a node would have told its subscribers so far, from the one of that index on.
    #[must_use]
    pub fn news_from(&self, index: usize) -> Vec<News> {
        self.lock().news().get(index..).unwrap_or_default().to_vec()
    }

    fn lock(&self) -> MutexGuard<'_, Branch> {
        // A change that panics half-way has left whole blocks.
        self.shared
            .branch
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn change<T>(&self, change: impl FnOnce(&mut Branch) -> T) -> T {
        let mut branch = self.lock();
        let result = change(&mut branch);
        #[cfg(feature = "server")]
        {
            let news = branch.news().len();
            drop(branch);
            // Two changes may end in either order; the count never goes back.
            self.shared.news.send_if_modified(|count| {
                let more = news > *count;
                *count = news.max(*count);
                more
            });
        }
        result
    }
}
