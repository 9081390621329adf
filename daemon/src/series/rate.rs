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
        let before = std::mem::replace(self, Self { at_ms, value });
        let elapsed_ms = at_ms - before.at_ms;
        if elapsed_ms <= 0 || elapsed_ms > 3 * i64::from(interval_ms).max(1) {
            return RateOf::Unknown;
        }
        if !value.is_finite() || !before.value.is_finite() {
            return RateOf::Unknown;
        }
        let seconds = elapsed_ms as f64 / 1000.0;
        let grown = value - before.value;
        if grown >= 0.0 {
            RateOf::PerSecond(grown / seconds)
        } else if value >= before.value * 0.99 {
            RateOf::PerSecond(0.0)
        } else {
            RateOf::Reset(value.max(0.0) / seconds)
        }
    }
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
