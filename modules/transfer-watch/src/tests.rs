use nexum_sdk::testing::MockHost;

use super::*;

const TOKEN: &str = "0x5FbDB2315678afecb367f032d93F642f64180aa3";

fn transfer(from: u8, to: u8, value: u64) -> String {
    format!("log {TOKEN} Transfer(address,address,uint256) 0x{from:02x} 0x{to:02x} data {value}\n")
}

fn totals(host: &MockHost, account: u8) -> (u64, u64) {
    let totals = host.enter(|| TOTALS.get(&Address::with_last_byte(account)).unwrap());
    let totals = totals.unwrap_or_default();
    (totals.sent.to(), totals.received.to())
}

#[test]
fn what_is_sent_and_received_adds_up() {
    let host = MockHost::new();
    let mut module = host.start::<TransferWatch>().unwrap();
    let script = format!(
        "chain 31337\n{}{}mine\n{}mine",
        transfer(1, 2, 10),
        transfer(1, 3, 5),
        transfer(2, 1, 4)
    );
    module.play(&script).unwrap();
    assert_eq!(totals(&host, 1), (15, 4));
    assert_eq!(totals(&host, 2), (4, 10));
    assert_eq!(totals(&host, 3), (0, 5));
}

#[test]
fn what_a_reorg_takes_back_is_taken_off() {
    let host = MockHost::new();
    let mut module = host.start::<TransferWatch>().unwrap();
    let script = format!(
        "chain 31337\n{}mine\n{}mine\nreorg 1 {{\n{}mine 2\n}}",
        transfer(1, 2, 10),
        transfer(2, 3, 7),
        transfer(2, 3, 2)
    );
    module.play(&script).unwrap();
    assert_eq!(totals(&host, 2), (2, 10));
    assert_eq!(totals(&host, 3), (0, 2));

    module.play("chain 31337\nreorg 3").unwrap();
    assert_eq!(
        host.state_keys(),
        [""; 0],
        "as if nothing had ever been there"
    );
}

#[test]
fn only_large_transfers_are_logged_one_by_one() {
    let host = MockHost::new().config("log_from", "7");
    let mut module = host.start::<TransferWatch>().unwrap();
    let script = format!(
        "chain 31337\n{}{}mine\nreorg 1",
        transfer(1, 2, 6),
        transfer(1, 2, 7)
    );
    module.play(&script).unwrap();
    let lines: Vec<_> = host.logs().into_iter().map(|line| line.message).collect();
    let (one, two) = (Address::with_last_byte(1), Address::with_last_byte(2));
    assert_eq!(
        lines[1..],
        [
            format!("{one} → {two}: 7 at block 1"),
            format!("taken back: {one} → {two}: 7 at block 1"),
        ]
    );
}
