//! The servers of metrics and health: when they are there, whom they answer, and that nobody can
//! hold them.

use std::{net::TcpListener, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::{
    http::{ask, get},
    log,
    world::{Module, Via, World, eventually, server},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_stopping_engine_is_alive_and_not_ready_until_it_has_stopped() {
    log::keep();
    let server = server(1).await;
    let slow = Module::fixture("slow")
        .named("stopped-last")
        .config("millis = 20_000");
    let world = World::over(&server, Via::Ws).observed().module(slow);
    let engine = world.start().await;
    let health = engine.health();
    log::says("stopped-last", "sleeping").await;
    assert_eq!(get(health, "/health/ready").await.status, 200);

    let stopping = tokio::spawn(engine.stop());
    let not_ready = async {
        while get(health, "/health/ready").await.status == 200 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), not_ready)
        .await
        .unwrap();
    assert_eq!(get(health, "/health/live").await.status, 200);
    stopping.await.unwrap();

    // The call in flight was waited for, and the address is free again.
    assert_eq!(world.state("stopped-last").number("count"), Some(1));
    eventually("the address is free", || TcpListener::bind(health).ok()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_is_dropped_serves_no_more() {
    let world = World::new().observed();
    let engine = world.start().await;
    let (metrics, health) = (engine.metrics(), engine.health());
    assert_eq!(get(health, "/health/live").await.status, 200);
    engine.crash();
    for address in [metrics, health] {
        eventually("the address is free", || TcpListener::bind(address).ok()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_is_not_ours_is_refused() {
    let world = World::new().observed();
    let engine = world.start().await;
    for address in [engine.metrics(), engine.health()] {
        let by = async |host: &str| {
            let answer = ask(address, "/health/live", &format!("host: {host}\r\n")).await;
            answer.unwrap()
        };
        let refused = by("attacker.example:8080").await;
        assert_eq!(refused.status, 421, "{refused:?}");
        assert!(refused.body.contains("`hosts`"), "{refused:?}");
        for ours in ["localhost:8080", "127.0.0.1", "[::1]:1"] {
            assert_ne!(by(ours).await.status, 421, "{ours}");
        }
    }
    let live = get(engine.health(), "/health/live").await;
    assert_eq!(live.header("cache-control"), Some("no-store"));
    assert_eq!(live.header("x-content-type-options"), Some("nosniff"));
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_and_what_is_not_asked_for() {
    let world = World::new().observed();
    let engine = world.start().await;
    assert_eq!(get(engine.health(), "/secrets").await.status, 404);
    let mut stream = TcpStream::connect(engine.health()).await.unwrap();
    // The body is announced and never comes; nobody waits for it.
    let post = "POST /health/live HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000000\r\n\r\n";
    stream.write_all(post.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 405 "), "{answer}");

    let long = format!("host: localhost\r\nx: {}\r\n", "x".repeat(64 * 1024));
    match ask(engine.health(), "/health/live", &long).await {
        Ok(answer) => assert_eq!(answer.status, 431),
        // Closed before all of it was sent.
        Err(error) => assert_ne!(error.kind(), std::io::ErrorKind::ConnectionRefused),
    }
    engine.stop().await;
}

/// More clients than there are places: each sends the half of a request and then nothing.
#[tokio::test(flavor = "multi_thread")]
async fn clients_that_stall_are_closed_and_hold_nothing() {
    let world = World::new().observed();
    let engine = world.start().await;
    let health = engine.health();
    let mut stalled = Vec::new();
    for _ in 0..80 {
        let mut stream = TcpStream::connect(health).await.unwrap();
        // Beyond the places, the connection is closed at once.
        let _ = stream.write_all(b"GET /health/live HT").await;
        stalled.push(stream);
    }
    let closed = async {
        for stream in &mut stalled {
            let mut read = Vec::new();
            // An end or an error: it is closed.
            let _ = stream.read_to_end(&mut read).await;
            let read = String::from_utf8_lossy(&read).into_owned();
            assert!(!read.contains("200"), "{read}");
        }
    };
    tokio::time::timeout(Duration::from_secs(120), closed)
        .await
        .expect("every stalled client is closed");
    assert_eq!(get(health, "/health/live").await.status, 200);
    engine.stop().await;
}
