//! What a wallet answers to, through `chain`: the module's own accounts, and transactions under the
//! operator's rules, each made once. The chain that modules send on is anvil.

use std::{fs, path::Path, time::Instant};

use nexum_engine::ModuleStatus;
use nexum_identity::{Key, KeyFile, KeyFolder, Password, Save, TypedData, WriteCost};
use nexum_testkit::{Anvil, RpcServer};
use nexum_types::{Address, U256};
use serde_json::{Value, json};

use crate::{
    evidence::State,
    exposition::{Scraped, scrape},
    log,
    metrics::until,
    world::{CHAIN, DEADLINE, Module, Via, World, name, receipt, server},
};

/// The chain of anvil's.
const SENDS_ON: u64 = 31338;
/// Anvil's first account, and its second.
const KEY: &str = "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";
const ACCOUNT: &str = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266";
const OTHER: &str = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8";
/// Who is paid.
const PAYEE: &str = "0x00000000000000000000000000000000000000AA";
const PASSWORD: &str = "hunter2 hunter2";
const ALL: [&str; 4] = ["accounts", "sign", "sign-typed-data", "send-transaction"];

/// Lets nearly everything through that goes to [`PAYEE`].
fn rule(more: &str) -> String {
    let ceilings = [
        ("max_value", "\"1 ether\""),
        ("max_value_per_day", "\"2 ether\""),
        ("max_fee_per_gas", "\"1000 gwei\""),
        ("max_fees_per_day", "\"1 ether\""),
    ];
    let ceilings: String = ceilings
        .iter()
        .filter(|(key, _)| !more.contains(&format!("{key} =")))
        .map(|(key, value)| format!("{key} = {value}\n"))
        .collect();
    format!("chains = [{SENDS_ON}]\nto = [\"{PAYEE}\"]\n{ceilings}{more}")
}

/// What modules may do with [`ACCOUNT`], by that rule.
fn given(names: &[&str], more: &str) -> String {
    let table = |name: &&str| {
        let grant = format!("[identity.modules.{name}]\naccounts = [\"{ACCOUNT}\"]\n");
        let rule = format!("[[identity.modules.{name}.transactions]]\n{}\n", rule(more));
        grant + &rule
    };
    names.iter().map(table).collect()
}

/// One of `fields` from the account to the payee.
fn transfer(fields: &str) -> String {
    format!("eth_sendTransaction [{{\"from\":\"{ACCOUNT}\",\"to\":\"{PAYEE}\"{fields}}}]")
}

/// A wallet that asks for these at each block.
fn wallet(name: &str, requests: &[String]) -> Module {
    wallet_that(name, &ALL, requests)
}

