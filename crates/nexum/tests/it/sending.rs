//! An engine that is killed while it sends transactions sends each once; and what it sends is seen
//! from the command line.

use std::{fs, thread, time::Duration};

use nexum_testkit::{Address, U256};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use serde_json::{Value, json};

use crate::{
    engine::eventually,
    folder::{Folder, component, stderr, stdout},
    money::{IDENTITY, Money, keep_key},
    node::{CHAIN, Node},
};

const KILLS: u64 = 100;
/// The chain of anvil's, on which is sent.
const SENDS_ON: u64 = 31338;
const PAYEE: &str = "0x00000000000000000000000000000000000000AA";
/// Modules that send from the same account.
const MODULES: [&str; 2] = ["pays", "pays-too"];

/// The manifest of a module that sends a transfer of as many wei as its number, at each block.
fn manifest(name: &str, account: Address) -> String {
    let transfer = format!(
        "pay eth_sendTransaction [{{\"from\":\"{account}\",\"to\":\"{PAYEE}\",\"value\":\"NUMBER\"}}]"
    );
    format!(
        "[module]\nname = \"{name}\"\nversion = \"1.0.0\"\n\
         [chains]\nrequired = [{CHAIN}, {SENDS_ON}]\n\
         [capabilities]\nrequired = [\"chain\", \"local-store\", \"identity\"]\n\
         [capabilities.identity]\nmethods = [\"send-transaction\"]\n\
         [config]\non = {SENDS_ON}\nstrict = 1\nrequests = [{transfer:?}]\n\
         [[subscription]]\nkind = \"block\"\nchain_id = {CHAIN}\nstart = 1\n"
    )
}

/// A folder in which modules pay from one account, which is answered too, at every block of the
/// node's, on the chain that has money.
fn paying(modules: &[&str], node: &Node, money: &Money) -> (Folder, Address) {
    let folder = Folder::empty();
    let account = keep_key(&folder);
    for module in modules {
        folder.bundle(module, &manifest(module, account), &component("wallet"));
    }
    folder.engine_file("", &node.ws(), modules);
    let mut lines = format!(
        "[[chains.{SENDS_ON}.endpoints]]\nurl = {:?}\n{IDENTITY}",
        money.anvil.http_url()
    );
    for module in modules {
        lines += &format!(
            "[identity.modules.{module}]\naccounts = [\"{account}\"]\n\
             [[identity.modules.{module}.transactions]]\nchains = [{SENDS_ON}]\n\
             to = [\"{PAYEE}\"]\nmax_value = \"1 gwei\"\nmax_value_per_day = \"1 ether\"\n\
             max_fee_per_gas = \"1000 gwei\"\nmax_fees_per_day = \"1000 ether\"\n"
        );
    }
    folder.append("nexum-engine.toml", &lines);
    (folder, account)
}

/// Given modules that each pay at every block from one account, when the engine is killed 100 times
/// while they do, then each transfer lands once, and the account's nonces have no gap.
#[test]
fn each_transfer_lands_once_however_often_the_engine_is_killed() {
    let seed = rand::random();
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let (node, money) = (Node::at(0), Money::on(SENDS_ON));
    let (folder, account) = paying(&MODULES, &node, &money);

    let (mut cut_short, mut longest_ms) = (0, 80);
    for _ in 0..KILLS {
        let before = money.landed(account);
        let engine = folder.run();
        engine.wait_for_line("module is running");
        node.chain().mine(2);
        // Where it is when it is killed is what is being tried out.
        thread::sleep(Duration::from_millis(random.random_range(1..=longest_ms)));
        engine.kill();
        let landed = money.landed(account);
        let all = node.chain().head().number * MODULES.len() as u64;
        cut_short += u64::from(landed > before && landed < all);
        // On a machine that sends nothing in this time, every kill would come before it.
        if cut_short == 0 && landed == before {
            longest_ms *= 2;
        }
    }
    let head = node.chain().head().number;
    let engine = folder.run();
    for module in MODULES {
        eventually(&format!("{module} is at the head"), || {
            (folder.committed(module)? == head).then_some(())
        });
    }
    let count = head * MODULES.len() as u64;
    eventually("all has landed", || {
        (money.landed(account) >= count).then_some(())
    });
    let ended = engine.stop();
    assert_eq!(ended.code, Some(0), "{ended:?}");

    let sent = money.sent(account);
    let nonces: Vec<_> = sent.iter().map(|(nonce, _)| *nonce).collect();
    assert_eq!(nonces, (0..count).collect::<Vec<_>>());
    let mut values: Vec<_> = sent.iter().map(|(_, value)| *value).collect();
    values.sort_unstable();
    let each_once = (1..=head).flat_map(|block| [U256::from(block); MODULES.len()]);
    assert_eq!(values, each_once.collect::<Vec<_>>());
    assert!(cut_short > 0, "no kill came while something was sent");
    println!("{count} transfers, {KILLS} kills, {cut_short} of them with some landed and some not");
}

