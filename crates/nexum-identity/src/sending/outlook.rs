//! What the chain says: of a transaction that is to be sent, and of those that were.

use alloy_primitives::U64;
use nexum_types::{
    Address, AskedTransaction, B256, ChainId, ChainRpc, HostError, HostErrorKind, RpcRequest,
    RpcResult, U256,
};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};

use super::fees::{self, Market};

/// The gas of a transfer to an account without code: no more, and no less.
const TRANSFER_GAS: u64 = 21_000;

/// What the chain says of a transaction that is not made yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Outlook {
    pub(crate) gas: Gas,
    pub(crate) market: Market,
    /// What the account has, in wei.
    pub(crate) balance: U256,
}

/// The gas that a transaction is to have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Gas {
    /// What it needs.
    pub(crate) least: u64,
    /// With something over.
    pub(crate) wanted: u64,
}

impl Gas {
    /// What it has where so much is allowed: as much over as that leaves.
    pub(crate) fn at_most(self, most: u64) -> u64 {
        self.wanted.min(most).max(self.least)
    }
}

/// How many of an account's transactions are in blocks, and with those that wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) latest: u64,
    pub(crate) pending: u64,
}

/// What the chain says of one transaction.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    /// The block that it is in, and whether it was reverted there.
    pub(crate) receipt: Option<(u64, bool)>,
    /// Whether the node has it, in a block or not.
    pub(crate) is_known: bool,
}

/// What the chain says of some of an account's transactions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Look {
    /// How many of the account's transactions are in blocks.
    pub(crate) latest: u64,
    /// The same of the last final block, where the node knows which that is.
    pub(crate) finalized: Option<u64>,
    /// Each of those that were asked for.
    pub(crate) seen: Vec<Seen>,
}

impl Seen {
    /// Whether the chain has it, in a block or not.
    pub(crate) fn is_there(&self) -> bool {
        self.is_known || self.receipt.is_some()
    }
}

impl Look {
    /// Whether the chain has any of them.
    pub(crate) fn has_any(&self) -> bool {
        self.seen.iter().any(Seen::is_there)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Receipt {
    block_number: U64,
    status: Option<U64>,
}

/// Tries a transaction out on the pending block, and asks what it would take. A revert is the
/// node's own error, with the data of the revert.
pub(crate) async fn simulate(
    reads: &dyn ChainRpc,
    chain: ChainId,
    asked: &AskedTransaction,
) -> Result<Outlook, HostError> {
    let call = asked.call();
    let history = json!([format!("{:#x}", fees::BLOCKS), "latest", [fees::PERCENTILE]]);
    let mut questions = vec![
        ("eth_call", json!([call, "pending"])),
        ("eth_feeHistory", history),
        ("eth_getBalance", json!([asked.from, "pending"])),
    ];
    if asked.gas.is_none() {
        questions.push(("eth_estimateGas", json!([call, "pending"])));
    }
    let mut answers = ask(reads, chain, &questions).await?.into_iter();
    let mut next = || answers.next().unwrap_or_else(|| Err(lost()));
    next()?;
    let history = next()?;
    let market = Market::of(&history).ok_or_else(|| {
        let message = format!("chain {chain} has no fee market (EIP-1559)");
        HostError::new("identity", HostErrorKind::Unsupported, message)
    })?;
    let balance = read::<U256>(&next()?)?;
    let gas = match asked.gas {
        Some(gas) => Gas {
            least: gas,
            wanted: gas,
        },
        None => with_margin(read::<U64>(&next()?)?.to()),
    };
    Ok(Outlook {
        gas,
        market,
        balance,
    })
}

/// What is estimated, and a fifth more: until the transaction is in a block, what it meets there
/// changes.
fn with_margin(estimated: u64) -> Gas {
    let over = match estimated <= TRANSFER_GAS {
        true => 0,
        false => estimated / 5,
    };
    Gas {
        least: estimated,
        wanted: estimated.saturating_add(over),
    }
}

/// How far the account's nonce has come.
pub(crate) async fn counts(
    reads: &dyn ChainRpc,
    chain: ChainId,
    account: Address,
) -> Result<Counts, HostError> {
    let question = |block| ("eth_getTransactionCount", json!([account, block]));
    let questions = [question("latest"), question("pending")];
    let mut answers = ask(reads, chain, &questions).await?.into_iter();
    let mut next = || answers.next().unwrap_or_else(|| Err(lost()));
    Ok(Counts {
        latest: read::<U64>(&next()?)?.to(),
        pending: read::<U64>(&next()?)?.to(),
    })
}

/// Looks at transactions of one account.
pub(crate) async fn look(
    reads: &dyn ChainRpc,
    chain: ChainId,
    account: Address,
    hashes: &[B256],
) -> Result<Look, HostError> {
    let count = |block| ("eth_getTransactionCount", json!([account, block]));
    let mut questions = vec![count("finalized")];
    for hash in hashes {
        questions.push(("eth_getTransactionByHash", json!([hash])));
        questions.push(("eth_getTransactionReceipt", json!([hash])));
    }
    // Last, so that a nonce which is taken was so when the hashes had been looked for.
    questions.push(count("latest"));
    let mut answers = ask(reads, chain, &questions).await?.into_iter();
    let mut next = || answers.next().unwrap_or_else(|| Err(lost()));
    let finalized = next().and_then(|text| read::<U64>(&text)).ok();
    let mut seen = Vec::with_capacity(hashes.len());
    for _ in hashes {
        let is_known = next()?.trim() != "null";
        let receipt = read::<Option<Receipt>>(&next()?)?;
        seen.push(Seen {
            receipt: receipt.map(|receipt| {
                let reverted = receipt.status == Some(U64::ZERO);
                (receipt.block_number.to(), reverted)
            }),
            is_known,
        });
    }
    Ok(Look {
        latest: read::<U64>(&next()?)?.to(),
        finalized: finalized.map(|count| count.to()),
        seen,
    })
}

async fn ask(
    reads: &dyn ChainRpc,
    chain: ChainId,
    questions: &[(&str, Value)],
) -> Result<Vec<RpcResult>, HostError> {
    let requests: Vec<_> = questions
        .iter()
        .map(|(method, params)| RpcRequest {
            method: (*method).to_owned(),
            params: params.to_string(),
        })
        .collect();
    reads.request_batch(chain, &requests).await
}

fn read<T: DeserializeOwned>(text: &str) -> Result<T, HostError> {
    serde_json::from_str(text).map_err(|_| {
        let message = "a node's answer is not what the method promises";
        HostError::new("chain", HostErrorKind::Unavailable, message)
    })
}

fn lost() -> HostError {
    HostError::new("chain", HostErrorKind::Internal, "the answer was lost")
}
