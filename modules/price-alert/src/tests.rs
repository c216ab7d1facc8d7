use nexum_sdk::{
    Module,
    alloy::primitives::aliases::U80,
    module::Config,
    testing::{Failure, MockHost},
};
use std::{cell::Cell, rc::Rc};

use super::*;

const FEED: Address = address!("5FbDB2315678afecb367f032d93F642f64180aa3");

/// A host whose feed answers the price that the cell holds, in whole units, and the time since
/// which it does, in seconds.
fn host() -> (MockHost, Rc<Cell<(i64, u64)>>) {
    over(MockHost::new(), 0)
}

/// The same, over a host of the test's own and with a price.
fn over(host: MockHost, whole: i64) -> (MockHost, Rc<Cell<(i64, u64)>>) {
    let price = Rc::new(Cell::new((whole, u64::MAX / 2)));
    let answer = Rc::clone(&price);
    let host = host
        .on_call(31337, FEED, |_: AggregatorV3::decimalsCall| Ok(8))
        .on_call(31337, FEED, move |_: AggregatorV3::latestRoundDataCall| {
            let (price, since) = answer.get();
            Ok(AggregatorV3::latestRoundDataReturn {
                roundId: U80::from(1),
                answer: I256::try_from(price * 100_000_000).unwrap_or_default(),
                startedAt: U256::from(since),
                updatedAt: U256::from(since),
                answeredInRound: U80::from(1),
            })
        });
    (host, price)
}

fn alerts(host: &MockHost) -> Vec<String> {
    let lines = host.logs().into_iter();
    let alerts = lines.filter(|line| line.level == log::Level::Warn);
    alerts.map(|line| line.message).collect()
}

#[test]
fn a_crossing_is_alerted_once_also_after_a_restart() {
    let (host, price) = host();
    let mut module = host.start::<PriceAlert>().unwrap();
    for whole in [2400, 2501, 2600] {
        price.set((whole, u64::MAX / 2));
        module.play("chain 31337\nmine").unwrap();
    }
    module.restart().unwrap();
    for whole in [2550, 2475, 2501] {
        price.set((whole, u64::MAX / 2));
        module.play("chain 31337\nmine").unwrap();
    }
    assert_eq!(
        alerts(&host),
        [
            "ETH/USD is at 2501, above 2500 at block 2",
            "ETH/USD is at 2501, above 2500 at block 6",
        ]
    );
}

/// The module with an end of its calls that fails: as where the engine cannot commit.
struct Uncommitted;

impl Module for Uncommitted {
    type Instance = <PriceAlert as Module>::Instance;

    fn init(config: Config) -> Result<Self::Instance> {
        <PriceAlert as Module>::init(config)
    }

    fn on_event(module: &mut Self::Instance, event: Event) -> Result<()> {
        <PriceAlert as Module>::on_event(module, event)?;
        Err(HostError::unavailable("the disk is full"))
    }
}

#[test]
fn a_block_that_comes_again_after_its_alert_does_not_alert_again() {
    let (host, price) = host();
    price.set((2501, u64::MAX / 2));
    let mut module = host.start::<Uncommitted>().unwrap();
    host.chain(31337).mine(1);
    for _ in 0..2 {
        assert!(module.settle().is_err());
    }
    drop(module);
    let mut module = host.start::<PriceAlert>().unwrap();
    module.play("chain 31337\nmine").unwrap();
    assert_eq!(alerts(&host), ["ETH/USD is at 2501, above 2500 at block 1"]);
}

#[test]
fn what_cannot_be_noted_is_not_alerted() {
    let manifest = include_str!("../nexum.toml").replace(
        "[chains]",
        "[module.resources]\nmax_state_bytes = 1\n\n[chains]",
    );
    let (host, _) = over(MockHost::of(&manifest), 2501);
    let mut module = host.start::<PriceAlert>().unwrap();
    host.chain(31337).mine(1);
    for _ in 0..2 {
        assert!(module.settle().is_err());
    }
    assert_eq!(alerts(&host), [""; 0]);
}

#[test]
fn an_old_answer_is_not_acted_on() {
    let (host, price) = host();
    let mut module = host.start::<PriceAlert>().unwrap();
    price.set((3000, 0));
    module.play("chain 31337\nmine").unwrap();
    assert_eq!(alerts(&host), [""; 0]);
}

#[test]
fn a_feed_that_reverts_is_an_error_that_says_so() {
    let host = MockHost::new()
        .on_call(31337, FEED, |_: AggregatorV3::decimalsCall| Ok(8))
        .on_call(31337, FEED, |_: AggregatorV3::latestRoundDataCall| {
            Err(HostError::invalid_input("No data present"))
        });
    let mut module = host.start::<PriceAlert>().unwrap();
    host.chain(31337).mine(1);
    let Err(Failure::Error(error)) = module.settle() else {
        panic!("the feed reverts");
    };
    assert_eq!(
        error.message,
        "the feed's latest round: execution reverted: No data present"
    );
}

#[test]
fn an_amount_that_is_none_is_told_before_anything_starts() {
    for (key, text) in [
        ("threshold", "much"),
        ("hysteresis", "-1"),
        ("when", "beside"),
    ] {
        let host = MockHost::new().config(key, text);
        let Err(Failure::Error(error)) = host.start::<PriceAlert>().map(drop) else {
            panic!("{key} = {text}");
        };
        assert!(error.message.contains(&format!("`{key}`")), "{error}");
    }
}
