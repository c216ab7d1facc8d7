//! A contract on anvil that emits one log whenever it is called.

use nexum_testkit::{Address, Anvil, B256};
use nexum_types::LogFilter;
use serde_json::{Value, json};

/// The first topic of its logs.
const TOPIC: B256 = B256::repeat_byte(0x11);
const ADDRESS: Address = Address::repeat_byte(0xc0);

/// The contract, and an account of anvil's that pays.
pub(crate) struct Emitter<'a> {
    anvil: &'a Anvil,
    payer: Value,
}

impl<'a> Emitter<'a> {
    /// Puts the contract where its logs are expected.
    pub(crate) async fn deploy(anvil: &'a Anvil) -> Self {
        // PUSH32 topic, PUSH1 0 (length), PUSH1 0 (offset), LOG1, STOP.
        let code = format!(
            "{}60006000a100",
            TOPIC.to_string().replacen("0x", "0x7f", 1)
        );
        anvil
            .rpc("anvil_setCode", json!([ADDRESS, code]))
            .await
            .unwrap();
        Self::existing(anvil).await
    }

    /// The contract of an anvil that has it already.
    pub(crate) async fn existing(anvil: &'a Anvil) -> Self {
        let accounts = anvil.rpc("eth_accounts", json!([])).await.unwrap();
        Self {
            anvil,
            payer: accounts[0].clone(),
        }
    }

    /// Calls it: one more block, with one log.
    pub(crate) async fn emit(&self) {
        let call = json!([{ "from": self.payer, "to": ADDRESS, "gas": "0x186a0" }]);
        self.anvil.rpc("eth_sendTransaction", call).await.unwrap();
    }

    /// Mines `rounds` times `blocks` blocks, of which the last has a log.
    pub(crate) async fn mine(&self, rounds: u64, blocks: u64) {
        for _ in 0..rounds {
            if blocks > 1 {
                self.anvil.mine(blocks - 1).await.unwrap();
            }
            self.emit().await;
        }
    }
}

/// What it emits.
pub(crate) fn emitted() -> LogFilter {
    LogFilter {
        addresses: vec![ADDRESS],
        topics: [vec![TOPIC], vec![], vec![], vec![]],
    }
}
