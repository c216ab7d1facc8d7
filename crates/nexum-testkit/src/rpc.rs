//! What a node answers: JSON-RPC over a [`ScriptedChain`], without a socket.

use std::sync::Arc;

use alloy_primitives::{Address, B256, U256};
use serde_json::{Value, json};

use crate::{ChainBlock, ScriptedChain};

/// The answer to one request: its `result`, or its `error` object.
pub type RpcAnswer = Result<Value, Value>;

pub(crate) const PARSE_ERROR: i64 = -32700;
pub(crate) const INVALID_REQUEST: i64 = -32600;
const METHOD_NOT_FOUND: i64 = -32601;
const INVALID_PARAMS: i64 = -32602;

const EMPTY_UNCLES: &str = "0x1dcc4de8dec75d7aab85b567b6ccd41ad312451b948a7413f0a142fd40d49347";
const EMPTY_TRIE: &str = "0x56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421";

impl ScriptedChain {
    /// Answers one request as a node would. Subscriptions belong to a connection and are not
    /// among the methods here.
    pub fn answer(&self, method: &str, params: &Value) -> RpcAnswer {
        let param = |index: usize| params.get(index).unwrap_or(&Value::Null);
        match method {
            "eth_chainId" => Ok(quantity(self.chain_id())),
            "net_version" => Ok(json!(self.chain_id().to_string())),
            "web3_clientVersion" => Ok(json!("nexum-testkit/scripted-chain")),
            "eth_blockNumber" => Ok(quantity(self.head().number)),
            "eth_gasPrice" => Ok(quantity(1_000_000_000)),
            "eth_syncing" => Ok(json!(false)),
            "eth_getCode" => {
                parse::<Address>(param(0))?;
                Ok(json!("0x"))
            }
            "eth_getBlockByNumber" => Ok(self
                .block_at(param(0))?
                .map_or(Value::Null, |block| body(&block))),
            "eth_getBlockByHash" => {
                let block = self.block_by_hash(&parse(param(0))?);
                Ok(block.map_or(Value::Null, |block| body(&block)))
            }
            "eth_getBalance" => {
                let address: Address = parse(param(0))?;
                let block = self.state_at(param(1))?;
                Ok(json!(block.balance(&address)))
            }
            _ => Err(error(
                METHOD_NOT_FOUND,
                &format!("the method {method} does not exist"),
            )),
        }
    }

    /// A block parameter that is a number or a tag.
    fn block_at(&self, block: &Value) -> Result<Option<Arc<ChainBlock>>, Value> {
        Ok(match block.as_str() {
            Some("latest" | "pending") => Some(self.head()),
            Some("safe") => Some(self.safe()),
            Some("finalized") => Some(self.finalized()),
            Some("earliest") => self.block(0),
            _ => self.block(number(block)?),
        })
    }

    /// A block parameter that names a state: a number, a tag, a hash, or an object of EIP-1898.
    fn state_at(&self, block: &Value) -> Result<Arc<ChainBlock>, Value> {
        let found = match block {
            Value::Null => Some(self.head()),
            Value::Object(object) => match (object.get("blockHash"), object.get("blockNumber")) {
                (Some(hash), _) => self.block_by_hash(&parse(hash)?),
                (None, Some(number)) => self.block_at(number)?,
                (None, None) => return Err(error(INVALID_PARAMS, "blockHash or blockNumber")),
            },
            Value::String(text) if text.len() == 66 => self.block_by_hash(&parse(block)?),
            _ => self.block_at(block)?,
        };
        found.ok_or_else(|| error(-32000, "header not found"))
    }
}

/// A block's header as `newHeads` announces it.
pub(crate) fn header(block: &ChainBlock) -> Value {
    let zeros = |bytes: usize| format!("0x{}", "0".repeat(2 * bytes));
    json!({
        "number": quantity(block.number),
        "hash": block.hash,
        "parentHash": block.parent_hash,
        "timestamp": quantity(block.timestamp),
        "nonce": zeros(8),
        "sha3Uncles": EMPTY_UNCLES,
        "logsBloom": zeros(256),
        "transactionsRoot": EMPTY_TRIE,
        // A stand-in that differs from block to block, as a state root does.
        "stateRoot": alloy_primitives::keccak256(block.hash),
        "receiptsRoot": EMPTY_TRIE,
        "withdrawalsRoot": EMPTY_TRIE,
        "parentBeaconBlockRoot": zeros(32),
        "miner": zeros(20),
        "difficulty": "0x0",
        "mixHash": zeros(32),
        "extraData": "0x",
        "gasLimit": quantity(30_000_000),
        "gasUsed": "0x0",
        "baseFeePerGas": quantity(1_000_000_000),
        "blobGasUsed": "0x0",
        "excessBlobGas": "0x0",
    })
}

/// A block as the getters answer it: the header, and what only a body has.
fn body(block: &ChainBlock) -> Value {
    let mut body = header(block);
    if let Value::Object(fields) = &mut body {
        fields.insert("size".into(), quantity(540));
        fields.insert("totalDifficulty".into(), json!("0x0"));
        fields.insert("uncles".into(), json!([]));
        fields.insert("transactions".into(), json!([]));
        fields.insert("withdrawals".into(), json!([]));
    }
    body
}

pub(crate) fn error(code: i64, message: &str) -> Value {
    json!({ "code": code, "message": message })
}

fn quantity(value: u64) -> Value {
    json!(format!("{value:#x}"))
}

/// A quantity is hex without leading zeros; a node refuses anything else, and so do we.
fn number(value: &Value) -> Result<u64, Value> {
    let bad = || {
        error(
            INVALID_PARAMS,
            &format!("{value} is neither a block number nor a tag"),
        )
    };
    let digits = value
        .as_str()
        .and_then(|text| text.strip_prefix("0x"))
        .ok_or_else(bad)?;
    if digits.len() > 1 && digits.starts_with('0') {
        return Err(bad());
    }
    let number = U256::from_str_radix(digits, 16).map_err(|_| bad())?;
    Ok(number.saturating_to())
}

fn parse<T: FixedBytes>(value: &Value) -> Result<T, Value> {
    let bad = || error(INVALID_PARAMS, &format!("{value} is not {}", T::NAME));
    let text = value
        .as_str()
        .filter(|text| text.starts_with("0x"))
        .ok_or_else(bad)?;
    text.parse().map_err(|_| bad())
}

trait FixedBytes: std::str::FromStr {
    const NAME: &'static str;
}

impl FixedBytes for Address {
    const NAME: &'static str = "an address";
}

impl FixedBytes for B256 {
    const NAME: &'static str = "a 32-byte hash";
}
