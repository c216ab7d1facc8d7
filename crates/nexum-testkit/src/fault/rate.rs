//! Requests per second that are really enforced: a token bucket.

use std::time::Duration;
#[cfg(feature = "server")]
use std::time::Instant;

/// How many requests an endpoint takes. What is more gets status 429.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimit {
    /// Requests in a second, those inside batches counted one by one; also the most at once.
    pub per_second: u32,
    /// What `Retry-After` says; rounded up to seconds.
    pub retry_after: Option<Duration>,
}

#[cfg(feature = "server")]
#[derive(Debug)]
pub(crate) struct Bucket {
    limit: RateLimit,
    tokens: f64,
    at: Instant,
}

#[cfg(feature = "server")]
impl Bucket {
    pub(crate) fn new(limit: RateLimit, now: Instant) -> Self {
        Self {
            limit,
            tokens: f64::from(limit.per_second),
            at: now,
        }
    }

    /// Takes `requests`, all or none. `Err`: the limit that they are over. Requests that can
    /// never pass together pass alone from a full bucket.
    pub(crate) fn take(&mut self, requests: usize, now: Instant) -> Result<(), RateLimit> {
        let full = f64::from(self.limit.per_second);
        let gained = now.duration_since(self.at).as_secs_f64() * full;
        self.tokens = (self.tokens + gained).min(full);
        self.at = now;
        let wanted = (requests as f64).min(full);
        if self.tokens < wanted || full == 0.0 {
            return Err(self.limit);
        }
        self.tokens -= wanted;
        Ok(())
    }
}

#[cfg(all(test, feature = "server"))]
mod tests {
    use super::*;

    #[test]
    fn the_bucket_gives_its_rate_and_no_more() {
        let start = Instant::now();
        let limit = RateLimit {
            per_second: 10,
            retry_after: None,
        };
        let mut bucket = Bucket::new(limit, start);
        let passed =
            |bucket: &mut Bucket, now| (0..50).filter(|_| bucket.take(1, now).is_ok()).count();
        assert_eq!(passed(&mut bucket, start), 10);
        assert_eq!(passed(&mut bucket, start + Duration::from_millis(501)), 5);
        assert_eq!(passed(&mut bucket, start + Duration::from_secs(60)), 10);
        assert!(bucket.take(25, start + Duration::from_secs(61)).is_ok());
        assert_eq!(bucket.take(1, start + Duration::from_secs(61)), Err(limit));
    }
}
