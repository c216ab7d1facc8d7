//! Compiled code on disk, as an operator sees it: what the start's lines say.

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
};

use serde_json::Value;

use crate::{engine::Ended, folder::Folder, node::Node};

/// Runs the folder's modules until the engine says that it runs, and stops it.
fn run(folder: &Folder) -> Ended {
    let engine = folder.run();
    engine.wait_for_line("engine is running");
    let ended = engine.stop();
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    ended
}

/// The lines with this message.
fn lines(ended: &Ended, message: &str) -> Vec<Value> {
    let lines = ended.log.lines().map(serde_json::from_str);
    lines
        .map(Result::unwrap)
        .filter(|line: &Value| line["message"] == message)
        .collect()
}

/// How many components were compiled, and of how many there was code.
fn origins(ended: &Ended) -> (u64, u64) {
    let line = &lines(ended, "engine is running")[0];
    let count = |key: &str| line[key].as_u64().unwrap();
    (count("compiled"), count("kept"))
}

#[test]
fn the_start_says_what_it_compiled() {
    let node = Node::at(1);
    let folder = Folder::following(&node.ws(), &["counter", "slow"]);
    assert_eq!(origins(&run(&folder)), (2, 0));
    assert_eq!(origins(&run(&folder)), (0, 2));

    // It can be removed at any time.
    fs::remove_dir_all(folder.path("state/code")).unwrap();
    assert_eq!(origins(&run(&folder)), (2, 0));
}

/// However many modules there are, the operator is told once, and why.
#[test]
fn what_is_not_trusted_is_told_once() {
    let node = Node::at(1);
    let folder = Folder::following(&node.ws(), &["counter", "slow"]);
    run(&folder);
    let code = folder.path("state/code");
    fs::set_permissions(&code, fs::Permissions::from_mode(0o770)).unwrap();
    let ended = run(&folder);
    assert_eq!(origins(&ended), (2, 0));
    for message in [
        "kept code is not trusted, and is compiled anew",
        "compiled code is not kept; the next start compiles again",
    ] {
        let [line] = &lines(&ended, message)[..] else {
            panic!("not one line: {ended:?}");
        };
        let why = "others than its owner have access to state/code (its mode is 0770)";
        assert_eq!(
            (&line["level"], &line["error"]),
            (&"WARN".into(), &why.into())
        );
    }

    // A link is told of as what it is.
    fs::rename(&code, folder.path("elsewhere")).unwrap();
    symlink(folder.path("elsewhere"), &code).unwrap();
    let ended = run(&folder);
    let line = &lines(&ended, "kept code is not trusted, and is compiled anew")[0];
    assert_eq!(line["error"], "state/code is not a folder");
}

/// What was compiled for a start that is refused is not kept.
#[test]
fn a_refused_start_and_a_check_keep_nothing() {
    let other = Node::serving(5, 1);
    let folder = Folder::following(&other.http(), &["counter"]);
    assert_eq!(folder.nexum(&["run"]).status.code(), Some(3));
    assert_eq!(folder.nexum(&["config", "check"]).status.code(), Some(0));
    assert!(!folder.path("state").exists());
}
