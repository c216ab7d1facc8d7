//! What a chain knows beside its logs: balances, and what its contracts answer to `eth_call`.
//!
//! Nothing is executed. A call has the answer that was written down for it, or none.

use std::collections::BTreeMap;

use alloy_primitives::{Address, Bytes, U256, hex};

/// The state after a block. Cheap to share: a block whose state is that of its parent has the same
/// one.
#[derive(Debug, Clone, Default)]
pub(super) struct State {
    balances: BTreeMap<Address, U256>,
    calls: BTreeMap<Address, BTreeMap<CallInput, CallAnswer>>,
}

/// Which calls of a contract an answer is for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum CallInput {
    /// All calls of a function, by the first four bytes of the input.
    Selector([u8; 4]),
    /// The calls with this input alone. It goes before an answer by selector.
    Exact(Bytes),
}

/// What a contract answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallAnswer {
    /// It returns these bytes, encoded as the ABI says.
    Returns(Bytes),
    /// It reverts.
    Reverts {
        /// The reason in words, as a node's message has it behind "execution reverted".
        reason: Option<String>,
        /// What it reverts with, such as an encoded `Error(string)`.
        data: Bytes,
    },
}

impl CallAnswer {
    /// A revert with a reason, as Solidity's `require` makes it: an encoded `Error(string)`.
    #[must_use]
    pub fn reverts(reason: &str) -> Self {
        /// The selector of `Error(string)`.
        const ERROR: [u8; 4] = hex!("08c379a0");
        let padding = reason.len().next_multiple_of(32) - reason.len();
        let mut data = ERROR.to_vec();
        data.extend(U256::from(32).to_be_bytes::<32>());
        data.extend(U256::from(reason.len()).to_be_bytes::<32>());
        data.extend_from_slice(reason.as_bytes());
        data.extend(std::iter::repeat_n(0, padding));
        Self::Reverts {
            reason: Some(reason.to_owned()),
            data: data.into(),
        }
    }
}

impl State {
    pub(super) fn balance(&self, address: &Address) -> U256 {
        self.balances.get(address).copied().unwrap_or_default()
    }

    pub(super) fn set_balance(&mut self, address: Address, wei: U256) {
        self.balances.insert(address, wei);
    }

    pub(super) fn set_call(&mut self, to: Address, input: CallInput, answer: CallAnswer) {
        self.calls.entry(to).or_default().insert(input, answer);
    }

    pub(super) fn call(&self, to: &Address, input: &Bytes) -> Option<&CallAnswer> {
        let calls = self.calls.get(to)?;
        calls.get(&CallInput::Exact(input.clone())).or_else(|| {
            let selector = input.first_chunk()?;
            calls.get(&CallInput::Selector(*selector))
        })
    }

    /// True where something answers calls.
    pub(super) fn is_contract(&self, address: &Address) -> bool {
        self.calls.contains_key(address)
    }
}

#[cfg(test)]
mod tests {
    use alloy_primitives::bytes;

    use super::*;

    #[test]
    fn a_revert_is_encoded_as_solidity_does_it() {
        let CallAnswer::Reverts { data, .. } = CallAnswer::reverts("no price") else {
            panic!("it reverts");
        };
        assert_eq!(
            data,
            bytes!(
                "08c379a0"
                "0000000000000000000000000000000000000000000000000000000000000020"
                "0000000000000000000000000000000000000000000000000000000000000008"
                "6e6f207072696365000000000000000000000000000000000000000000000000"
            )
        );
    }

    #[test]
    fn the_exact_input_goes_before_the_selector() {
        let to = Address::with_last_byte(1);
        let answer = |byte: u8| CallAnswer::Returns(vec![byte].into());
        let mut state = State::default();
        state.set_call(to, CallInput::Exact(bytes!("aabbccdd01")), answer(1));
        state.set_call(to, CallInput::Selector(hex!("aabbccdd")), answer(2));
        assert_eq!(state.call(&to, &bytes!("aabbccdd01")), Some(&answer(1)));
        assert_eq!(state.call(&to, &bytes!("aabbccdd02")), Some(&answer(2)));
        assert_eq!(state.call(&to, &bytes!("aabbcc")), None);
        assert_eq!(state.call(&Address::ZERO, &bytes!("aabbccdd")), None);
    }
}
