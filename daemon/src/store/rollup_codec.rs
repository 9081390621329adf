//! The rollups of one series as bytes: a column for each of their fields, as the codec of values writes them.
//!
//! ```text
//!  flags u8, a counter's places behind the point among them
//!  [time that is not covered] · min · max · sum · [first] · last         each column its length and its bytes
//! ```
//!
//! Their times and counts stand apart, in [`super::rows`], since the series of a collector share them. What the others
//! let expect is told by where it departs from that, and only where it gives the same bits back: what is covered, where
//! a counter begins (where it ended before) and ends (where it began, and its increase). A gauge has no first value.
//!
//! # Invariants
//!
//! - What is covered, least, greatest, first and last values come back as they were; sums may have lost the noise that
//!   reckoning with decimals leaves behind them, and rates that are no decimals what is beyond seven digits.

use super::{
    codec::{Effort, read_values},
    decimal::{decimals, to_decimals},
    rollup::Rollup,
    rows::{Extent, Rows, next_column, put_column},
    wire::Input,
};
use crate::series::Kind;

/// A sum this close to a decimal, relatively, is one.
const NOISE: f64 = 1e-12;

const COUNTER: u8 = 1;
/// First and last values are those of the rollups themselves.
const PLAIN: u8 = 2;
/// All that could be covered is.
const COVERED: u8 = 4;

/// Appends rollups but for their rows.
pub(super) fn put_rollups(out: &mut Vec<u8>, kind: Kind, rollups: &[Rollup], effort: Effort) {
    let of_counter = kind == Kind::Counter;
    let scale = if of_counter { scale_of(rollups) } else { None };
    let (ends, come_back) = expected_ends(rollups, scale);
    let is_plain = of_counter && !come_back;
    let uncovered = rollups.iter().map(|rollup| {
        (expected_cover(of_counter, rollup.first_ms, rollup.last_ms) - rollup.covered_ms) as f64
    });
    let uncovered: Vec<f64> = uncovered.collect();
    let is_covered = uncovered.iter().all(|uncovered| *uncovered == 0.0);
    let places = scale.map_or(0, |scale| (scale as u8 + 1) << 4);
    let flags = [(of_counter, COUNTER), (is_plain, PLAIN), (is_covered, COVERED)];
    let flags = flags.iter().filter(|(is_so, _)| *is_so);
    out.push(flags.fold(places, |flags, (_, flag)| flags | flag));
    if !is_covered {
        put_column(out, &uncovered, effort);
    }
    let mut put = |field: &dyn Fn(&Rollup) -> f64| {
        let values: Vec<f64> = rollups.iter().map(field).collect();
        put_column(out, &values, effort);
        values
    };
    if !of_counter {
        let min = put(&|rollup| rollup.min);
        let max = put(&|rollup| rollup.max);
        let scale = decimals(&min).and_then(|least| Some(least.max(decimals(&max)?)));
        put(&|rollup| without_noise(rollup.sum, scale, rollup.sum));
        put(&|rollup| rollup.last);
        return;
    }
    // Both or none: the least stays the least.
    let rates: Vec<f64> = rollups.iter().flat_map(|rollup| [rollup.min, rollup.max]).collect();
    let are_decimals = decimals(&rates).is_some();
    let told = |rate: f64| if are_decimals { rate } else { shorter(rate) };
    put(&|rollup| told(rollup.min));
    put(&|rollup| told(rollup.max));
    put(&|rollup| increase(rollup, scale));
    if is_plain {
        put(&|rollup| rollup.first);
        put(&|rollup| rollup.last);
    } else {
        for end in 0..2 {
            let departs: Vec<f64> = ends.iter().map(|ends| ends[end]).collect();
            put_column(out, &departs, effort);
        }
    }
}

/// The places behind the point that all a counter stood at has, if it stood at decimals.
fn scale_of(rollups: &[Rollup]) -> Option<usize> {
    let ends: Vec<f64> = rollups.iter().flat_map(|rollup| [rollup.first, rollup.last]).collect();
    decimals(&ends)
}

