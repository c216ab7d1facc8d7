//! The metrics of a real engine, against the table and against what was done.

use std::{collections::BTreeSet, env, fs, net::SocketAddr};

use nexum_engine::{Phase, metrics_reference};
use nexum_testkit::RpcServer;

use crate::{
    exposition::{Scraped, scrape},
    http::ask,
    wallet::may_send,
    world::{CHAIN, Module, Running, Via, World, eventually, name, server, workspace},
};

const CHAIN_LABEL: (&str, &str) = ("chain", "31337");

/// Scrapes until `found` answers.
pub(crate) async fn until<T>(
    address: SocketAddr,
    what: &str,
    found: impl Fn(&Scraped) -> Option<T>,
) -> (Scraped, T) {
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(120);
    loop {
        let scraped = scrape(address).await;
        if let Some(answer) = found(&scraped) {
            return (scraped, answer);
        }
        assert!(
            tokio::time::Instant::now() < deadline,
            "not in time: {what}: {scraped:#?}"
        );
    }
}

#[test]
fn the_reference_is_made_from_the_table() {
    let path = workspace().join("docs/reference/metrics.md");
    if env::var_os("NEXUM_UPDATE").is_some() {
        fs::write(&path, metrics_reference()).unwrap();
    }
    let on_disk = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        on_disk == metrics_reference(),
        "docs/reference/metrics.md is stale: run with NEXUM_UPDATE=1"
    );
}