/// The same, whose manifest names just these of its accounts' methods.
fn wallet_that(name: &str, methods: &[&'static str], requests: &[String]) -> Module {
    Module::fixture("wallet")
        .named(name)
        .signs(methods)
        .asking(SENDS_ON)
        .config(&format!("on = {SENDS_ON}\nrequests = {requests:?}"))
}

async fn anvil(args: &[&str]) -> Anvil {
    let chain = SENDS_ON.to_string();
    let all = [&["--chain-id", &chain], args].concat();
    Anvil::start(all.into_iter().map(str::to_owned))
        .await
        .unwrap()
}

fn save(folder: &Path) {
    let key = Key::from_hex(KEY).unwrap();
    let text = KeyFile::write(&key, &Password::new(PASSWORD.to_owned()), WriteCost::Light);
    let folder = KeyFolder::new(folder.to_owned());
    folder
        .save(key.address(), &text.unwrap(), Save::ByAddress)
        .unwrap();
}

fn world(server: &RpcServer, anvil: &Anvil) -> World {
    with_keys(World::over(server, Via::Ws).chain(SENDS_ON, &anvil.http_url()))
}

fn with_keys(world: World) -> World {
    save(&world.path("keys"));
    fs::write(world.path("password"), PASSWORD).unwrap();
    world.identity("keystore = \"keys\"\npassword = { file = \"password\" }")
}

/// The same world, whose operator lets the module send on [`CHAIN`].
pub(crate) fn may_send(world: World, module: &str) -> World {
    let rules = given(&[module], "").replace(&SENDS_ON.to_string(), &CHAIN.to_string());
    with_keys(world).identity(&rules)
}

async fn ask(anvil: &Anvil, method: &str, params: Value) -> Value {
    anvil.rpc(method, params).await.unwrap()
}

fn number(value: &Value) -> u64 {
    value.as_str().unwrap().parse::<U256>().unwrap().to()
}

async fn balance(anvil: &Anvil, of: &str) -> U256 {
    let balance = ask(anvil, "eth_getBalance", json!([of, "latest"])).await;
    balance.as_str().unwrap().parse().unwrap()
}

/// The account's transactions, in the order of the chain: their nonces and values. The node has
/// mined all that it has taken.
async fn sent(anvil: &Anvil) -> Vec<(u64, u64)> {
    let count = async |at: &str| {
        let params = json!([ACCOUNT, at]);
        number(&ask(anvil, "eth_getTransactionCount", params).await)
    };
    let deadline = Instant::now() + DEADLINE;
    while count("latest").await != count("pending").await {
        assert!(Instant::now() < deadline, "not all is mined");
    }
    let head = number(&ask(anvil, "eth_blockNumber", json!([])).await);
    let mut sent = Vec::new();
    for block in 0..=head {
        let params = json!([format!("{block:#x}"), true]);
        let block = ask(anvil, "eth_getBlockByNumber", params).await;
        for transaction in block["transactions"].as_array().unwrap() {
            let from: Address = transaction["from"].as_str().unwrap().parse().unwrap();
            if from == ACCOUNT.parse::<Address>().unwrap() {
                sent.push((number(&transaction["nonce"]), number(&transaction["value"])));
            }
        }
    }
    sent
}

fn text(state: &State, key: &str) -> String {
    state.text(key).unwrap_or_else(|| panic!("no {key}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wallets_methods_are_answered_with_the_modules_accounts() {
    log::keep();
    let (server, anvil) = (server(1).await, anvil(&[]).await);
    let typed = format!(
        r#"{{"types":{{"Note":[{{"name":"text","type":"string"}}]}},"primaryType":"Note","domain":{{"name":"Nexum","chainId":{SENDS_ON}}},"message":{{"text":"hello"}}}}"#
    );
    let requests = [
        "accounts eth_accounts []".to_owned(),
        format!(
            "personal personal_sign [\"0x{}\",\"{ACCOUNT}\"]",
            hex::encode("hello")
        ),
        format!("typed eth_signTypedData_v4 [\"{ACCOUNT}\",{typed}]"),
        format!("text eth_signTypedData_v4 [\"{ACCOUNT}\",{}]", json!(typed)),
        "id eth_chainId []".to_owned(),
        format!("send {}", transfer(",\"value\":\"0x7\",\"type\":\"0x2\"")),
        "raw eth_sendRawTransaction [\"0x02\"]".to_owned(),
        format!("hash eth_sign [\"{ACCOUNT}\",\"0x{}\"]", "11".repeat(32)),
        "shape personal_sign [1]".to_owned(),
    ];
    let before = balance(&anvil, PAYEE).await;
    let world = world(&server, &anvil)
        .identity(&given(&["wallet-one", "wallet-all"], ""))
        .observed()
        .module(wallet("wallet-one", &requests))
        .module(wallet("wallet-all", &requests).config("batch = 1"));
    let engine = world.start().await;
    engine.delivered("wallet-one", 1).await;
    engine.delivered("wallet-all", 1).await;
    let scraped = scrape(engine.metrics()).await;
    engine.stop().await;

    let account: Address = ACCOUNT.parse().unwrap();
    let signer = |state: &State, name: &str, digest| {
        let signature: alloy_primitives::Signature =
            serde_json::from_str::<String>(&text(state, &format!("answer/{name}")))
                .unwrap()
                .parse()
                .unwrap();
        signature.recover_address_from_prehash(&digest).unwrap()
    };
    for module in ["wallet-one", "wallet-all"] {
        let state = world.state(module);
        let accounts: Vec<Address> =
            serde_json::from_str(&text(&state, "answer/accounts")).unwrap();
        assert_eq!(accounts, [account]);
        let message = alloy_primitives::eip191_hash_message(b"hello");
        assert_eq!(signer(&state, "personal", message), account);
        let digest = TypedData::parse(&typed).unwrap().digest();
        assert_eq!(signer(&state, "typed", digest), account);
        assert_eq!(signer(&state, "text", digest), account);
        assert_eq!(text(&state, "answer/id"), format!("\"{SENDS_ON:#x}\""));
        assert_eq!(text(&state, "kind/raw"), "denied -32601");
        assert_eq!(text(&state, "kind/hash"), "denied -32601");
        assert_eq!(text(&state, "kind/shape"), "invalid-input -32602");

        let hash: Value = serde_json::from_str(&text(&state, "answer/send")).unwrap();
        let receipt = receipt(&anvil, &hash).await;
        assert_eq!(receipt["status"], "0x1", "{receipt}");
        let lines = log::lines_of(module);
        let signed = lines.iter().filter(|line| line.message == "signed").count();
        assert_eq!(signed, 4, "{lines:?}");
        let labels = [("module", module), ("method", "send-transaction")];
        assert_eq!(scraped.value("nexum_module_signatures_total", &labels), 1.0);
    }
    assert_eq!(balance(&anvil, PAYEE).await - before, U256::from(14));
    assert_eq!(sent(&anvil).await, [(0, 7), (1, 7)]);
    let chain = SENDS_ON.to_string();
    let labels = [("account", ACCOUNT), ("chain", &chain), ("outcome", "sent")];
    assert_eq!(
        scraped.value("nexum_account_transactions_total", &labels),
        2.0
    );
}

/// anvil signs for its accounts as a web3signer does.
#[tokio::test(flavor = "multi_thread")]
async fn transactions_of_a_remote_signers_accounts_land_too() {
    let (server, anvil) = (server(2).await, anvil(&[]).await);
    let requests = [format!(
        "send {}",
        transfer(",\"value\":\"NUMBER\",\"data\":\"0x0102\"")
    )];
    let world = World::over(&server, Via::Ws)
        .chain(SENDS_ON, &anvil.http_url())
        .identity(&format!("remote_signer = \"{}\"", anvil.http_url()))
        .identity(&given(&["afar"], ""))
        .module(wallet("afar", &requests).config("strict = 1"));
    let engine = world.start().await;
    engine.delivered("afar", 2).await;
    engine.stop().await;
    assert_eq!(sent(&anvil).await, [(0, 1), (1, 2)]);
}

/// The operator's rules are a ceiling that no module gets over, and a refusal costs no nonce.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_operators_rules_do_not_let_through_is_not_signed() {
    log::keep();
    let (server, anvil) = (server(1).await, anvil(&[]).await);
    let to_other = transfer("").replace(PAYEE, OTHER);
    let create = format!("eth_sendTransaction [{{\"from\":\"{ACCOUNT}\",\"data\":\"0x00\"}}]");
    let refused = [
        ("value", transfer(",\"value\":\"0xb\""), "denied 0"),
        ("to", to_other, "denied 0"),
        ("create", create, "denied 0"),
        ("gas", transfer(",\"gas\":\"0xffffffff\""), "denied 0"),
        (
            "fee",
            transfer(",\"maxFeePerGas\":\"0xffffffffffff\""),
            "denied 0",
        ),
        ("account", transfer("").replace(ACCOUNT, OTHER), "denied 0"),
        ("nonce", transfer(",\"nonce\":\"0x0\""), "invalid-input 0"),
        ("old", transfer(",\"gasPrice\":\"0x1\""), "invalid-input 0"),
        (
            "none",
            "eth_sendTransaction []".to_owned(),
            "invalid-input 0",
        ),
    ];
    let mut requests: Vec<_> = refused
        .iter()
        .map(|(name, request, _)| format!("{name} {request}"))
        .collect();
    // Two are within a day's ceiling, and the third is over it.
    for name in ["first", "second", "third"] {
        requests.push(format!("{name} {}", transfer(",\"value\":\"0xa\"")));
    }
    let low = "max_value = \"10 wei\"\nmax_value_per_day = \"20 wei\"";
    let world = world(&server, &anvil)
        .identity(&given(&["held-back"], low))
        .identity(&format!(
            "[identity.modules.no-rule]\naccounts = [\"{ACCOUNT}\"]"
        ))
        .identity(&given(&["unasked"], ""))
        .module(wallet("held-back", &requests))
        .module(wallet("no-rule", &[format!("send {}", transfer(""))]))
        .module(wallet_that(
            "unasked",
            &["sign"],
            &[format!("send {}", transfer(""))],
        ));
    let engine = world.start().await;
    for module in ["held-back", "no-rule", "unasked"] {
        engine.delivered(module, 1).await;
    }
    engine.stop().await;
    let state = world.state("held-back");
    for (name, _, kind) in &refused {
        let told = text(&state, &format!("answer/{name}"));
        assert_eq!(
            text(&state, &format!("kind/{name}")),
            *kind,
            "{name}: {told}"
        );
    }
    assert_eq!(text(&state, "kind/first"), "ok");
    assert_eq!(text(&state, "kind/second"), "ok");
    assert_eq!(text(&state, "kind/third"), "denied 0");
    let third = text(&state, "answer/third");
    assert!(third.contains("max_value_per_day"), "{third}");
    let no_rule = text(&world.state("no-rule"), "answer/send");
    assert!(no_rule.contains("no rule of the operator's"), "{no_rule}");
    let unasked = text(&world.state("unasked"), "answer/send");
    assert!(unasked.contains("send-transaction"), "{unasked}");
    let signed = |module: &str| {
        let lines = log::lines_of(module);
        lines.iter().filter(|line| line.message == "signed").count()
    };
    let signatures = ["held-back", "no-rule", "unasked"].map(signed);
    assert_eq!(signatures, [2, 0, 0]);
    assert_eq!(sent(&anvil).await, [(0, 10), (1, 10)]);

    // What was sent is known after a restart, and counts.
    drop(state);
    server.chain().mine(1);
    let engine = world.start().await;
    engine.delivered("held-back", 1).await;
    engine.stop().await;
    assert_eq!(text(&world.state("held-back"), "kind/first"), "denied 0");
    assert_eq!(sent(&anvil).await.len(), 2);
}

/// However often a call is made until it is committed, its transactions are made once.
#[tokio::test(flavor = "multi_thread")]
async fn a_calls_transactions_are_made_once_over_all_its_attempts() {
    let (server, anvil) = (server(2).await, anvil(&[]).await);
    let requests = [
        format!("one {}", transfer(",\"value\":\"NUMBER\"")),
        format!("two {}", transfer(",\"value\":\"0x64\"")),
    ];
    let world = world(&server, &anvil)
        .identity(&given(&["insists"], ""))
        .module(wallet("insists", &requests).config("failures = 3"))
        .impatient();
    let engine = world.start().await;
    engine.delivered("insists", 2).await;
    engine.stop().await;
    let state = world.state("insists");
    for name in ["one", "two"] {
        let first = text(&state, &format!("attempt/0/{name}"));
        assert!(first.starts_with("\"0x"), "{first}");
        for attempt in 1..3 {
            assert_eq!(text(&state, &format!("attempt/{attempt}/{name}")), first);
        }
        assert_eq!(text(&state, &format!("00000001/{name}")), first);
        // The next call's are its own.
        assert_ne!(text(&state, &format!("00000002/{name}")), first);
    }
    assert_eq!(sent(&anvil).await, [(0, 1), (1, 100), (2, 2), (3, 100)]);
}

/// What was not sent has no place among a call's transactions: an attempt that fares otherwise with
/// it finds what the one before has sent.
#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_fails_takes_no_place_among_a_calls_transactions() {
    let (server, anvil) = (server(1).await, anvil(&[]).await);
    let cheap = ",\"value\":\"0x5\",\"maxFeePerGas\":\"0x1\",\"maxPriorityFeePerGas\":\"0x1\"";
    let requests = [
        format!("over {}", transfer(",\"value\":\"0xffffffffffffffffff\"")),
        format!("cheap {}", transfer(cheap)),
        format!("pay {}", transfer(",\"value\":\"0x6\"")),
    ];
    let world = world(&server, &anvil)
        .identity(&given(&["tries-again"], ""))
        .module(wallet("tries-again", &requests).config("failures = 2"))
        .impatient();
    let engine = world.start().await;
    engine.delivered("tries-again", 1).await;
    engine.stop().await;
    let state = world.state("tries-again");
    let first = text(&state, "attempt/0/pay");
    assert!(first.starts_with("\"0x"), "{first}");
    assert_eq!(text(&state, "kind/over"), "denied 0");
    // The first attempt's was refused by the chain; then it stands for what was sent instead.
    assert_eq!(text(&state, "kind/cheap"), "invalid-input 0");
    for attempt in 1..3 {
        assert_eq!(text(&state, &format!("attempt/{attempt}/pay")), first);
    }
    assert_eq!(sent(&anvil).await, [(0, 6)]);
}

/// A call whose event was parked is still the same one when the letter is given once more, whatever
/// came between.
#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letters_transactions_are_those_of_its_event() {
    let (server, anvil) = (server(1).await, anvil(&[]).await);
    let requests = [format!("pay {}", transfer(",\"value\":\"NUMBER\""))];
    let parks = wallet("parks", &requests)
        .config("failures = 2")
        .restarted("max_consecutive_failures = 2\non_failure = \"dead-letter\"");
    let world = world(&server, &anvil)
        .identity(&given(&["parks"], ""))
        .module(parks)
        .impatient();
    let engine = world.start().await;
    let parked = |status: &ModuleStatus| status.letters == 1;
    engine.until("parks", "its event is parked", parked).await;
    server.chain().mine(1);
    engine.reaches("parks", 2).await;
    let (operator, parks) = (engine.operator(), name("parks"));
    let retried = operator.order_letters(&parks, true, Vec::new()).await;
    assert_eq!(retried.unwrap(), 1);
    let handled = |status: &ModuleStatus| status.letters == 0;
    engine
        .until("parks", "the letter is handled", handled)
        .await;
    engine.stop().await;
    let state = world.state("parks");
    assert_eq!(text(&state, "00000001/pay"), text(&state, "attempt/0/pay"));
    assert_eq!(sent(&anvil).await, [(0, 1), (1, 2)]);
}

