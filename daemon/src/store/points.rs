//! Samples and rollups into points: rates, buckets and holes of one series. Pure, and fed in order.
//!
//! Memory grows with the points that come out, never with the samples that go in. A rollup is fed as the samples that
//! it was made of would be: the points are the same, as long as no stretch of a rollup reaches over two of them.

use super::{bucket::Bucket, point::Point, rollup::Rollup};
use crate::series::{Growth, Kind, PRESUMED_INTERVAL_MS, Rate};

/// What a series is turned into, and how.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    /// First instant wanted.
    pub(super) from_ms: i64,
    /// First instant not wanted.
    pub(super) to_ms: i64,
    /// Gauge or counter.
    pub(super) kind: Kind,
    /// Time between two samples of the series, as it is now.
    pub(super) interval_ms: u32,
    /// Width of the stretches that are looked at as one: within one, holes are not seen.
    pub(super) step_ms: Option<i64>,
    /// Width of a bucket; none keeps every sample.
    pub(super) bucket_ms: Option<i64>,
    /// Whether to answer the rate per second.
    pub(super) rate: bool,
    /// Whether to find percentiles, which keeps the samples of a bucket in memory.
    pub(super) p95: bool,
}

/// Takes samples and gives points.
#[derive(Debug)]
pub(super) struct Points {
    shape: Shape,
    rate: Option<Rate>,
    bucket: Bucket,
    /// Where the stretch of the bucket ends.
    turns_ms: i64,
    points: Vec<Point>,
    /// Time of the newest sample that is too old to be of use.
    before_ms: Option<i64>,
    /// Times of the first and the last sample that were of use.
    first_ms: Option<i64>,
    last_ms: Option<i64>,
    /// Where what was taken last begins; it may reach beyond what comes next.
    begun_ms: Option<i64>,
    /// Time between two samples when those two were taken.
    first_interval_ms: u32,
    last_interval_ms: u32,
    /// Stretches of more than three intervals between two samples.
    holes: Vec<(i64, i64)>,
}

impl Shape {
    /// The width of a bucket for about `points` points: a multiple of the interval,
    /// or none if every sample fits. Where the interval is only presumed there may be many more samples than it says.
    pub(super) fn bucket_ms(range_ms: i64, points: usize, interval_ms: u32) -> Option<i64> {
        let interval_ms = match interval_ms {
            0 | PRESUMED_INTERVAL_MS => 1,
            known => i64::from(known),
        };
        let width_ms = up_to(Self::width_ms(range_ms, points), interval_ms);
        (width_ms > interval_ms).then_some(width_ms)
    }

    /// The narrowest width that cuts a range into `points` parts at most.
    pub(super) fn width_ms(range_ms: i64, points: usize) -> i64 {
        let points = i64::try_from(points).unwrap_or(i64::MAX).max(1);
        range_ms / points + i64::from(range_ms % points > 0)
    }

    /// The point of a sample as it was stored, bit for bit.
    fn single(&self, at_ms: i64, value: f64) -> Point {
        Point { p95: Some(value).filter(|_| self.p95), ..Point::single(at_ms, value) }
    }

    /// From when samples are needed: a rate needs the one before the first.
    pub(super) fn needed_from_ms(&self) -> i64 {
        self.from_ms.saturating_sub(3 * i64::from(self.interval_ms).max(1))
    }

    /// Whether something is missing between two samples that came every `interval_ms`: more than three intervals,
    /// and where stretches are looked at as one, all of one at least.
    pub(super) fn is_hole(&self, last_ms: i64, next_ms: i64, interval_ms: i64) -> bool {
        let after_ms = last_ms.saturating_add(1);
        next_ms.saturating_sub(last_ms) > 3 * interval_ms.max(1) && self.shows(after_ms, next_ms)
    }

    /// Whether a stretch without samples is to be seen.
    pub(super) fn shows(&self, from_ms: i64, to_ms: i64) -> bool {
        self.step_ms.is_none_or(|step_ms| {
            let whole_ms = to_ms.saturating_sub(to_ms.rem_euclid(step_ms));
            up_to(from_ms, step_ms) < whole_ms
        })
    }
}

