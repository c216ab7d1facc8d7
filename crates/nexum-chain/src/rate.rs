//! A token bucket whose waiters are served in the order in which they came.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use nexum_manifest::Rate;
use nexum_types::{Bucket, OverRate};
use tokio::time::{Instant, sleep_until};

/// Grants units at a rate, with a burst after a quiet time.
///
/// Each asker gets its place when it asks, so that nobody is overtaken; one whose turn would come
/// too late is refused at once, and takes no place.
#[derive(Debug)]
pub struct RateLimiter(Mutex<Bucket>);

impl RateLimiter {
    /// A bucket that is full.
    #[must_use]
    pub fn new(rate: Rate) -> Self {
        let now = Instant::now().into_std();
        Self(Mutex::new(Bucket::full(rate.per_second, rate.burst, now)))
    }

    /// Waits for the turn of `units`, and says for how long it has. More units than a burst are
    /// granted too: those who come after them wait for longer.
    ///
    /// Cancel-safe: units whose asker has gone before its turn are given back.
    pub async fn acquire(&self, units: u32, deadline: Instant) -> Result<Duration, OverRate> {
        let now = Instant::now();
        let (at, until) = (now.into_std(), deadline.into_std());
        let turn = Instant::from_std(self.bucket().reserve(units, at, until)?);
        if turn <= now {
            return Ok(Duration::ZERO);
        }
        let mut place = Place {
            limiter: self,
            units,
        };
        sleep_until(turn).await;
        place.units = 0;
        Ok(turn - now)
    }

    fn bucket(&self) -> MutexGuard<'_, Bucket> {
        // A bucket is two plain values: a panic while it is held leaves it whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place among those who wait.
struct Place<'a> {
    limiter: &'a RateLimiter,
    units: u32,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.limiter.bucket().give_back(self.units);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[tokio::test]
    async fn waiters_are_served_in_order_and_one_who_goes_gives_its_place_back() {
        let limiter = RateLimiter::new(Rate {
            per_second: 20,
            burst: 1,
        });
        let start = Instant::now();
        let deadline = start + ms(600_000);
        assert_eq!(limiter.acquire(1, deadline).await, Ok(Duration::ZERO));
        {
            // Ten minutes of the rate, and the place of one who does not wait for it.
            let mut gone = Box::pin(limiter.acquire(11_000, deadline));
            assert!(futures::poll!(&mut gone).is_pending());
        }
        let order = Mutex::new(Vec::new());
        let wait = async |name| {
            limiter.acquire(1, deadline).await.unwrap();
            order.lock().unwrap().push(name);
        };
        tokio::join!(wait(1), wait(2), wait(3));
        assert_eq!(order.into_inner().unwrap(), [1, 2, 3]);
        assert!(start.elapsed() >= ms(150) && start.elapsed() < ms(60_000));
    }
}
