//! What modules that read the same value at each block cost the node.

use futures::future::join_all;
use nexum_chain::Chains;
use nexum_types::{ChainRpc, RpcRequest};

use crate::rig;

const BLOCKS: u64 = 200;

/// At each block, every module asks for the head's balance of one account at the same time.
pub(crate) fn the_same_value() {
    println!("  one value read at each block, requests to the node per block");
    for modules in [1, 10, 100] {
        let asked = rig::runtime().block_on(per_block(modules));
        println!("  {modules:>4} modules{asked:>10.2}");
    }
}

async fn per_block(modules: usize) -> f64 {
    let server = rig::serve(1, 1, |_| 0).await;
    let chains = Chains::new([rig::settings(&server.http_url())]).unwrap();
    chains.verify().await.unwrap();
    server.clear_request_log();
    let account = rig::contract(7);
    let request = RpcRequest {
        method: "eth_getBalance".into(),
        params: format!("[\"{account}\", \"latest\"]"),
    };
    for _ in 0..BLOCKS {
        server.chain().mine(1);
        // A task each, as modules have.
        let asking = (0..modules).map(|_| {
            let (chains, request) = (chains.clone(), request.clone());
            tokio::spawn(async move { chains.request(rig::CHAIN, &request).await })
        });
        for answer in join_all(asking).await {
            answer.unwrap().unwrap();
        }
    }
    server.request_log().total() as f64 / BLOCKS as f64
}
