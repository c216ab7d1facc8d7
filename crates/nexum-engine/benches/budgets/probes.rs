//! How soon health and metrics answer while modules compute without end.

use std::{
    fmt::Write as _,
    fs,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use nexum_engine::Engine;
use nexum_manifest::Setup;
use nexum_testkit::{RpcServer, ScriptedChain, guests};

use crate::{
    report::{Budget, Row, Samples},
    rig::{self, CHAIN},
};

const IDLE: usize = 100;
const BUSY: usize = 2;
const ASKED: usize = 500;
/// Something is broken where this is not enough.
const PATIENCE: Duration = Duration::from_secs(300);

/// Two modules that compute without end and a hundred that wait, on as many threads as there are
/// processors.
pub(crate) fn beside_busy_modules() -> Row {
    let node = rig::runtime(Some(1));
    let chain = ScriptedChain::new(CHAIN);
    chain.mine(1);
    let server = node.block_on(RpcServer::start(chain)).unwrap();
    let dir = rig::folder();
    let mut file = format!(
        "[engine]\nstate_dir = \"state\"\nshutdown_grace = \"10ms\"\n\
         [observability]\nmetrics = \"127.0.0.1:0\"\nhealth = \"127.0.0.1:0\"\n\
         [[chains.{CHAIN}.endpoints]]\nurl = \"{}\"\n",
        server.ws_url()
    );
    for (fixture, count) in [("noop", IDLE), ("spin", BUSY)] {
        let manifest = format!(
            "[module]\nname = \"{fixture}\"\nversion = \"0.1.0\"\n\
             [module.resources]\nmax_event_duration = \"1h\"\n\
             max_fuel_per_event = 9_000_000_000_000_000_000\n\
             [chains]\nrequired = [{CHAIN}]\n\
             [capabilities]\nrequired = [\"local-store\"]\n\
             [[subscription]]\nkind = \"block\"\nchain_id = {CHAIN}\nstart = 1\n"
        );
        let component = guests::fixture(fixture).unwrap();
        guests::bundle(&dir.path().join(fixture), &manifest, &component).unwrap();
        for index in 0..count {
            let entry =
                format!("[[modules]]\npath = \"{fixture}\"\nname = \"{fixture}-{index}\"\n");
            file.write_str(&entry).unwrap();
        }
    }
    let path = dir.path().join("nexum-engine.toml");
    fs::write(&path, file).unwrap();
    let runtime = rig::runtime(None);
    let engine = runtime
        .block_on(Engine::start(Setup::load(&path).unwrap()))
        .unwrap();
    let addresses = engine.addresses();
    let (health, metrics) = (addresses.health.unwrap(), addresses.metrics.unwrap());
    wait_until_busy(&engine);

    let raw = times(health, "/health/live");
    let report = times(health, "/health");
    let mut slowest = Samples::default();
    slowest.push(Duration::from_secs_f64(report.at(1.0)), 1);
    let scrapes = times(metrics, "/metrics");
    assert_eq!(busy(&engine), BUSY, "they compute to the end");
    runtime.block_on(engine.stop());
    drop(runtime);
    Row::new(
        "an answer while 2 modules compute without end, beside 100 that wait",
        "raw: /health/live, which looks at nothing",
        raw,
    )
    .also("engine: /health", report)
    .budget(
        "engine: /health, the slowest of all",
        slowest,
        Budget::Within(Duration::from_millis(100)),
    )
    .also("engine: /metrics", scrapes)
}

fn busy(engine: &Engine) -> usize {
    let report = engine.health();
    let busy = |module: &&nexum_engine::ModuleHealth| {
        module.name.starts_with("spin") && module.busy_ms.is_some()
    };
    report.modules.iter().filter(busy).count()
}

fn wait_until_busy(engine: &Engine) {
    let begun = Instant::now();
    loop {
        let idle = engine.health().modules;
        let done = idle.iter().filter(|module| module.delivered > 0).count();
        if busy(engine) == BUSY && done == IDLE {
            return;
        }
        assert!(
            begun.elapsed() < PATIENCE,
            "{done} of {IDLE} had their block"
        );
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn times(address: SocketAddr, path: &str) -> Samples {
    let mut samples = Samples::default();
    for _ in 0..ASKED {
        samples.time(|| {
            let mut stream = TcpStream::connect(address).unwrap();
            write!(stream, "GET {path} HTTP/1.1\r\nhost: {address}\r\n\r\n").unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        });
    }
    samples
}
