//! Bad input at the start: told all at once, with file, line and remedy, before anything runs.

use std::{
    fs::{self, File},
    net::TcpListener,
    path::Path,
};

use nexum_engine::StartError;
use nexum_manifest::Problem;
use nexum_testkit::wasm;

use crate::world::{CHAIN, Module, Via, World, server, server_of};

/// One problem as the operator reads it.
#[derive(Debug)]
struct Told {
    file: String,
    /// The text of the line that it points at.
    line: String,
    message: String,
    remedy: String,
}

impl Told {
    fn of(problem: &Problem) -> Self {
        let text = fs::read_to_string(problem.file()).unwrap();
        let line = problem.line().expect("it points at a line");
        Self {
            file: problem.file().to_owned(),
            line: text.lines().nth(line - 1).unwrap().to_owned(),
            message: problem.message().to_owned(),
            remedy: problem.remedy().expect("it says what to do").to_owned(),
        }
    }

    #[track_caller]
    fn assert(&self, file: &Path, line: &str, message: &str, remedy: &str) {
        assert_eq!(Path::new(&self.file), file);
        assert_eq!(self.line, line);
        assert!(self.message.contains(message), "{}", self.message);
        assert!(self.remedy.contains(remedy), "{}", self.remedy);
    }
}

/// What the engine tells instead of starting. Whatever the reason: it leaves no state behind.
async fn refused(world: &World) -> Vec<Told> {
    let StartError::Refused(errors) = world.try_start().await.unwrap_err() else {
        panic!("not refused, but ended for another reason");
    };
    assert!(!world.state_dir().exists(), "a refused start made a state");
    errors.problems().map(Told::of).collect()
}

