//! The rollups of one series as bytes: a column for each of their fields, as the codec of values writes them.
//!
//! ```text
//!  flags u8, a counter's places behind the point among them
//!  first_ms, last_ms from the start · interval_ms · samples that are missing · time that is not covered
//!  min · max · sum · [first] · last                       each column its length and its bytes
//! ```
//!
//! Their starts stand apart, since the series of a collector share them. What the others let expect is told by where it
//! departs from that, and only where it gives the same bits back: how many samples there are, what is covered, where a
//! counter begins (where it ended before) and ends (where it began, and its increase). A gauge has no first value.
//!
//! # Invariants
//!
//! - Counts, times, least, greatest, first and last values come back as they were; sums may have lost the noise that
//!   reckoning with decimals leaves behind them, and rates that are no decimals what is beyond seven digits.

use super::{
    codec::{Effort, put_values, read_values},
    decimal::{decimals, to_decimals},
    rollup::Rollup,
    wire::{Input, put_u64},
};
use crate::series::Kind;

/// A sum this close to a decimal, relatively, is one.
const NOISE: f64 = 1e-12;

const COUNTER: u8 = 1;
/// First and last values are those of the rollups themselves.
const PLAIN: u8 = 2;

/// Appends rollups but for their start.
pub(super) fn put_rollups(out: &mut Vec<u8>, kind: Kind, rollups: &[Rollup], effort: Effort) {
    let of_counter = kind == Kind::Counter;
    let scale = if of_counter { scale_of(rollups) } else { None };
    let (ends, come_back) = expected_ends(rollups, scale);
    let is_plain = of_counter && !come_back;
    let places = scale.map_or(0, |scale| (scale as u8 + 1) << 4);
    out.push(places | if of_counter { COUNTER } else { 0 } | if is_plain { PLAIN } else { 0 });
    let mut put = |field: &dyn Fn(&Rollup) -> f64| {
        let values: Vec<f64> = rollups.iter().map(field).collect();
        put_column(out, &values, effort);
        values
    };
    put(&|rollup| (rollup.first_ms - rollup.start_ms) as f64);
    put(&|rollup| (rollup.last_ms - rollup.start_ms) as f64);
    put(&|rollup| f64::from(rollup.interval_ms));
    put(&|rollup| {
        expected_count(rollup.first_ms, rollup.last_ms, rollup.interval_ms) - rollup.count as f64
    });
    put(&|rollup| {
        expected_cover(of_counter, rollup.first_ms, rollup.last_ms) - rollup.covered_ms as f64
    });
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

/// How many samples come between two, both within, if none is missing.
fn expected_count(first_ms: i64, last_ms: i64, interval_ms: u32) -> f64 {
    (last_ms.saturating_sub(first_ms) / i64::from(interval_ms).max(1)).saturating_add(1) as f64
}

/// For how long an increase is known, if none is missing.
fn expected_cover(of_counter: bool, first_ms: i64, last_ms: i64) -> f64 {
    if of_counter { last_ms.saturating_sub(first_ms) as f64 } else { 0.0 }
}

/// Which fields of rollups are read beside their times and counts: each column takes its time. The others are NaN.
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

/// Reads what [`put_rollups`] wrote for rollups that start at `starts`; `None` if no samples come to it.
pub(super) fn read_rollups(bytes: &[u8], starts: &[i64], fields: Fields) -> Option<Vec<Rollup>> {
    let mut input = Input::new(bytes);
    let flags = input.u8()?;
    let of_counter = flags & COUNTER != 0;
    let scale = usize::from(flags >> 4).checked_sub(1);
    let mut column = |is_needed: bool| {
        let length = input.count()?;
        let bytes = input.take(length)?;
        if is_needed { read_values(bytes, starts.len()) } else { Some(Vec::new()) }
    };
    let (first_ms, last_ms, interval_ms) = (column(true)?, column(true)?, column(true)?);
    let (missing, uncovered) = (column(true)?, column(true)?);
    let Fields { spread, ends } = fields;
    // Where a counter ends is told from its increase.
    let (min, max, sum) = (column(spread)?, column(spread)?, column(spread || ends)?);
    let first = if of_counter { column(ends)? } else { vec![0.0; starts.len()] };
    let last = column(ends)?;
    let read = |column: &[f64], row: usize| column.get(row).copied().unwrap_or(f64::NAN);
    let mut before = 0.0;
    let rollups = starts.iter().enumerate().map(|(row, &start_ms)| {
        let (first_ms, last_ms) = (first_ms[row] as i64, last_ms[row] as i64);
        let (first_ms, last_ms) =
            (start_ms.saturating_add(first_ms), start_ms.saturating_add(last_ms));
        let interval_ms = interval_ms[row] as u32;
        let (mut first, mut last, sum) = (read(&first, row), read(&last, row), read(&sum, row));
        if of_counter && flags & PLAIN == 0 {
            (first, last) = found_ends(before, sum, [first, last], scale);
            before = last;
        }
        Rollup {
            start_ms,
            first_ms,
            last_ms,
            interval_ms,
            count: (expected_count(first_ms, last_ms, interval_ms) - missing[row]) as u64,
            covered_ms: (expected_cover(of_counter, first_ms, last_ms) - uncovered[row]) as i64,
            min: read(&min, row),
            max: read(&max, row),
            sum,
            first,
            last,
        }
    });
    let rollups: Vec<Rollup> = rollups.collect();
    rollups.iter().all(is_sound).then_some(rollups)
}

/// Whether something that is reckoned with can be what samples come to.
fn is_sound(rollup: &Rollup) -> bool {
    rollup.start_ms <= rollup.first_ms
        && rollup.first_ms <= rollup.last_ms
        && rollup.count <= u32::MAX.into()
        && rollup.covered_ms >= 0
}

fn put_column(out: &mut Vec<u8>, values: &[f64], effort: Effort) {
    let mut column = Vec::new();
    put_values(&mut column, values, effort);
    put_u64(out, column.len() as u64);
    out.extend_from_slice(&column);
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
            let starts: Vec<i64> = rollups.iter().map(|rollup| rollup.start_ms).collect();
            let bytes = bytes_of(kind, &rollups);
            assert!(bytes.len() < 1440 * 8, "{kind:?}: {} bytes", bytes.len());
            for (one, other) in
                rollups.iter().zip(read_rollups(&bytes, &starts, Fields::ALL).unwrap())
            {
                assert!((one.sum - other.sum).abs() <= one.sum * 1e-11);
                assert_eq!(Rollup { sum: 0.0, ..*one }, Rollup { sum: 0.0, ..other });
            }
            for cut in 0..bytes.len() {
                assert_eq!(read_rollups(&bytes[..cut], &starts, Fields::ALL), None);
            }
        }
    }

    #[test]
    fn what_is_odd_comes_back_too() {
        let odd = [f64::NAN, -0.0, f64::INFINITY, 5e-324, f64::MAX, 0.1 + 0.2];
        for kind in [Kind::Gauge, Kind::Counter] {
            let samples = odd.iter().zip(0..).map(|(value, row)| (row * 20_000, *value));
            let rollups = fold_samples(kind, 60_000, 20_000, samples);
            let starts: Vec<i64> = rollups.iter().map(|rollup| rollup.start_ms).collect();
            let back = read_rollups(&bytes_of(kind, &rollups), &starts, Fields::ALL).unwrap();
            for (one, other) in rollups.iter().zip(back) {
                assert_eq!(one.last.to_bits(), other.last.to_bits());
                assert_eq!((one.first_ms, one.last_ms), (other.first_ms, other.last_ms));
            }
        }
    }

    #[test]
    fn what_no_samples_come_to_is_refused() {
        let sound = fold_samples(Kind::Gauge, 60_000, 1000, [(120_000, 1.0), (120_500, 2.0)])[0];
        let read = |rollup: Rollup| {
            read_rollups(&bytes_of(Kind::Gauge, &[rollup]), &[120_000], Fields::ALL)
        };
        assert_eq!(read(sound), Some(vec![sound]));
        for unsound in [
            Rollup { first_ms: 119_999, ..sound },
            Rollup { last_ms: 119_999, ..sound },
            Rollup { count: u64::MAX, ..sound },
            Rollup { covered_ms: -1, ..sound },
        ] {
            assert_eq!(read(unsound), None);
        }
    }
}
