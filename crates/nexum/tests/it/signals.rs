//! SIGINT and SIGTERM: an ordered end, within its time, and a way out of it.

use std::{
    process::Stdio,
    time::{Duration, Instant},
};

use nexum_testkit::wasm;
use rustix::process::Signal;

use crate::{
    folder::{Folder, component, manifest},
    node::Node,
};

/// A module whose call takes `millis`, under way for block 1 of a chain that ends there.
fn folder(node: &Node, millis: u64, grace: &str) -> Folder {
    let folder = Folder::following(&node.ws(), &["slow"]);
    folder.engine_file(
        &format!("shutdown_grace = \"{grace}\""),
        &node.ws(),
        &["slow"],
    );
    let config = format!("[modules.config]\nmillis = {millis}\n");
    folder.append("nexum-engine.toml", &config);
    folder
}

#[test]
fn the_call_in_flight_is_finished_and_committed() {
    for signal in [Signal::TERM, Signal::INT] {
        let node = Node::at(1);
        let folder = folder(&node, 2000, "60s");
        let engine = folder.run();
        engine.wait_for_line("sleeping");

        engine.signal(signal);
        engine.wait_for_line("stopping: calls in flight may finish");
        node.chain().mine(4);
        let ended = engine.wait();

        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert_eq!(ended.stderr, "");
        assert!(ended.log.contains("engine has stopped"), "{ended:?}");
        let state = folder.state("slow");
        // The one call, and none after it.
        assert_eq!((state.number("count"), state.cursor()), (Some(1), Some(1)));
    }
}

#[test]
fn a_call_that_outlasts_the_grace_is_cut_off_and_delivered_again() {
    let node = Node::at(1);
    let cut = folder(&node, 25_000, "300ms");
    let engine = cut.run();
    engine.wait_for_line("sleeping");

    let asked = Instant::now();
    let ended = engine.stop();

    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(asked.elapsed() < Duration::from_secs(20), "it waited");
    let warning = "its call did not end in time and is delivered again at the next start";
    assert!(ended.log.contains(warning), "{ended:?}");
    let state = cut.state("slow");
    assert_eq!((state.number("count"), state.cursor()), (None, None));

    cut.engine_file("", &node.ws(), &["slow"]);
    let engine = cut.run();
    crate::engine::eventually("block 1 is delivered again", || {
        (cut.committed("slow")? == 1).then_some(())
    });
    assert_eq!(engine.stop().code, Some(0));
    assert_eq!(cut.state("slow").number("count"), Some(1));
}

#[test]
fn a_second_signal_ends_it_at_once() {
    for (first, second, name) in [
        (Signal::TERM, Signal::INT, "SIGINT"),
        (Signal::INT, Signal::TERM, "SIGTERM"),
    ] {
        let node = Node::at(1);
        let folder = folder(&node, 29_000, "60s");
        let engine = folder.run();
        engine.wait_for_line("sleeping");
        engine.signal(first);
        engine.wait_for_line("stopping: calls in flight may finish");

        let asked = Instant::now();
        engine.signal(second);
        let ended = engine.wait();

        assert_eq!(ended.code, Some(130), "{ended:?}");
        assert!(asked.elapsed() < Duration::from_secs(20), "it waited");
        assert_eq!(
            ended.stderr,
            format!("{name}: exiting at once; what was not committed is delivered again\n")
        );
        assert_eq!(folder.state("slow").cursor(), None);
    }
}

/// Loops within loops, a few less than are refused: the compiler takes half a minute for them.
const AS_LONG_AS_MAY_BE: usize = 2_700;

/// What the compiler does with a component ends with the process.
#[test]
fn a_signal_while_a_component_is_compiled_ends_it() {
    let node = Node::at(1);
    let folder = folder(&node, 0, "60s");
    let hostile = wasm::component(&wasm::module(&[wasm::nested_loops(AS_LONG_AS_MAY_BE)]));
    folder.write("slow/module.wasm", hostile);
    let engine = folder.run();
    engine.wait_for_line("the component takes long to compile");

    let ended = engine.stop();

    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.log.contains("stopped before any module ran"));
    assert!(!folder.path("state").exists());
}

/// The same for a module that is loaded while others run.
#[test]
fn a_signal_while_a_further_component_is_compiled_ends_it() {
    let node = Node::at(1);
    let folder = Folder::following(&node.ws(), &["counter"]);
    let hostile = wasm::component(&wasm::module(&[wasm::nested_loops(AS_LONG_AS_MAY_BE)]));
    folder.bundle("hostile", &manifest("hostile"), &component("counter"));
    folder.write("hostile/module.wasm", hostile);
    let engine = folder.run();
    engine.wait_for_line("engine is running");
    let mut load = folder.command(&["module", "load", "hostile"]);
    let mut load = load
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    engine.wait_for_line("the component takes long to compile");
    // Meanwhile the other goes on.
    node.chain().mine(4);
    crate::engine::eventually("block 5 is committed", || {
        (folder.committed("counter")? == 5).then_some(())
    });

    let ended = engine.stop();

    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.log.contains("engine has stopped"), "{ended:?}");
    assert_eq!(folder.state("counter").cursor(), Some(5));
    let answered = crate::engine::eventually("the load is answered", || load.try_wait().unwrap());
    assert_ne!(answered.code(), Some(0));
}

#[test]
fn a_signal_during_the_start_ends_it_before_any_module_runs() {
    // The node takes the connection and never answers, so that the start waits for it.
    let node = Node::at(1);
    node.server.set_latency(Duration::from_secs(3600));
    let folder = folder(&node, 0, "60s");
    folder.append(
        "nexum-engine.toml",
        "[chains.1]\nrequest_timeout = \"1h\"\ncall_deadline = \"1h\"\n[[chains.1.endpoints]]\nurl = \"http://SELF\"\n"
            .replace("http://SELF", &node.http())
            .as_str(),
    );
    let engine = folder.run();
    engine.wait_for_line("engine is starting");

    let ended = engine.stop();

    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.log.contains("stopped before any module ran"));
    assert!(!folder.path("state").exists());
}
