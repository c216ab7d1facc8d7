//! What is there before the first block, for a module that asks in its `init`.

use std::fs;

use nexum_testkit::{Address, CallAnswer, CallInput, RpcServer, ScriptedChain, U256};

use crate::package::Package;

/// Asks a contract's decimals and an account's balance, in `init` and at each block, and keeps both.
const ASKS: &str = r##"
use nexum_fixtures::{Config, Event, Guest, Outcome, nexum::host::{chain, local_store}};

struct Asks;

const CALL: &str = r#"[{"to":"0x00000000000000000000000000000000000000fe","input":"0x313ce567"},"latest"]"#;
const BALANCE: &str = r#"["0x00000000000000000000000000000000000000a1","latest"]"#;

fn ask(key: &str) -> Outcome {
    let digits = |answer: String| answer.trim_matches(|c| c == '"' || c == '0' || c == 'x').to_owned();
    let decimals = digits(chain::request(31337, "eth_call", CALL)?);
    let balance = digits(chain::request(31337, "eth_getBalance", BALANCE)?);
    local_store::set(key, format!("{decimals} {balance}").as_bytes())
}

impl Guest for Asks {
    fn init(_config: Config) -> Outcome {
        ask("init")
    }

    fn on_event(_event: Event) -> Outcome {
        ask("event")
    }
}

nexum_fixtures::export!(Asks);
"##;

#[test]
fn an_init_that_asks_a_chain_is_answered_by_what_stands_before_the_first_block() {
    let package = Package::new("asks-at-genesis", ASKS);
    let ended = package.play(
        "chain 31337\n\
         call 0xfe decimals() returns (uint8) = 0x12\n\
         balance 0xa1 = 5 wei\n\
         # The second line about the same is of the first block.\n\
         call 0xfe decimals() returns (uint8) = 7\n\
         balance 0xa1 += 1 wei\n\
         mine\n\
         expect {\nstate init = \"12 5\"\nstate event = \"7 6\"\nrequest eth_call times 2\n\
         events 1\nfailed 0\n}\n",
    );
    ended.ends(0);
}

#[test]
fn a_module_that_has_failed_is_not_tried_again_by_what_no_block_has_taken() {
    let package = Package::new("asks-too-early", ASKS);
    let ended = package.play(
        "chain 31337\nmine\nexpect {\nfailed 2\n}\n\
         call 0xfe decimals() returns (uint8) = 7\nbalance 0xa1 = 5 wei\n\
         expect {\nfailed 0\n}\n\
         mine\nexpect {\nstate init = \"7 5\"\nevents 2\nfailed 0\n}\n",
    );
    ended.ends(0);
}

#[test]
fn a_line_that_no_block_takes_is_refused() {
    let package = Package::of_fixture("noop", "never-mined");
    let ended = package
        .play("chain 31337\nmine\nbalance 0xa1 = 5 wei\n")
        .ends(3);
    ended
        .tells("story.nexum:3:1")
        .tells("no block takes this, so nothing comes of it")
        .tells("add `mine` behind it");
    let ended = package.play("chain 31337\nbalance 0xa1 = 5 wei\nexpect {\nevents 0\n}\n");
    ended.ends(0);
    let ended = package
        .play("chain 31337\nbalance 0xa1 -= 5 wei\nmine\n")
        .ends(3);
    ended
        .tells("story.nexum:2:1")
        .tells("cannot change by that much");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_init_asks_is_recorded_and_plays() {
    let chain = ScriptedChain::new(31337);
    let decimals = CallInput::Selector([0x31, 0x3c, 0xe5, 0x67]);
    let answer = CallAnswer::Returns(U256::from(0x12).to_be_bytes::<32>().into());
    chain.set_call(Address::with_last_byte(0xfe), decimals, answer);
    chain.set_balance(Address::with_last_byte(0xa1), U256::from(5));
    chain.mine(6);
    let server = RpcServer::start(chain).await.unwrap();
    let url = server.http_url();
    let work = tokio::task::spawn_blocking(move || {
        let package = Package::new("asks-recorded", ASKS);
        let recording = ["run", "--record", "no/such/story.nexum", "--rpc", &url];
        package
            .nexum(recording)
            .ends(2)
            .tells("there is no folder no/such");

        let recording = [
            "run",
            "--record",
            "story.nexum",
            "--rpc",
            &url,
            "--blocks",
            "3",
        ];
        package.nexum(recording).ends(0);
        let text = fs::read_to_string(package.path().join("story.nexum")).unwrap();
        let (_, init) = text.split_once("# init\n").expect(&text);
        let (init, blocks) = init.split_once("\n\n").expect(&text);
        assert!(init.starts_with("call 0x"), "{text}");
        assert!(init.ends_with("= 5 wei"), "{text}");
        assert_eq!(blocks, "mine 3\n\nexpect {\n  events 3\n}\n");

        let checked =
            format!("{text}expect {{\nstate init = \"12 5\"\nstate event = \"12 5\"\n}}\n");
        package.play(&checked).ends(0);
    });
    work.await.unwrap();
}
