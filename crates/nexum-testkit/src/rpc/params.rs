//! Parameters of requests, read as strictly as a node reads them.

use std::str::FromStr;

use alloy_primitives::{Address, B256, Bytes, U256};
use serde_json::{Value, json};

#[cfg(feature = "server")]
pub(crate) const PARSE_ERROR: i64 = -32700;
pub(crate) const INVALID_REQUEST: i64 = -32600;
pub(super) const METHOD_NOT_FOUND: i64 = -32601;
pub(crate) const INVALID_PARAMS: i64 = -32602;
pub(super) const SERVER_ERROR: i64 = -32000;
/// A call that reverted, as go-ethereum and those after it tell it.
pub(super) const REVERTED: i64 = 3;

/// An `error` object.
pub(crate) fn error(code: i64, message: &str) -> Value {
    json!({ "code": code, "message": message })
}

pub(super) fn quantity(value: u64) -> String {
    format!("{value:#x}")
}

/// A quantity is hex without leading zeros; a node refuses anything else, and so do we.
pub(super) fn number(value: &Value) -> Result<u64, Value> {
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

pub(super) fn parse<T: FromHex>(value: &Value) -> Result<T, Value> {
    let bad = || error(INVALID_PARAMS, &format!("{value} is not {}", T::NAME));
    let text = value
        .as_str()
        .filter(|text| text.starts_with("0x"))
        .ok_or_else(bad)?;
    text.parse().map_err(|_| bad())
}

pub(super) trait FromHex: FromStr {
    const NAME: &'static str;
}

impl FromHex for Address {
    const NAME: &'static str = "an address";
}

impl FromHex for B256 {
    const NAME: &'static str = "a 32-byte hash";
}

impl FromHex for Bytes {
    const NAME: &'static str = "bytes in hex";
}
