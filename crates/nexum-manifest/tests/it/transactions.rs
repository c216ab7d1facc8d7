//! `[[identity.modules.<name>.transactions]]` of `nexum-engine.toml`.

use nexum_manifest::{IdentityGrant, IdentityMethod, Recipients, TransactionRule};
use nexum_types::{Address, ChainId, U256};

use crate::check::{ENGINE, Folder, check_engine};

const ONE: &str = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266";
const TWO: &str = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8";
const OTHER: &str = "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC";

/// Ten lines: two chains, and a module with two accounts.
fn engine(rules: &str) -> String {
    let chain =
        |id: u64| format!("[chains.{id}]\nendpoints = [{{ url = \"http://localhost\" }}]\n");
    format!(
        "{ENGINE}{}{}[identity]\nkeystore = \"k\"\n[identity.modules.a]\naccounts = [\"{ONE}\", \"{TWO}\"]\n{rules}",
        chain(1),
        chain(100),
    )
}

/// A rule whose lines are in this order, but for those that are changed: they come last.
fn rule(changed: &[(&str, &str)]) -> String {
    let mut lines = vec![
        ("chains", "[1]".to_owned()),
        ("to", "\"any\"".to_owned()),
        ("max_value", "\"0.5 ether\"".to_owned()),
        ("max_value_per_day", "\"2 ether\"".to_owned()),
        ("max_fee_per_gas", "\"100 gwei\"".to_owned()),
        ("max_fees_per_day", "\"0.1 ether\"".to_owned()),
    ];
    for (key, value) in changed {
        lines.retain(|(other, _)| other != key);
        lines.push((key, (*value).to_owned()));
    }
    let lines = lines
        .iter()
        .map(|(key, value)| format!("{key} = {value}\n"));
    format!(
        "[[identity.modules.a.transactions]]\n{}",
        lines.collect::<String>()
    )
}

fn grant(rules: &str) -> IdentityGrant {
    let folder = Folder::with(&[("nexum-engine.toml", &engine(rules))]);
    let identity = folder.engine().map_err(|errors| errors.to_string());
    identity.unwrap().identity.modules[&"a".parse().unwrap()].clone()
}

#[track_caller]
fn check(rules: &str, report: &str) {
    check_engine(&engine(rules), report);
}

fn address(text: &str) -> Address {
    text.parse().unwrap()
}

fn wei(text: &str) -> U256 {
    text.parse().unwrap()
}

#[test]
fn a_rule_says_all_or_leaves_to_the_defaults() {
    let methods = "methods = [\"accounts\", \"send-transaction\"]\n";
    let full = rule(&[
        ("chains", "[1, 100]"),
        ("accounts", &format!("[\"{TWO}\"]")),
        ("to", &format!("[\"{OTHER}\", \"{ONE}\"]")),
        ("max_gas", "500000"),
    ]);
    let granted = grant(&format!(
        "{methods}{full}{}",
        rule(&[("accounts", &format!("[\"{ONE}\"]"))])
    ));
    let first = TransactionRule {
        accounts: [address(TWO)].into(),
        chains: [ChainId(1), ChainId(100)].into(),
        to: Recipients::These([address(OTHER), address(ONE)].into()),
        max_value: wei("500000000000000000"),
        max_value_per_day: wei("2000000000000000000"),
        max_fee_per_gas: 100_000_000_000,
        max_fees_per_day: wei("100000000000000000"),
        max_gas: 500_000,
    };
    let second = TransactionRule {
        accounts: [address(ONE)].into(),
        chains: [ChainId(1)].into(),
        to: Recipients::Any,
        max_gas: 1_000_000,
        ..first.clone()
    };
    assert_eq!(granted.transactions, [first, second]);
    assert!(
        granted
            .methods
            .unwrap()
            .contains(&IdentityMethod::SendTransaction)
    );

    // Without `accounts` it is for all of the module's, and `methods` need not be written.
    let of_all = grant(&rule(&[]));
    assert_eq!(of_all.methods, None);
    assert_eq!(
        of_all.transactions[0].accounts,
        [address(ONE), address(TWO)].into()
    );
    assert_eq!(grant("").transactions, []);
}

