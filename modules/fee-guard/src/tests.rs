use std::{cell::Cell, rc::Rc, time::Duration};

use nexum_sdk::{
    http::{Request, Response},
    testing::{Failure, MockHost, Running, SentTransaction},
};
use serde_json::{Value, json};

use super::*;

const CHAIN: u64 = 31337;
const FIRST: Address = address!("0x70997970C51812dc3A010C7d01b50e0d17dc79C8");
const SECOND: Address = address!("0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC");
const WEBHOOK: &str = "https://hooks.example.org/fee-guard";

fn ether(text: &str) -> U256 {
    format!("{text} ether").parse::<Amount>().unwrap().0
}

fn set(host: &MockHost, balances: [(Address, &str); 2]) {
    let chain = host.chain(CHAIN);
    for (account, balance) in balances {
        chain.set_balance(account, ether(balance));
    }
    chain.mine(1);
}

/// A host where the accounts have so much.
fn host(balances: [(Address, &str); 2]) -> MockHost {
    let host = MockHost::new();
    let _ = host.add_account();
    set(&host, balances);
    host
}

fn started(host: &MockHost) -> Running<FeeGuard> {
    host.start::<FeeGuard>().unwrap()
}

fn answered(status: u16) -> Result<Response> {
    Ok(Response {
        status,
        headers: Vec::new(),
        body: Vec::new(),
    })
}

/// Who was sent how much, in order.
fn sent(host: &MockHost) -> Vec<(Address, U256)> {
    let sent = host.transactions().into_iter();
    sent.map(|sent| (sent.to.unwrap(), sent.value)).collect()
}

fn last(host: &MockHost) -> SentTransaction {
    host.transactions().pop().unwrap()
}

fn warnings(host: &MockHost) -> Vec<String> {
    let lines = host.logs().into_iter();
    let warnings = lines.filter(|line| line.level == log::Level::Warn);
    warnings.map(|line| line.message).collect()
}

fn bodies(host: &MockHost) -> Vec<Value> {
    let body = |request: Request| serde_json::from_slice(&request.body.unwrap()).unwrap();
    host.http_requests().into_iter().map(body).collect()
}

fn keys(host: &MockHost) -> Vec<String> {
    let key = |request: Request| {
        let mut headers = request.headers.into_iter();
        let key = headers.find(|header| header.name == "idempotency-key");
        key.unwrap().value
    };
    host.http_requests().into_iter().map(key).collect()
}

#[test]
fn an_account_below_the_floor_is_topped_up_once_and_others_are_not() {
    let host = host([(FIRST, "0.4"), (SECOND, "0.5")]);
    let mut module = started(&host);
    module.tick("1m").unwrap();
    assert_eq!(sent(&host), [(FIRST, ether("1.6"))]);
    host.land(last(&host).hash);
    for _ in 0..3 {
        module.tick("1m").unwrap();
    }
    assert_eq!(sent(&host).len(), 1);
    assert_eq!(host.chain(CHAIN).head().balance(&FIRST), ether("2"));
    assert_eq!(warnings(&host), [""; 0]);
    // The newest plan, which is empty.
    assert_eq!(host.state_keys().len(), 1, "{:?}", host.state_keys());
}

#[test]
fn all_balances_are_read_in_one_exchange() {
    let host = host([(FIRST, "1"), (SECOND, "1")]);
    let mut module = started(&host);
    module.tick("1m").unwrap();
    assert_eq!(host.exchanges(), 1);
    assert_eq!(sent(&host), []);
}

#[test]
fn several_accounts_are_topped_up_in_their_order() {
    let host = host([(FIRST, "0"), (SECOND, "0.1")]);
    let mut module = started(&host);
    module.tick("1m").unwrap();
    let both = [(FIRST, ether("2")), (SECOND, ether("1.9"))];
    assert_eq!(sent(&host), both);
}

#[test]
fn a_top_up_on_its_way_is_waited_for() {
    let host = host([(FIRST, "0.4"), (SECOND, "1")]);
    let mut module = started(&host);
    for _ in 0..3 {
        module.tick("1m").unwrap();
    }
    assert_eq!(sent(&host).len(), 1);
    host.land(last(&host).hash);
    // It spends everything before the module looks.
    set(&host, [(FIRST, "0.1"), (SECOND, "1")]);
    module.tick("1m").unwrap();
    assert_eq!(sent(&host).len(), 1, "the tick that sees it land");
    module.tick("1m").unwrap();
    let both = [(FIRST, ether("1.6")), (FIRST, ether("1.9"))];
    assert_eq!(sent(&host), both);
}

