//! What was signed of transactions for modules.

use nexum_identity::Transaction;
use nexum_types::{Fate, SentTransaction};
use serde::{Deserialize, Serialize};

/// One transaction that was signed for a module. Amounts are in wei, in decimal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransactionReport {
    /// Its number: later ones have higher numbers.
    pub id: u64,
    /// The module.
    pub module: String,
    /// What the module was handling, as the audit names it.
    pub event: String,
    /// The chain.
    pub chain_id: u64,
    /// The account that signed.
    pub account: String,
    /// The account's nonce.
    pub nonce: u64,
    /// The transaction's hash.
    pub hash: String,
    /// Whom it is to; none where it makes a contract.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// What it sends.
    pub value: String,
    /// What it calls with, in hex; `0x` for a bare transfer.
    pub input: String,
    /// How much gas it may take.
    pub gas: u64,
    /// What a unit of gas costs at most.
    pub max_fee_per_gas: String,
    /// What of that is for whoever makes the block.
    pub max_priority_fee_per_gas: String,
    /// What its gas costs at most.
    pub max_fees: String,
    /// When it was signed, in milliseconds since the Unix epoch, UTC; of one that was refused first,
    /// when it was handed over again, or found to be on its way all the same.
    pub signed_ms: u64,
    /// `pending`, `landed`, `reverted`, `replaced` or `refused`.
    pub fate: String,
    /// The block that it is in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub block: Option<u64>,
    /// Whether its fate cannot change any more.
    pub is_final: bool,
}

impl TransactionReport {
    /// What is known of a transaction.
    #[must_use]
    pub fn new(sent: &SentTransaction) -> Self {
        let (fate, block) = match sent.fate {
            Fate::Pending => ("pending", None),
            Fate::Landed { block, reverted } => {
                (if reverted { "reverted" } else { "landed" }, Some(block))
            }
            Fate::Replaced => ("replaced", None),
            Fate::Refused => ("refused", None),
        };
        let signed = Transaction::of_signed(&sent.raw);
        let signed = signed.as_ref();
        let price = |of: fn(&Transaction) -> u128| signed.map(of).unwrap_or_default().to_string();
        let input = signed.map(Transaction::input).cloned().unwrap_or_default();
        Self {
            id: sent.id,
            module: sent.module.to_string(),
            event: sent.event.clone(),
            chain_id: sent.chain.0,
            account: sent.account.to_string(),
            nonce: sent.nonce,
            hash: sent.hash.to_string(),
            to: signed.and_then(Transaction::to).map(|to| to.to_string()),
            value: sent.value.to_string(),
            input: input.to_string(),
            gas: signed.map(Transaction::gas_limit).unwrap_or_default(),
            max_fee_per_gas: price(Transaction::max_fee_per_gas),
            max_priority_fee_per_gas: price(Transaction::max_priority_fee_per_gas),
            max_fees: sent.fees.to_string(),
            signed_ms: sent.signed_ms,
            fate: fate.to_owned(),
            block,
            is_final: sent.is_final,
        }
    }
}