/// An attempt that asks for another transaction than the one before it gets neither.
#[tokio::test(flavor = "multi_thread")]
async fn another_attempt_that_asks_for_something_else_is_told_what_was_sent() {
    let (server, anvil) = (server(1).await, anvil(&[]).await);
    // The node answers with another balance once the transfer has landed.
    let fickle = wallet(
        "fickle",
        &[format!("pay {}", transfer(",\"value\":\"0x5\""))],
    );
    let changed = wallet(
        "fickle",
        &[format!("pay {}", transfer(",\"value\":\"0x6\""))],
    );
    let world = world(&server, &anvil)
        .identity(&given(&["fickle"], ""))
        .module(fickle.config("failures = 1"))
        .patient();
    let engine = world.start().await;
    engine.failed("fickle", 1).await;
    engine.stop().await;
    world.bundle(&changed.config("failures = 1"), "fickle");
    let engine = world.start().await;
    engine.delivered("fickle", 1).await;
    engine.stop().await;
    let state = world.state("fickle");
    let first = text(&state, "attempt/0/pay");
    assert_eq!(text(&state, "kind/pay"), "invalid-input 0");
    let hash: String = serde_json::from_str(&first).unwrap();
    assert_eq!(text(&state, "data/pay"), hash);
    assert_eq!(sent(&anvil).await, [(0, 5)]);
}

