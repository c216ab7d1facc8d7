use std::{num::NonZeroU64, sync::Arc};

use nexum_manifest::BlockSubscription;
use nexum_types::{Address, B256, Block, Bytes, LogFilter};

use super::*;

const CHAIN: ChainId = ChainId(1);

fn blocks(start: Start, every: u64) -> BlockSubscription {
    BlockSubscription {
        chain_id: CHAIN,
        start,
        every: NonZeroU64::new(every).unwrap(),
        depth: Depth::Head,
        on_lag: OnLag::CatchUp,
    }
}

/// A subscription to the logs of one contract.
fn logs(contract: u8, start: Start) -> LogSubscription {
    LogSubscription {
        chain_id: CHAIN,
        start,
        filter: LogFilter {
            addresses: vec![Address::repeat_byte(contract)],
            topics: Default::default(),
        },
        depth: Depth::Head,
        on_lag: OnLag::CatchUp,
        delivery: Delivery::Block,
    }
}

fn route(blocks: Vec<BlockSubscription>, logs: Vec<LogSubscription>) -> Route {
    Route {
        chain: CHAIN,
        depth: Depth::Head,
        blocks,
        logs,
        latest: None,
    }
}

fn hash(number: u64) -> B256 {
    B256::with_last_byte(number as u8)
}

fn at(number: u64) -> BlockRef {
    BlockRef {
        number: BlockNumber(number),
        hash: hash(number),
    }
}

/// A block with one log of each of these contracts.
fn block(number: u64, contracts: &[u8]) -> FeedBlock {
    let log = |(index, contract): (u32, &u8)| Log {
        chain_id: CHAIN,
        address: Address::repeat_byte(*contract),
        topics: Vec::new(),
        data: Bytes::new(),
        block_number: BlockNumber(number),
        block_hash: hash(number),
        block_timestamp_ms: 0,
        transaction_hash: B256::ZERO,
        transaction_index: 0,
        log_index: index,
        removed: false,
    };
    FeedBlock {
        block: Block {
            chain_id: CHAIN,
            number: BlockNumber(number),
            hash: hash(number),
            parent_hash: hash(number - 1),
            timestamp_ms: 0,
        },
        logs: (0..).zip(contracts).map(log).collect(),
    }
}

/// What a module is given of a block: `b` for the block, the indices of the logs otherwise.
fn given(route: &Route, block: &FeedBlock) -> Vec<(u32, String)> {
    let shown = |event: Event| match event {
        Event::Block(_) => "b".to_owned(),
        Event::Logs(logs) => logs.iter().map(|log| log.log_index.to_string()).collect(),
        Event::Tick(_) => unreachable!("a route deals none"),
    };
    let deals = route.deals(block, &Given::default()).into_iter();
    deals.map(|deal| (deal.turn, shown(deal.event))).collect()
}

#[test]
fn a_block_comes_before_its_logs_and_each_subscription_has_its_turn() {
    let start = Start::Number(BlockNumber(0));
    let route = route(vec![blocks(start, 2)], vec![logs(1, start), logs(2, start)]);
    let turns = |number, contracts: &[u8]| given(&route, &block(number, contracts));
    assert_eq!(
        turns(4, &[2, 1, 9, 1]),
        [(0, "b".into()), (1, "13".into()), (2, "0".into())]
    );
    assert_eq!(turns(5, &[2]), [(2, "0".into())], "every second block");
    assert!(turns(5, &[9]).is_empty());
}

#[test]
fn a_log_that_two_subscriptions_want_comes_to_each() {
    let start = Start::Latest;
    let route = route(Vec::new(), vec![logs(1, start), logs(1, start)]);
    assert_eq!(
        given(&route, &block(3, &[1])),
        [(0, "0".into()), (1, "0".into())]
    );
}

