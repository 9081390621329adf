//! How much is sent at once, and how long is waited after a failure: decisions without clocks.

use std::time::Duration;

/// No request is made smaller.
const BATCH_MIN: usize = 100;
/// What a target begins with.
const BATCH_FIRST: usize = 2_000;
/// An answer that comes sooner lets the next request be larger; one that takes longer than the second, smaller.
const QUICK: Duration = Duration::from_millis(500);
const SLOW: Duration = Duration::from_secs(3);
const PAUSE_MIN: Duration = Duration::from_millis(100);
/// Many that wait for one that is gone ask it no oftener than they write to it when it is there.
const PAUSE_MAX: Duration = Duration::from_secs(10);
/// Whoever wants us to wait longer is asked again after this all the same.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(600);

/// The size of requests, and the pauses between attempts.
#[derive(Debug)]
pub(super) struct Pace {
    batch: usize,
    batch_max: usize,
    failures: u32,
}

impl Pace {
    /// Requests of at most `batch_max` samples.
    pub(super) fn new(batch_max: usize) -> Self {
        Self { batch: BATCH_FIRST.min(batch_max), batch_max, failures: 0 }
    }

    /// Samples of the next request.
    pub(super) fn batch(&self) -> usize {
        self.batch
    }

    /// A request with `sent` samples was answered after `took`.
    pub(super) fn answered(&mut self, sent: u64, took: Duration) {
        self.failures = 0;
        // One that was not full says nothing of larger ones.
        let full = usize::try_from(sent).unwrap_or(usize::MAX) >= self.batch / 2;
        if took > SLOW {
            self.smaller();
        } else if took < QUICK && full {
            self.batch = (self.batch * 2).min(self.batch_max);
        }
    }

    /// A request was too large, or took too long.
    pub(super) fn smaller(&mut self) {
        self.batch = (self.batch / 2).max(BATCH_MIN).min(self.batch_max);
    }

    /// An attempt has failed: how long to wait before the next. `chance`, from 0 to 1, spreads the pauses of many that
    /// failed together ("full jitter"); `after` is what the other side wants.
    pub(super) fn failed(&mut self, chance: f64, after: Option<Duration>) -> Duration {
        let doubled = PAUSE_MIN.saturating_mul(2 << self.failures.min(16)).min(PAUSE_MAX);
        self.failures = self.failures.saturating_add(1);
        let pause = doubled.mul_f64(chance.clamp(0.0, 1.0)).max(PAUSE_MIN);
        pause.max(after.unwrap_or_default().min(RETRY_AFTER_MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn requests_grow_with_quick_answers_and_shrink_with_slow_ones() {
        let mut pace = Pace::new(50_000);
        pace.answered(10, Duration::ZERO);
        assert_eq!(pace.batch(), 2_000, "it was nearly empty");
        for _ in 0..9 {
            pace.answered(pace.batch() as u64, Duration::from_millis(20));
        }
        assert_eq!(pace.batch(), 50_000);
        pace.answered(50_000, SECOND);
        assert_eq!(pace.batch(), 50_000);
        pace.answered(50_000, 5 * SECOND);
        assert_eq!(pace.batch(), 25_000);
        for _ in 0..20 {
            pace.smaller();
        }
        assert_eq!(pace.batch(), BATCH_MIN);
        assert_eq!(Pace::new(100).batch(), 100);
    }

    #[test]
    fn pauses_double_up_to_a_limit_and_are_spread() {
        let mut pace = Pace::new(1000);
        let pauses: Vec<_> = (0..12).map(|_| pace.failed(1.0, None).as_millis()).collect();
        assert_eq!(pauses[..4], [200, 400, 800, 1600]);
        assert_eq!(pauses[11], 10_000);
        assert_eq!(pace.failed(0.0, None), PAUSE_MIN, "however lucky the draw");
        assert_eq!(pace.failed(0.5, None), 5 * SECOND);
        pace.answered(1, SECOND);
        assert_eq!(pace.failed(1.0, None), 2 * PAUSE_MIN);
    }

    #[test]
    fn the_other_side_says_how_long_but_not_for_ever() {
        let mut pace = Pace::new(1000);
        assert_eq!(pace.failed(0.0, Some(7 * SECOND)), 7 * SECOND);
        assert_eq!(pace.failed(0.0, Some(86_400 * SECOND)), RETRY_AFTER_MAX);
    }
}
