//! What the samples of one series within a stretch come to: the points of the coarser tiers. Pure.
//!
//! # Invariants
//!
//! - Rollups of neighbouring stretches can be merged, in any grouping: what samples come to does not depend on
//!   where they were cut when they were sealed.
//! - Of a counter it is rates that are kept, by the one rate function, so that a reset within a stretch is not lost.
//!   The step from one stretch to the next is in neither of them; [`merge`](Rollup::merge) and
//!   [`follow`](Rollup::follow) know it from the samples at their ends.

use crate::series::{Kind, Rate};

/// What the samples of one series within one stretch come to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Rollup {
    /// Begin of the stretch, a minute or an hour.
    pub(super) start_ms: i64,
    /// Time of the first sample.
    pub(super) first_ms: i64,
    /// Time of the last sample.
    pub(super) last_ms: i64,
    /// Time between two samples, in milliseconds.
    pub(super) interval_ms: u32,
    /// How many values there are, a NaN being none.
    pub(super) count: u64,
    /// The smallest value; of a counter the slowest rate per second. Infinite where there is none.
    pub(super) min: f64,
    /// The largest value; of a counter the fastest rate per second. Negatively infinite where there is none.
    pub(super) max: f64,
    /// The sum of the values; of a counter its increase.
    pub(super) sum: f64,
    /// For how long a counter's increase is known, in milliseconds; nothing for a gauge.
    pub(super) covered_ms: i64,
    /// The first sample's value; nothing for a gauge.
    pub(super) first: f64,
    /// The last sample's value; of a gauge the last that is a number.
    pub(super) last: f64,
}

impl Rollup {
    /// What a single sample comes to.
    #[inline]
    pub(super) fn of(kind: Kind, start_ms: i64, at_ms: i64, value: f64, interval_ms: u32) -> Self {
        let is_value = !value.is_nan();
        let nothing = Self {
            start_ms,
            first_ms: at_ms,
            last_ms: at_ms,
            interval_ms,
            count: u64::from(is_value),
            min: f64::INFINITY,
            max: f64::NEG_INFINITY,
            sum: 0.0,
            covered_ms: 0,
            first: 0.0,
            last: value,
        };
        match kind {
            Kind::Counter => Self { first: value, ..nothing },
            Kind::Gauge if is_value => Self { min: value, max: value, sum: value, ..nothing },
            Kind::Gauge => nothing,
        }
    }

    /// Takes in what began later, of the same stretch or a wider one that begins with this.
    ///
    /// Where both reach into each other, because a series went to and fro between lanes, a counter's increase is that
    /// from end to end.
    #[inline]
    pub(super) fn merge(&mut self, kind: Kind, mut later: Self) {
        if later.first_ms <= self.last_ms {
            self.merge_overlapping(kind, later);
            return;
        }
        match kind {
            Kind::Counter => later.follow(self.last_ms, self.last),
            Kind::Gauge if later.count == 0 => later.last = self.last,
            Kind::Gauge => {}
        }
        self.last_ms = later.last_ms;
        self.interval_ms = later.interval_ms;
        self.count += later.count;
        self.min = self.min.min(later.min);
        self.max = self.max.max(later.max);
        self.sum += later.sum;
        self.covered_ms = self.covered_ms.saturating_add(later.covered_ms);
        self.last = later.last;
    }

    fn merge_overlapping(&mut self, kind: Kind, later: Self) {
        self.count += later.count;
        self.min = self.min.min(later.min);
        self.max = self.max.max(later.max);
        let ends_later = later.last_ms > self.last_ms;
        match kind {
            Kind::Counter if ends_later => {
                let Self { start_ms, last_ms, last, interval_ms, .. } = later;
                let mut end = Self::of(kind, start_ms, last_ms, last, interval_ms);
                end.follow(self.last_ms, self.last);
                self.sum += end.sum;
                self.covered_ms = self.covered_ms.saturating_add(end.covered_ms);
            }
            Kind::Counter => {}
            Kind::Gauge => self.sum += later.sum,
        }
        if ends_later {
            self.last_ms = later.last_ms;
            if kind == Kind::Counter || later.count > 0 {
                self.last = later.last;
            }
        }
    }

    /// Adds the step of a counter from the sample before.
    #[inline]
    pub(super) fn follow(&mut self, before_ms: i64, before: f64) {
        let step = Rate::new(before_ms, before).grow(self.first_ms, self.first, self.interval_ms);
        if let Some(step) = step {
            let rate = step.increase / (step.elapsed_ms as f64 / 1000.0);
            self.min = self.min.min(rate);
            self.max = self.max.max(rate);
            self.sum += step.increase;
            self.covered_ms = self.covered_ms.saturating_add(step.elapsed_ms);
        }
    }

    /// The same as a part of a wider stretch.
    pub(super) fn within(self, step_ms: i64) -> Self {
        Self { start_ms: self.start_ms - self.start_ms.rem_euclid(step_ms), ..self }
    }
}

/// Time between two samples that were taken at `times`, which ascend. Slots are whole multiples of it, so it is the
/// shortest there is; `otherwise` where there is but one sample.
pub(super) fn interval_of(times: impl Iterator<Item = i64>, otherwise: u32) -> u32 {
    let mut before = None;
    let apart = times.filter_map(|at_ms| Some(at_ms.saturating_sub(before.replace(at_ms)?))).min();
    apart.and_then(|apart| u32::try_from(apart).ok()).unwrap_or(otherwise)
}

