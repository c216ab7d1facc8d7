//! What a module asks for with `eth_sendTransaction`, read by the engine's rules.

use alloy_primitives::{Address, B256, Bytes, U256};
use serde::Deserialize;

use crate::{HostError, Result};

/// The longest input of a transaction, in bytes.
const MAX_INPUT_BYTES: usize = 128 * 1024;
/// The most entries of an access list, addresses and keys together.
const MAX_ACCESS_ENTRIES: usize = 1024;

/// What tells a transaction from any other that a call could ask for: not its price.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct AskedTransaction {
    pub(super) chain_id: u64,
    pub(super) from: Address,
    pub(super) to: Option<Address>,
    pub(super) value: U256,
    pub(super) input: Bytes,
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
    #[serde(rename = "address")]
    _address: Address,
    storage_keys: Vec<B256>,
}

impl AskedTransaction {
    /// Reads the parameters of `eth_sendTransaction` on that chain.
    pub(super) fn parse(params: &str, chain_id: u64) -> Result<Self> {
        let (raw,): (Raw,) = serde_json::from_str(params).map_err(|error| {
            invalid(format!(
                "the parameters are one transaction, \
                 [{{\"from\": …, \"to\": …, \"value\": …}}]: {error}"
            ))
        })?;
        raw.check(chain_id)?;
        let input = match (raw.data, raw.input) {
            (Some(data), Some(input)) if data != input => {
                return Err(invalid(
                    "`data` and `input` are not the same: write one of them",
                ));
            }
            (Some(data), _) => data,
            (None, input) => input.unwrap_or_default(),
        };
        if input.len() > MAX_INPUT_BYTES {
            let len = input.len();
            let message =
                format!("a transaction has at most {MAX_INPUT_BYTES} bytes of input, not {len}");
            return Err(invalid(message));
        }
        Ok(Self {
            chain_id,
            from: raw.from,
            to: raw.to,
            value: raw.value.unwrap_or_default(),
            input,
        })
    }
}

impl Raw {
    /// Refuses what the engine decides itself, and what it does not sign.
    fn check(&self, chain_id: u64) -> Result<()> {
        if self.nonce.is_some() {
            return Err(invalid("`nonce` is the engine's to choose: leave it out"));
        }
        if self.gas_price.is_some() {
            return Err(invalid(
                "`gasPrice` is of an older form: write `maxFeePerGas`, or leave the price to the \
                 engine",
            ));
        }
        if let Some(found) = self.r#type.filter(|kind| *kind != U256::from(2)) {
            return Err(invalid(format!(
                "`type` is {found}, and the engine signs transactions of type 0x2 (EIP-1559)"
            )));
        }
        if let Some(found) = self.chain_id.filter(|id| *id != U256::from(chain_id)) {
            return Err(invalid(format!(
                "`chainId` is {found}, and the chain asked is {chain_id}"
            )));
        }
        let list = self.access_list.iter().flatten();
        let entries: usize = list.map(|item| 1 + item.storage_keys.len()).sum();
        if entries > MAX_ACCESS_ENTRIES {
            return Err(invalid(format!(
                "an access list has at most {MAX_ACCESS_ENTRIES} entries, and this has {entries}"
            )));
        }
        let (fee, tip) = (self.max_fee_per_gas, self.max_priority_fee_per_gas);
        for (name, value, most) in [
            ("gas", self.gas, u128::from(u64::MAX)),
            ("maxFeePerGas", fee, u128::MAX),
            ("maxPriorityFeePerGas", tip, u128::MAX),
        ] {
            if value.is_some_and(|value| value > U256::from(most)) {
                return Err(invalid(format!("`{name}` is larger than any chain takes")));
            }
        }
        if fee.zip(tip).is_some_and(|(fee, tip)| tip > fee) {
            return Err(invalid(
                "`maxPriorityFeePerGas` is more than `maxFeePerGas`",
            ));
        }
        Ok(())
    }
}

fn invalid(message: impl Into<String>) -> HostError {
    HostError::invalid_input(message).in_domain("identity")
}
