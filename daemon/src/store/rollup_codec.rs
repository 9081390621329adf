//! The rollups of one series as bytes: a column for each of their fields, as the codec of values writes them.
//!
//! ```text
//!  their times stand apart, since the series of a collector share them
//!  first_ms, last_ms from the start · interval_ms · count · covered_ms · min · max · sum · first · last
//!  each column its length and its bytes
//! ```
//!
//! # Invariants
//!
//! - Counts, times, least, greatest, first and last values come back as they were; a gauge's sum may have lost the
//!   noise that adding decimals leaves behind them, and rates that are no decimals what an f32 does not hold.

use super::{
    codec::{Effort, decimals, put_values, read_values, to_decimals},
    rollup::Rollup,
    wire::{Input, put_u64},
};
use crate::series::Kind;

/// A sum this close to a decimal, relatively, is one.
const NOISE: f64 = 1e-12;

/// Appends rollups but for their start.
pub(super) fn put_rollups(out: &mut Vec<u8>, kind: Kind, rollups: &[Rollup], effort: Effort) {
    let mut put = |field: &dyn Fn(&Rollup) -> f64| {
        let values: Vec<f64> = rollups.iter().map(field).collect();
        put_column(out, &values, effort);
        values
    };
    put(&|rollup| (rollup.first_ms - rollup.start_ms) as f64);
    put(&|rollup| (rollup.last_ms - rollup.start_ms) as f64);
    put(&|rollup| f64::from(rollup.interval_ms));
    put(&|rollup| rollup.count as f64);
    put(&|rollup| rollup.covered_ms as f64);
    match kind {
        Kind::Gauge => {
            let min = put(&|rollup| rollup.min);
            let max = put(&|rollup| rollup.max);
            let scale = decimals(&min).and_then(|least| Some(least.max(decimals(&max)?)));
            put(&|rollup| scale.map_or(rollup.sum, |scale| without_noise(rollup.sum, scale)));
        }
        Kind::Counter => {
            for rate in [|rollup: &Rollup| rollup.min, |rollup: &Rollup| rollup.max] {
                let rates: Vec<f64> = rollups.iter().map(rate).collect();
                let is_decimal = decimals(&rates).is_some();
                put(&|rollup| if is_decimal { rate(rollup) } else { shorter(rate(rollup)) });
            }
            put(&|rollup| rollup.sum);
        }
    }
    put(&|rollup| rollup.first);
    put(&|rollup| rollup.last);
}

/// Reads what [`put_rollups`] wrote for rollups that start at `starts`.
pub(super) fn read_rollups(bytes: &[u8], starts: &[i64]) -> Option<Vec<Rollup>> {
    let mut input = Input::new(bytes);
    let mut column = || {
        let length = input.count()?;
        read_values(input.take(length)?, starts.len())
    };
    let (first_ms, last_ms, interval_ms) = (column()?, column()?, column()?);
    let (count, covered_ms) = (column()?, column()?);
    let (min, max, sum) = (column()?, column()?, column()?);
    let (first, last) = (column()?, column()?);
    let rollups = starts.iter().enumerate().map(|(row, &start_ms)| Rollup {
        start_ms,
        first_ms: start_ms.saturating_add(first_ms[row] as i64),
        last_ms: start_ms.saturating_add(last_ms[row] as i64),
        interval_ms: interval_ms[row] as u32,
        count: count[row] as u64,
        covered_ms: covered_ms[row] as i64,
        min: min[row],
        max: max[row],
        sum: sum[row],
        first: first[row],
        last: last[row],
    });
    Some(rollups.collect())
}

fn put_column(out: &mut Vec<u8>, values: &[f64], effort: Effort) {
    let mut column = Vec::new();
    put_values(&mut column, values, effort);
    put_u64(out, column.len() as u64);
    out.extend_from_slice(&column);
}

/// A sum of decimals of `scale` places as one, if it is one but for rounding.
fn without_noise(sum: f64, scale: usize) -> f64 {
    let decimal = to_decimals(sum, scale);
    if (decimal - sum).abs() <= sum.abs() * NOISE { decimal } else { sum }
}

/// With as many digits as anybody reads of a rate.
fn shorter(rate: f64) -> f64 {
    let short = f64::from(rate as f32);
    if short.is_finite() == rate.is_finite() { short } else { rate }
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
            for (one, other) in rollups.iter().zip(read_rollups(&bytes, &starts).unwrap()) {
                assert!((one.sum - other.sum).abs() <= one.sum * 1e-11);
                assert_eq!(Rollup { sum: 0.0, ..*one }, Rollup { sum: 0.0, ..other });
            }
            for cut in 0..bytes.len() {
                assert_eq!(read_rollups(&bytes[..cut], &starts), None);
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
            let back = read_rollups(&bytes_of(kind, &rollups), &starts).unwrap();
            for (one, other) in rollups.iter().zip(back) {
                assert_eq!(one.last.to_bits(), other.last.to_bits());
                assert_eq!((one.first_ms, one.last_ms), (other.first_ms, other.last_ms));
            }
        }
    }
}