#[test]
fn rules_beside_each_other_share_no_account_on_a_chain() {
    let of = |account: &str, chain: &str| {
        rule(&[("accounts", &format!("[\"{account}\"]")), ("chains", chain)])
    };
    let apart = format!(
        "{}{}{}",
        of(ONE, "[1]"),
        of(ONE, "[100]"),
        of(TWO, "[1, 100]")
    );
    assert_eq!(grant(&apart).transactions.len(), 3);

    // The second meets the first on both chains, which is told once; the third, whose value is bad,
    // meets both on one.
    let mixed = format!(
        "{}{}{}",
        rule(&[
            ("chains", "[1, 100]"),
            ("accounts", &format!("[\"{ONE}\"]"))
        ]),
        rule(&[("chains", "[100, 1]")]),
        rule(&[("chains", "[1]"), ("max_value", "true")]),
    );
    let rules = "two rules of `identity.modules.a.transactions` fit";
    let help = "help: make one rule of them, or name other `chains` or `accounts` in one: an account has one rule on a chain";
    check(
        &mixed,
        &format!(
            "
nexum-engine.toml:25:16: {rules} {ONE} on chain 1
  nexum-engine.toml:17:11: first here
  {help}
nexum-engine.toml:31:11: {rules} {TWO} on chain 1
  nexum-engine.toml:25:16: first here
  {help}
nexum-engine.toml:31:11: {rules} {ONE} on chain 1
  nexum-engine.toml:17:11: first here
  {help}
nexum-engine.toml:32:13: `identity.modules.a.transactions.max_value` takes an amount such as \"0.5 ether\", not a boolean
  help: The most of the chain's coin that one transaction may send: an amount such as \"0.5 ether\", \"30 gwei\" or \"1000 wei\"
"
        ),
    );
}

#[test]
fn amounts_are_exact() {
    let most = U256::MAX;
    let cases = [
        ("\"0.5 ether\"", "500000000000000000"),
        ("\"1 ether\"", "1000000000000000000"),
        ("\"0.000000000000000001 ether\"", "1"),
        ("\"007.50 gwei\"", "7500000000"),
        ("\"1.000000001 gwei\"", "1000000001"),
        ("\"0 wei\"", "0"),
        ("\"12 wei\"", "12"),
        (&format!("\"{most} wei\""), &most.to_string()),
        ("0", "0"),
        ("21", "21"),
        ("0x10", "16"),
        ("9223372036854775807", "9223372036854775807"),
    ];
    for (written, expected) in cases {
        let granted = grant(&rule(&[
            ("max_value", "0"),
            ("max_value_per_day", written),
            ("max_fees_per_day", written),
        ]));
        let [rule] = &granted.transactions[..] else {
            panic!("{written}")
        };
        assert_eq!(rule.max_value_per_day, wei(expected), "{written}");
        assert_eq!(rule.max_fees_per_day, wei(expected), "{written}");
    }
    let highest = u128::MAX;
    let granted = grant(&rule(&[("max_fee_per_gas", &format!("\"{highest} wei\""))]));
    assert_eq!(granted.transactions[0].max_fee_per_gas, highest);
}