#[test]
fn a_tick_that_fails_in_the_middle_sends_nothing_twice_and_keeps_to_its_plan() {
    let is_down = Rc::new(Cell::new(true));
    let switch = Rc::clone(&is_down);
    let host = host([(FIRST, "0"), (SECOND, "0.1")]).on_transaction(move |sent| {
        match sent.to == Some(SECOND) && switch.get() {
            true => Err(HostError::unavailable("no node").in_domain("identity")),
            false => Ok(()),
        }
    });
    let mut module = started(&host);
    let Failure::Error(error) = module.tick("1m").unwrap_err() else {
        panic!("it answers an error");
    };
    assert_eq!(error.kind, HostErrorKind::Unavailable);
    assert_eq!(sent(&host), [(FIRST, ether("2"))]);

    // The first has landed, and the second has other needs by now.
    host.land(last(&host).hash);
    set(&host, [(FIRST, "2"), (SECOND, "0.2")]);
    is_down.set(false);
    module.settle().unwrap();
    let planned = [(FIRST, ether("2")), (SECOND, ether("1.9"))];
    assert_eq!(sent(&host), planned);

    module.tick("1m").unwrap();
    module.tick("1m").unwrap();
    assert_eq!(sent(&host), planned);
}

#[test]
fn one_that_is_denied_is_told_and_the_others_are_sent() {
    let host = host([(FIRST, "0"), (SECOND, "0.1")])
        .config("webhook", WEBHOOK)
        .on_http("POST", WEBHOOK, answered(204))
        .on_transaction(|sent| match sent.to == Some(FIRST) {
            true => {
                let message = "over `max_value`";
                Err(HostError::new(HostErrorKind::Denied, message).in_domain("identity"))
            }
            false => Ok(()),
        });
    let mut module = started(&host);
    module.tick("1m").unwrap();
    assert_eq!(sent(&host), [(SECOND, ether("1.9"))]);
    let [warning] = warnings(&host).try_into().unwrap();
    assert!(warning.contains("over `max_value`"), "{warning}");
    let hash = last(&host).hash;
    let reason = format!("identity: 2 ether to {FIRST}: over `max_value` (denied)");
    let told = [
        json!({
            "kind": "failed", "account": FIRST, "amount": "2000000000000000000",
            "hash": null, "chain_id": CHAIN, "reason": reason,
        }),
        json!({
            "kind": "topped-up", "account": SECOND, "amount": "1900000000000000000",
            "hash": hash, "chain_id": CHAIN, "reason": null,
        }),
    ];
    assert_eq!(bodies(&host), told);
}

#[test]
fn one_that_reverts_is_told_and_tried_again() {
    let host = host([(FIRST, "0"), (SECOND, "1")]);
    let mut module = started(&host);
    module.tick("1m").unwrap();
    host.land_reverted(last(&host).hash);
    module.tick("1m").unwrap();
    let [warning] = warnings(&host).try_into().unwrap();
    assert!(warning.ends_with("it reverted"), "{warning}");
    module.tick("1m").unwrap();
    assert_eq!(sent(&host), [(FIRST, ether("2")); 2]);
}

#[test]
fn one_that_nodes_have_lost_is_waited_for_until_another_has_its_nonce_for_good() {
    let host = host([(FIRST, "0"), (SECOND, "1")]);
    let mut module = started(&host);
    module.tick("1m").unwrap();
    // A node has told its nonce, which is the first.
    module.tick("1m").unwrap();
    let used = Rc::new(Cell::new(0_u64));
    let final_count = Rc::clone(&used);
    let host = host
        .on_request(CHAIN, "eth_getTransactionByHash", |_| Ok(Value::Null))
        .on_request(CHAIN, "eth_getTransactionCount", move |params| {
            let is_final = params[1] == "finalized";
            Ok(json!(format!(
                "{:#x}",
                if is_final { final_count.get() } else { 9 }
            )))
        });
    for _ in 0..3 {
        host.advance(Duration::from_millis(LONG_MS));
        module.tick("1m").unwrap();
    }
    let [warning] = warnings(&host).try_into().unwrap();
    assert!(
        warning.ends_with("it has not landed within an hour"),
        "{warning}"
    );
    assert_eq!(sent(&host).len(), 1);

    used.set(1);
    module.tick("1m").unwrap();
    let [_, warning] = warnings(&host).try_into().unwrap();
    assert!(
        warning.ends_with("another transaction has its nonce"),
        "{warning}"
    );
    assert_eq!(sent(&host).len(), 1);
    module.tick("1m").unwrap();
    assert_eq!(sent(&host).len(), 2);
}

