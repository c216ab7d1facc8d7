//! How much may be done in a time, counted.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// A bucket of units as the generic cell rate algorithm keeps it (ITU-T I.371): one instant
/// instead of a level and the time of its last change. Pure: the time is given.
#[derive(Debug)]
pub struct Bucket {
    /// When the bucket will be full again.
    full_at: Instant,
    per_unit: Duration,
    /// How long an empty bucket takes to fill.
    depth: Duration,
}

/// Why units were not granted: the turn would come after the deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("over the rate; the next turn is in {retry_in:?}")]
pub struct OverRate {
    /// When the same units would be granted, as it looks now.
    pub retry_in: Duration,
}

impl Bucket {
    /// A full one: so many units a second in the long run, and so many at once.
    #[must_use]
    pub fn full(per_second: u32, burst: u32, now: Instant) -> Self {
        let per_unit = Duration::from_secs(1) / per_second.max(1);
        Self {
            full_at: now,
            per_unit,
            depth: per_unit * burst.max(1),
        }
    }

    /// When the units are there, if that is not after `deadline`. They are taken then.
    pub fn reserve(
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

    /// Gives back units that were taken and are not needed.
    pub fn give_back(&mut self, units: u32) {
        let back = self.per_unit * units;
        self.full_at = self.full_at.checked_sub(back).unwrap_or(self.full_at);
    }
}

/// A bucket that several ask for turns.
#[derive(Debug)]
pub struct Turns(Mutex<Bucket>);

impl Turns {
    /// As [`Bucket::full`], from now on.
    #[must_use]
    pub fn new(per_second: u32, burst: u32) -> Self {
        Self(Mutex::new(Bucket::full(per_second, burst, Instant::now())))
    }

    /// When the next turn is, if that is within `longest` from now; `None` where it is now. It is
    /// taken, whether or not anybody still waits for it.
    pub fn next(&self, longest: Duration) -> Result<Option<Instant>, OverRate> {
        let now = Instant::now();
        // Each change of it is one that cannot panic half-way.
        let mut bucket = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let turn = bucket.reserve(1, now, now + longest)?;
        Ok((turn > now).then_some(turn))
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
        Bucket::full(10, 3, now)
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
}
