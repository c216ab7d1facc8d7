//! What `--help` says, as it is checked in. Made anew with `NEXUM_UPDATE=1`.

use std::{env, fs, path::Path};

use crate::package::{Ended, cargo_nexum, workspace};

const COMMANDS: [&[&str]; 5] = [&[], &["new"], &["build"], &["check"], &["run"]];

fn help(command: &[&str]) -> String {
    let output = cargo_nexum(workspace())
        .args(command)
        .arg("--help")
        .output()
        .unwrap();
    Ended::from(output).ends(0).stdout
}

#[test]
fn the_help_of_every_command_is_the_one_on_disk() {
    let texts = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/help");
    for command in COMMANDS {
        let name = format!("{}.txt", [&["cargo-nexum"], command].concat().join("-"));
        let text = help(command);
        let path = texts.join(&name);
        if env::var_os("NEXUM_UPDATE").is_some() {
            fs::write(&path, &text).unwrap();
        }
        let on_disk = fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(text, on_disk, "{name} is stale: run with NEXUM_UPDATE=1");
    }
    assert_eq!(fs::read_dir(texts).unwrap().count(), COMMANDS.len());
}

#[test]
fn the_reference_names_every_command_and_every_option() {
    let reference = workspace().join("docs/reference/cargo-nexum.md");
    let reference = fs::read_to_string(reference).unwrap();
    let commands = help(&[]);
    let (_, list) = commands.split_once("Commands:\n").unwrap();
    let listed = list.lines().take_while(|line| !line.is_empty());
    let listed: Vec<_> = listed
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    assert_eq!(listed, ["new", "build", "check", "run", "help"]);
    for command in &COMMANDS[1..] {
        let section = format!("## `cargo nexum {}`", command.join(" "));
        assert!(reference.contains(&section), "there is no {section}");
        let help = help(command);
        let words = help.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-'));
        for option in words.filter(|word| word.starts_with("--") && *word != "--help") {
            assert!(reference.contains(option), "{section}: nothing of {option}");
        }
    }
}