#[test]
fn one_of_which_no_node_has_told_the_nonce_is_waited_for() {
    let host = host([(FIRST, "0"), (SECOND, "1")])
        .on_request(CHAIN, "eth_getTransactionByHash", |_| Ok(Value::Null))
        .on_request(CHAIN, "eth_getTransactionCount", |_| Ok(json!("0x9")));
    let mut module = started(&host);
    for _ in 0..3 {
        module.tick("1m").unwrap();
        host.advance(Duration::from_millis(LONG_MS));
    }
    assert_eq!(sent(&host).len(), 1);
    assert_eq!(warnings(&host).len(), 1);
}

#[test]
fn a_webhook_that_is_down_holds_nothing_up_and_is_told_later_with_the_same_keys() {
    let host = host([(FIRST, "0"), (SECOND, "1")])
        .config("webhook", WEBHOOK)
        .on_http("POST", WEBHOOK, answered(503));
    let mut module = started(&host);
    module.tick("1m").unwrap();
    let hash = last(&host).hash;
    host.land(hash);
    module.tick("1m").unwrap();
    let topped_up = format!("topped-up-{hash}");
    assert_eq!(keys(&host), [topped_up.as_str(); 2], "the oldest first");
    assert_eq!(warnings(&host).len(), 2);

    host.forget();
    let host = host.on_http("POST", WEBHOOK, answered(200));
    module.tick("1m").unwrap();
    module.tick("1m").unwrap();
    assert_eq!(keys(&host), [topped_up, format!("landed-{hash}")]);
    assert_eq!(sent(&host).len(), 1);
}

#[test]
fn what_waits_for_the_webhook_is_bounded() {
    let host = host([(FIRST, "0"), (SECOND, "0")])
        .config("webhook", WEBHOOK)
        .on_transaction(|_| {
            let message = "over `max_value_per_day`";
            Err(HostError::new(HostErrorKind::Denied, message).in_domain("identity"))
        });
    let mut module = started(&host);
    for _ in 0..51 {
        module.tick("1m").unwrap();
    }
    let dropped = warnings(&host);
    let dropped = dropped.iter().filter(|line| line.ends_with("is dropped"));
    assert_eq!(dropped.count(), 2);

    host.forget();
    let host = host
        .on_http("POST", WEBHOOK, answered(200))
        .on_transaction(|_| Ok(()));
    for tick in 1..=12 {
        module.tick("1m").unwrap();
        // At most 10 on one tick; in all, those that waited and the two that are sent now. The
        // first of these makes the oldest of the others one too many, and so does the second.
        assert_eq!(host.http_requests().len(), 100.min(10 * tick));
    }
    assert_eq!(sent(&host).len(), 2);
}

#[test]
fn a_wrong_configuration_is_told_and_nothing_starts() {
    let error_of = |host: &MockHost| match host.start::<FeeGuard>().map(drop) {
        Err(Failure::Error(error)) => error.message,
        other => panic!("{other:?}"),
    };
    let host = || host([(FIRST, "1"), (SECOND, "1")]);
    let payer = host().enter(|| block_on(provider(CHAIN).get_accounts()).unwrap()[0]);
    for (key, value, told) in [
        ("target", "0.5 ether", "is not more than the floor"),
        ("floor", "half an ether", "such as \"0.5 ether\""),
    ] {
        let message = error_of(&host().config(key, value));
        assert!(message.contains(told), "{message}");
    }
    for (watch, told) in [
        (vec![FIRST, FIRST], "listed twice"),
        (vec![FIRST, payer], "the account that pays"),
        (vec![], "watch"),
    ] {
        let watch: Vec<_> = watch.iter().map(ToString::to_string).collect();
        let message = error_of(&host().config("watch", watch));
        assert!(message.contains(told), "{message}");
    }
    let message = error_of(&MockHost::new());
    assert!(message.contains("no account to pay with"), "{message}");
}
