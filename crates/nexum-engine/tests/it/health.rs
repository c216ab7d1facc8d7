//! What the engine says of its health, and that it says so whatever its modules do.

use std::{
    collections::BTreeSet,
    fs,
    net::SocketAddr,
    time::{Duration, Instant},
};

use nexum_engine::Phase;
use serde_json::{Value, json};

use crate::{
    http::{Answer, get, get_blocking},
    world::{CHAIN, Module, Running, Via, World, server, workspace},
};

fn json_of(answer: &Answer) -> Value {
    assert_eq!(answer.header("content-type"), Some("application/json"));
    serde_json::from_str(&answer.body).unwrap()
}

async fn health(address: SocketAddr) -> (u16, Value) {
    let answer = get(address, "/health").await;
    (answer.status, json_of(&answer))
}

async fn ready(address: SocketAddr) -> (u16, Value) {
    let answer = get(address, "/health/ready").await;
    (answer.status, json_of(&answer))
}

/// Asks until the answer is as `condition` says.
async fn until(engine: &Running, what: &str, condition: impl Fn(&Value) -> bool) -> (u16, Value) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(120);
    loop {
        let (status, report) = health(engine.health()).await;
        if condition(&report) {
            return (status, report);
        }
        let now = tokio::time::Instant::now();
        assert!(now < deadline, "not in time: {what}: {report:#}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_is_well_says_so() {
    let server = server(5).await;
    let world = World::over(&server, Via::Ws)
        .observed()
        .module(Module::fixture("counter"));
    let engine = world.start().await;
    engine.delivered("counter", 5).await;
    let at_head =
        |report: &Value| report["modules"][0]["lag"] == json!([{ "chain_id": CHAIN, "blocks": 0 }]);
    let (status, report) = until(&engine, "the module is at the head", at_head).await;

    assert_eq!((status, &report["status"]), (200, &json!("ok")));
    assert_eq!(report["reasons"], json!([]));
    assert_eq!(
        (&report["ready"], &report["stage"]),
        (&json!(true), &json!("running"))
    );
    assert_eq!(report["version"], env!("CARGO_PKG_VERSION"));
    let module = &report["modules"][0];
    assert_eq!(
        (&module["name"], &module["phase"]),
        (&json!("counter"), &json!("run"))
    );
    assert_eq!(
        (&module["delivered"], &module["failed"]),
        (&json!(5), &json!(0))
    );
    assert_eq!(module["last_error"], Value::Null);
    let chain = &report["chains"][0];
    assert_eq!(
        (&chain["chain_id"], &chain["head"]),
        (&json!(CHAIN), &json!(5))
    );
    let url = server.ws_url();
    let endpoint = url.trim_end_matches('/');
    assert_eq!(chain["endpoint"], endpoint);
    let told = &chain["endpoints"][0];
    assert_eq!(
        (&told["endpoint"], &told["state"]),
        (&json!(endpoint), &json!("well"))
    );
    assert_eq!(
        ready(engine.health()).await,
        (200, json!({ "ready": true }))
    );
    // It is the same that whoever has the engine is told.
    let own = serde_json::to_value(engine.engine.health()).unwrap();
    assert_eq!(own["modules"][0]["name"], "counter");
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_module_beside_a_well_one_is_a_degradation_and_alone_it_is_the_end() {
    let server = server(4).await;
    let mortal = Module::fixture("poison").restarted("max_consecutive_failures = 1");
    for (neighbours, status, code) in [(1, "degraded", 200), (0, "down", 503)] {
        let well = (0..neighbours).map(|_| Module::fixture("counter"));
        let world = World::over(&server, Via::Ws)
            .observed()
            .impatient()
            .module(mortal.clone())
            .modules(well);
        let engine = world.start().await;
        engine.is("poison", Phase::Dead).await;
        if neighbours > 0 {
            engine.delivered("counter", 4).await;
        }
        let (answered, report) = health(engine.health()).await;
        assert_eq!((answered, &report["status"]), (code, &json!(status)));
        assert_eq!(report["reasons"], json!(["module poison is dead"]));
        let modules = report["modules"].as_array().unwrap();
        let dead = modules.iter().find(|module| module["name"] == "poison");
        let error = dead.unwrap()["last_error"].as_str().unwrap();
        assert!(error.contains("the guest trapped"), "{error}");

        let (answered, readiness) = ready(engine.health()).await;
        assert_eq!(answered, code);
        if code == 503 {
            let why = json!({ "ready": false, "why": "every module is dead" });
            assert_eq!(readiness, why);
        }
        // To start the process anew would mend nothing.
        assert_eq!(get(engine.health(), "/health/live").await.status, 200);
        engine.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_without_an_endpoint_that_is_well_is_a_degradation() {
    let server = server(3).await;
    let world = World::over(&server, Via::Http)
        .observed()
        .module(Module::fixture("counter"));
    let engine = world.start().await;
    engine.delivered("counter", 3).await;
    server.set_down(true);
    let reason = json!(format!("no endpoint of chain {CHAIN} is well"));
    let is_told = |report: &Value| report["reasons"].as_array().unwrap().contains(&reason);
    let (status, report) = until(&engine, "the chain is out of reach", is_told).await;
    assert_eq!((status, &report["status"]), (200, &json!("degraded")));
    let error = &report["chains"][0]["endpoints"][0]["last_error"];
    assert!(error.is_string(), "{report:#}");
    server.set_down(false);
    until(&engine, "the chain is well again", |report| {
        report["status"] == "ok"
    })
    .await;
    engine.stop().await;
}

/// Given two modules that compute without end on the two threads that run guests: whoever asks is
/// answered all the same, again and again, while both of them go on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn health_answers_while_two_modules_compute_without_end() {
    let server = server(1).await;
    let spin = Module::fixture("spin")
        .limited("max_event_duration = \"10m\"")
        .limited("max_fuel_per_event = 9_000_000_000_000_000_000");
    let spinning = ["spin-a", "spin-b"].map(|name| spin.clone().named(name));
    let world = World::over(&server, Via::Ws)
        .observed()
        .grace("10ms")
        .modules(spinning);
    let engine = world.start().await;
    let busy = |report: &Value| -> Vec<Option<u64>> {
        let modules = report["modules"].as_array().unwrap();
        modules
            .iter()
            .map(|module| module["busy_ms"].as_u64())
            .collect()
    };
    let both = |report: &Value| busy(report).iter().all(Option::is_some);
    let run = |report: &Value| {
        let modules = report["modules"].as_array().unwrap();
        modules.iter().all(|module| module["phase"] == "run")
    };
    let ask = |path: &str| {
        let answer = get_blocking(engine.health(), path);
        (answer.status, json_of(&answer))
    };
    // On the test's own thread, since the runtime's are all busy.
    let deadline = Instant::now() + Duration::from_secs(120);
    let ask_until = |what: &dyn Fn(&Value) -> bool| loop {
        let report = ask("/health").1;
        if what(&report) {
            return report;
        }
        assert!(
            Instant::now() < deadline,
            "both are busy in time: {report:#}"
        );
    };
    // What they are busy with from then on is no `init` any more.
    ask_until(&run);
    let mut before = ask_until(&both);
    for _ in 0..50 {
        let (status, report) = ask("/health");
        assert_eq!((status, &report["status"]), (200, &json!("ok")));
        // The same two calls, and no others: they never came to an end in between.
        for (now, before) in busy(&report).into_iter().zip(busy(&before)) {
            assert!(now >= before && now.is_some(), "{report:#}");
        }
        for probe in ["/health/live", "/health/ready"] {
            assert_eq!(ask(probe).0, 200);
        }
        let scraped = get_blocking(engine.metrics(), "/metrics");
        assert_eq!(scraped.status, 200);
        before = report;
    }
    for name in ["spin-a", "spin-b"] {
        let status = engine.status(name);
        assert_eq!((status.delivered, status.failed), (0, 0), "{name}");
    }
    engine.stop_in_grace().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_reference_names_every_key_and_no_other() {
    let server = server(1).await;
    let world = World::over(&server, Via::Ws)
        .observed()
        .module(Module::fixture("counter"));
    let engine = world.start().await;
    engine.delivered("counter", 1).await;
    let (_, report) = until(&engine, "there is a lag", |report| {
        report["modules"][0]["lag"][0].is_object()
    })
    .await;
    engine.stop().await;
    let mut told = BTreeSet::new();
    keys(&report, &mut told);

    let page = fs::read_to_string(workspace().join("docs/reference/health.md")).unwrap();
    let tables = page.split("## `/health/live`").next().unwrap();
    let rows = tables.lines().filter_map(|line| line.strip_prefix("| `"));
    let known: BTreeSet<_> = rows
        .map(|row| row.split('`').next().unwrap().to_owned())
        .collect();
    assert_eq!(told, known);
    let example = page.split("```json\n").nth(1).unwrap();
    let example = example.split("```").next().unwrap();
    let mut shown = BTreeSet::new();
    keys(&serde_json::from_str(example).unwrap(), &mut shown);
    assert_eq!(shown, known, "the example");
}

fn keys(value: &Value, into: &mut BTreeSet<String>) {
    match value {
        Value::Object(object) => {
            for (key, value) in object {
                into.insert(key.clone());
                keys(value, into);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| keys(item, into)),
        _ => {}
    }
}
