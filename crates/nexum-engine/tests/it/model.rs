//! Whatever happens, in whatever order, to a chain, its endpoints, the engine and its modules:
//! what the modules have folded is the fold of the canonical chain.
//!
//! The engine is the real one, with real guests, real files and real sockets; the model is the
//! scripted chain itself. A script that fails is kept by its seed and played again first.

use std::{collections::BTreeSet, fs, sync::Arc, thread};

use nexum_chain::Chains;
use nexum_engine::NoServers;
use nexum_host::{Host, Loaded, LogRate, ModuleSpec, NothingKept, SystemClock};
use nexum_manifest::{Capabilities, Capability, Resources};
use nexum_testkit::{NewLog, RpcServer, ScriptedChain, guests};
use nexum_types::Depth;
use proptest::{
    collection::vec,
    prelude::*,
    test_runner::{Config, TestRunner},
};

use crate::{
    logs::{PINGS, PONGS, fold, mine, ping, pings_and_pongs, pong},
    world::{CHAIN, Module, Running, Via, World},
};

/// Scripts of a run that does not ask for another number (`PROPTEST_CASES`).
const CASES: u32 = 2_048;
/// Scripts played side by side: most of their time they wait for an engine.
const SIDE_BY_SIDE: u32 = 16;
/// Reorgs stay within this window.
const WINDOW: u64 = 16;
/// No reorg takes off more blocks than this. No branch is shorter than what it replaces, so
/// everything further below a head than this stays.
const DEEPEST: u64 = 6;
/// A block with so many on top stays.
const SURE: u64 = DEEPEST + 2;

#[derive(Debug, Clone, Copy)]
enum Emitted {
    Ping,
    Pong,
    /// What no module asks for.
    Noise,
}

/// What is in one block.
type Logs = Vec<Emitted>;

#[derive(Debug, Clone)]
enum Step {
    Mine(Vec<Logs>),
    /// Empty blocks, at times more than the feed's ring holds.
    Quiet(u64),
    /// Takes as many blocks off as the first says, at most, and puts as many in their place and
    /// those of the second.
    Reorg(u64, Vec<Logs>, u64),
    /// The endpoints that are down from now on.
    Outage([bool; 2]),
    /// Waits until the modules are so many blocks from the head.
    Watch(u64),
    Restart,
    Crash,
}

#[derive(Debug, Clone)]
struct Script {
    over_ws: [bool; 2],
    log_timestamps: [bool; 2],
    trust_bloom: bool,
    max_log_range: u64,
    /// Whether the first two modules have their pings pushed.
    pushed: bool,
    /// Every so many events of each module one fails.
    fail_every: Option<u64>,
    steps: Vec<Step>,
}

fn logs() -> impl Strategy<Value = Logs> {
    let emitted = prop_oneof![
        3 => Just(Emitted::Ping),
        2 => Just(Emitted::Pong),
        1 => Just(Emitted::Noise),
    ];
    vec(emitted, 0..4)
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        5 => vec(logs(), 1..8).prop_map(Step::Mine),
        1 => prop_oneof![1_u64..20, 20_u64..150].prop_map(Step::Quiet),
        4 => (1..=DEEPEST, vec(logs(), DEEPEST as usize), 0_u64..3)
            .prop_map(|(depth, logs, more)| Step::Reorg(depth, logs, more)),
        1 => any::<[bool; 2]>().prop_map(Step::Outage),
        5 => (0_u64..5).prop_map(Step::Watch),
        1 => Just(Step::Restart),
        1 => Just(Step::Crash),
    ]
}

fn script() -> impl Strategy<Value = Script> {
    (
        any::<[bool; 2]>(),
        any::<[bool; 2]>(),
        any::<bool>(),
        prop_oneof![Just(7_u64), Just(10_000)],
        any::<bool>(),
        prop::option::weighted(0.25, 20_u64..60),
        vec(step(), 1..24),
    )
        .prop_map(
            |(over_ws, log_timestamps, trust_bloom, max_log_range, pushed, fail_every, steps)| {
                Script {
                    over_ws,
                    log_timestamps,
                    trust_bloom,
                    max_log_range,
                    pushed,
                    fail_every,
                    steps,
                }
            },
        )
}

#[test]
fn what_is_folded_is_the_canonical_chain_after_any_script() {
    let asked = std::env::var_os("PROPTEST_CASES").map(|_| Config::default().cases);
    let cases = asked.unwrap_or(CASES).div_ceil(SIDE_BY_SIDE);
    let guests = Guests::new();
    let play_some = || {
        let config = Config {
            cases,
            max_shrink_iters: 64,
            ..Config::with_source_file(file!())
        };
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let played = TestRunner::new(config).run(&script(), |script| {
            runtime.block_on(play(&script, &guests.host));
            Ok(())
        });
        if let Err(failure) = played {
            panic!("{failure}");
        }
    };
    thread::scope(|scope| {
        for _ in 0..SIDE_BY_SIDE {
            scope.spawn(play_some);
        }
    });
}

/// The wasm engine of all scripts, with the guest compiled.
struct Guests {
    host: Arc<Host>,
    /// Code is kept as long as somebody has it loaded.
    _fold: Loaded,
}

