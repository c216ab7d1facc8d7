//! What one more module that waits takes of the machine's memory: from how much a process has
//! resident with some of them, and with many.
//!
//! Each count is a process of its own, this bench started once more, so that what one has freed is
//! not what another takes; and each begins from kept code, since what compiling takes is not the
//! module's.

use std::{
    env, fmt, fs,
    path::Path,
    process::{Command, Stdio},
};

use nexum_engine::Engine;
use nexum_manifest::Setup;
use nexum_testkit::{RpcServer, ScriptedChain};

use crate::{
    place::{Place, wait_until},
    raw,
    rig::{self, CHAIN},
};

/// What begin the arguments of such a process: of raw instances, how many; of an engine, its file.
const RAW: &str = "--resident-raw=";
const ENGINE: &str = "--resident-engine=";
const FEW: usize = 100;
const MANY: usize = 600;
const ROUNDS: usize = 5;
const BUDGET_BYTES: f64 = 1024.0 * 1024.0;

/// Bytes for each further one, of each round.
struct Growth {
    label: &'static str,
    bytes: Vec<f64>,
}

/// What was measured.
pub(crate) struct Memory {
    raw: Growth,
    same: Growth,
    own: Growth,
}

/// Raw instances, modules of the same bytes, and modules of bytes of their own.
pub(crate) fn of_a_further_module() -> Memory {
    let node = rig::runtime(Some(1));
    let chain = ScriptedChain::new(CHAIN);
    chain.mine(1);
    let server = node.block_on(RpcServer::start(chain.clone())).unwrap();
    let url = server.ws_url();
    let same = [FEW, MANY].map(|count| {
        let mut place = Place::new(&url);
        place.bundle("noop", "");
        place.modules("noop", count);
        place
    });
    let own = [FEW, MANY].map(|count| {
        let mut place = Place::new(&url);
        place.distinct_modules("noop", count);
        place
    });
    let components = [1, 1, FEW, MANY];
    for (place, components) in same.iter().chain(&own).zip(components) {
        let runtime = rig::runtime(None);
        let engine = place.start(&runtime);
        wait_until("each has had the block", || has_delivered(&engine));
        place.wait_for_code(components);
        runtime.block_on(engine.stop());
    }

    let further = |[few, many]: [f64; 2]| (many - few) / (MANY - FEW) as f64;
    let engines = |places: &[Place; 2]| {
        further(places.each_ref().map(|place| {
            // One that is there for each to handle.
            chain.mine(1);
            child(&format!("{ENGINE}{}", place.engine_file().display()))
        }))
    };
    let mut memory = Memory {
        raw: Growth::of("raw: wasmtime's instance of the same component"),
        same: Growth::of("engine: a module of the same bytes as others"),
        own: Growth::of("engine: a module of bytes of its own"),
    };
    for _ in 0..ROUNDS {
        let instances = [FEW, MANY].map(|count| child(&format!("{RAW}{count}")));
        memory.raw.bytes.push(further(instances));
        memory.same.bytes.push(engines(&same));
        memory.own.bytes.push(engines(&own));
    }
    memory
}

/// How much such a process has resident, in bytes.
fn child(argument: &str) -> f64 {
    let output = Command::new(env::current_exe().unwrap())
        .arg(argument)
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", output.status);
    let told = String::from_utf8(output.stdout).unwrap();
    told.trim().parse().unwrap()
}

/// Does what such a process does, where this is one.
pub(crate) fn as_child() -> bool {
    for argument in env::args() {
        if let Some(count) = argument.strip_prefix(RAW) {
            raw_instances(count.parse().unwrap());
            return true;
        }
        if let Some(path) = argument.strip_prefix(ENGINE) {
            modules(Path::new(path));
            return true;
        }
    }
    false
}

fn raw_instances(count: usize) {
    let runtime = rig::runtime(None);
    let guests = runtime.block_on(async {
        let mut guests = raw::Guests::new(&rig::component("noop"), count).await;
        guests.call_each(&raw::block()).await;
        guests
    });
    println!("{}", resident());
    drop(guests);
}

fn modules(file: &Path) {
    let runtime = rig::runtime(None);
    let setup = Setup::load(file).unwrap();
    let engine = runtime.block_on(Engine::start(setup)).unwrap();
    assert_eq!(engine.code_origins().compiled, 0);
    wait_until("each has had a block", || has_delivered(&engine));
    println!("{}", resident());
    runtime.block_on(engine.stop());
}

fn has_delivered(engine: &Engine) -> bool {
    engine.status().iter().all(|module| module.delivered > 0)
}

/// What this process has resident, in bytes.
fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.unwrap().trim().strip_suffix(" kB").unwrap();
    kib.parse::<u64>().unwrap() * 1024
}

impl Growth {
    fn of(label: &'static str) -> Self {
        Self {
            label,
            bytes: Vec::new(),
        }
    }

    fn median(&self) -> f64 {
        let mut sorted = self.bytes.clone();
        sorted.sort_by(f64::total_cmp);
        sorted[sorted.len() / 2]
    }
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "resident for each module beyond the first {FEW} of {MANY}, all of which wait"
        )?;
        write!(f, "  {:<50}{:>14}{:>9}", "", "median", "ratio")?;
        for growth in [&self.raw, &self.same, &self.own] {
            let (bytes, ratio) = (growth.median(), growth.median() / self.raw.median());
            write!(
                f,
                "\n  {:<50}{:>10.0} KiB{ratio:>8.2}x",
                growth.label,
                bytes / 1024.0
            )?;
        }
        let kept = self.own.median() <= BUDGET_BYTES && self.same.median() <= BUDGET_BYTES;
        let verdict = if kept { "kept" } else { "NOT KEPT" };
        write!(f, "  budget {:.0} KiB: {verdict}", BUDGET_BYTES / 1024.0)
    }
}
