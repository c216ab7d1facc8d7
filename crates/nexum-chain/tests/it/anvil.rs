//! The feed of a real node.

use nexum_chain::FeedReader;
use nexum_testkit::Anvil;
use nexum_types::{Block, BlockNumber};
use serde_json::json;

use crate::support::{BOTH, Rig, Via, at, blocks, next, taken_back};

/// Reads up to block `last`; every block is the child of the one before.
async fn read_chain(reader: &mut FeedReader, parent: Option<Block>, last: u64) -> Vec<Block> {
    let mut blocks: Vec<Block> = parent.into_iter().collect();
    while blocks
        .last()
        .is_none_or(|block| block.number < BlockNumber(last))
    {
        let block = next(reader).await;
        if let Some(parent) = blocks.last() {
            assert_eq!(
                (block.number, block.parent_hash),
                (parent.number.next(), parent.hash)
            );
        }
        blocks.push(block);
    }
    blocks
}

#[tokio::test]
async fn blocks_mined_at_once_come_in_order_and_a_reorg_brings_the_new_branch() {
    for via in BOTH {
        let anvil = Anvil::start(["--chain-id", "31337"]).await.unwrap();
        let url = match via {
            Via::Http => anvil.http_url(),
            Via::Ws => anvil.ws_url(),
        };
        let rig = Rig::start(&[url]);
        let mut reader = rig.feed.reader(at(0), blocks());
        anvil.mine(400).await.unwrap();
        let blocks = read_chain(&mut reader, None, 400).await;
        assert_eq!(blocks.len(), 401, "{via:?}");

        // Blocks with nothing in them would be mined again as they were.
        let miner = "0x00000000000000000000000000000000000000a1";
        anvil
            .rpc("anvil_setCoinbase", json!([miner]))
            .await
            .unwrap();
        anvil.rpc("anvil_reorg", json!([5, []])).await.unwrap();
        let gone: Vec<_> = blocks[396..].iter().rev().map(Block::block_ref).collect();
        taken_back(&mut reader, &gone).await;
        let ancestor = blocks[395].clone();
        let branch = read_chain(&mut reader, Some(ancestor), 400).await;
        let head = anvil
            .rpc("eth_getBlockByNumber", json!(["latest", false]))
            .await
            .unwrap();
        assert_eq!(json!(branch[5].hash), head["hash"], "{via:?}");
        assert_ne!(branch[5].hash, blocks[400].hash);
    }
}
