//! The blocks and what can be done to them. Pure: no lock, no announcing.

use std::{collections::HashMap, sync::Arc};

use alloy_primitives::{Address, B256, U256};

use super::{
    ChainOpError,
    block::{ChainBlock, NewLog, Transaction},
    state::{CallAnswer, CallInput, State},
};

/// The canonical branch while it is being changed: everything done to it in one change is seen
/// at once.
#[derive(Debug)]
pub struct Branch {
    chain_id: u64,
    /// The canonical blocks; the index is the number. Never empty.
    canonical: Vec<Arc<ChainBlock>>,
    /// Every block there ever was, orphans included.
    by_hash: HashMap<B256, Arc<ChainBlock>>,
    /// What a node would have told its subscribers, in order.
    news: Vec<News>,
    /// Blocks that were taken off, newest first: subscribers hear of it with the next head, when
    /// a node has a branch to take instead.
    taken_off: Vec<Arc<ChainBlock>>,
    next_state: Arc<State>,
    next_transactions: Vec<Transaction>,
    /// Counts the transactions, so that no two have the same hash.
    nonce: u64,
    /// Counts the branches, so that no two have the same hashes.
    salt: u64,
}

/// What a node tells its subscribers.
#[derive(Debug, Clone)]
pub enum News {
    /// This block is the head now.
    Head(Arc<ChainBlock>),
    /// This block is no longer canonical.
    Removed(Arc<ChainBlock>),
}

impl Branch {
    pub(super) fn new(chain_id: u64) -> Self {
        let state = Arc::new(State::default());
        let genesis = Arc::new(ChainBlock::genesis(chain_id, Arc::clone(&state)));
        Self {
            chain_id,
            by_hash: HashMap::from([(genesis.hash, Arc::clone(&genesis))]),
            canonical: vec![genesis],
            news: Vec::new(),
            taken_off: Vec::new(),
            next_state: state,
            next_transactions: Vec::new(),
            nonce: 0,
            salt: 0,
        }
    }

    /// Makes what was set so far the state of the genesis block, where that is all there is.
    pub(super) fn begin(&mut self) {
        if let [genesis] = self.canonical.as_mut_slice() {
            let state = Arc::clone(&self.next_state);
            *genesis = Arc::new(ChainBlock::genesis(self.chain_id, state));
            self.by_hash.insert(genesis.hash, Arc::clone(genesis));
        }
    }

    /// Mines `count` blocks. The first takes the logs and balances set since the last one.
    pub fn mine(&mut self, count: u64) {
        for _ in 0..count {
            let transactions = std::mem::take(&mut self.next_transactions);
            self.append(transactions);
        }
    }

    /// One log in a transaction of its own, in the next block.
    pub fn log(&mut self, log: NewLog) {
        self.transaction(vec![log]);
    }

    /// One transaction that emits these logs, in the next block.
    pub fn transaction(&mut self, logs: Vec<NewLog>) {
        self.nonce += 1;
        let transaction = Transaction::new(self.chain_id, self.nonce, logs);
        self.next_transactions.push(transaction);
    }

    /// Sets a balance from the next block on.
    pub fn set_balance(&mut self, address: Address, wei: U256) {
        Arc::make_mut(&mut self.next_state).set_balance(address, wei);
    }

    /// Answers calls of a contract from the next block on.
    pub fn set_call(&mut self, to: Address, input: CallInput, answer: CallAnswer) {
        Arc::make_mut(&mut self.next_state).set_call(to, input, answer);
    }

    /// Adds to a balance from the next block on.
    pub fn credit(&mut self, address: Address, wei: U256) -> Result<(), ChainOpError> {
        self.adjust(address, |balance| balance.checked_add(wei))
    }

    /// Takes from a balance from the next block on.
    pub fn debit(&mut self, address: Address, wei: U256) -> Result<(), ChainOpError> {
        self.adjust(address, |balance| balance.checked_sub(wei))
    }

    fn adjust(
        &mut self,
        address: Address,
        by: impl FnOnce(U256) -> Option<U256>,
    ) -> Result<(), ChainOpError> {
        let balance = self.next_state.balance(&address);
        let changed = by(balance).ok_or(ChainOpError::Balance { address, balance })?;
        self.set_balance(address, changed);
        Ok(())
    }

    /// The head.
    #[must_use]
    pub fn head(&self) -> &Arc<ChainBlock> {
        &self.canonical[self.canonical.len() - 1]
    }

    /// Takes the last `depth` blocks off and answers them, oldest first. What was waiting for the
    /// next block goes, too.
    pub(super) fn take_off(&mut self, depth: u64) -> Result<Vec<Arc<ChainBlock>>, ChainOpError> {
        let head = self.head().number;
        if depth > head {
            return Err(ChainOpError::TooDeep { depth, head });
        }
        self.salt += 1;
        let gone = self.canonical.split_off((head - depth) as usize + 1);
        self.taken_off.extend(gone.iter().rev().cloned());
        self.next_state = Arc::clone(&self.head().state);
        self.next_transactions.clear();
        Ok(gone)
    }

    /// Puts blocks with the same transactions and state as `gone` on top, `late` blocks later.
    pub(super) fn replay(&mut self, gone: &[Arc<ChainBlock>], late: usize) {
        let mut waiting = gone.iter();
        for position in 0..gone.len() {
            let original = (position >= late).then(|| waiting.next()).flatten();
            if let Some(block) = original {
                self.next_state = Arc::clone(&block.state);
            }
            self.append(
                original
                    .map(|block| block.transactions())
                    .unwrap_or_default(),
            );
        }
        // What found no place is in the pool: the next block takes it.
        for block in waiting {
            self.next_state = Arc::clone(&block.state);
            self.next_transactions.extend(block.transactions());
        }
    }

    fn append(&mut self, transactions: Vec<Transaction>) {
        let state = Arc::clone(&self.next_state);
        let block = self
            .head()
            .child(self.chain_id, self.salt, transactions, state);
        let block = Arc::new(block);
        self.by_hash.insert(block.hash, Arc::clone(&block));
        self.news
            .extend(self.taken_off.drain(..).map(News::Removed));
        self.news.push(News::Head(Arc::clone(&block)));
        self.canonical.push(block);
    }

    pub(super) fn canonical(&self) -> &[Arc<ChainBlock>] {
        &self.canonical
    }

    pub(super) fn by_hash(&self, hash: &B256) -> Option<&Arc<ChainBlock>> {
        self.by_hash.get(hash)
    }

    pub(super) fn news(&self) -> &[News] {
        &self.news
    }
}
