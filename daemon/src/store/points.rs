//! Samples into points: rates, buckets and holes of one series. Pure, and fed in order.
//!
//! Memory grows with the points that come out, never with the samples that go in.

use super::messages::Point;
use crate::series::Rate;

/// What a series is turned into, and how.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    /// First instant wanted.
    pub(super) from_ms: i64,
    /// First instant not wanted.
    pub(super) to_ms: i64,
    /// Time between two samples of the series, as it is now.
    pub(super) interval_ms: u32,
    /// Width of a bucket; none keeps every sample.
    pub(super) bucket_ms: Option<i64>,
    /// Whether to answer the rate per second.
    pub(super) rate: bool,
}

/// Takes samples and gives points.
#[derive(Debug)]
pub(super) struct Points {
    shape: Shape,
    rate: Option<Rate>,
    bucket: Option<Bucket>,
    points: Vec<Point>,
    /// Time of the newest sample that is too old to be of use.
    before_ms: Option<i64>,
    /// Times of the first and the last sample that were of use.
    first_ms: Option<i64>,
    last_ms: Option<i64>,
    /// Time between two samples when those two were taken.
    first_interval_ms: u32,
    last_interval_ms: u32,
    /// Stretches of more than three intervals between two samples.
    holes: Vec<(i64, i64)>,
    disordered: bool,
}

/// The values of one stretch.
#[derive(Debug, Clone, Copy)]
struct Bucket {
    at_ms: i64,
    count: u64,
    sum: f64,
    min: f64,
    max: f64,
}

impl Shape {
    /// The width of a bucket for about `points` points: a multiple of the interval,
    /// or none if every sample fits.
    pub(super) fn bucket_ms(range_ms: i64, points: usize, interval_ms: u32) -> Option<i64> {
        let points = i64::try_from(points).unwrap_or(i64::MAX).max(1);
        let interval_ms = i64::from(interval_ms).max(1);
        let width = range_ms / points + i64::from(range_ms % points > 0);
        let intervals = width / interval_ms + i64::from(width % interval_ms > 0);
        (intervals > 1).then(|| intervals.saturating_mul(interval_ms))
    }

    /// From when samples are needed: a rate needs the one before the first.
    pub(super) fn needed_from_ms(&self) -> i64 {
        self.from_ms.saturating_sub(3 * i64::from(self.interval_ms).max(1))
    }
}

impl Points {
    /// Starts with none.
    pub(super) fn new(shape: Shape) -> Self {
        Self {
            shape,
            rate: None,
            bucket: None,
            points: Vec::new(),
            before_ms: None,
            first_ms: None,
            last_ms: None,
            first_interval_ms: shape.interval_ms,
            last_interval_ms: shape.interval_ms,
            holes: Vec::new(),
            disordered: false,
        }
    }

    /// Takes the next sample, from a time when one came every `interval_ms`. One
    /// that is not newer than the last is left out.
    pub(super) fn add(&mut self, at_ms: i64, value: f64, interval_ms: u32) {
        if at_ms >= self.shape.to_ms || self.last_ms.is_some_and(|last| at_ms <= last) {
            self.disordered |= self.last_ms.is_some_and(|last| at_ms < last);
            return;
        }
        if at_ms < self.shape.needed_from_ms() {
            self.pass(at_ms);
            return;
        }
        // Where the interval was changed, the longer one counts.
        let longer_ms = interval_ms.max(self.last_interval_ms);
        match self.last_ms {
            None => (self.first_ms, self.first_interval_ms) = (Some(at_ms), interval_ms),
            Some(last) if at_ms.saturating_sub(last) > 3 * i64::from(longer_ms).max(1) => {
                let from_ms = last.saturating_add(i64::from(self.last_interval_ms).max(1));
                self.holes.push((from_ms, at_ms));
            }
            Some(_) => {}
        }
        (self.last_ms, self.last_interval_ms) = (Some(at_ms), interval_ms);
        let value = if self.shape.rate {
            match &mut self.rate {
                Some(rate) => rate.next(at_ms, value, longer_ms).per_second(),
                rate => {
                    *rate = Some(Rate::new(at_ms, value));
                    None
                }
            }
        } else {
            Some(value)
        };
        if let Some(value) = value.filter(|_| at_ms >= self.shape.from_ms) {
            self.point(at_ms, value);
        }
    }

    /// Whether a sample came behind a newer one, so that it was left out.
    pub(super) fn is_disordered(&self) -> bool {
        self.disordered
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
        self.points.extend(self.bucket.map(Bucket::point));
        (self.points, self.holes)
    }

    fn point(&mut self, at_ms: i64, value: f64) {
        let Some(width) = self.shape.bucket_ms else {
            self.points.push(Point { at_ms, mean: value, min: value, max: value });
            return;
        };
        // Buckets stand on the clock, so that they stay the same from one question to the next.
        let start = at_ms - at_ms.rem_euclid(width);
        match &mut self.bucket {
            Some(bucket) if bucket.at_ms == start => bucket.add(value),
            bucket => {
                let done = bucket.replace(Bucket::new(start, value));
                self.points.extend(done.map(Bucket::point));
            }
        }
    }
}

impl Bucket {
    fn new(at_ms: i64, value: f64) -> Self {
        let empty = Self { at_ms, count: 0, sum: 0.0, min: f64::INFINITY, max: f64::NEG_INFINITY };
        let mut bucket = empty;
        bucket.add(value);
        bucket
    }

    /// A NaN is no value; alone in its bucket it makes the point one.
    fn add(&mut self, value: f64) {
        if !value.is_nan() {
            self.count += 1;
            self.sum += value;
            self.min = self.min.min(value);
            self.max = self.max.max(value);
        }
    }

    fn point(self) -> Point {
        let Self { at_ms, count, sum, min, max } = self;
        if count == 0 {
            return Point { at_ms, mean: f64::NAN, min: f64::NAN, max: f64::NAN };
        }
        Point { at_ms, mean: sum / count as f64, min, max }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

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
                from_ms: from, to_ms: 300_000, interval_ms: 1000, bucket_ms: Some(width), rate: false,
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
    }
}
