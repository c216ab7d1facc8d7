//! Mock runs: the real engine on what a fixture tells, and what is told of it.

use std::fs;

use serde_json::json;

use crate::package::{BLOCKS, Package, play};

const ONE: &str = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266";
const ONE_KEY: &str = "balance/0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266";

/// A change of a balance, its reorg, and what the example makes of them.
fn story() -> String {
    format!(
        "# the first account of a development chain\n\
         chain 31337\n\
         config addresses = [\"{ONE}\"]\n\
         config threshold_wei = \"0\"\n\
         balance {ONE} = 5 ether\n\
         mine\n\
         expect {{\n\
           log info \"5 ether at block 1, first seen\"\n\
           state {ONE_KEY} = 5000000000000000000\n\
           state last_block = 1\n\
           request eth_getBalance times 1\n\
           events 1\n\
         }}\n\
         balance {ONE} -= 1.5 ether\n\
         mine 3\n\
         expect {{\n\
           log \"5 → 3.5 ether (-1.5) at block 2\"\n\
           no log warn\n\
           no log \"at block 3\"\n\
           events 3\n\
         }}\n\
         reorg 3 {{\n\
           mine 3\n\
         }}\n\
         expect {{\n\
           log \"3.5 → 5 ether (+1.5) at block 2\"\n\
           state {ONE_KEY} = \"5000000000000000000\"\n\
           state nothing absent\n\
           request 31337 eth_getBalance times 3\n\
           failed 0\n\
         }}\n"
    )
}

#[test]
fn the_example_meets_what_is_expected_of_it() {
    let ended = play("balance-watch", &story(), &[]).ends(0);
    let ended = ended
        .prints("balance-watch 0.3.0 on ")
        .prints("  init  ok  ")
        .prints("    info  watching 1 account")
        .prints("   6 mine\n  31337-1-")
        .prints("chain.request(31337, eth_getBalance [\"0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266\",{\"blockHash\":\"0x")
        .prints(&format!("    state {ONE_KEY} : nothing → \"5000000000000000000\""))
        .prints("    state last_block : \"1\" → \"2\"")
        .prints("  22 reorg 3 {")
        .prints("7 events handled, 0 calls failed, 7 requests, 14 expectations met\n");
    assert!(
        !ended.stdout.contains('\u{1b}'),
        "colours are for terminals"
    );
    assert_eq!(
        ended.stdout.matches("-block  ok").count(),
        7,
        "{}",
        ended.stdout
    );
}

#[test]
fn a_program_is_told_the_same_as_json() {
    let ended = play("balance-watch", &story(), &["--json"]).ends(0);
    let report = ended.json();
    assert_eq!(report["ok"], true);
    assert_eq!((&report["events"], &report["met"]), (&json!(7), &json!(14)));
    let calls = report["calls"].as_array().unwrap();
    assert_eq!(calls.len(), 8, "init and seven blocks");
    assert_eq!(calls[0]["event"], json!(null));
    let first = &calls[1];
    assert!(first["event"].as_str().unwrap().starts_with("31337-1-"));
    assert!(first["fuel"].as_u64().unwrap() > 0);
    assert_eq!(first["changes"][0]["key"], ONE_KEY);
    assert_eq!(first["changes"][1]["new"], "0x31");
    let functions: Vec<_> = first["host_calls"]
        .as_array()
        .unwrap()
        .iter()
        .map(|call| call["function"].as_str().unwrap())
        .collect();
    assert_eq!(functions, ["request", "get", "set", "set"]);
}

#[test]
fn what_is_not_as_expected_is_told_at_its_line_and_ends_with_a_code_of_its_own() {
    let story = format!(
        "chain 31337\nconfig addresses = [\"{ONE}\"]\nmine\nexpect {{\n\
         log warn \"help\"\nstate last_block = 2\nrequest eth_call\nevents 1\n}}\n\
         mine\nexpect {{\nevents 9\n}}\n"
    );
    let ended = play("balance-watch", &story, &[]).ends(6);
    ended
        .prints("   5 ✗ no line at warn contains \"help\"; these lines were logged:")
        .prints("info watching 1 account")
        .prints("   6 ✗ the state has \"1\" under last_block, and \"2\" is expected")
        .prints("   7 ✗ the module asked chain 31337 for eth_call 0 times, and at least once is expected")
        .prints("  12 ✗ 1 events were handled, and 9 are expected")
        .prints("FAILED: ")
        .prints("1 expectations met, 4 not");
    let report = play("balance-watch", &story, &["--json"]).ends(6).json();
    assert_eq!(report["ok"], false);
    assert_eq!(report["unmet"][1]["line"], 6);
}

