//! One look at everything, from which metrics, health and the status page are told.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use nexum_chain::{ChainStats, Chains, Feed, FeedStatus};
use nexum_host::UsageReading;
use nexum_identity::AccountTally;
use nexum_manifest::Resources;
use nexum_types::{Address, ChainId, ModuleName, Source, StateBackend as _};

use super::roster::Stage;
use crate::{
    lifecycle::Phase,
    meters::MetersReading,
    modules::{Core, Handle},
    status::{ModuleStatus, StatusBoard},
    wire::LetterReport,
};

/// Everything at one moment.
#[derive(Debug)]
pub(crate) struct Look {
    pub(crate) stage: Stage,
    /// Since the engine began to start.
    pub(crate) uptime: Duration,
    /// By name.
    pub(crate) modules: Vec<ModuleLook>,
    /// By id.
    pub(crate) chains: Vec<ChainLook>,
    /// What has become of the transactions of each account on each chain.
    pub(crate) accounts: BTreeMap<(Address, ChainId), AccountTally>,
}

/// What there is to look at of one module.
#[derive(Debug, Clone)]
pub(crate) struct Card {
    status: Arc<StatusBoard>,
    /// Keys and values, in bytes. `None`: its state is not open.
    state_bytes: Option<u64>,
}

/// One module at one moment.
#[derive(Debug)]
pub(crate) struct ModuleLook {
    pub(crate) status: ModuleStatus,
    /// Whether its first `init` has ended, well or not.
    pub(crate) has_begun: bool,
    /// How long its call in flight has taken so far.
    pub(crate) busy: Option<Duration>,
    pub(crate) meters: MetersReading,
    pub(crate) usage: UsageReading,
    pub(crate) resources: Resources,
    pub(crate) state_bytes: Option<u64>,
    /// Its newest dead letters, newest first.
    pub(crate) letters: Arc<[LetterReport]>,
    /// By chain: how many blocks there are for it, at the depth that it asks for, which it is not
    /// done with. Of a chain that it has at several depths, the most.
    pub(crate) lag: BTreeMap<ChainId, u64>,
}

/// One chain at one moment.
#[derive(Debug)]
pub(crate) struct ChainLook {
    pub(crate) stats: ChainStats,
    /// What each endpoint is called, in the order of `stats`: scheme, host and port, and a number
    /// where that is not enough to tell two apart.
    pub(crate) endpoints: Vec<String>,
    /// `None`: no module follows it.
    pub(crate) feed: Option<FeedStatus>,
}

impl Card {
    pub(crate) fn of(handle: &Handle) -> Self {
        Self {
            status: Arc::clone(&handle.status),
            state_bytes: handle.store.get().map(|store| store.used_bytes()),
        }
    }
}

impl Core {
    pub(crate) fn cards(&self) -> Vec<Card> {
        self.modules.by_name().values().map(Card::of).collect()
    }
}

impl Look {
    pub(super) fn at(
        stage: Stage,
        uptime: Duration,
        chains: Option<&Chains>,
        cards: &[Card],
    ) -> Self {
        let feeds: BTreeMap<_, _> = chains.map(Chains::feeds).into_iter().flatten().collect();
        Self {
            stage,
            uptime,
            modules: cards
                .iter()
                .map(|card| ModuleLook::at(card, &feeds))
                .collect(),
            chains: chains.map(ChainLook::of_all).unwrap_or_default(),
            accounts: BTreeMap::new(),
        }
    }
}

impl Look {
    /// Whether every module has had its first `init`, and the engine does not stop.
    pub(crate) fn is_ready(&self) -> bool {
        let all_begun = self.modules.iter().all(|module| module.has_begun);
        self.stage == Stage::Running && all_begun && !self.is_dead()
    }

    /// Whether there are modules, and all of them are dead.
    pub(crate) fn is_dead(&self) -> bool {
        let dead = |module: &ModuleLook| module.status.phase == Phase::Dead;
        !self.modules.is_empty() && self.modules.iter().all(dead)
    }
}

impl ModuleLook {
    fn at(card: &Card, feeds: &BTreeMap<ChainId, Feed>) -> Self {
        let version = card.status.version();
        Self {
            status: card.status.read(),
            has_begun: card.status.has_begun(),
            busy: card.status.busy(),
            meters: card.status.meters.read(),
            usage: version.usage.read(),
            resources: version.resources,
            state_bytes: card.state_bytes,
            letters: card.status.newest_letters(),
            lag: lag(&card.status, feeds),
        }
    }

    pub(crate) fn name(&self) -> &ModuleName {
        &self.status.name
    }
}

fn lag(status: &StatusBoard, feeds: &BTreeMap<ChainId, Feed>) -> BTreeMap<ChainId, u64> {
    let mut lag = BTreeMap::new();
    for (source, next) in status.next_blocks() {
        let Source::Chain(chain, depth) = source else {
            continue;
        };
        let Some(newest) = feeds.get(&chain).and_then(|feed| feed.newest(depth)) else {
            continue;
        };
        let behind = (newest.0 + 1).saturating_sub(next.0);
        let most = lag.entry(chain).or_insert(0);
        *most = behind.max(*most);
    }
    lag
}

impl ChainLook {
    /// Every chain, by id.
    pub(crate) fn of_all(chains: &Chains) -> Vec<Self> {
        let feeds: BTreeMap<_, _> = chains.feeds().into_iter().collect();
        let stats = chains.stats().into_iter();
        stats.map(|stats| Self::at(stats, &feeds)).collect()
    }

    fn at(stats: ChainStats, feeds: &BTreeMap<ChainId, Feed>) -> Self {
        let named = stats.endpoints.iter().map(|endpoint| &*endpoint.endpoint);
        Self {
            endpoints: apart(named),
            feed: feeds.get(&stats.chain).map(Feed::status),
            stats,
        }
    }
}

/// The same names, with a number at those that have come before.
fn apart<'a>(names: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut known: BTreeMap<&str, u32> = BTreeMap::new();
    names
        .map(|name| {
            let count = known.entry(name).or_default();
            *count += 1;
            match *count {
                1 => name.to_owned(),
                count => format!("{name}#{count}"),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_of_one_provider_are_told_apart() {
        let names = ["https://a", "https://b", "https://a", "https://a"];
        let told = apart(names.into_iter());
        assert_eq!(
            told,
            ["https://a", "https://b", "https://a#2", "https://a#3"]
        );
    }
}