/// The least multiple of `step_ms` that is not less than `ms`.
pub(super) fn up_to(ms: i64, step_ms: i64) -> i64 {
    match ms.rem_euclid(step_ms) {
        0 => ms,
        into_ms => ms.saturating_add(step_ms - into_ms),
    }
}

impl Points {
    /// Starts with none.
    pub(super) fn new(shape: Shape) -> Self {
        Self {
            shape,
            rate: None,
            bucket: Bucket::new(shape.rate, shape.p95),
            turns_ms: i64::MIN,
            points: Vec::new(),
            before_ms: None,
            first_ms: None,
            last_ms: None,
            begun_ms: None,
            first_interval_ms: shape.interval_ms,
            last_interval_ms: shape.interval_ms,
            holes: Vec::new(),
        }
    }

    /// Takes the next sample, from a time when one came every `interval_ms`. One
    /// that is not newer than the last is left out.
    pub(super) fn add(&mut self, at_ms: i64, value: f64, interval_ms: u32) {
        let Some((longer_ms, overlaps)) = self.arrive(at_ms, at_ms, interval_ms) else { return };
        // What is within a rollup is in its increase.
        let growth =
            if overlaps { None } else { self.grow((at_ms, value), (at_ms, value), longer_ms) };
        if at_ms < self.shape.from_ms {
            return;
        }
        if self.shape.bucket_ms.is_none() && !self.shape.rate {
            self.points.push(self.shape.single(at_ms, value));
            return;
        }
        self.turn(at_ms);
        self.bucket.add(at_ms, value, growth);
    }

    /// Takes samples that follow one another, as [`add`](Self::add) would take each; of a gauge all of a bucket at once.
    pub(super) fn add_run(&mut self, times: &[i64], values: &[f64], interval_ms: u32) {
        let from = times.partition_point(|at_ms| *at_ms < self.shape.needed_from_ms());
        let to = times.partition_point(|at_ms| *at_ms < self.shape.to_ms).max(from);
        if let Some(passed) = from.checked_sub(1) {
            self.pass(times[passed]);
        }
        let (times, values) = (&times[from..to], &values[from..to]);
        let Some((&first_ms, &last_ms)) = times.first().zip(times.last()) else { return };
        let apart_most_ms = 3 * i64::from(interval_ms).max(1);
        let is_whole =
            times.windows(2).all(|pair| pair[1].saturating_sub(pair[0]) <= apart_most_ms);
        let is_plain = is_whole && !self.shape.rate;
        if !is_plain || self.arrive(first_ms, first_ms, interval_ms).is_none() {
            for (at_ms, value) in times.iter().zip(values) {
                self.add(*at_ms, *value, interval_ms);
            }
            return;
        }
        self.begun_ms = Some(last_ms);
        self.last_ms = self.last_ms.max(self.begun_ms);
        let wanted = times.partition_point(|at_ms| *at_ms < self.shape.from_ms);
        let (mut times, mut values) = (&times[wanted..], &values[wanted..]);
        if self.shape.bucket_ms.is_none() {
            let points = times.iter().zip(values);
            let shape = self.shape;
            self.points.extend(points.map(|(at_ms, value)| shape.single(*at_ms, *value)));
            return;
        }
        while let Some(&at_ms) = times.first() {
            self.turn(at_ms);
            let within = times.iter().take_while(|at_ms| **at_ms < self.turns_ms).count().max(1);
            let (of_bucket, of_rest) = values.split_at(within);
            self.bucket.add_all(&times[..within], of_bucket);
            (times, values) = (&times[within..], of_rest);
        }
    }

