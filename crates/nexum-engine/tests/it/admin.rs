//! The admin API on its socket: what it answers, and what it does with those who misuse it.

use std::{
    collections::BTreeSet,
    fs, io,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use futures::future::Either;
use nexum_engine::{LogLine, ModuleStatus, Phase};
use nexum_store::{StateDir, StoreOptions};
use nexum_types::CallState;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::UnixStream,
};

use crate::{
    log,
    world::{DEADLINE, Module, Via, World, server},
};

/// What came back: the status, and the body.
async fn ask(socket: &Path, method: &str, path: &str, body: &str) -> (u16, Value) {
    let (status, body) = ask_for_bytes(socket, method, path, body).await;
    (status, serde_json::from_slice(&body).unwrap())
}

async fn ask_for_bytes(socket: &Path, method: &str, path: &str, body: &str) -> (u16, Vec<u8>) {
    let mut stream = UnixStream::connect(socket).await.unwrap();
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: nexum\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let read = tokio::time::timeout(DEADLINE, stream.read_to_end(&mut answer));
    match read.await.unwrap() {
        // What was not read of a request that is too long.
        Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {}
        read => drop(read.unwrap()),
    }
    let head = answer
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .unwrap();
    let text = std::str::from_utf8(&answer[..head]).unwrap();
    let status = text.split(' ').nth(1).unwrap().parse().unwrap();
    (status, answer.split_off(head + 4))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_sees_the_modules_and_works_on_them() {
    let server = server(6).await;
    let parks = "max_consecutive_failures = 1\non_failure = \"dead-letter\"";
    let world = World::over(&server, Via::Ws)
        .impatient()
        .module(Module::fixture("tally"))
        .module(Module::fixture("poison").restarted(parks));
    let engine = world.start().await;
    engine.delivered("tally", 6).await;
    let is_done = |status: &ModuleStatus| status.parked == 2 && status.phase == Phase::Run;
    engine
        .until("poison", "it runs behind what it parked", is_done)
        .await;
    let socket = world.state_dir().join("admin.sock");
    let mode = fs::metadata(&socket).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    let (status, report) = ask(&socket, "GET", "/v1/engine", "").await;
    assert_eq!(status, 200);
    assert_eq!(report["pid"], std::process::id());
    assert_eq!(report["chains"][0]["head"], 6);
    assert_eq!(report["chains"][0]["endpoints"][0]["state"], "well");
    let (status, modules) = ask(&socket, "GET", "/v1/modules", "").await;
    assert_eq!(status, 200);
    let poison = &modules[0];
    assert_eq!(
        (&poison["name"], &poison["phase"]),
        (&json!("poison"), &json!("run"))
    );
    assert_eq!(
        (&poison["dead_letters"], &poison["parked"]),
        (&json!(2), &json!(2))
    );
    assert_eq!(poison["cursors"][0]["block"], 6);
    let (_, tally) = ask(&socket, "GET", "/v1/modules/tally", "").await;
    assert_eq!(tally, modules[1]);
    assert_eq!(
        (&tally["delivered"], &tally["origin"]),
        (&json!(6), &json!("configured"))
    );
    assert!(tally["state_bytes"].as_u64().unwrap() > 0);

    let (_, state) = ask(
        &socket,
        "GET",
        "/v1/modules/tally/state?prefix=co&limit=1",
        "",
    )
    .await;
    assert_eq!(
        state["entries"],
        json!([{ "key": "count", "value": "0x0600000000000000" }])
    );

    let letters = "/v1/modules/poison/dead-letters";
    let (_, list) = ask(&socket, "GET", letters, "").await;
    assert_eq!((&list[1]["id"], &list[1]["block"]), (&json!(1), &json!(6)));
    let (_, one) = ask(&socket, "GET", &format!("{letters}/1"), "").await;
    assert_eq!(one["event"]["Block"]["number"], 6);
    let (status, none) = ask(&socket, "GET", &format!("{letters}/9"), "").await;
    assert_eq!((status, &none["code"]), (404, &json!("not-found")));
    let both = ask(
        &socket,
        "POST",
        &format!("{letters}/drop"),
        r#"{"ids":[0],"all":true}"#,
    )
    .await;
    assert_eq!((both.0, &both.1["code"]), (400, &json!("bad-request")));
    let (status, dropped) = ask(
        &socket,
        "POST",
        &format!("{letters}/drop"),
        r#"{"ids":[0]}"#,
    )
    .await;
    assert_eq!((status, dropped), (200, json!({ "letters": 1 })));

    let resync = "/v1/modules/tally/resync";
    let (_, shown) = ask(&socket, "POST", resync, r#"{"chain_id":31337,"at":5}"#).await;
    assert_eq!(
        (&shown["done"], &shown["before"][0]["block"]),
        (&json!(false), &json!(6))
    );
    let body = r#"{"chain_id":31337,"at":5,"confirm":true}"#;
    let (_, done) = ask(&socket, "POST", resync, body).await;
    assert_eq!(done["done"], true);
    engine.delivered("tally", 8).await;

    let (status, _) = ask(&socket, "POST", "/v1/modules/tally/restart", "").await;
    assert_eq!(status, 200);
    let (status, backup) = ask_for_bytes(&socket, "GET", "/v1/modules/tally/backup", "").await;
    assert_eq!((status, &backup[..4]), (200, &b"redb"[..]));
    let (status, unloaded) = ask(&socket, "DELETE", "/v1/modules/tally", "").await;
    assert_eq!((status, &unloaded["comes_back"]), (200, &json!(true)));
    let purge = |confirm: &str| json!({ "confirm": confirm }).to_string();
    let state = "/v1/modules/tally/state";
    assert_eq!(ask(&socket, "DELETE", state, &purge("poison")).await.0, 400);
    assert_eq!(ask(&socket, "DELETE", state, &purge("tally")).await.0, 200);
    assert_eq!(ask(&socket, "DELETE", state, &purge("tally")).await.0, 404);
    engine.stop().await;
    assert!(!socket.exists(), "nobody listens there any more");
}

/// Given a `state_dir` that others can look into: at no moment can they connect.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_else_can_connect_while_the_socket_is_made() {
    let server = server(1).await;
    let world = World::over(&server, Via::Ws).module(Module::fixture("noop"));
    let state = world.state_dir();
    // With what an engine has left that was killed right there.
    fs::create_dir_all(state.join("sock.new")).unwrap();
    fs::write(state.join("sock.new/s"), "").unwrap();
    fs::set_permissions(&state, fs::Permissions::from_mode(0o755)).unwrap();
    let socket = state.join("admin.sock");
    let (is_over, watched) = (Arc::new(AtomicBool::new(false)), socket.clone());
    let over = Arc::clone(&is_over);
    let watch = thread::spawn(move || {
        let mut modes = BTreeSet::new();
        while !over.load(Ordering::Relaxed) {
            let found = fs::metadata(&watched);
            modes.extend(found.map(|found| found.permissions().mode() & 0o777));
        }
        modes
    });
    for _ in 0..5 {
        let engine = world.start().await;
        engine.delivered("noop", 1).await;
        assert_eq!(ask(&socket, "GET", "/v1/modules", "").await.0, 200);
        assert!(!state.join("sock.new").exists());
        engine.stop().await;
        world.forget("noop");
    }
    is_over.store(true, Ordering::Relaxed);
    assert_eq!(watch.join().unwrap(), [0o600].into());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_done_is_told_and_changes_nothing() {
    let server = server(2).await;
    let world = World::over(&server, Via::Ws).module(Module::fixture("tally"));
    let engine = world.start().await;
    engine.delivered("tally", 2).await;
    let socket = world.state_dir().join("admin.sock");
    let deep = "[".repeat(100_000);
    let long = format!("{{\"path\":\"/{}\"}}", "x".repeat(300 * 1024));
    let nowhere = r#"{"path":"/nowhere"}"#;
    for (method, path, body, status, code, says) in [
        ("POST", "/v1/modules", "{", 400, "bad-request", "EOF"),
        (
            "POST",
            "/v1/modules",
            "\u{0}",
            400,
            "bad-request",
            "expected value",
        ),
        ("POST", "/v1/modules", "[]", 400, "bad-request", "invalid"),
        (
            "POST",
            "/v1/modules",
            deep.as_str(),
            400,
            "bad-request",
            "the body",
        ),
        (
            "POST",
            "/v1/modules",
            r#"{"path":"/x","nmae":"y"}"#,
            400,
            "bad-request",
            "unknown field",
        ),
        (
            "POST",
            "/v1/modules",
            r#"{"path":"x"}"#,
            400,
            "bad-request",
            "absolute",
        ),
        (
            "POST",
            "/v1/modules",
            long.as_str(),
            413,
            "too-large",
            "262144",
        ),
        ("POST", "/v1/modules", nowhere, 422, "refused", "no bundle"),
        (
            "POST",
            "/v1/modules/tally/upgrade",
            nowhere,
            400,
            "bad-request",
            "engine's file",
        ),
        (
            "POST",
            "/v1/modules/nobody/upgrade",
            "{}",
            404,
            "not-found",
            "there are tally",
        ),
        (
            "POST",
            "/v1/modules/nobody/restart",
            "",
            404,
            "not-found",
            "there are tally",
        ),
        (
            "POST",
            "/v1/modules/..%2Ftally/restart",
            "",
            400,
            "bad-request",
            "name",
        ),
        (
            "DELETE",
            "/v1/modules/nobody",
            "",
            404,
            "not-found",
            "there are tally",
        ),
        (
            "GET",
            "/v1/modules/nobody/backup",
            "",
            404,
            "not-found",
            "there are tally",
        ),
        (
            "GET",
            "/v1/modules/tally/state?limits=3",
            "",
            400,
            "bad-request",
            "unknown key",
        ),
        (
            "GET",
            "/v1/modules/tally/dead-letters/x",
            "",
            400,
            "bad-request",
            "integer",
        ),
        (
            "POST",
            "/v1/modules/tally/resync",
            r#"{"chain_id":5,"at":1}"#,
            404,
            "not-found",
            "no cursor",
        ),
        (
            "POST",
            "/v1/modules/tally/resync",
            r#"{"chain_id":-5,"at":1}"#,
            400,
            "bad-request",
            "integer",
        ),
        (
            "PUT",
            "/v1/modules",
            "",
            405,
            "method-not-allowed",
            "method",
        ),
        ("GET", "/v2/modules", "", 404, "not-found", "/v2/modules"),
    ] {
        let (found, fault) = ask(&socket, method, path, body).await;
        let what = format!("{method} {path}: {fault}");
        assert_eq!((found, &fault["code"]), (status, &json!(code)), "{what}");
        let message = fault["message"].as_str().unwrap();
        assert!(message.contains(says), "{what}");
    }
    server.chain().mine(1);
    engine.delivered("tally", 3).await;
    engine.stop().await;
    world.state("tally").assert_tallied(1..=3);
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_stall_hold_nobody_up() {
    let server = server(2).await;
    let world = World::over(&server, Via::Ws).module(Module::fixture("tally"));
    let engine = world.start().await;
    let socket = world.state_dir().join("admin.sock");
    let mut stalled = Vec::new();
    for n in 0..20 {
        let mut stream = UnixStream::connect(&socket).await.unwrap();
        // Half of them have sent a head, and owe its body.
        let text = if n % 2 == 0 {
            "POST /v1/mod"
        } else {
            "POST /v1/modules HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n{"
        };
        stream.write_all(text.as_bytes()).await.unwrap();
        stalled.push(stream);
    }
    let (status, _) = ask(&socket, "GET", "/v1/modules", "").await;
    assert_eq!(status, 200);
    // They lose their connections.
    for mut stream in stalled {
        let mut answer = Vec::new();
        let read = tokio::time::timeout(DEADLINE, stream.read_to_end(&mut answer)).await;
        read.unwrap().unwrap();
        let text = String::from_utf8(answer).unwrap();
        assert!(text.is_empty() || text.contains("408"), "{text}");
    }
    engine.stop().await;
}

/// Sends a request, of which it reads nothing.
async fn send(socket: &Path, path: &str) -> UnixStream {
    let mut stream = UnixStream::connect(socket).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: nexum\r\nconnection: close\r\n\r\n");
    // Without a place for it, the connection may be closed by now.
    let _ = stream.write_all(request.as_bytes()).await;
    stream
}

/// Waits until an operator gets a connection and an answer.
async fn gets_in(socket: &Path) {
    let gets = tokio::time::timeout(DEADLINE, async {
        loop {
            let mut stream = send(socket, "/v1/modules").await;
            let mut answer = Vec::new();
            let _ = stream.read_to_end(&mut answer).await;
            if answer.starts_with(b"HTTP/1.1 200") {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    gets.await.unwrap();
}

/// Given as many clients as there are places, of which none reads what it has asked for: the
/// operator gets in.
#[tokio::test(flavor = "multi_thread")]
async fn clients_that_do_not_read_hold_nobody_up() {
    let server = server(1).await;
    let world = World::over(&server, Via::Ws).module(Module::fixture("tally"));
    // More than a socket holds, of the state and of the log.
    let dir = StateDir::open(world.state_dir()).unwrap();
    let name = "tally".parse().unwrap();
    let store = dir.open_module(&name, StoreOptions::default()).unwrap();
    let mut call = CallState::new(Arc::new(store.clone()), u64::MAX);
    for n in 0..64 {
        call.set(&format!("filler/{n}"), vec![7; 64 * 1024])
            .unwrap();
    }
    store.commit(&call.into_writes(), None).unwrap();
    drop((store, dir));
    let long = LogLine {
        message: "x".repeat(8 * 1024),
        ..LogLine::default()
    };
    let engine = world.start().await;
    engine.delivered("tally", 1).await;
    let socket = world.state_dir().join("admin.sock");
    for _ in 0..300 {
        world.log().write(long.clone());
    }
    let mut idle = Vec::new();
    for n in 0..32 {
        let path = match n % 2 {
            0 => "/v1/logs?follow=true&lines=300",
            _ => "/v1/modules/tally/backup",
        };
        idle.push(send(&socket, path).await);
    }
    gets_in(&socket).await;
    // They lose their connections.
    for mut stream in idle {
        let mut answer = Vec::new();
        let read = tokio::time::timeout(DEADLINE, stream.read_to_end(&mut answer)).await;
        let _ = read.unwrap();
    }
    engine.stop().await;
}

/// Given more clients that follow a quiet log than there are places, of which nobody knows whether
/// they read: the operator gets in.
#[tokio::test(flavor = "multi_thread")]
async fn who_follows_a_quiet_log_leaves_places_for_others() {
    let server = server(1).await;
    let world = World::over(&server, Via::Ws).module(Module::fixture("tally"));
    let engine = world.start().await;
    let socket = world.state_dir().join("admin.sock");
    let mut followers = Vec::new();
    for _ in 0..16 {
        let mut stream = send(&socket, "/v1/logs?follow=true&lines=0").await;
        let mut head = [0; 12];
        stream.read_exact(&mut head).await.unwrap();
        assert_eq!(&head, b"HTTP/1.1 200");
        followers.push(stream);
    }
    let follow = "/v1/logs?follow=true";
    let (status, refused) = ask(&socket, "GET", follow, "").await;
    assert_eq!((status, &refused["code"]), (409, &json!("conflict")));
    for _ in 0..16 {
        followers.push(send(&socket, follow).await);
    }
    gets_in(&socket).await;
    // Those who were there first go on.
    world.log().write(LogLine::default());
    let mut rest = [0; 64];
    let read = tokio::time::timeout(DEADLINE, followers[0].read(&mut rest));
    assert!(read.await.unwrap().unwrap() > 0);
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operation_under_way_when_the_engine_stops_is_told_so() {
    log::keep();
    let server = server(1).await;
    let sleeper = Module::fixture("slow")
        .named("admin-sleeper")
        .config("millis = 600_000")
        .limited("max_event_duration = \"20m\"");
    let world = World::over(&server, Via::Ws).grace("10ms").module(sleeper);
    let engine = world.start().await;
    log::says("admin-sleeper", "sleeping").await;
    let socket = world.state_dir().join("admin.sock");
    let restart = || {
        let socket = socket.clone();
        tokio::spawn(async move {
            let mut stream = UnixStream::connect(&socket).await.unwrap();
            let request = "POST /v1/modules/admin-sleeper/restart HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut answer = String::new();
            // Either it is told, or its connection ends with the engine's.
            let read = stream.read_to_string(&mut answer);
            let _ = tokio::time::timeout(DEADLINE, read).await.unwrap();
            answer
        })
    };
    // One waits for the call in flight, and the other is told to come back.
    let (first, second) = (restart(), restart());
    let (refused, waiting) = match futures::future::select(first, second).await {
        Either::Left((refused, waiting)) | Either::Right((refused, waiting)) => (refused, waiting),
    };
    let refused = refused.unwrap();
    assert!(
        refused.contains("409") && refused.contains("conflict"),
        "{refused}"
    );

    engine.stop_in_grace().await;
    let answer = waiting.await.unwrap();
    assert!(answer.is_empty() || answer.contains("503"), "{answer}");
    assert!(!socket.exists());
}
