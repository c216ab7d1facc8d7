//! Which logs a subscription takes: addresses, events with conditions, and raw topics.

use nexum_manifest::Subscription;
use nexum_types::{B256, LogFilter};

use crate::subscriptions::{A, TRANSFER, address, check_log, subscriptions, topic};

/// The filter of a log subscription with these lines.
#[track_caller]
fn filter(lines: &str) -> LogFilter {
    let text = format!("[[subscription]]\nkind = \"log\"\nchain_id = 1\n{lines}\n");
    match subscriptions(&text).pop() {
        Some(Subscription::Log(log)) => log.filter,
        other => panic!("{other:?} is no log subscription"),
    }
}

/// The second topic under `E({argument} indexed a)` with `where = { a = {value} }`.
#[track_caller]
fn word(argument: &str, value: &str) -> String {
    let filter = filter(&format!(
        "event = \"E({argument} indexed a)\"\nwhere.a = {value}"
    ));
    filter.topics[1][0].to_string()
}

#[test]
fn a_log_subscription_says_which_logs() {
    check_log(
        "",
        r#"
nexum.toml:8:1: `subscription` takes every log of chain 1
  help: say which: by `address`, by `event`, or by `topics`
"#,
    );
    check_log(
        "address = \"*\"",
        r#"
nexum.toml:11:11: `subscription.address` does not take "*"
  help: leave it out: with `event` or `topics`, the logs of every contract come
"#,
    );
    check_log(
        "event = \"E(bool indexed a) anonymous\"",
        r#"
nexum.toml:8:1: `subscription` takes every log of chain 1
  help: say which: by `address`, by `event`, or by `topics`
"#,
    );
    check_log(
        "adress = \"0x\"",
        r#"
nexum.toml:11:1: unknown key `adress` in `subscription`
  help: did you mean `address`?
"#,
    );
}

/// The checksummed address is an example of EIP-55.
#[test]
fn an_address_in_mixed_case_proves_itself() {
    let checksummed = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";
    for text in [
        checksummed.to_owned(),
        checksummed.to_lowercase(),
        format!("0x{}", checksummed[2..].to_uppercase()),
    ] {
        let filter = filter(&format!("address = \"{text}\""));
        assert_eq!(filter.addresses, [address(checksummed)]);
    }
    check_log(
        &format!("address = \"{}\"", checksummed.replace("Aeb", "aeb")),
        r#"
nexum.toml:11:11: `subscription.address` is "0x5aaeb6053F3E94C9b9A09f33669435E7Ef1BeAed", whose checksum (EIP-55) is wrong
  help: compare it with its source, since a digit may be wrong; if none is, write "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
"#,
    );
    check_log(
        "address = [\"0x12\", 5, \"vitalik.eth\"]",
        r#"
nexum.toml:11:12: an entry of `subscription.address` is "0x12", which is no address
  help: an address is "0x" and 40 hex digits
nexum.toml:11:20: an entry of `subscription.address` takes an address, not an integer
  help: The contracts, one address or a list
nexum.toml:11:23: an entry of `subscription.address` is "vitalik.eth", which is no address
  help: an address is "0x" and 40 hex digits
"#,
    );
    check_log(
        &format!(
            "address = [\"{checksummed}\", \"{A}\", \"{}\"]",
            checksummed.to_lowercase()
        ),
        r#"
nexum.toml:11:104: `subscription.address` names 0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed twice
  nexum.toml:11:12: first here
  help: take one out
"#,
    );
    check_log(
        "address = []",
        r#"
nexum.toml:11:11: `subscription.address` is empty
  help: The contracts, one address or a list
"#,
    );
}

