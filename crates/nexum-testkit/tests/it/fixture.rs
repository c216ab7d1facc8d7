//! Fixtures: what they say becomes what they mean, and what is wrong is told at its line.

use alloy_dyn_abi::{DynSolType, DynSolValue};
use nexum_testkit::{
    Act, Action, Address, B256, Bytes, CallAnswer, CallInput, ConfigScalar, ConfigSetting, Expect,
    Fixture, HttpAnswer, LogLevel, NewLog, Script, Seen, U256, fixture_words, keccak256,
};
use serde_json::json;

fn fixture(text: &str) -> Fixture {
    text.parse().unwrap()
}

fn error(text: &str) -> String {
    text.parse::<Fixture>().unwrap_err().to_string()
}

/// The one log of the second line.
fn emitted(line: &str) -> NewLog {
    let fixture = fixture(&format!("chain 1\n{line}"));
    fixture.logs()[0].2.clone()
}

fn called(line: &str) -> (CallInput, CallAnswer) {
    let fixture = fixture(&format!("chain 1\n{line}"));
    let Act::Genesis(1, Action::Call(to, input, answer)) = fixture.steps[0].act.clone() else {
        panic!("{fixture:?}");
    };
    assert_eq!(to, Address::with_last_byte(0xfe));
    (input, answer)
}

fn word(number: u64) -> B256 {
    B256::from(U256::from(number))
}

#[test]
fn every_script_is_a_fixture() {
    let text = "chain 31337 every 5ms\nbalance 0xa1 = 5 ether\nlog 0xc0 Ping(uint256) 7\nmine 2\n\
                reorg 1 {\nlogs 2 0xc0 Ping(uint256) i\nmine 2\n}\nendpoint 2 lag 1\nwait 1ms";
    let script: Script = text.parse().unwrap();
    let fixture = fixture(text);
    let steps = fixture.steps.iter().map(|step| match &step.act {
        Act::Genesis(31337, action) | Act::Chain(31337, action) => (step.line, action.clone()),
        other => panic!("{other:?}"),
    });
    let expected = script
        .steps
        .iter()
        .map(|step| (step.line, step.action.clone()));
    assert!(steps.eq(expected));
    assert_eq!(fixture.chains.len(), 1);
    assert_eq!(
        (fixture.chains[0].id, fixture.chains[0].every),
        (31337, script.every)
    );
    assert_eq!((fixture.endpoints(31337), fixture.endpoints(1)), (2, 1));
    let logs = fixture.logs();
    let lines: Vec<_> = logs
        .iter()
        .map(|(line, chain, _)| (*line, *chain))
        .collect();
    assert_eq!(lines, [(3, 31337), (6, 31337), (6, 31337)]);
}

#[test]
fn a_log_is_emitted_as_its_contract_would() {
    let transfer = "Transfer(address indexed from, address indexed to, uint256 value)";
    let expected = NewLog::of(
        Address::with_last_byte(0xc0),
        "Transfer(address,address,uint256)",
    )
    .topic(word(0xa1))
    .topic(word(0xb2))
    .data(word(1_500_000_000_000_000_000).to_vec());
    for line in [
        format!("emit 0xc0 {transfer} 0xa1 0xb2 1.5 ether"),
        format!("emit 0xc0 {transfer} 0xa1 0xb2 1500000000 gwei"),
        format!("emit 0xc0 \"event {transfer};\" 0xa1 0xb2 1500000000000000000"),
        format!(
            "emit 0xc0 '{transfer}' 0xa1 0x00000000000000000000000000000000000000b2 0x14d1120d7b160000"
        ),
    ] {
        assert_eq!(emitted(&line), expected, "{line}");
    }
}

