//! Asks the same endpoint again, where that can mend anything.

use std::{sync::Arc, time::Duration};

use alloy_json_rpc::ResponsePacket;
use tokio::time::{Instant, Sleep, sleep};
use tower::retry::Policy;

use super::Call;
use crate::{backoff::Backoff, failure::Failure, provider::Health};

/// The wait before the first retry; it doubles, up to [`LONGEST_WAIT`].
const SHORTEST_WAIT: Duration = Duration::from_millis(100);
/// The longest wait. An endpoint that asks for more is left until then.
pub(crate) const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// Decides by the failure's type and code, never by a text. tower clones it for each call.
#[derive(Clone)]
pub(crate) struct RetryPolicy {
    health: Arc<Health>,
    max_retries: u32,
    backoff: Backoff,
}

impl RetryPolicy {
    pub(super) fn new(health: Arc<Health>, max_retries: u32) -> Self {
        Self {
            health,
            max_retries,
            backoff: Backoff::new(SHORTEST_WAIT, LONGEST_WAIT),
        }
    }
}

impl Policy<Call, ResponsePacket, Failure> for RetryPolicy {
    type Future = Sleep;

    fn retry(
        &mut self,
        call: &mut Call,
        result: &mut Result<ResponsePacket, Failure>,
    ) -> Option<Sleep> {
        let failure = result.as_ref().err()?;
        // Whoever hands a transaction over has to know whether an attempt may have taken it.
        if call.is_handing_over() {
            return None;
        }
        let exhausted = self.backoff.attempts() >= self.max_retries;
        if exhausted || !failure.may_pass() || !self.health.is_well() {
            return None;
        }
        let wait = self.backoff.next_delay();
        let wait = failure.retry_after().map_or(wait, |asked| asked.max(wait));
        if wait > LONGEST_WAIT || Instant::now() + wait >= call.deadline {
            return None;
        }
        self.health.counters().retries.add(1);
        Some(sleep(wait))
    }

    fn clone_request(&mut self, call: &Call) -> Option<Call> {
        Some(call.clone())
    }
}
