//! Where the answer to a question stands, for one pass over it by [`Merge`].

use std::{collections::HashMap, io::ErrorKind, sync::Arc};

use super::{
    StoreError, asked::Asked, gaps::Stretch, heads::Chunk, index::Index, merge::Merge,
    segment::SegmentFacts, segment_read::Segment, shared::Shared, tier::Tier,
};
use crate::series::{Series, SeriesId};

/// So many series of a collector say when there was something of it.
const WITNESSES: usize = 16;

/// What one collector, its lanes included, has to the question.
#[derive(Default)]
pub(super) struct Recent {
    chunks: Vec<Arc<Chunk>>,
    pub(super) gaps: Vec<Stretch>,
    /// Time of the newest frame there ever was.
    pub(super) last_ms: Option<i64>,
    /// Where chunks end that are too old for the question, and which series they are of.
    earlier: Vec<(i64, Arc<[SeriesId]>)>,
}

impl Recent {
    /// Time of the last frame with a series in the heads that is too old for the question.
    pub(super) fn before_ms(&self, id: SeriesId) -> Option<i64> {
        let of_series = |(_, series): &&(i64, Arc<[SeriesId]>)| series.binary_search(&id).is_ok();
        self.earlier.iter().filter(of_series).map(|(last_ms, _)| *last_ms).max()
    }
}

/// First and last times of blocks.
type Spans = Arc<[(i64, i64)]>;

/// What there is to a question.
pub(super) struct Sources {
    /// By collector.
    pub(super) recent: HashMap<Arc<str>, Recent>,
    /// Segments that reach into the time of the question, in the order of their first times.
    segments: Vec<Arc<SegmentFacts>>,
    /// Those that end before it, in the order of their last times.
    earlier: Vec<Arc<SegmentFacts>>,
    /// What [`witness`] has said, by segment and collector.
    witnessed: HashMap<(u64, Arc<str>), Spans>,
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
            let earlier = stream.chunks().filter(|chunk| chunk.last_ms < from_ms);
            recent.earlier.extend(earlier.map(|chunk| (chunk.last_ms, chunk.series.clone())));
        }
        let before_end = view.segments.values().filter(|facts| facts.first_ms < to_ms);
        let (mut segments, mut earlier): (Vec<_>, Vec<_>) =
            before_end.cloned().partition(|facts| facts.last_ms >= from_ms);
        drop(view);
        segments.sort_by_key(|facts| facts.first_ms);
        earlier.sort_by_key(|facts| facts.last_ms);
        let (witnessed, partial, gone) = (HashMap::new(), false, false);
        Self { recent, segments, earlier, witnessed, from_ms, to_ms, partial, gone }
    }

    /// Feeds everything there is to `asked`.
    pub(super) fn read(&mut self, shared: &Shared, asked: &mut [Asked]) {
        // A series may have moved from one collector to another: go by time, not by collector.
        let chunks = self.recent.values().flat_map(|of_stream| &of_stream.chunks);
        let found =
            Merge::new(shared, &self.segments, asked).run(chunks, (self.from_ms, self.to_ms));
        self.gone |= found.gone;
        self.partial |= found.partial;
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

    /// For each series that has nothing at the beginning of the question, the time of its last sample before that.
    pub(super) fn previous(&self, shared: &Shared, asked: &[Asked]) -> Vec<Option<i64>> {
        let before_ms = |asked: &Asked| {
            let recent = self.recent.get(&asked.series.collector);
            let in_heads = recent.and_then(|recent| recent.before_ms(asked.id));
            asked.points.before_ms().max(in_heads)
        };
        let mut previous: Vec<_> = asked.iter().map(before_ms).collect();
        for facts in self.earlier.iter().rev() {
            let mut segment = Unopened(None);
            for (asked, previous) in asked.iter().zip(&mut previous) {
                if previous.is_none() && asked.is_late() && asked.is_told_by(facts) {
                    let spans = segment.spans(shared, facts, asked.id);
                    *previous = spans.last().map(|(_, last_ms)| *last_ms);
                }
            }
        }
        previous
    }

    /// Since when there is something of the collector of `series` in what is read of `tier`, if there was just before
    /// `at_ms`, `patience_ms` at most: a series that begins there was not kept elsewhere, it is new. Nobody needs to know
    /// how long before the question that was.
    pub(super) fn collector_from(
        &mut self,
        shared: &Shared,
        (series, tier): (&Series, Tier),
        (at_ms, patience_ms): (i64, i64),
    ) -> Option<i64> {
        let before_ms = at_ms.saturating_sub(patience_ms);
        let is_around = |(first_ms, last_ms): (i64, i64)| first_ms < at_ms && last_ms >= before_ms;
        let mut spans = Vec::new();
        if let Some(recent) = self.recent.get(&series.collector) {
            spans.extend(recent.chunks.iter().map(|chunk| (chunk.first_ms, chunk.last_ms)));
            spans.extend(recent.earlier.iter().map(|(last_ms, _)| (*last_ms, *last_ms)));
        }
        let from_ms = self.from_ms;
        let is_whole =
            |spans: &[(i64, i64)]| spans.iter().any(|(first_ms, _)| *first_ms <= from_ms);
        let read = self.earlier.iter().rev().chain(&self.segments);
        let mut read = read.filter(|facts| facts.is_read_for(tier));
        let witnessed = &mut self.witnessed;
        let mut witnessed = |facts: &Arc<SegmentFacts>| {
            let key = (facts.id, series.collector.clone());
            let spans = witnessed.entry(key).or_insert_with(|| witness(shared, facts, series));
            spans.clone()
        };
        // What is not sealed is all there is since it begins.
        if !is_whole(&spans) {
            let around = read.clone().filter(|facts| is_around((facts.first_ms, facts.last_ms)));
            spans.extend(around.flat_map(|facts| witnessed(facts).to_vec()));
        }
        if !spans.iter().any(|span| is_around(*span)) {
            return None;
        }
        if !is_whole(&spans) {
            let oldest = read.find_map(|facts| Some(witnessed(facts)).filter(|of| !of.is_empty()));
            spans.extend(oldest.iter().flat_map(|of| of.iter().copied()));
        }
        spans.into_iter().map(|(first_ms, _)| first_ms).min()
    }
}

/// First and last times of what a few series of the collector of `series` have in a segment.
fn witness(shared: &Shared, facts: &SegmentFacts, series: &Series) -> Spans {
    let ids = shared.catalog.of_collector(&series.server, &series.collector);
    // Some of each age: many may be gone, or have come later.
    let few = ids.iter().step_by(ids.len().div_ceil(WITNESSES).max(1));
    let mut segment = Unopened(None);
    few.flat_map(|id| segment.spans(shared, facts, *id)).collect()
}

/// A segment that is opened when it is first looked into, and then stays so; none once it could not be read.
struct Unopened(Option<Option<(Segment, Index)>>);

impl Unopened {
    /// First and last times of what it has of a series. What cannot be read is told where it is read for its samples.
    fn spans(&mut self, shared: &Shared, facts: &SegmentFacts, id: SeriesId) -> Vec<(i64, i64)> {
        let searched = || Some((open(shared, facts).ok().flatten()?, Index::default()));
        let opened = self.0.get_or_insert_with(searched);
        let Some((segment, index)) = opened else { return Vec::new() };
        let Ok((entries, _)) = index.find(segment, id) else {
            *opened = None;
            return Vec::new();
        };
        entries.iter().map(|entry| segment.span(entry)).collect()
    }
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