    /// Takes what samples come to that follow those before. Where rollups reach into each other, because
    /// they are of different lanes, an increase is that from end to end.
    pub(super) fn add_rollup(&mut self, rollup: Rollup) {
        let (first_ms, last_ms) = (rollup.first_ms, rollup.last_ms);
        if self.shape.kind == Kind::Counter && !self.shape.rate {
            // What a counter stood at is known at both ends.
            self.add(first_ms, rollup.first, rollup.interval_ms);
            if last_ms > first_ms {
                self.add(last_ms, rollup.last, rollup.interval_ms);
            }
            return;
        }
        let before_ms = self.last_ms;
        let arrived = self.arrive(first_ms, last_ms, rollup.interval_ms);
        let Some((longer_ms, overlaps)) = arrived else { return };
        let (first, last) = ((first_ms, rollup.first), (last_ms, rollup.last));
        let growth = match before_ms {
            Some(before_ms) if overlaps && last_ms <= before_ms => None,
            _ => self.grow(if overlaps { last } else { first }, last, longer_ms),
        };
        if first_ms >= self.shape.from_ms {
            self.turn(first_ms);
            let inner = Rollup { sum: 0.0, covered_ms: 0, ..rollup };
            let is_counted = overlaps && self.shape.rate;
            self.bucket.add_rollup(if is_counted { &inner } else { &rollup }, growth);
        }
    }

    /// Puts what reaches from `first_ms` to `last_ms` in its place: the interval to judge it by, and whether it
    /// reaches into what was before; nothing if it is of no use.
    fn arrive(&mut self, first_ms: i64, last_ms: i64, interval_ms: u32) -> Option<(u32, bool)> {
        if first_ms >= self.shape.to_ms || self.begun_ms.is_some_and(|begun| first_ms <= begun) {
            return None;
        }
        if last_ms < self.shape.needed_from_ms() {
            self.pass(last_ms);
            return None;
        }
        // Where the interval was changed, the longer one counts.
        let longer_ms = interval_ms.max(self.last_interval_ms);
        let overlaps = self.last_ms.is_some_and(|last| first_ms <= last);
        match self.last_ms {
            None => (self.first_ms, self.first_interval_ms) = (Some(first_ms), interval_ms),
            Some(last) if self.shape.is_hole(last, first_ms, longer_ms.into()) => {
                let from_ms = last.saturating_add(i64::from(self.last_interval_ms).max(1));
                self.holes.push((from_ms, first_ms));
            }
            Some(_) => {}
        }
        (self.begun_ms, self.last_interval_ms) = (Some(first_ms), interval_ms);
        self.last_ms = self.last_ms.max(Some(last_ms));
        Some((longer_ms, overlaps))
    }

    /// What a counter grew by until `next`; `last` is remembered.
    fn grow(&mut self, next: (i64, f64), last: (i64, f64), interval_ms: u32) -> Option<Growth> {
        if !self.shape.rate {
            return None;
        }
        let before = self.rate.replace(Rate::new(last.0, last.1));
        before.and_then(|mut before| before.grow(next.0, next.1, interval_ms))
    }

    /// Goes on to the bucket of `at_ms`.
    fn turn(&mut self, at_ms: i64) {
        if at_ms < self.turns_ms {
            return;
        }
        // Buckets stand on the clock, so that they stay the same from one question to the next.
        let width_ms = self.shape.bucket_ms.unwrap_or(1);
        let from_ms = at_ms.saturating_sub(at_ms.rem_euclid(width_ms));
        self.turns_ms = from_ms.saturating_add(width_ms);
        self.points.extend(self.bucket.turn(from_ms));
    }

    /// There is a sample at `at_ms`, too old to be of use.
    pub(super) fn pass(&mut self, at_ms: i64) {
        self.before_ms = self.before_ms.max(Some(at_ms));
    }

    /// Time of the newest sample that was too old to be of use.
    pub(super) fn before_ms(&self) -> Option<i64> {
        self.before_ms
    }

    /// Time of the first sample of use.
    pub(super) fn first_ms(&self) -> Option<i64> {
        self.first_ms
    }

    /// Time of the last sample of use.
    pub(super) fn last_ms(&self) -> Option<i64> {
        self.last_ms
    }

    /// Time between two samples around the first and around the last sample of use,
    /// in milliseconds; as it is now where there is none.
    pub(super) fn intervals_ms(&self) -> (i64, i64) {
        (i64::from(self.first_interval_ms).max(1), i64::from(self.last_interval_ms).max(1))
    }

