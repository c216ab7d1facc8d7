//! What the engine tells of its modules while they run.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use nexum_types::ModuleName;

use crate::lifecycle::Phase;

/// One module, at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModuleStatus {
    /// The module.
    pub name: ModuleName,
    /// What it is doing.
    pub phase: Phase,
    /// Events handled and committed since the engine started.
    pub delivered: u64,
    /// Calls that failed since the engine started, `init` included.
    pub failed: u64,
    /// The last failure, if there was one.
    pub last_error: Option<String>,
}

/// Written by the module's worker, read by anyone.
#[derive(Debug)]
pub(crate) struct StatusBoard {
    name: ModuleName,
    delivered: AtomicU64,
    failed: AtomicU64,
    detail: Mutex<(Phase, Option<String>)>,
}

impl StatusBoard {
    pub(crate) fn new(name: ModuleName) -> Self {
        Self {
            name,
            delivered: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            detail: Mutex::new((Phase::Init, None)),
        }
    }

    pub(crate) fn delivered(&self) {
        self.delivered.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn failed(&self, error: String) {
        self.failed.fetch_add(1, Ordering::Relaxed);
        self.detail.lock().unwrap_or_else(PoisonError::into_inner).1 = Some(error);
    }

    pub(crate) fn phase(&self, phase: Phase) {
        self.detail.lock().unwrap_or_else(PoisonError::into_inner).0 = phase;
    }

    pub(crate) fn read(&self) -> ModuleStatus {
        let (phase, last_error) = self
            .detail
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        ModuleStatus {
            name: self.name.clone(),
            phase,
            delivered: self.delivered.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
            last_error,
        }
    }
}
