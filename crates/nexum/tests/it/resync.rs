//! `nexum module resync`: a module goes on from a block of the operator's choice.

use serde_json::{Value, json};

use crate::{
    engine::eventually,
    folder::{Folder, stderr, stdout},
    node::{CHAIN, Node},
};

/// A folder in which `counter` has handled the blocks 1 to 5 of `node`, its engine stopped.
fn stopped(node: &Node) -> Folder {
    let folder = Folder::following(&node.http(), &["counter"]);
    let engine = folder.run();
    eventually("five blocks are committed", || {
        (folder.committed("counter")? == 5).then_some(())
    });
    assert_eq!(engine.stop().code, Some(0));
    folder
}

fn resync(folder: &Folder, args: &[&str]) -> (Option<i32>, String, String) {
    let output = folder.nexum(&[&["module", "resync"], args].concat());
    (output.status.code(), stdout(&output), stderr(&output))
}

/// Given a chain that has taken another branch from further back than its window, the module
/// stands still, and goes on with the new branch once its cursor has been moved.
#[test]
fn a_module_that_stands_still_goes_on() {
    let node = Node::at(40);
    let folder = Folder::following(&node.ws(), &["tally"]);
    folder.append(
        "nexum-engine.toml",
        &format!("[chains.{CHAIN}]\nreorg_window = 8\n"),
    );
    let engine = folder.run();
    eventually("the head is committed", || {
        (folder.committed("tally")? == 40).then_some(())
    });
    node.chain().reorg(30).unwrap();
    node.chain().mine(1);
    engine.wait_for_line("nexum module resync tally");
    assert_eq!(engine.stop().code, Some(0));
    assert_eq!(folder.state("tally").cursor(), Some(40));

    let (code, _, said) = resync(
        &folder,
        &["tally", "--chain", "31337", "--at", "11", "--yes"],
    );
    assert_eq!(code, Some(0), "{said}");

    let engine = folder.run();
    eventually("the new head is committed", || {
        (folder.committed("tally")? == 41).then_some(())
    });
    assert_eq!(engine.stop().code, Some(0));
    let state = folder.state("tally");
    assert_eq!(state.cursor_hash(), node.chain().head().hash.to_string());
    // 1 to 40 of the old branch, and 11 to 41 of the new one.
    assert_eq!(state.number("count"), Some(40 + 31));
}

#[test]
fn without_yes_it_only_shows_what_it_would_do() {
    let node = Node::at(5);
    let folder = stopped(&node);
    let file = folder.path("state/modules/counter.redb");
    let before = std::fs::read(&file).unwrap();
    let hash = node.chain().head().hash;

    let (code, shown, said) = resync(&folder, &["counter", "--chain", "31337", "--at", "3"]);
    assert_eq!(code, Some(2), "{said}");
    let move_of_it =
        format!("cursor      chain {CHAIN} head: at block 5 {hash} -> before block 3\n");
    assert!(shown.contains(&move_of_it), "{shown}");
    assert!(shown.contains("run it again with --yes"), "{shown}");
    assert_eq!(said, "");
    assert!(std::fs::read(&file).unwrap() == before, "it was written to");
}

#[test]
fn with_yes_the_cursor_moves_and_the_entries_stay() {
    let node = Node::at(5);
    let folder = stopped(&node);
    let hash = node.chain().head().hash;
    let (code, shown, said) = resync(
        &folder,
        &[
            "counter", "--chain", "31337", "--at", "3", "--yes", "--json",
        ],
    );
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(
        serde_json::from_str::<Value>(&shown).unwrap(),
        json!({
            "module": "counter",
            "file": "state/modules/counter.redb",
            "chain_id": CHAIN,
            "next_block": 3,
            "sources": [{
                "depth": "head",
                "from": format!("at block 5 {hash}"),
                "to": "before block 3",
            }],
            "dead_letters": 0,
            "done": true,
        })
    );
    let state = folder.state("counter");
    assert_eq!((state.position(), state.cursor()), ("before", Some(3)));
    assert_eq!(state.number("count"), Some(5));
}

