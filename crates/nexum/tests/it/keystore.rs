//! `nexum keystore`: keys in, files out, and nothing told that should not be.

use std::{
    fs,
    io::Write as _,
    os::unix::fs::PermissionsExt as _,
    process::{Output, Stdio},
};

use serde_json::Value;

use crate::folder::{Folder, stderr, stdout};

const KEY: &str = "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";
const WORDS: &str = "test test test test test test test test test test test junk";
/// Of the key, and of the mnemonic's first.
const ACCOUNT: &str = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266";
/// The mnemonic's second.
const SECOND: &str = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8";
const PASSWORD: [&str; 2] = ["--password-file", "pw"];
const FOLDER: [&str; 2] = ["--keystore", "keys"];

fn folder() -> Folder {
    let folder = Folder::empty();
    folder.write("pw", "hunter2 hunter2\n");
    folder.write("wrong", "hunter3\n");
    folder
}

fn keystore(folder: &Folder, args: &[&str]) -> Output {
    folder.nexum(&[&["keystore"], args].concat())
}

fn piped(folder: &Folder, args: &[&str], input: &str) -> Output {
    let args = [&["keystore"], args].concat();
    let mut command = folder.command(&args);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(input.as_bytes()).unwrap();
    drop(stdin);
    child.wait_with_output().unwrap()
}

