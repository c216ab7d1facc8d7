//! `nexum state inspect`: what a module has committed, while no engine runs.

use std::{fs::File, process::Output, sync::Arc};

use nexum_store::{StateDir, StoreOptions};
use nexum_types::CallState;
use serde_json::{Value, json};

use crate::{
    engine::eventually,
    folder::{Folder, stderr, stdout},
    node::{CHAIN, Node},
};

/// A folder in which `counter` has handled the blocks 1 to 3 of `node`; how its engine ended is
/// the caller's.
fn counted(node: &Node, end: impl FnOnce(crate::engine::Engine)) -> Folder {
    let folder = Folder::following(&node.http(), &["counter"]);
    let engine = folder.run();
    eventually("three blocks are committed", || {
        (folder.committed("counter")? == 3).then_some(())
    });
    end(engine);
    folder
}

fn stopped(node: &Node) -> Folder {
    counted(node, |engine| assert_eq!(engine.stop().code, Some(0)))
}

fn hash(node: &Node, number: u64) -> String {
    node.chain().block(number).unwrap().hash.to_string()
}

fn failed(output: &Output, code: i32, expected: &[&str]) {
    let said = stderr(output);
    assert_eq!(output.status.code(), Some(code), "{said}");
    for text in expected {
        assert!(said.contains(text), "no {text:?} in\n{said}");
    }
    assert_eq!(stdout(output), "");
}

