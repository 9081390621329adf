//! Where the answer to a question stands, and one pass over it in order.
//!
//! Of one collector, what is in a segment that begins later is later, and the newest is in the heads; so each segment
//! is opened once, and nothing has to be sorted. Where that shows not to hold, because a collector has lanes, the
//! series is read again by [`Merge`].

use std::{collections::HashMap, io::ErrorKind, sync::Arc};

use super::{
    StoreError,
    asked::Asked,
    gaps::Stretch,
    heads::Chunk,
    merge::Merge,
    points::Points,
    segment::{Place, SegmentFacts},
    segment_read::Segment,
    shared::Shared,
    tier::Tier,
};
use crate::{logging::chain, series::SeriesId};

/// What one collector, its lanes included, has to the question.
#[derive(Default)]
pub(super) struct Recent {
    chunks: Vec<Arc<Chunk>>,
    pub(super) gaps: Vec<Stretch>,
    /// Time of the newest frame there ever was.
    pub(super) last_ms: Option<i64>,
    /// Time of the last frame in the heads that is too old for the question.
    pub(super) before_ms: Option<i64>,
}

/// What there is to a question.
pub(super) struct Sources {
    /// By collector.
    pub(super) recent: HashMap<Arc<str>, Recent>,
    /// Segments that reach into the time of the question, in the order of their first times.
    segments: Vec<Arc<SegmentFacts>>,
    /// Those that end before it, in the order of their last times.
    earlier: Vec<Arc<SegmentFacts>>,
    from_ms: i64,
    to_ms: i64,
    /// Whether something could not be read.
    pub(super) partial: bool,
    /// Whether a segment was gone: deleted by retention, or put together with others.
    pub(super) gone: bool,
}

impl Sources {
    /// What there is to `asked` of a server, as of `now_ms`.
    pub(super) fn find(shared: &Shared, server: &str, asked: &[Asked], now_ms: i64) -> Self {
        let shapes = || asked.iter().map(|asked| &asked.shape);
        let from_ms = shapes().map(|shape| shape.needed_from_ms()).min().unwrap_or(i64::MAX);
        let to_ms = shapes().map(|shape| shape.to_ms).max().unwrap_or(i64::MIN);
        let gaps_from_ms = shapes().map(|shape| shape.from_ms).min().unwrap_or(i64::MAX);
        let mut recent: HashMap<Arc<str>, Recent> = HashMap::new();
        // Segments and heads under one lock: sealing moves samples from one to the other.
        let view = shared.view();
        for stream in view.heads.of_server(server) {
            let base = view.heads.streams.get(stream.base).unwrap_or(stream);
            let recent = recent.entry(base.collector.clone()).or_default();
            recent.chunks.extend(stream.chunks_within(from_ms, to_ms));
            let gaps = stream.gaps.within(gaps_from_ms, to_ms).into_iter();
            recent.gaps.extend(gaps.map(|gap| gap.at(now_ms, stream.interval_ms)));
            recent.last_ms = recent.last_ms.max(stream.last_ms);
            let before = stream.chunks().map(|chunk| chunk.last_ms).filter(|at| *at < from_ms);
            recent.before_ms = recent.before_ms.max(before.max());
        }
        let before_end = view.segments.values().filter(|facts| facts.first_ms < to_ms);
        let (mut segments, mut earlier): (Vec<_>, Vec<_>) =
            before_end.cloned().partition(|facts| facts.last_ms >= from_ms);
        drop(view);
        segments.sort_by_key(|facts| facts.first_ms);
        earlier.sort_by_key(|facts| facts.last_ms);
        Self { recent, segments, earlier, from_ms, to_ms, partial: false, gone: false }
    }

    /// Feeds everything there is to `asked`.
    pub(super) fn read(&mut self, shared: &Shared, asked: &mut [Asked]) {
        for facts in &self.segments {
            if asked.iter().any(|asked| asked.wants(facts)) {
                let read = read_segment(shared, facts, (self.from_ms, self.to_ms), asked);
                let read = read.unwrap_or_else(|error| {
                    tracing::error!(error = chain(&error), "store left out a damaged segment");
                    Some(true)
                });
                self.gone |= read.is_none();
                self.partial |= read == Some(true);
            }
        }
        // A series may have moved from one collector to another: go by time, not by collector.
        let mut chunks: Vec<_> =
            self.recent.values().flat_map(|of_stream| &of_stream.chunks).collect();
        chunks.sort_by_key(|chunk| chunk.first_ms);
        for chunk in &chunks {
            self.partial |= !read_chunk(chunk, asked);
        }
        for asked in asked.iter_mut().filter(|asked| asked.points.is_disordered()) {
            let mut points = Points::new(asked.shape);
            let wanted = self.segments.iter().filter(|facts| asked.wants(facts));
            let merge = Merge::new(shared, asked.id, asked.series.interval_ms);
            let within = (self.from_ms, self.to_ms);
            self.partial |= merge.run(wanted, &chunks, within, &mut points);
            asked.points = points;
        }
    }

