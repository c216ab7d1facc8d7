//! The shipped module `fee-guard` from end to end: a schedule, reads of a chain, transfers that it
//! has sent, and a webhook behind TLS with a credential of the operator's; killed again and again,
//! and with every secret looked for in everything that comes out.

use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::Duration,
};

use nexum_testkit::{
    Address, U256, guests,
    web::{Authority, Reply, WebServer},
};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use serde_json::{Value, json};

use crate::{
    engine::{eventually, first_events, get},
    folder::{Folder, stderr, stdout},
    money::{IDENTITY, KEY, Money, PASSWORD, keep_key},
    node::CHAIN,
};

/// Anvil's second account, and its third.
const WATCHED: [&str; 2] = [
    "0x70997970C51812dc3A010C7d01b50e0d17dc79C8",
    "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC",
];
const CREDENTIAL: &str = "Bearer plantedwebhooktoken";
const ENDPOINT: [&str; 3] = ["planteduser", "plantedendpointpassword", "plantedquery"];
/// So many requests the webhook is too busy for at first.
const BUSY: usize = 3;
/// How often the accounts are emptied.
const ROUNDS: usize = 5;

fn ether(text: &str) -> U256 {
    // Tenths, which is all that is needed here.
    let tenths: u64 = text.replace('.', "").parse().unwrap();
    U256::from(tenths) * U256::from(10).pow(U256::from(17))
}

/// The module's own manifest, on a clock that waits a second instead of a minute.
fn manifest(webhook: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../modules/fee-guard/nexum.toml");
    let shipped = fs::read_to_string(path).unwrap();
    let changed = shipped
        .replace("every = \"1m\"", "every = \"1s\"")
        .replace("hooks.example.org\"]", &format!("{webhook}\"]"));
    assert!(changed.contains("\"1s\"") && changed.contains(webhook));
    changed
}

/// Everything that is to be told nowhere.
fn secrets() -> Vec<String> {
    let mut secrets = vec![KEY.to_owned(), KEY.to_uppercase(), PASSWORD.to_owned()];
    secrets.push(CREDENTIAL.replace("Bearer ", ""));
    secrets.extend(ENDPOINT.map(str::to_owned));
    secrets
}

fn clean(what: &str, text: &[u8]) {
    for secret in secrets() {
        let found = text
            .windows(secret.len())
            .any(|part| part == secret.as_bytes());
        assert!(
            !found,
            "{secret} in {what}: {}",
            String::from_utf8_lossy(text)
        );
    }
}

