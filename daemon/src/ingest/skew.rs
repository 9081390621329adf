//! How far a sender's clock is from ours.
//!
//! What arrives is late by its way, never early: the least lateness over a time is the difference of the clocks and
//! the shortest way. A sender that fills a gap is late for another reason, and a later sample shows it.

/// Time over which the least is taken, in milliseconds; one such time is over before it counts alone.
const WINDOW_MS: i64 = 60_000;

/// What the newest sample of a server says about its clock.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Skew {
    since_ms: i64,
    now: Option<i64>,
    before: Option<i64>,
}

impl Skew {
    /// Notes that a sample of `at_ms` has arrived at `now_ms`.
    pub(super) fn note(&mut self, at_ms: i64, now_ms: i64) {
        let late_ms = now_ms.saturating_sub(at_ms);
        if now_ms.saturating_sub(self.since_ms) >= WINDOW_MS || now_ms < self.since_ms {
            self.since_ms = now_ms;
            self.before = self.now.take();
        }
        self.now = Some(self.now.map_or(late_ms, |least| least.min(late_ms)));
    }

    /// How far the sender's clock is ahead of ours; negative where it is behind, or far away.
    pub(super) fn ahead_ms(&self) -> Option<i64> {
        let least = [self.now, self.before].into_iter().flatten().min();
        least.map(|late_ms| -late_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_lateness_of_the_last_minutes_counts() {
        let mut skew = Skew::default();
        assert_eq!(skew.ahead_ms(), None);
        skew.note(1_000, 1_000_000);
        assert_eq!(skew.ahead_ms(), Some(-999_000), "filling a gap");
        skew.note(999_900, 1_000_100);
        skew.note(1_000_900, 1_002_000);
        assert_eq!(skew.ahead_ms(), Some(-200));
        skew.note(1_065_000, 1_061_000);
        assert_eq!(skew.ahead_ms(), Some(4_000), "it was set");
        skew.note(1_121_000, 1_121_000);
        skew.note(1_181_000, 1_181_000);
        assert_eq!(skew.ahead_ms(), Some(0), "and set back");
    }
}
