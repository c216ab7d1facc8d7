//! What a node answers: JSON-RPC over a [`ScriptedChain`], without a socket.

mod call;
mod filter;
mod limits;
mod logs;
mod multicall;
mod params;
mod view;

use std::sync::Arc;

use alloy_primitives::{Address, B256, Bloom};
use serde::Serialize;
use serde_json::{Value, json};

use crate::{ChainBlock, ScriptedChain};
#[cfg(not(feature = "server"))]
use params::{INVALID_PARAMS, error};
use params::{METHOD_NOT_FOUND, SERVER_ERROR, number, parse, quantity};

#[cfg(feature = "server")]
pub(crate) use filter::Filter;
pub use limits::{LogLimits, Wording};
use logs::LogJson;
#[cfg(feature = "server")]
pub(crate) use logs::of_block;
#[cfg(feature = "server")]
pub(crate) use params::{INVALID_PARAMS, INVALID_REQUEST, PARSE_ERROR, error};
pub(crate) use view::Node;
pub use view::View;

/// The answer to one request: its `result`, or its `error` object.
pub type RpcAnswer = Result<Value, Value>;

/// The code of a contract whose calls are answered: one instruction, which is invalid.
const CODE: &str = "0xfe";
const EMPTY_UNCLES: &str = "0x1dcc4de8dec75d7aab85b567b6ccd41ad312451b948a7413f0a142fd40d49347";
const EMPTY_TRIE: &str = "0x56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421";

/// A result that has not been written down yet: logs come by the thousand.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum Output {
    Value(Value),
    Logs(Vec<LogJson>),
}

impl<T: Into<Value>> From<T> for Output {
    fn from(value: T) -> Self {
        Self::Value(value.into())
    }
}

impl ScriptedChain {
    /// Answers one request as a good node would, at once and without a runtime. Subscriptions
    /// belong to a connection and are not among the methods here.
    pub fn answer(&self, method: &str, params: &Value) -> RpcAnswer {
        View::default().answer(self, method, params)
    }
}

impl View {
    /// Answers one request as an endpoint with this view of `chain` would.
    pub fn answer(&self, chain: &ScriptedChain, method: &str, params: &Value) -> RpcAnswer {
        let node = Node { chain, view: self };
        Ok(json!(node.answer(method, params)?))
    }
}

impl Node<'_> {
    pub(crate) fn answer(self, method: &str, params: &Value) -> Result<Output, Value> {
        let param = |index: usize| params.get(index).unwrap_or(&Value::Null);
        let body = |block: Option<Arc<ChainBlock>>| {
            block.map_or(Value::Null, |block| body(&block, self.view))
        };
        Ok(match method {
            "eth_chainId" => quantity(self.chain_id()).into(),
            "net_version" => self.chain_id().to_string().into(),
            "web3_clientVersion" => "nexum-testkit/scripted-chain".into(),
            "eth_blockNumber" => quantity(self.head().number).into(),
            "eth_gasPrice" => quantity(1_000_000_000).into(),
            "eth_syncing" => false.into(),
            "eth_getCode" => {
                let address: Address = parse(param(0))?;
                let code = self.state_at(param(1))?.is_contract(&address);
                if code { CODE } else { "0x" }.into()
            }
            "eth_getTransactionCount" => {
                parse::<Address>(param(0))?;
                self.state_at(param(1))?;
                quantity(0).into()
            }
            "eth_call" => json!(self.call(param(0), param(1))?).into(),
            "eth_getBlockByNumber" => body(self.block_at(param(0))?).into(),
            "eth_getBlockByHash" => body(self.block_by_hash(&parse(param(0))?)).into(),
            "eth_getBalance" => {
                let address: Address = parse(param(0))?;
                let block = self.state_at(param(1))?;
                json!(block.balance(&address)).into()
            }
            "eth_getLogs" => Output::Logs(self.logs(param(0))?),
            _ => {
                let message = format!("the method {method} does not exist");
                return Err(error(METHOD_NOT_FOUND, &message));
            }
        })
    }

    /// A block parameter that is a number or a tag.
    fn block_at(self, block: &Value) -> Result<Option<Arc<ChainBlock>>, Value> {
        Ok(match block.as_str() {
            Some("latest" | "pending") => self.latest(),
            Some("safe") => Some(self.safe()),
            Some("finalized") => Some(self.finalized()),
            Some("earliest") => self.block(0),
            _ => self.block(number(block)?),
        })
    }

    /// The height that a number or a tag names, whether there is such a block or not.
    fn height_at(self, block: &Value) -> Result<u64, Value> {
        Ok(match block.as_str() {
            Some("latest" | "pending") => self.head().number,
            Some("safe") => self.safe().number,
            Some("finalized") => self.finalized().number,
            Some("earliest") => 0,
            _ => number(block)?,
        })
    }

    /// A block parameter that names a state: a number, a tag, a hash, or an object of EIP-1898.
    fn state_at(self, block: &Value) -> Result<Arc<ChainBlock>, Value> {
        let found = match block {
            Value::Null => self.latest(),
            Value::Object(object) => match (object.get("blockHash"), object.get("blockNumber")) {
                (Some(hash), _) => self.block_by_hash(&parse(hash)?),
                (None, Some(number)) => self.block_at(number)?,
                (None, None) => return Err(error(INVALID_PARAMS, "blockHash or blockNumber")),
            },
            Value::String(text) if text.len() == 66 => self.block_by_hash(&parse(block)?),
            _ => self.block_at(block)?,
        };
        found.ok_or_else(|| error(SERVER_ERROR, "header not found"))
    }
}

/// A block's header as `newHeads` announces it.
pub(crate) fn header(block: &ChainBlock, view: &View) -> Value {
    let zeros = |bytes: usize| format!("0x{}", "0".repeat(2 * bytes));
    let bloom = if view.empty_blooms {
        &Bloom::ZERO
    } else {
        block.logs_bloom()
    };
    // Stand-ins that differ where the real ones do.
    let transactions_root = if block.logs.is_empty() {
        json!(EMPTY_TRIE)
    } else {
        json!(alloy_primitives::keccak256(block.logs[0].transaction_hash))
    };
    json!({
        "number": quantity(block.number),
        "hash": block.hash,
        "parentHash": block.parent_hash,
        "timestamp": quantity(block.timestamp),
        "nonce": zeros(8),
        "sha3Uncles": EMPTY_UNCLES,
        "logsBloom": bloom,
        "transactionsRoot": transactions_root,
        "stateRoot": alloy_primitives::keccak256(block.hash),
        "receiptsRoot": transactions_root,
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
fn body(block: &ChainBlock, view: &View) -> Value {
    let mut transactions: Vec<B256> = block.logs.iter().map(|log| log.transaction_hash).collect();
    transactions.dedup();
    let mut body = header(block, view);
    if let Value::Object(fields) = &mut body {
        fields.insert("size".into(), json!(quantity(540)));
        fields.insert("totalDifficulty".into(), json!("0x0"));
        fields.insert("uncles".into(), json!([]));
        fields.insert("transactions".into(), json!(transactions));
        fields.insert("withdrawals".into(), json!([]));
    }
    body
}
