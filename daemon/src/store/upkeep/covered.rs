//! Samples that are gone and have been counted by the minute or by the hour: stored again, they would count twice.
//!
//! Retention deletes samples before what they came to, and damage may cost them alone. Where a minute counts more values
//! than there are samples sealed in it, some of them are gone, and which of them nobody knows: of that minute nothing more
//! is taken in. Of an hour nothing is, unless all that it counts is there in minutes, or in samples.
//!
//! # Invariants
//!
//! - Each segment is opened once, one at a time; memory holds the minutes and hours of the samples that are asked about.

use std::{
    collections::{BTreeSet, HashMap},
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

/// A minute or an hour of a series, by its beginning.
type Step = (SeriesId, Tier, i64);

/// What is known of the minutes and hours of some samples.
#[derive(Debug, Default)]
pub(super) struct Counted(HashMap<Step, Balance>);

/// What a minute or an hour counts, and what there is of that.
#[derive(Debug, Clone, Copy, Default)]
struct Balance {
    counted: i64,
    /// In minutes that were counted by the hour.
    in_minutes: i64,
    /// In samples that were counted too.
    in_samples: i64,
}

impl Balance {
    fn is_more_than_there_is(&self) -> bool {
        self.counted > self.in_minutes.max(self.in_samples)
    }
}

impl Counted {
    /// Looks for what counts these samples: their series and times.
    pub(super) fn of(shared: &Shared, samples: &[(SeriesId, i64)]) -> Result<Self, StoreError> {
        let steps = samples.iter().flat_map(|(id, at_ms)| steps_of(*id, *at_ms));
        let mut counted = Self(steps.map(|step| (step, Balance::default())).collect());
        let times = || samples.iter().map(|(_, at_ms)| *at_ms);
        let Some((first_ms, last_ms)) = times().min().zip(times().max()) else {
            return Ok(counted);
        };
        let (from_ms, hour_ms) = (begin_of(Tier::Hour, first_ms), 3_600_000);
        let to_ms = begin_of(Tier::Hour, last_ms).saturating_add(hour_ms);
        let reaches: Vec<_> = {
            let view = shared.view();
            let within = |facts: &&Arc<SegmentFacts>| {
                // An index of hours may name times that are up to a second late.
                facts.first_ms < to_ms && facts.last_ms >= from_ms
            };
            view.segments.values().filter(within).cloned().collect()
        };
        let mut ids: BTreeSet<SeriesId> = samples.iter().map(|(id, _)| *id).collect();
        for tier in [Tier::Hour, Tier::Minute, Tier::Raw] {
            if tier == Tier::Raw {
                // Mostly there is nothing to be looked for.
                let missing = counted.0.iter().filter(|(_, step)| step.is_more_than_there_is());
                ids = missing.map(|((id, _, _), _)| *id).collect();
            }
            for facts in reaches.iter().filter(|facts| facts.tier == tier && !ids.is_empty()) {
                match open(shared, facts) {
                    Ok(Some(segment)) => counted.look_into(&segment, facts, &ids),
                    Ok(None) => (),
                    Err(error @ StoreError::Damaged { .. }) => left_out(&error),
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(counted)
    }

    /// Whether a sample of this time may have been counted.
    pub(super) fn has(&self, id: SeriesId, at_ms: i64) -> bool {
        let is_more = |step: &Step| self.0.get(step).is_some_and(Balance::is_more_than_there_is);
        steps_of(id, at_ms).iter().any(is_more)
    }

    /// Takes in what a segment has of some series, but for what is damaged.
    fn look_into(&mut self, segment: &Segment, facts: &SegmentFacts, ids: &BTreeSet<SeriesId>) {
        for id in ids {
            let (entries, _) = segment.find(*id).unwrap_or_else(|error| {
                left_out(&error);
                Default::default()
            });
            for entry in &entries {
                let read = self.column(segment, facts, entry);
                read.unwrap_or_else(|error| left_out(&error));
            }
        }
    }

    fn column(
        &mut self,
        segment: &Segment,
        facts: &SegmentFacts,
        entry: &Entry,
    ) -> Result<(), StoreError> {
        let (id, rows) = (entry.series, segment.rows(entry)?);
        if facts.tier == Tier::Raw {
            let samples = segment.values(entry, &rows.times)?;
            // A rollup counts numbers.
            let numbers = samples.iter().filter(|(_, value)| facts.folded && !value.is_nan());
            for (at_ms, _) in numbers {
                for step in steps_of(id, *at_ms) {
                    self.add(step, |balance| &mut balance.in_samples, 1);
                }
            }
            return Ok(());
        }
        let fields = Fields { spread: false, ends: false };
        for rollup in segment.rollups(entry, &rows, fields)? {
            let count = i64::try_from(rollup.count).unwrap_or(i64::MAX);
            let step = (id, facts.tier, rollup.start_ms);
            self.add(step, |balance| &mut balance.counted, count);
            if facts.tier == Tier::Minute {
                let hour = (id, Tier::Hour, begin_of(Tier::Hour, rollup.start_ms));
                match facts.folded {
                    true => self.add(hour, |balance| &mut balance.in_minutes, count),
                    // The samples of these are there, and are none of what the hour counts.
                    false => self.add(hour, |balance| &mut balance.in_samples, -count),
                }
            }
        }
        Ok(())
    }

    fn add(&mut self, step: Step, side: impl Fn(&mut Balance) -> &mut i64, count: i64) {
        if let Some(balance) = self.0.get_mut(&step) {
            let side = side(balance);
            *side = side.saturating_add(count);
        }
    }
}

fn steps_of(id: SeriesId, at_ms: i64) -> [Step; 2] {
    [Tier::Minute, Tier::Hour].map(|tier| (id, tier, begin_of(tier, at_ms)))
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