/// Merges what stands in the same stretch of `step_ms`; what is given must be in the order of time.
pub(super) fn fold(
    kind: Kind,
    step_ms: i64,
    parts: impl IntoIterator<Item = Rollup>,
) -> Vec<Rollup> {
    let mut folded: Vec<Rollup> = Vec::new();
    for part in parts {
        let part = part.within(step_ms);
        match folded.last_mut() {
            Some(last) if last.start_ms == part.start_ms => last.merge(kind, part),
            _ => folded.push(part),
        }
    }
    folded
}

/// What samples come to in stretches of `step_ms`; they must be in the order of time.
pub(super) fn fold_samples(
    kind: Kind,
    step_ms: i64,
    interval_ms: u32,
    samples: impl IntoIterator<Item = (i64, f64)>,
) -> Vec<Rollup> {
    let one = |(at_ms, value)| Rollup::of(kind, at_ms, at_ms, value, interval_ms);
    fold(kind, step_ms, samples.into_iter().map(one))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn close(one: f64, other: f64) -> bool {
        one == other || (one - other).abs() <= 1e-9 * one.abs().max(other.abs())
    }

    proptest! {
        #[test]
        fn it_does_not_matter_where_samples_were_cut(
            steps in proptest::collection::vec((prop_oneof![9 => Just(1000i64), 1 => 1i64..9000], 0u32..2000), 2..400),
            resets in proptest::collection::vec(any::<proptest::sample::Index>(), 0..4),
            cut in any::<proptest::sample::Index>(),
            is_counter in any::<bool>(),
        ) {
            let kind = if is_counter { Kind::Counter } else { Kind::Gauge };
            let (mut at, mut value) = (0, 0.0);
            let mut samples = Vec::new();
            for (row, (step, grown)) in steps.iter().enumerate() {
                at += step;
                let reset = resets.iter().any(|index| index.index(steps.len()) == row);
                value = if reset { 0.0 } else { value } + f64::from(*grown);
                samples.push((at, value));
            }
            let whole = fold_samples(kind, 3_600_000, 1000, samples.clone());
            let (before, after) = samples.split_at(cut.index(samples.len()));
            let parts = [before, after].map(|part| fold_samples(kind, 60_000, 1000, part.to_vec()));
            let parts = parts.concat();
            let folded = fold(kind, 3_600_000, fold(kind, 60_000, parts));
            prop_assert_eq!(whole.len(), folded.len());
            for (one, other) in whole.iter().zip(&folded) {
                prop_assert!(close(one.sum, other.sum), "{} {}", one.sum, other.sum);
                prop_assert_eq!(Rollup { sum: 0.0, ..*one }, Rollup { sum: 0.0, ..*other });
            }
        }
    }

    #[test]
    fn a_reset_within_a_minute_is_not_lost_and_a_step_between_minutes_neither() {
        let samples = [(0, 100.0), (1000, 150.0), (2000, 20.0), (60_000, 50.0), (61_000, 70.0)];
        let minutes = fold_samples(Kind::Counter, 60_000, 30_000, samples);
        assert_eq!(minutes.iter().map(|minute| minute.sum).collect::<Vec<_>>(), [70.0, 20.0]);
        let hours = fold(Kind::Counter, 3_600_000, minutes);
        assert_eq!((hours[0].sum, hours[0].covered_ms), (120.0, 61_000));
        assert_eq!((hours[0].min, hours[0].max), (30.0 / 58.0, 50.0));
    }

    #[test]
    fn lanes_that_take_turns_count_an_increase_once() {
        let rollup =
            |kind, samples: &[(i64, f64)]| fold_samples(kind, 60_000, 1000, samples.to_vec())[0];
        let (one, other) = ([(2000, 20.0), (5000, 50.0)], [(3000, 30.0), (4000, 40.0)]);
        let mut counter = rollup(Kind::Counter, &one);
        counter.merge(Kind::Counter, rollup(Kind::Counter, &other));
        assert_eq!((counter.sum, counter.covered_ms), (30.0, 3000));
        assert_eq!((counter.last_ms, counter.last, counter.count), (5000, 50.0, 4));
        let mut gauge = rollup(Kind::Gauge, &one);
        gauge.merge(Kind::Gauge, rollup(Kind::Gauge, &other));
        assert_eq!((gauge.sum, gauge.last_ms, gauge.last, gauge.count), (140.0, 5000, 50.0, 4));
        let mut longer = rollup(Kind::Counter, &other);
        longer.merge(Kind::Counter, rollup(Kind::Counter, &[(3500, 35.0), (5500, 55.0)]));
        assert_eq!((longer.sum, longer.covered_ms, longer.last_ms), (25.0, 2500, 5500));
    }

    #[test]
    fn what_is_no_number_is_counted_nowhere_and_is_no_last_value() {
        let samples = [(0, 1.0), (1000, f64::NAN), (2000, 3.0), (3000, f64::NAN)];
        let minute = fold_samples(Kind::Gauge, 60_000, 1000, samples)[0];
        assert_eq!((minute.count, minute.min, minute.max, minute.sum), (2, 1.0, 3.0, 4.0));
        assert_eq!((minute.last, minute.last_ms), (3.0, 3000));
        let nothing = fold_samples(Kind::Gauge, 60_000, 1000, [(0, f64::NAN)])[0];
        assert!(nothing.count == 0 && nothing.last.is_nan() && nothing.max == f64::NEG_INFINITY);
    }
}