#[test]
fn a_running_engine_moves_the_cursor_between_two_calls() {
    let node = Node::at(5);
    let folder = Folder::following(&node.http(), &["tally"]);
    let engine = folder.run();
    // A look at the folder while the engine takes it would end the start.
    engine.wait_for_line("engine is running");
    let ask = |yes: &[&str]| {
        let args = [&["tally", "--chain", "31337", "--at", "3"], yes].concat();
        resync(&folder, &args)
    };
    // Not before it has a cursor.
    eventually("the module has come to block 5", || {
        let (_, shown, _) = ask(&[]);
        shown.contains("at block 5").then_some(())
    });
    let (code, shown, said) = ask(&["--yes"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(shown.contains("-> before block 3"), "{shown}");
    eventually("the blocks came again", || {
        let state = folder.state("tally");
        (state.number("count") == Some(8) && state.cursor() == Some(5)).then_some(())
    });
    assert_eq!(engine.stop().code, Some(0));
    assert_eq!(folder.state("tally").number("repeats"), Some(1));
}

/// Given dead letters: those of the blocks that come again go, by a running engine and without one.
#[test]
fn the_dead_letters_of_what_comes_again_go() {
    let node = Node::at(10);
    let folder = Folder::following(&node.http(), &["poison"]);
    let parks = "[module.restart]\nmax_consecutive_failures = 1\non_failure = \"dead-letter\"\n";
    folder.append("poison/nexum.toml", parks);
    let engine = folder.run();
    engine.wait_for_line("engine is running");
    let letters = || -> Vec<Value> {
        let output = folder.nexum(&["module", "dead-letters", "poison", "list", "--json"]);
        serde_json::from_slice(&output.stdout).unwrap_or_default()
    };
    eventually("three are parked", || (letters().len() == 3).then_some(()));
    let ask = |at: &str, rest: &[&str]| {
        let args = [&["poison", "--chain", "31337", "--at", at], rest].concat();
        resync(&folder, &args)
    };
    let (code, shown, said) = ask("7", &[]);
    assert_eq!(code, Some(2), "{said}");
    let line = "letters     1 of block 7 and later: removed\n";
    assert!(shown.contains(line), "{shown}");
    assert_eq!(letters().len(), 3);
    let (code, shown, said) = ask("9", &["--yes", "--json"]);
    assert_eq!(code, Some(0), "{said}");
    let shown: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(shown["dead_letters"], 1);
    let parked = eventually("block 9 is parked again", || {
        let letters = letters();
        (letters.len() == 3).then_some(letters)
    });
    assert_eq!(parked[2]["id"], 3, "it is another one");
    assert_eq!(engine.stop().code, Some(0));

    let (code, shown, said) = ask("4", &["--yes"]);
    assert_eq!(code, Some(0), "{said}");
    let line = "letters     2 of block 4 and later: removed\n";
    assert!(shown.contains(line), "{shown}");
    let left = letters();
    assert_eq!((left.len(), &left[0]["block"]), (1, &json!(3)));
}

#[test]
fn a_module_without_a_state_or_without_a_cursor() {
    let node = Node::at(5);
    let folder = stopped(&node);
    let (code, _, said) = resync(
        &folder,
        &["conter", "--chain", "31337", "--at", "3", "--yes"],
    );
    assert_eq!(code, Some(4), "{said}");
    assert!(said.contains("there is a state of: counter"), "{said}");
    assert!(!folder.path("state/modules/conter.redb").exists());

    let (code, _, said) = resync(&folder, &["counter", "--chain", "1", "--at", "3", "--yes"]);
    assert_eq!(code, Some(4), "{said}");
    assert!(
        said.contains("module counter has no cursor of chain 1"),
        "{said}"
    );
}

#[test]
fn the_chain_and_the_block_must_be_named() {
    let folder = Folder::empty();
    let (code, _, said) = resync(&folder, &["counter"]);
    assert_eq!(code, Some(2), "{said}");
    assert!(
        said.contains("--chain <ID>") && said.contains("--at <BLOCK>"),
        "{said}"
    );
}
