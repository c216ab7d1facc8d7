//! How much is asked at a time: by one module, and by all of them.

use std::{sync::Arc, time::Duration};

use nexum_manifest::Rate;
use nexum_types::Turns;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::failure::Failure;

/// How long a request waits for its turn before it is refused.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// The rate of one module.
#[derive(Debug)]
pub(crate) struct ModuleRate(Turns);

impl ModuleRate {
    pub(crate) fn new(rate: Rate) -> Self {
        Self(Turns::new(rate.per_second, rate.burst))
    }

    /// Waits for a turn, if it comes soon. One that nobody waits for any more stays taken: a
    /// module that is cut off asks nothing for a while.
    pub(crate) async fn turn(&self) -> Result<(), Failure> {
        let turn = self.0.next(LONGEST_WAIT);
        let turn = turn.map_err(|over| Failure::OverRate(over.retry_in))?;
        if let Some(turn) = turn {
            tokio::time::sleep_until(turn.into()).await;
        }
        Ok(())
    }
}

/// A place among the requests that are under way.
pub(crate) async fn place(places: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit, Failure> {
    match tokio::time::timeout(LONGEST_WAIT, Arc::clone(places).acquire_owned()).await {
        Ok(Ok(place)) => Ok(place),
        // Never closed.
        Ok(Err(_)) | Err(_) => Err(Failure::Busy),
    }
}
