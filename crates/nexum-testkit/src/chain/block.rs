//! Blocks and the logs in them.

use std::sync::{Arc, OnceLock};

use alloy_primitives::{Address, B256, Bloom, BloomInput, Bytes, U256, keccak256};

use super::state::{CallAnswer, State};

/// The timestamp of block 0, in seconds since the Unix epoch.
pub const GENESIS_TIME: u64 = 1_700_000_000;
/// Seconds between two blocks, in the chain's own time.
const BLOCK_TIME: u64 = 12;

/// One block with the state after it.
#[derive(Debug)]
pub struct ChainBlock {
    /// Its height.
    pub number: u64,
    /// Its hash: keccak256 of chain id, number, parent hash, the branch's salt and its
    /// transactions.
    pub hash: B256,
    /// The hash of the block before it.
    pub parent_hash: B256,
    /// Seconds since the Unix epoch.
    pub timestamp: u64,
    /// Its logs, in order: the index is the log index.
    pub logs: Vec<ChainLog>,
    pub(super) state: Arc<State>,
    /// Made when it is first asked for: most blocks of a long chain are never shown.
    bloom: OnceLock<Box<Bloom>>,
}

/// A block is its hash.
impl PartialEq for ChainBlock {
    fn eq(&self, other: &Self) -> bool {
        (self.number, self.hash) == (other.number, other.hash)
    }
}

impl Eq for ChainBlock {}

/// One log of a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainLog {
    /// The contract that emitted it.
    pub address: Address,
    /// Its topics, at most 4.
    pub topics: Vec<B256>,
    /// Its data.
    pub data: Bytes,
    /// The hash of its transaction. A transaction that a reorg puts into another block keeps it.
    pub transaction_hash: B256,
    /// The index of its transaction in the block.
    pub transaction_index: u32,
}

/// A log to come: what a contract emits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewLog {
    /// The contract that emits it.
    pub address: Address,
    /// Its topics, at most 4; the first is the event's signature hash, but for anonymous events.
    pub topics: Vec<B256>,
    /// Its data.
    pub data: Bytes,
}

impl NewLog {
    /// A log of `event`, a signature in its canonical form such as
    /// `Transfer(address,address,uint256)`, without indexed arguments or data.
    #[must_use]
    pub fn of(address: Address, event: &str) -> Self {
        Self {
            address,
            topics: vec![keccak256(event)],
            data: Bytes::new(),
        }
    }

    /// The same with one more indexed argument.
    #[must_use]
    pub fn topic(mut self, topic: impl IntoTopic) -> Self {
        self.topics.push(topic.into_topic());
        self
    }

    /// The same with this data.
    #[must_use]
    pub fn data(mut self, data: impl Into<Bytes>) -> Self {
        self.data = data.into();
        self
    }
}

/// What can stand as an indexed argument: padded to 32 bytes on the left, as the ABI does for
/// value types.
pub trait IntoTopic {
    /// The 32 bytes.
    fn into_topic(self) -> B256;
}

impl IntoTopic for B256 {
    fn into_topic(self) -> B256 {
        self
    }
}

impl IntoTopic for Address {
    fn into_topic(self) -> B256 {
        self.into_word()
    }
}

impl IntoTopic for U256 {
    fn into_topic(self) -> B256 {
        self.into()
    }
}

impl IntoTopic for u64 {
    fn into_topic(self) -> B256 {
        U256::from(self).into()
    }
}

/// A transaction: its hash, and what it emits. Where it stands decides the rest.
#[derive(Debug, Clone)]
pub(super) struct Transaction {
    pub(super) hash: B256,
    pub(super) logs: Vec<NewLog>,
}

