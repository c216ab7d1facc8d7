use nexum_sdk::testing::{Failure, MockHost, PlayError};
use serde_json::json;

use super::*;

const ONE: &str = "0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266";
const SCRIPT: &str = "
    chain 31337
    balance 0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266 = 1 ether
    mine
    balance 0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266 += 0.5 ether
    mine
    balance 0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266 += 0.01 ether
    mine";

fn lines(host: &MockHost) -> Vec<String> {
    let lines = host.logs().into_iter().map(|line| line.message);
    lines.filter(|line| line.starts_with(ONE)).collect()
}

#[test]
fn a_change_beyond_the_threshold_is_told_and_the_threshold_itself_is_not() {
    let host = MockHost::new();
    let mut module = host.start::<BalanceWatch>().unwrap();
    module.play(SCRIPT).unwrap();
    assert_eq!(
        lines(&host),
        [
            format!("{ONE}: 1 ether at block 1, first seen"),
            format!("{ONE}: 1 → 1.5 ether (+0.5) at block 2"),
        ]
    );
    assert_eq!(host.state("last_block").unwrap(), b"3");
    let stored = host.state(&format!("balance/{ONE}")).unwrap();
    assert_eq!(stored, b"1510000000000000000");
}

#[test]
fn all_accounts_are_asked_at_once() {
    let host = MockHost::new();
    let mut module = host.start::<BalanceWatch>().unwrap();
    module.play("chain 31337\nmine").unwrap();
    assert_eq!(host.requests().len(), 2);
    assert_eq!(host.exchanges(), 1);
}

#[test]
fn where_an_answer_is_missing_nothing_of_the_block_is_stored() {
    let host = MockHost::new().on_request(31337, "eth_getBalance", |params| match &params[0] {
        address if address == ONE => Ok(json!("0x1")),
        _ => Err(HostError::unavailable("no state yet")),
    });
    let mut module = host.start::<BalanceWatch>().unwrap();
    let Err(PlayError::Failed {
        failure: Failure::Error(error),
        ..
    }) = module.play(SCRIPT)
    else {
        panic!("an answer is missing");
    };
    assert_eq!(error.kind, HostErrorKind::Unavailable);
    assert_eq!(
        error.message,
        "the balance of 0x70997970c51812dc3a010c7d01b50e0d17dc79c8 at block 1: no state yet"
    );
    assert_eq!(host.state_keys(), [""; 0]);
}

#[test]
fn a_wrong_configuration_is_told_and_nothing_starts() {
    let two = vec![ONE.to_uppercase().replace("0X", "0x"), ONE.to_owned()];
    let host = MockHost::new().config("addresses", two);
    let Err(Failure::Error(error)) = host.start::<BalanceWatch>().map(drop) else {
        panic!("an account is listed twice");
    };
    assert!(
        error.message.ends_with("is listed twice; remove one"),
        "{error}"
    );
}
