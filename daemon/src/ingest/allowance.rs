//! How many samples a token may still write: a bucket that fills at its rate, and may be overdrawn by one request.

use std::time::Duration;

use tokio::time::Instant;

/// What may be saved up, in seconds of the rate.
const SAVED_S: f64 = 10.0;

/// One token's bucket.
#[derive(Debug)]
pub(super) struct Allowance {
    samples: f64,
    as_of: Instant,
}

impl Allowance {
    /// A full one.
    pub(super) fn new(rate: u64, now: Instant) -> Self {
        Self { samples: rate as f64 * SAVED_S, as_of: now }
    }

    /// Whether anything is left; else how long until there is.
    pub(super) fn check(&mut self, rate: u64, now: Instant) -> Result<(), Duration> {
        let rate = rate as f64;
        let passed = now.duration_since(self.as_of).as_secs_f64();
        self.as_of = now;
        self.samples = (self.samples + passed * rate).min(rate * SAVED_S);
        if self.samples >= 0.0 {
            return Ok(());
        }
        // Retry-After knows whole seconds only.
        Err(Duration::from_secs((-self.samples / rate).ceil().clamp(1.0, 3600.0) as u64))
    }

    /// How long nobody has asked.
    pub(super) fn unused(&self, now: Instant) -> Duration {
        now.duration_since(self.as_of)
    }

    /// Takes what a request has brought.
    pub(super) fn take(&mut self, samples: u64) {
        self.samples -= samples as f64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_writes_too_fast_waits_until_it_was_not_too_fast() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut allowance = Allowance::new(100, start);
        allowance.take(1000);
        assert_eq!(allowance.check(100, at(0)), Ok(()), "all that was saved up");
        allowance.take(250);
        assert_eq!(allowance.check(100, at(0)), Err(Duration::from_secs(3)));
        assert_eq!(allowance.check(100, at(2)), Err(Duration::from_secs(1)));
        assert_eq!(allowance.check(100, at(3)), Ok(()));
        assert_eq!(allowance.check(100, at(3600)), Ok(()));
        allowance.take(1001);
        assert!(allowance.check(100, at(3600)).is_err(), "no more is saved up than ten seconds");
    }
}
