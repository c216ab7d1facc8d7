//! `nexum.toml`.

use std::{
    collections::BTreeSet,
    num::{NonZeroU32, NonZeroU64},
    time::Duration,
};

use nexum_manifest::{
    BlockSubscription, Capabilities, Capability, Durability, IdentityMethod, ModuleFile,
    ModuleManifest, OnFailure, OnLag, Place, Resources, Restart, Sha256, Start, Subscription,
};
use nexum_types::{BlockNumber, ChainId, Config, ConfigScalar, ConfigValue, Depth};

use crate::check::{MODULE, check_module, module, same};

/// A problem of one line that stands after [`MODULE`].
#[track_caller]
fn check_line(line: &str, report: &str) {
    check_module(&format!("{MODULE}{line}\n"), report);
}

#[test]
fn a_full_manifest_resolves_to_what_it_says() {
    let digest = "0123456789abcdefABCDEF".repeat(3);
    let text = format!(
        r#"
        [module]
        name = "price-alert"
        version = "0.1.0-rc.1+build"
        component = "sha256:{}"

        [module.resources]
        max_memory_bytes = 33_554_432
        max_fuel_per_event = 2_000_000
        max_event_duration = "1m 30s"
        max_state_bytes = 0x1000

        [module.restart]
        max_consecutive_failures = 3
        on_failure = "dead-letter"
        [module.state]
        durability = {{ interval = "250ms" }}

        [chains]
        required = [100, 1]
        optional = [5]

        [capabilities]
        required = ["logging", "chain"]
        optional = ["http", "clock", "identity"]
        [capabilities.http]
        allow = ["api.example.org", "http://*.example.org:8080"]
        [capabilities.identity]
        methods = ["send-transaction", "sign-typed-data", "accounts"]

        [[subscription]]
        kind = "block"
        chain_id = 1

        [[subscription]]
        kind = "block"
        chain_id = 100
        start = 17_000_000

        [config]
        threshold = 2500
        name = "ü"
        on = true
        mixed = ["a", 1, false]
        empty = []
        [config.z.y]
        x = -1
        [config.a]
        b.c = 1
        "#,
        &digest[..64]
    );
    let number = |number| ConfigValue::Integer(number);
    let config = [
        ("a.b.c", number(1)),
        ("empty", ConfigValue::List(vec![])),
        (
            "mixed",
            ConfigValue::List(vec![
                ConfigScalar::String("a".to_owned()),
                ConfigScalar::Integer(1),
                ConfigScalar::Boolean(false),
            ]),
        ),
        ("name", ConfigValue::String("ü".to_owned())),
        ("on", ConfigValue::Boolean(true)),
        ("threshold", number(2500)),
        ("z.y.x", number(-1)),
    ];
    let blocks = |chain, start| {
        Subscription::Block(BlockSubscription {
            chain_id: ChainId(chain),
            start,
            every: NonZeroU64::MIN,
            depth: Depth::Head,
            on_lag: OnLag::CatchUp,
        })
    };
    let mut bytes = [0; 32];
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&digest[2 * at..2 * at + 2], 16).unwrap();
    }
    let expected = ModuleManifest {
        name: "price-alert".parse().unwrap(),
        version: "0.1.0-rc.1+build".to_owned(),
        component: Some(Sha256(bytes)),
        resources: Resources {
            max_memory_bytes: 32 << 20,
            max_fuel_per_event: 2_000_000,
            max_event_duration: Duration::from_secs(90),
            max_state_bytes: 4096,
        },
        durability: Durability::Interval(Duration::from_millis(250)),
        restart: Restart {
            max_consecutive_failures: NonZeroU32::new(3).unwrap(),
            on_failure: OnFailure::DeadLetter,
        },
        chains: [ChainId(1), ChainId(5), ChainId(100)].into(),
        absent_chains: BTreeSet::new(),
        capabilities: Capabilities {
            required: [Capability::Chain, Capability::Logging].into(),
            optional: [Capability::Clock, Capability::Http, Capability::Identity].into(),
            denied: BTreeSet::new(),
        },
        http_allow: ["https://api.example.org", "http://*.example.org:8080"]
            .map(|text| text.parse().unwrap())
            .into(),
        identity: [
            IdentityMethod::Accounts,
            IdentityMethod::SignTypedData,
            IdentityMethod::SendTransaction,
        ]
        .into(),
        subscriptions: vec![
            blocks(1, Start::Latest),
            blocks(100, Start::Number(BlockNumber(17_000_000))),
        ],
        config: Config(config.map(|(key, value)| (key.to_owned(), value)).into()),
    };
    assert_eq!(module(&text).unwrap(), expected);
}

