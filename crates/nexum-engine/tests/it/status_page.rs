//! The status page and its stream, without a browser: what is told, to whom, and for how long.
//! What a browser makes of it is for `crates/nexum/tests/it/status_page.rs`.

use std::{collections::BTreeSet, fs, net::TcpListener};

use nexum_engine::{LogLine, Phase};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::{
    http::{Events, ask, get},
    world::{CHAIN, DEADLINE, Module, Via, World, eventually, server, workspace},
};

/// What the server says of the most streams.
const MAX_VIEWERS: usize = 16;

async fn in_time<T>(what: &str, work: impl Future<Output = T>) -> T {
    let done = timeout(DEADLINE, work).await;
    done.unwrap_or_else(|_| panic!("not in time: {what}"))
}

/// The first report for which `condition` holds.
async fn until(events: &mut Events, what: &str, condition: impl Fn(&Value) -> bool) -> Value {
    in_time(what, async {
        loop {
            let report = events.named("status").await;
            if condition(&report) {
                return report;
            }
        }
    })
    .await
}

fn line(message: &str) -> LogLine {
    LogLine {
        time_ms: 1_700_000_000_000,
        level: "INFO".to_owned(),
        target: "nexum::module".to_owned(),
        module: Some("markup".to_owned()),
        message: message.to_owned(),
        ..LogLine::default()
    }
}