#[test]
fn a_state_that_was_inspected_is_what_the_module_begins_with() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.json");
    let state = json!({
        "module": "balance-watch", "file": "f", "format_version": 1, "used_bytes": 9,
        "cursors": [], "more": 0,
        "entries": [
            { "key": ONE_KEY, "value": format!("0x{}", hex::encode("7000000000000000000")) },
            { "key": "other", "value": "0x00ff" },
        ],
    });
    fs::write(&path, state.to_string()).unwrap();
    let story = format!(
        "chain 31337\nconfig addresses = [\"{ONE}\"]\nstate own = \"ten\"\n\
         balance {ONE} = 5 ether\nmine\nexpect {{\n\
         log \"7 → 5 ether (-2) at block 1\"\nstate other = 0x00ff\nstate own = ten\n}}\n"
    );
    let path = path.to_str().unwrap();
    play("balance-watch", &story, &["--state", path]).ends(0);
    fs::write(path, "{}").unwrap();
    let ended = play("balance-watch", &story, &["--state", path]).ends(3);
    ended
        .tells("this is no state as JSON")
        .tells("nexum state inspect");
}

#[test]
fn the_chain_goes_on_while_its_endpoint_is_away() {
    let story = format!(
        "chain 31337\nconfig addresses = [\"{ONE}\"]\nmine\ndown\nmine 3\nwait 20ms\nup\n\
         expect {{\nevents 4\nstate last_block = 4\n}}\n\
         fail status 503 on eth_getBalance\nmine\n\
         expect {{\nfailed 1\nevents 0\nstate last_block = 4\n}}\n\
         wait 1ms\nexpect {{\nfailed 1\n}}\n\
         heal\nexpect {{\nevents 1\nfailed 0\nstate last_block = 5\n}}\n"
    );
    play("balance-watch", &story, &[])
        .ends(0)
        .prints("the node is not available");
}

#[test]
fn a_trap_is_told_with_its_message_and_the_run_fails() {
    let package = Package::of_fixture("checkpoint-then-trap", "mock-trap");
    let ended = package.play("chain 31337\nmine\n").ends(6);
    ended
        .prints("-block  trap")
        .prints("    warn  thread '<unnamed>'")
        .prints("trapped after the checkpoint of block 1, as asked")
        .prints("src/lib.rs:")
        .prints("state note/1 : nothing → \"yes\"")
        .prints("   2 ✗ 1 calls failed, and none is expected to; the first: ");
    // The failure is expected, and the next step brings the next attempt.
    let ended = package.play(
        "chain 31337\nmine\nexpect {\nfailed 1\nstate note/1 = yes\nstate after/1 absent\n}\n\
         wait 1ms\nexpect {\nevents 1\nstate done/1 = yes\n}\n",
    );
    ended.ends(0);
}

#[test]
fn the_limits_are_those_of_production() {
    let package = Package::of_fixture("spin", "mock-spin");
    let ended = package.play("chain 31337\nmine\n").ends(6);
    ended.prints("-block  fuel").prints("1,000,000,000 fuel");
}

#[test]
fn logs_come_decoded_from_signatures_and_are_taken_back_by_a_reorg() {
    let package = Package::of_fixture("log-fold", "mock-logs");
    let subscription = "[[subscription]]\nkind = \"log\"\nchain_id = 31337\n\
                        address = \"0x00000000000000000000000000000000000000c0\"\n\
                        event = \"Ping(uint256 indexed n)\"\n";
    package.manifest("mock-logs", &["local-store", "logging"], subscription);
    let ended = package.play(
        "chain 31337\nemit 0xc0 Ping(uint256 indexed n) 7\nmine\nexpect {\nevents 1\n}\n\
         mine 2\nreorg 3\nexpect {\nevents 1\n}\n",
    );
    ended
        .ends(0)
        .prints("31337-1-")
        .prints("-logs-0  ok")
        .prints("-removed-0  ok");

    let wrong = "chain 31337\nemit 0xc1 Ping(uint256 indexed n) 7\nemit 0xc0 Pong(uint256 indexed n) 7\nmine\n\
                 logs 3 0xc5 Bang(uint256) i\nchain 7\nmine\ntick \"* * * * *\"\nhttp GET https://a.b = 200\n";
    let ended = package.play(wrong).ends(3);
    ended
        .tells("7 problems in fixtures/story.nexum")
        .tells("no block takes this, so nothing comes of it")
        .tells("story.nexum:2:1")
        .tells("nothing subscribes to this log on chain 31337")
        .tells("a [[subscription]] takes this event, but not from 0x00000000000000000000000000000000000000c1")
        .tells("takes logs of this address, but of another event")
        .tells("the manifest does not name chain 7")
        .tells("the manifest has no schedule \"* * * * *\"")
        .tells("the manifest does not list this server");
}