#[test]
fn what_is_not_said_has_a_default() {
    let text = "[module]\nname = \"x\"\nversion = \"1\"\n[capabilities]\nrequired = []\n";
    let manifest = module(text).unwrap();
    assert_eq!(manifest.component, None);
    assert_eq!(manifest.resources, Resources::default());
    assert_eq!(manifest.durability, Durability::Event);
    assert_eq!(manifest.restart.max_consecutive_failures.get(), 10);
    assert_eq!(manifest.restart.on_failure, OnFailure::Retry);
    assert!(manifest.chains.is_empty() && manifest.subscriptions.is_empty());
    assert_eq!(manifest.config, Config::default());
    let with_empty_tables = format!("{text}[module.resources]\n[module.state]\n[config]\n");
    assert_eq!(module(&with_empty_tables).unwrap(), manifest);
}

#[test]
fn every_problem_is_told_at_once_in_the_order_of_its_place() {
    check_module(
        r#"
[modul]
name = "x"

[module]
nmae = "x"
version = 1
color = "red"

[module.resources]
max_event_duration = "soon"

[capabilities]
required = ["chian", "messaging", "logging", 7]

[[subscription]]
kind = "block"
chain_id = 5

[config]
price = 0.5
"#,
        r#"
nexum.toml:2:2: unknown key `modul`
  help: the keys here are `module`, `chains`, `capabilities`, `subscription`, `config`
nexum.toml:6:1: unknown key `nmae` in `module`
  help: did you mean `name`?
nexum.toml:7:11: `module.version` takes a string, not an integer
  help: The author's version of the module, such as "0.1.0"
nexum.toml:8:1: unknown key `color` in `module`
  help: the keys here are `name`, `version`, `component`, `resources`, `restart`, `state`
nexum.toml:11:22: `module.resources.max_event_duration` is "soon", which is no duration
  help: write a number and a unit, such as "500ms", "30s" or "5m"
nexum.toml:14:13: there is no capability "chian"
  help: did you mean "chain"?
nexum.toml:14:22: the capability "messaging" is in the contract, but this engine does not have it yet
  help: if the module can do without, declare it under `optional`: its functions answer `unsupported` then
nexum.toml:14:46: an entry of `capabilities.required` takes the name of a capability, not an integer
  help: The capabilities without which the module does not start
nexum.toml:18:12: `subscription.chain_id` is 5, which is not in `chains.required` or `chains.optional`
  help: write
        [chains]
        required = [5]
nexum.toml:21:9: `config.price` holds a float, which a module's config cannot have
  help: an amount is an integer in base units or a string
"#,
    );
}

#[test]
fn nothing_is_granted_by_default() {
    check_module(
        "[module]\nname = \"x\"\nversion = \"1\"\n",
        "
nexum.toml:1:1: `capabilities` is missing
  help: The interfaces of `nexum:host` that the module may import
",
    );
    check_module(
        "",
        "
nexum.toml:1:1: `module` is missing
  help: What the module is
nexum.toml:1:1: `capabilities` is missing
  help: The interfaces of `nexum:host` that the module may import
",
    );
    check_module(
        "[module]\n[capabilities]\n[chains]\n",
        "
nexum.toml:1:1: `module.name` is missing
  help: The module's name, 1 to 64 of a-z, 0-9 and '-'
nexum.toml:1:1: `module.version` is missing
  help: The author's version of the module, such as \"0.1.0\"
nexum.toml:2:1: `capabilities.required` is missing
  help: The capabilities without which the module does not start
nexum.toml:3:1: `chains.required` is missing
  help: The chains without which the module does not start, by id
",
    );
}

