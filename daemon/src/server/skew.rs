//! How far another machine's clock is from ours, told from the times of what arrives: a decision without actors.
//!
//! What arrives was read some while ago, by the other clock. That while is the difference of the clocks, and the
//! way, and how long it waited to be sent. The first stays the same; the least of what is seen over some time comes
//! near it. Of what was held back and is sent later the while shrinks from one stretch of time to the next, and so it
//! is never taken for a clock.

/// The clock of one machine.
#[derive(Debug, Default)]
pub(super) struct Skew {
    stretch: Option<Stretch>,
    former_ms: Option<i64>,
    known_ms: Option<i64>,
}

/// What arrived within one stretch of time.
#[derive(Debug)]
struct Stretch {
    began_ms: i64,
    arrivals: u32,
    least_ms: i64,
}

/// A stretch lasts at least so long…
const STRETCH_MS: i64 = 15_000;
/// … and until so much has arrived.
const ARRIVALS_MIN: u32 = 3;
/// By how much two stretches may differ that tell of a clock.
const TOLERANCE_MS: u64 = 500;

impl Skew {
    /// Takes note that what arrived at `now_ms` was read at `newest_ms` by the other clock.
    pub(super) fn arrived(&mut self, newest_ms: i64, now_ms: i64) {
        let behind_ms = now_ms.saturating_sub(newest_ms);
        let begun = || Stretch { began_ms: now_ms, arrivals: 0, least_ms: behind_ms };
        let stretch = self.stretch.get_or_insert_with(begun);
        stretch.arrivals += 1;
        stretch.least_ms = stretch.least_ms.min(behind_ms);
        // A clock of ours that was set back begins anew.
        let lasted_ms = now_ms.saturating_sub(stretch.began_ms);
        if (0..STRETCH_MS).contains(&lasted_ms) || stretch.arrivals < ARRIVALS_MIN {
            return;
        }
        let least_ms = stretch.least_ms;
        if let Some(former_ms) = self.former_ms.replace(least_ms)
            && former_ms.abs_diff(least_ms) <= TOLERANCE_MS
        {
            self.known_ms = Some(former_ms.min(least_ms).saturating_neg());
        }
        self.stretch = None;
    }

    /// The other clock minus ours, in milliseconds, as far as it is known; the way counts as being behind.
    pub(super) fn ms(&self) -> Option<i64> {
        self.known_ms
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is known after a minute of arrivals each second, `behind_ms` of each second.
    fn after_a_minute(skew: &mut Skew, behind_ms: impl Fn(i64) -> i64) -> Option<i64> {
        for second in 0..60 {
            let now_ms = 1_000_000 + second * 1000;
            skew.arrived(now_ms - behind_ms(second), now_ms);
        }
        skew.ms()
    }

    #[test]
    fn a_clock_that_is_wrong_either_way_is_measured_through_a_way_that_wavers() {
        let waver = |second: i64| second % 5 * 100 + 30;
        let of = |by_ms: i64| after_a_minute(&mut Skew::default(), |second| waver(second) + by_ms);
        assert_eq!(of(0), Some(-30));
        assert_eq!(of(5_000), Some(-5_030), "behind");
        assert_eq!(of(-5_000), Some(4_970), "ahead");
    }

    #[test]
    fn what_was_held_back_tells_nothing_of_a_clock() {
        let mut skew = Skew::default();
        // An hour's backlog that is sent at a tenth more than it grows.
        assert_eq!(after_a_minute(&mut skew, |second| 3_600_000 - second * 100), None);
        assert_eq!(after_a_minute(&mut skew, |_| 200), Some(-200));
        assert_eq!(after_a_minute(&mut skew, |second| 3_600_000 - second * 100), Some(-200));
    }

    #[test]
    fn clocks_at_both_ends_of_all_times_tell_of_no_clock() {
        let mut skew = Skew::default();
        for second in 0..60 {
            let newest_ms = if second % 32 < 16 { i64::MIN } else { i64::MAX };
            skew.arrived(newest_ms, second * 1000);
        }
        assert_eq!(skew.ms(), None);
    }

    #[test]
    fn a_clock_that_is_set_right_is_measured_anew() {
        let mut skew = Skew::default();
        assert_eq!(after_a_minute(&mut skew, |_| 60_000), Some(-60_000));
        assert_eq!(after_a_minute(&mut skew, |_| 50), Some(-50));
    }
}
