//! The time of a mock run: it stands still but for what the fixture says, and schedules come due
//! only once the blocks of a step have been handled.

use std::time::{Duration, Instant};

use nexum_host::Clock;
use nexum_types::BoxFuture;
use tokio::sync::watch;

const GENESIS: Duration = Duration::from_secs(nexum_testkit::GENESIS_TIME);

/// A clock that the fixture moves.
#[derive(Debug)]
pub(super) struct MockClock {
    began: Instant,
    /// What modules are told.
    now: watch::Sender<Duration>,
    /// Up to when schedules have come due.
    due: watch::Sender<Duration>,
}

impl MockClock {
    /// A clock at the time of every chain's genesis block.
    pub(super) fn new() -> Self {
        Self {
            began: Instant::now(),
            now: watch::Sender::new(GENESIS),
            due: watch::Sender::new(GENESIS),
        }
    }

    /// Another fixture begins, with chains of its own.
    pub(super) fn begins(&self) {
        self.now.send_replace(GENESIS);
        self.due.send_replace(GENESIS);
    }

    /// It is this late by now; it never goes back.
    pub(super) fn is(&self, now: Duration) {
        self.now.send_modify(|known| *known = now.max(*known));
    }

    /// Schedules come due up to now.
    pub(super) fn lets_schedules_come(&self) {
        let now = *self.now.borrow();
        self.due.send_replace(now);
    }
}

impl Clock for MockClock {
    fn now(&self) -> Duration {
        *self.now.borrow()
    }

    fn monotonic(&self) -> Duration {
        self.began.elapsed()
    }

    fn schedules(&self) -> Duration {
        *self.due.borrow()
    }

    fn reaches(&self, at: Duration) -> BoxFuture<'_, ()> {
        let mut due = self.due.subscribe();
        Box::pin(async move {
            // The sender lives as long as this clock.
            let _ = due.wait_for(|due| *due >= at).await;
        })
    }
}
