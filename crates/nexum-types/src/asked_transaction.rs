//! What a module asks for with `eth_sendTransaction`: the engine and the mock host read it alike.

use alloy_primitives::{Address, B256, Bytes, TxKind, U256, keccak256};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::ChainId;

/// The longest input of a transaction, in bytes: what nodes take.
const MAX_INPUT_BYTES: usize = 128 * 1024;
/// The most entries of an access list, addresses and keys together.
const MAX_ACCESS_ENTRIES: usize = 1024;

/// A transaction as a module asks for it. What is not there, the engine fills in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AskedTransaction {
    /// Who sends it.
    pub from: Address,
    /// Who receives it, or that it makes a contract.
    pub to: TxKind,
    /// The value that it sends, in wei.
    pub value: U256,
    /// What the receiver is called with, or the contract's code.
    pub input: Bytes,
    /// The most gas.
    pub gas: Option<u64>,
    /// The highest price of gas, in wei (`maxFeePerGas` of EIP-1559).
    pub max_fee: Option<u128>,
    /// What of that is a tip at most, in wei (`maxPriorityFeePerGas`).
    pub tip: Option<u128>,
    /// The addresses, each with storage keys, that it says it will touch (EIP-2930).
    pub access_list: Vec<(Address, Vec<B256>)>,
}

/// Why a request is none that the engine can fill in and sign.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AskedTransactionError {
    /// It is no transaction, or has a field that is not known.
    #[error("the parameters are one transaction, [{{\"from\": …, \"to\": …, \"value\": …}}]: {0}")]
    Shape(String),
    /// It has a nonce.
    #[error("`nonce` is the engine's to choose: leave it out")]
    Nonce,
    /// It has a price of another form.
    #[error(
        "`gasPrice` is of an older form: write `maxFeePerGas`, or leave the price to the engine"
    )]
    GasPrice,
    /// It is of another form.
    #[error("`type` is {0}, and the engine signs transactions of type 0x2 (EIP-1559)")]
    Type(U256),
    /// It is for another chain.
    #[error("`chainId` is {found}, and the chain asked is {asked}")]
    OtherChain {
        /// The chain that it is for.
        found: U256,
        /// The chain that was asked.
        asked: ChainId,
    },
    /// It has two inputs.
    #[error("`data` and `input` are not the same: write one of them")]
    TwoInputs,
    /// Its input is too long, in bytes.
    #[error("a transaction has at most {MAX_INPUT_BYTES} bytes of input, and this has {0}")]
    InputTooLong(usize),
    /// Its access list has too many entries.
    #[error("an access list has at most {MAX_ACCESS_ENTRIES} entries, and this has {0}")]
    AccessListTooLong(usize),
    /// A number is too large.
    #[error("`{0}` is larger than any chain takes")]
    TooLarge(&'static str),
    /// It tips more than it pays.
    #[error("`maxPriorityFeePerGas` is more than `maxFeePerGas`")]
    TipOverFee,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Raw {
    from: Address,
    to: Option<Address>,
    value: Option<U256>,
    data: Option<Bytes>,
    input: Option<Bytes>,
    gas: Option<U256>,
    gas_price: Option<U256>,
    max_fee_per_gas: Option<U256>,
    max_priority_fee_per_gas: Option<U256>,
    nonce: Option<U256>,
    chain_id: Option<U256>,
    access_list: Option<Vec<RawAccess>>,
    r#type: Option<U256>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RawAccess {
    address: Address,
    storage_keys: Vec<B256>,
}

impl AskedTransaction {
    /// Reads the parameters of `eth_sendTransaction`.
    pub fn parse(params: &str, chain: ChainId) -> Result<Self, AskedTransactionError> {
        let (raw,): (Raw,) = serde_json::from_str(params)
            .map_err(|error| AskedTransactionError::Shape(error.to_string()))?;
        if raw.nonce.is_some() {
            return Err(AskedTransactionError::Nonce);
        }
        if raw.gas_price.is_some() {
            return Err(AskedTransactionError::GasPrice);
        }
        if let Some(found) = raw.r#type.filter(|kind| *kind != U256::from(2)) {
            return Err(AskedTransactionError::Type(found));
        }
        if let Some(found) = raw.chain_id.filter(|id| *id != U256::from(chain.0)) {
            let asked = chain;
            return Err(AskedTransactionError::OtherChain { found, asked });
        }
        let input = match (raw.data, raw.input) {
            (Some(data), Some(input)) if data != input => {
                return Err(AskedTransactionError::TwoInputs);
            }
            (Some(data), _) => data,
            (None, input) => input.unwrap_or_default(),
        };
        if input.len() > MAX_INPUT_BYTES {
            return Err(AskedTransactionError::InputTooLong(input.len()));
        }
        let access_list = raw.access_list.unwrap_or_default();
        let entries = access_list.iter().map(|item| 1 + item.storage_keys.len());
        let entries: usize = entries.sum();
        if entries > MAX_ACCESS_ENTRIES {
            return Err(AskedTransactionError::AccessListTooLong(entries));
        }
        let access_list = access_list.into_iter();
        let access_list = access_list.map(|item| (item.address, item.storage_keys));
        let number = |name, value: Option<U256>| {
            let number = value.map(u128::try_from);
            number
                .transpose()
                .map_err(|_| AskedTransactionError::TooLarge(name))
        };
        let gas = number("gas", raw.gas)?.map(u64::try_from).transpose();
        let max_fee = number("maxFeePerGas", raw.max_fee_per_gas)?;
        let tip = number("maxPriorityFeePerGas", raw.max_priority_fee_per_gas)?;
        if max_fee.zip(tip).is_some_and(|(fee, tip)| tip > fee) {
            return Err(AskedTransactionError::TipOverFee);
        }
        Ok(Self {
            from: raw.from,
            to: raw.to.map_or(TxKind::Create, TxKind::Call),
            value: raw.value.unwrap_or_default(),
            input,
            gas: gas.map_err(|_| AskedTransactionError::TooLarge("gas"))?,
            max_fee,
            tip,
            access_list: access_list.collect(),
        })
    }

    /// What tells this transaction from any other that the call could ask for: what moves, where
    /// to, and what is done with it. Its price does not.
    #[must_use]
    pub fn digest(&self, chain: ChainId) -> B256 {
        let parts = (chain.0, self.from, self.to.to(), self.value, &self.input);
        // Of these types none fails to be written.
        keccak256(serde_json::to_vec(&parts).unwrap_or_default())
    }

    /// The parameter of `eth_call` and `eth_estimateGas`.
    #[must_use]
    pub fn call(&self) -> Value {
        let mut object = json!({
            "from": self.from,
            "value": format!("{:#x}", self.value),
            "input": self.input,
        });
        if let TxKind::Call(to) = self.to {
            object["to"] = json!(to);
        }
        if let Some(gas) = self.gas {
            object["gas"] = json!(format!("{gas:#x}"));
        }
        if !self.access_list.is_empty() {
            object["accessList"] = access_list_json(&self.access_list);
        }
        object
    }
}