/// How a counter's first and last values depart from what is expected of them, and whether they come back from that.
fn expected_ends(rollups: &[Rollup], scale: Option<usize>) -> (Vec<[f64; 2]>, bool) {
    let (mut before, mut come_back) = (0.0, true);
    let ends = rollups.iter().map(|rollup| {
        let sum = increase(rollup, scale);
        let departs = [rollup.first - before, rollup.last - (rollup.first + sum)];
        let departs = departs.map(|departs| without_noise(departs, scale, rollup.last));
        let found = found_ends(before, sum, departs, scale);
        let bits = |(first, last): (f64, f64)| (first.to_bits(), last.to_bits());
        come_back &= bits(found) == bits((rollup.first, rollup.last));
        before = rollup.last;
        departs
    });
    (ends.collect(), come_back)
}

/// The first and last values that depart so from what is expected.
fn found_ends(before: f64, sum: f64, departs: [f64; 2], scale: Option<usize>) -> (f64, f64) {
    let tidy = |end: f64| without_noise(end, scale, end);
    let first = tidy(before + departs[0]);
    (first, tidy(first + sum + departs[1]))
}

/// A counter's increase, without the noise of what it stood at.
fn increase(rollup: &Rollup, scale: Option<usize>) -> f64 {
    without_noise(rollup.sum, scale, rollup.last)
}

/// For how long an increase is known, if none is missing.
fn expected_cover(of_counter: bool, first_ms: i64, last_ms: i64) -> i64 {
    if of_counter { last_ms.saturating_sub(first_ms) } else { 0 }
}

/// Which fields of rollups are read beside their rows: each column takes its time. The others are NaN.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fields {
    /// Least, greatest and sum; a counter's rates and increase.
    pub(super) spread: bool,
    /// First and last.
    pub(super) ends: bool,
}

impl Fields {
    /// All there are.
    pub(super) const ALL: Self = Self { spread: true, ends: true };
}

/// Reads what [`put_rollups`] wrote for rollups in these rows; `None` if no samples come to it.
pub(super) fn read_rollups(bytes: &[u8], rows: &Rows, fields: Fields) -> Option<Vec<Rollup>> {
    let length = rows.extents.len();
    let mut input = Input::new(bytes);
    let flags = input.u8()?;
    let of_counter = flags & COUNTER != 0;
    let scale = usize::from(flags >> 4).checked_sub(1);
    let mut column = |is_needed: bool| {
        let bytes = next_column(&mut input)?;
        if is_needed { read_values(bytes, length) } else { Some(Vec::new()) }
    };
    let Fields { spread, ends } = fields;
    let uncovered = if flags & COVERED == 0 { column(true)? } else { Vec::new() };
    // Where a counter ends is told from its increase.
    let (min, max, sum) = (column(spread)?, column(spread)?, column(spread || ends)?);
    let first = if of_counter { column(ends)? } else { vec![0.0; length] };
    let last = column(ends)?;
    let read = |column: &[f64], row: usize| column.get(row).copied().unwrap_or(f64::NAN);
    let mut before = 0.0;
    let rollups =
        rows.times.iter().zip(&rows.extents).enumerate().map(|(row, (start_ms, extent))| {
            let Extent { first_ms, last_ms, interval_ms, count } = *extent;
            let (mut first, mut last, sum) = (read(&first, row), read(&last, row), read(&sum, row));
            if of_counter && flags & PLAIN == 0 {
                (first, last) = found_ends(before, sum, [first, last], scale);
                before = last;
            }
            let uncovered = uncovered.get(row).map_or(0, |uncovered| *uncovered as i64);
            let covered_ms = expected_cover(of_counter, first_ms, last_ms).checked_sub(uncovered);
            Some(Rollup {
                start_ms: *start_ms,
                first_ms,
                last_ms,
                interval_ms,
                count,
                covered_ms: covered_ms.filter(|covered_ms| *covered_ms >= 0)?,
                min: read(&min, row),
                max: read(&max, row),
                sum,
                first,
                last,
            })
        });
    rollups.collect()
}

