//! Operating a running engine by the command line: modules, dead letters, copies of states.

use std::{fs, os::unix::fs::PermissionsExt as _, process::Output};

use nexum_store::StateDir;
use serde_json::{Value, json};

use crate::{
    engine::eventually,
    folder::{Folder, component, manifest, stderr, stdout},
    node::Node,
};

const PARKS: &str =
    "[module.restart]\nmax_consecutive_failures = 1\non_failure = \"dead-letter\"\n";

/// What a command that succeeded has printed.
#[track_caller]
fn done(folder: &Folder, args: &[&str]) -> String {
    let output = folder.nexum(args);
    assert_eq!(
        output.status.code(),
        Some(0),
        "{args:?}: {}",
        stderr(&output)
    );
    assert_eq!(stderr(&output), "", "{args:?}");
    stdout(&output)
}

fn json_of(folder: &Folder, args: &[&str]) -> Value {
    let text = done(folder, &[args, &["--json"]].concat());
    serde_json::from_str(&text).unwrap()
}

#[track_caller]
fn fails(output: &Output, code: i32, says: &[&str]) {
    let said = stderr(output);
    assert_eq!(output.status.code(), Some(code), "{said}");
    for text in says {
        assert!(said.contains(text), "no {text:?} in\n{said}");
    }
}

/// Waits until the modules are as `condition` says.
fn until(folder: &Folder, what: &str, condition: impl Fn(&[Value]) -> bool) -> Vec<Value> {
    eventually(what, || {
        let output = folder.nexum(&["module", "list", "--json"]);
        let modules: Vec<Value> = serde_json::from_slice(&output.stdout).ok()?;
        condition(&modules).then_some(modules)
    })
}

fn is_at(module: &Value, block: u64) -> bool {
    module["cursors"][0]["block"] == block
}

#[test]
fn modules_are_listed_loaded_upgraded_restarted_and_unloaded() {
    let node = Node::at(4);
    let folder = Folder::following(&node.ws(), &["tally"]);
    folder.bundle("other", &manifest("counter"), &component("counter"));
    let engine = folder.run();
    engine.wait_for_line("engine is running");
    let loaded = done(&folder, &["module", "load", "other", "--name", "second"]);
    assert_eq!(loaded, "module second 0.1.0 is loaded\n");
    let modules = until(&folder, "both are at block 4", |modules| {
        modules.len() == 2 && modules.iter().all(|module| is_at(module, 4))
    });
    assert_eq!(modules[0]["name"], "second");
    assert_eq!(modules[0]["origin"], "loaded");
    let text = done(&folder, &["module", "list"]);
    let lines: Vec<Vec<_>> = text
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert_eq!(&lines[0][..4], ["MODULE", "VERSION", "PHASE", "EVENTS"]);
    assert_eq!(&lines[2][..6], ["tally", "0.1.0", "run", "4", "0", "0"]);

    let again = folder.nexum(&["module", "load", "other", "--name", "tally"]);
    fails(
        &again,
        6,
        &[
            "a module runs under the name tally already",
            "engine's file",
        ],
    );
    let nothing = folder.nexum(&["module", "load", "nowhere"]);
    fails(&nothing, 3, &["there is no bundle at", "nowhere"]);
    let set = folder.nexum(&["module", "load", "other", "--set", "a=1.5"]);
    fails(&set, 3, &["config.a"]);
    let set = folder.nexum(&["module", "load", "other", "--set", "a"]);
    fails(&set, 2, &["--set", "as in TOML"]);
    let pinned = |digest: &str| folder.nexum(&["module", "load", "other", "--digest", digest]);
    fails(&pinned("sha256:12"), 2, &["--digest", "64 hex digits"]);
    let other = format!("sha256:{}", "1".repeat(64));
    fails(
        &pinned(&other),
        3,
        &["its entry is pinned to 1111", "--digest sha256:"],
    );

    let wider = manifest("tally")
        .replace("0.1.0", "0.2.0")
        .replace("\"logging\"", "\"logging\", \"clock\"");
    folder.write("tally/nexum.toml", wider);
    let refused = folder.nexum(&["module", "upgrade", "tally"]);
    fails(&refused, 6, &["asks for: capability clock", "--accept "]);
    let refused = folder.nexum(&["module", "upgrade", "tally", "--json"]);
    assert_eq!(
        (refused.status.code(), stderr(&refused).as_str()),
        (Some(6), "")
    );
    let refused: Value = serde_json::from_slice(&refused.stdout).unwrap();
    assert_eq!(refused["error"]["code"], "not-accepted");
    let token = refused["error"]["token"].as_str().unwrap();
    let upgraded = done(&folder, &["module", "upgrade", "tally", "--accept", token]);
    assert_eq!(upgraded, "module tally runs version 0.2.0\n");
    done(&folder, &["module", "upgrade", "second", "other"]);
    done(&folder, &["module", "restart", "second"]);
    node.chain().mine(2);
    until(&folder, "both are at block 6", |modules| {
        modules
            .iter()
            .all(|module| is_at(module, 6) && module["phase"] == "run")
    });

    let health = json_of(&folder, &["health"]);
    assert_eq!(
        (&health["pid"], &health["chains"][0]["head"]),
        (&json!(engine.pid()), &json!(6))
    );
    assert!(done(&folder, &["health"]).contains("chain 31337: head 6"));
    let unloaded = done(&folder, &["module", "unload", "second"]);
    assert_eq!(unloaded, "module second is unloaded; its state stays\n");
    let unloaded = done(&folder, &["module", "unload", "tally"]);
    assert!(
        unloaded.contains("runs again after the next start"),
        "{unloaded}"
    );
    let nobody = folder.nexum(&["module", "restart", "tally"]);
    fails(
        &nobody,
        6,
        &["no module runs under the name tally: none does"],
    );
    assert_eq!(done(&folder, &["module", "list"]), "no module runs\n");
    assert_eq!(engine.stop().code, Some(0));
    assert_eq!(folder.state("tally").number("count"), Some(6));
    assert_eq!(folder.state("second").number("count"), Some(6));
}

