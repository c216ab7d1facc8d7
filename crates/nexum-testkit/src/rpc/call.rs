//! `eth_call`: what was set as a contract's answer, and Multicall3 over it.

use alloy_primitives::{Address, Bytes};
use serde_json::{Value, json};

use super::{
    multicall,
    params::{INVALID_PARAMS, REVERTED, SERVER_ERROR, error, parse},
    view::Node,
};
use crate::{CallAnswer, ChainBlock};

impl Node<'_> {
    /// A transaction object and a block.
    pub(super) fn call(self, transaction: &Value, block: &Value) -> Result<Bytes, Value> {
        if !transaction.is_object() {
            return Err(error(INVALID_PARAMS, "a call is an object"));
        }
        let to: Address = parse(&transaction["to"])?;
        // Nodes take either name; `input` is the one that they document.
        let input = match (&transaction["input"], &transaction["data"]) {
            (Value::Null, Value::Null) => Bytes::new(),
            (Value::Null, input) | (input, _) => parse(input)?,
        };
        let block = self.state_at(block)?;
        match answer(&block, to, &input) {
            Some(CallAnswer::Returns(bytes)) => Ok(bytes),
            Some(CallAnswer::Reverts { reason, data }) => Err(reverted(reason.as_deref(), &data)),
            None => Err(error(SERVER_ERROR, &unanswered(to, &input))),
        }
    }
}

fn answer(block: &ChainBlock, to: Address, input: &Bytes) -> Option<CallAnswer> {
    if let Some(answer) = block.call(&to, input) {
        return Some(answer.clone());
    }
    multicall::calls(to, input)?.answer(|to, input| block.call(&to, input).cloned())
}

fn reverted(reason: Option<&str>, data: &Bytes) -> Value {
    let message = match reason {
        Some(reason) => format!("execution reverted: {reason}"),
        None => "execution reverted".to_owned(),
    };
    json!({ "code": REVERTED, "message": message, "data": data })
}

/// What a node would answer with an empty result: here it is a line that the script lacks.
fn unanswered(to: Address, input: &Bytes) -> String {
    let function = input.get(..4).unwrap_or(input);
    format!(
        "the script has no answer to a call of {to:#x} with the selector 0x{}; a line 'call' sets one",
        alloy_primitives::hex::encode(function)
    )
}
