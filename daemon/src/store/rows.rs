//! The rows that the columns of a collector share: the times of samples, or the stretches of rollups.
//!
//! ```text
//!  samples  rows as in `wire` · their times
//!  rollups  rows as in `wire` · begins · first_ms, last_ms from there · interval_ms · samples that are missing
//!                               each its length and its bytes
//! ```
//!
//! Missing are those that would fit between the first and the last sample of a stretch, and are not there: mostly none,
//! which takes next to no room.

use std::ops::Range;

use super::{
    codec::{Effort, ROWS_MAX, put_times, put_values, read_times, read_values},
    rollup::Rollup,
    wire::{Input, put_u64},
};

/// The rows of a group of columns.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Rows {
    /// When samples were taken; of rollups, when their stretches begin.
    pub(super) times: Vec<i64>,
    /// What each of those stretches has; nothing where the rows are samples.
    pub(super) extents: Vec<Extent>,
}

/// From when to when a stretch has samples, and how many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Extent {
    /// Times of the first and the last of them.
    pub(super) first_ms: i64,
    pub(super) last_ms: i64,
    /// Time between two samples, in milliseconds.
    pub(super) interval_ms: u32,
    /// How many values there are, a NaN being none.
    pub(super) count: u64,
}

impl Rows {
    /// Those of rollups.
    pub(super) fn of(rollups: &[Rollup]) -> Self {
        let extents = rollups.iter().map(|rollup| {
            let Rollup { first_ms, last_ms, interval_ms, count, .. } = *rollup;
            Extent { first_ms, last_ms, interval_ms, count }
        });
        let times = rollups.iter().map(|rollup| rollup.start_ms);
        Self { times: times.collect(), extents: extents.collect() }
    }

    /// Whether they ascend, and all they tell is of these times.
    pub(super) fn are_of(&self, held: &Range<i64>) -> bool {
        let ends = self.extents.iter().flat_map(|extent| [&extent.first_ms, &extent.last_ms]);
        self.times.is_sorted_by(|one, other| one < other)
            && self.times.iter().chain(ends).all(|at_ms| held.contains(at_ms))
    }
}

impl Extent {
    /// How many samples there would be if none were missing.
    fn expected(&self) -> f64 {
        let between = self.last_ms.saturating_sub(self.first_ms);
        (between / i64::from(self.interval_ms).max(1)).saturating_add(1) as f64
    }
}

/// Appends rows, whose times ascend.
pub(super) fn put_rows(out: &mut Vec<u8>, rows: &Rows, effort: Effort) {
    put_u64(out, rows.times.len() as u64);
    if rows.extents.is_empty() {
        put_times(out, &rows.times);
        return;
    }
    put_bytes(out, |out| put_times(out, &rows.times));
    let mut put = |field: &dyn Fn(&Extent, i64) -> f64| {
        let values = rows.extents.iter().zip(&rows.times);
        let values: Vec<f64> = values.map(|(extent, begin_ms)| field(extent, *begin_ms)).collect();
        put_column(out, &values, effort);
    };
    put(&|extent, begin_ms| (extent.first_ms - begin_ms) as f64);
    put(&|extent, begin_ms| (extent.last_ms - begin_ms) as f64);
    put(&|extent, _| f64::from(extent.interval_ms));
    put(&|extent, _| extent.expected() - extent.count as f64);
}

/// Reads what [`put_rows`] wrote for samples, or for rollups; `None` if it cannot have.
pub(super) fn read_rows(bytes: &[u8], of_rollups: bool) -> Option<Rows> {
    let mut input = Input::new(bytes);
    let rows = input.u32().map(|rows| rows as usize).filter(|rows| *rows <= ROWS_MAX)?;
    if !of_rollups {
        return Some(Rows { times: read_times(input.rest(), rows)?, extents: Vec::new() });
    }
    let times = read_times(next_column(&mut input)?, rows)?;
    let mut column = || read_values(next_column(&mut input)?, rows);
    let (firsts, lasts, intervals, missing) = (column()?, column()?, column()?, column()?);
    let extents = times.iter().enumerate().map(|(row, begin_ms)| {
        let from_begin = |ms: f64| begin_ms.saturating_add(ms as i64);
        let (first_ms, last_ms) = (from_begin(firsts[row]), from_begin(lasts[row]));
        let interval_ms = intervals[row] as u32;
        let extent = Extent { first_ms, last_ms, interval_ms, count: 0 };
        let count = (extent.expected() - missing[row]) as u64;
        let is_sound = *begin_ms <= first_ms && first_ms <= last_ms && count <= u32::MAX.into();
        is_sound.then_some(Extent { count, ..extent })
    });
    Some(Rows { extents: extents.collect::<Option<_>>()?, times })
}

/// Appends a column and, before it, its length.
pub(super) fn put_column(out: &mut Vec<u8>, values: &[f64], effort: Effort) {
    put_bytes(out, |out| put_values(out, values, effort));
}

/// The bytes of the next of the columns that stand one behind the other.
pub(super) fn next_column<'a>(input: &mut Input<'a>) -> Option<&'a [u8]> {
    let length = input.count()?;
    input.take(length)
}

fn put_bytes(out: &mut Vec<u8>, put: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = Vec::new();
    put(&mut bytes);
    put_u64(out, bytes.len() as u64);
    out.extend_from_slice(&bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes_of(rows: &Rows) -> Vec<u8> {
        let mut bytes = Vec::new();
        put_rows(&mut bytes, rows, Effort::Settled);
        bytes
    }

    #[test]
    fn rows_come_back() {
        let times: Vec<i64> = (0..300).map(|row| row * 60_000 + row % 7).collect();
        let samples = Rows { times: times.clone(), extents: Vec::new() };
        let extents = times.iter().map(|begin_ms| Extent {
            first_ms: begin_ms + 3,
            last_ms: begin_ms + 59_003,
            interval_ms: 1000,
            count: 60 - (*begin_ms as u64 & 1),
        });
        let rollups = Rows { extents: extents.collect(), times };
        for rows in [samples, rollups] {
            let of_rollups = !rows.extents.is_empty();
            let bytes = bytes_of(&rows);
            assert_eq!(read_rows(&bytes, of_rollups).as_ref(), Some(&rows));
            for cut in 0..bytes.len() {
                assert_eq!(read_rows(&bytes[..cut], of_rollups), None);
            }
        }
    }

    #[test]
    fn rows_that_no_samples_come_to_are_refused() {
        let sound = Extent { first_ms: 120_000, last_ms: 120_500, interval_ms: 1000, count: 2 };
        let read = |extent: Extent| {
            let rows = Rows { times: vec![120_000], extents: vec![extent] };
            read_rows(&bytes_of(&rows), true).map(|rows| rows.extents[0])
        };
        assert_eq!(read(sound), Some(sound));
        for unsound in [
            Extent { first_ms: 119_999, ..sound },
            Extent { last_ms: 119_999, ..sound },
            Extent { count: u64::MAX, ..sound },
        ] {
            assert_eq!(read(unsound), None);
        }
    }
}
