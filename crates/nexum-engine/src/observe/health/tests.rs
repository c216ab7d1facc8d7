use std::{collections::BTreeMap, time::Duration};

use nexum_chain::ChainStats;
use nexum_manifest::Resources;
use nexum_types::{ChainId, Histogram};

use super::*;
use crate::{meters::Meters, status::ModuleStatus};

fn module(name: &str, phase: Phase) -> ModuleLook {
    ModuleLook {
        status: ModuleStatus {
            name: name.parse().unwrap(),
            phase,
            delivered: 0,
            cursors: BTreeMap::new(),
            rests: BTreeMap::new(),
            skipped: 0,
            missed: 0,
            stalled: None,
            failed: 0,
            failing: 0,
            parked: 0,
            letters: 0,
            last_error: None,
        },
        has_begun: true,
        busy: None,
        meters: Meters::default().read(),
        usage: Default::default(),
        resources: Resources::default(),
        state_bytes: None,
        letters: [].into(),
        lag: BTreeMap::new(),
    }
}

fn stalled(name: &str) -> ModuleLook {
    let mut look = module(name, Phase::Run);
    look.status.stalled = Some("a deep reorg".to_owned());
    look
}

fn chain(states: &[EndpointState]) -> ChainLook {
    let endpoint = |state: &EndpointState| EndpointStats {
        endpoint: "http://node".to_owned(),
        state: *state,
        head: None,
        lag: 0,
        requests: 0,
        answered: 0,
        unanswered: 0,
        latency: Histogram::of_durations().read(),
        retries: 0,
        rate_limit_waits: 0,
        errors: BTreeMap::new(),
        last_error: None,
        max_batch: 1,
    };
    ChainLook {
        stats: ChainStats {
            chain: ChainId(1),
            endpoints: states.iter().map(endpoint).collect(),
            in_use: Some(0),
            asked: 0,
            coalesced: 0,
            cached: 0,
            cache_bytes: 0,
            fallbacks: 0,
        },
        endpoints: states.iter().map(|_| "http://node".to_owned()).collect(),
        feed: None,
    }
}

fn look(modules: Vec<ModuleLook>, chains: Vec<ChainLook>) -> Look {
    Look {
        stage: Stage::Running,
        uptime: Duration::ZERO,
        modules,
        chains,
        accounts: BTreeMap::new(),
    }
}

fn judged(modules: Vec<ModuleLook>, chains: Vec<ChainLook>) -> (HealthStatus, Vec<String>) {
    judge(&look(modules, chains))
}

#[test]
fn nothing_wrong_is_ok_and_so_is_nothing_at_all() {
    assert_eq!(judged(vec![], vec![]), (HealthStatus::Ok, vec![]));
    let modules = vec![module("a", Phase::Run), module("b", Phase::Init)];
    let chains = vec![chain(&[EndpointState::Open, EndpointState::Well])];
    assert_eq!(judged(modules, chains), (HealthStatus::Ok, vec![]));
}

#[test]
fn what_is_wrong_beside_what_works_is_a_degradation() {
    let mut failing = module("failing", Phase::Run);
    failing.status.failing = 1;
    let modules = vec![
        module("well", Phase::Run),
        module("dead", Phase::Dead),
        module("waits", Phase::Backoff),
        failing,
        stalled("stalled"),
    ];
    let chains = vec![chain(&[EndpointState::Open, EndpointState::WrongChain])];
    let reasons = [
        "module dead is dead",
        "module waits is failing",
        "module failing is failing",
        "module stalled stands still on a chain",
        "no endpoint of chain 1 is well",
    ];
    let reasons = reasons.map(str::to_owned).to_vec();
    assert_eq!(judged(modules, chains), (HealthStatus::Degraded, reasons));
}

#[test]
fn it_is_down_where_no_module_will_go_on_by_itself() {
    let standing = || vec![module("a", Phase::Dead), stalled("b")];
    assert_eq!(judged(standing(), vec![]).0, HealthStatus::Down);
    let mut one_tries = standing();
    one_tries.push(module("c", Phase::Backoff));
    assert_eq!(judged(one_tries, vec![]).0, HealthStatus::Degraded);
    let mut stopping = look(vec![module("a", Phase::Stopped)], vec![]);
    stopping.stage = Stage::Stopping;
    assert_eq!(judge(&stopping).0, HealthStatus::Ok, "as it was asked to");
}

#[test]
fn it_is_ready_once_every_module_has_begun_and_one_of_them_lives() {
    let is_ready = |modules: Vec<ModuleLook>| look(modules, vec![]).is_ready();
    assert!(is_ready(vec![]));
    assert!(is_ready(vec![
        module("a", Phase::Run),
        module("b", Phase::Backoff)
    ]));
    let mut fresh = module("a", Phase::Init);
    fresh.has_begun = false;
    assert!(!is_ready(vec![fresh, module("b", Phase::Run)]));
    assert!(!is_ready(vec![module("a", Phase::Dead)]));
    assert!(is_ready(vec![
        module("a", Phase::Dead),
        module("b", Phase::Run)
    ]));
    for stage in [Stage::Starting, Stage::Stopping] {
        let mut other = look(vec![module("a", Phase::Run)], vec![]);
        other.stage = stage;
        assert!(!other.is_ready(), "{stage:?}");
    }
}

#[test]
fn an_error_is_cut_between_characters() {
    let told = shortened(&"ä".repeat(1000));
    assert_eq!(told, format!("{}…", "ä".repeat(512)));
    assert_eq!(shortened("short"), "short");
}
