//! Multicall3, which clients send their reads through: its `aggregate3` at the address that it has
//! on every chain, over what was set for the contracts it calls.

use alloy_primitives::{Address, Bytes, U256, address, hex};

use crate::CallAnswer;

const MULTICALL3: Address = address!("cA11bde05977b3631167028862bE2a173976CA11");
/// `aggregate3((address target, bool allowFailure, bytes callData)[])`
const AGGREGATE3: [u8; 4] = hex!("82ad56cb");
const WORD: usize = 32;

/// The calls of one `aggregate3`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Calls(Vec<Call>);

#[derive(Debug, PartialEq, Eq)]
struct Call {
    target: Address,
    allow_failure: bool,
    input: Bytes,
}

/// `None`: it is no call of Multicall3, or none that can be read.
pub(super) fn calls(to: Address, input: &Bytes) -> Option<Calls> {
    let arguments = input.strip_prefix(&AGGREGATE3)?;
    if to != MULTICALL3 {
        return None;
    }
    let list = arguments.get(offset(arguments, 0)?..)?;
    let count = offset(list, 0)?;
    let tuples = list.get(WORD..)?;
    (0..count)
        .map(|index| {
            let tuple = tuples.get(offset(tuples, index)?..)?;
            let bytes = tuple.get(offset(tuple, 2)?..)?;
            let length = offset(bytes, 0)?;
            Some(Call {
                target: Address::from_word(tuple.get(..WORD)?.try_into().ok()?),
                allow_failure: offset(tuple, 1)? != 0,
                input: Bytes::copy_from_slice(bytes.get(WORD..)?.get(..length)?),
            })
        })
        .collect::<Option<_>>()
        .map(Calls)
}

/// The word at this position, as a length or an offset. One that no input can have is none.
fn offset(words: &[u8], position: usize) -> Option<usize> {
    let start = position.checked_mul(WORD)?;
    let word = words.get(start..start.checked_add(WORD)?)?;
    usize::try_from(U256::from_be_slice(word)).ok()
}

impl Calls {
    /// `(bool success, bytes returnData)[]`, or the revert of a call that must not fail. `None`:
    /// one of the calls has no answer.
    pub(super) fn answer(
        &self,
        answer: impl Fn(Address, &Bytes) -> Option<CallAnswer>,
    ) -> Option<CallAnswer> {
        let mut results = Vec::with_capacity(self.0.len());
        for call in &self.0 {
            match answer(call.target, &call.input)? {
                CallAnswer::Returns(data) => results.push((true, data)),
                CallAnswer::Reverts { data, .. } if call.allow_failure => {
                    results.push((false, data));
                }
                CallAnswer::Reverts { .. } => {
                    return Some(CallAnswer::reverts("Multicall3: call failed"));
                }
            }
        }
        let mut heads = Vec::new();
        let mut tails: Vec<u8> = Vec::new();
        for (success, data) in &results {
            heads.extend(word(results.len() * WORD + tails.len()));
            tails.extend(word(usize::from(*success)));
            tails.extend(word(2 * WORD));
            tails.extend(word(data.len()));
            tails.extend_from_slice(data);
            tails.resize(tails.len().next_multiple_of(WORD), 0);
        }
        let mut encoded = Vec::new();
        encoded.extend(word(WORD));
        encoded.extend(word(results.len()));
        encoded.extend(heads);
        encoded.extend(tails);
        Some(CallAnswer::Returns(encoded.into()))
    }
}

fn word(value: usize) -> [u8; WORD] {
    U256::from(value).to_be_bytes()
}