#[test]
fn what_is_required_is_not_optional_too() {
    let text = MODULE
        .replace("required = [1]", "required = [1]\noptional = [2, 1, 2]")
        .replace(
            "required = []",
            "required = [\"chain\"]\noptional = [\"http\", \"chain\", \"x\"]",
        );
    check_module(
        &text,
        "
nexum.toml:6:16: `chains` has 1 as required and as optional
  nexum.toml:5:13: first here
  help: take one out
nexum.toml:6:19: `chains.optional` names 2 twice
  nexum.toml:6:13: first here
  help: take one out
nexum.toml:9:21: `capabilities` has chain as required and as optional
  nexum.toml:8:13: first here
  help: take one out
nexum.toml:9:30: there is no capability \"x\"
  help: there are \"chain\", \"local-store\", \"logging\", \"clock\", \"random\", \"identity\", \"remote-store\", \"messaging\", \"http\"
",
    );
}

#[test]
fn each_absent_capability_is_told_apart_from_an_unknown_one() {
    for name in ["remote-store", "messaging"] {
        let text = MODULE.replace("[]", &format!("[{name:?}]"));
        check_module(
            &text,
            &format!(
                "
nexum.toml:7:13: the capability \"{name}\" is in the contract, but this engine does not have it yet
  help: if the module can do without, declare it under `optional`: its functions answer `unsupported` then
"
            ),
        );
    }
    check_module(
        &MODULE.replace("[]", "[\"filesystem\", \"chain\", \"chain\"]"),
        "
nexum.toml:7:13: there is no capability \"filesystem\"
  help: there are \"chain\", \"local-store\", \"logging\", \"clock\", \"random\", \"identity\", \"remote-store\", \"messaging\", \"http\"
nexum.toml:7:36: `capabilities.required` names chain twice
  nexum.toml:7:27: first here
  help: take one out
",
    );
}