impl Transaction {
    /// `nonce` tells apart transactions that emit the same.
    pub(super) fn new(chain_id: u64, nonce: u64, logs: Vec<NewLog>) -> Self {
        let mut preimage = Vec::with_capacity(16);
        preimage.extend_from_slice(&chain_id.to_be_bytes());
        preimage.extend_from_slice(&nonce.to_be_bytes());
        for log in &logs {
            preimage.extend_from_slice(log.address.as_slice());
            log.topics
                .iter()
                .for_each(|topic| preimage.extend_from_slice(topic.as_slice()));
            preimage.extend_from_slice(&log.data);
        }
        Self {
            hash: keccak256(preimage),
            logs,
        }
    }
}

impl ChainBlock {
    pub(super) fn genesis(chain_id: u64, state: Arc<State>) -> Self {
        Self::build(chain_id, 0, B256::ZERO, 0, Vec::new(), state)
    }

    pub(super) fn child(
        &self,
        chain_id: u64,
        salt: u64,
        transactions: Vec<Transaction>,
        state: Arc<State>,
    ) -> Self {
        Self::build(
            chain_id,
            self.number + 1,
            self.hash,
            salt,
            transactions,
            state,
        )
    }

    fn build(
        chain_id: u64,
        number: u64,
        parent_hash: B256,
        salt: u64,
        transactions: Vec<Transaction>,
        state: Arc<State>,
    ) -> Self {
        let mut preimage = Vec::with_capacity(56 + 32 * transactions.len());
        preimage.extend_from_slice(&chain_id.to_be_bytes());
        preimage.extend_from_slice(&number.to_be_bytes());
        preimage.extend_from_slice(parent_hash.as_slice());
        preimage.extend_from_slice(&salt.to_be_bytes());
        for transaction in &transactions {
            preimage.extend_from_slice(transaction.hash.as_slice());
        }
        let logs = transactions
            .into_iter()
            .zip(0..)
            .flat_map(|(transaction, index)| {
                let hash = transaction.hash;
                transaction.logs.into_iter().map(move |log| ChainLog {
                    address: log.address,
                    topics: log.topics,
                    data: log.data,
                    transaction_hash: hash,
                    transaction_index: index,
                })
            })
            .collect();
        Self {
            number,
            hash: keccak256(preimage),
            parent_hash,
            timestamp: GENESIS_TIME + number * BLOCK_TIME,
            logs,
            state,
            bloom: OnceLock::new(),
        }
    }

    /// The balance of `address` in wei after this block.
    #[must_use]
    pub fn balance(&self, address: &Address) -> U256 {
        self.state.balance(address)
    }

    /// What the contract `to` answers to a call with `input` after this block; `None` where no
    /// answer was set.
    #[must_use]
    pub fn call(&self, to: &Address, input: &Bytes) -> Option<&CallAnswer> {
        self.state.call(to, input)
    }

    /// True where calls of `address` have answers.
    #[must_use]
    pub fn is_contract(&self, address: &Address) -> bool {
        self.state.is_contract(address)
    }

    /// The bloom filter of its logs (yellow paper, section 4.3.1).
    #[must_use]
    pub fn logs_bloom(&self) -> &Bloom {
        self.bloom.get_or_init(|| {
            let mut bloom = Box::new(Bloom::ZERO);
            for log in &self.logs {
                bloom.accrue(BloomInput::Raw(log.address.as_slice()));
                for topic in &log.topics {
                    bloom.accrue(BloomInput::Raw(topic.as_slice()));
                }
            }
            bloom
        })
    }

    /// Its transactions, for another block to hold.
    pub(super) fn transactions(&self) -> Vec<Transaction> {
        let mut transactions: Vec<Transaction> = Vec::new();
        for log in &self.logs {
            let emitted = NewLog {
                address: log.address,
                topics: log.topics.clone(),
                data: log.data.clone(),
            };
            match transactions.last_mut() {
                Some(last) if last.hash == log.transaction_hash => last.logs.push(emitted),
                _ => transactions.push(Transaction {
                    hash: log.transaction_hash,
                    logs: vec![emitted],
                }),
            }
        }
        transactions
    }
}
