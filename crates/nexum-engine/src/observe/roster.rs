//! Who there is: the engine's stage, its chains and its modules, for whoever asks how they are.

use std::sync::{Mutex, MutexGuard, PoisonError};

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

/// Shared by the engine and by what is told of it.
#[derive(Debug)]
pub(crate) struct Roster {
    stage: Mutex<Stage>,
}

impl Roster {
    pub(crate) fn new() -> Self {
        Self {
            stage: Mutex::new(Stage::Starting),
        }
    }

    pub(crate) fn stage(&self) -> Stage {
        *self.lock()
    }

    pub(crate) fn set_stage(&self, stage: Stage) {
        *self.lock() = stage;
    }

    fn lock(&self) -> MutexGuard<'_, Stage> {
        // A plain value: a panic while it is held leaves it whole.
        self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
