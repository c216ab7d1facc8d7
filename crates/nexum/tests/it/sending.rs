//! An engine that is killed while it sends transactions sends each once.

use std::{thread, time::Duration};

use nexum_testkit::{Address, U256};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};

use crate::{
    engine::eventually,
    folder::{Folder, component},
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

/// Given modules that each pay at every block from one account, when the engine is killed 100 times
/// while they do, then each transfer lands once, and the account's nonces have no gap.
#[test]
fn each_transfer_lands_once_however_often_the_engine_is_killed() {
    let seed = rand::random();
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let (node, money) = (Node::at(0), Money::on(SENDS_ON));
    let folder = Folder::empty();
    let account = keep_key(&folder);
    for module in MODULES {
        folder.bundle(module, &manifest(module, account), &component("wallet"));
    }
    folder.engine_file("", &node.ws(), &MODULES);
    let mut lines = format!(
        "[[chains.{SENDS_ON}.endpoints]]\nurl = {:?}\n{IDENTITY}",
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
    let each_once = (1..=head).flat_map(|block| [U256::from(block); MODULES.len()]);
    assert_eq!(values, each_once.collect::<Vec<_>>());
    assert!(cut_short > 0, "no kill came while something was sent");
    println!("{count} transfers, {KILLS} kills, {cut_short} of them with some landed and some not");
}
