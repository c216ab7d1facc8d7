//! `[[subscription]]`: what an author can ask for, and what is refused.

use std::num::NonZeroU64;

use nexum_manifest::{BlockSubscription, Delivery, LogSubscription, OnLag, Start, Subscription};
use nexum_types::{Address, B256, BlockNumber, ChainId, Depth, LogFilter};

use crate::check::{MODULE, check_module, module};

/// `Transfer(address,address,uint256)`.
pub(crate) const TRANSFER: &str =
    "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef";
pub(crate) const A: &str = "0x00000000000000000000000000000000000000aa";
const B: &str = "0x00000000000000000000000000000000000000bb";

/// The problems of a log subscription with these lines; the first of them is line 11.
#[track_caller]
pub(crate) fn check_log(lines: &str, report: &str) {
    check_module(
        &format!("{MODULE}[[subscription]]\nkind = \"log\"\nchain_id = 1\n{lines}\n"),
        report,
    );
}

/// The subscriptions of a manifest that is good.
#[track_caller]
pub(crate) fn subscriptions(text: &str) -> Vec<Subscription> {
    match module(&format!("{MODULE}{text}")) {
        Ok(manifest) => manifest.subscriptions,
        Err(errors) => panic!("{errors}"),
    }
}

pub(crate) fn address(text: &str) -> Address {
    text.parse().unwrap()
}

pub(crate) fn topic(text: &str) -> B256 {
    text.parse().unwrap()
}

#[test]
fn every_key_is_taken() {
    let text = format!(
        r#"
        [[subscription]]
        kind = "block"
        chain_id = 1
        start = 17_000_000
        every = 10
        confirmations = 12
        on_lag = "skip"

        [[subscription]]
        kind = "log"
        chain_id = 1
        address = ["{B}", "{A}"]
        event = "Transfer(address indexed from, address indexed to, uint256 value)"
        where = {{ to = ["{B}", "{A}"] }}
        start = 5
        finality = "finalized"
        on_lag = "skip"

        [[subscription]]
        kind = "log"
        chain_id = 1
        topics = ["*", "{TRANSFER}"]
        finality = "latest"
        delivery = "push"
        "#
    );
    let expected = [
        Subscription::Block(BlockSubscription {
            chain_id: ChainId(1),
            start: Start::Number(BlockNumber(17_000_000)),
            every: NonZeroU64::new(10).unwrap(),
            depth: Depth::Confirmations(12),
            on_lag: OnLag::Skip,
        }),
        Subscription::Log(LogSubscription {
            chain_id: ChainId(1),
            start: Start::Number(BlockNumber(5)),
            filter: LogFilter {
                addresses: vec![address(A), address(B)],
                topics: [
                    vec![topic(TRANSFER)],
                    vec![],
                    vec![address(A).into_word(), address(B).into_word()],
                    vec![],
                ],
            },
            depth: Depth::Finalized,
            on_lag: OnLag::Skip,
            delivery: Delivery::Block,
        }),
        Subscription::Log(LogSubscription {
            chain_id: ChainId(1),
            start: Start::Latest,
            filter: LogFilter {
                addresses: vec![],
                topics: [vec![], vec![topic(TRANSFER)], vec![], vec![]],
            },
            depth: Depth::Head,
            on_lag: OnLag::CatchUp,
            delivery: Delivery::Push,
        }),
    ];
    assert_eq!(subscriptions(&text), expected);
}

#[test]
fn blocks_of_one_chain_can_be_asked_for_at_several_depths_but_not_twice() {
    let block = |more: &str| format!("[[subscription]]\nkind = \"block\"\nchain_id = 1\n{more}\n");
    let several = [
        "",
        "every = 2",
        "confirmations = 1",
        "confirmations = 2",
        "finality = \"safe\"",
    ];
    assert_eq!(subscriptions(&several.map(block).concat()).len(), 5);
    check_module(
        &format!(
            "{MODULE}{}{}",
            block("finality = \"latest\""),
            block("start = 5\non_lag = \"skip\"")
        ),
        r#"
nexum.toml:14:12: two subscriptions take the same blocks of chain 1
  nexum.toml:10:12: first here
  help: take one out, or give it another `every` or depth (`confirmations`, `finality`)
"#,
    );
}

#[test]
fn logs_can_match_several_subscriptions_but_not_the_same_twice() {
    let other = "11".repeat(32);
    let log = |topics: &str, more: &str| {
        format!("[[subscription]]\nkind = \"log\"\nchain_id = 1\ntopics = [{topics}]\n{more}\n")
    };
    let one = format!("\"{TRANSFER}\"");
    let both = format!("[\"{TRANSFER}\", \"0x{other}\"]");
    let turned = format!("[\"0x{other}\", \"{TRANSFER}\"]");
    let overlapping = [
        log(&one, ""),
        log(&both, ""),
        log(&both, "confirmations = 1"),
    ];
    assert_eq!(subscriptions(&overlapping.concat()).len(), 3);
    check_module(
        &format!(
            "{MODULE}{}{}",
            log(&both, ""),
            log(&turned, "on_lag = \"skip\"")
        ),
        r#"
nexum.toml:15:12: two subscriptions take the same logs of chain 1
  nexum.toml:10:12: first here
  help: take one out: each log comes once for each subscription
"#,
    );
}

#[test]
fn without_a_kind_the_other_keys_tell() {
    check_module(
        &format!("{MODULE}[[subscription]]\nchain_id = 1\naddress = \"{A}\"\nevery = 1\n"),
        r#"
nexum.toml:8:1: `subscription.kind` is missing
  help: What the events are: "block", "log" or "cron"
nexum.toml:11:1: unknown key `every` in `subscription`
  help: the keys here are `kind`, `chain_id`, `address`, `event`, `where`, `topics`, `start`, `confirmations`, `finality`, `on_lag`, `delivery`
"#,
    );
}

#[test]
fn a_depth_is_said_once() {
    check_log(
        &format!("address = \"{A}\"\nconfirmations = 1\nfinality = \"safe\""),
        r#"
nexum.toml:13:12: `subscription` has both `confirmations` and `finality`
  help: take one out: a block comes at one depth
"#,
    );
    check_log(
        &format!(
            "address = \"{A}\"\nconfirmations = 0\nfinality = \"final\"\non_lag = \"drop\"\nevery = 1"
        ),
        r#"
nexum.toml:12:17: `subscription.confirmations` is 0, and the least is 1
  help: How many blocks must be on top of a log's block before it comes
nexum.toml:13:12: `subscription.finality` does not take "final"
  help: it takes one of "latest", "safe", "finalized"
nexum.toml:14:10: `subscription.on_lag` does not take "drop"
  help: it takes one of "catch-up", "skip"
nexum.toml:15:1: unknown key `every` in `subscription`
  help: the keys here are `kind`, `chain_id`, `address`, `event`, `where`, `topics`, `start`, `confirmations`, `finality`, `on_lag`, `delivery`
"#,
    );
}

#[test]
fn what_waits_for_a_depth_cannot_be_pushed() {
    check_log(
        &format!("address = \"{A}\"\nconfirmations = 2\ndelivery = \"push\""),
        r#"
nexum.toml:13:12: `subscription.delivery` is "push", and the logs wait for a depth
  help: take out `delivery`, or `confirmations` and `finality`
"#,
    );
    check_log(
        &format!("address = \"{A}\"\ndelivery = \"now\""),
        r#"
nexum.toml:12:12: `subscription.delivery` does not take "now"
  help: it takes one of "block", "push"
"#,
    );
}
