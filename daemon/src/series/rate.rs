//! The one rate function: how fast a counter grew between two samples.
//!
//! Detectors, live view and queries all use it, so that they never disagree.

/// Nothing on a server counts this far: what does is a driver that counted below zero, or a number that is none.
const COUNTS_MOST: f64 = 9_223_372_036_854_775_808.0;

/// A counter's sample, remembered until the next one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate {
    at_ms: i64,
    value: f64,
}

/// What two samples of a counter say.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum RateOf {
    /// It grew this much per second.
    PerSecond(f64),
    /// It started again from zero and has counted this much per second since,
    /// at least.
    Reset(f64),
    /// Nothing can be said: time stood still, or something is missing between.
    Unknown,
}

/// How much a counter grew between two samples.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Growth {
    /// By how much, never negative.
    pub increase: f64,
    /// In how many milliseconds, never none.
    pub elapsed_ms: i64,
}

impl RateOf {
    /// The rate per second, where there is one.
    pub fn per_second(self) -> Option<f64> {
        match self {
            Self::PerSecond(rate) | Self::Reset(rate) => Some(rate),
            Self::Unknown => None,
        }
    }
}

impl Growth {
    /// The rate per second.
    pub fn per_second(self) -> f64 {
        self.increase / (self.elapsed_ms as f64 / 1000.0)
    }
}

impl Rate {
    /// Starts from a first sample.
    pub fn new(at_ms: i64, value: f64) -> Self {
        Self { at_ms, value }
    }

    /// The rate between the sample before and this one, which is remembered.
    pub fn next(&mut self, at_ms: i64, value: f64, interval_ms: u32) -> RateOf {
        let before = self.value;
        let Some(growth) = self.grow(at_ms, value, interval_ms) else { return RateOf::Unknown };
        let rate = growth.per_second();
        if is_reset(before, value) { RateOf::Reset(rate) } else { RateOf::PerSecond(rate) }
    }

    /// What [`next`](Self::next) makes a rate of: how much it grew, and in which time.
    ///
    /// - Over more than three intervals it is unknown: it would spread a burst over a gap.
    /// - A counter that fell has started again from zero (Prometheus' rule): what it shows now was
    ///   counted since. A fall of less than one hundredth is no restart but a correction, as some
    ///   drivers make them, and counts as standing still.
    /// - From and to 2^63 and more it is unknown: a 64-bit counter that a driver let fall below zero
    ///   shows nearly 2^64, and would be a rate of exabytes when it does and a reset when it recovers.
    /// - A jump below that stands as it was read. Which one no hardware can make depends on what is
    ///   counted; RRDtool asks for a bound per series, Prometheus and VictoriaMetrics take every jump.
    ///   A 32-bit counter that wraps is a fall, of which the least is taken, as they do.
    pub fn grow(&mut self, at_ms: i64, value: f64, interval_ms: u32) -> Option<Growth> {
        let before = std::mem::replace(self, Self { at_ms, value });
        let elapsed_ms = at_ms.saturating_sub(before.at_ms);
        if elapsed_ms <= 0 || elapsed_ms > 3 * i64::from(interval_ms).max(1) {
            return None;
        }
        // A NaN is not less.
        if !(value.abs() < COUNTS_MOST && before.value.abs() < COUNTS_MOST) {
            return None;
        }
        let increase = if is_reset(before.value, value) {
            value.max(0.0)
        } else {
            (value - before.value).max(0.0)
        };
        Some(Growth { increase, elapsed_ms })
    }
}

/// Whether a counter has started again from zero.
fn is_reset(before: f64, value: f64) -> bool {
    value < before && value < before * 0.99
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_resets_corrects_and_does_not_bridge_a_gap() {
        let mut rate = Rate::new(0, 100.0);
        assert_eq!(rate.next(1_000, 150.0, 1000), RateOf::PerSecond(50.0));
        assert_eq!(rate.next(3_000, 250.0, 1000), RateOf::PerSecond(50.0), "one sample missing");
        assert_eq!(rate.next(4_000, 249.0, 1000), RateOf::PerSecond(0.0), "a correction");
        assert_eq!(rate.next(5_000, 30.0, 1000), RateOf::Reset(30.0), "a restart");
        assert_eq!(rate.next(9_000, 40.0, 1000), RateOf::Unknown, "four intervals");
        assert_eq!(rate.next(9_000, 41.0, 1000), RateOf::Unknown, "no time has passed");
        assert_eq!(rate.next(10_000, f64::NAN, 1000), RateOf::Unknown);
    }

    #[test]
    fn a_counter_below_zero_leaves_no_spike() {
        let mut rate = Rate::new(0, 1e12);
        let below_zero = 0u64.wrapping_sub(6) as f64;
        assert_eq!(rate.next(1_000, below_zero, 1000), RateOf::Unknown, "nearly 2^64");
        assert_eq!(rate.next(2_000, below_zero, 1000), RateOf::Unknown);
        assert_eq!(rate.next(3_000, 1e12, 1000), RateOf::Unknown, "no restart from zero");
        assert_eq!(rate.next(4_000, 1e12 + 5.0, 1000), RateOf::PerSecond(5.0));
        assert_eq!(rate.next(5_000, f64::INFINITY, 1000), RateOf::Unknown);
    }

    #[test]
    fn a_growth_is_exact_and_says_over_which_time() {
        let mut rate = Rate::new(0, 0.1);
        let growth = Growth { increase: 0.3 - 0.1, elapsed_ms: 3000 };
        assert_eq!(rate.grow(3_000, 0.3, 1000), Some(growth));
        let below_zero = Growth { increase: 0.0, elapsed_ms: 1 };
        assert_eq!(rate.grow(3_001, -4.0, 1000), Some(below_zero), "never less than nothing");
    }
}