#[test]
fn an_event_is_one_of_the_abi() {
    for (event, report) in [
        (
            "Transfer",
            r#"
nexum.toml:11:9: `subscription.event` is "Transfer", which is no event
  help: write it as in Solidity: "Transfer(address indexed from, address indexed to, uint256 value)"
"#,
        ),
        (
            "Transfer(IERC20 token)",
            r#"
nexum.toml:11:9: `subscription.event` has the type "IERC20", which is none of the ABI
  help: write the types of the ABI: a contract is address, an enum uint8, and a struct a tuple such as (address,uint256)
"#,
        ),
        (
            "Transfer(uint265 value)",
            r#"
nexum.toml:11:9: `subscription.event` has the type "uint265", which is none of the ABI
  help: write the types of the ABI: a contract is address, an enum uint8, and a struct a tuple such as (address,uint256)
"#,
        ),
        (
            "Transfer(Token.Kind kind)",
            r#"
nexum.toml:11:9: `subscription.event` has a name with a dot
  help: write the types of the ABI: a contract is address, an enum uint8, and a struct a tuple such as (address,uint256)
"#,
        ),
        (
            "Transfer(bool a, bool a)",
            r#"
nexum.toml:11:9: `subscription.event` has two arguments "a"
  help: give each a name of its own, or none
"#,
        ),
        (
            "E(bool indexed a, bool indexed b, bool indexed c, bool indexed d)",
            r#"
nexum.toml:11:9: `subscription.event` has 4 indexed arguments, and the most is 3
  help: write the event as its contract declares it
"#,
        ),
    ] {
        check_log(&format!("event = \"{event}\""), report);
    }
}

#[test]
fn an_anonymous_event_has_no_topic_of_its_own() {
    let filter = filter(&format!(
        "address = \"{A}\"\nevent = \"E(bool indexed a, uint8 indexed b) anonymous\"\nwhere.b = 1"
    ));
    let mut expected = <[Vec<B256>; 4]>::default();
    expected[1].push(B256::with_last_byte(1));
    assert_eq!(filter.topics, expected);
}

#[test]
fn a_value_becomes_the_topic_that_the_abi_makes_of_it() {
    let left = |end: &str| format!("0x{end:0>64}");
    let negative = |end: &str| format!("0x{end:f>64}");
    assert_eq!(word("address", &format!("{A:?}")), left("aa"));
    assert_eq!(word("bool", "true"), left("1"));
    assert_eq!(word("bool", "false"), left("0"));
    assert_eq!(word("uint256", "5"), left("5"));
    assert_eq!(word("uint8", "255"), left("ff"));
    assert_eq!(word("uint", "\"0xFFffff\""), left("ffffff"));
    assert_eq!(
        word("uint96", "\"1000000000000000000000\""),
        left("3635c9adc5dea00000")
    );
    assert_eq!(
        word("uint256", &format!("\"0x{}\"", "f".repeat(64))),
        format!("0x{}", "f".repeat(64))
    );
    assert_eq!(word("int24", "-1"), negative("f"));
    assert_eq!(word("int8", "-128"), negative("80"));
    assert_eq!(word("int8", "127"), left("7f"));
    assert_eq!(word("int256", "\"-0x10\""), negative("0"));
    assert_eq!(
        word("int256", &format!("\"-0x8{}\"", "0".repeat(63))),
        format!("0x8{}", "0".repeat(63))
    );
    assert_eq!(
        word("bytes4", "\"0xa9059cbb\""),
        format!("0xa9059cbb{}", "0".repeat(56))
    );
    // keccak256 of nothing and of "abc".
    assert_eq!(
        word("bytes", "\"0x\""),
        "0xc5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"
    );
    assert_eq!(
        word("string", "\"abc\""),
        "0x4e03657aea45a94fc7d47ba826c8d667c0d1e6e33a64a036ec44f58fa12d6c45"
    );
    assert_eq!(word("bytes", "\"0x616263\""), word("string", "\"abc\""));
}