#[test]
fn values_of_every_kind_are_encoded_as_the_abi_says() {
    let log = emitted(
        "emit 0xc0 Mixed(string indexed s, (address,uint8[])[] list, bytes b, bool ok, int64 i, bytes4 x, string t) \
         \"hello world\" \"[(0xa1, [1, 2])]\" 0xff00 true -5 0x12345678 'it is'",
    );
    let declared = "Mixed(string,(address,uint8[])[],bytes,bool,int64,bytes4,string)";
    assert_eq!(log.topics, [keccak256(declared), keccak256("hello world")]);
    let types: DynSolType = "((address,uint8[])[],bytes,bool,int64,bytes4,string)"
        .parse()
        .unwrap();
    let list = DynSolValue::Array(vec![DynSolValue::Tuple(vec![
        DynSolValue::Address(Address::with_last_byte(0xa1)),
        DynSolValue::Array(vec![
            DynSolValue::Uint(U256::from(1), 8),
            DynSolValue::Uint(U256::from(2), 8),
        ]),
    ])]);
    let DynSolValue::Tuple(values) = types.abi_decode_params(&log.data).unwrap() else {
        panic!("a tuple");
    };
    assert_eq!(values[0], list);
    assert_eq!(values[1], DynSolValue::Bytes(vec![0xff, 0]));
    assert_eq!(values[2], DynSolValue::Bool(true));
    assert_eq!(values[3].as_int().unwrap().0.to_string(), "-5");
    let (bytes, size) = values[4].as_fixed_bytes().unwrap();
    assert_eq!(bytes[..size], [0x12, 0x34, 0x56, 0x78]);
    assert_eq!(values[5], DynSolValue::String("it is".into()));
    let anonymous = emitted("emit 0xc0 \"Quiet(uint256 indexed a) anonymous\" 5");
    assert_eq!(
        (anonymous.topics, anonymous.data),
        (vec![word(5)], Bytes::new())
    );
}

#[test]
fn calls_are_answered_by_function_and_by_arguments() {
    let (input, answer) = called(
        "call 0xfe latestRoundData() external view returns (uint80,int256,uint256,uint256,uint80) = 1 250000000000 0 0 1",
    );
    assert_eq!(input, CallInput::Selector([0xfe, 0xaf, 0x96, 0x8c]));
    let words: Vec<u8> = [1, 250_000_000_000, 0, 0, 1]
        .into_iter()
        .flat_map(|number| word(number).0)
        .collect();
    assert_eq!(answer, CallAnswer::Returns(words.into()));

    let (input, answer) =
        called("call 0xfe \"balanceOf(address owner) returns (uint256)\" 0xa1 = 2 ether");
    let mut exact = keccak256("balanceOf(address)")[..4].to_vec();
    exact.extend(word(0xa1));
    assert_eq!(input, CallInput::Exact(exact.into()));
    let two = word(2_000_000_000_000_000_000).to_vec();
    assert_eq!(answer, CallAnswer::Returns(two.into()));

    let (_, answer) = called("call 0xfe get() reverts \"no price\"");
    assert_eq!(answer, CallAnswer::reverts("no price"));
    let (_, answer) = called("call 0xfe get() reverts");
    let bare = CallAnswer::Reverts {
        reason: None,
        data: Bytes::new(),
    };
    assert_eq!(answer, bare);
    let (input, answer) = called("call 0xfe 0x12345678 reverts 0xaabbccdd");
    assert_eq!(input, CallInput::Selector([0x12, 0x34, 0x56, 0x78]));
    let custom = vec![0xaa, 0xbb, 0xcc, 0xdd];
    assert_eq!(
        answer,
        CallAnswer::Reverts {
            reason: None,
            data: custom.into()
        }
    );
    let (input, answer) = called("call 0xfe 0x1234567800 = 0x01");
    assert_eq!(
        input,
        CallInput::Exact(vec![0x12, 0x34, 0x56, 0x78, 0].into())
    );
    assert_eq!(answer, CallAnswer::Returns(vec![1].into()));
    let (_, answer) = called("call 0xfe poke() =");
    assert_eq!(answer, CallAnswer::Returns(Bytes::new()));
}