/// What would be reverted is not sent, and the module gets the data of the revert.
#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_is_tried_out_before_it_is_signed() {
    let (server, anvil) = (server(1).await, anvil(&[]).await);
    // Reverts with the four bytes 0xdeadbeef.
    let code = "0x63deadbeef60e01b60005260046000fd";
    ask(&anvil, "anvil_setCode", json!([PAYEE, code])).await;
    let world = world(&server, &anvil)
        .identity(&given(&["reverts"], ""))
        .module(wallet("reverts", &[format!("send {}", transfer(""))]));
    let engine = world.start().await;
    engine.delivered("reverts", 1).await;
    engine.stop().await;
    let state = world.state("reverts");
    assert_eq!(text(&state, "kind/send"), "invalid-input 3");
    assert_eq!(text(&state, "data/send"), "0xdeadbeef");
    assert_eq!(sent(&anvil).await, []);
}

/// One that the chain refuses leaves no gap: the next has its nonce.
#[tokio::test(flavor = "multi_thread")]
async fn the_nonce_of_a_refused_transaction_is_the_next_ones() {
    let (server, anvil) = (server(1).await, anvil(&[]).await);
    let requests = [
        // Less than any block's base fee, which only shows when it is handed over.
        format!(
            "cheap {}",
            transfer(",\"maxFeePerGas\":\"0x1\",\"maxPriorityFeePerGas\":\"0x1\"")
        ),
        format!("fair {}", transfer(",\"value\":\"0x1\"")),
    ];
    let world = world(&server, &anvil)
        .identity(&given(&["refused"], ""))
        .observed()
        .module(wallet("refused", &requests));
    let engine = world.start().await;
    engine.delivered("refused", 1).await;
    let scraped = scrape(engine.metrics()).await;
    engine.stop().await;
    let state = world.state("refused");
    assert_ne!(text(&state, "kind/cheap"), "ok");
    assert_eq!(text(&state, "kind/fair"), "ok");
    assert_eq!(sent(&anvil).await, [(0, 1)]);
    let chain = SENDS_ON.to_string();
    let labels = |outcome| {
        [
            ("account", ACCOUNT),
            ("chain", &*chain),
            ("outcome", outcome),
        ]
    };
    assert_eq!(
        scraped.value("nexum_account_transactions_total", &labels("refused")),
        1.0
    );
}

