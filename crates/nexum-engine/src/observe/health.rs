//! How the engine is, in JSON. `docs/reference/health.md` says what each key means.

use nexum_chain::{EndpointState, EndpointStats, ErrorKind};
use serde::Serialize;

use super::{
    look::{ChainLook, Look, ModuleLook},
    roster::Stage,
};
use crate::lifecycle::Phase;

/// The most of an error that is told, in bytes: a guest may have chosen it.
const MAX_ERROR_BYTES: usize = 1024;

/// How well it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum HealthStatus {
    /// Nothing is wrong.
    Ok,
    /// Something is, and something else works.
    Degraded,
    /// There are modules, and none of them works or will by itself.
    Down,
}

/// How the engine is.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct HealthReport {
    /// How well it is.
    pub status: HealthStatus,
    /// Why it is not ok, a sentence each.
    pub reasons: Vec<String>,
    /// Whether every module has had its first `init`, the engine does not stop, and not all
    /// modules are dead.
    pub ready: bool,
    /// `starting`, `running` or `stopping`.
    pub stage: &'static str,
    /// The engine's version.
    pub version: &'static str,
    /// Time since the engine began to start, in milliseconds.
    pub uptime_ms: u64,
    /// The modules, by name.
    pub modules: Vec<ModuleHealth>,
    /// The chains, by id.
    pub chains: Vec<ChainHealth>,
}

/// How one module is.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ModuleHealth {
    /// The name that it runs under.
    pub name: String,
    /// `init`, `run`, `backoff`, `park`, `dead` or `stopped`.
    pub phase: &'static str,
    /// How long the call in flight has taken so far, in milliseconds; null where there is none.
    pub busy_ms: Option<u64>,
    /// Of each chain that it has come to, how far it is behind.
    pub lag: Vec<ChainLag>,
    /// Events handled and committed since the engine started.
    pub delivered: u64,
    /// Calls that failed since then, `init` included.
    pub failed: u64,
    /// Failures since an event was last handled.
    pub consecutive_failures: u64,
    /// Fresh instances since then, after a failure or as asked.
    pub restarts: u64,
    /// The dead letters that there are.
    pub dead_letters: u64,
    /// Blocks passed over since the engine started, by `on_lag = "skip"`.
    pub skipped: u64,
    /// Why a source of events stands still, if one does.
    pub stalled: Option<String>,
    /// The last failure, if there was one; at most a kibibyte of it.
    pub last_error: Option<String>,
    /// Keys and values of its state, in bytes; null while that is not open.
    pub state_bytes: Option<u64>,
    /// The most that they may take.
    pub state_limit_bytes: u64,
    /// Its linear memories and tables, in bytes.
    pub memory_bytes: u64,
    /// The most that they may take.
    pub memory_limit_bytes: u64,
}

/// How far a module is behind on one chain.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ChainLag {
    /// The chain.
    pub chain_id: u64,
    /// Blocks that there are for it, at the depth that it asks for, which it is not done with.
    pub blocks: u64,
}

/// How one chain is.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ChainHealth {
    /// The chain.
    pub chain_id: u64,
    /// The number of the best head known; null until the first, and where no module follows it.
    pub head: Option<u64>,
    /// When that head was made, by its own word, in milliseconds since the Unix epoch, UTC.
    pub head_timestamp_ms: Option<u64>,
    /// The endpoint that is asked now; null where none serves the chain.
    pub endpoint: Option<String>,
    /// The endpoints, most preferred first.
    pub endpoints: Vec<EndpointHealth>,
}

/// How one endpoint is.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EndpointHealth {
    /// Scheme, host and port, and a number where that is not enough to tell two apart.
    pub endpoint: String,
    /// `well`, `lagging`, `open`, `half-open` or `wrong-chain`.
    pub state: &'static str,
    /// The last head that it told.
    pub head: Option<u64>,
    /// Blocks that it was behind the best head when the endpoints were last compared.
    pub lag: u64,
    /// Messages that it had.
    pub requests: u64,
    /// Those that failed.
    pub failed: u64,
    /// The kind of the last failure, if there was one.
    pub last_error: Option<&'static str>,
}

impl HealthReport {
    pub(crate) fn of(look: &Look) -> Self {
        let (status, reasons) = judge(look);
        Self {
            status,
            reasons,
            ready: look.is_ready(),
            stage: look.stage.as_str(),
            version: env!("CARGO_PKG_VERSION"),
            uptime_ms: u64::try_from(look.uptime.as_millis()).unwrap_or(u64::MAX),
            modules: look.modules.iter().map(ModuleHealth::of).collect(),
            chains: look.chains.iter().map(ChainHealth::of).collect(),
        }
    }
}

