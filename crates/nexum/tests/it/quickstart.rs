//! Every command of the operator's quickstart.

use std::{fs, os::unix::fs::symlink};

use crate::{
    folder::{Folder, component},
    guide::Guide,
    node::Node,
};

#[test]
fn every_command_of_the_quickstart_does_what_it_says() {
    let guide = Guide::read("docs/operations/quickstart.md", &["8080", "9090"]);
    assert!(guide.len() > 30, "{} commands", guide.len());

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
    guide.play(&folder.path(""), &[("RPC_URL", node.ws().as_ref())]);
}