/// What alloy's multicall sends and reads, by another encoder than the one that answers.
#[test]
fn reads_that_go_through_multicall_are_answered_one_by_one() {
    let story =
        fixture("chain 1\ncall 0xfe get() returns (uint256) = 7\ncall 0xfd get() reverts \"shut\"");
    let chain = story.scripted_chain(1).unwrap();
    let get = keccak256("get()")[..4].to_vec();
    let ask = |targets: &[(u8, bool)]| {
        let calls = targets.iter().map(|(target, allow_failure)| {
            DynSolValue::Tuple(vec![
                DynSolValue::Address(Address::with_last_byte(*target)),
                DynSolValue::Bool(*allow_failure),
                DynSolValue::Bytes(get.clone()),
            ])
        });
        let list = DynSolValue::Array(calls.collect());
        let mut input = keccak256("aggregate3((address,bool,bytes)[])")[..4].to_vec();
        input.extend(DynSolValue::Tuple(vec![list]).abi_encode_params());
        let to = "0xcA11bde05977b3631167028862bE2a173976CA11";
        chain.answer(
            "eth_call",
            &json!([{ "to": to, "input": Bytes::from(input) }, "latest"]),
        )
    };
    let answer: Bytes =
        serde_json::from_value(ask(&[(0xfe, false), (0xfd, true)]).unwrap()).unwrap();
    let types: DynSolType = "((bool,bytes)[])".parse().unwrap();
    let decoded = types.abi_decode_params(&answer).unwrap();
    let results = decoded.as_tuple().unwrap()[0].as_array().unwrap().to_vec();
    let result = |index: usize| results[index].as_tuple().unwrap().to_vec();
    assert_eq!(result(0)[0], DynSolValue::Bool(true));
    assert_eq!(result(0)[1], DynSolValue::Bytes(word(7).to_vec()));
    assert_eq!(result(1)[0], DynSolValue::Bool(false));
    assert!(
        result(1)[1]
            .as_bytes()
            .unwrap()
            .starts_with(&[0x08, 0xc3, 0x79, 0xa0])
    );
    assert_eq!(ask(&[(0xfe, true), (0xfd, false)]).unwrap_err()["code"], 3);
    assert_eq!(
        ask(&[(0xfe, true), (0xaa, true)]).unwrap_err()["code"],
        -32000
    );
}

#[test]
fn what_stands_first_before_the_first_block_is_there_from_genesis_on() {
    let story = fixture(
        "chain 1\nbalance 0xa1 = 5 wei\ncall 0xfe get() returns (uint256) = 7\n\
         balance 0xa1 += 1 wei\ncall 0xfe get() returns (uint256) = 8\nmine 0\n\
         balance 0xb2 += 3 wei\nmine\nbalance 0xc3 = 1 wei\nmine\n\
         chain 2\nbalance 0xa1 = 9 wei",
    );
    let at_genesis = story.steps.iter();
    let at_genesis = at_genesis.filter(|step| matches!(step.act, Act::Genesis(..)));
    let lines: Vec<_> = at_genesis.map(|step| step.line).collect();
    assert_eq!(lines, [2, 3, 7, 12]);

    let chain = story.scripted_chain(1).unwrap();
    let account = Address::with_last_byte;
    let balance = |last| chain.head().balance(&account(last));
    assert_eq!(chain.head().number, 0);
    let balances = [0xa1, 0xb2, 0xc3].map(balance);
    assert_eq!(balances, [5, 3, 0].map(U256::from));
    let get = Bytes::from(keccak256("get()")[..4].to_vec());
    let call = json!([{ "to": account(0xfe), "input": get }, "latest"]);
    assert_eq!(chain.answer("eth_call", &call).unwrap(), json!(word(7)));
    let genesis = json!([chain.head().hash, false]);
    let by_hash = chain.answer("eth_getBlockByHash", &genesis).unwrap();
    assert_eq!(by_hash["number"], "0x0");

    let other = story.scripted_chain(2).unwrap();
    assert_eq!(other.head().balance(&account(0xa1)), U256::from(9));

    let short = fixture("chain 1\nmine 0\nbalance 0xa1 -= 1 wei");
    let refused = short.scripted_chain(1).unwrap_err().to_string();
    assert!(refused.starts_with("line 3: the balance of "), "{refused}");
}

#[test]
fn lines_that_no_block_takes_are_known() {
    for (lines, waiting) in [
        ("balance 0xa1 = 1\ncall 0xfe 0x12345678 = 0x", [].as_slice()),
        ("log 0xa1 anonymous\nmine", &[]),
        ("log 0xa1 anonymous", &[2]),
        ("log 0xa1 anonymous\nmine 0", &[2]),
        ("mine\nbalance 0xa1 = 1\nemit 0xa1 E()", &[3, 4]),
        ("mine\nlog 0xa1 anonymous\nreorg 1\nmine", &[3]),
        (
            "mine\nlog 0xa1 anonymous\nrollback 1\nlog 0xa1 anonymous\nmine",
            &[3],
        ),
        (
            "mine\nreorg 1 {\nlog 0xa1 anonymous\nmine\nlog 0xb2 anonymous\n}",
            &[6],
        ),
        ("mine\nreorg 1 {\nlog 0xa1 anonymous\n}\nmine", &[]),
        (
            "log 0xa1 anonymous\nchain 2\nmine\nlog 0xa1 anonymous\nchain 1\nmine",
            &[5],
        ),
    ] {
        let story = fixture(&format!("chain 1\n{lines}"));
        assert_eq!(story.without_block(), waiting, "{lines}");
    }
}