impl ModuleHealth {
    fn of(look: &ModuleLook) -> Self {
        let ModuleLook {
            status,
            meters,
            usage,
            resources,
            ..
        } = look;
        let lag = look.lag.iter();
        Self {
            name: status.name.to_string(),
            phase: status.phase.as_str(),
            busy_ms: look
                .busy
                .map(|busy| u64::try_from(busy.as_millis()).unwrap_or(u64::MAX)),
            lag: lag
                .map(|(chain, blocks)| ChainLag {
                    chain_id: chain.0,
                    blocks: *blocks,
                })
                .collect(),
            delivered: status.delivered,
            failed: status.failed,
            consecutive_failures: status.failing,
            restarts: meters.restarts,
            dead_letters: status.letters as u64,
            skipped: status.skipped,
            stalled: status.stalled.clone(),
            last_error: status.last_error.as_deref().map(shortened),
            state_bytes: look.state_bytes,
            state_limit_bytes: resources.max_state_bytes,
            memory_bytes: usage.memory_bytes,
            memory_limit_bytes: resources.max_memory_bytes,
        }
    }
}

impl ChainHealth {
    fn of(look: &ChainLook) -> Self {
        let ChainLook {
            stats,
            endpoints: names,
            feed,
        } = look;
        let head = feed.as_ref().and_then(|feed| feed.head);
        let endpoints = stats.endpoints.iter().zip(names);
        Self {
            chain_id: stats.chain.0,
            head: head.map(|head| head.number.0),
            head_timestamp_ms: feed.as_ref().and_then(|feed| feed.head_timestamp_ms),
            endpoint: stats.in_use.and_then(|index| names.get(index).cloned()),
            endpoints: endpoints
                .map(|(endpoint, name)| EndpointHealth::of(endpoint, name))
                .collect(),
        }
    }
}

impl EndpointHealth {
    fn of(endpoint: &EndpointStats, name: &str) -> Self {
        Self {
            endpoint: name.to_owned(),
            state: endpoint.state.as_str(),
            head: endpoint.head.map(|head| head.0),
            lag: endpoint.lag,
            requests: endpoint.requests,
            failed: endpoint.unanswered,
            last_error: endpoint.last_error.map(ErrorKind::as_str),
        }
    }
}

/// How well it is, and why.
fn judge(look: &Look) -> (HealthStatus, Vec<String>) {
    let of_modules = look.modules.iter().filter_map(module_reason);
    let of_chains = look.chains.iter().filter_map(chain_reason);
    let reasons: Vec<_> = of_modules.chain(of_chains).collect();
    let is_down = look.stage == Stage::Running
        && !look.modules.is_empty()
        && look.modules.iter().all(stands_still);
    let status = match (is_down, reasons.is_empty()) {
        (true, _) => HealthStatus::Down,
        (false, false) => HealthStatus::Degraded,
        (false, true) => HealthStatus::Ok,
    };
    (status, reasons)
}

/// True where only an operator can make it go on.
fn stands_still(module: &ModuleLook) -> bool {
    let status = &module.status;
    matches!(status.phase, Phase::Dead | Phase::Stopped) || status.stalled.is_some()
}

fn module_reason(module: &ModuleLook) -> Option<String> {
    let status = &module.status;
    let name = &status.name;
    if status.phase == Phase::Dead {
        return Some(format!("module {name} is dead"));
    }
    if status.stalled.is_some() {
        return Some(format!("module {name} stands still on a chain"));
    }
    let is_failing = status.failing > 0 || matches!(status.phase, Phase::Backoff | Phase::Park);
    is_failing.then(|| format!("module {name} is failing"))
}

fn chain_reason(chain: &ChainLook) -> Option<String> {
    let is_usable = |endpoint: &EndpointStats| {
        matches!(endpoint.state, EndpointState::Well | EndpointState::Lagging)
    };
    let endpoints = &chain.stats.endpoints;
    let none = !endpoints.iter().any(is_usable);
    none.then(|| format!("no endpoint of chain {} is well", chain.stats.chain))
}

/// A text, and what is beyond [`MAX_ERROR_BYTES`] of it left out.
pub(crate) fn shortened(text: &str) -> String {
    let end = text.floor_char_boundary(MAX_ERROR_BYTES);
    if end == text.len() {
        return text.to_owned();
    }
    format!("{}…", &text[..end])
}

#[cfg(test)]
mod tests;
