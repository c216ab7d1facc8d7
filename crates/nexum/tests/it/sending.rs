//! An engine that is killed while it sends transactions sends each once.

use std::{thread, time::Duration};

use nexum_identity::{Key, KeyFile, KeyFolder, Password, Save, WriteCost};
use nexum_testkit::{Address, Anvil, U256};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::{
    engine::eventually,
    folder::{Folder, component},
    node::{CHAIN, Node},
};

const KILLS: u64 = 100;
/// The chain of anvil's, on which is sent.
const SENDS_ON: u64 = 31338;
/// Anvil's first account.
const KEY: &str = "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";
const PAYEE: &str = "0x00000000000000000000000000000000000000AA";
const PASSWORD: &str = "hunter2 hunter2";
/// Modules that send from the same account.
const MODULES: [&str; 2] = ["pays", "pays-too"];

/// anvil, on a runtime of its own.
struct Money {
    anvil: Anvil,
    runtime: Runtime,
}

impl Money {
    fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let chain = SENDS_ON.to_string();
        let anvil = runtime.block_on(Anvil::start(["--chain-id", &chain]));
        Self {
            anvil: anvil.unwrap(),
            runtime,
        }
    }

    fn ask(&self, method: &str, params: Value) -> Value {
        self.runtime
            .block_on(self.anvil.rpc(method, params))
            .unwrap()
    }

    /// How many of the account's transactions have landed.
    fn landed(&self, account: Address) -> u64 {
        number(&self.ask("eth_getTransactionCount", json!([account, "latest"])))
    }

    /// The account's transactions, in the order of the chain: their nonces and values.
    fn sent(&self, account: Address) -> Vec<(u64, u64)> {
        let head = number(&self.ask("eth_blockNumber", json!([])));
        let blocks = (1..=head).map(|block| {
            let params = json!([format!("{block:#x}"), true]);
            self.ask("eth_getBlockByNumber", params)["transactions"].clone()
        });
        let all = blocks.flat_map(|block| block.as_array().unwrap().clone());
        let its = all.filter(|it| it["from"].as_str().unwrap().parse() == Ok(account));
        its.map(|it| (number(&it["nonce"]), number(&it["value"])))
            .collect()
    }
}

fn number(quantity: &Value) -> u64 {
    quantity.as_str().unwrap().parse::<U256>().unwrap().to()
}

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

/// Given modules that each pay at every block from one account, when the engine is killed 100 times
/// while they do, then each transfer lands once, and the account's nonces have no gap.
#[test]
fn each_transfer_lands_once_however_often_the_engine_is_killed() {
    let seed = rand::random();
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let (node, money) = (Node::at(0), Money::start());
    let folder = Folder::empty();
    let key = Key::from_hex(KEY).unwrap();
    let account = key.address();
    let text = KeyFile::write(&key, &Password::new(PASSWORD.into()), WriteCost::Light);
    KeyFolder::new(folder.path("keys"))
        .save(account, &text.unwrap(), Save::ByAddress)
        .unwrap();
    folder.write("password", PASSWORD);
    for module in MODULES {
        folder.bundle(module, &manifest(module, account), &component("wallet"));
    }
    folder.engine_file("", &node.ws(), &MODULES);
    let mut lines = format!(
        "[[chains.{SENDS_ON}.endpoints]]\nurl = {:?}\n\
         [identity]\nkeystore = \"keys\"\npassword = {{ file = \"password\" }}\n",
        money.anvil.http_url()
    );
    for module in MODULES {
        lines += &format!(
            "[identity.modules.{module}]\naccounts = [\"{account}\"]\n\
             [[identity.modules.{module}.transactions]]\nchains = [{SENDS_ON}]\n\
             to = [\"{PAYEE}\"]\nmax_value = \"1 gwei\"\nmax_value_per_day = \"1 ether\"\n\
             max_fee_per_gas = \"1000 gwei\"\nmax_fees_per_day = \"1000 ether\"\n"
        );
    }
    folder.append("nexum-engine.toml", &lines);

    let mut cut_short = 0;
    for _ in 0..KILLS {
        let before = money.landed(account);
        let engine = folder.run();
        engine.wait_for_line("module is running");
        node.chain().mine(2);
        // Where it is when it is killed is what is being tried out.
        thread::sleep(Duration::from_millis(random.random_range(1..=80)));
        engine.kill();
        let landed = money.landed(account) - before;
        cut_short += u64::from(landed > 0 && landed < 2 * MODULES.len() as u64);
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
    let each_once = (1..=head).flat_map(|block| [block; MODULES.len()]);
    assert_eq!(values, each_once.collect::<Vec<_>>());
    assert!(cut_short > 0, "no kill came while something was sent");
    println!("{count} transfers, {KILLS} kills, {cut_short} of them with some landed and some not");
}
