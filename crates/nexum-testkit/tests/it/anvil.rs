//! A real node, to compare with.

use nexum_testkit::Anvil;
use serde_json::json;

#[tokio::test]
async fn anvil_starts_mines_and_ends_with_its_handle() {
    let anvil = Anvil::start(["--chain-id", "4242"]).await.unwrap();
    anvil.mine(3).await.unwrap();
    assert_eq!(
        anvil.rpc("eth_blockNumber", json!([])).await.unwrap(),
        json!("0x3")
    );
    assert_eq!(
        anvil.rpc("eth_chainId", json!([])).await.unwrap(),
        json!("0x1092")
    );
    let url = anvil.http_url();
    drop(anvil);
    assert!(
        nexum_testkit::rpc(&url, "eth_chainId", json!([]))
            .await
            .is_err()
    );
}
