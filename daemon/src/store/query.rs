//! Answering a question: which samples are needed, and one pass over them in order.
//!
//! Of one collector, later samples stand in later segments, and the newest in the
//! heads; so each segment is opened once, and nothing has to be sorted. Where that
//! shows not to hold, because a collector has lanes, the series is read again by
//! [`Merge`].

use std::{collections::HashMap, io::ErrorKind, sync::Arc};

use super::{
    StoreError,
    gaps::{Stretch, UNEXPLAINED, uncovered},
    heads::Chunk,
    merge::Merge,
    messages::{Answer, Query, SeriesAnswer},
    points::{Points, Shape},
    segment::{Place, SegmentFacts},
    segment_read::Segment,
    shared::Shared,
    tier::Tier,
};
use crate::logging::chain;
use crate::series::{Gap, Kind, Series, SeriesId};

/// A series that is asked for, and what has been found of it.
struct Asked {
    id: SeriesId,
    series: Arc<Series>,
    shape: Shape,
    points: Points,
}

/// What one collector, its lanes included, has to the question.
#[derive(Default)]
struct Recent {
    chunks: Vec<Arc<Chunk>>,
    gaps: Vec<Stretch>,
    last_ms: Option<i64>,
    /// Time of the last frame in the heads that is too old for the question.
    before_ms: Option<i64>,
}

/// Answers `query` as of `now_ms`. Blocks on the disk.
pub(super) fn answer(shared: &Shared, query: &Query, now_ms: i64) -> Result<Answer, StoreError> {
    if query.from_ms >= query.to_ms {
        return Err(StoreError::Question("`from` must be before `to`"));
    }
    let mut asked = asked(shared, query);
    if asked.is_empty() {
        return Ok(Answer::default());
    }
    let from_ms = asked.iter().map(|asked| asked.shape.needed_from_ms()).min();
    let from_ms = from_ms.unwrap_or(query.from_ms);
    let mut recent: HashMap<Arc<str>, Recent> = HashMap::new();
    // Segments and heads under one lock: sealing moves samples from one to the other.
    let (segments, earlier) = {
        let view = shared.view();
        for stream in view.heads.of_server(&query.server) {
            let base = view.heads.streams.get(stream.base).unwrap_or(stream);
            let recent = recent.entry(base.collector.clone()).or_default();
            recent.chunks.extend(stream.chunks_within(from_ms, query.to_ms));
            let gaps = stream.gaps.within(query.from_ms, query.to_ms).into_iter();
            recent.gaps.extend(gaps.map(|gap| gap.at(now_ms, stream.interval_ms)));
            recent.last_ms = recent.last_ms.max(stream.last_ms);
            let before = stream.chunks().map(|chunk| chunk.last_ms).filter(|at| *at < from_ms);
            recent.before_ms = recent.before_ms.max(before.max());
        }
        let raw = view.segments.values().filter(|facts| facts.tier == Tier::Raw);
        let before_end = raw.filter(|facts| facts.first_ms < query.to_ms);
        let (within, earlier): (Vec<_>, Vec<_>) =
            before_end.cloned().partition(|facts| facts.last_ms >= from_ms);
        (in_time(within), in_time(earlier))
    };
    let mut partial = false;
    for facts in &segments {
        partial |= read_segment(shared, facts, from_ms, query.to_ms, &mut asked);
    }
    // A series may have moved from one collector to another: go by time, not by collector.
    let mut chunks: Vec<_> = recent.values().flat_map(|of_stream| &of_stream.chunks).collect();
    chunks.sort_by_key(|chunk| chunk.first_ms);
    for chunk in &chunks {
        partial |= !read_chunk(chunk, &mut asked);
    }
    for asked in asked.iter_mut().filter(|asked| asked.points.is_disordered()) {
        asked.points = Points::new(asked.shape);
        let merge = Merge::new(shared, asked.id, asked.series.interval_ms);
        partial |= merge.run(&segments, &chunks, (from_ms, query.to_ms), &mut asked.points);
    }
    let nothing = Recent::default();
    let series = asked.into_iter().map(|asked| {
        let recent = recent.get(&asked.series.collector).unwrap_or(&nothing);
        let before = || previous(shared, &earlier, asked.id);
        finish(&asked.series, asked.id, asked.shape, asked.points, recent, before, now_ms)
    });
    Ok(Answer { series: series.collect(), partial })
}

/// In the order of time: a settled segment has a later number than those that were sealed after its samples.
fn in_time(mut segments: Vec<Arc<SegmentFacts>>) -> Vec<Arc<SegmentFacts>> {
    segments.sort_by_key(|facts| (facts.first_ms, facts.id));
    segments
}

/// The series that a question means, by labels.
fn asked(shared: &Shared, query: &Query) -> Vec<Asked> {
    let ids = shared.catalog.of_metric(&query.server, &query.metric).into_iter();
    let found = ids.filter_map(|id| Some((id, shared.catalog.get(id)?)));
    let mut asked: Vec<Asked> = found
        .filter(|(_, series)| {
            query.labels.iter().all(|(name, value)| series.labels.get(name) == Some(value))
        })
        .map(|(id, series)| {
            let range_ms = query.to_ms.saturating_sub(query.from_ms);
            let bucket = |points| Shape::bucket_ms(range_ms, points, series.interval_ms);
            let shape = Shape {
                from_ms: query.from_ms,
                to_ms: query.to_ms,
                interval_ms: series.interval_ms,
                bucket_ms: query.points.and_then(bucket),
                rate: series.kind == Kind::Counter && !query.raw,
            };
            Asked { id, series, shape, points: Points::new(shape) }
        })
        .collect();
    asked.sort_by(|one, other| one.series.labels.cmp(&other.series.labels));
    asked
}

