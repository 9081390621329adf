//! A bucket: what is remembered of the samples of one stretch, until they are a point.
//!
//! Of a counter whose rate is asked for, smallest and largest are those of its rates, and the mean is its growth over
//! the time that it was measured over: the same, however the samples were put together before.

use super::{
    point::{Point, p95},
    rollup::Rollup,
};
use crate::series::Growth;

/// The samples of one stretch, then those of the next.
#[derive(Debug)]
pub(super) struct Bucket {
    /// Begin of the stretch; none before the first.
    at_ms: Option<i64>,
    rate: bool,
    count: u64,
    sum: f64,
    min: f64,
    max: f64,
    /// The last value, and its time.
    last: f64,
    last_ms: i64,
    /// Time that growths were measured over.
    over_ms: i64,
    /// All values, where their percentile is wanted.
    values: Option<Vec<f64>>,
}

impl Bucket {
    /// None yet. With `rate`, samples are a counter's, and their growths make the point.
    pub(super) fn new(rate: bool, p95: bool) -> Self {
        let (min, max, values) = (f64::INFINITY, f64::NEG_INFINITY, p95.then(Vec::new));
        let (last, last_ms) = (f64::NAN, i64::MIN);
        let (at_ms, count, sum, over_ms) = (None, 0, 0.0, 0);
        Self { at_ms, rate, count, sum, min, max, last, last_ms, over_ms, values }
    }

    /// Goes on with the stretch that begins at `at_ms`; the point of the one before, if that ends here.
    pub(super) fn turn(&mut self, at_ms: i64) -> Option<Point> {
        if self.at_ms == Some(at_ms) {
            return None;
        }
        let point = self.finish();
        self.at_ms = Some(at_ms);
        point
    }

    /// Takes a sample, and of a counter how much it has grown, where that is known.
    ///
    /// A NaN is no value; alone in its stretch it makes the point one.
    pub(super) fn add(&mut self, at_ms: i64, value: f64, growth: Option<Growth>) {
        if value.is_nan() {
            return;
        }
        self.count += 1;
        self.ends(at_ms, value);
        if !self.rate {
            self.sum += value;
            self.spread(value, value);
            self.values.iter_mut().for_each(|values| values.push(value));
        } else if let Some(growth) = growth {
            self.grow(growth);
            self.values.iter_mut().for_each(|values| values.push(growth.per_second()));
        }
    }

    /// Takes samples of a gauge, in the order of time; a NaN is no value.
    pub(super) fn add_all(&mut self, times: &[i64], values: &[f64]) {
        let Self { mut count, mut sum, mut min, mut max, .. } = *self;
        for value in values.iter().filter(|value| !value.is_nan()) {
            count += 1;
            sum += value;
            (min, max) = (min.min(*value), max.max(*value));
        }
        (self.count, self.sum, self.min, self.max) = (count, sum, min, max);
        let numbers = || times.iter().zip(values).filter(|(_, value)| !value.is_nan());
        if let Some((at_ms, value)) = numbers().next_back() {
            self.ends(*at_ms, *value);
        }
        let kept = self.values.iter_mut();
        kept.for_each(|kept| kept.extend(numbers().map(|(_, value)| *value)));
    }

    /// Takes what samples come to, and of a counter how much it grew until the first of them.
    pub(super) fn add_rollup(&mut self, rollup: &Rollup, growth: Option<Growth>) {
        let Rollup { count, min, max, sum, covered_ms, last, last_ms, .. } = *rollup;
        self.count += count;
        if !last.is_nan() {
            self.ends(last_ms, last);
        }
        self.sum += sum;
        self.over_ms = self.over_ms.saturating_add(covered_ms);
        self.spread(min, max);
        if let Some(growth) = growth {
            self.grow(growth);
        }
    }

    /// The point, if there is one; nothing is left.
    pub(super) fn finish(&mut self) -> Option<Point> {
        let values = self.values.take();
        let empty = Self { values: None, ..Self::new(self.rate, false) };
        let Self { at_ms, count, sum, min, max, last, over_ms, .. } =
            std::mem::replace(self, empty);
        let known = values.map(|mut values| {
            let known = p95(&mut values);
            // The next stretch will need as much room.
            values.clear();
            self.values = Some(values);
            known
        });
        let at_ms = at_ms?;
        if self.rate && over_ms == 0 {
            return None;
        }
        let over = if self.rate { over_ms as f64 / 1000.0 } else { count as f64 };
        let mut point = Point { last, sum, count: Some(count), ..Point::unknown(at_ms) };
        if over > 0.0 {
            (point.mean, point.min, point.max) = (sum / over, min, max);
            point.p95 = known.flatten();
        }
        Some(point)
    }

    fn ends(&mut self, at_ms: i64, value: f64) {
        if at_ms >= self.last_ms {
            (self.last_ms, self.last) = (at_ms, value);
        }
    }

    fn grow(&mut self, growth: Growth) {
        let rate = growth.per_second();
        self.sum += growth.increase;
        self.over_ms = self.over_ms.saturating_add(growth.elapsed_ms);
        self.spread(rate, rate);
    }

    fn spread(&mut self, min: f64, max: f64) {
        self.min = self.min.min(min);
        self.max = self.max.max(max);
    }
}
