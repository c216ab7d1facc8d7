//! Bad input gets one clear answer before anything runs: file, line, remedy, exit code.

use std::{fs, os::unix::fs::PermissionsExt as _};

use crate::{
    folder::{Folder, component, manifest, stderr, stdout},
    node::{CHAIN, Node},
};

/// An engine's file without chains and modules.
const ENGINE: &str = "[engine]\nstate_dir = \"state\"\n";
/// The closed port of an endpoint that is down.
const DOWN: &str = "http://127.0.0.1:1";

/// Checks that `nexum run` and `nexum config check` refuse the folder with exit code 3 and say
/// each of `expected`, and that no module has run.
fn refused(folder: &Folder, expected: &[&str]) {
    refused_by(folder, &["run"], expected);
    refused_by(folder, &["config", "check"], expected);
}

fn refused_by(folder: &Folder, command: &[&str], expected: &[&str]) {
    let output = folder.nexum(command);
    let said = plain(&stderr(&output));
    assert_eq!(output.status.code(), Some(3), "{command:?}: {said}");
    for text in expected {
        assert!(said.contains(text), "{command:?}: no {text:?} in\n{said}");
    }
    assert!(!folder.path("state").exists(), "a state was begun");
}

/// The text of a report without its drawing, each run of white space one space.
fn plain(report: &str) -> String {
    let drawn = |c: char| "╭─╰│├▶·┬┤".contains(c);
    let text = report.replace(drawn, " ");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A folder with one good module, `counter`, on a chain that is down.
fn good() -> Folder {
    Folder::following(DOWN, &["counter"])
}

#[test]
fn a_file_that_is_missing_or_no_toml() {
    let folder = Folder::empty();
    refused(
        &folder,
        &[
            "nexum-engine.toml: the file does not exist",
            "check the path and who may read it",
        ],
    );
    folder.write("nexum-engine.toml", "[engine\nstate_dir = 1\n");
    refused(&folder, &["this is not TOML", "nexum-engine.toml:1:"]);
}

#[test]
fn keys_and_values() {
    let rows: [(&str, &[&str]); 7] = [
        (
            "[engine]\nstate-dir = \"state\"\n",
            &[
                "unknown key `state-dir`",
                ":2:1",
                "did you mean `state_dir`?",
            ],
        ),
        (
            "[engine]\nstate_dir = 3\n",
            &["`engine.state_dir` takes a path, not an integer", ":2:13"],
        ),
        (
            "[engine]\nstate_dir = \"state\"\nshutdown_grace = \"soon\"\n",
            &["no duration", ":3:18", "\"500ms\""],
        ),
        (
            "[engine]\nstate_dir = \"state\"\nlog.level = \"verbose\"\n",
            &[
                "`engine.log.level`: there is no level \"verbose\"",
                ":3:13",
                "the levels are",
            ],
        ),
        (
            "[engine]\nstate_dir = \"state\"\nlog.level = \"info,hyper=trace\"\n",
            &["nothing is logged under \"hyper\"", ":3:13", "nexum_chain"],
        ),
        (
            "[engine]\nstate_dir = \"state\"\n[chains.1]\n[[chains.1.endpoints]]\nurl = \"ftp://node\"\n",
            &["a URL of a scheme that no endpoint has", ":5:7", "wss"],
        ),
        (
            "[engine]\nstate_dir = \"state\"\n[chains.1]\n[[chains.1.endpoints]]\nurl = { env = \"NEXUM_TEST_UNSET\" }\n",
            &["`NEXUM_TEST_UNSET` is not set", ":5:7", "set it"],
        ),
    ];
    for (text, expected) in rows {
        let folder = Folder::empty();
        folder.write("nexum-engine.toml", text);
        refused(&folder, expected);
    }
}

/// The manifest of `good` has eleven lines.
#[test]
fn a_subscription_to_logs() {
    let rows: [(&str, &[&str]); 3] = [
        (
            "event = \"Transfer(adress indexed from)\"",
            &["counter/nexum.toml:15:9", "adress"],
        ),
        (
            "address = \"0xd8da6bf26964af9d7eed9e03e53415d37aa960\"",
            &["counter/nexum.toml:15:11", "40 hex digits"],
        ),
        (
            "event = \"Ping(uint256 id)\"\nwhere.id = 1",
            &["counter/nexum.toml:16:", "indexed"],
        ),
    ];
    for (lines, expected) in rows {
        let folder = good();
        let head = format!("[[subscription]]\nkind = \"log\"\nchain_id = {CHAIN}\n");
        folder.append("counter/nexum.toml", &(head + lines + "\n"));
        refused(&folder, expected);
    }
}

#[test]
fn every_problem_of_every_file_at_once() {
    let folder = good();
    folder.write(
        "nexum-engine.toml",
        "[engine]\nstate_dir = \"state\"\nlog.level = \"loud\"\n\
         [[modules]]\npath = \"gone\"\n[[modules]]\npath = \"counter\"\nnam = \"x\"\n",
    );
    folder.append("counter/nexum.toml", "[modul]\n");
    refused(
        &folder,
        &[
            "there is no level \"loud\"",
            "there is no bundle at",
            "unknown key `nam`",
            "unknown key `modul`",
            "which nexum-engine.toml does not configure",
        ],
    );
}

#[test]
fn bundles() {
    let folder = good();
    folder.append("nexum-engine.toml", "[[modules]]\npath = \"counter\"\n");
    refused(
        &folder,
        &[
            "two modules are named `counter`",
            "nexum-engine.toml:10:8",
            "name = \"counter-2\"",
        ],
    );

    let folder = good();
    fs::remove_dir_all(folder.path("counter")).unwrap();
    refused(
        &folder,
        &[
            "there is no bundle at",
            ":8:8",
            "write the path of a folder",
        ],
    );

    let folder = good();
    fs::remove_file(folder.path("counter/nexum.toml")).unwrap();
    refused(&folder, &["has no nexum.toml", ":8:8"]);

    let folder = good();
    fs::remove_file(folder.path("counter/module.wasm")).unwrap();
    refused(
        &folder,
        &["has no module.wasm", ":8:8", "build the component"],
    );

    let folder = good();
    folder.write("counter/nexum.toml", manifest("Counter One"));
    refused(
        &folder,
        &["`module.name`", "nexum.toml:2:8", "1 to 64 of a-z"],
    );

    let folder = good();
    folder.write(
        "counter/nexum.toml",
        manifest("counter").replace("31337", "5"),
    );
    refused(
        &folder,
        &[
            "the module requires chain 5",
            "nexum.toml:5:13",
            "add to nexum-engine.toml: [chains.5]",
        ],
    );
}

#[test]
fn components() {
    let counter = fs::read(component("counter")).unwrap();
    let core_module = b"\0asm\x01\0\0\0".to_vec();
    let rows: [(&str, Vec<u8>, &[&str]); 5] = [
        ("core module", core_module, &["no WebAssembly component"]),
        ("empty", Vec::new(), &["no WebAssembly component"]),
        ("garbage", vec![0x5a; 1000], &["no WebAssembly component"]),
        (
            "truncated",
            counter[..counter.len() / 2].to_vec(),
            &["it does not compile"],
        ),
        (
            "other world",
            fs::read(component("query")).unwrap(),
            &["it is not built for the world nexum:host/event-module@0.3.0"],
        ),
    ];
    for (what, bytes, expected) in rows {
        let folder = good();
        folder.write("counter/module.wasm", bytes);
        println!("{what}");
        refused(&folder, expected);
        // The operator's entry, and what to do.
        refused(
            &folder,
            &["nexum-engine.toml:8:8", "help:", "build the module"],
        );
    }
}

#[test]
fn pins() {
    let none = "0".repeat(64);
    let folder = good();
    let engine = fs::read_to_string(folder.path("nexum-engine.toml")).unwrap();
    let pinned = format!("path = \"counter\"\ndigest = \"sha256:{none}\"");
    folder.write(
        "nexum-engine.toml",
        engine.replace("path = \"counter\"", &pinned),
    );
    refused(
        &folder,
        &["nexum-engine.toml:9:10", "its entry is pinned to", &none],
    );

    // The two say different things, whatever the bytes are.
    let manifest = fs::read_to_string(folder.path("counter/nexum.toml")).unwrap();
    let other = format!("component = \"sha256:{}\"\n[chains]", "1".repeat(64));
    folder.write("counter/nexum.toml", manifest.replace("[chains]", &other));
    refused(
        &folder,
        &[
            "nexum-engine.toml:9:10",
            "and its manifest says that its component is 1111",
            "counter/nexum.toml:4:13",
            "get the bundle anew",
        ],
    );

    let folder = good();
    folder.append("nexum-engine.toml", "[policy]\nrequire_digest = true\n");
    refused(
        &folder,
        &[
            "nexum-engine.toml:8:8",
            "policy.require_digest",
            "add to its entry:",
            "digest = \"sha256:",
        ],
    );
}

#[test]
fn an_import_that_is_not_declared() {
    let folder = Folder::following(DOWN, &["undeclared"]);
    let text = manifest("undeclared").replace(
        "[\"chain\", \"local-store\", \"logging\"]",
        "[\"local-store\"]",
    );
    folder.write("undeclared/nexum.toml", text);
    refused(
        &folder,
        &[
            "it imports what its manifest does not declare",
            "nexum.toml:7:",
            "write under [capabilities]: required = [\"chain\", \"local-store\", \"random\"]",
        ],
    );
}

#[test]
fn an_endpoint_of_another_chain() {
    let node = Node::serving(5, 1);
    let folder = Folder::following(&node.http(), &["counter"]);
    refused_by(
        &folder,
        &["run"],
        &[
            "is configured for chain 31337 and serves chain 5",
            "nexum-engine.toml:6:7",
            "correct the URL, or move the endpoint to [chains.5]",
        ],
    );
    // The check asks no chain.
    assert_eq!(folder.nexum(&["config", "check"]).status.code(), Some(0));
}

#[test]
fn an_endpoint_that_is_down_is_no_refusal() {
    let folder = good();
    let engine = folder.run();
    engine.wait_for_line("the endpoint does not answer; it is tried again when it is needed");
    engine.wait_for_line("engine is running");
    let ended = engine.stop();
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
}

#[test]
fn an_engine_without_modules_says_so() {
    let folder = Folder::empty();
    folder.write("nexum-engine.toml", ENGINE);
    let engine = folder.run();
    engine.wait_for_line("there is no module to run");
    engine.wait_for_line("engine is running");
    assert_eq!(engine.stop().code, Some(0));
}

/// Checks that `nexum run` ends with exit code 4 and says each of `expected`.
fn unusable(folder: &Folder, expected: &[&str]) {
    let output = folder.nexum(&["run"]);
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(4), "{said}");
    for text in expected {
        assert!(said.contains(text), "no {text:?} in\n{said}");
    }
}

