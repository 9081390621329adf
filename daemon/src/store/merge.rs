//! One pass over the samples of many series, whose sources may reach into each other: each in order, and once.
//!
//! Lanes are sealed at different times, so that a later segment may hold earlier samples. Where everything stands is
//! known first, from indices and heads; the sources are then gone through by their first sample, each of them once for
//! all series that want it. What none of those to come can be older than goes out; nothing of a source that no other
//! reaches into has to wait.
//!
//! Memory holds the places of what is read, and what overlaps.

use std::{collections::VecDeque, rc::Rc, sync::Arc};

use super::{
    StoreError,
    asked::Asked,
    codec::ROWS_MAX,
    heads::Chunk,
    index::Index,
    kept_rows::KeptRows,
    points::Points,
    rollup::{Rollup, interval_of},
    segment::{Entry, SegmentFacts},
    segment_read::{Column, Segment},
    shared::Shared,
    sources::open,
    tier::Tier,
};
use crate::{logging::chain, series::SeriesId};

/// Segments that are kept open, and rows that are kept, at once.
const OPEN_MOST: usize = 64;
const ROWS_KEPT: usize = 16 * ROWS_MAX;

/// Where some of the samples stand.
struct Source<'a> {
    first_ms: i64,
    last_ms: i64,
    /// Whether no other source of its series reaches into it.
    is_alone: bool,
    place: From<'a>,
}

enum From<'a> {
    /// A block of this segment and of the series of this number.
    Block(usize, Entry, usize),
    /// A chunk, and the number of the series that each of its columns is, if that is asked for.
    Chunk(&'a Chunk, Vec<Option<usize>>),
}

/// What of a series was read and has to wait, since something to come may be older.
#[derive(Default)]
struct Waiting {
    /// Time, value, time between two.
    samples: Vec<(i64, f64, u32)>,
    rollups: Vec<Rollup>,
}

/// A pass; `asked` are those who are fed.
pub(super) struct Merge<'a> {
    shared: &'a Shared,
    asked: &'a mut [Asked],
    /// The asked by the number of their series.
    by_series: Vec<(SeriesId, usize)>,
    waiting: Vec<Waiting>,
    segments: &'a [Arc<SegmentFacts>],
    opened: VecDeque<(usize, Rc<Segment>)>,
    rows: KeptRows,
    found: Found,
}

/// What came of a pass beside the samples.
#[derive(Default)]
pub(super) struct Found {
    /// Whether something could not be read.
    pub(super) partial: bool,
    /// Whether a segment was gone.
    pub(super) gone: bool,
}

impl Waiting {
    fn is_empty(&self) -> bool {
        self.samples.is_empty() && self.rollups.is_empty()
    }

    /// Gives what is older than `before_ms`, in order.
    fn let_go(&mut self, before_ms: i64, points: &mut Points) {
        // What is in order already, or in a few runs, costs next to nothing.
        self.samples.sort_by_key(|(at_ms, ..)| *at_ms);
        self.rollups.sort_by_key(|rollup| rollup.first_ms);
        let samples = self.samples.partition_point(|(at_ms, ..)| *at_ms < before_ms);
        let rollups = self.rollups.partition_point(|rollup| rollup.first_ms < before_ms);
        let mut rollups = self.rollups.drain(..rollups).peekable();
        for (at_ms, value, interval_ms) in self.samples.drain(..samples) {
            while let Some(rollup) = rollups.next_if(|rollup| rollup.first_ms <= at_ms) {
                points.add_rollup(rollup);
            }
            points.add(at_ms, value, interval_ms);
        }
        rollups.for_each(|rollup| points.add_rollup(rollup));
    }
}

impl<'a> Merge<'a> {
    /// A pass over these segments.
    pub(super) fn new(
        shared: &'a Shared,
        segments: &'a [Arc<SegmentFacts>],
        asked: &'a mut [Asked],
    ) -> Self {
        let mut by_series: Vec<_> =
            asked.iter().enumerate().map(|(number, asked)| (asked.id, number)).collect();
        by_series.sort_unstable();
        let waiting = asked.iter().map(|_| Waiting::default()).collect();
        let (opened, rows, found) = (VecDeque::new(), KeptRows::new(ROWS_KEPT), Found::default());
        Self { shared, asked, by_series, waiting, segments, opened, rows, found }
    }

    /// Gives the samples within `within`, and one before it at least where there is one.
    pub(super) fn run(
        mut self,
        chunks: impl Iterator<Item = &'a Arc<Chunk>>,
        within: (i64, i64),
    ) -> Found {
        let mut sources = Vec::new();
        for number in 0..self.segments.len() {
            if let Err(error) = self.look_into(number, within, &mut sources) {
                self.left_out(&error);
            }
        }
        sources.extend(chunks.filter_map(|chunk| self.source_of(chunk)));
        // The series of a collector share their times: what stands together is read together.
        sources.sort_by_key(|source| match &source.place {
            From::Block(segment, entry, _) => (source.first_ms, *segment, entry.values.at),
            From::Chunk(..) => (source.first_ms, usize::MAX, 0),
        });
        self.find_alone(&mut sources);
        for source in sources {
            let read = match source.place {
                From::Block(segment, entry, number) => {
                    let points = &mut self.asked[number].points;
                    self.waiting[number].let_go(source.first_ms, points);
                    self.block((segment, &entry), number, source.is_alone)
                }
                From::Chunk(chunk, columns) => {
                    for number in columns.iter().flatten() {
                        let points = &mut self.asked[*number].points;
                        self.waiting[*number].let_go(source.first_ms, points);
                    }
                    self.chunk(chunk, &columns, source.is_alone);
                    Ok(())
                }
            };
            if let Err(error) = read {
                self.left_out(&error);
            }
        }
        for (waiting, asked) in self.waiting.iter_mut().zip(self.asked.iter_mut()) {
            waiting.let_go(i64::MAX, &mut asked.points);
        }
        self.found
    }

