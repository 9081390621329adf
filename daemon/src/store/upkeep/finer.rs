//! What a segment of a coarser tier holds, from the finer ones that it was made of.

use std::{
    collections::{BTreeSet, HashSet},
    path::Path,
};

use super::{
    super::{
        StoreError,
        rollup::{Rollup, fold, fold_samples, interval_of},
        rollup_codec::Fields,
        segment::{Entry, SegmentFacts},
        segment_read::Segment,
        table::Table,
        tier::Tier,
    },
    check::segments_of,
};
use crate::series::{Series, SeriesId};

/// An open segment, and what it says of itself.
type Opened = (Segment, Table);

/// The segments that another one was made of, as far as they are there.
#[derive(Debug)]
pub(super) struct Finer {
    segments: Vec<Segment>,
    step_ms: i64,
    /// Whether all of them are there, and whole so far.
    pub(super) is_whole: bool,
}

impl Finer {
    /// Those of which `coarse` was made, which says that they are `folds`; none for samples.
    pub(super) fn of(
        segments: &Path,
        coarse: &SegmentFacts,
        folds: &[u64],
    ) -> Result<Self, StoreError> {
        let step_ms = coarse.tier.step_ms().unwrap_or(1);
        let mut finer = Self { segments: Vec::new(), step_ms, is_whole: false };
        let folds: HashSet<u64> = folds.iter().copied().collect();
        let Some(tier) = finer_than(coarse.tier).filter(|_| !folds.is_empty()) else {
            return Ok(finer);
        };
        // One that cannot be read gives nothing.
        let opened: Vec<Opened> = opened(segments, tier, coarse)?.into_iter().flatten().collect();
        let replaced: HashSet<u64> =
            opened.iter().flat_map(|(_, table)| table.replaces.clone()).collect();
        let others = claimed(segments, coarse)?;
        let mut found: HashSet<u64> = HashSet::new();
        for (segment, table) in opened {
            let id = segment.facts().id;
            let own = if folds.contains(&id) { vec![id] } else { table.replaces };
            // One that holds more than that would give too much, and one that a crash has left behind would give it twice.
            // All that it has replaced was told or was itself a merged one, which nobody names.
            let is_more = |id: &u64| match &others {
                Some(others) if segment.facts().folded => others.contains(id),
                _ => !folds.contains(id),
            };
            let is_part = own.iter().any(|id| folds.contains(id)) && !own.iter().any(is_more);
            if is_part && !replaced.contains(&id) {
                found.extend(own);
                // What those held in their turn was told with them.
                found.extend(table.folds);
                finer.segments.push(segment);
            }
        }
        finer.is_whole = folds.is_subset(&found);
        Ok(finer)
    }

    /// What a segment must have folded that no longer says so: what lies within its time, and is in no other one. Nothing
    /// if that is not certain.
    pub(super) fn unclaimed(
        segments: &Path,
        coarse: &SegmentFacts,
    ) -> Result<Vec<u64>, StoreError> {
        let Some(tier) = finer_than(coarse.tier) else { return Ok(Vec::new()) };
        let Some(claimed) = claimed(segments, coarse)? else { return Ok(Vec::new()) };
        let mut folds = Vec::new();
        for (segment, table) in opened(segments, tier, coarse)?.into_iter().flatten() {
            let facts = segment.facts();
            let is_within = facts.first_ms >= coarse.first_ms && facts.last_ms <= coarse.last_ms;
            let all = if table.replaces.is_empty() { vec![facts.id] } else { table.replaces };
            if is_within && facts.folded && !all.iter().any(|id| claimed.contains(id)) {
                folds.extend(all);
            }
        }
        Ok(folds)
    }

    /// The series that they hold.
    pub(super) fn series(&mut self) -> BTreeSet<SeriesId> {
        let mut found = BTreeSet::new();
        for segment in &self.segments {
            let read = segment.each_entry(|entry| {
                found.insert(entry.series);
            });
            self.is_whole &= read.is_ok();
        }
        found
    }

    /// What a series comes to.
    pub(super) fn rollups(&mut self, id: SeriesId, series: &Series) -> Vec<Rollup> {
        let mut parts = Vec::new();
        for segment in &self.segments {
            let Ok((entries, false)) = segment.find(id) else {
                self.is_whole = false;
                continue;
            };
            for entry in &entries {
                match rollups(segment, entry, series, self.step_ms) {
                    Ok(rollups) => parts.extend(rollups),
                    Err(_) => self.is_whole = false,
                }
            }
        }
        parts.sort_by_key(|part| part.first_ms);
        fold(series.kind, self.step_ms, parts)
    }
}

fn finer_than(tier: Tier) -> Option<Tier> {
    Tier::ALL.into_iter().find(|finer| finer.coarser() == Some(tier))
}

/// The segments of a tier within the span of another one, but for that; none in the place of one that cannot be read.
fn opened(
    segments: &Path,
    tier: Tier,
    of: &SegmentFacts,
) -> Result<Vec<Option<Opened>>, StoreError> {
    let mut found = Vec::new();
    for at in segments_of(segments, tier)? {
        let begin_ms = at.facts.span.saturating_mul(tier.span_ms());
        if of.tier.span_of(begin_ms) == of.span && at.facts.id != of.id {
            let opened = Segment::open(&at.path, at.facts.id);
            found.push(opened.and_then(|segment| Ok((segment.table()?, segment))).ok());
        }
    }
    Ok(found.into_iter().map(|found| found.map(|(table, segment)| (segment, table))).collect())
}

/// What the other segments of the tier and span of one say that they were made of; `None` if one of them cannot be read.
fn claimed(segments: &Path, coarse: &SegmentFacts) -> Result<Option<HashSet<u64>>, StoreError> {
    let others: Option<Vec<Opened>> = opened(segments, coarse.tier, coarse)?.into_iter().collect();
    Ok(others.map(|others| others.into_iter().flat_map(|(_, table)| table.folds).collect()))
}

fn rollups(
    segment: &Segment,
    entry: &Entry,
    series: &Series,
    step_ms: i64,
) -> Result<Vec<Rollup>, StoreError> {
    let rows = segment.rows(entry)?;
    if segment.facts().tier != Tier::Raw {
        return segment.rollups(entry, &rows, Fields::ALL);
    }
    let samples = segment.values(entry, &rows.times)?;
    let interval_ms = interval_of(samples.iter().map(|(at_ms, _)| *at_ms), series.interval_ms);
    Ok(fold_samples(series.kind, step_ms, interval_ms, samples))
}
