//! Every matching log comes, once, with its block, whatever the node does.

use std::time::Duration;

use nexum_chain::{FeedItem, FeedReader, Interest};
use nexum_testkit::{
    Address, Fault, Injection, LogLimits, NewLog, RpcServer, ScriptedChain, Wording, keccak256,
};
use nexum_types::{BlockNumber, LogFilter};

use crate::support::{
    BOTH, CHAIN, Rig, Via, after, at, block_ref, blocks, logs, next_block, read_to_head, server,
    settings, taken_back, until, within,
};

const EVENT: &str = "Transfer(address,address,uint256)";

fn contract(byte: u8) -> Address {
    Address::repeat_byte(byte)
}

/// The transfers of one contract.
fn transfers(byte: u8) -> LogFilter {
    let mut filter = LogFilter {
        addresses: vec![contract(byte)],
        ..LogFilter::default()
    };
    filter.topics[0] = vec![keccak256(EVENT)];
    filter
}

/// Mines blocks up to `last`; in each whose number is a multiple of `every`, the contract emits.
fn mine_with_logs(chain: &ScriptedChain, last: u64, every: u64, byte: u8) {
    while chain.head().number < last {
        if (chain.head().number + 1).is_multiple_of(every) {
            chain.log(NewLog::of(contract(byte), EVENT));
        }
        chain.mine(1);
    }
}

/// Reads until the block of that number, which must hold logs; answers the numbers of the blocks
/// that came.
async fn read_to(reader: &mut FeedReader, chain: &ScriptedChain, byte: u8, last: u64) -> Vec<u64> {
    let mut numbers = Vec::new();
    while numbers.last() != Some(&last) {
        let block = next_block(reader).await;
        let number = block.block.number.0;
        assert_eq!(
            block.block.block_ref(),
            block_ref(&chain.block(number).unwrap())
        );
        let own: Vec<_> = block
            .logs
            .iter()
            .filter(|log| transfers(byte).matches(log))
            .collect();
        assert_eq!(own.len(), 1, "block {number}");
        assert_eq!(own[0].block_hash, block.block.hash);
        assert_eq!(own[0].block_timestamp_ms, block.block.timestamp_ms);
        numbers.push(number);
    }
    numbers
}

fn multiples(of: u64, first: u64, last: u64) -> Vec<u64> {
    (first..=last)
        .filter(|number| number.is_multiple_of(of))
        .collect()
}

#[tokio::test]
async fn only_blocks_that_hold_a_matching_log_come() {
    for via in BOTH {
        let server = server(3).await;
        let rig = Rig::over(&server, via);
        let mut reader = rig.feed.reader(at(1), logs([transfers(0xa1)]));
        mine_with_logs(server.chain(), 20, 5, 0xa1);
        mine_with_logs(server.chain(), 30, 4, 0xb2);
        mine_with_logs(server.chain(), 40, 5, 0xa1);
        let numbers = read_to(&mut reader, server.chain(), 0xa1, 40).await;
        assert_eq!(numbers, [5, 10, 15, 20, 35, 40], "{via:?}");
    }
}

#[tokio::test]
async fn one_question_for_all_readers_and_none_where_the_bloom_has_nothing() {
    let server = server(3).await;
    let rig = Rig::over(&server, Via::Ws);
    let mut readers: Vec<_> = (1..=20)
        .map(|byte| rig.feed.reader(at(1), logs([transfers(byte)])))
        .collect();
    rig.head_is(&server.chain().head()).await;
    server.clear_request_log();
    for number in 4..=23 {
        let byte = (number - 3) as u8;
        mine_with_logs(server.chain(), number, number, byte);
        let reader = &mut readers[usize::from(byte) - 1];
        assert_eq!(
            read_to(reader, server.chain(), byte, number).await,
            [number]
        );
    }
    let asked = server.request_log().count("eth_getLogs");
    assert_eq!(asked, 20, "one for each block with a log");
    server.chain().mine(50);
    rig.head_is(&server.chain().head()).await;
    assert_eq!(server.request_log().count("eth_getLogs"), 20);
}

#[tokio::test]
async fn readers_of_blocks_do_not_wait_for_logs() {
    let server = server(3).await;
    let rig = Rig::over(&server, Via::Http);
    let mut waiting = rig.feed.reader(at(4), logs([transfers(0xa1)]));
    let mut not_waiting = rig.feed.reader(at(1), blocks());
    server.inject(Injection::new(Fault::Silent).on("eth_getLogs"));
    mine_with_logs(server.chain(), 10, 4, 0xa1);
    let both = async {
        tokio::select! {
            item = waiting.next() => panic!("logs came from nowhere: {item:?}"),
            () = read_to_head(&mut not_waiting, server.chain(), 1) => {}
        }
    };
    within(both).await;
    server.heal();
    assert_eq!(read_to(&mut waiting, server.chain(), 0xa1, 8).await, [4, 8]);
}