#[test]
fn what_is_no_amount() {
    let written = "help: write a number, a space and a unit, such as \"0.5 ether\", \"30 gwei\" or \"1000 wei\"";
    let doc = "help: The most that gas may cost in any 24 hours, for each account and chain: an amount such as \"0.1 ether\"";
    let more = format!("\"{}0 wei\"", U256::MAX);
    let cases = [
        ("\"0.5\"", "is \"0.5\", and has no unit", written),
        ("\"\"", "is \"\", which is no amount", written),
        ("\"ether\"", "is \"ether\", which is no amount", written),
        (
            "\".5 ether\"",
            "is \".5 ether\", which is no amount",
            written,
        ),
        (
            "\"5. ether\"",
            "is \"5. ether\", which is no amount",
            written,
        ),
        (
            "\"1_000 wei\"",
            "is \"1_000 wei\", which is no amount",
            written,
        ),
        (
            "\"1,5 ether\"",
            "is \"1,5 ether\", which is no amount",
            written,
        ),
        (
            "\"1.5.0 ether\"",
            "is \"1.5.0 ether\", which is no amount",
            written,
        ),
        (
            "\"+1 ether\"",
            "is \"+1 ether\", which is no amount",
            written,
        ),
        (
            "\"0x10 wei\"",
            "is \"0x10 wei\", which is no amount",
            written,
        ),
        ("\"１ wei\"", "is \"１ wei\", which is no amount", written),
        (
            "\"-1 ether\"",
            "is \"-1 ether\", and the least is 0",
            written,
        ),
        ("-1", "is -1, and the least is 0", doc),
        (
            "\"1e3\"",
            "is \"1e3\", which is no amount: it has an exponent",
            "help: write all digits, such as \"1000 gwei\"",
        ),
        (
            "\"1E3 wei\"",
            "is \"1E3 wei\", which is no amount: it has an exponent",
            "help: write all digits, such as \"1000 gwei\"",
        ),
        (
            "\"1 Ether\"",
            "is \"1 Ether\", whose unit is unknown",
            "help: did you mean \"ether\"?",
        ),
        (
            "\"1 finney\"",
            "is \"1 finney\", whose unit is unknown",
            "help: the units are \"ether\", \"gwei\", \"wei\"",
        ),
        (
            "\"1  ether\"",
            "is \"1  ether\", whose unit is unknown",
            "help: did you mean \"ether\"?",
        ),
        (
            "\"0.1234567890123456789 ether\"",
            "is \"0.1234567890123456789 ether\", which has 19 decimals, and ether has at most 18",
            written,
        ),
        (
            "\"0.1234567890 gwei\"",
            "is \"0.1234567890 gwei\", which has 10 decimals, and gwei has at most 9",
            written,
        ),
        (
            "\"1.0 wei\"",
            "is \"1.0 wei\", which has decimals, and wei has none",
            written,
        ),
        (
            &more,
            "is \"1157920892373161954235709850086879078532699846656405640394575840\"…, which does not fit in 256 bits",
            written,
        ),
        ("99999999999999999999", "does not fit in 64 bits", doc),
        (
            "0.5",
            "takes an amount such as \"0.5 ether\", not a float",
            doc,
        ),
    ];
    for (value, told, help) in cases {
        let report = format!(
            "nexum-engine.toml:17:20: `identity.modules.a.transactions.max_fees_per_day` {told}\n  {help}"
        );
        check(&rule(&[("max_fees_per_day", value)]), &report);
    }
    let over = format!("\"{}0 wei\"", u128::MAX);
    check(
        &rule(&[("max_fee_per_gas", &over)]),
        "
nexum-engine.toml:17:19: `identity.modules.a.transactions.max_fee_per_gas` does not fit in 128 bits of wei
  help: write the price of one unit of gas, such as \"100 gwei\"
",
    );
}

