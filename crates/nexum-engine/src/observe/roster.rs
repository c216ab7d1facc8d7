//! Who there is: the engine's stage, its chains and its modules, for whoever asks how they are.

use std::{
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak},
    time::{Instant, SystemTime},
};

use nexum_chain::Chains;
use nexum_identity::Sender;

use super::look::{self, Look};
use crate::modules::Core;

/// How far the engine has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Files, components, chains and states are being checked.
    Starting,
    /// Every module has its worker.
    Running,
    /// The calls in flight may finish.
    Stopping,
}

impl Stage {
    /// The stage as a word.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Stopping => "stopping",
        }
    }
}

/// Shared by the engine and by what is told of it.
#[derive(Debug)]
pub(crate) struct Roster {
    started: Instant,
    /// The same by the clock on the wall.
    started_at: SystemTime,
    chains: OnceLock<Chains>,
    sender: OnceLock<Sender>,
    now: Mutex<Now>,
}

#[derive(Debug)]
struct Now {
    stage: Stage,
    modules: Known,
}

/// Where the modules are.
#[derive(Debug)]
enum Known {
    /// Nowhere yet.
    None,
    /// With the engine, which keeps no state open on account of whoever looks at it.
    Running(Weak<Core>),
    /// They are ending, one after the other.
    Ending(Vec<look::Card>),
}

impl Roster {
    pub(crate) fn new() -> Self {
        Self {
            started: Instant::now(),
            started_at: SystemTime::now(),
            chains: OnceLock::new(),
            sender: OnceLock::new(),
            now: Mutex::new(Now {
                stage: Stage::Starting,
                modules: Known::None,
            }),
        }
    }

    /// The chains are set up.
    pub(crate) fn has(&self, chains: &Chains) {
        // An engine sets them up once.
        let _ = self.chains.set(chains.clone());
    }

    /// What modules' transactions go through is set up.
    pub(crate) fn sends(&self, sender: &Sender) {
        // An engine sets it up once.
        let _ = self.sender.set(sender.clone());
    }

    /// Every module has its worker.
    pub(crate) fn runs(&self, core: &Arc<Core>) {
        let mut now = self.now();
        now.stage = Stage::Running;
        now.modules = Known::Running(Arc::downgrade(core));
    }

    /// The engine ends, and these modules with it.
    pub(crate) fn ends(&self, modules: Vec<look::Card>) {
        let mut now = self.now();
        now.stage = Stage::Stopping;
        now.modules = Known::Ending(modules);
    }

    /// When the engine began to start.
    pub(crate) fn started_at(&self) -> SystemTime {
        self.started_at
    }

    /// How everything is now.
    pub(crate) fn look(&self) -> Look {
        let (stage, cards) = {
            let now = self.now();
            let cards = match &now.modules {
                Known::None => Vec::new(),
                Known::Running(core) => core.upgrade().map_or_else(Vec::new, |core| core.cards()),
                Known::Ending(cards) => cards.clone(),
            };
            (now.stage, cards)
        };
        let chains = self.chains.get();
        let accounts = self.sender.get().map(Sender::tallies).unwrap_or_default();
        Look {
            accounts,
            ..Look::at(stage, self.started.elapsed(), chains, &cards)
        }
    }

    fn now(&self) -> MutexGuard<'_, Now> {
        // Plain values: a panic while they are held leaves them whole.
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
