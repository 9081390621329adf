//! Which pieces of a family are written together, and in which rows.
//!
//! What comes from elsewhere comes in lanes, whose times interleave; outside of log and segments a collector and its
//! lanes are one. So it is not pieces that are strung together but series: those that stand in the same pieces, or at
//! no other times, share their rows, and their blocks are as long as blocks may be.

use std::{
    collections::{BTreeMap, HashMap},
    rc::Rc,
};

use super::{pieces::Piece, rows::Rows};
use crate::series::SeriesId;

/// So many runs of a family may take in series of other pieces that stand at their times.
const OPEN_MOST: usize = 64;

/// Series of one family that are written in the same rows.
pub(super) struct Run {
    /// Each series, and the pieces of the family that have it.
    pub(super) columns: Vec<(SeriesId, Pieces)>,
    /// The times of all rows; none where rollups are written, which have their own.
    pub(super) times: Vec<i64>,
    pieces: Pieces,
}

/// Numbers of pieces of a family, ascending.
pub(super) type Pieces = Rc<[usize]>;

/// What of a family, whose pieces stand in `rows`, is written together in a raw segment.
pub(super) fn runs_of(family: &[Piece], rows: &[Rc<Rows>]) -> Vec<Run> {
    let mut alike: HashMap<Vec<usize>, Vec<SeriesId>> = HashMap::new();
    for (series, pieces) in pieces_of(family) {
        alike.entry(pieces).or_default().push(series);
    }
    let count =
        |pieces: &[usize]| -> usize { pieces.iter().map(|piece| rows[*piece].times.len()).sum() };
    let mut alike: Vec<(Pieces, Vec<SeriesId>)> =
        alike.into_iter().map(|(pieces, series)| (pieces.into(), series)).collect();
    alike.sort_by_cached_key(|(pieces, series)| (usize::MAX - count(pieces), series[0]));
    let mut runs: Vec<Run> = Vec::new();
    for (pieces, series) in alike {
        let columns = series.into_iter().map(|series| (series, pieces.clone()));
        let holds = |run: &Run| is_within(&pieces, &run.pieces);
        if let Some(run) = runs.iter_mut().take(OPEN_MOST).find(|run| holds(run)) {
            run.columns.extend(columns);
            continue;
        }
        let times = times_of(&pieces, rows);
        let holds = |run: &Run| is_within(&times, &run.times);
        match runs.iter_mut().take(OPEN_MOST).find(|run| holds(run)) {
            Some(run) => run.columns.extend(columns),
            None => runs.push(Run { columns: columns.collect(), times, pieces }),
        }
    }
    for run in &mut runs {
        run.columns.sort_unstable_by_key(|(series, _)| *series);
    }
    runs
}

/// A family as one run of rollups, which have rows of their own.
pub(super) fn one_run(family: &[Piece]) -> Run {
    let columns = pieces_of(family).into_iter().map(|(series, pieces)| (series, pieces.into()));
    Run { columns: columns.collect(), times: Vec::new(), pieces: Rc::default() }
}

/// The series of a family, and in which of its pieces each is.
fn pieces_of(family: &[Piece]) -> BTreeMap<SeriesId, Vec<usize>> {
    let mut of_series: BTreeMap<SeriesId, Vec<usize>> = BTreeMap::new();
    for (number, piece) in family.iter().enumerate() {
        for entry in &piece.entries {
            let pieces = of_series.entry(entry.series).or_default();
            if pieces.last() != Some(&number) {
                pieces.push(number);
            }
        }
    }
    of_series
}

/// The times of pieces, each once.
fn times_of(pieces: &[usize], rows: &[Rc<Rows>]) -> Vec<i64> {
    let times = pieces.iter().flat_map(|piece| &rows[*piece].times);
    let mut all: Vec<i64> = times.copied().collect();
    // A few runs that are in order: next to nothing to do.
    all.sort();
    all.dedup();
    all
}

/// Whether all of `few` are among `many`; both ascend.
fn is_within<T: Ord>(few: &[T], many: &[T]) -> bool {
    let mut rest = many.iter();
    let mut has = |one: &T| rest.by_ref().find(|other| *other >= one) == Some(one);
    few.len() <= many.len() && few.iter().all(&mut has)
}

#[cfg(test)]
mod tests {
    use std::ops::Range;

    use super::*;
    use crate::store::segment::{Entry, Place};

    fn piece(series: &[u32]) -> Piece {
        let place = Place { at: 0, length: 0 };
        let entry = |series: &u32| Entry {
            series: SeriesId(*series),
            first: 0,
            last: 0,
            times: place,
            values: place,
        };
        Piece { source: 0, entries: series.iter().map(entry).collect(), first_ms: 0 }
    }

    fn series_of(runs: &[Run]) -> Vec<Vec<u32>> {
        let of_run = |run: &Run| run.columns.iter().map(|(series, _)| series.0).collect();
        runs.iter().map(of_run).collect()
    }

    #[test]
    fn lanes_become_one_and_what_stands_at_other_times_stays_apart() {
        let family = [piece(&[1, 2]), piece(&[3, 4]), piece(&[1, 3]), piece(&[2, 4, 5])];
        let at = |times: Range<i64>| Rc::new(Rows { times: times.collect(), ..Rows::default() });
        let rows = [0..100, 0..100, 100..200, 100..200].map(at);
        let runs = runs_of(&family, &rows);
        assert_eq!(series_of(&runs), [[1, 2, 3, 4, 5]]);
        assert_eq!(runs[0].times, (0..200).collect::<Vec<_>>());
        assert_eq!(*runs[0].columns[2].1, [1, 2]);

        let apart = [0..100, 200..300, 100..200, 500..501].map(at);
        let runs = runs_of(&family, &apart);
        assert_eq!(series_of(&runs), [vec![1], vec![3], vec![2, 5], vec![4]]);
        assert_eq!(series_of(&[one_run(&family)]), [[1, 2, 3, 4, 5]]);
    }
}
