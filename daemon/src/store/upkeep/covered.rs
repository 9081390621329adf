//! Samples that are gone and have been counted by the minute or by the hour: stored again, they would count twice.
//!
//! Retention deletes samples before what they came to. Where a minute counts more values than there are samples sealed in
//! it, some of them are gone, and which of them nobody knows: of that minute nothing more is taken in. Hours are to
//! minutes as minutes are to samples.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use super::super::{
    StoreError,
    rollup_codec::Fields,
    segment::{Entry, SegmentFacts},
    segment_read::Segment,
    shared::Shared,
    sources::open,
    tier::Tier,
};
use crate::{logging::chain, series::SeriesId};

/// Segments of one stretch of time, open, and what of it is counted.
pub(super) struct Covered {
    /// Those of each tier that the next coarser one has counted; of the coarsest, all.
    tiers: [Vec<(Arc<SegmentFacts>, Segment)>; Tier::ALL.len()],
}

/// Minutes and hours of one series, by their beginnings.
#[derive(Debug, Default)]
pub(super) struct Counted(HashSet<(Tier, i64)>);

impl Counted {
    /// Whether a sample of this time may have been counted.
    pub(super) fn has(&self, at_ms: i64) -> bool {
        let steps = [Tier::Minute, Tier::Hour].map(|tier| (tier, begin_of(tier, at_ms)));
        steps.iter().any(|step| self.0.contains(step))
    }
}

impl Covered {
    /// What reaches into the hours from that of `from_ms` to that of `to_ms`.
    pub(super) fn within(shared: &Shared, from_ms: i64, to_ms: i64) -> Result<Self, StoreError> {
        let (from_ms, hour_ms) = (begin_of(Tier::Hour, from_ms), 3_600_000);
        let to_ms = begin_of(Tier::Hour, to_ms).saturating_add(hour_ms);
        let reaches: Vec<_> = {
            let view = shared.view();
            let within = |facts: &&Arc<SegmentFacts>| {
                // An index of hours may name times that are up to a second late.
                facts.first_ms < to_ms && facts.last_ms >= from_ms
            };
            view.segments.values().filter(within).cloned().collect()
        };
        let mut tiers: [Vec<_>; Tier::ALL.len()] = Default::default();
        let has_coarse = reaches.iter().any(|facts| facts.tier != Tier::Raw);
        for facts in reaches.into_iter().filter(|_| has_coarse) {
            match open(shared, &facts) {
                Ok(Some(segment)) => tiers[facts.tier as usize].push((facts, segment)),
                Ok(None) => (),
                Err(error @ StoreError::Damaged { .. }) => left_out(&error),
                Err(error) => return Err(error),
            }
        }
        Ok(Self { tiers })
    }

    /// Where more of a series is counted than is there to be counted.
    pub(super) fn of(&self, id: SeriesId) -> Counted {
        let mut balance: HashMap<(Tier, i64), i64> = HashMap::new();
        for tier in [Tier::Hour, Tier::Minute] {
            self.each(tier, id, |segment, facts, entry, times| {
                let fields = Fields { spread: false, ends: false };
                for rollup in segment.rollups(entry, times, fields)? {
                    let count = i64::try_from(rollup.count).unwrap_or(i64::MAX);
                    *balance.entry((tier, rollup.start_ms)).or_default() += count;
                    if tier == Tier::Minute && facts.folded {
                        let hour = (Tier::Hour, begin_of(Tier::Hour, rollup.start_ms));
                        *balance.entry(hour).or_default() -= count;
                    }
                }
                Ok(())
            });
        }
        if balance.values().any(|more| *more > 0) {
            self.each(Tier::Raw, id, |segment, facts, entry, times| {
                let samples = segment.values(entry, times)?;
                // A rollup counts numbers.
                for (at_ms, _) in
                    samples.iter().filter(|(_, value)| facts.folded && !value.is_nan())
                {
                    *balance.entry((Tier::Minute, begin_of(Tier::Minute, *at_ms))).or_default() -=
                        1;
                }
                Ok(())
            });
        }
        Counted(balance.into_iter().filter(|(_, more)| *more > 0).map(|(step, _)| step).collect())
    }

    /// Gives every column of a series in a tier, but for those that are damaged.
    fn each(
        &self,
        tier: Tier,
        id: SeriesId,
        mut each: impl FnMut(&Segment, &SegmentFacts, &Entry, &[i64]) -> Result<(), StoreError>,
    ) {
        for (facts, segment) in &self.tiers[tier as usize] {
            let (entries, _) = segment.find(id).unwrap_or_else(|error| {
                left_out(&error);
                Default::default()
            });
            for entry in &entries {
                let read =
                    segment.times(entry).and_then(|times| each(segment, facts, entry, &times));
                read.unwrap_or_else(|error| left_out(&error));
            }
        }
    }
}

fn begin_of(tier: Tier, at_ms: i64) -> i64 {
    at_ms - at_ms.rem_euclid(tier.step_ms().unwrap_or(1))
}

fn left_out(error: &StoreError) {
    tracing::error!(
        error = chain(error),
        "store left out what is damaged where it looked for what is counted"
    );
}