#[tokio::test]
async fn the_past_is_read_in_ranges_that_all_readers_share() {
    let server = server(0).await;
    mine_with_logs(server.chain(), 20_000, 100, 0xa1);
    let rig = Rig::over(&server, Via::Http);
    rig.head_is(&server.chain().head()).await;
    server.clear_request_log();
    let mut readers: Vec<_> = (0..20)
        .map(|other| {
            let filters = [transfers(0xa1), transfers(other)];
            rig.feed.reader(at(1), logs(filters))
        })
        .collect();
    for reader in &mut readers {
        let numbers = read_to(reader, server.chain(), 0xa1, 20_000).await;
        assert_eq!(numbers, multiples(100, 1, 20_000));
    }
    let log = server.request_log();
    let window = 256 + 20;
    assert!(log.count("eth_getLogs") <= 20, "{log:?}");
    // One for each block with logs, one for each range, and the window.
    assert!(
        log.count("eth_getBlockByNumber") <= 200 + 10 + window,
        "{log:?}"
    );
}

#[tokio::test]
async fn with_blocks_and_logs_every_block_comes_with_its_logs() {
    let server = server(0).await;
    mine_with_logs(server.chain(), 900, 7, 0xa1);
    let rig = Rig::over(&server, Via::Http);
    let interest = Interest {
        blocks: true,
        ..logs([transfers(0xa1)])
    };
    let mut reader = rig.feed.reader(at(1), interest);
    for number in 1..=900 {
        let block = next_block(&mut reader).await;
        assert_eq!(block.block.number, BlockNumber(number));
        assert_eq!(
            block.logs.len(),
            usize::from(number.is_multiple_of(7)),
            "block {number}"
        );
    }
}

#[tokio::test]
async fn ranges_adapt_to_what_each_node_refuses() {
    for (name, wording) in Wording::ALL {
        let server = server(0).await;
        mine_with_logs(server.chain(), 2_000, 50, 0xa1);
        server.change_view(|view| {
            view.log_limits = LogLimits {
                max_blocks: Some(400),
                max_results: Some(5),
                wording,
            };
        });
        let rig = Rig::over(&server, Via::Http);
        let mut reader = rig.feed.reader(at(1), logs([transfers(0xa1)]));
        let numbers = read_to(&mut reader, server.chain(), 0xa1, 2_000).await;
        assert_eq!(numbers, multiples(50, 1, 2_000), "{name}");
        assert!(rig.feed.status().oddities.refused_ranges > 0, "{name}");
    }
}

#[tokio::test]
async fn a_reorg_takes_back_only_what_was_given() {
    for via in BOTH {
        let server = server(0).await;
        mine_with_logs(server.chain(), 20, 4, 0xa1);
        let rig = Rig::over(&server, via);
        let mut reader = rig.feed.reader(at(1), logs([transfers(0xa1)]));
        read_to(&mut reader, server.chain(), 0xa1, 20).await;
        let gone = [20, 16].map(|number| block_ref(&server.chain().block(number).unwrap()));
        server
            .chain()
            .reorg_to(7, |branch| {
                branch.mine(3);
                branch.log(NewLog::of(contract(0xa1), EVENT));
                branch.mine(5);
            })
            .unwrap();
        taken_back(&mut reader, &gone).await;
        assert_eq!(
            read_to(&mut reader, server.chain(), 0xa1, 17).await,
            [17],
            "{via:?}"
        );
    }
}

#[tokio::test]
async fn after_a_restart_sparse_deliveries_are_taken_back_too() {
    for more in [1, 600] {
        let server = server(0).await;
        mine_with_logs(server.chain(), 20, 4, 0xa1);
        let delivered = [4, 8, 12, 16].map(|n| block_ref(&server.chain().block(n).unwrap()));
        let cursor = block_ref(&server.chain().block(18).unwrap());
        server.chain().reorg_replaying(7, 1).unwrap();
        server.chain().mine(more);
        let rig = Rig::over(&server, Via::Http);
        let interest = logs([transfers(0xa1)]);
        let mut reader = rig.feed.reader(after(cursor, &delivered), interest);
        taken_back(&mut reader, &delivered[3..]).await;
        assert_eq!(
            read_to(&mut reader, server.chain(), 0xa1, 21).await,
            [17, 21]
        );
    }
}

