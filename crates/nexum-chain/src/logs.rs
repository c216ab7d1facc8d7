//! Logs as nodes tell them: what is asked, and what an answer must be before it is believed.
//! Pure.

use alloy_primitives::{Address, B256, Bytes, U64};
use nexum_types::{Block, BlockNumber, ChainId, Log, LogFilter, MAX_TOPICS};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::failure::Failure;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RpcLog {
    address: Address,
    topics: Vec<B256>,
    data: Bytes,
    /// Null in a log that is in no block yet.
    block_number: Option<U64>,
    block_hash: Option<B256>,
    transaction_hash: Option<B256>,
    transaction_index: Option<U64>,
    log_index: Option<U64>,
    #[serde(default)]
    removed: bool,
}

/// The parameters of an `eth_getLogs` for one block.
pub(crate) fn of_block(filter: Option<&LogFilter>, hash: &B256) -> Value {
    let mut object = filter.map(criteria).unwrap_or_default();
    object.insert("blockHash".into(), json!(hash));
    json!([object])
}

/// The parameters of an `eth_getLogs` for the blocks `first..=last`.
pub(crate) fn of_range(filter: &LogFilter, first: u64, last: u64) -> Value {
    let mut object = criteria(filter);
    object.insert("fromBlock".into(), json!(format!("{first:#x}")));
    object.insert("toBlock".into(), json!(format!("{last:#x}")));
    json!([object])
}

/// What an `eth_subscribe` to logs names beside the kind.
pub(crate) fn pushed(filter: &LogFilter) -> Value {
    Value::Object(criteria(filter))
}

fn criteria(filter: &LogFilter) -> Map<String, Value> {
    let mut object = Map::new();
    if !filter.addresses.is_empty() {
        object.insert("address".into(), json!(filter.addresses));
    }
    let positions = filter.topics.iter().rposition(|wanted| !wanted.is_empty());
    if let Some(last) = positions {
        let topics = filter.topics[..=last].iter().map(|wanted| {
            if wanted.is_empty() {
                Value::Null
            } else {
                json!(wanted)
            }
        });
        object.insert("topics".into(), topics.collect());
    }
    object
}

/// Reads the logs of one block. Anything that is not of this block, or not in its order, makes
/// the whole answer [`Failure::Malformed`].
pub(crate) fn parse_block(block: &Block, json: &str) -> Result<Vec<Log>, Failure> {
    let logs = parse(block.chain_id, json)?;
    let is_of_block = |log: &Log| log.block_hash == block.hash && log.block_number == block.number;
    if !logs.iter().all(is_of_block) || !are_in_order(&logs) {
        return Err(Failure::Malformed);
    }
    let with_time = logs.into_iter().map(|log| Log {
        block_timestamp_ms: block.timestamp_ms,
        ..log
    });
    Ok(with_time.collect())
}

/// Reads the logs of the blocks `first..=last`, in the chain's order. Their time is not known
/// yet. A log outside of the range, out of order, or of a second block with the same number makes
/// the whole answer [`Failure::Malformed`].
pub(crate) fn parse_range(
    chain: ChainId,
    first: u64,
    last: u64,
    json: &str,
) -> Result<Vec<Log>, Failure> {
    let logs = parse(chain, json)?;
    let range = BlockNumber(first)..=BlockNumber(last);
    let one_branch = logs.windows(2).all(|pair| {
        pair[0].block_number != pair[1].block_number || pair[0].block_hash == pair[1].block_hash
    });
    let inside = logs.iter().all(|log| range.contains(&log.block_number));
    if inside && one_branch && are_in_order(&logs) {
        Ok(logs)
    } else {
        Err(Failure::Malformed)
    }
}

/// Reads one log that a node has pushed. Its time is not known yet. `None`: it is in no block, or
/// not any more.
pub(crate) fn parse_pushed(chain: ChainId, json: &str) -> Result<Option<Log>, Failure> {
    let log: RpcLog = serde_json::from_str(json).map_err(|_| Failure::Malformed)?;
    Ok(log.mined(chain))
}

/// Puts the answers to several filters together: each log once, in the chain's order.
pub(crate) fn merge(mut answers: Vec<Vec<Log>>) -> Vec<Log> {
    if answers.len() == 1 {
        return answers.pop().unwrap_or_default();
    }
    let mut logs: Vec<Log> = answers.into_iter().flatten().collect();
    logs.sort_by_key(|log| (log.block_number, log.log_index));
    logs.dedup_by(|a, b| a.block_hash == b.block_hash && a.log_index == b.log_index);
    logs
}

/// About how much memory a log takes, in bytes.
pub(crate) fn weight(log: &Log) -> usize {
    size_of::<Log>() + log.topics.len() * size_of::<B256>() + log.data.len()
}

fn are_in_order(logs: &[Log]) -> bool {
    logs.windows(2).all(|pair| {
        (pair[0].block_number, pair[0].log_index) < (pair[1].block_number, pair[1].log_index)
    })
}