    /// For each series that begins with a hole, which of the tiers that were not read for it has the earliest of it,
    /// and from when on. None if those that were read have something older: then nothing is gone, the oldest goes
    /// first.
    pub(super) fn earliest(&self, shared: &Shared, asked: &[Asked]) -> Vec<Option<(i64, Tier)>> {
        let before: Vec<_> = asked.iter().map(Asked::nothing_until_ms).collect();
        let mut earliest = vec![None; asked.len()];
        for facts in &self.segments {
            let mut segment = Unopened(None);
            for ((asked, before_ms), earliest) in asked.iter().zip(&before).zip(&mut earliest) {
                let least_ms = earliest.map(|(first_ms, _)| first_ms).or(*before_ms);
                let Some(least_ms) = least_ms.filter(|least_ms| facts.first_ms < *least_ms) else {
                    continue;
                };
                if asked.wants(facts) {
                    continue;
                }
                let spans = segment.spans(shared, facts, asked.id).into_iter();
                let within = spans.filter(|(_, last_ms)| *last_ms >= self.from_ms);
                let first_ms = within.map(|(first_ms, _)| first_ms.max(self.from_ms)).min();
                if let Some(first_ms) = first_ms.filter(|first_ms| *first_ms < least_ms) {
                    *earliest = Some((first_ms, facts.tier));
                }
            }
        }
        for facts in self.earlier.iter().rev() {
            let mut segment = Unopened(None);
            for (asked, earliest) in asked.iter().zip(&mut earliest) {
                if earliest.is_some()
                    && asked.wants(facts)
                    && !segment.spans(shared, facts, asked.id).is_empty()
                {
                    *earliest = None;
                }
            }
        }
        earliest
    }

    /// Time of the last sample of a series in segments before those that were read.
    pub(super) fn previous(&self, shared: &Shared, id: SeriesId) -> Option<i64> {
        // What is in a coarser tier too is looked for there.
        let mut earlier = self.earlier.iter().rev().filter(|facts| !facts.folded);
        earlier.find_map(|facts| Some(Unopened(None).spans(shared, facts, id).last()?.1))
    }
}

/// A segment that is opened when it is first looked into, and then stays so.
struct Unopened(Option<Option<Segment>>);

impl Unopened {
    /// First and last times of what it has of a series. What cannot be read is told where it is read for its samples.
    fn spans(&mut self, shared: &Shared, facts: &SegmentFacts, id: SeriesId) -> Vec<(i64, i64)> {
        let opened = self.0.get_or_insert_with(|| open(shared, facts).ok().flatten());
        let Some(segment) = opened else { return Vec::new() };
        let (entries, _) = segment.find(id).unwrap_or_default();
        entries.iter().map(|entry| segment.span(entry)).collect()
    }
}

/// Feeds what a segment has: whether something of it could not be read, or nothing where the segment is gone.
fn read_segment(
    shared: &Shared,
    facts: &SegmentFacts,
    (from_ms, to_ms): (i64, i64),
    asked: &mut [Asked],
) -> Result<Option<bool>, StoreError> {
    let Some(segment) = open(shared, facts)? else { return Ok(None) };
    let mut partial = false;
    let mut times: Option<(Place, Vec<i64>)> = None;
    for asked in asked.iter_mut().filter(|asked| asked.wants(facts)) {
        let (entries, damaged) = segment.find(asked.id)?;
        partial |= damaged;
        for entry in entries {
            let (first, last) = segment.span(&entry);
            if last < from_ms {
                asked.points.pass(last);
                continue;
            }
            if first >= to_ms {
                break;
            }
            // The series of a collector share their times.
            let known = times.take().filter(|(place, _)| *place == entry.times);
            let read = known.map_or_else(|| segment.times(&entry), |(_, times)| Ok(times));
            let fed = read.and_then(|read| {
                if facts.tier == Tier::Raw {
                    let samples = segment.values(&entry, &read)?;
                    let interval_ms = interval_of(&samples, asked.series.interval_ms);
                    for (at_ms, value) in samples {
                        asked.points.add(at_ms, value, interval_ms);
                    }
                } else {
                    let rollups = segment.rollups(&entry, &read)?;
                    rollups.into_iter().for_each(|rollup| asked.points.add_rollup(rollup));
                }
                times = Some((entry.times, read));
                Ok(())
            });
            if let Err(error) = fed {
                tracing::error!(error = chain(&error), "store left out a damaged block");
                partial = true;
            }
        }
    }
    Ok(Some(partial))
}

/// Time between two samples of a block. Slots are whole multiples of it, so it is
/// the shortest there is; `otherwise` where there is but one sample.
pub(super) fn interval_of(samples: &[(i64, f64)], otherwise: u32) -> u32 {
    let apart = samples.windows(2).map(|pair| pair[1].0.saturating_sub(pair[0].0));
    apart.min().and_then(|apart| u32::try_from(apart).ok()).unwrap_or(otherwise)
}

/// Opens a segment; `None` if it has been deleted meanwhile.
pub(super) fn open(shared: &Shared, facts: &SegmentFacts) -> Result<Option<Segment>, StoreError> {
    let path = facts.path(&shared.segment_folder());
    match Segment::open(&path, facts.id) {
        Ok(segment) => Ok(Some(segment)),
        Err(StoreError::File { source, .. })
            if source.kind() == ErrorKind::NotFound
                && !shared.view().segments.contains_key(&facts.id) =>
        {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Feeds what a chunk has; whether all of it could be read.
fn read_chunk(chunk: &Chunk, asked: &mut [Asked]) -> bool {
    let mut columns: Vec<Option<usize>> = vec![None; chunk.series.len()];
    let mut any = false;
    for (place, asked) in asked.iter().enumerate() {
        if let Ok(column) = chunk.series.binary_search(&asked.id) {
            columns[column] = Some(place);
            any = true;
        }
    }
    if !any {
        return true;
    }
    let mut row = Vec::new();
    chunk.read(
        &mut (asked, &mut row),
        |(_, row), column, value| row.extend(columns[column].map(|place| (place, value))),
        |(asked, row), at_ms| {
            for (place, value) in row.drain(..) {
                asked[place].points.add(at_ms, value, chunk.interval_ms);
            }
        },
    )
}