fn json(output: &Output) -> Value {
    assert_eq!(output.status.code(), Some(0), "{}", stderr(output));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// It ended like that, and repeated no secret.
fn ended(output: &Output, code: i32, told: &str) {
    let error = stderr(output);
    assert_eq!(output.status.code(), Some(code), "{error}");
    assert!(error.contains(told), "{error}");
    let all = format!("{error}{}", stdout(output));
    for secret in [&KEY[..16], "junk", "hunter"] {
        assert!(!all.contains(secret), "{all}");
    }
}

#[test]
fn a_new_key_is_made_listed_and_verified() {
    let folder = folder();
    let new = [&["new", "--json"], &FOLDER[..], &PASSWORD[..]].concat();
    let made = json(&keystore(&folder, &new));
    let file = folder.path(made["file"].as_str().unwrap());
    let mode = fs::metadata(&file).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
    let account = &made["account"];

    let list = [&["list", "--json"], &FOLDER[..]].concat();
    let listed = json(&keystore(&folder, &list));
    assert_eq!(listed.as_array().unwrap().len(), 1);
    assert_eq!(&listed[0]["account"], account);
    assert_eq!(listed[0]["version"], 3);
    assert_eq!(listed[0]["kdf"], "scrypt(n 2^18, r 8, p 1)");
    assert_eq!(listed[0]["error"], Value::Null);

    let verify = [&["verify", "--json"], &FOLDER[..], &PASSWORD[..]].concat();
    let verified = json(&keystore(&folder, &verify));
    assert_eq!(&verified[0]["account"], account);
    assert_eq!(verified[0]["error"], Value::Null);

    let wrong = [&["verify"], &FOLDER[..], &["--password-file", "wrong"]].concat();
    let wrong = keystore(&folder, &wrong);
    ended(&wrong, 3, "");
    assert!(stdout(&wrong).contains("the password does not open it"));
}

#[test]
fn keys_are_imported_from_standard_input_a_file_and_a_mnemonic() {
    let import = |folder: &Folder, more: &[&str], input: &str| {
        let args = [
            &["import", "--light", "--json"],
            &FOLDER[..],
            &PASSWORD[..],
            more,
        ]
        .concat();
        piped(folder, &args, input)
    };
    let account = |output: Output| json(&output)["account"].as_str().unwrap().to_lowercase();
    let first = ACCOUNT.to_lowercase();
    assert_eq!(
        account(import(&folder(), &[], &format!("0x{KEY}\n"))),
        first
    );

    let from_file = folder();
    from_file.write("key", KEY);
    assert_eq!(account(import(&from_file, &["--from", "key"], "")), first);

    let words = folder();
    assert_eq!(account(import(&words, &["--mnemonic"], WORDS)), first);
    let path = [
        "--mnemonic",
        "--derivation-path",
        "m/44'/60'/0'/0/1",
        "--name",
        "second",
    ];
    assert_eq!(account(import(&words, &path, WORDS)), SECOND.to_lowercase());
    let listed = keystore(&words, &[&["list"], &FOLDER[..]].concat());
    let listed = stdout(&listed);
    assert!(
        listed.contains(ACCOUNT) && listed.contains(SECOND),
        "{listed}"
    );
    assert!(listed.contains("second"), "{listed}");

    // One of the two, by its account or by its file.
    for which in [SECOND, "second"] {
        let args = [&["verify", which, "--json"], &FOLDER[..], &PASSWORD[..]].concat();
        let verified = json(&keystore(&words, &args));
        assert_eq!(verified.as_array().unwrap().len(), 1);
    }
}

#[test]
fn nothing_is_overwritten() {
    let folder = folder();
    let import = [
        &["import", "--light", "--name", "main"],
        &FOLDER[..],
        &PASSWORD[..],
    ]
    .concat();
    ended(&piped(&folder, &import, KEY), 0, "");
    let before = fs::read(folder.path("keys/main")).unwrap();
    ended(&piped(&folder, &import, KEY), 3, "already");
    let new = [
        &["new", "--light", "--name", "main"],
        &FOLDER[..],
        &PASSWORD[..],
    ]
    .concat();
    ended(&keystore(&folder, &new), 3, "is there already");
    assert_eq!(fs::read(folder.path("keys/main")).unwrap(), before);
    assert_eq!(fs::read_dir(folder.path("keys")).unwrap().count(), 1);
}

#[test]
fn what_is_no_key_is_refused_without_a_word_of_it() {
    let folder = folder();
    let import = [&["import", "--light"], &FOLDER[..], &PASSWORD[..]].concat();
    ended(&piped(&folder, &import, &KEY[..60]), 3, "64 hex digits");
    ended(&piped(&folder, &import, WORDS), 3, "64 hex digits");
    let words = [&import[..], &["--mnemonic"]].concat();
    ended(
        &piped(&folder, &words, &WORDS.replace("junk", "junkk")),
        3,
        "word 12",
    );
    ended(
        &piped(&folder, &words, "test test"),
        3,
        "12, 15, 18, 21 or 24 words",
    );
    ended(
        &keystore(&folder, &[&import[..], &["--from", "absent"]].concat()),
        1,
        "absent",
    );
    ended(
        &piped(&folder, &[&import[..], &["--name", "../up"]].concat(), KEY),
        2,
        "no name of a file",
    );
    assert!(!folder.path("keys").exists());
}

#[test]
fn a_password_comes_from_somewhere_and_is_one() {
    let folder = folder();
    let new = [&["new", "--light"], &FOLDER[..]].concat();
    ended(&keystore(&folder, &new), 2, "no terminal to ask on");
    let by_env = [&new[..], &["--password-env", "NEXUM_TEST_PW"]].concat();
    ended(&keystore(&folder, &by_env), 2, "it is not set");
    folder.write("empty", "\n");
    let empty = [&new[..], &["--password-file", "empty"]].concat();
    ended(&keystore(&folder, &empty), 2, "the password is empty");

    let args = [&["keystore"], &by_env[..]].concat();
    let output = folder
        .command(&args)
        .env("NEXUM_TEST_PW", "hunter2")
        .output();
    ended(&output.unwrap(), 0, "");
}

#[test]
fn the_engines_file_names_the_folder_and_no_secret_of_it_is_needed() {
    let folder = folder();
    let new = ["new", "--light", "--password-file", "pw"];
    folder.write("nexum-engine.toml", "[engine]\nstate_dir = \"s\"\n");
    ended(&keystore(&folder, &new), 2, "names no folder of keystores");
    folder.write(
        "nexum-engine.toml",
        "[engine]\nstate_dir = \"s\"\n[identity]\nkeystore = \"named\"\npassword = { env = \"NOT_SET\" }\n",
    );
    ended(&keystore(&folder, &new), 0, "");
    assert_eq!(fs::read_dir(folder.path("named")).unwrap().count(), 1);
}

#[test]
fn what_is_wrong_with_a_file_is_listed() {
    let folder = folder();
    let import = [
        &["import", "--light", "--name", "a"],
        &FOLDER[..],
        &PASSWORD[..],
    ]
    .concat();
    ended(&piped(&folder, &import, KEY), 0, "");
    let good = fs::read_to_string(folder.path("keys/a")).unwrap();
    folder.write("keys/b", &good);
    fs::set_permissions(folder.path("keys/b"), fs::Permissions::from_mode(0o644)).unwrap();
    folder.write("keys/c", &good[..100]);
    folder.write("keys/d", good.replace("\"n\":4096", "\"n\":1099511627776"));
    let listed = stdout(&keystore(&folder, &[&["list"], &FOLDER[..]].concat()));
    for told in [
        "others may read it: chmod 600",
        "a second file of this account",
        "it is cut off",
        "MiB of memory, more than 512 MiB",
    ] {
        assert!(listed.contains(told), "{told}: {listed}");
    }
}