fn parse(chain: ChainId, json: &str) -> Result<Vec<Log>, Failure> {
    let logs: Vec<RpcLog> = serde_json::from_str(json).map_err(|_| Failure::Malformed)?;
    let logs: Option<Vec<Log>> = logs.into_iter().map(|log| log.mined(chain)).collect();
    logs.ok_or(Failure::Malformed)
}

impl RpcLog {
    /// `None` where it is in no canonical block.
    fn mined(self, chain: ChainId) -> Option<Log> {
        if self.removed || self.topics.len() > MAX_TOPICS {
            return None;
        }
        Some(Log {
            chain_id: chain,
            address: self.address,
            topics: self.topics,
            data: self.data,
            block_number: BlockNumber(self.block_number?.to()),
            block_hash: self.block_hash?,
            block_timestamp_ms: 0,
            transaction_hash: self.transaction_hash?,
            transaction_index: u32::try_from(self.transaction_index?.to::<u64>()).ok()?,
            log_index: u32::try_from(self.log_index?.to::<u64>()).ok()?,
            removed: false,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rpc_log(number: u64, hash: u8, index: u32) -> Value {
        json!({
            "address": Address::repeat_byte(0xa1),
            "topics": [B256::repeat_byte(7)],
            "data": "0x01",
            "blockNumber": format!("{number:#x}"),
            "blockHash": B256::repeat_byte(hash),
            "transactionHash": B256::repeat_byte(9),
            "transactionIndex": "0x0",
            "logIndex": format!("{index:#x}"),
            "removed": false,
        })
    }

    fn block() -> Block {
        Block {
            chain_id: ChainId(1),
            number: BlockNumber(5),
            hash: B256::repeat_byte(5),
            parent_hash: B256::repeat_byte(4),
            timestamp_ms: 5000,
        }
    }

    fn without(mut log: Value, field: &str) -> Value {
        log[field] = Value::Null;
        log
    }

    #[test]
    fn the_logs_of_a_block_are_believed_only_where_all_are_its_own_and_in_order() {
        let read = |logs: &[Value]| parse_block(&block(), &json!(logs).to_string());
        let logs = read(&[rpc_log(5, 5, 0), rpc_log(5, 5, 3)]).unwrap();
        assert_eq!(logs.len(), 2);
        assert_eq!(logs[1].block_timestamp_ms, 5000);
        for wrong in [
            vec![rpc_log(5, 6, 0)],
            vec![rpc_log(6, 5, 0)],
            vec![rpc_log(5, 5, 1), rpc_log(5, 5, 0)],
            vec![rpc_log(5, 5, 1), rpc_log(5, 5, 1)],
            vec![without(rpc_log(5, 5, 1), "blockHash")],
            vec![without(rpc_log(5, 5, 1), "logIndex")],
        ] {
            assert_eq!(read(&wrong), Err(Failure::Malformed), "{wrong:?}");
        }
        assert_eq!(parse_block(&block(), "null"), Err(Failure::Malformed));
    }

    #[test]
    fn the_logs_of_a_range_are_inside_of_it_and_of_one_branch() {
        let read = |logs: &[Value]| parse_range(ChainId(1), 4, 6, &json!(logs).to_string());
        assert_eq!(
            read(&[rpc_log(4, 4, 9), rpc_log(6, 6, 0)]).unwrap().len(),
            2
        );
        for wrong in [
            vec![rpc_log(3, 3, 0)],
            vec![rpc_log(7, 7, 0)],
            vec![rpc_log(6, 6, 0), rpc_log(4, 4, 0)],
            vec![rpc_log(5, 5, 0), rpc_log(5, 6, 1)],
        ] {
            assert_eq!(read(&wrong), Err(Failure::Malformed), "{wrong:?}");
        }
    }

    #[test]
    fn what_two_filters_find_comes_once_and_in_order() {
        let read =
            |logs: &[Value]| parse_range(ChainId(1), 0, 9, &json!(logs).to_string()).unwrap();
        let one = read(&[rpc_log(4, 4, 1), rpc_log(6, 6, 0)]);
        let two = read(&[rpc_log(4, 4, 0), rpc_log(4, 4, 1)]);
        let merged = merge(vec![one, two]);
        let order: Vec<_> = merged
            .iter()
            .map(|l| (l.block_number.0, l.log_index))
            .collect();
        assert_eq!(order, [(4, 0), (4, 1), (6, 0)]);
    }

    #[test]
    fn a_filter_is_asked_with_wildcards_before_its_last_topic_only() {
        let mut filter = LogFilter::default();
        assert_eq!(
            of_range(&filter, 1, 16),
            json!([{"fromBlock": "0x1", "toBlock": "0x10"}])
        );
        filter.topics[1] = vec![B256::ZERO];
        assert_eq!(
            of_block(Some(&filter), &B256::ZERO),
            json!([{"blockHash": B256::ZERO, "topics": [null, [B256::ZERO]]}])
        );
    }
}