    /// Adds what a segment has of those who want it.
    fn look_into(
        &mut self,
        number: usize,
        (from_ms, to_ms): (i64, i64),
        sources: &mut Vec<Source<'a>>,
    ) -> Result<(), StoreError> {
        let facts = &self.segments[number];
        let wanted = |(_, asked): &(SeriesId, usize)| self.asked[*asked].wants(facts);
        let wanted: Vec<_> = self.by_series.iter().copied().filter(wanted).collect();
        if wanted.is_empty() {
            return Ok(());
        }
        let Some(segment) = self.segment(number)? else { return Ok(()) };
        let mut index = Index::default();
        for (id, asked) in wanted {
            let (entries, damaged) = index.find(&segment, id)?;
            self.found.partial |= damaged;
            for entry in entries {
                let (first_ms, last_ms) = segment.span(&entry);
                if last_ms < from_ms {
                    self.asked[asked].points.pass(last_ms);
                } else if first_ms < to_ms {
                    let place = From::Block(number, entry, asked);
                    sources.push(Source { first_ms, last_ms, is_alone: true, place });
                }
            }
        }
        Ok(())
    }

    /// What a chunk has of those who are asked for.
    fn source_of(&self, chunk: &'a Chunk) -> Option<Source<'a>> {
        let mut columns = vec![None; chunk.series.len()];
        for (id, number) in &self.by_series {
            if let Ok(column) = chunk.series.binary_search(id) {
                columns[column] = Some(*number);
            }
        }
        let is_wanted = columns.iter().any(Option::is_some);
        let (first_ms, last_ms) = (chunk.first_ms, chunk.last_ms);
        let place = From::Chunk(chunk, columns);
        is_wanted.then_some(Source { first_ms, last_ms, is_alone: true, place })
    }

    /// Finds out which sources the next one of the same series reaches into.
    fn find_alone(&self, sources: &mut [Source<'_>]) {
        let mut next_ms = vec![i64::MAX; self.asked.len()];
        for Source { first_ms, last_ms, is_alone, place } in sources.iter_mut().rev() {
            let mut is_before = |number: usize| {
                *is_alone &= *last_ms < std::mem::replace(&mut next_ms[number], *first_ms);
            };
            match place {
                From::Block(.., number) => is_before(*number),
                From::Chunk(_, columns) => columns.iter().flatten().copied().for_each(is_before),
            }
        }
    }

    fn block(
        &mut self,
        (segment, entry): (usize, &Entry),
        number: usize,
        is_alone: bool,
    ) -> Result<(), StoreError> {
        let tier = self.segments[segment].tier;
        let Some(opened) = self.segment(segment)? else { return Ok(()) };
        let rows = self.rows.of(&opened, entry)?;
        let (asked, waiting) = (&mut self.asked[number], &mut self.waiting[number]);
        let direct = is_alone && waiting.is_empty();
        if tier == Tier::Raw {
            let Column { own_times, values } = opened.column(entry, &rows.times)?;
            let times = own_times.as_deref().unwrap_or(&rows.times);
            let interval_ms = interval_of(times.iter().copied(), asked.series.interval_ms);
            if direct {
                asked.points.add_run(times, &values, interval_ms);
            } else {
                let samples = times.iter().zip(values);
                waiting.samples.extend(samples.map(|(at_ms, value)| (*at_ms, value, interval_ms)));
            }
        } else {
            let rollups = opened.rollups(entry, &rows, asked.fields)?;
            if direct {
                rollups.into_iter().for_each(|rollup| asked.points.add_rollup(rollup));
            } else {
                waiting.rollups.extend(rollups);
            }
        }
        Ok(())
    }

    fn chunk(&mut self, chunk: &Chunk, columns: &[Option<usize>], is_alone: bool) {
        let (asked, waiting) = (&mut *self.asked, &mut self.waiting);
        let direct = is_alone && columns.iter().flatten().all(|number| waiting[*number].is_empty());
        let interval_ms = chunk.interval_ms;
        let mut row = Vec::new();
        let whole = chunk.read(
            &mut row,
            |row, column, value| row.extend(columns[column].map(|number| (number, value))),
            |row, at_ms| {
                for (number, value) in row.drain(..) {
                    if direct {
                        asked[number].points.add(at_ms, value, interval_ms);
                    } else {
                        waiting[number].samples.push((at_ms, value, interval_ms));
                    }
                }
            },
        );
        self.found.partial |= !whole;
    }

    /// An open segment; `None` if it is gone.
    fn segment(&mut self, number: usize) -> Result<Option<Rc<Segment>>, StoreError> {
        if let Some((_, segment)) = self.opened.iter().rev().find(|(of, _)| *of == number) {
            return Ok(Some(segment.clone()));
        }
        let Some(segment) = open(self.shared, &self.segments[number])?.map(Rc::new) else {
            self.found.gone = true;
            return Ok(None);
        };
        if self.opened.len() == OPEN_MOST {
            self.opened.pop_front();
        }
        self.opened.push_back((number, segment.clone()));
        Ok(Some(segment))
    }

    fn left_out(&mut self, error: &StoreError) {
        tracing::error!(error = chain(error), "store left out what is damaged");
        self.found.partial = true;
    }
}