impl Guests {
    fn new() -> Self {
        let host = Host::new(Arc::new(SystemClock::new())).unwrap();
        let spec = ModuleSpec {
            name: "kept".parse().unwrap(),
            pin: None,
            pin_required: false,
            capabilities: Capabilities {
                required: Capability::hosted().collect(),
                ..Capabilities::default()
            },
            absent_chains: BTreeSet::new(),
            chains: BTreeSet::new(),
            resources: Resources::default(),
            log_rate: LogRate::default(),
            identity: Arc::new(
                nexum_engine::Accounts::default()
                    .of_module("kept".parse().unwrap(), Default::default()),
            ),
            chain: Arc::new(Chains::new([]).unwrap()),
            http: Arc::new(NoServers),
        };
        let component = fs::read(guests::fixture("log-fold").unwrap()).unwrap();
        Self {
            _fold: host.load(&component, spec, &NothingKept).unwrap(),
            host: Arc::new(host),
        }
    }
}

async fn play(script: &Script, host: &Arc<Host>) {
    let chain = ScriptedChain::new(CHAIN);
    let servers = [
        RpcServer::start(chain.clone()).await.unwrap(),
        RpcServer::start(chain.clone()).await.unwrap(),
    ];
    for (server, log_timestamps) in servers.iter().zip(script.log_timestamps) {
        server.change_view(|view| {
            view.log_timestamps = log_timestamps;
            view.empty_blooms = !script.trust_bloom;
        });
    }
    let world = world(script, &servers, host);
    let mut engine = world.start().await;
    for step in &script.steps {
        match step {
            Step::Mine(blocks) => blocks.iter().for_each(|logs| mine(&chain, emitted(logs))),
            Step::Quiet(blocks) => chain.mine(*blocks),
            Step::Reorg(depth, logs, more) => reorg(&chain, *depth, logs, *more),
            Step::Outage(down) => {
                for (server, down) in servers.iter().zip(down) {
                    server.set_down(*down);
                }
            }
            Step::Watch(distance) => {
                heal(&servers);
                let number = chain.head().number.saturating_sub(*distance);
                engine.reaches("with-blocks", number).await;
            }
            Step::Restart => {
                engine.stop().await;
                engine = restart(&world, &servers).await;
            }
            Step::Crash => {
                engine.crash();
                for module in MODULES {
                    drop(world.state_after_crash(module).await);
                }
                engine = restart(&world, &servers).await;
            }
        }
    }
    heal(&servers);
    settle(&chain, &engine).await;
    engine.stop().await;

    let head = chain.head().number;
    for (module, last) in MODULES.into_iter().zip([head, head, head - SURE]) {
        let state = world.state(module);
        state.assert_folded(&chain, 0..=last, pings_and_pongs);
        let attempts = state.number("attempts").unwrap_or(0);
        assert_eq!(attempts > 0, script.fail_every.is_some());
        if module == "sure" {
            assert_eq!(state.number("removed"), None);
        }
    }
}

/// One that gets logs alone, one that gets blocks as well, and one that waits until they are
/// sure.
const MODULES: [&str; 3] = ["fold", "with-blocks", "sure"];

fn world(script: &Script, servers: &[RpcServer; 2], host: &Arc<Host>) -> World {
    let urls = [0, 1].map(|index| {
        let via = if script.over_ws[index] {
            Via::Ws
        } else {
            Via::Http
        };
        via.url(&servers[index])
    });
    let lines = format!(
        "reorg_window = {WINDOW}\ntrust_bloom = {}\nmax_log_range = {}",
        script.trust_bloom, script.max_log_range
    );
    let pings = if script.pushed {
        format!("{PINGS}\ndelivery = \"push\"")
    } else {
        PINGS.to_owned()
    };
    let sure = |lines: &str| format!("{lines}\nconfirmations = {SURE}");
    let modules = [
        fold().named(MODULES[0]).logs(&pings).logs(PONGS),
        Module::fixture("log-fold")
            .named(MODULES[1])
            .logs(&pings)
            .logs(PONGS),
        fold()
            .named(MODULES[2])
            .logs(&sure(PINGS))
            .logs(&sure(PONGS)),
    ];
    let modules = modules.map(|module| match script.fail_every {
        Some(every) => module.config(&format!("fail_every = {every}")),
        None => module,
    });
    World::light(Arc::clone(host))
        .chain_of(CHAIN, &urls.each_ref().map(String::as_str), &lines)
        .modules(modules)
}

fn emitted(logs: &Logs) -> impl Iterator<Item = NewLog> {
    logs.iter().zip(0..).map(|(emitted, n)| match emitted {
        Emitted::Ping => ping(n),
        Emitted::Pong => pong(n),
        Emitted::Noise => NewLog::of(ping(n).address, "Noise()"),
    })
}

fn reorg(chain: &ScriptedChain, depth: u64, logs: &[Logs], more: u64) {
    let depth = depth.min(chain.head().number);
    let built = chain.reorg_to(depth, |branch| {
        for logs in logs.iter().take(depth as usize) {
            emitted(logs).for_each(|log| branch.log(log));
            branch.mine(1);
        }
        branch.mine(more);
    });
    built.unwrap();
}

fn heal(servers: &[RpcServer; 2]) {
    servers.iter().for_each(|server| server.set_down(false));
}

async fn restart(world: &World, servers: &[RpcServer; 2]) -> Running {
    heal(servers);
    world.start().await
}

/// Ends the chain with a block that every module gets something of, and waits until it has.
async fn settle(chain: &ScriptedChain, engine: &Running) {
    mine(chain, [ping(u64::MAX)]);
    let last = chain.head().number;
    chain.mine(SURE);
    engine.reaches("fold", last).await;
    engine.reaches("with-blocks", last).await;
    let sure = Depth::Confirmations(u32::try_from(SURE).unwrap());
    engine.reaches_at("sure", sure, last).await;
}