#[test]
fn a_value_that_the_argument_cannot_have() {
    for (argument, value, report) in [
        (
            "address",
            "5",
            r#"
nexum.toml:12:11: `subscription.where.a` is 5, which is no address
  help: write "0x" and 40 hex digits, as a string
"#,
        ),
        (
            "address",
            "\"0x5aaeb6053F3E94C9b9A09f33669435E7Ef1BeAed\"",
            r#"
nexum.toml:12:11: `subscription.where.a` is "0x5aaeb6053F3E94C9b9A09f33669435E7Ef1BeAed", whose checksum (EIP-55) is wrong
  help: compare it with its source, since a digit may be wrong; if none is, write "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
"#,
        ),
        (
            "bool",
            "1",
            r#"
nexum.toml:12:11: `subscription.where.a` is 1, which is no bool
  help: write true or false, without quotes
"#,
        ),
        (
            "uint8",
            "256",
            r#"
nexum.toml:12:11: `subscription.where.a` is 256, which does not fit in uint8
  help: write a value of the argument's type
"#,
        ),
        (
            "uint8",
            "-1",
            r#"
nexum.toml:12:11: `subscription.where.a` is -1, which does not fit in uint8
  help: write a value of the argument's type
"#,
        ),
        (
            "uint256",
            "\"0x1ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff\"",
            r#"
nexum.toml:12:11: `subscription.where.a` is "0x1fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"…, which does not fit in uint256
  help: write a value of the argument's type
"#,
        ),
        (
            "uint256",
            "\"1e18\"",
            r#"
nexum.toml:12:11: `subscription.where.a` is "1e18", which is no uint256
  help: write an integer, or a string of decimal digits or "0x" and hex digits
"#,
        ),
        (
            "uint256",
            "1.5",
            r#"
nexum.toml:12:11: `subscription.where.a` takes a string, an integer, or true or false, not a float
  help: One value or a list of them, where an integer of more than 64 bits is a string
"#,
        ),
        (
            "uint256",
            "99999999999999999999",
            r#"
nexum.toml:12:11: `subscription.where.a` does not fit in 64 bits
  help: One value or a list of them, where an integer of more than 64 bits is a string
"#,
        ),
        (
            "int8",
            "128",
            r#"
nexum.toml:12:11: `subscription.where.a` is 128, which does not fit in int8
  help: write a value of the argument's type
"#,
        ),
        (
            "int8",
            "-129",
            r#"
nexum.toml:12:11: `subscription.where.a` is -129, which does not fit in int8
  help: write a value of the argument's type
"#,
        ),
        (
            "int8",
            "true",
            r#"
nexum.toml:12:11: `subscription.where.a` is true, which is no int8
  help: write an integer, or a string of decimal digits or "0x" and hex digits
"#,
        ),
        (
            "bytes4",
            "\"0xa9059c\"",
            r#"
nexum.toml:12:11: `subscription.where.a` is "0xa9059c", which is no bytes4
  help: write "0x" and 8 hex digits
"#,
        ),
        (
            "bytes4",
            "5",
            r#"
nexum.toml:12:11: `subscription.where.a` is 5, which is no bytes4
  help: write "0x" and 8 hex digits, as a string
"#,
        ),
        (
            "bytes",
            "\"abc\"",
            r#"
nexum.toml:12:11: `subscription.where.a` is "abc", which is no bytes
  help: write "0x" and the bytes in hex: a log has their hash
"#,
        ),
        (
            "string",
            "5",
            r#"
nexum.toml:12:11: `subscription.where.a` is 5, which is no string
  help: write a string: a log has its hash
"#,
        ),
        (
            "uint8[]",
            "5",
            r#"
nexum.toml:12:7: `subscription.where` cannot filter by `a`
  help: its type is uint8[], of which a log has only a hash; compare it in the module, or write the hash in `topics`
"#,
        ),
        (
            "uint8",
            "[1, \"0x1\"]",
            r#"
nexum.toml:12:15: `subscription.where.a` names 0x0000000000000000000000000000000000000000000000000000000000000001 twice
  nexum.toml:12:12: first here
  help: take one out
"#,
        ),
        (
            "uint8",
            "[]",
            r#"
nexum.toml:12:11: `subscription.where.a` is empty
  help: One value or a list of them, where an integer of more than 64 bits is a string
"#,
        ),
    ] {
        check_log(
            &format!("event = \"E({argument} indexed a)\"\nwhere.a = {value}"),
            report,
        );
    }
}