/// A call whose transaction was refused makes it anew, in the place of the first: one lands.
#[tokio::test(flavor = "multi_thread")]
async fn a_refused_transaction_is_made_anew_in_its_own_place() {
    log::keep();
    let (server, anvil) = (server(1).await, anvil(&[]).await);
    let cheap =
        transfer(",\"value\":\"0x3\",\"maxFeePerGas\":\"0x1\",\"maxPriorityFeePerGas\":\"0x1\"");
    let world = world(&server, &anvil)
        .identity(&given(&["waits-for-less"], ""))
        .module(
            wallet("waits-for-less", &[format!("pay {cheap}")])
                .config("strict = 1")
                .restarted("max_consecutive_failures = 10000"),
        )
        .impatient();
    let engine = world.start().await;
    engine.failed("waits-for-less", 2).await;
    assert_eq!(sent(&anvil).await, []);
    // From now on it is enough.
    ask(&anvil, "anvil_setNextBlockBaseFeePerGas", json!(["0x0"])).await;
    anvil.mine(1).await.unwrap();
    ask(&anvil, "anvil_setNextBlockBaseFeePerGas", json!(["0x0"])).await;
    engine.delivered("waits-for-less", 1).await;
    engine.stop().await;
    assert_eq!(sent(&anvil).await, [(0, 3)]);
}