#[test]
fn without_an_engine_it_says_so() {
    let folder = Folder::following("http://127.0.0.1:1", &["tally"]);
    for args in [
        &["module", "list"][..],
        &["module", "load", "tally"],
        &["module", "restart", "tally"],
        &["module", "upgrade", "tally"],
        &["health"],
    ] {
        fails(
            &folder.nexum(args),
            5,
            &["no engine runs on the state directory state", "nexum run"],
        );
    }
    // A socket that a killed engine has left is no engine.
    let node = Node::at(1);
    folder.engine_file("", &node.http(), &["tally"]);
    let engine = folder.run();
    engine.wait_for_line("engine is running");
    engine.kill();
    assert!(folder.path("state/admin.sock").exists());
    fails(&folder.nexum(&["module", "list"]), 5, &["no engine runs"]);
    let engine = folder.run();
    engine.wait_for_line("engine is running");
    done(&folder, &["module", "list"]);
    assert_eq!(engine.stop().code, Some(0));
}

#[test]
fn no_secret_is_asked_for_to_find_the_engine() {
    let folder = Folder::following("http://127.0.0.1:1", &["tally"]);
    folder.append(
        "nexum-engine.toml",
        "[[chains.5.endpoints]]\nurl = { env = \"NEXUM_TEST_NO_SUCH_VARIABLE\" }\n",
    );
    fails(&folder.nexum(&["module", "list"]), 5, &["no engine runs"]);
    fails(&folder.nexum(&["run"]), 3, &["NEXUM_TEST_NO_SUCH_VARIABLE"]);
}