/// What was reckoned with decimals of `scale` places, the largest about `of`, as one, if it is one but for rounding.
fn without_noise(reckoned: f64, scale: Option<usize>, of: f64) -> f64 {
    let decimal = scale.map_or(reckoned, |scale| to_decimals(reckoned, scale));
    if (decimal - reckoned).abs() <= of.abs() * NOISE { decimal } else { reckoned }
}

/// With seven digits: nobody reads more of a rate.
fn shorter(rate: f64) -> f64 {
    if rate.is_finite() { format!("{rate:.6e}").parse().unwrap_or(rate) } else { rate }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed test should stop")]
    use super::*;
    use crate::store::rollup::fold_samples;

    fn bytes_of(kind: Kind, rollups: &[Rollup]) -> Vec<u8> {
        let mut bytes = Vec::new();
        put_rollups(&mut bytes, kind, rollups, Effort::Settled);
        bytes
    }

    #[test]
    fn rollups_come_back_and_take_little_room() {
        let samples = (0..86_400i64).map(|row| (row * 1000, (row % 1000) as f64 / 10.0));
        let gauges = fold_samples(Kind::Gauge, 60_000, 1000, samples);
        let total = (0..86_400i64).map(|row| (row * 1000, (row * row / 1000) as f64));
        let counters = fold_samples(Kind::Counter, 60_000, 1000, total);
        for (kind, rollups) in [(Kind::Gauge, gauges), (Kind::Counter, counters)] {
            let rows = Rows::of(&rollups);
            let bytes = bytes_of(kind, &rollups);
            assert!(bytes.len() < 1440 * 8, "{kind:?}: {} bytes", bytes.len());
            for (one, other) in
                rollups.iter().zip(read_rollups(&bytes, &rows, Fields::ALL).unwrap())
            {
                assert!((one.sum - other.sum).abs() <= one.sum * 1e-11);
                assert_eq!(Rollup { sum: 0.0, ..*one }, Rollup { sum: 0.0, ..other });
            }
            for cut in 0..bytes.len() {
                assert_eq!(read_rollups(&bytes[..cut], &rows, Fields::ALL), None);
            }
        }
    }

    #[test]
    fn what_is_odd_comes_back_too() {
        let odd = [f64::NAN, -0.0, f64::INFINITY, 5e-324, f64::MAX, 0.1 + 0.2];
        for kind in [Kind::Gauge, Kind::Counter] {
            let samples = odd.iter().zip(0..).map(|(value, row)| (row * 20_000, *value));
            let rollups = fold_samples(kind, 60_000, 20_000, samples);
            let bytes = bytes_of(kind, &rollups);
            let back = read_rollups(&bytes, &Rows::of(&rollups), Fields::ALL).unwrap();
            for (one, other) in rollups.iter().zip(back) {
                assert_eq!(one.last.to_bits(), other.last.to_bits());
            }
        }
    }

    #[test]
    fn what_is_not_covered_comes_back_unless_it_is_more_than_there_is() {
        let sound = fold_samples(Kind::Counter, 60_000, 1000, [(120_000, 1.0), (120_500, 2.0)])[0];
        let read = |rollup: Rollup| {
            let bytes = bytes_of(Kind::Counter, &[rollup]);
            read_rollups(&bytes, &Rows::of(&[rollup]), Fields::ALL)
        };
        for covered_ms in [sound.covered_ms, 100] {
            let rollup = Rollup { covered_ms, ..sound };
            assert_eq!(read(rollup), Some(vec![rollup]));
        }
        assert_eq!(read(Rollup { covered_ms: -1, ..sound }), None);
    }
}
