//! Blocks mined one by one on a real node, as fast as it takes the requests.

use futures::{StreamExt as _, TryStreamExt as _, stream};
use nexum_testkit::Anvil;
use serde_json::json;

use crate::world::{CHAIN, Module, World};

const BLOCKS: u64 = 1_000;
/// Requests on their way at the same time, so that the node never waits for the next one.
const IN_FLIGHT: usize = 16;

async fn all_blocks_of_a_burst_are_committed_in_order(url: impl Fn(&Anvil) -> String) {
    let anvil = Anvil::start(Vec::<String>::new()).await.unwrap();
    let world = World::new()
        .chain(CHAIN, &url(&anvil))
        .module(Module::fixture("tally"));
    let engine = world.start().await;
    engine.runs("tally").await;

    stream::iter(0..BLOCKS)
        .map(|_| anvil.rpc("evm_mine", json!([])))
        .buffer_unordered(IN_FLIGHT)
        .try_for_each(async |_| Ok(()))
        .await
        .unwrap();
    engine.delivered("tally", BLOCKS).await;

    let ended = engine.stop().await.module("tally");
    assert_eq!((ended.delivered, ended.failed), (BLOCKS, 0));
    world.state("tally").assert_tallied(1..=BLOCKS);
}

#[tokio::test(flavor = "multi_thread")]
async fn all_blocks_of_a_burst_are_committed_in_order_over_ws() {
    all_blocks_of_a_burst_are_committed_in_order(Anvil::ws_url).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_blocks_of_a_burst_are_committed_in_order_over_http() {
    all_blocks_of_a_burst_are_committed_in_order(Anvil::http_url).await;
}