#[test]
fn what_was_loaded_can_be_forgotten_without_an_engine() {
    let node = Node::at(1);
    let folder = Folder::following(&node.http(), &[]);
    folder.bundle("tally", &manifest("tally"), &component("tally"));
    let engine = folder.run();
    engine.wait_for_line("engine is running");
    done(&folder, &["module", "load", "tally"]);
    assert_eq!(engine.stop().code, Some(0));
    // An engine that starts has no socket yet, and reads what it would find changed.
    let held = StateDir::open(folder.path("state")).unwrap();
    fails(
        &folder.nexum(&["module", "unload", "tally"]),
        4,
        &["in use by another engine"],
    );
    drop(held);
    // It stands in the way of the same in the engine's file.
    folder.engine_file("", &node.http(), &["tally"]);
    fails(
        &folder.nexum(&["run"]),
        3,
        &["loaded.toml", "nexum module unload tally"],
    );
    let forgotten = done(&folder, &["module", "unload", "tally"]);
    assert_eq!(forgotten, "module tally is forgotten; its state stays\n");
    fails(
        &folder.nexum(&["module", "unload", "tally"]),
        4,
        &["no module tally was loaded"],
    );
    let engine = folder.run();
    engine.wait_for_line("engine is running");
    assert_eq!(engine.stop().code, Some(0));
}

fn letters_of_poison<'a>(rest: &[&'a str]) -> Vec<&'a str> {
    [&["module", "dead-letters", "poison"], rest].concat()
}

#[test]
fn dead_letters_are_seen_retried_and_dropped_with_an_engine_and_without() {
    let node = Node::at(10);
    let folder = Folder::following(&node.ws(), &["poison"]);
    folder.append("poison/nexum.toml", PARKS);
    let engine = folder.run();
    until(&folder, "three are parked", |modules| {
        modules[0]["dead_letters"] == 3 && is_at(&modules[0], 10)
    });
    let letters = letters_of_poison;
    let text = done(&folder, &letters(&["list"]));
    let lines: Vec<_> = text.lines().collect();
    assert!(
        lines[0].starts_with("ID  CHAIN  BLOCK  EVENT  ATTEMPTS  RETRY  ERROR"),
        "{text}"
    );
    assert!(
        lines[2].starts_with("1   31337  6      block  1         -      the guest trapped"),
        "{text}"
    );
    let online = json_of(&folder, &letters(&["list"]));
    let shown = json_of(&folder, &letters(&["show", "2"]));
    assert_eq!(
        (&shown["block"], &shown["event"]["Block"]["number"]),
        (&json!(9), &json!(9))
    );
    fails(
        &folder.nexum(&letters(&["show", "7"])),
        6,
        &["no dead letter 7"],
    );
    fails(&folder.nexum(&letters(&["drop"])), 2, &["--all"]);
    assert_eq!(done(&folder, &letters(&["drop", "1"])), "1 dropped\n");
    assert_eq!(engine.stop().code, Some(0));

    // The same from the file, and what is to be retried is retried by the next engine.
    let offline = json_of(&folder, &letters(&["list"]));
    assert_eq!(offline, json!([online[0], online[2]]));
    assert_eq!(json_of(&folder, &letters(&["show", "2"])), shown);
    fails(
        &folder.nexum(&letters(&["drop", "1"])),
        4,
        &["no dead letter 1"],
    );
    let retried = done(&folder, &letters(&["retry", "2"]));
    assert_eq!(
        retried,
        "1 to be given to module poison at the next start\n"
    );
    folder.append("poison/nexum.toml", "[config]\nevery = 0\n");
    let engine = folder.run();
    until(&folder, "one was handled", |modules| {
        modules[0]["dead_letters"] == 1
    });
    let retried = done(&folder, &letters(&["retry", "--all"]));
    assert_eq!(retried, "1 to be given to module poison once more\n");
    until(&folder, "none is left", |modules| {
        modules[0]["dead_letters"] == 0
    });
    assert_eq!(
        done(&folder, &letters(&["list"])),
        "module poison has no dead letters\n"
    );
    assert_eq!(engine.stop().code, Some(0));
    let state = folder.state("poison");
    assert_eq!(
        state.number("block/00000000000000000006"),
        None,
        "it was dropped"
    );
    assert_eq!(state.number("block/00000000000000000009"), Some(1));
    assert_eq!(state.entries().count(), 9);
}