#[tokio::test]
async fn logs_that_are_not_there_yet_are_waited_for() {
    let server = server(3).await;
    server.change_view(|view| view.logs_missing_newest = 100);
    let rig = Rig::over(&server, Via::Http);
    let mut reader = rig.feed.reader(at(4), logs([transfers(0xa1)]));
    mine_with_logs(server.chain(), 8, 8, 0xa1);
    let missing = async {
        tokio::select! {
            item = reader.next() => panic!("passed over: {item:?}"),
            () = until(|| rig.feed.status().oddities.missing_logs >= 2) => {}
        }
    };
    within(missing).await;
    server.heal();
    server.change_view(|view| view.logs_missing_newest = 0);
    assert_eq!(read_to(&mut reader, server.chain(), 0xa1, 8).await, [8]);
}

#[tokio::test]
async fn with_empty_blooms_that_are_not_trusted_every_block_is_asked() {
    let server = server(3).await;
    server.change_view(|view| view.empty_blooms = true);
    let mut settings = settings(&[server.http_url()]);
    settings.trust_bloom = false;
    let rig = Rig::with(settings);
    let mut reader = rig.feed.reader(at(1), logs([transfers(0xa1)]));
    mine_with_logs(server.chain(), 12, 4, 0xa1);
    assert_eq!(
        read_to(&mut reader, server.chain(), 0xa1, 12).await,
        [4, 8, 12]
    );
}

#[tokio::test]
async fn wrong_logs_are_not_believed_and_another_node_is_asked() {
    for fault in [
        Fault::LogsOfAnotherBlock,
        Fault::LogsOutOfRange,
        Fault::LogsOutOfOrder,
    ] {
        let chain = ScriptedChain::new(CHAIN.0);
        for number in 1..=600 {
            if number % 20 == 0 {
                (0..2).for_each(|_| chain.log(NewLog::of(contract(0xa1), EVENT)));
            }
            chain.mine(1);
        }
        let liar = RpcServer::start(chain.clone()).await.unwrap();
        let honest = RpcServer::start(chain.clone()).await.unwrap();
        liar.inject(Injection::new(fault.clone()).on("eth_getLogs"));
        let rig = Rig::start(&[liar.http_url(), honest.http_url()]);
        let mut reader = rig.feed.reader(at(1), logs([transfers(0xa1)]));
        for number in multiples(20, 1, 600) {
            let block = next_block(&mut reader).await;
            assert_eq!(
                (block.block.number.0, block.logs.len()),
                (number, 2),
                "{fault:?}"
            );
        }
        assert!(rig.feed.status().oddities.bad_logs > 0, "{fault:?}");
    }
}

/// `eth_getLogs` requests for so many readers of a contract each, all of the same past, that
/// begin one after another while the first ranges are on their way.
async fn requests_for(readers: u8) -> usize {
    let server = server(0).await;
    let chain = server.chain();
    for byte in 1..=readers {
        mine_with_logs(chain, 60 * u64::from(byte), 60, byte);
    }
    chain.mine(3_000);
    let mut settings = settings(&[server.http_url()]);
    (settings.max_log_range, settings.reorg_window) = (50, 16);
    let rig = Rig::with(settings);
    rig.head_is(&chain.head()).await;
    server.clear_request_log();
    server.set_latency(Duration::from_millis(50));
    let last = 60 * u64::from(readers);
    let reading = (1..=readers).map(|byte| {
        let mut reader = rig.feed.reader(at(1), logs([transfers(byte)]));
        tokio::spawn(async move {
            let mut found = 0;
            let mut reached = 0;
            while reached < last {
                match within(reader.next()).await {
                    FeedItem::Block(block) => {
                        found += 1;
                        reached = block.block.number.0;
                    }
                    FeedItem::Progress(block) => reached = block.number.0,
                    other => panic!("not the past: {other:?}"),
                }
            }
            found
        })
    });
    let mut running = Vec::new();
    for reader in reading {
        running.push(reader);
        // The one before has asked by now.
        tokio::task::yield_now().await;
    }
    for reader in running {
        assert_eq!(reader.await.unwrap(), 1);
    }
    server.request_log().count("eth_getLogs")
}

#[tokio::test]
async fn readers_that_begin_one_after_another_are_asked_for_together() {
    let one = requests_for(1).await;
    let (few, many) = (requests_for(10).await, requests_for(40).await);
    // Ten readers are over ten times as far as one, forty over four times as far as ten.
    assert!(few <= 2 * 10 * one, "{one}, {few}");
    assert!(many <= 2 * 4 * few, "{few}, {many}");
}

#[tokio::test]
async fn quiet_times_are_told() {
    let server = server(1_000).await;
    let rig = Rig::over(&server, Via::Http);
    let mut reader = rig.feed.reader(at(1), logs([transfers(0xa1)]));
    let mut last = 0;
    while last < 900 {
        let FeedItem::Progress(block) = within(reader.next()).await else {
            panic!("there is nothing else to tell");
        };
        assert!(block.number.0 > last);
        assert_eq!(
            block,
            block_ref(&server.chain().block(block.number.0).unwrap())
        );
        last = block.number.0;
    }
}