fn messages(log: &Value) -> Vec<&str> {
    let lines = log["lines"].as_array().unwrap().iter();
    lines
        .map(|line| line["message"].as_str().unwrap())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_is_told_of_modules_chains_letters_and_the_log_as_they_change() {
    let server = server(3).await;
    let markup = Module::fixture("markup")
        .config("every = 5")
        .restarted("max_consecutive_failures = 1\non_failure = \"dead-letter\"");
    let world = World::over(&server, Via::Ws)
        .observed()
        .impatient()
        .module(markup)
        .module(Module::fixture("counter"));
    world.log().write(line("before anybody looks"));
    let engine = world.start().await;
    let mut events = Events::open(engine.health(), "/events").await;

    let first = in_time("a first report", events.named("status")).await;
    assert_eq!(first["logs"], true);
    assert!(first["started_ms"].as_u64() <= first["time_ms"].as_u64());
    let log = in_time("the log", events.named("log")).await;
    assert_eq!(messages(&log), ["before anybody looks"]);
    assert_eq!(log["lines"][0]["number"], 1);

    let report = until(&mut events, "block 3 is handled by both", |report| {
        report["modules"].as_array().unwrap().len() == 2
            && (0..2).all(|index| report["modules"][index]["delivered"] == 3)
    })
    .await;
    assert_eq!(report["chains"][0]["head"], 3);
    let names = |key: &str| -> Vec<String> {
        let items = report[key].as_array().unwrap().iter();
        items
            .map(|item| item["name"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(names("modules"), ["counter", "markup"]);
    assert_eq!(names("paces"), ["counter", "markup"]);

    // Its words travel as they are, and JSON keeps them in their place.
    world.log().write(line("</script><b>&\u{2028}\n\n"));
    let log = in_time("the new line", events.named("log")).await;
    assert_eq!(messages(&log), ["</script><b>&\u{2028}\n\n"]);

    server.chain().mine(4);
    let report = until(&mut events, "the head is told, and a letter", |report| {
        report["chains"][0]["head"] == 7
            && report["letters"][0]["block"] == 5
            && report["modules"][1]["delivered"] == 6
    })
    .await;
    let letter = &report["letters"][0];
    assert_eq!(
        (&letter["module"], &letter["id"]),
        (&json!("markup"), &json!(0))
    );
    assert_eq!(
        (&letter["chain_id"], &letter["kind"]),
        (&json!(CHAIN), &json!("block"))
    );
    assert_eq!(letter["attempts"], 1);
    let error = letter["error"].as_str().unwrap();
    let said = "<img src=x onerror=\"document.title='owned'\"> at 5";
    assert!(error.contains(said), "{error}");
    assert_eq!(letter.get("event"), None, "the event stays where it is");
    assert_eq!(report["modules"][1]["dead_letters"], 1);

    // Blocks that come while somebody looks are a pace.
    let report = until(&mut events, "there is a pace", |report| {
        let pace = &report["paces"][0];
        pace["events_per_second"].as_f64() > Some(0.0) && pace["run_p50_us"].is_u64()
    })
    .await;
    let pace = &report["paces"][0];
    assert!(pace["run_p99_us"].as_u64() >= pace["run_p50_us"].as_u64());

    // What an operator lets go is not told any more.
    let dropped = engine
        .operator()
        .order_letters(&"markup".parse().unwrap(), false, vec![])
        .await;
    assert_eq!(dropped.unwrap(), 1);
    until(&mut events, "the letter is gone", |report| {
        report["letters"] == json!([]) && report["modules"][1]["dead_letters"] == 0
    })
    .await;
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn letters_of_before_are_told_after_a_restart_the_newest_five_of_a_module_first() {
    let server = server(24).await;
    let poison = Module::fixture("poison")
        .restarted("max_consecutive_failures = 1\non_failure = \"dead-letter\"");
    let world = World::over(&server, Via::Ws)
        .observed()
        .impatient()
        .module(poison);
    let engine = world.start().await;
    engine.reaches("poison", 24).await;
    engine.stop().await;

    let engine = world.start().await;
    engine.is("poison", Phase::Run).await;
    let mut events = Events::open(engine.health(), "/events").await;
    let report = until(&mut events, "the letters are told", |report| {
        report["modules"][0]["dead_letters"] == 8
    })
    .await;
    let letters = report["letters"].as_array().unwrap();
    let blocks: BTreeSet<_> = letters
        .iter()
        .map(|letter| letter["block"].as_u64())
        .collect();
    assert_eq!(blocks, [12, 15, 18, 21, 24].map(Some).into());
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_is_one_file_that_no_other_site_can_use() {
    let world = World::new().observed();
    let engine = world.start().await;
    let health = engine.health();
    let page = get(health, "/").await;
    assert_eq!(page.status, 200);
    for (name, value) in [
        ("content-type", "text/html; charset=utf-8"),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("cache-control", "no-store"),
        ("x-frame-options", "DENY"),
        ("cross-origin-resource-policy", "same-origin"),
    ] {
        assert_eq!(page.header(name), Some(value), "{name}");
    }
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"));
    for never in ["set-cookie", "access-control-allow-origin"] {
        assert_eq!(page.header(never), None);
    }
    assert!(page.body.starts_with("<!doctype html>") && page.body.ends_with("</html>\n"));

    for path in ["/", "/events"] {
        let refused = ask(health, path, "host: attacker.example\r\n")
            .await
            .unwrap();
        assert_eq!(refused.status, 421, "{path}");
    }
    let lines =
        format!("host: {health}\r\norigin: http://other.example\r\nsec-fetch-site: cross-site\r\n");
    let refused = ask(health, "/events", &lines).await.unwrap();
    assert_eq!(refused.status, 403, "{refused:?}");
    assert_eq!(get(health, "/page.js").await.status, 404);
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_can_leave_out_the_log_or_the_page() {
    let world = World::new()
        .observed()
        .observability("status_page = \"without-logs\"");
    world.log().write(line("not for everybody"));
    let engine = world.start().await;
    let mut events = Events::open(engine.health(), "/events").await;
    for _ in 0..3 {
        world.log().write(line("nor is this"));
        let told = in_time("an event", events.next()).await.unwrap();
        assert_eq!(
            (told.name.as_str(), &told.data["logs"]),
            ("status", &json!(false))
        );
    }
    engine.stop().await;

    let world = World::new()
        .observed()
        .observability("status_page = \"off\"");
    let engine = world.start().await;
    for (path, status) in [("/", 404), ("/events", 404), ("/health/live", 200)] {
        assert_eq!(get(engine.health(), path).await.status, status, "{path}");
    }
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn so_many_may_look_at_once_and_the_next_one_is_told_to_come_again() {
    let world = World::new().observed();
    let engine = world.start().await;
    let health = engine.health();
    let mut viewers = Vec::new();
    for _ in 0..MAX_VIEWERS {
        let mut events = Events::open(health, "/events").await;
        in_time("each is told at once", events.named("status")).await;
        viewers.push(events);
    }
    let refused = get(health, "/events").await;
    assert_eq!(
        (refused.status, refused.header("retry-after")),
        (503, Some("5"))
    );
    // Whoever watches over the process has places of its own.
    for path in ["/", "/health", "/health/live"] {
        assert_eq!(get(health, path).await.status, 200, "{path}");
    }
    viewers.pop();
    in_time("a place is free again", async {
        // The server notices a client that has gone when it next tells it something.
        while let Err(refused) = Events::try_open(health, "/events").await {
            assert!(refused.starts_with("HTTP/1.1 503 "), "{refused}");
        }
    })
    .await;
    for viewer in &mut viewers {
        in_time("the others are told on", viewer.named("status")).await;
    }
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopping_engine_says_so_and_ends_the_streams_in_order() {
    let server = server(1).await;
    let slow = Module::fixture("slow").config("millis = 20_000");
    let world = World::over(&server, Via::Ws).observed().module(slow);
    let engine = world.start().await;
    let health = engine.health();
    let mut events = Events::open(health, "/events").await;
    until(&mut events, "it is in its call", |report| {
        report["modules"][0]["busy_ms"].is_u64()
    })
    .await;
    let stopping = tokio::spawn(engine.stop());
    until(&mut events, "it says that it stops", |report| {
        report["stage"] == "stopping"
    })
    .await;
    in_time("the stream ends", async {
        while events.next().await.is_some() {}
    })
    .await;
    stopping.await.unwrap();
    eventually("the address is free", || TcpListener::bind(health).ok()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_reference_names_every_key_of_the_stream_and_no_other() {
    let server = server(3).await;
    let poison = Module::fixture("poison")
        .restarted("max_consecutive_failures = 1\non_failure = \"dead-letter\"");
    let world = World::over(&server, Via::Ws).observed().module(poison);
    let mut said = line("a line");
    said.fields.insert("block".to_owned(), json!(3));
    world.log().write(said);
    let engine = world.start().await;
    let mut events = Events::open(engine.health(), "/events").await;
    let log = in_time("the log", events.named("log")).await;
    let report = until(&mut events, "there is a letter", |report| {
        report["letters"][0].is_object()
    })
    .await;
    engine.stop().await;

    let page = fs::read_to_string(workspace().join("docs/reference/health.md")).unwrap();
    let section = page.split("## `/events`").nth(1).unwrap();
    let known = |heading: &str| -> BTreeSet<String> {
        let table = section
            .split(heading)
            .nth(1)
            .unwrap_or_else(|| panic!("no {heading}"));
        let lines = table.lines().skip_while(|line| !line.starts_with('|'));
        let rows = lines.take_while(|line| line.starts_with('|'));
        let keys = rows.filter_map(|row| row.strip_prefix("| `")?.split('`').next());
        keys.map(str::to_owned).collect()
    };
    let keys = |value: &Value| -> BTreeSet<String> {
        value.as_object().unwrap().keys().cloned().collect()
    };
    let own: BTreeSet<_> = keys(&report)
        .into_iter()
        .filter(|key| {
            ![
                "status",
                "reasons",
                "ready",
                "stage",
                "version",
                "uptime_ms",
                "modules",
                "chains",
            ]
            .contains(&key.as_str())
        })
        .collect();
    assert_eq!(own, known("Further keys of `status`"));
    assert_eq!(keys(&report["paces"][0]), known("Of each of `paces`"));
    assert_eq!(keys(&report["letters"][0]), known("Of each of `letters`"));
    assert_eq!(keys(&log["lines"][0]), known("Of each of `lines`"));
}
