//! The probes, as whoever starts and restarts the process asks them.

use std::{
    net::{SocketAddr, TcpListener},
    time::Duration,
};

use crate::{
    engine::{eventually, get},
    folder::{Folder, stderr},
    node::Node,
};

fn status(address: SocketAddr, path: &str) -> u16 {
    get(address, path)
        .split(' ')
        .nth(1)
        .unwrap()
        .parse()
        .unwrap()
}

/// Given a node that takes the connection and never answers, so that the start waits for it.
#[test]
fn a_starting_engine_is_alive_and_not_ready() {
    let node = Node::at(1);
    node.server.set_latency(Duration::from_secs(3600));
    let folder = Folder::following(&node.http(), &["counter"]);
    let engine = folder.run();
    let health = engine.health();

    assert_eq!(status(health, "/health/live"), 200);
    assert_eq!(status(health, "/health/ready"), 503);

    assert_eq!(engine.stop().code, Some(0));
}

#[test]
fn an_engine_at_work_is_alive_and_ready() {
    let node = Node::at(1);
    let folder = Folder::following(&node.ws(), &["counter"]);
    let engine = folder.run();
    engine.wait_for_line("engine is running");
    let health = engine.health();
    assert_eq!(status(health, "/health/live"), 200);
    // Once its module has had its first init.
    eventually("it is ready", || {
        (status(health, "/health/ready") == 200).then_some(())
    });
    assert_eq!(engine.stop().code, Some(0));
}

#[test]
fn an_address_that_is_taken_is_a_refusal() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let folder = Folder::empty();
    let file = format!(
        "[engine]\nstate_dir = \"state\"\n\
         [observability]\nmetrics = \"off\"\nhealth = \"{address}\"\n"
    );
    folder.write("nexum-engine.toml", file);
    let output = folder.nexum(&["run"]);
    assert_eq!(output.status.code(), Some(3));
    let told = stderr(&output);
    assert!(told.contains("nexum-engine.toml:5:10"), "{told}");
    let what = format!("`health` cannot be served at {address}: another program listens there");
    assert!(told.contains(&what), "{told}");
    assert!(!folder.path("state").exists());
}