#[test]
fn a_fixture_speaks_of_several_chains_and_of_more_than_chains() {
    let story = fixture(
        r#"
        chain 1
        state last = 0x00ff
        state "a key" = "0x00ff"
        state plain = text
        config watch.addresses = ["0xa1", 5, true]
        config threshold = -2500   # a comment
        mine
        chain 100 every 1s
        mine 2
        tick "*/5 * * * *"
        message /nexum/1/x/proto 0x0102
        http get https://api.example.org/price = 200 {"price": [1, 2]}
        http POST https://api.example.org/order = unreachable
        chain 1
        expect {
          log info "3 ether"
          log "anything"
          no log error
          no log warn "bad"
          state last = 0x01
          state plain absent
          request eth_call times 2
          request 100 eth_getBalance
          no request eth_getLogs
          events 3
          failed 0
        }
        "#,
    );
    let ids: Vec<_> = story
        .chains
        .iter()
        .map(|chain| (chain.line, chain.id))
        .collect();
    assert_eq!(ids, [(2, 1), (9, 100)]);
    let state: Vec<_> = story
        .state
        .iter()
        .map(|entry| (entry.key.as_str(), entry.value.as_slice()))
        .collect();
    assert_eq!(
        state,
        [
            ("last", [0, 0xff].as_slice()),
            ("a key", b"0x00ff"),
            ("plain", b"text")
        ]
    );
    let list = vec![
        ConfigScalar::Text("0xa1".into()),
        ConfigScalar::Integer(5),
        ConfigScalar::Boolean(true),
    ];
    assert_eq!(story.config[0].value, ConfigSetting::List(list));
    assert_eq!(
        story.config[1].value,
        ConfigSetting::Scalar(ConfigScalar::Integer(-2500))
    );
    let acts: Vec<_> = story.steps.iter().map(|step| step.act.clone()).collect();
    assert_eq!(acts[0], Act::Chain(1, Action::Mine(1)));
    assert_eq!(acts[1], Act::Chain(100, Action::Mine(2)));
    assert_eq!(
        acts[2],
        Act::Tick {
            schedule: "*/5 * * * *".into()
        }
    );
    assert_eq!(
        acts[3],
        Act::Message {
            topic: "/nexum/1/x/proto".into(),
            payload: vec![1, 2]
        }
    );
    let Act::Http { method, answer, .. } = &acts[4] else {
        panic!()
    };
    let body = br#"{"price": [1, 2]}"#.to_vec();
    assert_eq!(
        (method.as_str(), answer),
        ("GET", &HttpAnswer::Response { status: 200, body })
    );
    assert!(matches!(
        &acts[5],
        Act::Http {
            answer: HttpAnswer::Unreachable,
            ..
        }
    ));
    let Act::Expect(expectations) = &acts[6] else {
        panic!()
    };
    let request = |chain, method: &str, times| Expect::Request {
        chain,
        method: method.into(),
        times,
    };
    let log = |level, contains: &str, is_absent| Expect::Log {
        level,
        contains: contains.into(),
        is_absent,
    };
    let expected = [
        log(Some(LogLevel::Info), "3 ether", false),
        log(None, "anything", false),
        log(Some(LogLevel::Error), "", true),
        log(Some(LogLevel::Warn), "bad", true),
        Expect::State {
            key: "last".into(),
            value: Some(vec![1]),
        },
        Expect::State {
            key: "plain".into(),
            value: None,
        },
        request(1, "eth_call", Some(2)),
        request(100, "eth_getBalance", None),
        request(1, "eth_getLogs", Some(0)),
        Expect::Events(3),
        Expect::Failed(0),
    ];
    assert!(
        expectations
            .iter()
            .map(|one| &one.expect)
            .eq(expected.iter())
    );
    assert_eq!(expectations[0].line, 17);
}

