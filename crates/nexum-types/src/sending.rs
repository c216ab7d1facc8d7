//! The ports that sending transactions needs: to the chains, and to the disk.

use alloy_primitives::{Address, B256, Bytes, U256};
use serde::{Deserialize, Serialize};

use crate::{BoxFuture, CallId, ChainId, HostError, ModuleName, StateError};

/// Hands signed transactions to chains. No module has this port: what it hands on has been signed
/// under the operator's rules.
pub trait Broadcast: Send + Sync + 'static {
    /// Hands on the bytes of a signed transaction (EIP-2718). Doing it twice is as doing it once.
    fn broadcast<'a>(
        &'a self,
        chain: ChainId,
        raw: &'a Bytes,
    ) -> BoxFuture<'a, Result<(), BroadcastError>>;
}

/// Why it is not known that a node took a transaction.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BroadcastError {
    /// A node answered with an error of its own, and no other has the transaction: it may have
    /// refused it, or known it.
    #[error("{0}")]
    Answered(HostError),
    /// No node answered, or not the first one that had it: one may have taken it all the same.
    #[error("{0}")]
    Unanswered(HostError),
}

/// A transaction that was signed for a call of a module.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SentTransaction {
    /// Its number among all; later ones have higher numbers.
    pub id: u64,
    /// Whose call it was.
    pub module: ModuleName,
    /// The call.
    pub call: CallId,
    /// Which of the call's transactions it is, from 0 on.
    pub index: u32,
    /// The hash over what the module asked for. Another attempt must ask for the same.
    pub asked: B256,
    /// What the module was handling, as the audit names it.
    pub event: String,
    /// The chain.
    pub chain: ChainId,
    /// The account that signed.
    pub account: Address,
    /// The account's nonce.
    pub nonce: u64,
    /// The transaction's hash.
    pub hash: B256,
    /// The signed transaction (EIP-2718).
    pub raw: Bytes,
    /// The value that it sends, in wei.
    pub value: U256,
    /// What its gas costs at most, in wei.
    pub fees: U256,
    /// When it was signed, in milliseconds since the Unix epoch, UTC; of one that was refused first,
    /// when it was handed over again, or found to be on its way all the same.
    pub signed_ms: u64,
    /// What has become of it.
    pub fate: Fate,
    /// Whether that cannot change any more.
    pub is_final: bool,
    /// Whether its call was committed, and so is not made again.
    pub is_settled: bool,
}

/// What has become of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Fate {
    /// It is to land: it is handed to the chain until it does.
    Pending,
    /// It is in a block.
    Landed {
        /// The block's number.
        block: u64,
        /// Whether it was reverted there.
        reverted: bool,
    },
    /// Another transaction of the account has its nonce.
    Replaced,
    /// The chain did not take it when it was first handed over, and its nonce goes to the next.
    Refused,
}

/// Keeps transactions on the disk. What it is given is there when it returns, which blocks for
/// that.
pub trait TransactionLedger: Send + Sync + 'static {
    /// All there are, by number.
    fn load(&self) -> Result<Vec<SentTransaction>, StateError>;

    /// Adds or changes those, and removes those of these numbers, in one transaction.
    fn change(&self, put: &[SentTransaction], remove: &[u64]) -> Result<(), StateError>;
}
