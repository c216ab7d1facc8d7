//! Passwords and keys that are typed at a terminal: asked for, not shown, and let go of by Ctrl-C.

use std::fs;

use crate::{
    folder::{Folder, stderr},
    money::{KEY, PASSWORD, keep_key},
    node::Node,
    terminal::Terminal,
};

const TYPED: &str = "plantedtypedpassword";

fn keystores(folder: &Folder) -> usize {
    fs::read_dir(folder.path("keys")).map_or(0, Iterator::count)
}

#[test]
fn a_new_password_is_typed_twice_and_not_shown() {
    let folder = Folder::empty();
    folder.write("typed", TYPED);
    let new = "keystore new --light --keystore keys";
    let mut terminal = Terminal::run(&folder, new);
    terminal.answer("New password: ", TYPED);
    terminal.answer("The same again: ", TYPED);
    let (code, shown) = terminal.ended();
    assert_eq!(code, 0, "{shown}");
    assert!(!shown.contains(TYPED), "{shown}");
    let verify = [
        "keystore",
        "verify",
        "--keystore",
        "keys",
        "--password-file",
        "typed",
    ];
    let verified = folder.nexum(&verify);
    assert_eq!(verified.status.code(), Some(0), "{}", stderr(&verified));

    let mut terminal = Terminal::run(&folder, new);
    terminal.answer("New password: ", TYPED);
    terminal.answer("The same again: ", "another");
    let (code, shown) = terminal.ended();
    assert_eq!(code, 2, "{shown}");
    assert!(
        shown.contains("the two passwords are not the same"),
        "{shown}"
    );
    assert!(!shown.contains(TYPED), "{shown}");

    let mut terminal = Terminal::run(&folder, "keystore import --light --keystore imported");
    terminal.answer("The key, in hex: ", KEY);
    terminal.answer("New password: ", TYPED);
    terminal.answer("The same again: ", TYPED);
    let (code, shown) = terminal.ended();
    assert_eq!(code, 0, "{shown}");
    assert!(
        shown.contains("0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"),
        "{shown}"
    );
    assert!(!shown.contains(KEY) && !shown.contains(TYPED), "{shown}");

    let mut terminal = Terminal::run(&folder, new);
    terminal.wait_for("New password: ");
    terminal.interrupt();
    let (code, shown) = terminal.ended();
    assert_ne!(code, 0, "{shown}");
    assert_eq!(keystores(&folder), 1);
}

/// Given a file that names no password, then `nexum run` asks for it on the terminal, refuses to
/// start with a wrong one, and runs with the right one until Ctrl-C.
#[test]
fn an_engine_asks_for_the_password_of_its_keystores() {
    let node = Node::at(0);
    let folder = Folder::following(&node.ws(), &["counter"]);
    let account = keep_key(&folder);
    folder.append(
        "nexum-engine.toml",
        &format!(
            "[identity]\nkeystore = \"keys\"\n\
             [identity.modules.counter]\naccounts = [\"{account}\"]\n"
        ),
    );
    let mut terminal = Terminal::run(&folder, "run");
    terminal.answer("Password of the keystores: ", TYPED);
    let (code, shown) = terminal.ended();
    assert_eq!(code, 3, "{shown}");
    assert!(!shown.contains(TYPED), "{shown}");

    let mut terminal = Terminal::run(&folder, "run");
    terminal.answer("Password of the keystores: ", PASSWORD);
    terminal.wait_for("module is running");
    terminal.interrupt();
    let (code, shown) = terminal.ended();
    assert_eq!(code, 0, "{shown}");
    assert!(!shown.contains(PASSWORD) && !shown.contains(KEY), "{shown}");
}
