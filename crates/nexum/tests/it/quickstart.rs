//! Every command of the quickstart, in its order, in one shell.

use std::{
    fmt::Write as _,
    fs,
    net::TcpListener,
    os::unix::fs::symlink,
    process::{Command, Stdio},
};

use crate::{
    folder::{Folder, component},
    node::Node,
};

/// One command, and what it is said to print.
struct Step {
    command: String,
    output: Vec<String>,
}

/// The commands of a document: in its `console` blocks, what follows `$ `, with the lines of a
/// here-document, and the output after it.
fn steps(document: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let (mut is_console, mut in_here_document) = (false, false);
    for line in document.lines() {
        if let Some(kind) = line.strip_prefix("```") {
            is_console = kind == "console";
        } else if !is_console {
        } else if in_here_document {
            let step = steps.last_mut().unwrap();
            write!(step.command, "\n{line}").unwrap();
            in_here_document = line != "END";
        } else if let Some(command) = line.strip_prefix("$ ") {
            in_here_document = command.ends_with("<<'END'");
            steps.push(Step {
                command: command.to_owned(),
                output: Vec::new(),
            });
        } else {
            steps.last_mut().unwrap().output.push(line.to_owned());
        }
    }
    steps
}

/// Whether a line is as it was said, `…` standing for anything.
fn is_as_said(said: &str, line: &str) -> bool {
    let mut parts = said.split('…');
    let Some(mut rest) = line.strip_prefix(parts.next().unwrap_or("")) else {
        return false;
    };
    let mut is_exact = true;
    for part in parts {
        let Some(at) = rest.rfind(part) else {
            return false;
        };
        rest = &rest[at + part.len()..];
        is_exact = false;
    }
    rest.is_empty() || (!is_exact && said.ends_with('…'))
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

#[test]
fn every_command_of_the_quickstart_does_what_it_says() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../docs/operations/quickstart.md"
    );
    // Another test may have the usual ports.
    let (health, metrics) = (free_port().to_string(), free_port().to_string());
    let document = fs::read_to_string(path).unwrap();
    let document = document.replace("8080", &health).replace("9090", &metrics);
    let steps = steps(&document);
    assert!(steps.len() > 30, "{} commands", steps.len());

    let node = Node::at(7);
    let folder = Folder::empty();
    for guest in ["tally", "poison"] {
        fs::copy(component(guest), folder.path(&format!("{guest}.wasm"))).unwrap();
    }
    fs::create_dir_all(folder.path("target/release")).unwrap();
    symlink(
        env!("CARGO_BIN_EXE_nexum"),
        folder.path("target/release/nexum"),
    )
    .unwrap();
    let mut script = String::from("set -m\nexec 2>&1\ntrap 'kill $(jobs -p)' EXIT TERM\n");
    for (index, step) in steps.iter().enumerate() {
        writeln!(script, "{}\necho \"@@ {index} $?\"", step.command).unwrap();
    }
    // What is waited for and never comes ends the shell, which takes its engine with it.
    let output = Command::new("timeout")
        .args(["--foreground", "300", "bash", "-c", &script])
        .current_dir(folder.path(""))
        .env("RPC_URL", node.ws())
        .env("NO_COLOR", "1")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();

    let mut rest = printed.as_str();
    for (index, Step { command, output }) in steps.iter().enumerate() {
        let mark = format!("@@ {index} ");
        let (said, after) = rest
            .split_once(&mark)
            .unwrap_or_else(|| panic!("it did not come to {command:?}:\n{printed}"));
        let (code, after) = after.split_once('\n').unwrap();
        rest = after;
        assert_eq!(code, "0", "{command}\n{said}");
        // What the shell itself says of its jobs is not said here.
        let lines = said.lines().filter(|line| !line.starts_with('['));
        let lines: Vec<_> = lines.map(str::trim_end).collect();
        let mut at = 0;
        for expected in output {
            if expected == "…" {
                at = lines.len();
                continue;
            }
            let line = lines.get(at).copied().unwrap_or("(nothing)");
            assert!(is_as_said(expected, line), "{command}\n{expected}\n{said}");
            at += 1;
        }
        assert!(at >= lines.len(), "{command} prints more:\n{said}");
    }
}
