//! What `--help` says, as it is checked in. Made anew with `NEXUM_UPDATE=1`.

use std::{env, fs, path::Path};

use crate::folder::{Folder, stdout};

const COMMANDS: [&[&str]; 36] = [
    &[],
    &["run"],
    &["config"],
    &["config", "check"],
    &["module"],
    &["module", "list"],
    &["module", "load"],
    &["module", "unload"],
    &["module", "restart"],
    &["module", "upgrade"],
    &["module", "logs"],
    &["module", "dead-letters"],
    &["module", "dead-letters", "list"],
    &["module", "dead-letters", "show"],
    &["module", "dead-letters", "retry"],
    &["module", "dead-letters", "drop"],
    &["module", "resync"],
    &["state"],
    &["state", "inspect"],
    &["state", "backup"],
    &["state", "restore"],
    &["state", "purge"],
    &["transaction"],
    &["transaction", "list"],
    &["transaction", "show"],
    &["keystore"],
    &["keystore", "new"],
    &["keystore", "import"],
    &["keystore", "list"],
    &["keystore", "verify"],
    &["health"],
    &["top"],
    &["reload-credentials"],
    &["log-level"],
    &["completions"],
    &["man"],
];

#[test]
fn the_help_of_every_command_is_the_one_on_disk() {
    let folder = Folder::empty();
    let texts = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/help");
    let mut files = Vec::new();
    for command in COMMANDS {
        let output = folder.nexum(&[command, &["--help"]].concat());
        assert_eq!(output.status.code(), Some(0));
        let name = format!("{}.txt", [&["nexum"], command].concat().join("-"));
        let path = texts.join(&name);
        if env::var_os("NEXUM_UPDATE").is_some() {
            fs::write(&path, &output.stdout).unwrap();
        }
        let on_disk = fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(
            stdout(&output),
            on_disk,
            "{name} is stale: run with NEXUM_UPDATE=1"
        );
        files.push(name);
    }
    let mut on_disk: Vec<_> = fs::read_dir(texts)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    on_disk.sort();
    files.sort();
    assert_eq!(on_disk, files);
}

/// A command that is added is documented.
#[test]
fn the_reference_names_every_command_and_every_option() {
    let reference = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference/cli.md");
    let reference = fs::read_to_string(reference).unwrap();
    let folder = Folder::empty();
    for command in COMMANDS {
        let help = stdout(&folder.nexum(&[command, &["--help"]].concat()));
        let section = format!("## `{}`", [&["nexum"], command].concat().join(" "));
        if !help.contains("Commands:") {
            assert!(reference.contains(&section), "there is no {section}");
        }
        let words = help.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-'));
        for option in words.filter(|word| word.starts_with("--")) {
            assert!(reference.contains(option), "{section}: nothing of {option}");
        }
        let subcommands = help
            .split_once("Commands:\n")
            .map_or("", |(_, list)| list.split("\n\n").next().unwrap_or(""));
        let named = subcommands.lines().filter(|line| !line.starts_with("   "));
        for name in named.filter_map(|line| line.split_whitespace().next()) {
            let known = [command, &[name]].concat();
            assert!(name == "help" || COMMANDS.contains(&&*known), "{known:?}");
        }
    }
}
