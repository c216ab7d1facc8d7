//! From a node's header to a [`Block`]. Only what the feed needs is read.

use std::ops::Deref;

use alloy_primitives::{B256, Bloom, U64};
use nexum_types::{Block, BlockNumber, ChainId};
use serde::Deserialize;

use crate::failure::Failure;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RpcHeader {
    number: U64,
    hash: B256,
    parent_hash: B256,
    timestamp: U64,
    #[serde(default)]
    logs_bloom: Option<Box<Bloom>>,
}

/// A block and what its header tells of its logs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) block: Block,
    /// `None` where the node did not tell it: the block may have any log.
    pub(crate) bloom: Option<Box<Bloom>>,
}

impl Deref for Header {
    type Target = Block;

    fn deref(&self) -> &Block {
        &self.block
    }
}

#[cfg(test)]
impl From<Block> for Header {
    fn from(block: Block) -> Self {
        Self { block, bloom: None }
    }
}

/// Reads a header or a block with its bloom. `None` where the node answers null: it does not know
/// the block.
pub(crate) fn parse_header(chain: ChainId, json: &str) -> Result<Option<Header>, Failure> {
    let header: Option<RpcHeader> = serde_json::from_str(json).map_err(|_| Failure::Malformed)?;
    Ok(header.map(|header| Header {
        block: Block {
            chain_id: chain,
            number: BlockNumber(header.number.to()),
            hash: header.hash,
            parent_hash: header.parent_hash,
            timestamp_ms: header.timestamp.to::<u64>().saturating_mul(1000),
        },
        bloom: header.logs_bloom,
    }))
}

/// Reads a header or a block. `None` where the node answers null: it does not know the block.
pub(crate) fn parse(chain: ChainId, json: &str) -> Result<Option<Block>, Failure> {
    Ok(parse_header(chain, json)?.map(|header| header.block))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_counts_in_seconds_and_a_block_in_milliseconds() {
        let hash = B256::repeat_byte(1);
        let json = format!(
            r#"{{"number":"0x10","hash":"{hash}","parentHash":"{hash}","timestamp":"0x2","x":[]}}"#
        );
        let block = parse(ChainId(1), &json).unwrap().unwrap();
        assert_eq!((block.number, block.timestamp_ms), (BlockNumber(16), 2000));
    }

    #[test]
    fn the_bloom_is_read_where_it_is_told() {
        let (hash, bloom) = (B256::repeat_byte(1), Bloom::repeat_byte(3));
        let fields =
            format!(r#""number":"0x10","hash":"{hash}","parentHash":"{hash}","timestamp":"0x2""#);
        let read = |json: String| parse_header(ChainId(1), &json).unwrap().unwrap().bloom;
        assert_eq!(read(format!("{{{fields}}}")), None);
        let told = format!(r#"{{{fields},"logsBloom":"{bloom}"}}"#);
        assert_eq!(read(told), Some(Box::new(bloom)));
    }

    #[test]
    fn null_is_unknown_and_anything_else_is_malformed() {
        assert_eq!(parse(ChainId(1), "null"), Ok(None));
        for json in ["{}", "[]", "\"0x1\"", "{", r#"{"number":null,"hash":null}"#] {
            assert_eq!(parse(ChainId(1), json), Err(Failure::Malformed), "{json}");
        }
    }
}
