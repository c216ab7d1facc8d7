//! Whether an upgrade that is under way may still be taken back: by whoever unloads the module, or
//! because it has waited for too long. Once the worker has passed it, it only goes forward.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

/// Shared by who has asked for an upgrade, who does it, and who may want it gone.
#[derive(Debug, Default)]
pub(crate) struct Withdrawal {
    stage: Mutex<Stage>,
    withdrawn: CancellationToken,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Nothing of it is done that stays.
    #[default]
    Open,
    Withdrawn,
    /// It is being written down.
    Passed,
}

impl Withdrawal {
    /// Takes the upgrade back. False where it is too late for that.
    pub(crate) fn withdraw(&self) -> bool {
        let is_withdrawn = self.leave(Stage::Withdrawn) == Stage::Withdrawn;
        if is_withdrawn {
            self.withdrawn.cancel();
        }
        is_withdrawn
    }

    /// Goes on to where nothing is taken back any more. False where it was taken back before.
    pub(crate) fn pass(&self) -> bool {
        self.leave(Stage::Passed) == Stage::Passed
    }

    pub(crate) fn is_withdrawn(&self) -> bool {
        *self.stage() == Stage::Withdrawn
    }

    /// Comes once the upgrade is taken back.
    pub(crate) async fn withdrawn(&self) {
        self.withdrawn.cancelled().await;
    }

    /// Goes to another stage where it is open, and answers where it is then.
    fn leave(&self, to: Stage) -> Stage {
        let mut stage = self.stage();
        if *stage == Stage::Open {
            *stage = to;
        }
        *stage
    }

    fn stage(&self) -> MutexGuard<'_, Stage> {
        // A plain value.
        self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_comes_first_decides() {
        let withdrawal = Withdrawal::default();
        assert!(withdrawal.withdraw() && withdrawal.withdraw());
        assert!(!withdrawal.pass() && withdrawal.is_withdrawn());
        let withdrawal = Withdrawal::default();
        assert!(withdrawal.pass());
        assert!(!withdrawal.withdraw() && !withdrawal.is_withdrawn());
    }
}