#[test]
fn a_state_directory_that_another_engine_has() {
    let folder = good();
    let engine = folder.run();
    engine.wait_for_line("engine is running");
    let holder = format!("in use by another engine (process {})", engine.pid());
    unusable(&folder, &[&holder, "give this one a state_dir of its own"]);
    assert_eq!(engine.stop().code, Some(0));
}

#[test]
fn a_state_directory_that_cannot_be_made() {
    let folder = good();
    let text = fs::read_to_string(folder.path("nexum-engine.toml")).unwrap();
    let deep = text.replace("\"state\"", "\"no/such/state\"");
    folder.write("nexum-engine.toml", deep);
    unusable(
        &folder,
        &["its parent folder does not exist", "make the parent"],
    );

    folder.write("no/such", "a file");
    unusable(&folder, &["is not a folder", "correct state_dir"]);
}

#[test]
fn a_state_directory_that_others_can_write_to() {
    let folder = good();
    let state = folder.path("state");
    fs::create_dir(&state).unwrap();
    fs::set_permissions(&state, fs::Permissions::from_mode(0o770)).unwrap();
    unusable(
        &folder,
        &["others than its owner can write", "chmod go-w state"],
    );
}

#[test]
fn a_damaged_state_is_left_as_it_is() {
    for damage in [
        b"this is not a database".to_vec(),
        vec![0; 8192],
        Vec::new(),
    ] {
        let folder = good();
        folder.write("state/modules/counter.redb", &damage);
        unusable(
            &folder,
            &[
                "is damaged or not a module's state",
                "restore it from a backup",
            ],
        );
        let after = fs::read(folder.path("state/modules/counter.redb")).unwrap();
        assert!(after == damage, "the file was written to");
    }
}