/// Given accounts that run low again and again, when the engine is killed at any moment, then each
/// gets what it lacks, once; the webhook is told of each with the operator's credential; and no
/// secret is told to anybody.
#[test]
fn each_account_is_topped_up_once_whatever_crashes_and_no_secret_is_told() {
    let seed = rand::random();
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let money = Money::on(CHAIN);
    let authority = Authority::new().unwrap();
    let asked = AtomicUsize::new(0);
    let server = WebServer::start_tls(&authority, &["127.0.0.1"], move |_| {
        let is_busy = asked.fetch_add(1, Ordering::Relaxed) < BUSY;
        Reply::new(if is_busy { 503 } else { 204 }, &[], "")
    });
    let webhook = money.block_on(server).unwrap();
    let host = webhook.url().replace("https://", "");

    let folder = Folder::empty();
    let payer = keep_key(&folder);
    folder.write("ca.pem", authority.pem());
    folder.write("webhook", format!("{CREDENTIAL}\n"));
    let component = guests::module("fee-guard").unwrap();
    folder.bundle("fee-guard", &manifest(&host), &component);
    let [user, password, query] = ENDPOINT;
    let endpoint = money
        .anvil
        .http_url()
        .replace("http://", &format!("http://{user}:{password}@"));
    let endpoint = format!("{endpoint}/?key={query}");
    folder.engine_file("log.level = \"trace\"", &endpoint, &[]);
    folder.append(
        "nexum-engine.toml",
        &format!(
            "[[modules]]\npath = \"fee-guard\"\nconfig = {{ webhook = \"https://{host}/told\" }}\n\
             [http]\nallow_private = [{host:?}]\nca_file = \"ca.pem\"\n\
             [[http.credentials]]\nhost = {host:?}\nheader = \"authorization\"\n\
             value = {{ file = \"webhook\" }}\nmodules = [\"fee-guard\"]\n\
             {IDENTITY}[identity.modules.fee-guard]\naccounts = [\"{payer}\"]\n\
             [[identity.modules.fee-guard.transactions]]\nchains = [{CHAIN}]\n\
             to = {WATCHED:?}\nmax_value = \"2 ether\"\nmax_value_per_day = \"100 ether\"\n\
             max_fee_per_gas = \"1000 gwei\"\nmax_fees_per_day = \"10 ether\"\n"
        ),
    );
    let checked = folder.nexum(&["config", "check"]);
    assert_eq!(checked.status.code(), Some(0), "{}", stderr(&checked));
    clean("config check", &[checked.stdout, checked.stderr].concat());

    let watched = WATCHED.map(|account| account.parse::<Address>().unwrap());
    let mut log = String::new();
    let mut kills = 0;
    for _ in 0..ROUNDS {
        for account in watched {
            let low = format!("{:#x}", ether("0.1"));
            money.ask("anvil_setBalance", json!([account, low]));
        }
        while watched.iter().any(|it| money.balance(*it) < ether("0.5")) {
            let engine = folder.run();
            engine.wait_for_line("module is running");
            // Where it is when it is killed is what is being tried out.
            thread::sleep(Duration::from_millis(random.random_range(1..=1_300)));
            let ended = engine.kill();
            log += &(ended.log + &ended.stderr);
            kills += 1;
        }
        for account in watched {
            assert_eq!(money.balance(account), ether("2.0"), "{account}");
        }
    }

    let engine = folder.run();
    engine.wait_for_line("module is running");
    let count = ROUNDS * watched.len();
    let told = |kind: &str| -> BTreeSet<String> {
        let seen = webhook.seen();
        let bodies = seen
            .iter()
            .map(|it| serde_json::from_slice(&it.body).unwrap());
        let of_kind = bodies.filter(|body: &Value| body["kind"] == kind);
        of_kind
            .map(|body| body["hash"].as_str().unwrap().to_owned())
            .collect()
    };
    eventually("the webhook is told of each", || {
        (told("landed").len() == count).then_some(())
    });
    assert_eq!(told("landed"), told("topped-up"));
    assert!(told("failed").is_empty());
    for request in webhook.seen() {
        assert_eq!(request.header("authorization"), Some(CREDENTIAL));
        clean("what the webhook is told", &request.body);
    }
    let metrics = get(engine.metrics(), "/metrics");
    assert!(
        metrics.contains("nexum_account_transactions_total"),
        "{metrics}"
    );
    clean("metrics", metrics.as_bytes());
    clean("health", get(engine.health(), "/health").as_bytes());
    clean("the status page", first_events(engine.health()).as_bytes());
    let listed = folder.nexum(&["module", "list", "--json"]);
    clean("module list", &listed.stdout);
    let ended = engine.stop();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    log += &(ended.log + &ended.stderr);
    clean("the logs", log.as_bytes());
    let lines = log
        .lines()
        .filter(|line| line.contains("\"message\":\"signed\""));
    let mut audited = BTreeSet::new();
    for line in lines {
        let line: Value = serde_json::from_str(line).unwrap();
        let text = |key: &str| line[key].as_str().unwrap_or_default().to_owned();
        assert_eq!(
            (text("module"), text("method")),
            ("fee-guard".into(), "send-transaction".into())
        );
        assert_eq!(
            (text("account"), text("chain")),
            (payer.to_string(), CHAIN.to_string())
        );
        assert!(text("event").ends_with("-tick"), "{line}");
        assert!(watched.contains(&text("to").parse().unwrap()), "{line}");
        assert_eq!(text("value"), ether("1.9").to_string());
        assert!(line["nonce"].as_u64().unwrap() < count as u64);
        assert_eq!(text("digest").len(), 66);
        audited.insert(text("hash"));
    }
    // A kill may take a line with it that was not written yet.
    assert!(!audited.is_empty() && audited.is_subset(&told("landed")));
    let listed = folder.nexum(&["transaction", "list", "--json"]);
    assert!(stdout(&listed).contains("\"module\":\"fee-guard\""));
    clean("transaction list", &listed.stdout);
    let inspected = stdout(&folder.nexum(&["state", "inspect", "fee-guard"]));
    assert!(inspected.contains("plan/"), "{inspected}");
    for file in ["modules/fee-guard.redb", "transactions.redb"] {
        let bytes = fs::read(folder.path("state").join(file)).unwrap();
        assert!(!bytes.is_empty());
        clean(file, &bytes);
    }

    let sent = money.sent(payer);
    let nonces: Vec<_> = sent.iter().map(|(nonce, _)| *nonce).collect();
    assert_eq!(nonces, (0..count as u64).collect::<Vec<_>>());
    assert!(sent.iter().all(|(_, value)| *value == ether("1.9")));
    println!("{count} top-ups, {kills} kills");
}
