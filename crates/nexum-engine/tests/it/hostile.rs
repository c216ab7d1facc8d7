//! Guests that do their worst: each fails alone. The engine and a well-behaved neighbour go on.

use std::fs;

use nexum_engine::Phase;

use crate::world::{Module, Running, Via, World, server};

/// Waits until a module has failed, answers how, and proves that its neighbour goes on.
async fn fails_alone(engine: &Running, server: &nexum_testkit::RpcServer, module: &str) -> String {
    let error = engine.failed(module, 1).await;
    server.chain().mine(1);
    let head = server.chain().head().number;
    engine.reaches("tally", head).await;
    error
}

async fn alone(module: Module) -> String {
    let name = module.name().to_owned();
    let server = server(2).await;
    let world = World::over(&server, Via::Ws)
        .module(module)
        .module(Module::fixture("tally"));
    let engine = world.start().await;
    let error = fails_alone(&engine, &server, &name).await;
    engine.stop().await;
    let head = server.chain().head().number;
    world.state("tally").assert_tallied(1..=head);
    assert_eq!(world.state(&name).cursor(), None);
    error
}

#[tokio::test(flavor = "multi_thread")]
async fn deep_recursion_ends_with_the_stack() {
    let error = alone(Module::fixture("recurse")).await;
    assert!(error.contains("call stack exhausted"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn arguments_are_counted_before_they_are_copied() {
    for what in [
        "set",
        "get",
        "list-keys",
        "log",
        "method",
        "params",
        "batch",
        "length",
    ] {
        let module = Module::fixture("huge")
            .config(&format!("what = \"{what}\""))
            .limited("max_memory_bytes = 200_000_000");
        let error = alone(module).await;
        let expected = match what {
            "length" => "out of bounds",
            _ => "fuel",
        };
        assert!(error.contains(expected), "{what}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_calls_of_the_host_in_one_event_are_answered() {
    let server = server(2).await;
    let world = World::over(&server, Via::Ws)
        .module(Module::fixture("chatty"))
        .module(Module::fixture("tally"));
    let engine = world.start().await;
    engine.delivered("chatty", 2).await;
    engine.delivered("tally", 2).await;
    assert_eq!(engine.stop().await.module("chatty").failed, 0);
    assert_eq!(world.state("chatty").number("calls"), Some(10_000));
}

#[tokio::test(flavor = "multi_thread")]
async fn panics_on_every_third_event_are_no_matter_of_the_others() {
    let error = {
        let server = server(2).await;
        let world = World::over(&server, Via::Ws)
            .impatient()
            .module(Module::fixture("poison").restarted("max_consecutive_failures = 3"))
            .module(Module::fixture("tally"));
        let engine = world.start().await;
        engine.delivered("poison", 2).await;
        server.chain().mine(30);
        engine.is("poison", Phase::Dead).await;
        engine.reaches("tally", 32).await;
        let error = engine.status("poison").last_error.unwrap();
        engine.stop().await;
        world.state("tally").assert_tallied(1..=32);
        error
    };
    assert!(error.contains("unreachable"), "{error}");
}

/// A component with further core modules, each instantiated so often: what no compiler makes.
fn with_parts(component: &[u8], core_module: &[u8], index: u8, times: u8) -> Vec<u8> {
    let mut bytes = component.to_vec();
    // A section of one core module (id 1).
    bytes.push(1);
    leb128(&mut bytes, core_module.len());
    bytes.extend_from_slice(core_module);
    // A section of core instances (id 2): each instantiates that module, without arguments.
    let mut instances = Vec::new();
    leb128(&mut instances, times.into());
    for _ in 0..times {
        instances.extend_from_slice(&[0, index, 0]);
    }
    bytes.push(2);
    leb128(&mut bytes, instances.len());
    bytes.extend_from_slice(&instances);
    bytes
}

fn leb128(bytes: &mut Vec<u8>, mut number: usize) {
    loop {
        let low = (number & 0x7f) as u8;
        number >>= 7;
        if number == 0 {
            return bytes.push(low);
        }
        bytes.push(low | 0x80);
    }
}

/// How many core modules a component has: the sections with id 1, each a byte, a length and what
/// it says.
fn core_modules(component: &[u8]) -> u8 {
    let (mut at, mut count) = (8, 0);
    while at < component.len() {
        count += u8::from(component[at] == 1);
        at += 1;
        let (mut length, mut shift) = (0, 0);
        loop {
            let byte = component[at];
            at += 1;
            length |= usize::from(byte & 0x7f) << shift;
            shift += 7;
            if byte & 0x80 == 0 {
                break;
            }
        }
        at += length;
    }
    count
}

/// Runs `noop` with further parts, and answers how it fails.
async fn with_further_parts(core_module: &[u8], times: u8) -> String {
    let server = server(1).await;
    let world = World::over(&server, Via::Ws)
        .module(Module::fixture("noop"))
        .module(Module::fixture("tally"));
    let path = world.component("noop");
    let whole = fs::read(&path).unwrap();
    let index = core_modules(&whole);
    fs::write(&path, with_parts(&whole, core_module, index, times)).unwrap();
    let engine = world.start().await;
    let error = fails_alone(&engine, &server, "noop").await;
    engine.stop().await;
    error
}

#[tokio::test(flavor = "multi_thread")]
async fn many_small_memories_count_as_one_and_there_is_an_end_of_them() {
    // One memory of 32 MiB (512 pages): three of them are over 64 MiB together.
    let large = b"\0asm\x01\0\0\0\x05\x04\x01\x00\x80\x04";
    let error = with_further_parts(large, 3).await;
    assert!(error.contains("memory"), "{error}");
    // One memory of a page: a hundred are too many, whatever they take.
    let small = b"\0asm\x01\0\0\0\x05\x03\x01\x00\x01";
    let error = with_further_parts(small, 100).await;
    assert!(error.contains("count"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_count_as_memory() {
    // One table of 10,000,000 references to functions.
    let table = b"\0asm\x01\0\0\0\x04\x07\x01\x70\x00\x80\xad\xe2\x04";
    let error = with_further_parts(table, 1).await;
    assert!(error.contains("table"), "{error}");
}
