//! Many blocks at once: all of them come, to those who keep up and to those who do not.

use std::thread;

use nexum_chain::{FeedReader, Interest};
use nexum_testkit::{Address, Anvil, NewLog, ScriptedChain, keccak256};
use nexum_types::LogFilter;

use crate::{
    emitter::{Emitter, emitted},
    support::{BOTH, Rig, Via, at, block_ref, logs, next_block, server},
};

const EVENT: &str = "Approval(address,address,uint256)";
const BLOCKS: u64 = 1_000;

fn approvals() -> LogFilter {
    let mut filter = LogFilter {
        addresses: vec![Address::repeat_byte(0xa1)],
        ..LogFilter::default()
    };
    filter.topics[0] = vec![keccak256(EVENT)];
    filter
}

fn blocks_and(filter: LogFilter) -> Interest {
    Interest {
        blocks: true,
        ..logs([filter])
    }
}

/// In each third block, as many logs as its number has in hundreds, and one more.
fn expected_logs(number: u64) -> u64 {
    if number > 0 && number.is_multiple_of(3) {
        number / 100 + 1
    } else {
        0
    }
}

fn mine(chain: &ScriptedChain, count: u64) {
    for _ in 0..count {
        for _ in 0..expected_logs(chain.head().number + 1) {
            chain.log(NewLog::of(Address::repeat_byte(0xa1), EVENT));
        }
        chain.mine(1);
    }
}

/// The next block, which must be this one, with its logs.
async fn read(reader: &mut FeedReader, chain: &ScriptedChain, number: u64) {
    let block = next_block(reader).await;
    let expected = chain.block(number).unwrap();
    assert_eq!(block.block.block_ref(), block_ref(&expected));
    assert_eq!(
        block.logs.len() as u64,
        expected_logs(number),
        "block {number}"
    );
}

#[tokio::test]
async fn a_thousand_blocks_mined_without_a_pause_come_with_their_logs() {
    for via in BOTH {
        let server = server(0).await;
        let chain = server.chain();
        let rig = Rig::over(&server, via);
        let mut fast = rig.feed.reader(at(0), blocks_and(approvals()));
        let mut slow = rig.feed.reader(at(0), blocks_and(approvals()));
        let mut slow_logs = rig.feed.reader(at(0), logs([approvals()]));
        read(&mut fast, chain, 0).await;
        read(&mut slow, chain, 0).await;

        let miner = {
            let chain = chain.clone();
            // Waits for nobody.
            thread::spawn(move || mine(&chain, BLOCKS))
        };
        let mut taken = 1;
        for number in 1..=BLOCKS {
            read(&mut fast, chain, number).await;
            // A tenth as fast.
            if number.is_multiple_of(10) {
                read(&mut slow, chain, taken).await;
                taken += 1;
            }
        }
        miner.join().unwrap();
        // The ring has moved on: what is left comes from the node.
        for number in taken..=BLOCKS {
            read(&mut slow, chain, number).await;
        }
        for number in (1..=BLOCKS).filter(|number| expected_logs(*number) > 0) {
            read(&mut slow_logs, chain, number).await;
        }
        assert_eq!(rig.feed.head(), Some(block_ref(&chain.head())), "{via:?}");
    }
}

#[tokio::test]
async fn a_thousand_blocks_that_anvil_mines_at_once_come_with_their_logs() {
    for via in BOTH {
        let anvil = Anvil::start(["--chain-id", "31337"]).await.unwrap();
        let emitter = Emitter::deploy(&anvil).await;
        let url = match via {
            Via::Http => anvil.http_url(),
            Via::Ws => anvil.ws_url(),
        };
        let rig = Rig::start(&[url]);
        let mut fast = rig.feed.reader(at(0), blocks_and(emitted()));
        let mut slow = rig.feed.reader(at(0), blocks_and(emitted()));
        next_block(&mut fast).await;
        next_block(&mut slow).await;
        let reading = async {
            let mut found = 0;
            for number in 1..=BLOCKS {
                let block = next_block(&mut fast).await;
                assert_eq!(block.block.number.0, number, "{via:?}");
                found += block.logs.len();
            }
            found
        };
        let ((), found) = tokio::join!(emitter.mine(10, BLOCKS / 10), reading);
        assert_eq!(found, 10, "{via:?}");
        for number in 1..=BLOCKS {
            let block = next_block(&mut slow).await;
            let logs = usize::from(number.is_multiple_of(BLOCKS / 10));
            assert_eq!((block.block.number.0, block.logs.len()), (number, logs));
        }
    }
}