#[test]
fn a_dead_module_is_told_by_the_exit_code_of_health() {
    let node = Node::at(3);
    let folder = Folder::following(&node.ws(), &["poison", "tally"]);
    folder.append(
        "poison/nexum.toml",
        "[module.restart]\nmax_consecutive_failures = 1\n",
    );
    let engine = folder.run();
    until(&folder, "it is dead", |modules| {
        modules[0]["phase"] == "dead"
    });
    let health = folder.nexum(&["health"]);
    assert_eq!(health.status.code(), Some(1));
    assert!(stdout(&health).contains("dead"));
    // The engine goes on, and so does the other.
    node.chain().mine(1);
    until(&folder, "the other is at block 4", |modules| {
        is_at(&modules[1], 4)
    });
    assert_eq!(engine.stop().code, Some(0));
}

#[test]
fn a_copy_of_a_state_is_put_back() {
    let node = Node::at(4);
    let folder = Folder::following(&node.ws(), &["tally"]);
    let engine = folder.run();
    until(&folder, "it is at block 4", |modules| is_at(&modules[0], 4));
    let backup = ["state", "backup", "tally", "--to", "copy.redb"];
    let text = done(&folder, &backup);
    assert!(
        text.starts_with("the state of module tally is in copy.redb, "),
        "{text}"
    );
    let mode = fs::metadata(folder.path("copy.redb"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    fails(&folder.nexum(&backup), 1, &["could not make copy.redb"]);
    let nobody = folder.nexum(&["state", "backup", "nobody", "--to", "none.redb"]);
    fails(&nobody, 6, &["there are tally"]);
    assert!(!folder.path("none.redb").exists());
    node.chain().mine(3);
    until(&folder, "it is at block 7", |modules| is_at(&modules[0], 7));

    let restore = ["state", "restore", "tally", "--from", "copy.redb"];
    fails(&folder.nexum(&restore), 4, &["an engine runs"]);
    let purge = ["state", "purge", "tally", "--yes"];
    fails(&folder.nexum(&purge), 6, &["unload it first"]);
    assert_eq!(engine.stop().code, Some(0));

    fails(
        &folder.nexum(&restore),
        4,
        &["module tally has a state", "--yes"],
    );
    let asked = folder.nexum(&purge[..3]);
    assert_eq!(asked.status.code(), Some(2));
    assert!(stdout(&asked).contains("run it again with --yes"));
    assert_eq!(folder.state("tally").cursor(), Some(7), "nothing was done");
    done(&folder, &purge);
    fails(&folder.nexum(&purge), 4, &["module tally has no state"]);

    // What is no copy is refused, and leaves nothing.
    let mut torn = fs::read(folder.path("copy.redb")).unwrap();
    folder.write("none.redb", "no state at all");
    torn.truncate(torn.len() / 2);
    folder.write("torn.redb", &torn);
    for broken in ["none.redb", "torn.redb"] {
        let refused = folder.nexum(&["state", "restore", "tally", "--from", broken]);
        fails(&refused, 4, &[broken, "damaged"]);
        fails(
            &folder.nexum(&["state", "inspect", "tally"]),
            4,
            &["has no state"],
        );
    }
    done(&folder, &restore);
    assert_eq!(folder.state("tally").cursor(), Some(4));
    let copy = done(&folder, &["state", "backup", "tally", "--to", "again.redb"]);
    assert!(copy.contains("again.redb"));
    done(
        &folder,
        &["state", "restore", "tally", "--from", "again.redb", "--yes"],
    );

    // It goes on from the copy, and what came since comes again.
    let engine = folder.run();
    until(&folder, "it is at block 7", |modules| is_at(&modules[0], 7));
    assert_eq!(engine.stop().code, Some(0));
    let state = folder.state("tally");
    assert_eq!(
        (state.number("count"), state.number("repeats")),
        (Some(7), None)
    );
}

#[test]
fn completions_and_manual_pages_are_made() {
    let folder = Folder::empty();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = done(&folder, &["completions", shell]);
        assert!(script.contains("dead-letters"), "{shell}");
    }
    fails(&folder.nexum(&["completions", "cmd"]), 2, &["bash"]);
    fails(&folder.nexum(&["man", "nowhere"]), 1, &["nowhere"]);
    fs::create_dir(folder.path("man")).unwrap();
    done(&folder, &["man", "man"]);
    let page = fs::read_to_string(folder.path("man/nexum-module-upgrade.1")).unwrap();
    assert!(page.contains("init"), "{page}");
    assert!(folder.path("man/nexum.1").exists());
}

#[test]
fn a_modules_log_is_followed_and_the_levels_are_changed() {
    let node = Node::at(2);
    let folder = Folder::following(&node.ws(), &["stdout", "tally"]);
    let engine = folder.run();
    until(&folder, "both are at block 2", |modules| {
        modules.len() == 2 && modules.iter().all(|module| is_at(module, 2))
    });
    let shown = done(&folder, &["module", "logs", "stdout", "-n", "500"]);
    assert!(shown.contains("event=31337-2-"), "{shown}");
    assert!(
        shown.contains("chain=31337") && shown.contains("block=2"),
        "{shown}"
    );
    assert!(!shown.contains("tally"), "{shown}");
    let lines = done(&folder, &["module", "logs", "stdout", "--json", "-n", "1"]);
    let line: Value = serde_json::from_str(&lines).unwrap();
    assert_eq!(line["module"], "stdout");

    // Who follows gets what comes, until the engine ends.
    let mut command = folder.command(&["module", "logs", "-f", "-n", "0"]);
    let following = crate::engine::Engine::start({
        command.env_remove("RUST_LOG");
        command
    });
    eventually("the line has come", || {
        node.chain().mine(1);
        following.has_line("event=31337-").then_some(())
    });
    assert_eq!(done(&folder, &["log-level"]), "info\n");
    let wrong = folder.nexum(&["log-level", "loud"]);
    fails(&wrong, 6, &["there is no level", "the levels are"]);
    let set = done(&folder, &["log-level", "warn,nexum::module=error"]);
    assert_eq!(set, "warn,nexum::module=error\n");
    assert_eq!(
        json_of(&folder, &["log-level"]),
        json!({ "levels": "warn,nexum::module=error" })
    );
    let before = done(&folder, &["module", "logs", "-n", "1"]);
    node.chain().mine(1);
    let head = node.chain().head().number;
    until(&folder, "it is at the head", |modules| {
        is_at(&modules[0], head)
    });
    assert_eq!(done(&folder, &["module", "logs", "-n", "1"]), before);
    assert_eq!(engine.stop().code, Some(0));
    assert_eq!(following.wait().code, Some(0));
}

#[test]
fn the_live_view_needs_a_terminal_and_leaves_it_as_it_was() {
    let node = Node::at(2);
    let folder = Folder::following(&node.ws(), &["tally"]);
    fails(
        &folder.nexum(&["top"]),
        2,
        &["needs a terminal", "nexum health --json"],
    );
    let engine = folder.run();
    until(&folder, "it is at block 2", |modules| {
        !modules.is_empty() && is_at(&modules[0], 2)
    });
    // A terminal of a size, in which it is ended by its key once the module was seen.
    let view = format!(
        "stty rows 30 cols 150; exec {} top",
        env!("CARGO_BIN_EXE_nexum")
    );
    let mut command = std::process::Command::new("script");
    command
        .args(["-qefc", &view, "/dev/null"])
        .current_dir(folder.path(""))
        .env("TERM", "xterm-256color")
        .stdin(std::process::Stdio::piped())
        .stdout(fs::File::create(folder.path("screen")).unwrap());
    let mut child = command.spawn().unwrap();
    let screen = || fs::read_to_string(folder.path("screen")).unwrap_or_default();
    eventually("the module is shown", || {
        screen().contains("tally").then_some(())
    });
    std::io::Write::write_all(child.stdin.as_mut().unwrap(), b"q").unwrap();
    assert!(child.wait().unwrap().success());
    let screen = screen();
    // The other screen is left, and the cursor shown again.
    assert!(
        screen.contains("\u{1b}[?1049h") && screen.contains("\u{1b}[?1049l"),
        "{screen:?}"
    );
    assert!(screen.contains("\u{1b}[?25h"), "{screen:?}");
    assert_eq!(engine.stop().code, Some(0));
}
