//! Recording: what a module meets on a live chain, written down and played.

use std::fs;

use nexum_testkit::{RpcServer, ScriptedChain, U256};

use crate::package::{Ended, cargo_nexum, workspace};

fn record(module: &str, file: &str, url: &str, options: &[&str]) -> Ended {
    let module = workspace().join("modules").join(module);
    let output = cargo_nexum(&module)
        .args(["run", "--record", file, "--rpc", url])
        .args(options)
        .output()
        .unwrap();
    output.into()
}

/// A chain with a history, as the first account of the example has one.
fn lived() -> ScriptedChain {
    let chain = ScriptedChain::new(31337);
    let account = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"
        .parse()
        .unwrap();
    for ether in [5_u64, 5, 5, 9, 9, 2] {
        chain.set_balance(
            account,
            U256::from(ether) * U256::from(10).pow(U256::from(18)),
        );
        chain.mine(1);
    }
    chain
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recorded_fixture_plays_as_the_chain_was() {
    let server = RpcServer::start(lived()).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("recorded.nexum");
    let file = path.to_str().unwrap().to_owned();
    let url = format!("{}/v3/secret-key", server.http_url());
    let recorded = tokio::task::spawn_blocking(move || {
        record("balance-watch", &file, &url, &["--blocks", "4"])
    });
    recorded
        .await
        .unwrap()
        .ends(0)
        .prints("blocks 3 to 6 of chain 31337");
    let text = fs::read_to_string(&path).unwrap();
    assert!(
        !text.contains("secret-key") && !text.contains("127.0.0.1"),
        "{text}"
    );
    assert!(text.contains("= 5000000000000000000 wei"), "{text}");
    assert!(text.contains("events 4"), "{text}");

    let file = path.to_str().unwrap().to_owned();
    let played = tokio::task::spawn_blocking(move || {
        let module = workspace().join("modules/balance-watch");
        let output = cargo_nexum(&module)
            .args(["run", "--mock", &file])
            .output()
            .unwrap();
        Ended::from(output)
    });
    let played = played.await.unwrap().ends(0);
    played
        .prints("5 → 9 ether (+4) at block 2")
        .prints("9 → 2 ether (-7) at block 4");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_recorded_is_told() {
    let other = RpcServer::start(ScriptedChain::new(7)).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let there = folder.path().join("there.nexum");
    fs::write(&there, "mine").unwrap();
    let there = there.to_str().unwrap().to_owned();
    let new = folder.path().join("new.nexum").to_str().unwrap().to_owned();
    let url = other.http_url();
    let work = tokio::task::spawn_blocking(move || {
        record("balance-watch", &new, &url, &[])
            .ends(3)
            .tells("the endpoint is of chain 7");
        record("balance-watch", &there, &url, &[])
            .ends(2)
            .tells("exists already");
        record("balance-watch", &new, "http://127.0.0.1:1/key", &[])
            .ends(1)
            .tells("eth_chainId got no answer");
        record("balance-watch", &new, &url, &["--mock"]).ends(2);
    });
    work.await.unwrap();
}
