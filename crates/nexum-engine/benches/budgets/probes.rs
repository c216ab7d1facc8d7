//! What two modules that compute without end take from everybody else: how soon health and metrics
//! answer, and how soon modules that wait have their block.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use nexum_engine::Engine;
use nexum_testkit::{RpcServer, ScriptedChain};
use tokio::runtime::Runtime;

use crate::{
    place::{Place, wait_until},
    report::{Budget, Row, Samples},
    rig::{self, CHAIN},
};

const IDLE: usize = 100;
const BUSY: usize = 2;
const ASKED: usize = 500;
const BLOCKS: usize = 100;
const HEALTH_WITHIN: Duration = Duration::from_millis(100);
const BLOCK_WITHIN: Duration = Duration::from_millis(250);

/// An engine with modules that compute without end, or none, and a hundred that wait, on as many
/// threads as there are processors.
struct Scene {
    engine: Option<Engine>,
    runtime: Runtime,
    chain: ScriptedChain,
    busy: usize,
    _place: Place,
    _node: (RpcServer, Runtime),
}

impl Scene {
    fn with(busy: usize) -> Self {
        let node = rig::runtime(Some(1));
        let chain = ScriptedChain::new(CHAIN);
        chain.mine(1);
        let server = node.block_on(RpcServer::start(chain.clone())).unwrap();
        let mut place = Place::new(&server.ws_url());
        let lines = "start = 1\n[module.resources]\nmax_event_duration = \"1h\"\n\
                     max_fuel_per_event = 9_000_000_000_000_000_000\n";
        for (fixture, count) in [("noop", IDLE), ("spin", busy)] {
            place.bundle(fixture, lines);
            place.modules(fixture, count);
        }
        let runtime = rig::runtime(None);
        let engine = place.start(&runtime);
        let scene = Self {
            engine: Some(engine),
            runtime,
            chain,
            busy,
            _place: place,
            _node: (server, node),
        };
        wait_until("they compute, and the others wait", || {
            scene.are_busy() && scene.delivered().all(|delivered| delivered > 0)
        });
        scene
    }

    fn engine(&self) -> &Engine {
        self.engine.as_ref().unwrap()
    }

    fn are_busy(&self) -> bool {
        let report = self.engine().health();
        let busy = report.modules.iter().filter(|module| {
            module.name.starts_with("spin") && module.busy_ms.is_some() && module.delivered == 0
        });
        busy.count() == self.busy
    }

    /// What each of those that wait has been given.
    fn delivered(&self) -> impl Iterator<Item = u64> {
        let status = self.engine().status().into_iter();
        let waiting = status.filter(|module| module.name.as_str().starts_with("noop"));
        waiting.map(|module| module.delivered)
    }

    /// Mines blocks, and adds for each block and each module that waits how long it was from the
    /// block on the node to the module that has handled it; and for each block the longest.
    fn blocks(&self, each: &mut Samples, last: &mut Samples) {
        for round in 0..BLOCKS {
            // At any moment of a busy guest's turn, not always right after one.
            std::thread::sleep(Duration::from_micros(round as u64 * 37 % 100 * 100));
            let before: Vec<_> = self.delivered().collect();
            let mut times = vec![None; before.len()];
            let mined = Instant::now();
            self.chain.mine(1);
            wait_until("each has the block", || {
                let elapsed = mined.elapsed();
                for ((now, before), time) in self.delivered().zip(&before).zip(&mut times) {
                    if now > *before {
                        time.get_or_insert(elapsed);
                    }
                }
                times.iter().all(Option::is_some)
            });
            let times: Vec<_> = times.into_iter().flatten().collect();
            times.iter().for_each(|time| each.push(*time, 1));
            last.push(times.into_iter().max().unwrap_or_default(), 1);
        }
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        if let Some(engine) = self.engine.take() {
            self.runtime.block_on(engine.stop());
        }
    }
}

/// How soon health and metrics answer.
pub(crate) fn beside_busy_modules() -> Row {
    let scene = Scene::with(BUSY);
    let addresses = scene.engine().addresses();
    let (health, metrics) = (addresses.health.unwrap(), addresses.metrics.unwrap());

    let raw = times(health, "/health/live");
    let report = times(health, "/health");
    let (p99, slowest) = (only(report.at(0.99)), only(report.at(1.0)));
    let scrapes = times(metrics, "/metrics");
    assert!(scene.are_busy(), "they compute to the end");
    Row::new(
        "an answer while 2 modules compute without end, beside 100 that wait",
        "raw: /health/live, which looks at nothing",
        raw,
    )
    .also("engine: /health", report)
    .also("engine: /health, 99 of 100 within", p99)
    .budget(
        "engine: /health, the slowest of all",
        slowest,
        Budget::Within(HEALTH_WITHIN),
    )
    .also("engine: /metrics", scrapes)
}

/// How soon modules that wait have handled a block.
pub(crate) fn blocks_beside_busy_modules() -> Row {
    let (mut raw, mut raw_last) = (Samples::default(), Samples::default());
    Scene::with(0).blocks(&mut raw, &mut raw_last);

    let (mut each, mut last) = (Samples::default(), Samples::default());
    let scene = Scene::with(BUSY);
    scene.blocks(&mut each, &mut last);
    assert!(scene.are_busy(), "they compute to the end");
    let (p99, slowest) = (only(each.at(0.99)), only(last.at(1.0)));
    Row::new(
        "a block to 100 modules that wait, while 2 others compute without end",
        "raw: the same, and none computes",
        raw,
    )
    .also("raw: the last of the 100", raw_last)
    .also("engine: each module", each)
    .also("engine: each module, 99 of 100 within", p99)
    .also("engine: the last of the 100", last)
    .budget(
        "engine: the slowest of all",
        slowest,
        Budget::Within(BLOCK_WITHIN),
    )
}

/// One figure, in seconds, as a line of its own.
fn only(seconds: f64) -> Samples {
    let mut samples = Samples::default();
    samples.push(Duration::from_secs_f64(seconds), 1);
    samples
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