#[test]
fn what_is_wrong_is_told_at_its_line_with_what_was_meant() {
    for (line, part) in [
        ("mien 3", "unknown action 'mien'; did you mean 'mine'?"),
        ("expct {", "did you mean 'expect'?"),
        ("emitt 0xa1", "did you mean 'emit'?"),
        ("frobnicate", "there are balance, call, emit,"),
        (
            "emit 0xa1 Transfer(address from, uint256",
            "there is no ) to close",
        ),
        (
            "emit 0xa1 Transfer 1",
            "'Transfer' is not an event's signature",
        ),
        ("emit 0xa1 T(foo.bar a) 1", "is not an event's signature"),
        ("emit 0xa1 T(uin256 a) 1", "'uin256' is no type of the ABI"),
        ("emit 0xa1 T(uint08 a) 1", "'uint08' is no type of the ABI"),
        (
            "emit 0xa1 T(uint256 a, bool b) 1",
            "expected 2 values (uint256, bool), and there are 1",
        ),
        (
            "emit 0xa1 T(uint8 small) 256",
            "'256' is not a value of the type uint8 (small)",
        ),
        (
            "emit 0xa1 T(uint256) -1",
            "'-1' is not a value of the type uint256",
        ),
        ("emit 0xa1 T(bool) 2", "is not a value of the type bool"),
        (
            "emit 0xa1 T(address) 0xzz",
            "is not a value of the type address",
        ),
        (
            "emit 0xa1 T(uint8[2]) [1]",
            "is not a value of the type uint8[2]",
        ),
        (
            "emit 0xa1 T(bytes4) 0x1234",
            "is not a value of the type bytes4",
        ),
        (
            "emit 0xa1 T(uint256 indexed a, uint256 indexed b, uint256 indexed c, uint256 indexed d) 1 2 3 4",
            "at most 4 topics",
        ),
        (
            "emit 0xa1",
            "expected 'emit <address> <event signature> <value> …'",
        ),
        ("call 0xfe get() returns (uint256)", "expected 'call"),
        ("call 0xfe get() = 1", "add 'returns (<type>, …)'"),
        ("call 0xfe get( = 1", "there is no ) to close"),
        ("call 0xfe 12 = 1", "'12' is not a function's signature"),
        (
            "call 0xfe get() returns (uint256) = one",
            "'one' is not a value of the type uint256",
        ),
        (
            "call 0xfe get(bool) returns (uint256) 7 = 1",
            "'7' is not a value of the type bool",
        ),
        ("call 0xfe 0x123 = 0x", "'0x123' is not bytes"),
        ("log 0xa1 Ping(uint256) \"open", "there is no \" to close"),
        ("state a 1", "expected 'state <key> = <value>'"),
        ("state a = 0x1", "'0x1' is not bytes"),
        (
            "config a = word",
            "'word' is not a value of the configuration",
        ),
        (
            "mine\nstate a = 1",
            "line 3: 'state' and 'config' say what the module begins with",
        ),
        ("http GET https://a = 99", "'99' is not a status code"),
        (
            "http GET https://a",
            "expected 'http <METHOD> <url> = <status> [<body>]",
        ),
        ("tick", "expected 'tick"),
        ("expect", "expected 'expect {"),
        ("expect {", "line 2: expected 'expect {"),
        (
            "expect {\nlgo info \"x\"\n}",
            "line 3: unknown expectation 'lgo'; did you mean 'log'?",
        ),
        (
            "expect {\nlog loud \"x\"\n}",
            "line 3: 'loud' is not a level",
        ),
        ("expect {\nmine\n}", "line 3: unknown expectation 'mine'"),
        (
            "expect {\nrequest 7 eth_call\n}",
            "line 3: the fixture has no chain 7",
        ),
        ("expect {\nevents many\n}", "line 3: 'many' is not a number"),
        (
            "reorg 1 {\nexpect {",
            "line 3: 'expect {' cannot stand in a branch",
        ),
        ("chain one", "'one' is not a number"),
        (
            "logs 200000000 0xc0 anonymous",
            "200000000 is more logs than there can be: at most 10000",
        ),
        (
            "mine 18446744073709551615",
            "is more blocks than there can be: at most 100000",
        ),
        ("reorg 1 late 100001", "100001 is more blocks"),
        (
            "endpoint 5000 down",
            "5000 is more endpoints than there can be: at most 16",
        ),
        (
            "fail enormous 1000000000000",
            "is more bytes than there can be: at most 1073741824",
        ),
        (
            "state a = 1\nstate b = 1\nstate a = 1",
            "line 4: line 2 says already what 'a' is",
        ),
        (
            "config a = 1\nconfig a = 2",
            "line 3: line 2 says already what 'a' is",
        ),
        (
            "config a = 1\nconfig ab = 1\nconfig a.b = 2",
            "line 4: 'a.b' is a table of the configuration or a value, and line 2 has 'a'",
        ),
        (
            "config a.b.c = 1\nconfig a.b = 2",
            "line 3: 'a.b' is a table of the configuration or a value, and line 2 has 'a.b.c'",
        ),
    ] {
        let text = error(&format!("chain 1\n{line}"));
        assert!(text.contains(part), "{line}\n{text}");
        if !part.starts_with("line") {
            assert!(text.starts_with("line 2: "), "{line}\n{text}");
        }
    }
    assert!(error("mine").starts_with("line 1: a script begins with 'chain <id>'"));
    assert!(error("").starts_with("line 1: "));
}

