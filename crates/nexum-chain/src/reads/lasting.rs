//! Which answers can't change any more. Pure.

use nexum_types::BlockNumber;
use serde_json::Value;

/// For how long an answer is true.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lasts {
    /// It speaks of the chain as such, or of a block by its hash.
    Always,
    /// It speaks of this block, which may still leave the chain.
    OnceFinal(BlockNumber),
    /// It may be another one the next time.
    Never,
}

/// For how long `answer` is true. `null` never lasts: what a node does not know it may yet learn.
pub(super) fn lasts(method: &str, params: &str, answer: &str) -> Lasts {
    if answer == "null" {
        return Lasts::Never;
    }
    let param = |index: usize| -> Option<Value> {
        let params: Value = serde_json::from_str(params).ok()?;
        params.get(index).cloned()
    };
    let always = |lasts: bool| if lasts { Lasts::Always } else { Lasts::Never };
    let once_final = |number: Option<u64>| {
        number.map_or(Lasts::Never, |number| Lasts::OnceFinal(BlockNumber(number)))
    };
    let block_hash = |index: usize| param(index).as_ref().is_some_and(is_block_hash);
    let block_number = |index: usize| param(index).as_ref().and_then(quantity);
    match method {
        "eth_chainId" | "net_version" => Lasts::Always,
        "eth_getBlockByHash" | "eth_getBlockTransactionCountByHash" => Lasts::Always,
        "eth_getBlockByNumber" | "eth_getBlockTransactionCountByNumber" => {
            once_final(block_number(0))
        }
        "eth_getTransactionReceipt" | "eth_getTransactionByHash" => once_final(included_in(answer)),
        "eth_getBlockReceipts" if block_hash(0) => Lasts::Always,
        "eth_getBlockReceipts" => once_final(block_number(0)),
        // A node that does not have the logs yet may answer that there are none.
        "eth_getLogs" => {
            let by_hash = param(0).is_some_and(|filter| filter.get("blockHash").is_some());
            always(by_hash && answer != "[]")
        }
        "eth_call" | "eth_getBalance" | "eth_getCode" | "eth_getTransactionCount" => {
            always(block_hash(1))
        }
        "eth_getStorageAt" | "eth_getProof" => always(block_hash(2)),
        _ => Lasts::Never,
    }
}

/// True for a block's hash, as a string or as an object of EIP-1898. With `requireCanonical` the
/// answer depends on the chain.
fn is_block_hash(block: &Value) -> bool {
    match block {
        Value::String(text) => text.len() == 66,
        Value::Object(object) => {
            object.contains_key("blockHash")
                && object
                    .get("requireCanonical")
                    .is_none_or(|required| *required == Value::Bool(false))
        }
        _ => false,
    }
}

fn quantity(value: &Value) -> Option<u64> {
    let digits = value.as_str()?.strip_prefix("0x")?;
    u64::from_str_radix(digits, 16).ok()
}

/// The block that a receipt or a transaction says it is in.
fn included_in(answer: &str) -> Option<u64> {
    #[derive(serde::Deserialize)]
    struct Included {
        #[serde(rename = "blockNumber")]
        block_number: Option<Value>,
    }
    let included: Included = serde_json::from_str(answer).ok()?;
    quantity(&included.block_number?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "0x1111111111111111111111111111111111111111111111111111111111111111";

    fn check(method: &str, params: &str, answer: &str, expected: Lasts) {
        let params = params.replace("HASH", HASH);
        let lasts = lasts(method, &params, answer);
        assert_eq!(lasts, expected, "{method} {params} {answer}");
    }

    #[test]
    fn what_is_told_of_the_chain_or_by_a_hash_lasts() {
        for (method, params, answer) in [
            ("eth_chainId", "[]", "\"0x1\""),
            ("net_version", "[]", "\"1\""),
            ("eth_getBlockByHash", r#"["HASH",false]"#, "{}"),
            (
                "eth_getBlockTransactionCountByHash",
                r#"["HASH"]"#,
                "\"0x1\"",
            ),
            ("eth_getBlockReceipts", r#"["HASH"]"#, "[]"),
            ("eth_getLogs", r#"[{"blockHash":"HASH"}]"#, "[{}]"),
            ("eth_call", r#"[{},"HASH"]"#, "\"0x\""),
            ("eth_call", r#"[{},{"blockHash":"HASH"}]"#, "\"0x\""),
            ("eth_getStorageAt", r#"["0x0","0x0","HASH"]"#, "\"0x\""),
        ] {
            check(method, params, answer, Lasts::Always);
        }
    }

    #[test]
    fn what_is_told_by_a_number_lasts_once_the_block_is_final() {
        let included = r#"{"blockNumber":"0x10"}"#;
        for (method, params, answer) in [
            ("eth_getBlockByNumber", r#"["0x10",false]"#, "{}"),
            ("eth_getTransactionReceipt", r#"["HASH"]"#, included),
            ("eth_getTransactionByHash", r#"["HASH"]"#, included),
            ("eth_getBlockReceipts", r#"["0x10"]"#, "[]"),
        ] {
            check(method, params, answer, Lasts::OnceFinal(BlockNumber(16)));
        }
    }

    #[test]
    fn everything_else_is_asked_again() {
        for (method, params, answer) in [
            ("eth_blockNumber", "[]", "\"0x1\""),
            ("web3_clientVersion", "[]", "\"x\""),
            ("eth_getBlockByHash", r#"["HASH",false]"#, "null"),
            ("eth_getBlockByNumber", r#"["latest",false]"#, "{}"),
            (
                "eth_getTransactionByHash",
                r#"["HASH"]"#,
                r#"{"blockNumber":null}"#,
            ),
            ("eth_getTransactionReceipt", r#"["HASH"]"#, "null"),
            ("eth_getBlockReceipts", r#"["latest"]"#, "[]"),
            ("eth_getLogs", r#"[{"blockHash":"HASH"}]"#, "[]"),
            ("eth_getLogs", r#"[{"fromBlock":"0x1"}]"#, "[{}]"),
            ("eth_call", r#"[{},"latest"]"#, "\"0x\""),
            ("eth_call", r#"[{},"0x1"]"#, "\"0x\""),
            ("eth_call", r#"[{}]"#, "\"0x\""),
            (
                "eth_call",
                r#"[{},{"blockHash":"HASH","requireCanonical":true}]"#,
                "\"0x\"",
            ),
            ("eth_getBalance", r#"{"a":1}"#, "\"0x\""),
        ] {
            check(method, params, answer, Lasts::Never);
        }
    }
}
