//! When a collector reads: at whole multiples of its interval, by the system's clock.
//!
//! Collectors of one interval therefore read at the same instants, on every
//! machine, and times compress to almost nothing.

use std::time::Duration;

/// A plan of slots, `interval` apart.
#[derive(Debug, Clone)]
pub struct Schedule {
    interval_ms: i64,
    last_ms: Option<i64>,
}

/// A slot that has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due {
    /// The time that its samples get.
    pub at_ms: i64,
    /// Slots that passed unnoticed before it, because the machine was asleep or
    /// too busy, or its clock was set.
    pub skipped: u32,
}

impl Schedule {
    /// A plan that begins with the next multiple of `interval`, of at least 1 ms.
    pub fn new(interval: Duration) -> Self {
        let interval_ms = i64::try_from(interval.as_millis()).unwrap_or(i64::MAX).max(1);
        Self { interval_ms, last_ms: None }
    }

    /// Time between two slots, in milliseconds.
    pub fn interval_ms(&self) -> i64 {
        self.interval_ms
    }

    /// How long to wait at `now_ms` until the next slot comes.
    pub fn until_next(&self, now_ms: i64) -> Duration {
        let wait = self.interval_ms - now_ms.rem_euclid(self.interval_ms);
        Duration::from_millis(wait.unsigned_abs())
    }

    /// The slot that `now_ms` belongs to, unless it has been taken already: a
    /// timer may fire a little early, and a clock may be set back.
    pub fn take(&mut self, now_ms: i64) -> Option<Due> {
        let early_ms = EARLY_MS.min(self.interval_ms / 4);
        let at_ms = (now_ms + early_ms).div_euclid(self.interval_ms) * self.interval_ms;
        let skipped = match self.last_ms {
            Some(last) if at_ms <= last && last - at_ms < SET_BACK_MS => return None,
            Some(last) if at_ms > last => (at_ms - last) / self.interval_ms - 1,
            _ => 0,
        };
        self.last_ms = Some(at_ms);
        Some(Due { at_ms, skipped: u32::try_from(skipped).unwrap_or(u32::MAX) })
    }
}

/// How much too early a timer may fire.
const EARLY_MS: i64 = 20;

/// A clock that is set back further than this starts a new plan, rather than
/// letting the collector wait until the old time comes again.
const SET_BACK_MS: i64 = 60_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_multiples_of_the_interval() {
        let mut schedule = Schedule::new(Duration::from_secs(10));
        assert_eq!(schedule.until_next(12_345), Duration::from_millis(7_655));
        assert_eq!(schedule.take(20_002), Some(Due { at_ms: 20_000, skipped: 0 }));
        assert_eq!(schedule.take(29_995), Some(Due { at_ms: 30_000, skipped: 0 }), "a bit early");
        assert_eq!(schedule.take(30_001), None, "taken already");
        assert_eq!(schedule.take(38_000), None, "late, and taken already");
        assert_eq!(schedule.take(67_000), Some(Due { at_ms: 60_000, skipped: 2 }));
    }

    #[test]
    fn a_clock_that_is_set_back_far_starts_a_new_plan() {
        let mut schedule = Schedule::new(Duration::from_secs(1));
        schedule.take(1_000_000);
        assert_eq!(schedule.take(990_000), None, "ten seconds are waited for");
        assert_eq!(schedule.take(100_000), Some(Due { at_ms: 100_000, skipped: 0 }));
    }
}
