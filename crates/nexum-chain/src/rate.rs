//! A token bucket whose waiters are served in the order in which they came.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use nexum_manifest::Rate;
use tokio::time::{Instant, sleep_until};

/// Grants units at a rate, with a burst after a quiet time.
///
/// Each asker gets its place when it asks, so that nobody is overtaken; one whose turn would come
/// too late is refused at once, and takes no place.
#[derive(Debug)]
pub struct RateLimiter(Mutex<Bucket>);

/// Why units were not granted: the turn would come after the deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("over the rate; the next turn is in {retry_in:?}")]
pub struct OverRate {
    /// When the same units would be granted, as it looks now.
    pub retry_in: Duration,
}

impl RateLimiter {
    /// A bucket that is full.
    #[must_use]
    pub fn new(rate: Rate) -> Self {
        Self(Mutex::new(Bucket::full(rate, Instant::now())))
    }

    /// Waits for the turn of `units`, and says for how long it has. More units than a burst are
    /// granted too: those who come after them wait for longer.
    ///
    /// Cancel-safe: units whose asker has gone before its turn are given back.
    pub async fn acquire(&self, units: u32, deadline: Instant) -> Result<Duration, OverRate> {
        let now = Instant::now();
        let turn = self.bucket().reserve(units, now, deadline)?;
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

/// The bucket as the generic cell rate algorithm keeps it (ITU-T I.371): one instant instead of a
/// level and the time of its last change. Pure: the time is given.
#[derive(Debug)]
struct Bucket {
    /// When the bucket will be full again.
    full_at: Instant,
    per_unit: Duration,
    /// How long an empty bucket takes to fill.
    depth: Duration,
}

impl Bucket {
    fn full(rate: Rate, now: Instant) -> Self {
        let per_unit = Duration::from_secs(1) / rate.per_second.max(1);
        Self {
            full_at: now,
            per_unit,
            depth: per_unit * rate.burst.max(1),
        }
    }

    /// When the units are there, if that is not after `deadline`.
    fn reserve(
        &mut self,
        units: u32,
        now: Instant,
        deadline: Instant,
    ) -> Result<Instant, OverRate> {
        let full_at = self.full_at.max(now) + self.per_unit * units;
        let turn = full_at
            .checked_sub(self.depth)
            .map_or(now, |at| at.max(now));
        if turn > deadline {
            return Err(OverRate {
                retry_in: turn - now,
            });
        }
        self.full_at = full_at;
        Ok(turn)
    }

    fn give_back(&mut self, units: u32) {
        let back = self.per_unit * units;
        self.full_at = self.full_at.checked_sub(back).unwrap_or(self.full_at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// Ten units a second, three at once.
    fn bucket(now: Instant) -> Bucket {
        let rate = Rate {
            per_second: 10,
            burst: 3,
        };
        Bucket::full(rate, now)
    }

    #[test]
    fn a_burst_is_granted_at_once_and_the_rest_at_the_rate() {
        let now = Instant::now();
        let mut bucket = bucket(now);
        let late = now + ms(60_000);
        let turns = [(); 5].map(|()| bucket.reserve(1, now, late).unwrap() - now);
        assert_eq!(turns, [0, 0, 0, 100, 200].map(ms));
        // A quiet time fills it up to the burst, and not beyond.
        let later = now + ms(10_000);
        let turns = [(); 4].map(|()| bucket.reserve(1, later, later + ms(1000)).unwrap() - later);
        assert_eq!(turns, [0, 0, 0, 100].map(ms));
    }

    #[test]
    fn a_turn_after_the_deadline_is_refused_and_takes_no_place() {
        let now = Instant::now();
        let mut bucket = bucket(now);
        assert_eq!(bucket.reserve(3, now, now), Ok(now));
        let refused = bucket.reserve(2, now, now + ms(199));
        assert_eq!(refused, Err(OverRate { retry_in: ms(200) }));
        assert_eq!(bucket.reserve(1, now, now + ms(100)), Ok(now + ms(100)));
    }

    #[test]
    fn more_than_a_burst_is_granted_and_those_after_it_wait() {
        let now = Instant::now();
        let mut bucket = bucket(now);
        let late = now + ms(60_000);
        assert_eq!(bucket.reserve(13, now, late), Ok(now + ms(1000)));
        assert_eq!(bucket.reserve(1, now, late), Ok(now + ms(1100)));
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