/// Feeds what a segment has; whether something of it could not be read.
fn read_segment(
    shared: &Shared,
    facts: &SegmentFacts,
    from_ms: i64,
    to_ms: i64,
    asked: &mut [Asked],
) -> bool {
    let read = open(shared, facts).and_then(|segment| {
        let Some(segment) = segment else { return Ok(false) };
        let mut partial = false;
        let mut times: Option<(Place, Vec<i64>)> = None;
        for asked in asked {
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
                let samples = read.and_then(|read| {
                    let samples = segment.values(&entry, &read);
                    times = Some((entry.times, read));
                    samples
                });
                match samples {
                    Ok(samples) => {
                        let interval_ms = interval_of(&samples, asked.series.interval_ms);
                        for (at_ms, value) in samples {
                            asked.points.add(at_ms, value, interval_ms);
                        }
                    }
                    Err(error) => {
                        tracing::error!(error = chain(&error), "store left out a damaged block");
                        partial = true;
                    }
                }
            }
        }
        Ok(partial)
    });
    read.unwrap_or_else(|error| {
        tracing::error!(error = chain(&error), "store left out a damaged segment");
        true
    })
}

/// Time between two samples of a block. Slots are whole multiples of it, so it is
/// the shortest there is; `otherwise` where there is but one sample.
pub(super) fn interval_of(samples: &[(i64, f64)], otherwise: u32) -> u32 {
    let apart = samples.windows(2).map(|pair| pair[1].0.saturating_sub(pair[0].0));
    apart.min().and_then(|apart| u32::try_from(apart).ok()).unwrap_or(otherwise)
}

/// Opens a segment; `None` if retention has deleted it meanwhile.
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

/// Time of the last sample of a series in segments before those that were read.
fn previous(shared: &Shared, earlier: &[Arc<SegmentFacts>], id: SeriesId) -> Option<i64> {
    earlier.iter().rev().find_map(|facts| {
        let segment = open(shared, facts).ok()??;
        let (entries, _) = segment.find(id).ok()?;
        entries.last().map(|entry| segment.span(entry).1)
    })
}

fn finish(
    series: &Series,
    id: SeriesId,
    shape: Shape,
    points: Points,
    recent: &Recent,
    before: impl FnOnce() -> Option<i64>,
    now_ms: i64,
) -> SeriesAnswer {
    let interval_ms = i64::from(series.interval_ms).max(1);
    let last_ms = points.last_ms();
    let (first_ms, passed_ms) = (points.first_ms(), points.before_ms());
    let (first_interval_ms, last_interval_ms) = points.intervals_ms();
    let (points, holes) = points.finish();
    let mut holes: Vec<(i64, Option<i64>)> =
        holes.into_iter().map(|(from, to)| (from, Some(to))).collect();
    let end_ms = shape.to_ms.min(now_ms);
    let goes_on_after = |last: i64| recent.last_ms.is_some_and(|newest| newest > last);
    // Samples were looked at from three intervals before the first instant on. If
    // none stands there, the neighbour of the first one is further away.
    let first_or_end = first_ms.unwrap_or(end_ms);
    if first_or_end > shape.from_ms
        && let Some(before) = passed_ms.max(recent.before_ms).or_else(before)
        && first_or_end.saturating_sub(before) > 3 * first_interval_ms.max(interval_ms)
    {
        let to = first_ms.or_else(|| goes_on_after(before).then_some(end_ms));
        holes.insert(0, (before.saturating_add(interval_ms), to));
    }
    if let Some(last) = last_ms
        && end_ms.saturating_sub(last) > 3 * last_interval_ms
    {
        let to = goes_on_after(last).then_some(end_ms);
        holes.push((last.saturating_add(last_interval_ms), to));
    }
    let gap = |stretch: Stretch| Gap {
        server: series.server.clone(),
        collector: series.collector.clone(),
        from_ms: stretch.from_ms,
        to_ms: stretch.to_ms,
        reason: stretch.reason,
    };
    let unexplained: Arc<str> = UNEXPLAINED.into();
    let mut gaps: Vec<Gap> = recent.gaps.iter().cloned().map(gap).collect();
    for hole in holes {
        for (from_ms, to_ms) in uncovered(hole, &recent.gaps, 3 * interval_ms) {
            if to_ms.is_none_or(|to| to > shape.from_ms) && from_ms < shape.to_ms {
                let (away_until_ms, reason) = (None, unexplained.clone());
                gaps.push(gap(Stretch { from_ms, to_ms, away_until_ms, reason }));
            }
        }
    }
    gaps.sort_by_key(|gap| gap.from_ms);
    let unit = if shape.rate { format!("{}/s", series.unit).into() } else { series.unit.clone() };
    SeriesAnswer {
        id,
        labels: series.labels.clone(),
        unit,
        kind: series.kind,
        resolution_ms: shape.bucket_ms.unwrap_or(interval_ms),
        points,
        gaps,
    }
}
