//! The one rate function: how fast a counter grew between two samples.
//!
//! Detectors, live view and queries all use it, so that they never disagree.

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

impl Rate {
    /// Starts from a first sample.
    pub fn new(at_ms: i64, value: f64) -> Self {
        Self { at_ms, value }
    }

    /// The rate between the sample before and this one, which is remembered.
    ///
    /// A rate over more than three intervals would spread a burst over a gap, so
    /// it is unknown. A counter that fell has started again from zero
    /// (Prometheus' rule): what it shows now was counted since. A fall of less
    /// than one hundredth is no restart but a correction, as some drivers make
    /// them, and counts as standing still.
    pub fn next(&mut self, at_ms: i64, value: f64, interval_ms: u32) -> RateOf {
        let before = self.value;
        let Some(Growth { increase, elapsed_ms }) = self.grow(at_ms, value, interval_ms) else {
            return RateOf::Unknown;
        };
        let rate = increase / (elapsed_ms as f64 / 1000.0);
        if is_reset(before, value) { RateOf::Reset(rate) } else { RateOf::PerSecond(rate) }
    }

    /// What [`next`](Self::next) makes a rate of: how much it grew, and in which time.
    pub fn grow(&mut self, at_ms: i64, value: f64, interval_ms: u32) -> Option<Growth> {
        let before = std::mem::replace(self, Self { at_ms, value });
        let elapsed_ms = at_ms.saturating_sub(before.at_ms);
        if elapsed_ms <= 0 || elapsed_ms > 3 * i64::from(interval_ms).max(1) {
            return None;
        }
        if !value.is_finite() || !before.value.is_finite() {
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
}