/// A row of the reference: name, kind and labels.
pub(crate) fn rows() -> Vec<(String, String, BTreeSet<String>)> {
    let page = metrics_reference();
    let rows = page.lines().filter(|line| line.starts_with("| `nexum_"));
    let row = |line: &str| {
        let cells: Vec<_> = line.split(" | ").collect();
        let bare = |text: &str| text.trim_matches(|c| "| `".contains(c)).to_owned();
        let labels = cells[2].split(", ").map(bare);
        let labels = labels.filter(|label| !label.is_empty());
        (bare(cells[0]), bare(cells[1]), labels.collect())
    };
    rows.map(row).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_tells_each_metric_of_the_table_and_no_other() {
    let server = server(5).await;
    let world = World::over(&server, Via::Ws)
        .observed()
        .module(Module::fixture("counter"));
    let engine = may_send(world, "counter").start().await;
    engine.delivered("counter", 5).await;
    // A head that the node announces, so that all is told that there is to tell.
    server.chain().mine(1);
    let told = |scraped: &Scraped| scraped.kinds.get("nexum_endpoint_head_block").map(drop);
    let (scraped, ()) = until(engine.metrics(), "the head is announced", told).await;
    engine.stop().await;

    let rows = rows();
    assert!(rows.len() > 40, "{rows:?}");
    for (name, kind, labels) in &rows {
        assert_eq!(scraped.kinds.get(name), Some(kind), "{name}");
        assert_eq!(scraped.labels(name).as_ref(), Some(labels), "{name}");
    }
    let known: BTreeSet<_> = rows.iter().map(|(name, ..)| name).collect();
    let told: BTreeSet<_> = scraped.kinds.keys().collect();
    assert_eq!(told, known);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scraper_that_takes_open_metrics_gets_it() {
    let world = World::new().observed();
    let engine = world.start().await;
    let lines = "host: localhost\r\n\
                 accept: application/openmetrics-text;version=1.0.0,text/plain;q=0.5\r\n";
    let answer = ask(engine.metrics(), "/metrics", lines).await.unwrap();
    let kind = answer.header("content-type").unwrap();
    assert!(kind.starts_with("application/openmetrics-text"), "{kind}");
    assert!(answer.body.ends_with("# EOF\n"), "{}", answer.body);
    let unit = "# UNIT nexum_engine_uptime_seconds seconds\n";
    assert!(answer.body.contains(unit), "{}", answer.body);
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_module_did_is_what_is_told() {
    let server = server(5).await;
    let world = World::over(&server, Via::Ws)
        .observed()
        .module(Module::fixture("counter"));
    let engine = world.start().await;
    engine.delivered("counter", 5).await;
    let module = ("module", "counter");
    // It is done with the last one once it asks for more.
    let at_head = |scraped: &Scraped| {
        let lag = scraped.get("nexum_module_lag_blocks", &[module, CHAIN_LABEL])?;
        (lag == 0.0).then_some(())
    };
    let (scraped, ()) = until(engine.metrics(), "it is at the head", at_head).await;

    let handled = [module, ("kind", "block"), ("outcome", "handled")];
    assert_eq!(scraped.value("nexum_module_events_total", &handled), 5.0);
    assert_eq!(
        scraped.value("nexum_module_run_seconds_count", &[module]),
        5.0
    );
    assert!(scraped.value("nexum_module_run_seconds_sum", &[module]) > 0.0);
    assert_eq!(scraped.value("nexum_module_fuel_count", &[module]), 5.0);
    assert!(scraped.value("nexum_module_fuel_sum", &[module]) > 1_000.0);
    // All of them were within the window, and so came by way of the ring.
    assert_eq!(
        scraped.value("nexum_module_queue_seconds_count", &[module]),
        5.0
    );
    let running = [module, ("state", "run")];
    assert_eq!(scraped.value("nexum_module_state", &running), 1.0);
    assert_eq!(scraped.value("nexum_modules", &[("state", "run")]), 1.0);
    assert_eq!(scraped.value("nexum_chain_head_block", &[CHAIN_LABEL]), 5.0);
    assert_eq!(scraped.value("nexum_engine_ready", &[]), 1.0);
    let memory = scraped.value("nexum_module_memory_bytes", &[module]);
    assert!(memory > 60_000.0, "{memory}");
    let limit = scraped.value("nexum_module_memory_limit_bytes", &[module]);
    assert_eq!(limit, 64.0 * 1024.0 * 1024.0);
    let state = scraped.value("nexum_module_state_bytes", &[module]);
    engine.stop().await;
    assert_eq!(state as u64, world.state("counter").used_bytes());
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_are_told_by_kind() {
    let server = server(1).await;
    let spin = |name: &str, limit: &str| Module::fixture("spin").named(name).limited(limit);
    let deadline = spin("late", "max_event_duration = \"100ms\"")
        .limited("max_fuel_per_event = 9_000_000_000_000_000_000");
    let world = World::over(&server, Via::Ws).observed().modules([
        Module::fixture("write-then-err"),
        Module::fixture("write-then-trap"),
        Module::fixture("exit"),
        spin("thirsty", "max_fuel_per_event = 1_000_000"),
        deadline,
    ]);
    let engine = world.start().await;
    for (module, kind) in [
        ("write-then-err", "error"),
        ("write-then-trap", "trap"),
        ("exit", "exit"),
        ("thirsty", "fuel"),
        ("late", "deadline"),
    ] {
        let label = ("module", module);
        let what = format!("{module} has failed by {kind}");
        let (scraped, _) = until(engine.metrics(), &what, |scraped| {
            let failures = scraped.get("nexum_module_failures_total", &[label, ("kind", kind)])?;
            let failed = [label, ("kind", "block"), ("outcome", "failed")];
            let events = scraped.get("nexum_module_events_total", &failed)?;
            let failing = scraped.get("nexum_module_consecutive_failures", &[label])?;
            (failures >= 1.0 && events >= 1.0 && failing >= 1.0).then_some(())
        })
        .await;
        for other in [
            "error", "trap", "exit", "fuel", "deadline", "store", "panic",
        ] {
            let count = scraped.value("nexum_module_failures_total", &[label, ("kind", other)]);
            assert_eq!(count > 0.0, other == kind, "{module}: {other} {count}");
        }
    }
    engine.stop_in_grace().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_a_death_and_a_letter_are_told() {
    let server = server(4).await;
    let poison = |name: &str, lines: &str| {
        let poison = Module::fixture("poison").named(name);
        poison.restarted(&format!("max_consecutive_failures = 2\n{lines}"))
    };
    let world = World::over(&server, Via::Ws)
        .observed()
        .impatient()
        .module(poison("mortal", ""))
        .module(poison("parking", "on_failure = \"dead-letter\""));
    let engine = world.start().await;
    engine.is("mortal", Phase::Dead).await;
    engine.reaches("parking", 4).await;

    let scraped = scrape(engine.metrics()).await;
    let mortal = ("module", "mortal");
    assert_eq!(
        scraped.value("nexum_module_state", &[mortal, ("state", "dead")]),
        1.0
    );
    assert_eq!(
        scraped.value("nexum_module_state", &[mortal, ("state", "run")]),
        0.0
    );
    assert_eq!(scraped.value("nexum_modules", &[("state", "dead")]), 1.0);
    assert_eq!(scraped.value("nexum_module_restarts_total", &[mortal]), 1.0);
    // Blocks 3 and 4 are there, and it is not done with the first of them.
    assert_eq!(
        scraped.value("nexum_module_lag_blocks", &[mortal, CHAIN_LABEL]),
        2.0
    );
    let parking = ("module", "parking");
    assert_eq!(scraped.value("nexum_module_dead_letters", &[parking]), 1.0);
    let parked = [parking, ("kind", "block"), ("outcome", "parked")];
    assert_eq!(scraped.value("nexum_module_events_total", &parked), 1.0);
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_denied_and_dropped_is_told() {
    let server = server(1).await;
    let quota = Module::fixture("quota").limited("max_state_bytes = 1_000");
    let world = World::over(&server, Via::Ws).observed().modules([
        Module::fixture("denied-method"),
        Module::fixture("log-flood"),
        Module::fixture("memory").limited("max_memory_bytes = 16_777_216"),
        quota,
    ]);
    let engine = world.start().await;
    for module in ["denied-method", "log-flood", "memory", "quota"] {
        engine.delivered(module, 1).await;
    }
    let scraped = scrape(engine.metrics()).await;
    let denied = |module, capability| {
        let labels = [("module", module), ("capability", capability)];
        scraped.value("nexum_module_denied_total", &labels)
    };
    assert_eq!(denied("denied-method", "chain"), 1.0);
    assert_eq!(denied("denied-method", "local-store"), 0.0);
    assert!(denied("quota", "local-store") >= 1.0);

    let memory = ("module", "memory");
    assert!(scraped.value("nexum_module_memory_denied_total", &[memory]) >= 1.0);
    let highest = scraped.value("nexum_module_memory_highest_bytes", &[memory]);
    assert!((10e6..=16_777_216.0).contains(&highest), "{highest}");

    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_that_are_logged_and_dropped_are_told() {
    crate::log::keep();
    let server = server(1).await;
    let flood = Module::fixture("log-flood").named("told-flood");
    let world = World::over(&server, Via::Ws).observed().module(flood);
    let engine = world.start().await;
    engine.delivered("told-flood", 1).await;
    let scraped = scrape(engine.metrics()).await;
    engine.stop().await;

    let module = ("module", "told-flood");
    let logged = scraped.value("nexum_module_log_lines_total", &[module, ("level", "info")]);
    let dropped = scraped.value("nexum_module_log_dropped_total", &[module]);
    // Ten thousand through the interface and as many to standard output, of which a thousand pass
    // at once.
    assert_eq!(logged + dropped, 20_000.0);
    assert!(
        logged >= 1_000.0 && dropped >= 1_000.0,
        "{logged} {dropped}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_endpoints_and_chains_do_is_told() {
    let first = server(5).await;
    let second = RpcServer::start(first.chain().clone()).await.unwrap();
    let world = World::new()
        .chain_of(CHAIN, &[&first.ws_url(), &second.http_url()], "")
        .observed()
        .module(Module::fixture("counter"));
    let engine = world.start().await;
    engine.delivered("counter", 5).await;
    let (one, other) = (first.ws_url(), second.http_url());
    let endpoint = |url: &'static str| [CHAIN_LABEL, ("endpoint", url)];
    let one = endpoint(one.trim_end_matches('/').to_owned().leak());
    let other = endpoint(other.trim_end_matches('/').to_owned().leak());
    let state = |of: [(&'static str, &'static str); 2], state: &'static str| {
        [of[0], of[1], ("state", state)]
    };
    let scraped = scrape(engine.metrics()).await;
    assert_eq!(
        scraped.value("nexum_endpoint_state", &state(one, "well")),
        1.0
    );
    assert_eq!(scraped.value("nexum_endpoint_in_use", &one), 1.0);
    assert_eq!(scraped.value("nexum_endpoint_in_use", &other), 0.0);
    assert_eq!(scraped.value("nexum_endpoint_rank", &one), 0.0);
    assert_eq!(scraped.value("nexum_endpoint_rank", &other), 1.0);
    let answered = [one[0], one[1], ("outcome", "answered")];
    assert!(scraped.value("nexum_endpoint_requests_total", &answered) >= 2.0);
    assert!(scraped.value("nexum_endpoint_request_seconds_count", &one) >= 2.0);

    first.chain().reorg(2).unwrap();
    first.chain().mine(1);
    until(engine.metrics(), "the reorg is told", |scraped| {
        let count = scraped.value("nexum_chain_reorg_depth_blocks_count", &[CHAIN_LABEL]);
        (count >= 1.0).then_some(())
    })
    .await;

    first.set_down(true);
    first.chain().mine(1);
    let (scraped, _) = until(
        engine.metrics(),
        "the second endpoint is in use",
        |scraped| (scraped.value("nexum_endpoint_in_use", &other) == 1.0).then_some(()),
    )
    .await;
    assert_eq!(
        scraped.value("nexum_endpoint_state", &state(one, "well")),
        0.0
    );
    let failed = [one[0], one[1], ("outcome", "failed")];
    assert!(scraped.value("nexum_endpoint_requests_total", &failed) >= 1.0);
    engine.stop().await;
}

/// A module may say what it wants: names of labels and their values stay what they are.
#[tokio::test(flavor = "multi_thread")]
async fn no_label_has_a_value_of_a_modules_choice() {
    let server = server(2).await;
    let world = World::over(&server, Via::Ws)
        .observed()
        .module(Module::fixture("write-then-err"))
        .module(Module::fixture("stdout"));
    let engine = world.start().await;
    engine.failed("write-then-err", 1).await;
    let scraped = scrape(engine.metrics()).await;
    engine.stop().await;
    let modules = ["stdout", "write-then-err"];
    assert_eq!(scraped.values_of("module"), modules.into());
    assert_eq!(scraped.values_of("chain"), ["31337"].into());
    let endpoint = server.ws_url();
    let endpoint = endpoint.trim_end_matches('/');
    assert_eq!(scraped.values_of("endpoint"), [endpoint].into());
    let kinds = scraped.values_of("kind");
    let known = metrics_reference();
    for kind in kinds {
        assert!(known.contains(kind), "{kind} is not in the reference");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_module_that_is_unloaded_leaves_no_metric() {
    let server = server(3).await;
    let world = World::over(&server, Via::Ws)
        .observed()
        .module(Module::fixture("counter"))
        .module(Module::fixture("tally"));
    let engine = world.start().await;
    engine.delivered("tally", 3).await;
    let before = scrape(engine.metrics()).await;
    assert_eq!(before.values_of("module"), ["counter", "tally"].into());
    engine.operator().unload(&name("tally")).await.unwrap();
    let after = scrape(engine.metrics()).await;
    assert_eq!(after.values_of("module"), ["counter"].into());
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_module_that_falls_behind_lags_and_catches_up() {
    let server = server(1).await;
    let slow = Module::fixture("slow").config("millis = 200");
    let world = World::over(&server, Via::Ws).observed().module(slow);
    let engine = world.start().await;
    engine.delivered("slow", 1).await;
    server.chain().mine(50);
    let module = ("module", "slow");
    let lag = |scraped: &Scraped| scraped.value("nexum_module_lag_blocks", &[module, CHAIN_LABEL]);
    until(engine.metrics(), "it is behind", |scraped| {
        (lag(scraped) >= 5.0).then_some(())
    })
    .await;
    until(engine.metrics(), "it has caught up", |scraped| {
        (lag(scraped) == 0.0).then_some(())
    })
    .await;
    let scraped = scrape(engine.metrics()).await;
    // The last of the fifty waited for those before it.
    let waited = scraped.value("nexum_module_queue_seconds_sum", &[module]);
    let ran = scraped.value("nexum_module_run_seconds_sum", &[module]);
    assert!(ran >= 51.0 * 0.2, "{ran}");
    assert!(waited >= 49.0 * 0.2, "{waited}");
    engine.stop().await;
}

/// What is told while the engine ends is told of modules that end.
#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_stops_tells_until_the_end() {
    crate::log::keep();
    let server = server(1).await;
    let slow = Module::fixture("slow")
        .named("told-last")
        .config("millis = 20_000");
    let world = World::over(&server, Via::Ws).observed().module(slow);
    let engine: Running = world.start().await;
    let address = engine.metrics();
    crate::log::says("told-last", "sleeping").await;
    let stopping = tokio::spawn(engine.stop());
    let scraped = until(address, "it stops", |scraped| {
        (scraped.value("nexum_engine_ready", &[]) == 0.0).then_some(())
    })
    .await
    .0;
    assert_eq!(scraped.values_of("module"), ["told-last"].into());
    stopping.await.unwrap();
    eventually("nothing is told any more", || {
        std::net::TcpStream::connect(address).is_err().then_some(())
    })
    .await;
}