#[test]
fn whoever_declares_identity_says_what_for() {
    let declared = MODULE.replace("[]", "[\"identity\"]");
    check_module(
        &declared,
        "
nexum.toml:7:13: the module declares \"identity\" and does not say what it does with accounts
  help: write what it calls, such as
        [capabilities.identity]
        methods = [\"accounts\", \"sign\"]
",
    );
    check_line(
        "[capabilities.identity]\nmethods = []",
        "
nexum.toml:8:1: `capabilities.identity` is for a module that declares \"identity\"
  help: add \"identity\" to `required` or `optional` under [capabilities], or take this out
",
    );
    check_module(
        &format!("{declared}[capabilities.identity]\nmethods = [\"sing\", \"send-money\"]\n"),
        "
nexum.toml:9:12: an entry of `capabilities.identity.methods` does not take \"sing\"
  help: did you mean \"sign\"?
nexum.toml:9:20: an entry of `capabilities.identity.methods` does not take \"send-money\"
  help: it takes one of \"accounts\", \"sign\", \"sign-typed-data\", \"send-transaction\"
",
    );
}

#[test]
fn a_name_that_is_none() {
    check_module(
        &MODULE.replace("\"x\"", "\"../x\""),
        "
nexum.toml:2:8: `module.name`: a module name is made of a-z, 0-9 and '-', and '.' is none of them
  help: a name is 1 to 64 of a-z, 0-9 and '-', such as \"price-alert\"
",
    );
    check_module(
        &MODULE.replace("0.1.0", "1 \\u001b[2J"),
        r#"
nexum.toml:3:11: `module.version` is "1 \u{1b}[2J", which is no version
  help: a version is 1 to 64 of letters, digits, '.', '+' and '-', such as "0.1.0"
"#,
    );
}

#[test]
fn a_digest_that_is_none() {
    let component =
        |value: &str| MODULE.replace("[chains]", &format!("component = {value:?}\n[chains]"));
    let help = "help: write \"sha256:\" and the 64 hex digits that `sha256sum module.wasm` prints";
    check_module(
        &component("sha256:123"),
        &format!(
            "nexum.toml:4:13: `module.component` is \"sha256:123\", which is no digest\n  {help}"
        ),
    );
    check_module(
        &component("ipfs:bafy"),
        &format!(
            "nexum.toml:4:13: `module.component` is a `ipfs:` reference, which this engine does not take\n  {help}"
        ),
    );
    let not_hex = "z".repeat(64);
    assert!(module(&component(&format!("sha256:{not_hex}"))).is_err());
    let prefixed = format!("sha256:0x{}", "a".repeat(62));
    assert!(module(&component(&prefixed)).is_err());
}

#[test]
fn resources_have_a_least_and_a_type() {
    check_line(
        "[module.resources]
max_memory_bytes = 0
max_fuel_per_event = 999
max_event_duration = \"0s\"
max_state_bytes = 99999999999999999999",
        "
nexum.toml:9:20: `module.resources.max_memory_bytes` is 0, and the least is 65536
  help: All linear memories and tables together, in bytes
nexum.toml:10:22: `module.resources.max_fuel_per_event` is 999, and the least is 1000
  help: Fuel for one call
nexum.toml:11:22: `module.resources.max_event_duration` is \"0s\", and lies between 1ms and 365days
  help: write a number and a unit, such as \"500ms\", \"30s\" or \"5m\"
nexum.toml:12:19: `module.resources.max_state_bytes` does not fit in 64 bits
  help: All keys and values of the state together, in bytes
",
    );
    check_line(
        "[module.resources]\nmax_memory_bytes = \"64MiB\"\nmax_event_duration = 30\nmax_state_bytes = -1",
        "
nexum.toml:9:20: `module.resources.max_memory_bytes` takes an integer, not a string
  help: All linear memories and tables together, in bytes
nexum.toml:10:22: `module.resources.max_event_duration` takes a duration such as \"30s\", not an integer
  help: Wall clock of one call, host calls included
nexum.toml:11:19: `module.resources.max_state_bytes` is -1, and the least is 1
  help: All keys and values of the state together, in bytes
",
    );
}

#[test]
fn what_happens_to_a_failing_module_is_one_of_two_things_after_one_failure_at_least() {
    check_line(
        "[module.restart]\nmax_consecutive_failures = 0\non_failure = \"dead_letter\"",
        "
nexum.toml:9:28: `module.restart.max_consecutive_failures` is 0, and the least is 1
  help: How often in a row an `init` or an event may fail before the module is given up, or the event is parked
nexum.toml:10:14: `module.restart.on_failure` does not take \"dead_letter\"
  help: did you mean \"dead-letter\"?
",
    );
}

#[test]
fn durability_is_one_of_two_forms() {
    check_line(
        "[module.state]\ndurability = \"always\"",
        "
nexum.toml:9:14: `module.state.durability` does not take \"always\"
  help: write \"event\" or { interval = \"1s\" }
",
    );
    check_line(
        "[module.state]\ndurability = { intervall = \"1s\" }",
        "
nexum.toml:9:16: unknown key `intervall` in `module.state.durability`
  help: did you mean `interval`?
",
    );
    check_line(
        "[module.state]\ndurability = true",
        "
nexum.toml:9:14: `module.state.durability` takes \"event\" or { interval = \"1s\" }, not a boolean
  help: When a commit reaches the disk: \"event\", before the next event is taken, or { interval = \"1s\" }, together with others once in that time
",
    );
}

#[test]
fn subscriptions_are_of_a_known_kind_and_chain() {
    check_line(
        "[[subscription]]\nkind = \"message\"\ncontent_topic = \"/a/1/b/proto\"\n[[subscription]]\nkind = \"blocks\"",
        "
nexum.toml:9:8: this engine has no \"message\" subscriptions yet
  help: it has \"block\", \"log\" and \"cron\"
nexum.toml:12:8: there is no kind of subscription \"blocks\"
  help: did you mean \"block\"?
",
    );
    check_line(
        "[[subscription]]
kind = \"block\"
chain_id = 1
[[subscription]]
kind = \"block\"
chain_id = 1
start = \"genesis\"
[[subscription]]
chain_id = 2
start = -1",
        "
nexum.toml:13:12: two subscriptions take the same blocks of chain 1
  nexum.toml:10:12: first here
  help: take one out, or give it another `every` or depth (`confirmations`, `finality`)
nexum.toml:14:9: `subscription.start` does not take \"genesis\"
  help: write \"latest\", or a block number without quotes
nexum.toml:15:1: `subscription.kind` is missing
  help: What the events are: \"block\", \"log\" or \"cron\"
nexum.toml:16:12: `subscription.chain_id` is 2, which is not in `chains.required` or `chains.optional`
  help: add 2 to `chains.required`
nexum.toml:17:9: `subscription.start` is -1, and the least is 0
  help: Where to begin as long as the module has no cursor: \"latest\", the chain's head, or the number of a block
",
    );
    check_line(
        "[subscription]\nkind = \"block\"",
        "
nexum.toml:8:1: `subscription` takes a list, not a table
  help: The events that the module gets
",
    );
}

#[test]
fn chains_are_ids() {
    check_module(
        &MODULE.replace("[1]", "[0, \"1\", 1, 1]"),
        "
nexum.toml:5:13: an entry of `chains.required` is 0, and the least is 1
  help: The chains without which the module does not start, by id
nexum.toml:5:16: an entry of `chains.required` takes a chain id, not a string
  help: The chains without which the module does not start, by id
nexum.toml:5:24: `chains.required` names 1 twice
  nexum.toml:5:21: first here
  help: take one out
",
    );
}

#[test]
fn config_holds_what_the_contract_can_say() {
    check_line(
        "[config]
when = 1979-05-27
list = [1, [2], 1.5, { a = 1 }]
\"a.b\" = 1
[config.a]
b = 2
c = 9999999999999999999",
        "
nexum.toml:9:8: `config.when` holds a date or time, which a module's config cannot have
  help: write a date or time as a string, or as an integer
nexum.toml:10:12: `config.list` holds a list, which a module's config cannot have
  help: lists do not nest: give each inner list a key of its own
nexum.toml:10:17: `config.list` holds a float, which a module's config cannot have
  help: an amount is an integer in base units or a string
nexum.toml:10:22: `config.list` holds a table, which a module's config cannot have
  help: a list holds strings, integers and booleans: give the table a key of its own
nexum.toml:13:1: two values have the same key once nested tables are dotted
  nexum.toml:11:1: first here
  help: rename one of them
nexum.toml:14:5: `config.a.c` does not fit in 64 bits
",
    );
}

#[test]
fn what_is_no_toml() {
    check_module(
        "[module\nname = 1\n",
        "
nexum.toml:1:8: this is not TOML: unclosed table, expected `]`
  help: see https://toml.io for how it is written
",
    );
    check_module(
        "[module]\nname = x\nname = \"x\"\nversion = = 1\n",
        "
nexum.toml:2:8: this is not TOML: string values must be quoted, expected literal string
  help: see https://toml.io for how it is written
nexum.toml:3:1: this is not TOML: duplicate key
  help: see https://toml.io for how it is written
nexum.toml:4:11: this is not TOML: extra `=`, expected nothing
  help: see https://toml.io for how it is written
",
    );
}

#[test]
fn columns_are_characters() {
    check_line(
        "[config]\n\"größe\" = 1.5",
        "
nexum.toml:9:11: `config.\"…\"` holds a float, which a module's config cannot have
  help: an amount is an integer in base units or a string
",
    );
}

#[test]
fn an_excerpt_has_nothing_that_a_terminal_obeys() {
    let errors = module("# \u{1b}[2J \u{9b}\n[module]\nname = \u{1b}]0;\u{7}\n").unwrap_err();
    let mut shown = String::new();
    let handler = miette::NarratableReportHandler::new();
    handler.render_report(&mut shown, &errors).unwrap();
    assert!(shown.contains("name = ?]0;?"), "{shown}");
    assert!(
        !shown.contains(|c: char| c.is_control() && c != '\n'),
        "{shown:?}"
    );
}

#[test]
fn a_file_of_nothing_but_problems_is_told_in_part() {
    let text: String = (0..500)
        .map(|number| format!("key{number} = 1\n"))
        .collect();
    let errors = module(&text).unwrap_err();
    assert_eq!(errors.problems().len(), 101);
    let last = errors.problems().last().unwrap();
    same(
        &format!("{last:#}"),
        "nexum.toml:99:1: there are 402 more problems from here on",
    );
}

#[test]
fn a_problem_can_be_read_by_a_program() {
    let errors = module(&format!("{MODULE}[config]\nprice = 1.5\n")).unwrap_err();
    let problems: Vec<_> = errors.problems().collect();
    assert_eq!(
        serde_json::to_value(problems).unwrap(),
        serde_json::json!([{
            "file": "nexum.toml",
            "line": 9,
            "column": 9,
            "message": "`config.price` holds a float, which a module's config cannot have",
            "help": "an amount is an integer in base units or a string",
        }])
    );
    assert_eq!(errors.summary().to_string(), "1 problem in nexum.toml");
}

#[test]
fn an_excerpt_labels_each_place_of_a_problem() {
    let second = "[[subscription]]\nkind = \"block\"\nchain_id = 1\n";
    let errors = module(&format!("{MODULE}{second}{second}")).unwrap_err();
    let mut shown = String::new();
    let handler = miette::NarratableReportHandler::new();
    handler
        .render_report(&mut shown, &errors.summary())
        .unwrap();
    for line in [
        "1 problem in nexum.toml",
        "two subscriptions take the same blocks of chain 1",
        "Begin snippet for nexum.toml starting at line 9, column 1",
        "snippet line 10: chain_id = 1",
        "label at line 10, column 12: first here",
        "label at line 13, column 12: again here",
        "diagnostic help: take one out, or give it another `every` or depth",
    ] {
        assert!(shown.contains(line), "{line} is not in\n{shown}");
    }
}

#[test]
fn subscriptions_and_configuration_have_their_places() {
    let text = r#"[module]
name = "x"
version = "0.1.0"

[chains]
required = [1]

[capabilities]
required = []

[[subscription]]
kind = "block"
chain_id = 1

[[subscription]]
kind = "log"
chain_id = 1
topics = ["*", "0x0000000000000000000000000000000000000000000000000000000000000001"]

[config]
threshold = 5
limits = { daily = 7 }
"#;
    let file = ModuleFile::parse("nexum.toml".as_ref(), text.to_owned()).unwrap();
    let places = file.places();
    let subscriptions: Vec<_> = places.subscriptions.iter().map(Place::to_string).collect();
    assert_eq!(subscriptions, ["nexum.toml:11:1", "nexum.toml:15:1"]);
    let config: Vec<_> = places
        .config
        .iter()
        .map(|(key, place)| format!("{key} {place}"))
        .collect();
    assert_eq!(
        config,
        [
            "limits.daily nexum.toml:22:20",
            "threshold nexum.toml:21:13"
        ]
    );
}