#[test]
fn a_wrong_command_line() {
    let folder = Folder::empty();
    let rows: [(&[&str], &str); 6] = [
        (&["runn"], "a similar subcommand exists: 'run'"),
        (
            &["run", "--confg", "x"],
            "a similar argument exists: '--config'",
        ),
        (&["state", "inspect"], "<MODULE>"),
        (&["state", "inspect", "No Name"], "invalid value 'No Name'"),
        (
            &["state", "inspect", "a", "--limit", "many"],
            "invalid value 'many'",
        ),
        (
            &["state", "inspect", "a", "--config", "x", "--state-dir", "y"],
            "cannot be used with",
        ),
    ];
    for (args, expected) in rows {
        let output = folder.nexum(args);
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {said}");
        assert!(said.contains(expected), "{args:?}: {said}");
        assert_eq!(stdout(&output), "");
    }
}

#[test]
fn a_check_says_what_is_configured() {
    let folder = good();
    let output = folder.nexum(&["config", "check"]);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(
        stdout(&output),
        format!("nexum-engine.toml: ok\n  chain {CHAIN}: {DOWN}\n  module counter 0.1.0\n")
    );
    let output = folder.nexum(&["config", "check", "--json"]);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(
        stdout(&output),
        format!(
            "{{\"ok\":true,\"chains\":[{{\"id\":{CHAIN},\"endpoints\":[\"{DOWN}\"]}}],\
             \"modules\":[{{\"name\":\"counter\",\"version\":\"0.1.0\"}}],\"problems\":[],\
             \"warnings\":[]}}\n"
        )
    );
    assert_eq!(stderr(&output), "");
}

#[test]
fn a_check_tells_problems_as_json() {
    let folder = Folder::empty();
    folder.write("nexum-engine.toml", "[engine]\nstate-dir = \"state\"\n");
    let output = folder.nexum(&["config", "check", "--json"]);
    assert_eq!(output.status.code(), Some(3));
    assert_eq!(
        stdout(&output),
        "{\"ok\":false,\"chains\":[],\"modules\":[],\"problems\":[{\"file\":\"nexum-engine.toml\",\
         \"line\":2,\"column\":1,\"message\":\"unknown key `state-dir` in `engine`\",\
         \"help\":\"did you mean `state_dir`?\"}],\"warnings\":[]}\n"
    );
    assert_eq!(stderr(&output), "");
}
