//! How long to wait before trying again.

use std::time::Duration;

/// Exponential, with jitter: a delay is drawn from the upper half of its step, so that those who
/// failed together do not come back together.
#[derive(Debug, Clone)]
pub(crate) struct Backoff {
    base: Duration,
    cap: Duration,
    attempts: u32,
}

impl Backoff {
    pub(crate) fn new(base: Duration, cap: Duration) -> Self {
        Self {
            base,
            cap,
            attempts: 0,
        }
    }

    /// The next delay.
    pub(crate) fn next_delay(&mut self) -> Duration {
        let step = self
            .base
            .saturating_mul(1 << self.attempts.min(16))
            .min(self.cap);
        self.attempts = self.attempts.saturating_add(1);
        step.mul_f64(rand::random_range(0.5..=1.0))
    }

    /// How many delays have been taken since the last success.
    pub(crate) fn attempts(&self) -> u32 {
        self.attempts
    }

    /// Something succeeded.
    pub(crate) fn reset(&mut self) {
        self.attempts = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_the_cap_and_start_over_after_a_success() {
        let ms = Duration::from_millis;
        let mut backoff = Backoff::new(ms(100), ms(500));
        for step in [100, 200, 400, 500, 500] {
            let delay = backoff.next_delay();
            assert!(
                delay >= ms(step / 2) && delay <= ms(step),
                "{delay:?} of {step} ms"
            );
        }
        assert_eq!(backoff.attempts(), 5);
        backoff.reset();
        assert!(backoff.next_delay() <= ms(100));
    }
}
