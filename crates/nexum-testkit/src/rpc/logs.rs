//! `eth_getLogs`, and one log as a node writes it.

use std::{ops::RangeInclusive, sync::Arc};

use alloy_primitives::{Address, B256, Bytes};
use serde::{Serialize, Serializer};
use serde_json::Value;

use super::{
    filter::Filter,
    params::{INVALID_PARAMS, SERVER_ERROR, error, parse, quantity},
    view::{Node, View},
};
use crate::ChainBlock;

/// One log, pointed at in its block.
#[derive(Debug)]
pub(crate) struct LogJson {
    block: Arc<ChainBlock>,
    index: usize,
    timestamp: bool,
    removed: bool,
}

/// The logs of `block` that `filter` takes, as `view` shows them.
pub(crate) fn of_block(
    block: &Arc<ChainBlock>,
    filter: &Filter,
    view: &View,
    removed: bool,
) -> impl Iterator<Item = LogJson> {
    let timestamp = view.log_timestamps;
    block
        .logs
        .iter()
        .enumerate()
        .filter(|(_, log)| filter.matches(log))
        .map(move |(index, _)| LogJson {
            block: Arc::clone(block),
            index,
            timestamp,
            removed,
        })
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Fields<'a> {
    address: &'a Address,
    topics: &'a [B256],
    data: &'a Bytes,
    block_number: String,
    block_hash: &'a B256,
    #[serde(skip_serializing_if = "Option::is_none")]
    block_timestamp: Option<String>,
    transaction_hash: &'a B256,
    transaction_index: String,
    log_index: String,
    removed: bool,
}

impl Serialize for LogJson {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let log = &self.block.logs[self.index];
        Fields {
            address: &log.address,
            topics: &log.topics,
            data: &log.data,
            block_number: quantity(self.block.number),
            block_hash: &self.block.hash,
            block_timestamp: self.timestamp.then(|| quantity(self.block.timestamp)),
            transaction_hash: &log.transaction_hash,
            transaction_index: quantity(log.transaction_index.into()),
            log_index: quantity(self.index as u64),
            removed: self.removed,
        }
        .serialize(serializer)
    }
}

impl Node<'_> {
    pub(super) fn logs(self, query: &Value) -> Result<Vec<LogJson>, Value> {
        let filter = Filter::parse(query)?;
        if !query["blockHash"].is_null() {
            return self.logs_of(query, &filter);
        }
        let Some(range) = self.range(query)? else {
            return Ok(Vec::new());
        };
        let limits = &self.view.log_limits;
        let span = range.end() - range.start() + 1;
        if let Some(max) = limits.max_blocks.filter(|max| span > *max) {
            return Err(limits.wording.too_many_blocks(*range.start(), span, max));
        }
        let mut logs = Vec::new();
        for block in self.chain.blocks_with_logs(range.clone()) {
            if !self.has_logs_of(&block) {
                continue;
            }
            let before = logs.len();
            logs.extend(of_block(&block, &filter, self.view, false));
            if let Some(max) = limits.max_results.filter(|max| logs.len() > *max) {
                let fits = if before == 0 {
                    block.number
                } else {
                    block.number - 1
                };
                let (from, to) = (*range.start(), fits.max(*range.start()));
                return Err(limits.wording.too_many_results(max, from, to));
            }
        }
        Ok(logs)
    }

    fn logs_of(self, query: &Value, filter: &Filter) -> Result<Vec<LogJson>, Value> {
        if !query["fromBlock"].is_null() || !query["toBlock"].is_null() {
            return Err(error(
                INVALID_PARAMS,
                "cannot specify both BlockHash and FromBlock/ToBlock, choose one or the other",
            ));
        }
        let block = self
            .block_by_hash(&parse(&query["blockHash"])?)
            .ok_or_else(|| error(SERVER_ERROR, "unknown block"))?;
        Ok(if self.has_logs_of(&block) {
            of_block(&block, filter, self.view, false).collect()
        } else {
            Vec::new()
        })
    }

    /// The range asked for, cut at the head; `None` where all of it is after the head.
    fn range(self, query: &Value) -> Result<Option<RangeInclusive<u64>>, Value> {
        let head = self.head().number;
        let bound = |value: &Value| match value {
            Value::Null => Ok(head),
            bound => self.height_at(bound),
        };
        let (from, to) = (bound(&query["fromBlock"])?, bound(&query["toBlock"])?);
        if from > to {
            return Err(error(INVALID_PARAMS, "invalid block range params"));
        }
        if to > head && self.view.refuse_beyond_head {
            return Err(error(
                INVALID_PARAMS,
                "block range extends beyond current head block",
            ));
        }
        Ok((from <= head).then(|| from..=to.min(head)))
    }
}