#[test]
fn as_text() {
    let node = Node::at(3);
    let folder = stopped(&node);
    let output = folder.nexum(&["state", "inspect", "counter", "--limit", "2"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let text = stdout(&output);
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines[0], "module      counter");
    assert_eq!(lines[1], "file        state/modules/counter.redb");
    assert_eq!(
        &lines[4..],
        [
            format!("cursor      chain {CHAIN} at block 3 {}", hash(&node, 3)),
            format!("block/{:020} = {}", 1, hash(&node, 1)),
            format!("block/{:020} = {}", 2, hash(&node, 2)),
            "(3 more; --limit 0 shows all)".to_owned(),
        ]
    );
}

#[test]
fn as_json() {
    let node = Node::at(3);
    let folder = stopped(&node);
    let output = folder.nexum(&["state", "inspect", "counter", "--json", "--limit", "1"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let mut state: Value = serde_json::from_slice(&output.stdout).unwrap();
    let object = state.as_object_mut().unwrap();
    assert!(object.remove("format_version").unwrap().is_u64());
    // "count" and "last" with a number each, and three blocks of 26 and 32 bytes.
    assert_eq!(
        object.remove("used_bytes"),
        Some(json!(5 + 8 + 4 + 8 + 3 * (26 + 32)))
    );
    assert_eq!(
        state,
        json!({
            "module": "counter",
            "file": "state/modules/counter.redb",
            "cursors": [{
                "chain_id": CHAIN,
                "depth": "head",
                "position": "after",
                "block": 3,
                "hash": hash(&node, 3),
            }],
            "entries": [{ "key": format!("block/{:020}", 1), "value": hash(&node, 1) }],
            "more": 4,
        })
    );
}

#[test]
fn a_part_of_it_from_another_place() {
    let node = Node::at(3);
    let folder = stopped(&node);
    let keys = |args: &[&str]| -> Vec<String> {
        let all = [&["state", "inspect", "counter", "--json"], args].concat();
        let output = folder.nexum(&all);
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        let state: Value = serde_json::from_slice(&output.stdout).unwrap();
        let entries = state["entries"].as_array().unwrap().iter();
        entries
            .map(|entry| entry["key"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(keys(&["--prefix", "c"]), ["count"]);
    assert_eq!(keys(&["--prefix", "nothing"]), [""; 0]);
    assert_eq!(keys(&["--limit", "0"]).len(), 5);
    // Without the engine's file.
    std::fs::remove_file(folder.path("nexum-engine.toml")).unwrap();
    assert_eq!(keys(&["--state-dir", "state"]).len(), 5);
}

#[test]
fn after_a_kill_the_file_stays_as_it_is() {
    let node = Node::at(3);
    let folder = counted(&node, |engine| drop(engine.kill()));
    let file = folder.path("state/modules/counter.redb");
    let before = std::fs::read(&file).unwrap();
    let state = folder.state("counter");
    assert_eq!((state.cursor(), state.number("count")), (Some(3), Some(3)));
    assert!(std::fs::read(&file).unwrap() == before, "it was written to");
}

#[test]
fn a_running_engine_shows_the_same_as_its_file() {
    let node = Node::at(3);
    let folder = Folder::following(&node.http(), &["counter"]);
    let engine = folder.run();
    // A look at the folder while the engine takes it would end the start.
    engine.wait_for_line("engine is running");
    let json = [
        "state", "inspect", "counter", "--json", "--prefix", "block/", "--limit", "2",
    ];
    let text = &json[..3];
    let online = eventually("three blocks are committed", || {
        let output = folder.nexum(&json);
        let shown = stdout(&output);
        (shown.contains("\"block\":3") && shown.contains("\"more\":1")).then_some(shown)
    });
    let online_text = stdout(&folder.nexum(text));
    assert_eq!(engine.stop().code, Some(0));
    assert_eq!(
        online.replace(&*folder.path("state").to_string_lossy(), "state"),
        stdout(&folder.nexum(&json))
    );
    assert_eq!(online_text, stdout(&folder.nexum(text)));
}

/// Given somebody who looks at the states, then an engine that starts waits for the end of it, and
/// says what it waits for where that does not come.
#[test]
fn a_look_at_the_states_keeps_no_engine_from_starting() {
    let node = Node::at(3);
    let folder = counted(&node, |engine| drop(engine.stop()));
    let look = || {
        let file = File::open(folder.path("state/engine.lock")).unwrap();
        file.lock_shared().unwrap();
        file
    };
    let looks = look();
    let engine = folder.run();
    engine.wait_for_line("waiting until nobody looks at the states");
    drop(looks);
    engine.wait_for_line("module is running");
    assert_eq!(engine.stop().code, Some(0));

    let looks = look();
    let ended = folder.run().wait();
    assert_eq!(ended.code, Some(4), "{ended:?}");
    assert!(ended.stderr.contains("being inspected"), "{ended:?}");
    drop(looks);
}

/// Given an engine that is started once more, with its folder and its addresses, then what is told is
/// that it runs, and not that its addresses are taken.
#[test]
fn a_second_engine_on_the_same_file_is_told_of_the_first() {
    let node = Node::at(1);
    let folder = Folder::following(&node.http(), &["counter"]);
    let engine = folder.run();
    let (metrics, health) = (engine.metrics(), engine.health());
    engine.wait_for_line("module is running");
    let file = folder.path("nexum-engine.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    let text = text
        .replacen("127.0.0.1:0", &metrics.to_string(), 1)
        .replacen("127.0.0.1:0", &health.to_string(), 1);
    std::fs::write(&file, text).unwrap();
    let second = folder.run().wait();
    assert_eq!(second.code, Some(4), "{second:?}");
    let first = format!("in use by another engine (process {})", engine.pid());
    assert!(second.stderr.contains(&first), "{second:?}");
    assert_eq!(engine.stop().code, Some(0));
}

/// Given more entries than an engine tells at once, all of them are shown.
#[test]
fn all_entries_of_a_running_module_are_shown() {
    const KEYS: usize = 100_500;
    let node = Node::at(1);
    let folder = Folder::following(&node.http(), &["counter"]);
    let dir = StateDir::open(folder.path("state")).unwrap();
    let name = "counter".parse().unwrap();
    let store = dir.open_module(&name, StoreOptions::default()).unwrap();
    let keys: Vec<_> = (0..KEYS).map(|n| format!("key/{n:06}")).collect();
    for some in keys.chunks(50_000) {
        let mut call = CallState::new(Arc::new(store.clone()), u64::MAX);
        for key in some {
            call.set(key, vec![7]).unwrap();
        }
        store.commit(&call.into_writes(), None).unwrap();
    }
    drop((store, dir));
    let engine = folder.run();
    engine.wait_for_line("module is running");
    let shown = |limit: &str| -> (Vec<String>, Value) {
        let args = ["--json", "--prefix", "key/", "--limit", limit];
        let output = folder.nexum(&[&["state", "inspect", "counter"], &args[..]].concat());
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        let entries = report["entries"].as_array().unwrap().iter();
        let keys = entries.map(|entry| entry["key"].as_str().unwrap().to_owned());
        (keys.collect(), report["more"].clone())
    };
    assert_eq!(shown("0"), (keys.clone(), json!(0)));
    assert_eq!(shown("100001"), (keys[..100_001].to_vec(), json!(499)));
    assert_eq!(engine.stop().code, Some(0));
}

#[test]
fn a_module_that_has_no_state() {
    let node = Node::at(3);
    let folder = stopped(&node);
    let output = folder.nexum(&["state", "inspect", "conter"]);
    failed(
        &output,
        4,
        &[
            "module conter has no state",
            "help: there is a state of: counter",
        ],
    );
}

#[test]
fn a_state_directory_that_is_not_there() {
    let folder = Folder::following("http://127.0.0.1:1", &["counter"]);
    let output = folder.nexum(&["state", "inspect", "counter"]);
    failed(&output, 4, &["there is no state directory state"]);
    let output = folder.nexum(&["state", "inspect", "counter", "-c", "gone.toml"]);
    failed(&output, 3, &["gone.toml: the file does not exist"]);
}

/// Given a reader that goes away (`… | head -1`), the command ends well and says nothing.
#[test]
fn a_reader_that_has_seen_enough() {
    let node = Node::at(3);
    let folder = stopped(&node);
    for args in [
        &["state", "inspect", "counter"][..],
        &["state", "inspect", "counter", "--json"],
        &["config", "check"],
        &["config", "check", "--json"],
    ] {
        let mut command = folder.command(args);
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = command.stdout(writer).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{args:?}");
        assert_eq!(stderr(&output), "", "{args:?}");
    }
}
