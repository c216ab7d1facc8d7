//! From a node's header to a [`Block`]. Only what a block event holds is read.

use alloy_primitives::{B256, U64};
use nexum_types::{Block, BlockNumber, ChainId};
use serde::Deserialize;

use crate::failure::Failure;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Header {
    number: U64,
    hash: B256,
    parent_hash: B256,
    timestamp: U64,
}

/// Reads a header or a block. `None` where the node answers null: it does not know the block.
pub(crate) fn parse(chain: ChainId, json: &str) -> Result<Option<Block>, Failure> {
    let header: Option<Header> = serde_json::from_str(json).map_err(|_| Failure::Malformed)?;
    Ok(header.map(|header| Block {
        chain_id: chain,
        number: BlockNumber(header.number.to()),
        hash: header.hash,
        parent_hash: header.parent_hash,
        timestamp_ms: header.timestamp.to::<u64>().saturating_mul(1000),
    }))
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
    fn null_is_unknown_and_anything_else_is_malformed() {
        assert_eq!(parse(ChainId(1), "null"), Ok(None));
        for json in ["{}", "[]", "\"0x1\"", "{", r#"{"number":null,"hash":null}"#] {
            assert_eq!(parse(ChainId(1), json), Err(Failure::Malformed), "{json}");
        }
    }
}