#[test]
fn expectations_that_are_not_met_say_what_there_is_instead() {
    let story = fixture(
        "chain 1\nexpect {\nlog info \"three\"\nno log error\nstate a = two\nstate b absent\n\
         request eth_call times 2\nevents 3\nfailed 1\n}",
    );
    let Act::Expect(expectations) = &story.steps[0].act else {
        panic!()
    };
    let met = Seen {
        lines: vec![
            (LogLevel::Info, "one two three".into()),
            (LogLevel::Warn, "hm".into()),
        ],
        requests: vec![
            (1, "eth_call".into()),
            (2, "eth_call".into()),
            (1, "eth_call".into()),
        ],
        events: 3,
        failed: 1,
    };
    let state = |key: &str| Ok::<_, ()>((key == "a").then(|| b"two".to_vec()));
    assert_eq!(met.unmet(expectations, state), Ok(vec![]));

    let other = Seen {
        lines: vec![(LogLevel::Error, "three".into())],
        requests: vec![(1, "eth_chainId".into())],
        ..Seen::default()
    };
    let state = |key: &str| Ok::<_, ()>((key == "b").then(|| vec![0, 1]));
    let unmet = other.unmet(expectations, state).unwrap();
    let told: Vec<_> = unmet.iter().map(ToString::to_string).collect();
    let expected = [
        "line 3: no line at info contains \"three\"; these lines were logged:\n  error three",
        "line 4: no line at error is to contain \"\", and there is: error three",
        "line 5: the state has nothing under a, and \"two\" is expected",
        "line 6: the state has 0x0001 under b, and nothing is expected",
        "line 7: the module asked chain 1 for eth_call 0 times, and 2 times is expected; it made these requests:\n  1 eth_chainId",
        "line 8: 0 events were handled, and 3 are expected",
        "line 9: 0 calls failed, and 1 are expected to",
    ];
    assert_eq!(told, expected);
    let failed = Seen {
        failed: 7,
        ..Seen::default()
    };
    let unmet = failed
        .unmet::<()>(&expectations[6..], |_| Ok(None))
        .unwrap();
    assert_eq!(unmet.len(), 1);
}

/// The blocks of a page of the reference.
fn examples(page: &str) -> Vec<String> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference/");
    let text = std::fs::read_to_string(format!("{folder}{page}")).unwrap();
    let parts = text.split("```").skip(1).step_by(2);
    parts
        .map(|block| block.strip_prefix("text\n").unwrap().to_owned())
        .collect()
}

#[test]
fn the_examples_of_the_reference_can_be_played() {
    let [whole] = examples("fixture.md").try_into().unwrap();
    assert_eq!(fixture(&whole).without_block(), [0; 0]);

    let [whole, lines] = examples("script.md").try_into().unwrap();
    let script: Script = whole.parse().unwrap();
    assert_eq!(fixture(&whole).without_block(), [0; 0]);
    let chain = script.chain();
    for step in &script.steps {
        if !matches!(step.action, Action::Endpoint(..)) {
            step.apply(&chain).unwrap();
        }
    }
    assert_eq!(chain.head().number, 4);
    assert_eq!(fixture(&format!("chain 1\n{lines}")).steps.len(), 4);
}

#[test]
fn every_word_is_documented() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference/");
    let read = |name: &str| std::fs::read_to_string(format!("{folder}{name}")).unwrap();
    let text = read("fixture.md") + &read("script.md");
    for word in fixture_words() {
        // A row of a table begins with the word.
        let rows = [
            format!("| `{word} "),
            format!("| `{word}`"),
            format!(", `{word} "),
            format!(", `{word}`"),
        ];
        let is_there = rows.iter().any(|row| text.contains(row));
        assert!(is_there, "{word} stands in no table of the reference");
    }
}