async fn refused_once(world: &World) -> Told {
    let mut told = refused(world).await;
    assert_eq!(told.len(), 1, "{told:?}");
    told.remove(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_that_is_not_declared() {
    let server = server(1).await;
    let with = |capabilities: &[&'static str]| {
        let module = Module::fixture("undeclared").granted(capabilities);
        World::over(&server, Via::Ws).module(module)
    };

    let world = with(&["chain"]);
    refused_once(&world).await.assert(
        &world.manifest("undeclared"),
        "required = [\"chain\"]",
        "imports what its manifest does not declare: \"random\"",
        "write under [capabilities]:\nrequired = [\"chain\", \"random\"]",
    );
    let none = refused_once(&with(&[])).await;
    assert!(none.message.contains("\"chain\", \"random\""), "{none:?}");

    let engine = with(&["chain", "random"]).start().await;
    engine.delivered("undeclared", 1).await;
    assert_eq!(engine.stop().await.module("undeclared").last_error, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_are_no_component() {
    let server = server(1).await;
    let world = World::over(&server, Via::Ws).module(Module::fixture("counter"));
    let path = world.component("counter");
    let whole = fs::read(&path).unwrap();
    let tampered: [(&[u8], &str); 4] = [
        (
            b"\0asm\x01\0\0\0",
            "no WebAssembly component but a core WebAssembly module",
        ),
        (b"#!/bin/sh\n", "no WebAssembly at all"),
        (b"", "an empty file"),
        (&whole[..whole.len() / 2], "it does not compile"),
    ];
    for (bytes, message) in tampered {
        fs::write(&path, bytes).unwrap();
        refused_once(&world).await.assert(
            &world.engine_file(),
            "path = \"counter\"",
            message,
            "build the module with --target wasm32-wasip2",
        );
    }
}

/// However large it is: the second one would not fit into memory.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_too_large() {
    const MIB: u64 = 1024 * 1024;
    let server = server(1).await;
    let world = World::over(&server, Via::Ws).module(Module::fixture("counter"));
    for length in [100 * MIB, 1024 * 1024 * MIB] {
        let zeros = File::create(world.component("counter")).unwrap();
        zeros.set_len(length).unwrap();
        refused_once(&world).await.assert(
            &world.engine_file(),
            "path = \"counter\"",
            "has more than 67108864 bytes",
            "build the module in release mode",
        );
    }

    // As many as may be are read, and are no component.
    let zeros = File::create(world.component("counter")).unwrap();
    zeros.set_len(64 * MIB).unwrap();
    let told = refused_once(&world).await;
    assert!(told.message.contains("no WebAssembly at all"), "{told:?}");
}

/// Few bytes that would take a compiler much memory.
#[tokio::test(flavor = "multi_thread")]
async fn components_that_are_too_much_to_compile() {
    let server = server(1).await;
    let world = World::over(&server, Via::Ws).module(Module::fixture("counter"));
    let functions = vec![wasm::EMPTY_BODY; 1_000_000];
    for (bytes, message) in [
        (
            wasm::nested(100_000),
            "more than 32 components within one another",
        ),
        (
            wasm::component(&wasm::module(&functions)),
            "more than 100000 functions",
        ),
        (
            wasm::component_of(&vec![wasm::module(&[wasm::EMPTY_BODY]); 1_001]),
            "more than 1000 components and core modules in it",
        ),
        (
            wasm::component(&wasm::calls(1_000, 1_000)),
            "more than 100000 values that blocks and calls pass on beyond one each",
        ),
    ] {
        fs::write(world.component("counter"), bytes).unwrap();
        refused_once(&world).await.assert(
            &world.engine_file(),
            "path = \"counter\"",
            message,
            "get the bundle anew",
        );
    }
}

/// Few bytes that would take a compiler hours.
#[tokio::test(flavor = "multi_thread")]
async fn components_that_take_too_long_to_compile() {
    let server = server(1).await;
    let world = World::over(&server, Via::Ws).module(Module::fixture("counter"));
    for body in [wasm::nested_loops(30_000), wasm::branches(30_000, 500)] {
        let component = wasm::component(&wasm::module(&[body]));
        fs::write(world.component("counter"), component).unwrap();
        refused_once(&world).await.assert(
            &world.engine_file(),
            "path = \"counter\"",
            "its functions weigh more than 30000000000 together, and number 0 alone weighs ",
            "build it optimised",
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_component_for_another_world() {
    let server = server(1).await;
    let world = World::over(&server, Via::Ws).module(Module::fixture("query"));
    refused_once(&world).await.assert(
        &world.engine_file(),
        "path = \"query\"",
        "not built for the world nexum:host/event-module@0.3.0",
        "build the module for the world event-module",
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_are_not_those_of_the_manifest() {
    let server = server(1).await;
    let wrong = format!("sha256:{}", "0".repeat(64));
    let with = |digest: &str| {
        let module = Module::fixture("counter").with_digest(digest);
        World::over(&server, Via::Ws).module(module)
    };
    let world = with(&wrong);
    let told = refused_once(&world).await;
    told.assert(
        &world.manifest("counter"),
        &format!("component = \"{wrong}\""),
        "and its manifest says 0000",
        "write component = \"sha256:",
    );

    // The remedy can be taken as it is written.
    let right = told.remedy.split('"').nth(1).unwrap();
    let engine = with(right).start().await;
    engine.delivered("counter", 1).await;
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_are_not_those_of_the_operators_pin() {
    let server = server(1).await;
    let wrong = format!("sha256:{}", "0".repeat(64));
    let with = |module: Module| World::over(&server, Via::Ws).module(module);
    let pinned = |digest: &str| Module::fixture("counter").entry(&format!("digest = \"{digest}\""));

    let world = with(pinned(&wrong));
    let told = refused_once(&world).await;
    told.assert(
        &world.engine_file(),
        &format!("digest = \"{wrong}\""),
        "and its entry is pinned to 0000",
        "write digest = \"sha256:",
    );
    // The remedy can be taken as it is written.
    let right = told.remedy.split('"').nth(1).unwrap();
    assert!(told.message.contains(&right["sha256:".len()..]), "{told:?}");

    let engine = with(pinned(right).with_digest(right)).start().await;
    engine.delivered("counter", 1).await;
    engine.stop().await;

    // Manifest and entry say the same, and the bytes are others.
    let world = with(pinned(&wrong).with_digest(&wrong));
    let StartError::Refused(errors) = world.try_start().await.unwrap_err() else {
        panic!("not refused");
    };
    let place = format!(
        "{}:4:13: its manifest says the same",
        world.manifest("counter").display()
    );
    assert!(errors.to_string().contains(&place), "{errors}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_component_that_nobody_has_pinned() {
    let server = server(1).await;
    let with = |module: Module| {
        let world = World::over(&server, Via::Ws).policy("require_digest = true");
        world.module(module)
    };
    let world = with(Module::fixture("counter"));
    let told = refused_once(&world).await;
    told.assert(
        &world.engine_file(),
        "path = \"counter\"",
        "neither its manifest nor its entry pins a digest",
        "add to its entry:\ndigest = \"sha256:",
    );

    // The line can be taken as it is written; a digest in the manifest will do, too.
    let line = told.remedy.lines().nth(1).unwrap();
    let digest = line.split('"').nth(1).unwrap();
    for module in [
        Module::fixture("counter").entry(line),
        Module::fixture("counter").with_digest(digest),
    ] {
        let engine = with(module).start().await;
        engine.delivered("counter", 1).await;
        engine.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_of_another_chain() {
    let (right, other) = (server(1).await, server_of(100, 1).await);
    for url in [other.http_url(), other.ws_url()] {
        let world = World::over(&right, Via::Ws)
            .chain(1, &url)
            .module(Module::fixture("counter"));
        refused_once(&world).await.assert(
            &world.engine_file(),
            &format!("url = \"{url}\""),
            "chain 100",
            "move the endpoint to [chains.100]",
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_component_is_looked_at_before_any_is_refused() {
    let server = server(1).await;
    let world = World::over(&server, Via::Ws)
        .module(Module::fixture("counter"))
        .module(Module::fixture("undeclared").granted(&["chain"]))
        .module(Module::fixture("noop").named("no-component"))
        .module(Module::fixture("query"));
    fs::write(world.component("no-component"), b"text").unwrap();

    let told = refused(&world).await;

    let named = |module: &str| told.iter().any(|told| told.message.contains(module));
    assert_eq!(told.len(), 3, "{told:?}");
    assert!(
        ["undeclared", "no-component", "query"]
            .into_iter()
            .all(named)
    );
    assert_eq!(server.request_log().wire_messages, 0, "chain {CHAIN}");
}

#[tokio::test(flavor = "multi_thread")]
async fn addresses_that_are_taken() {
    let server = server(1).await;
    let taken = ["metrics", "health"].map(|_| TcpListener::bind("127.0.0.1:0").unwrap());
    let [metrics, health] = taken.each_ref().map(|one| one.local_addr().unwrap());
    let world = World::over(&server, Via::Ws)
        .observed_at(&metrics.to_string(), &health.to_string())
        .module(Module::fixture("counter"));

    let told = refused(&world).await;

    assert_eq!(told.len(), 2, "{told:?}");
    for (told, (key, address)) in told.iter().zip([("metrics", metrics), ("health", health)]) {
        told.assert(
            &world.engine_file(),
            &format!("{key} = \"{address}\""),
            &format!("`{key}` cannot be served at {address}: another program listens there"),
            &format!("give `{key}` under [observability] another address"),
        );
    }
    assert_eq!(server.request_log().wire_messages, 0, "nothing was started");
    drop(taken);
    world.start().await.stop().await;
}
