//! Where the answer to a question stands, for one pass over it by [`Merge`].

use std::{collections::HashMap, io::ErrorKind, sync::Arc};

use super::{
    StoreError, asked::Asked, gaps::Stretch, heads::Chunk, merge::Merge, segment::SegmentFacts,
    segment_read::Segment, shared::Shared, tier::Tier,
};
use crate::series::SeriesId;

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
            let earlier = stream.chunks().filter(|chunk| chunk.last_ms < from_ms);
            recent.earlier.extend(earlier.map(|chunk| (chunk.last_ms, chunk.series.clone())));
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