fn access_list_json(list: &[(Address, Vec<B256>)]) -> Value {
    let item =
        |(address, keys): &(Address, Vec<B256>)| json!({ "address": address, "storageKeys": keys });
    list.iter().map(item).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHAIN: ChainId = ChainId(31337);

    fn parse(fields: &str) -> Result<AskedTransaction, AskedTransactionError> {
        let from = "0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266";
        AskedTransaction::parse(&format!("[{{\"from\":\"{from}\"{fields}}}]"), CHAIN)
    }

    #[test]
    fn what_alloy_and_others_send_is_read() {
        let to = "0x70997970c51812dc3a010c7d01b50e0d17dc79c8";
        let asked = parse(&format!(
            r#","to":"{to}","value":"0xde0b6b3a7640000","data":"0x01","input":"0x01",
            "type":"0x2","chainId":"0x7a69","gas":"0x5208","maxFeePerGas":"0x3",
            "maxPriorityFeePerGas":"0x2","accessList":[{{"address":"{to}","storageKeys":[]}}]"#
        ))
        .unwrap();
        assert_eq!(asked.to, TxKind::Call(to.parse().unwrap()));
        assert_eq!(asked.value, U256::from(10).pow(U256::from(18)));
        assert_eq!(asked.input.as_ref(), [1]);
        assert_eq!(
            (asked.gas, asked.max_fee, asked.tip),
            (Some(21_000), Some(3), Some(2))
        );
        assert_eq!(asked.access_list.len(), 1);
        let bare = parse("").unwrap();
        assert_eq!((bare.to, bare.value), (TxKind::Create, U256::ZERO));
    }

    #[test]
    fn what_the_engine_decides_or_does_not_sign_is_refused() {
        type Error = AskedTransactionError;
        let long = format!(",\"data\":\"0x{}\"", "00".repeat(MAX_INPUT_BYTES + 1));
        for (fields, error) in [
            (",\"nonce\":\"0x1\"", Error::Nonce),
            (",\"gasPrice\":\"0x1\"", Error::GasPrice),
            (",\"type\":\"0x3\"", Error::Type(U256::from(3))),
            (
                ",\"chainId\":\"0x1\"",
                Error::OtherChain {
                    found: U256::from(1),
                    asked: CHAIN,
                },
            ),
            (",\"data\":\"0x01\",\"input\":\"0x02\"", Error::TwoInputs),
            (&long, Error::InputTooLong(MAX_INPUT_BYTES + 1)),
            (",\"gas\":\"0x10000000000000000\"", Error::TooLarge("gas")),
            (
                ",\"maxFeePerGas\":\"0x1\",\"maxPriorityFeePerGas\":\"0x2\"",
                Error::TipOverFee,
            ),
        ] {
            assert_eq!(
                parse(fields),
                Err(error),
                "{}",
                &fields[..fields.len().min(60)]
            );
        }
        for shape in ["", "{}", "[]", "[{}]", "[{\"from\":\"0x1\"}]", "[1,2]"] {
            let parsed = AskedTransaction::parse(shape, CHAIN);
            assert!(matches!(parsed, Err(Error::Shape(_))), "{shape}");
        }
        let unknown = parse(",\"blobVersionedHashes\":[]")
            .unwrap_err()
            .to_string();
        assert!(unknown.contains("blobVersionedHashes"), "{unknown}");
    }

    #[test]
    fn the_price_makes_no_other_transaction_and_everything_else_does() {
        let digest = |fields: &str| parse(fields).unwrap().digest(CHAIN);
        let plain = digest("");
        assert_eq!(plain, digest(",\"gas\":\"0x1\",\"maxFeePerGas\":\"0x9\""));
        let to = ",\"to\":\"0x70997970c51812dc3a010c7d01b50e0d17dc79c8\"";
        for other in [to, ",\"value\":\"0x1\"", ",\"data\":\"0x00\""] {
            assert_ne!(plain, digest(other), "{other}");
        }
        assert_ne!(plain, parse("").unwrap().digest(ChainId(1)));
    }
}