#[test]
fn a_condition_names_an_indexed_argument() {
    let event = "event = \"Transfer(address indexed from, address indexed to, uint256 value)\"";
    check_log(
        &format!("{event}\nwhere = {{ form = \"{A}\", value = 5, \"spénder\" = 1 }}"),
        r#"
nexum.toml:12:11: the event has no argument "form"
  help: did you mean `from`?
nexum.toml:12:64: `subscription.where` cannot filter by `value`, which is not indexed
  help: compare it in the module: a node filters by topics only; the indexed arguments are `from`, `to`
nexum.toml:12:75: the event has no argument "spénder"
  help: the indexed arguments are `from`, `to`
"#,
    );
    check_log(
        "event = \"E(bool)\"\nwhere = { a = true }",
        r#"
nexum.toml:12:11: the event has no argument "a"
  help: the event has no indexed argument with a name
"#,
    );
    check_log(
        &format!("{event}\nwhere = {{}}"),
        r#"
nexum.toml:12:9: `subscription.where` is empty
  help: The values of the event's indexed arguments, by name: { from = "0x…", id = [1, 2] }
"#,
    );
}

#[test]
fn topics_stand_by_their_position() {
    let filter = filter(&format!(
        "topics = [\"{TRANSFER}\", \"*\", [\"0x{}\", \"0x{}\"]]",
        "22".repeat(32),
        "11".repeat(32)
    ));
    let repeated = |byte| B256::repeat_byte(byte);
    assert_eq!(
        filter.topics,
        [
            vec![topic(TRANSFER)],
            vec![],
            vec![repeated(0x11), repeated(0x22)],
            vec![]
        ]
    );
    check_log(
        "topics = []",
        r#"
nexum.toml:11:10: `subscription.topics` is empty
  help: The topics by position, in place of `event`: each a topic, a list of alternatives, or "*" for any
"#,
    );
    check_log(
        &format!("topics = [\"{TRANSFER}\", \"*\"]"),
        r#"
nexum.toml:11:81: `subscription.topics` ends with "*"
  help: take it out: behind the last topic that is named, a log may have any or none
"#,
    );
    check_log(
        "topics = [\"*\", \"*\", \"*\", \"*\", \"*\"]",
        r#"
nexum.toml:11:10: `subscription.topics` has 5 positions
  help: a log has at most 4 topics; alternatives for one stand in a list within the list
"#,
    );
    check_log(
        &format!("topics = [\"0x12\", \"{A}\", [], [\"*\"], 5]"),
        r#"
nexum.toml:11:10: `subscription.topics` has 5 positions
  help: a log has at most 4 topics; alternatives for one stand in a list within the list
nexum.toml:11:11: an entry of `subscription.topics` is "0x12", which is no topic
  help: a topic is "0x" and 64 hex digits, or "*" for any
nexum.toml:11:19: an entry of `subscription.topics` is "0x00000000000000000000000000000000000000aa", which is no topic
  help: an address fills a topic from the right: write "0x00000000000000000000000000000000000000000000000000000000000000aa"
nexum.toml:11:65: `subscription.topics` is empty
  help: The topics by position, in place of `event`: each a topic, a list of alternatives, or "*" for any
nexum.toml:11:70: an entry of `subscription.topics` is "*", which is no topic
  help: a topic is "0x" and 64 hex digits, or "*" for any
nexum.toml:11:76: an entry of `subscription.topics` takes a topic, not an integer
  help: The topics by position, in place of `event`: each a topic, a list of alternatives, or "*" for any
"#,
    );
    check_log(
        &format!("topics = [[\"{TRANSFER}\", \"{TRANSFER}\"]]"),
        r#"
nexum.toml:11:82: `subscription.topics` names 0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef twice
  nexum.toml:11:12: first here
  help: take one out
"#,
    );
}

#[test]
fn topics_stand_in_place_of_an_event() {
    check_log(
        &format!("topics = [\"{TRANSFER}\"]\nevent = \"E()\""),
        r#"
nexum.toml:11:10: `subscription` has both `event` and `topics`
  help: take one out: `event` is the first topic, and `where` gives the others
"#,
    );
    check_log(
        &format!("topics = [\"{TRANSFER}\"]\nwhere = {{ a = 1 }}"),
        r#"
nexum.toml:12:9: `subscription.where` needs `event`
  help: write the values into `topics`, or `event` in its place
"#,
    );
    check_log(
        &format!("address = \"{A}\"\nwhere = {{ a = 1 }}"),
        r#"
nexum.toml:12:9: `subscription.where` needs `event`
  help: write the event whose arguments it names
"#,
    );
}