/// What `nexum transaction` prints as JSON.
fn told(folder: &Folder, args: &[&str]) -> Value {
    let output = folder.nexum(&[&["transaction"], args, &["--json"]].concat());
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    serde_json::from_str(&stdout(&output)).unwrap()
}

/// Given a chain that takes a transaction and mines nothing, then it is listed as pending, with
/// everything that was signed; once it is in a block, as landed, with an engine and without one.
#[test]
fn transactions_are_seen_with_an_engine_and_without() {
    let (node, money) = (Node::at(0), Money::on(SENDS_ON));
    let (folder, account) = paying(&["pays"], &node, &money);
    assert_eq!(money.ask("evm_setAutomine", json!([false])), Value::Null);
    let engine = folder.run();
    engine.wait_for_line("module is running");
    assert_eq!(told(&folder, &["list"]), json!([]));
    node.chain().mine(1);
    let sent = eventually("it is pending", || {
        let listed = told(&folder, &["list", "--pending"]);
        listed.as_array().unwrap().first().cloned()
    });
    let hash = sent["hash"].as_str().unwrap();
    let known = money.ask("eth_getTransactionByHash", json!([hash]));
    assert_eq!(known["from"], json!(account.to_string().to_lowercase()));
    for (key, value) in [
        ("module", json!("pays")),
        ("chain_id", json!(SENDS_ON)),
        ("account", json!(account.to_string())),
        ("nonce", json!(0)),
        ("to", json!(PAYEE.parse::<Address>().unwrap().to_string())),
        ("value", json!("1")),
        ("input", json!("0x")),
        ("gas", json!(21_000)),
        ("fate", json!("pending")),
        ("is_final", json!(false)),
    ] {
        assert_eq!(sent[key], value, "{key} of {sent}");
    }
    for (key, of_anvil) in [
        ("max_fee_per_gas", "maxFeePerGas"),
        ("max_priority_fee_per_gas", "maxPriorityFeePerGas"),
    ] {
        let price = known[of_anvil].as_str().unwrap().parse::<U256>();
        assert_eq!(sent[key], json!(price.unwrap().to_string()), "{key}");
    }
    assert!(
        sent["event"].as_str().unwrap().ends_with("-block"),
        "{sent}"
    );
    assert_eq!(told(&folder, &["list", "--module", "others"]), json!([]));

    money.ask("evm_mine", json!([]));
    eventually("it has landed", || {
        (told(&folder, &["show", hash])["fate"] == "landed").then_some(())
    });
    assert_eq!(told(&folder, &["list", "--pending"]), json!([]));
    let landed = told(&folder, &["show", hash]);
    assert_eq!(landed["block"], 1);
    let shown = stdout(&folder.nexum(&["transaction", "show", "1"]));
    assert!(shown.contains("value        1 wei\n"), "{shown}");
    assert!(
        shown.contains("landed, in block 1, not final yet\n"),
        "{shown}"
    );
    let ended = engine.stop();
    assert_eq!(ended.code, Some(0), "{ended:?}");

    let file = folder.path("state/transactions.redb");
    let before = fs::read(&file).unwrap();
    assert_eq!(told(&folder, &["show", hash]), landed);
    assert_eq!(told(&folder, &["list"]), json!([landed]));
    let listed = stdout(&folder.nexum(&["transaction", "list"]));
    assert!(
        listed.starts_with("ID  SIGNED") && listed.contains(hash),
        "{listed}"
    );
    assert_eq!(fs::read(&file).unwrap(), before, "looking has written");
    let nobodys = format!("0x{}", "00".repeat(32));
    let unknown = folder.nexum(&["transaction", "show", &nobodys]);
    assert_eq!(unknown.status.code(), Some(4));
    assert!(stderr(&unknown).contains(&format!("no transaction {nobodys}")));
    for none in ["abc", "0x12", "-1"] {
        let none = folder.nexum(&["transaction", "show", "--", none]);
        assert_eq!(none.status.code(), Some(2), "{}", stderr(&none));
    }
    let others = folder.nexum(&["transaction", "list", "--module", "others"]);
    let told = "no transactions of a module named others\n";
    assert_eq!(stdout(&others), told);
}