#[test]
fn a_source_begins_with_its_earliest_subscription_and_each_keeps_to_its_own_start() {
    let from = |number| Start::Number(BlockNumber(number));
    let mut route = route(
        vec![blocks(from(10), 1)],
        vec![logs(1, from(5)), logs(2, Start::Latest)],
    );
    assert_eq!(
        route.position(None, Vec::new()),
        Position::At(BlockNumber(5))
    );
    route.fix_latest(&FeedItem::Block(Arc::new(block(5, &[1]))), Some(at(20)));
    assert_eq!(given(&route, &block(5, &[1, 2])), [(1, "0".into())]);
    assert_eq!(given(&route, &block(10, &[2])), [(0, "b".into())]);
    assert_eq!(
        given(&route, &block(20, &[2])),
        [(0, "b".into()), (2, "0".into())]
    );
}

#[test]
fn latest_stays_where_it_was_when_the_first_event_fails() {
    let mut route = route(vec![blocks(Start::Latest, 1)], Vec::new());
    assert_eq!(route.position(None, Vec::new()), Position::Latest);
    route.fix_latest(&FeedItem::Block(Arc::new(block(7, &[]))), Some(at(9)));
    assert_eq!(
        route.position(None, Vec::new()),
        Position::At(BlockNumber(7))
    );
    assert_eq!(given(&route, &block(7, &[])), [(0, "b".into())]);
}

#[test]
fn what_a_cursor_means_is_where_to_read_on() {
    let route = route(Vec::new(), vec![logs(1, Start::Latest)]);
    let after = |block, delivered: &[u64]| Position::After {
        block,
        delivered: delivered.iter().copied().map(at).collect(),
    };
    let history = || vec![at(3), at(6), at(8)];
    let position = |cursor| route.position(Some(cursor), history());
    assert_eq!(position(Cursor::Block(at(9))), after(at(9), &[3, 6, 8]));
    let part = Cursor::Part {
        block: at(8),
        parent_hash: hash(7),
        turn: 1,
    };
    assert_eq!(
        position(part),
        after(at(7), &[3, 6]),
        "block 8 comes once more"
    );
    assert_eq!(
        position(Cursor::Before(BlockNumber(8))),
        after(at(6), &[3, 6])
    );
    assert_eq!(
        position(Cursor::Before(BlockNumber(2))),
        Position::At(BlockNumber(2))
    );
}

#[test]
fn logs_are_taken_back_newest_first() {
    let log = |index| Log {
        log_index: index,
        ..block(4, &[1]).logs[0].clone()
    };
    let mut delivered = Delivered {
        block: at(4),
        parent_hash: hash(3),
        logs: vec![(1, vec![log(0), log(3)]), (2, vec![log(1)])],
    };
    let mut taken = Vec::new();
    while let Some(Deal {
        turn,
        event: Event::Logs(logs),
    }) = take_back(&mut delivered)
    {
        assert!(logs.iter().all(|log| log.removed));
        taken.push((
            turn,
            logs.iter().map(|log| log.log_index).collect::<Vec<_>>(),
        ));
    }
    assert_eq!(taken, [(2, vec![1]), (1, vec![3, 0])]);
}

#[test]
fn subscriptions_of_one_chain_and_depth_are_one_source() {
    let confirmed = |subscription: BlockSubscription| BlockSubscription {
        depth: Depth::Confirmations(3),
        ..subscription
    };
    let manifest = ModuleManifest {
        name: "two-depths".parse().unwrap(),
        version: "1".into(),
        component: None,
        resources: Default::default(),
        durability: Default::default(),
        restart: Default::default(),
        chains: [CHAIN].into(),
        absent_chains: Default::default(),
        http_allow: Vec::new(),
        capabilities: Default::default(),
        identity: Default::default(),
        subscriptions: vec![
            Subscription::Block(blocks(Start::Latest, 1)),
            Subscription::Log(logs(1, Start::Latest)),
            Subscription::Block(confirmed(blocks(Start::Latest, 1))),
        ],
        config: Default::default(),
    };
    let routes = Route::of(&manifest);
    let sources: Vec<_> = routes.iter().map(Route::source).collect();
    assert_eq!(
        sources,
        [
            Source::Chain(CHAIN, Depth::Head),
            Source::Chain(CHAIN, Depth::Confirmations(3)),
        ]
    );
    assert!(routes[0].can_be_taken_back() && !routes[1].can_be_taken_back());
    assert!(routes[0].interest().blocks && routes[0].interest().logs.len() == 1);
}