/// Modules that share an account leave no gap and use no nonce twice.
#[tokio::test(flavor = "multi_thread")]
async fn modules_share_an_accounts_nonces() {
    const BLOCKS: u64 = 4;
    let (server, anvil) = (server(BLOCKS).await, anvil(&[]).await);
    let names = ["shares-a", "shares-b", "shares-c"];
    let requests = [format!("send {}", transfer(",\"value\":\"NUMBER\""))];
    let modules = names.map(|name| wallet(name, &requests).config("strict = 1"));
    let world = world(&server, &anvil)
        .identity(&given(&names, ""))
        .modules(modules);
    let engine = world.start().await;
    for name in names {
        engine.delivered(name, BLOCKS).await;
    }
    engine.stop().await;
    let sent = sent(&anvil).await;
    let nonces: Vec<_> = sent.iter().map(|(nonce, _)| *nonce).collect();
    let count = names.len() as u64 * BLOCKS;
    assert_eq!(nonces, (0..count).collect::<Vec<_>>());
    for block in 1..=BLOCKS {
        let of_block = sent.iter().filter(|(_, value)| *value == block).count();
        assert_eq!(of_block, names.len(), "{sent:?}");
    }
}

/// The chain forgets a transaction, and another one of the account takes the nonce of the next.
#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_transaction_is_handed_over_again_and_a_replaced_one_told() {
    log::keep();
    let (server, anvil) = (server(1).await, anvil(&["--no-mining"]).await);
    let requests = [format!("send {}", transfer(",\"value\":\"NUMBER\""))];
    let world = world(&server, &anvil)
        .identity(&given(&["forgotten"], ""))
        .observed()
        .module(wallet("forgotten", &requests).config("strict = 1"));
    let engine = world.start().await;
    engine.delivered("forgotten", 1).await;
    let hash = |state: &State, number: u64| -> Value {
        serde_json::from_str(&text(state, &format!("{number:08}/send"))).unwrap()
    };
    engine.stop().await;
    let first = hash(&world.state("forgotten"), 1);
    let known = async || {
        let found = ask(&anvil, "eth_getTransactionByHash", json!([first])).await;
        !found.is_null()
    };
    assert!(known().await);
    ask(&anvil, "anvil_dropTransaction", json!([first])).await;
    assert!(!known().await);

    // Whoever starts next looks after it, whatever becomes of the module.
    let engine = world.start().await;
    log::says(
        "forgotten",
        "the chain does not have the transaction: it is handed over again",
    )
    .await;
    let deadline = Instant::now() + DEADLINE;
    while !known().await {
        assert!(Instant::now() < deadline, "it is not handed over again");
    }
    anvil.mine(1).await.unwrap();
    log::says("forgotten", "the transaction is in a block").await;

    server.chain().mine(1);
    engine.delivered("forgotten", 1).await;
    let second = json!({ "from": ACCOUNT, "to": PAYEE, "value": "0x0", "nonce": "0x1",
        "gasPrice": "0x174876e800" });
    ask(&anvil, "anvil_dropAllTransactions", json!([])).await;
    ask(&anvil, "eth_sendTransaction", json!([second])).await;
    anvil.mine(1).await.unwrap();
    log::says(
        "forgotten",
        "the transaction was replaced: another one of its account, which this engine has not sent, has its nonce",
    )
    .await;
    let chain = SENDS_ON.to_string();
    let counted = |scraped: &Scraped, outcome| {
        let labels = [
            ("account", ACCOUNT),
            ("chain", &*chain),
            ("outcome", outcome),
        ];
        scraped.get("nexum_account_transactions_total", &labels)
    };
    // What is logged is counted right after.
    let (scraped, ()) = until(engine.metrics(), "it is counted", |scraped| {
        (counted(scraped, "replaced") >= Some(1.0)).then_some(())
    })
    .await;
    engine.stop().await;
    assert!(counted(&scraped, "resent") >= Some(1.0));
    assert_eq!(counted(&scraped, "landed"), Some(1.0));
    assert_eq!(counted(&scraped, "replaced"), Some(1.0));
    assert_eq!(sent(&anvil).await, [(0, 1), (1, 0)]);
}

/// The block that a transaction is in leaves the chain, and takes it along: it lands again, as it was.
#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_whose_block_leaves_the_chain_lands_again() {
    log::keep();
    let (server, anvil) = (server(1).await, anvil(&[]).await);
    let requests = [format!("send {}", transfer(",\"value\":\"NUMBER\""))];
    let world = world(&server, &anvil)
        .identity(&given(&["reorged"], ""))
        .module(wallet("reorged", &requests).config("strict = 1"));
    let engine = world.start().await;
    engine.delivered("reorged", 1).await;
    log::says("reorged", "the transaction is in a block").await;
    engine.stop().await;
    assert_eq!(sent(&anvil).await, [(0, 1)]);

    ask(&anvil, "anvil_reorg", json!([1, []])).await;
    assert_eq!(sent(&anvil).await, []);
    // The first look after a start is at all whose fate can change.
    let engine = world.start().await;
    log::says("reorged", "the transaction is in no block any more").await;
    let deadline = Instant::now() + DEADLINE;
    while sent(&anvil).await != [(0, 1)] {
        assert!(Instant::now() < deadline, "it does not land again");
    }
    engine.stop().await;
}