#[test]
fn each_key_holds_what_it_should() {
    check(
        &rule(&[
            ("chains", "[]"),
            ("accounts", "[]"),
            ("to", "[]"),
            ("max_gas", "20999"),
        ]),
        "
nexum-engine.toml:16:10: `identity.modules.a.transactions.chains` is empty
  help: The chains that the rule is for, by id
nexum-engine.toml:17:12: `identity.modules.a.transactions.accounts` is empty
  help: Which of the module's accounts may send
nexum-engine.toml:18:6: `identity.modules.a.transactions.to` is empty
  help: The addresses that may receive, or \"any\"
nexum-engine.toml:19:11: `identity.modules.a.transactions.max_gas` is 20999, and the least is 21000
  help: The most gas of one transaction
",
    );
    check(
        &format!(
            "[[identity.modules.a.transactions]]\nmax_valeu = 0\n{}{}{}",
            rule(&[("chains", "[100]"), ("to", "\"all\"")]),
            rule(&[("to", "[\"any\", \"*\", \"0x12\"]")]),
            rule(&[("chains", "1"), ("to", "true")]),
        ),
        "
nexum-engine.toml:11:1: `identity.modules.a.transactions.chains` is missing
  help: The chains that the rule is for, by id
nexum-engine.toml:11:1: `identity.modules.a.transactions.to` is missing
  help: The addresses that may receive, or \"any\"
nexum-engine.toml:11:1: `identity.modules.a.transactions.max_value_per_day` is missing
  help: The most of the chain's coin that all transactions of any 24 hours may send, for each account and chain: an amount such as \"2 ether\"
nexum-engine.toml:11:1: `identity.modules.a.transactions.max_fee_per_gas` is missing
  help: The highest price of gas, tip included: an amount such as \"100 gwei\"
nexum-engine.toml:11:1: `identity.modules.a.transactions.max_fees_per_day` is missing
  help: The most that gas may cost in any 24 hours, for each account and chain: an amount such as \"0.1 ether\"
nexum-engine.toml:12:1: unknown key `max_valeu` in `identity.modules.a.transactions`
  help: did you mean `max_value`?
nexum-engine.toml:19:6: `identity.modules.a.transactions.to` does not take \"all\"
  help: write a list of addresses, such as [\"0x…\"], or \"any\"
nexum-engine.toml:26:7: an entry of `identity.modules.a.transactions.to` does not take \"any\"
  help: write `to = \"any\"`, without a list, where every address may receive
nexum-engine.toml:26:14: an entry of `identity.modules.a.transactions.to` does not take \"*\"
  help: write `to = \"any\"`, without a list, where every address may receive
nexum-engine.toml:26:19: an entry of `identity.modules.a.transactions.to` is \"0x12\", which is no address
  help: an address is \"0x\" and 40 hex digits
nexum-engine.toml:32:10: `identity.modules.a.transactions.chains` takes a list, not an integer
  help: The chains that the rule is for, by id
nexum-engine.toml:33:6: `identity.modules.a.transactions.to` takes a list of addresses, or \"any\", not a boolean
  help: The addresses that may receive, or \"any\"
",
    );
}

#[test]
fn a_rule_refers_to_what_there_is() {
    check(
        &rule(&[
            ("chains", "[1, 5, 1]"),
            ("accounts", &format!("[\"{OTHER}\", \"{ONE}\"]")),
            ("max_value", "\"2.000000000000000001 ether\""),
        ]),
        &format!(
            "
nexum-engine.toml:16:14: `identity.modules.a.transactions.chains` names chain 5, which is not configured
  help: take it out, or write:
        [chains.5]
        [[chains.5.endpoints]]
        url = {{ env = \"CHAIN_5_URL\" }}
nexum-engine.toml:16:17: `identity.modules.a.transactions.chains` names 1 twice
  nexum-engine.toml:16:11: first here
  help: take one out
nexum-engine.toml:17:13: `identity.modules.a.transactions.accounts` names {OTHER}, which is not one of the module's accounts
  help: take it out, or add it to `accounts` of the module
nexum-engine.toml:18:13: `identity.modules.a.transactions.max_value` is more than `max_value_per_day`
  help: no transaction could send that much: lower `max_value`, or raise `max_value_per_day`
"
        ),
    );
    let twice = [("max_value", "\"2 ether\"")];
    assert_eq!(grant(&rule(&twice)).transactions.len(), 1);
}

#[test]
fn rules_and_methods_go_together() {
    let doc =
        "help: What its transactions have to keep to: `[[identity.modules.<name>.transactions]]`";
    let cases = [
        (
            format!("methods = [\"sign\"]\n{}", rule(&[])),
            "12:1: `identity.modules.a.methods` lacks \"send-transaction\", which `transactions` needs",
            "help: add \"send-transaction\" to `methods`, or take `transactions` out",
        ),
        (
            "methods = [\"sign\", \"send-transaction\"]\n".to_owned(),
            "11:20: `identity.modules.a.methods` has \"send-transaction\", and `transactions` has no rule",
            "help: write what may be sent under [[identity.modules.a.transactions]], or take \"send-transaction\" out",
        ),
        (
            "methods = [\"send-transaction\"]\ntransactions = []\n".to_owned(),
            "12:16: `identity.modules.a.transactions` is empty",
            doc,
        ),
        // What is bad in itself is told once.
        (
            format!("methods = [\"send-transactoin\"]\n{}", rule(&[])),
            "11:12: an entry of `identity.modules.a.methods` does not take \"send-transactoin\"",
            "help: did you mean \"send-transaction\"?",
        ),
        (
            "methods = [\"send-transaction\"]\ntransactions = \"any\"\n".to_owned(),
            "12:16: `identity.modules.a.transactions` takes a list, not a string",
            doc,
        ),
    ];
    for (rules, told, help) in cases {
        check(&rules, &format!("nexum-engine.toml:{told}\n  {help}"));
    }
    // An account that is misspelled is not one that the module lacks.
    let misspelled = engine(&rule(&[("accounts", &format!("[\"{TWO}\"]"))]));
    let misspelled = misspelled.replacen(TWO, &TWO.replace("dc79", "dc78"), 1);
    let folder = Folder::with(&[("nexum-engine.toml", &misspelled)]);
    let report = folder.report(&folder.engine().unwrap_err());
    assert!(
        report.contains("whose checksum (EIP-55) is wrong") && !report.contains("transactions"),
        "{report}"
    );
}