/// A route with blocks, the logs of contract 1 as they come and those of contract 2 as they are
/// pushed.
fn with_pushed() -> Route {
    let pushed = LogSubscription {
        delivery: Delivery::Push,
        ..logs(2, Start::Number(BlockNumber(0)))
    };
    let start = Start::Number(BlockNumber(0));
    route(vec![blocks(start, 1)], vec![logs(1, start), pushed])
}

/// The turns of the deals, each with the indices of its logs.
fn turns(deals: &[Deal]) -> Vec<(u32, Vec<u32>)> {
    let indices = |event: &Event| match event {
        Event::Block(_) | Event::Tick(_) => Vec::new(),
        Event::Logs(logs) => logs.iter().map(|log| log.log_index).collect(),
    };
    let turn = |deal: &Deal| (deal.turn, indices(&deal.event));
    deals.iter().map(turn).collect()
}

#[test]
fn what_was_early_is_left_out_when_the_whole_block_comes() {
    let (route, whole) = (with_pushed(), block(5, &[2, 1, 2]));
    let early = FeedBlock {
        logs: whole.logs[..1].into(),
        ..whole.clone()
    };
    let dealt = route.early_deals(&early, &Given::default());
    assert_eq!(turns(&dealt), [(0, vec![]), (2, vec![0])]);
    let whole_early = route.early_deals(&whole, &Given::default());
    assert_eq!(turns(&whole_early), [(0, vec![]), (2, vec![0, 2])]);

    let delivered = Delivered {
        block: at(5),
        parent_hash: hash(4),
        logs: vec![(2, early.logs.to_vec())],
    };
    let given = Given {
        turns: 1,
        delivered: Some(&delivered),
    };
    assert_eq!(turns(&route.early_deals(&early, &given)), []);
    let rest = route.deals(&whole, &given);
    assert_eq!(turns(&rest), [(1, vec![1]), (2, vec![2])]);
}

#[test]
fn only_what_was_pushed_and_is_not_in_the_block_is_refuted() {
    let (route, whole) = (with_pushed(), block(5, &[2, 1, 2]));
    let foreign = block(5, &[2, 2, 2, 2]).logs;
    let mut delivered = Delivered {
        block: at(5),
        parent_hash: hash(4),
        logs: vec![
            (1, foreign[3..].to_vec()),
            (2, whole.logs[..1].to_vec()),
            (2, foreign[1..].to_vec()),
        ],
    };
    let refuted = route.refuted(&mut delivered, &whole);
    assert_eq!(turns(&refuted), [(2, vec![3, 1])], "newest first");
    let kept: Vec<_> = delivered
        .logs
        .iter()
        .map(|(turn, logs)| (*turn, logs.len()))
        .collect();
    assert_eq!(kept, [(1, 1), (2, 1), (2, 1)]);
    assert_eq!(turns(&route.refuted(&mut delivered, &whole)), []);
}

#[test]
fn what_was_taken_back_leaves_the_cursor_at_the_parent_that_it_had() {
    let delivered = |number: u64| Delivered {
        block: at(number),
        parent_hash: hash(number.wrapping_sub(1)),
        logs: Vec::new(),
    };
    let after = before(BlockNumber(5), Some(&delivered(5)));
    assert_eq!(after, Cursor::Block(at(4)));
    let genesis = BlockNumber(0);
    assert_eq!(
        before(genesis, Some(&delivered(0))),
        Cursor::Before(genesis)
    );
    assert_eq!(before(BlockNumber(5), None), Cursor::Before(BlockNumber(5)));
}
