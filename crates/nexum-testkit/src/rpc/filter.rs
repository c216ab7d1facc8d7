//! The filter object of `eth_getLogs` and `eth_subscribe("logs")`.

use alloy_primitives::{Address, B256};
use serde_json::Value;

use super::params::{INVALID_PARAMS, error, parse};
use crate::ChainLog;

/// The most topics that a log has.
const MAX_TOPICS: usize = 4;

/// Which logs are wanted. An empty list takes any.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Filter {
    addresses: Vec<Address>,
    topics: Vec<Vec<B256>>,
}

impl Filter {
    /// Reads `address` and `topics`; the blocks are read where they mean something.
    pub(crate) fn parse(filter: &Value) -> Result<Self, Value> {
        if !filter.is_object() && !filter.is_null() {
            return Err(error(INVALID_PARAMS, "a filter is an object"));
        }
        let addresses = one_or_many(&filter["address"])?;
        let topics = match &filter["topics"] {
            Value::Null => Vec::new(),
            Value::Array(positions) if positions.len() > MAX_TOPICS => {
                return Err(error(INVALID_PARAMS, "exceed max topics"));
            }
            Value::Array(positions) => positions
                .iter()
                .map(one_or_many)
                .collect::<Result<_, _>>()?,
            _ => return Err(error(INVALID_PARAMS, "topics are an array")),
        };
        Ok(Self { addresses, topics })
    }

    pub(crate) fn matches(&self, log: &ChainLog) -> bool {
        let address = self.addresses.is_empty() || self.addresses.contains(&log.address);
        address
            && self.topics.len() <= log.topics.len()
            && self
                .topics
                .iter()
                .zip(&log.topics)
                .all(|(wanted, topic)| wanted.is_empty() || wanted.contains(topic))
    }
}

/// `null` is any; so is a `null` among alternatives.
fn one_or_many<T: super::params::FromHex>(value: &Value) -> Result<Vec<T>, Value> {
    match value {
        Value::Null => Ok(Vec::new()),
        Value::Array(many) if many.iter().any(Value::is_null) => Ok(Vec::new()),
        Value::Array(many) => many.iter().map(parse).collect(),
        one => Ok(vec![parse(one)?]),
    }
}

#[cfg(test)]
mod tests {
    use alloy_primitives::{Bytes, address, b256};
    use serde_json::json;

    use super::*;

    const ONE: B256 = b256!("0000000000000000000000000000000000000000000000000000000000000001");
    const TWO: B256 = b256!("0000000000000000000000000000000000000000000000000000000000000002");

    fn matches(filter: &Value, topics: &[B256]) -> bool {
        Filter::parse(filter).unwrap().matches(&ChainLog {
            address: address!("00000000000000000000000000000000000000a1"),
            topics: topics.to_vec(),
            data: Bytes::new(),
            transaction_hash: B256::ZERO,
            transaction_index: 0,
        })
    }

    #[test]
    fn addresses_and_topics_have_alternatives() {
        let here = "0x00000000000000000000000000000000000000a1";
        let other = "0x00000000000000000000000000000000000000b2";
        assert!(matches(&json!({}), &[]));
        assert!(matches(&json!({ "address": here }), &[]));
        assert!(matches(&json!({ "address": [other, here] }), &[]));
        assert!(!matches(&json!({ "address": other }), &[]));
        assert!(matches(&json!({ "topics": [ONE] }), &[ONE, TWO]));
        assert!(matches(
            &json!({ "topics": [null, [ONE, TWO]] }),
            &[ONE, TWO]
        ));
        assert!(matches(&json!({ "topics": [[TWO, null]] }), &[ONE]));
        assert!(!matches(&json!({ "topics": [TWO] }), &[ONE, TWO]));
        // As nodes have it, a position asked for must be there, whatever may stand in it.
        assert!(!matches(&json!({ "topics": [ONE, null] }), &[ONE]));
    }

    #[test]
    fn what_is_no_filter_is_refused() {
        for bad in [
            json!("0xa1"),
            json!({ "address": "0xa1" }),
            json!({ "address": 1 }),
            json!({ "topics": {} }),
            json!({ "topics": ["0x1"] }),
            json!({ "topics": [ONE, ONE, ONE, ONE, ONE] }),
        ] {
            assert_eq!(Filter::parse(&bad).unwrap_err()["code"], -32602, "{bad}");
        }
    }
}
