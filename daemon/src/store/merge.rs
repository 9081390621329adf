//! One series from sources that reach into each other: its samples in order, each once.
//!
//! Lanes are sealed at different times, so that a later segment may hold earlier samples. The sources are gone
//! through by their first sample; what none of those to come can be older than goes out. Memory holds what overlaps.

use std::{collections::VecDeque, rc::Rc, sync::Arc};

use super::{
    StoreError,
    heads::Chunk,
    points::Points,
    rollup::Rollup,
    segment::{Entry, SegmentFacts},
    segment_read::Segment,
    shared::Shared,
    sources::{interval_of, open},
    tier::Tier,
};
use crate::{logging::chain, series::SeriesId};

/// Segments that are kept open at once.
const OPEN_MOST: usize = 8;

/// Where samples of the series stand, and from when on.
struct Source<'a> {
    first_ms: i64,
    place: Place<'a>,
}

enum Place<'a> {
    Block(&'a Arc<SegmentFacts>, Entry),
    Chunk(&'a Chunk),
}

/// Something of the series, out of its source.
enum Part {
    /// Time, value, time between two.
    Sample(i64, f64, u32),
    Rollup(Rollup),
}

/// The samples of one series, wherever they stand.
pub(super) struct Merge<'a> {
    shared: &'a Shared,
    id: SeriesId,
    interval_ms: u32,
    opened: VecDeque<(u64, Rc<Segment>)>,
    /// What something to come may be older than.
    waiting: Vec<Part>,
    partial: bool,
}

impl Part {
    fn first_ms(&self) -> i64 {
        match self {
            Self::Sample(at_ms, ..) => *at_ms,
            Self::Rollup(rollup) => rollup.first_ms,
        }
    }
}

impl<'a> Merge<'a> {
    /// A merge of the series `id`, whose samples come every `interval_ms` where nothing else is known.
    pub(super) fn new(shared: &'a Shared, id: SeriesId, interval_ms: u32) -> Self {
        let (opened, waiting) = (VecDeque::new(), Vec::new());
        Self { shared, id, interval_ms, opened, waiting, partial: false }
    }

    /// Gives the samples within `within`, and one before it at least where there is one; whether something could
    /// not be read.
    pub(super) fn run(
        mut self,
        segments: impl Iterator<Item = &'a Arc<SegmentFacts>>,
        chunks: &[&'a Arc<Chunk>],
        (from_ms, to_ms): (i64, i64),
        points: &mut Points,
    ) -> bool {
        let mut sources = Vec::new();
        for facts in segments {
            let entries = self.entries(facts).unwrap_or_else(|error| self.left_out(&error));
            for entry in entries {
                let first_ms = facts.time_of(entry.first);
                if facts.time_of(entry.last) < from_ms {
                    points.pass(facts.time_of(entry.last));
                } else if first_ms < to_ms {
                    sources.push(Source { first_ms, place: Place::Block(facts, entry) });
                }
            }
        }
        for chunk in chunks.iter().filter(|chunk| chunk.series.binary_search(&self.id).is_ok()) {
            sources.push(Source { first_ms: chunk.first_ms, place: Place::Chunk(chunk) });
        }
        sources.sort_by_key(|source| source.first_ms);
        for source in sources {
            self.let_go(source.first_ms, points);
            match source.place {
                Place::Block(facts, entry) => {
                    if let Err(error) = self.block(facts, &entry) {
                        self.left_out::<()>(&error);
                    }
                }
                Place::Chunk(chunk) => self.chunk(chunk),
            }
        }
        self.let_go(i64::MAX, points);
        self.partial
    }

    /// Gives what is older than `before_ms`.
    fn let_go(&mut self, before_ms: i64, points: &mut Points) {
        // What is in order already costs next to nothing.
        self.waiting.sort_by_key(Part::first_ms);
        let older = self.waiting.partition_point(|part| part.first_ms() < before_ms);
        for part in self.waiting.drain(..older) {
            match part {
                Part::Sample(at_ms, value, interval_ms) => points.add(at_ms, value, interval_ms),
                Part::Rollup(rollup) => points.add_rollup(rollup),
            }
        }
    }

    fn block(&mut self, facts: &SegmentFacts, entry: &Entry) -> Result<(), StoreError> {
        let Some(segment) = self.segment(facts)? else { return Ok(()) };
        let times = segment.times(entry)?;
        if facts.tier != Tier::Raw {
            self.waiting.extend(segment.rollups(entry, &times)?.into_iter().map(Part::Rollup));
            return Ok(());
        }
        let samples = segment.values(entry, &times)?.into_iter();
        let interval_ms = interval_of(samples.as_slice(), self.interval_ms);
        let part = |(at_ms, value)| Part::Sample(at_ms, value, interval_ms);
        self.waiting.extend(samples.map(part));
        Ok(())
    }

    fn chunk(&mut self, chunk: &Chunk) {
        let Ok(wanted) = chunk.series.binary_search(&self.id) else { return };
        let mut read = (&mut self.waiting, None);
        let whole = chunk.read(
            &mut read,
            |(_, found), column, value| {
                if column == wanted {
                    *found = Some(value);
                }
            },
            |(waiting, found), at_ms| {
                let part = |value| Part::Sample(at_ms, value, chunk.interval_ms);
                waiting.extend(found.take().map(part));
            },
        );
        self.partial |= !whole;
    }

    fn entries(&mut self, facts: &SegmentFacts) -> Result<Vec<Entry>, StoreError> {
        let Some(segment) = self.segment(facts)? else { return Ok(Vec::new()) };
        let (entries, damaged) = segment.find(self.id)?;
        self.partial |= damaged;
        Ok(entries)
    }

    /// An open segment; `None` if retention has deleted it.
    fn segment(&mut self, facts: &SegmentFacts) -> Result<Option<Rc<Segment>>, StoreError> {
        if let Some((_, segment)) = self.opened.iter().find(|(id, _)| *id == facts.id) {
            return Ok(Some(segment.clone()));
        }
        let Some(segment) = open(self.shared, facts)?.map(Rc::new) else { return Ok(None) };
        if self.opened.len() == OPEN_MOST {
            self.opened.pop_front();
        }
        self.opened.push_back((facts.id, segment.clone()));
        Ok(Some(segment))
    }

    fn left_out<T: Default>(&mut self, error: &StoreError) -> T {
        tracing::error!(error = chain(error), "store left out a damaged block");
        self.partial = true;
        T::default()
    }
}
