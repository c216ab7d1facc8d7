//! Which handler is called, with what.

use nexum_sdk::prelude::*;

sol! {
    event Transfer(address indexed from, address indexed to, uint256 value);
}

struct Watch {
    seen: Vec<String>,
}

#[nexum::module(manifest = "tests/it/manifests/watch.toml")]
impl Watch {
    #[init]
    fn init() -> Self {
        Self { seen: Vec::new() }
    }

    #[on_block]
    async fn on_block(&mut self, block: &Block) -> Result<()> {
        self.seen.push(format!("block {}", block.number));
        Ok(())
    }

    #[on_log(Transfer)]
    fn on_transfer(&mut self, transfer: Transfer, log: &Log) {
        self.seen
            .push(format!("{} in log {}", transfer.value, log.log_index));
    }
}

#[test]
fn handlers_get_their_events_in_order() {
    let mut watch = <Watch as nexum_sdk::Module>::init(Vec::new()).unwrap();
    let block = Block {
        chain_id: 1,
        number: 7,
        hash: B256::ZERO,
        parent_hash: B256::ZERO,
        timestamp: 0,
    };
    <Watch as nexum_sdk::Module>::on_event(&mut watch, Event::Block(block)).unwrap();
    assert_eq!(watch.seen, ["block 7"]);
}