    /// The points, and where more than three intervals lie between two samples.
    pub(super) fn finish(mut self) -> (Vec<Point>, Vec<(i64, i64)>) {
        self.points.extend(self.bucket.finish());
        (self.points, self.holes)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SHAPE: Shape = Shape {
        from_ms: 0,
        to_ms: 100_000,
        kind: Kind::Gauge,
        interval_ms: 1000,
        step_ms: None,
        bucket_ms: None,
        rate: false,
        p95: true,
    };

    proptest! {
        #[test]
        fn buckets_are_what_a_naive_model_says(
            steps in proptest::collection::vec((1i64..4000, -1e6..1e6f64), 1..200),
            width in 1i64..50_000,
            from in 0i64..100_000,
        ) {
            let mut at = 0;
            let samples: Vec<_> = steps.iter().map(|(step, value)| { at += step; (at, *value) }).collect();
            let shape = Shape {
                from_ms: from, to_ms: 300_000, bucket_ms: Some(width), ..SHAPE
            };
            let mut points = Points::new(shape);
            samples.iter().for_each(|(at, value)| points.add(*at, *value, 1000));

            let wanted = samples.iter().filter(|(at, _)| (from..300_000).contains(at));
            let mut model = std::collections::BTreeMap::<i64, Vec<f64>>::new();
            wanted.for_each(|(at, value)| model.entry(at / width).or_default().push(*value));
            let model: Vec<_> = model.into_iter().map(|(bucket, values)| Point {
                at_ms: bucket * width,
                mean: values.iter().sum::<f64>() / values.len() as f64,
                min: values.iter().copied().fold(f64::INFINITY, f64::min),
                max: values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
                last: values[values.len() - 1],
                sum: values.iter().sum(),
                count: Some(values.len() as u64),
                p95: naive_p95(&values),
            }).collect();
            prop_assert_eq!(points.finish().0, model);
        }
    }

    #[test]
    fn a_bucket_is_a_multiple_of_the_interval() {
        assert_eq!(Shape::bucket_ms(3_600_000, 1000, 1000), Some(4000));
        assert_eq!(Shape::bucket_ms(300_000, 300, 1000), None);
        assert_eq!(Shape::bucket_ms(300_000, 299, 1000), Some(2000));
        assert_eq!(Shape::bucket_ms(i64::MAX, 1, 1), Some(i64::MAX));
        assert_eq!(Shape::bucket_ms(10, 0, 0), Some(10));
        let presumed = Shape::bucket_ms(3_600_000, 360, PRESUMED_INTERVAL_MS);
        assert_eq!(presumed, Some(10_000), "perhaps one comes every second");
    }

    fn naive_p95(values: &[f64]) -> Option<f64> {
        let mut values = values.to_vec();
        values.sort_by(f64::total_cmp);
        let rank = 0.95 * (values.len() - 1) as f64;
        let (low, high) = (values[rank.floor() as usize], values[rank.ceil() as usize]);
        Some(if low == high { low } else { low + (high - low) * (rank - rank.floor()) })
    }

    #[test]
    fn the_mean_of_a_rate_is_the_growth_over_the_time() {
        let shape = Shape { bucket_ms: Some(10_000), kind: Kind::Counter, rate: true, ..SHAPE };
        let mut points = Points::new(shape);
        // 100 within one second, then nothing within three, then a restart and a hole.
        for (at_ms, value) in [(9_000, 50.0), (10_000, 150.0), (13_000, 150.0), (14_000, 8.0)] {
            points.add(at_ms, value, 1000);
        }
        points.add(30_000, 9.0, 1000);
        points.add(31_000, 11.0, 1000);
        let (points, holes) = points.finish();
        let facts = |point: &Point| {
            let Point { at_ms, mean, min, max, last, sum, count, p95 } = *point;
            ((at_ms, mean, min, max), (last, sum, count, p95))
        };
        assert_eq!(
            points.iter().map(facts).collect::<Vec<_>>(),
            [
                ((10_000, 108.0 / 5.0, 0.0, 100.0), (8.0, 108.0, Some(3), Some(90.8))),
                ((30_000, 2.0, 2.0, 2.0), (11.0, 2.0, Some(2), Some(2.0))),
            ],
            "the first bucket has no growth yet"
        );
        assert_eq!(holes, [(15_000, 30_000)]);
    }
}