#[test]
fn servers_outside_answer_as_the_fixture_says_and_nobody_else_does() {
    let package = Package::of_fixture("http", "mock-http");
    let lines = "[capabilities.http]\nallow = [\"https://api.example.org\"]\n\n";
    let config = "[config]\nmethod = \"POST\"\nurl = \"https://api.example.org/x\"\n\n";
    let capabilities = ["http", "local-store"];
    package.manifest(
        "mock-http",
        &capabilities,
        &format!("{lines}{config}{BLOCKS}"),
    );
    let ended = package.play(
        "chain 31337\nmine\nexpect {\n  state kind = unavailable\n}\n\
         http POST https://api.example.org/x = 503 \"busy\"\nmine\nexpect {\n\
         state kind = ok\nstate status = 503\nstate body = busy\n}\n\
         http POST https://api.example.org/x = unreachable\nmine\nexpect {\n\
         state kind = unavailable\n}\n",
    );
    ended
        .ends(0)
        .prints("http.fetch(POST https://api.example.org/x)")
        .prints("5 expectations met");
    // What the manifest does not list is denied here as it is in production.
    let lines = lines.replace("api.", "other.");
    package.manifest(
        "mock-http",
        &capabilities,
        &format!("{lines}{config}{BLOCKS}"),
    );
    let ended = package.play("chain 31337\nmine\nexpect {\nstate kind = denied\n}\n");
    ended.ends(0);
}

#[test]
fn a_value_of_another_type_than_the_manifests_is_refused_at_its_line() {
    let ended = play(
        "balance-watch",
        "chain 31337\nconfig threshold_wei = 0\nmine\n",
        &[],
    );
    ended
        .ends(3)
        .tells("`threshold_wei` is an integer here and text in quotes in the manifest")
        .tells("story.nexum:2:1");
}

#[test]
fn every_fixture_of_the_package_is_played_with_a_state_of_its_own() {
    let package = Package::of_fixture("tally", "mock-several");
    package.write(
        "fixtures/b.nexum",
        "chain 31337\nmine 2\nexpect {\nevents 2\n}\n",
    );
    package.write(
        "fixtures/a.nexum",
        "chain 31337\nmine 1\nexpect {\nevents 1\n}\n",
    );
    package.write("fixtures/notes.txt", "no fixture");
    let ended = package.nexum(["run", "--mock"]).ends(0);
    let (a, b) = (ended.stdout.find("a.nexum"), ended.stdout.find("b.nexum"));
    assert!(a.unwrap() < b.unwrap());
    ended.prints("ok: 2 fixtures\n");
}

/// The clock of a mock run begins at 22:13:20, and a block is 12 seconds.
#[test]
fn schedules_come_due_with_the_time_of_blocks_and_when_they_are_told_to() {
    let package = Package::of_fixture("ticks", "played-ticks");
    let schedules = "[[subscription]]\nkind = \"cron\"\nschedule = \"*/5 * * * *\"\n\
                     [[subscription]]\nkind = \"cron\"\nevery = \"20s\"\nmissed = \"all\"\n";
    let lines = format!("{BLOCKS}{schedules}");
    package.manifest(
        "played-ticks",
        &["chain", "clock", "local-store", "logging"],
        &lines,
    );
    let ended = package.play(
        "chain 31337\nmine\nexpect {\nevents 1\n}\nmine\nexpect {\nevents 2\n}\n\
         tick \"20s\"\nexpect {\nevents 1\n}\ntick \"*/5 * * * *\"\nexpect {\nevents 4\n}\n",
    );
    // 22:15:00 is 100 seconds after the beginning.
    ended.ends(0).prints("-1700000100000-tick  ok");
    package
        .play("chain 31337\ntick \"20 s\"\n")
        .ends(3)
        .tells("the manifest has no schedule \"20 s\"")
        .tells("it has \"*/5 * * * *\", \"20s\"");
}

#[test]
fn a_module_that_signs_has_the_account_whose_key_everyone_knows() {
    let package = Package::of_fixture("identity", "mock-signs");
    let typed = r#"{"types":{"A":[{"name":"a","type":"bool"}]},"primaryType":"A","domain":{"chainId":31337},"message":{"a":true}}"#;
    let lines = format!(
        "[capabilities.identity]\nmethods = [\"accounts\", \"sign\", \"sign-typed-data\"]\n\
         {BLOCKS}[config]\ntyped = {typed:?}\n"
    );
    package.manifest("mock-signs", &["local-store", "identity"], &lines);
    let ended = package.play(
        "chain 31337\nmine\nexpect {\nevents 1\nstate kind/sign = ok\nstate kind/typed = ok\n\
         state kind/other = denied\n}\n",
    );
    ended
        .ends(0)
        .prints("identity.sign(0x7e5f4552091a69125d5dfcb7b8c2659029395bdf, 7 bytes)");
}
