//! The newest sample of every series: what decides whether one from elsewhere is new.
//!
//! # Invariants
//!
//! - There is one such table, and the writer has it: of two requests that bring the same sample, one brings it.
//! - What segments hold is known before a sample is judged that they could hold: those that end before it are never
//!   looked at, and the index of each of the others is read once.
//! - What samples came to counts as long as it is there: where raw segments begin, and up to where one ends that cannot
//!   be read whole, those of coarser tiers say what was here before. Sent again, it would be counted again.
//! - What was not written was never noted.

use std::sync::{Arc, atomic::Ordering};

use super::{
    segment::{DAY_MS, SegmentFacts},
    segment_read::Segment,
    shared::Shared,
    tier::Tier,
};
use crate::{
    logging::chain,
    series::{SeriesId, now_ms},
};

/// Nothing is known of the series.
const NEVER: i64 = i64::MIN;

/// The time of the newest sample of every series.
#[derive(Debug)]
pub(super) struct Latest {
    by_series: Vec<i64>,
    /// What stood there before the batches that are being written.
    before: Vec<(SeriesId, i64)>,
    /// Segments of former lives whose index has not been read: when they end and which they are, those that end last
    /// at the end.
    unread: Vec<(i64, u64)>,
    /// The same of coarser tiers.
    coarse: Vec<(i64, u64)>,
    /// Before this instant raw segments may have been deleted, or damaged.
    coarse_below_ms: i64,
}

impl Latest {
    /// Starts from what the log says, and from segments that have not been looked into.
    pub(super) fn new<'a>(
        by_series: Vec<i64>,
        segments: impl Iterator<Item = &'a Arc<SegmentFacts>>,
    ) -> Self {
        let (raw, coarse): (Vec<_>, Vec<_>) = segments.partition(|facts| facts.tier == Tier::Raw);
        // Deleted ones that coarser tiers know of were of this day at most: of those that are folded the oldest go first,
        // and before all others.
        let oldest_day = raw.iter().filter(|facts| facts.folded).map(|facts| facts.span).min();
        let coarse_below_ms =
            oldest_day.map_or(i64::MAX, |day| day.saturating_add(1).saturating_mul(DAY_MS));
        let [unread, coarse] = [raw, coarse].map(|segments| {
            let mut ends: Vec<_> =
                segments.into_iter().map(|facts| (facts.last_ms, facts.id)).collect();
            ends.sort_unstable();
            ends
        });
        Self { by_series, before: Vec::new(), unread, coarse, coarse_below_ms }
    }

    /// Time of the newest sample of a series, as far as it is known; the least possible one if there is none.
    pub(super) fn of(&self, id: SeriesId) -> i64 {
        self.by_series.get(id.0 as usize).copied().unwrap_or(NEVER)
    }

    /// There is a sample of a series at `at_ms`.
    pub(super) fn note(&mut self, id: SeriesId, at_ms: i64) {
        let index = id.0 as usize;
        if self.by_series.len() <= index {
            self.by_series.resize(index + 1, NEVER);
        }
        let latest = &mut self.by_series[index];
        if at_ms > *latest {
            self.before.push((id, *latest));
            *latest = at_ms;
        }
    }

    /// What was noted is written.
    pub(super) fn keep(&mut self) {
        self.before.clear();
    }

    /// What was noted since the last writing is not kept.
    pub(super) fn take_back(&mut self) {
        for (id, at_ms) in self.before.drain(..).rev() {
            self.by_series[id.0 as usize] = at_ms;
        }
    }

    /// Makes sure that everything is known that a sample of `at_ms` has to be judged by.
    pub(super) fn look_back(&mut self, shared: &Shared, at_ms: i64) {
        while let Some((last_ms, id)) = self.unread.pop_if(|(last_ms, _)| *last_ms >= at_ms) {
            if !self.read(shared, id) {
                self.coarse_below_ms = self.coarse_below_ms.max(last_ms.saturating_add(1));
            }
        }
        while at_ms < self.coarse_below_ms
            && let Some((_, id)) = self.coarse.pop_if(|(last_ms, _)| *last_ms >= at_ms)
        {
            self.read(shared, id);
        }
    }

    /// Takes in what the index of a segment says; whether it is there, and whole.
    fn read(&mut self, shared: &Shared, id: u64) -> bool {
        // It may have been settled meanwhile, or be gone.
        while let Some(facts) = shared.segment_now(id) {
            shared.writer_beat_ms.store(now_ms(), Ordering::Relaxed);
            let path = facts.path(&shared.segment_folder());
            // No sample is ever judged by a number that was not given.
            let given = shared.catalog.len();
            let mut damaged = 0u64;
            let read = Segment::open(&path, facts.id).and_then(|segment| {
                segment.each_page(|page| {
                    damaged += u64::from(!page.whole);
                    for entry in page.entries.iter().filter(|of| (of.series.0 as usize) < given) {
                        note_latest(&mut self.by_series, entry.series, segment.span(entry).1);
                    }
                })
            });
            if let Err(error) = read {
                if shared.segment_now(id).is_none_or(|now| now.id != facts.id) {
                    continue;
                }
                tracing::error!(error = chain(&error), "store cannot read the index of a segment");
                return false;
            }
            if damaged > 0 {
                let path = path.display();
                tracing::error!(%path, damaged, "store cannot read some pages of a segment's index");
            }
            return damaged == 0;
        }
        false
    }
}

/// There is a sample of a series at `at_ms`.
pub(super) fn note_latest(by_series: &mut Vec<i64>, id: SeriesId, at_ms: i64) {
    let index = id.0 as usize;
    if by_series.len() <= index {
        by_series.resize(index + 1, NEVER);
    }
    by_series[index] = by_series[index].max(at_ms);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coarser_tiers_are_asked_up_to_the_oldest_day_that_they_may_know_more_of() {
        let segment = |span, folded| {
            Arc::new(SegmentFacts { folded, ..SegmentFacts::empty(1, Tier::Raw, span) })
        };
        let below_ms =
            |raw: &[_]| Latest::new(Vec::new(), raw.iter()).coarse_below_ms.div_euclid(DAY_MS);
        assert_eq!(below_ms(&[segment(7, true), segment(8, true)]), 8);
        // One that is nowhere else stays when folded ones of later days go.
        assert_eq!(below_ms(&[segment(5, false), segment(8, true)]), 9);
        assert_eq!(below_ms(&[segment(5, false)]), i64::MAX / DAY_MS);
        assert_eq!(below_ms(&[segment(i64::MAX, true)]), i64::MAX / DAY_MS);
    }
}
