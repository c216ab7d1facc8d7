//! A transaction that is about to be signed (EIP-1559).

use alloy_consensus::{
    SignableTransaction as _, TxEip1559,
    transaction::{RlpEcdsaDecodableTx as _, RlpEcdsaEncodableTx as _},
};
use alloy_primitives::{Signature, TxKind, hex};
use nexum_types::{Address, B256, Bytes};
use serde_json::{Value, json};

/// A transaction with a fee market's prices, complete but for its signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transaction(pub(crate) TxEip1559);

impl From<TxEip1559> for Transaction {
    fn from(transaction: TxEip1559) -> Self {
        Self(transaction)
    }
}

impl Transaction {
    /// Whom it is to; none where it makes a contract.
    #[must_use]
    pub fn to(&self) -> Option<Address> {
        self.0.to.to().copied()
    }

    /// What a unit of gas costs at most, in wei.
    #[must_use]
    pub fn max_fee_per_gas(&self) -> u128 {
        self.0.max_fee_per_gas
    }

    /// What of that is for whoever makes the block, in wei.
    #[must_use]
    pub fn max_priority_fee_per_gas(&self) -> u128 {
        self.0.max_priority_fee_per_gas
    }

    /// How much gas it may take.
    #[must_use]
    pub fn gas_limit(&self) -> u64 {
        self.0.gas_limit
    }

    /// What it is called with; empty for a bare transfer.
    #[must_use]
    pub fn input(&self) -> &Bytes {
        &self.0.input
    }

    /// The transaction in the bytes of a signed one (EIP-2718).
    #[must_use]
    pub fn of_signed(raw: &[u8]) -> Option<Self> {
        let (transaction, _) = decode(raw)?;
        Some(Self(transaction))
    }

    /// The hash over which the signature is.
    #[must_use]
    pub fn digest(&self) -> B256 {
        self.0.signature_hash()
    }

    /// The transaction's hash and bytes (EIP-2718) with that signature.
    pub(crate) fn signed(&self, signature: &Signature) -> (B256, Bytes) {
        let mut raw = Vec::with_capacity(self.0.eip2718_encoded_length(signature));
        self.0.eip2718_encode(signature, &mut raw);
        (self.0.tx_hash(signature), raw.into())
    }

    /// The signature in the bytes of a signed transaction (EIP-2718), where that is this one.
    pub(crate) fn signature_in(&self, raw: &[u8]) -> Option<Signature> {
        let (transaction, signature) = decode(raw)?;
        (transaction == self.0).then_some(signature)
    }

    /// The parameter of `eth_signTransaction`, but for the account.
    pub(crate) fn json(&self) -> Value {
        let TxEip1559 {
            chain_id,
            nonce,
            gas_limit,
            max_fee_per_gas,
            max_priority_fee_per_gas,
            to,
            value,
            access_list,
            input,
        } = &self.0;
        let mut object = json!({
            "type": "0x2",
            "chainId": format!("{chain_id:#x}"),
            "nonce": format!("{nonce:#x}"),
            "gas": format!("{gas_limit:#x}"),
            "maxFeePerGas": format!("{max_fee_per_gas:#x}"),
            "maxPriorityFeePerGas": format!("{max_priority_fee_per_gas:#x}"),
            "value": format!("{value:#x}"),
            "data": hex::encode_prefixed(input),
        });
        if let TxKind::Call(to) = to {
            object["to"] = json!(to);
        }
        if !access_list.is_empty() {
            let items = access_list
                .iter()
                .map(|item| json!({ "address": item.address, "storageKeys": item.storage_keys }));
            object["accessList"] = items.collect();
        }
        object
    }
}

/// Of a signed transaction, with nothing after it.
fn decode(mut raw: &[u8]) -> Option<(TxEip1559, Signature)> {
    let signed = TxEip1559::eip2718_decode(&mut raw).ok()?;
    let (transaction, signature, _) = signed.into_parts();
    raw.is_empty().then_some((transaction, signature))
}
