//! Whether a sample that is older than its series' newest stands in a segment: what a sender repeats because a kill took
//! its answer may have been sealed in between.
//!
//! Nothing is kept in memory for that: the segments around its time are looked into, so many columns for each writing.

use std::{
    collections::{HashMap, hash_map},
    sync::Arc,
};

use super::{
    StoreError,
    segment::{Entry, Place, SegmentFacts},
    segment_read::Segment,
    shared::Shared,
    sources::open,
    tier::Tier,
};
use crate::{logging::chain, series::SeriesId};

/// So many columns, and as many searches for them: nobody can make us do much by sending little.
const LOOKS_MOST: usize = 4096;
/// Segments that are kept open.
const OPEN_MOST: usize = 16;

/// What was looked at for one writing.
#[derive(Debug, Default)]
pub(super) struct Sealed {
    opened: HashMap<u64, Option<Segment>>,
    found: HashMap<(u64, SeriesId), Vec<Entry>>,
    times: HashMap<(u64, Place), Vec<i64>>,
    columns: HashMap<(u64, Place), Option<Vec<u8>>>,
    looks: usize,
}

impl Sealed {
    /// The segments that samples of `at_ms` may stand in, the newest first.
    pub(super) fn around(shared: &Shared, at_ms: i64) -> Vec<Arc<SegmentFacts>> {
        let view = shared.view();
        let raw = view.segments.values().rev().filter(|facts| facts.tier == Tier::Raw);
        raw.filter(|facts| (facts.first_ms..=facts.last_ms).contains(&at_ms)).cloned().collect()
    }

    /// Whether a series has a sample at `at_ms` in one of them; `None` if too much was looked at already.
    pub(super) fn has(
        &mut self,
        shared: &Shared,
        around: &[Arc<SegmentFacts>],
        (id, at_ms): (SeriesId, i64),
    ) -> Option<bool> {
        for facts in around {
            match self.is_in(shared, facts, (id, at_ms)) {
                Ok(Some(false)) => (),
                Ok(found) => return found,
                // What cannot be read counts as not there, and the sample as late.
                Err(error) => {
                    let error = chain(&error);
                    tracing::error!(error, "store cannot look for a sample in a segment");
                }
            }
        }
        Some(false)
    }

    fn is_in(
        &mut self,
        shared: &Shared,
        facts: &SegmentFacts,
        (id, at_ms): (SeriesId, i64),
    ) -> Result<Option<bool>, StoreError> {
        let number = facts.id;
        if !self.opened.contains_key(&number) {
            if self.opened.len() == OPEN_MOST {
                self.opened.clear();
            }
            self.opened.insert(number, open(shared, facts)?);
        }
        let Some(Some(segment)) = self.opened.get(&number) else { return Ok(Some(false)) };
        if !self.found.contains_key(&(number, id)) {
            if self.looks == LOOKS_MOST {
                return Ok(None);
            }
            self.looks += 1;
            self.found.insert((number, id), segment.find(id)?.0);
        }
        for entry in self.found.get(&(number, id)).into_iter().flatten() {
            let (first_ms, last_ms) = segment.span(entry);
            if !(first_ms..=last_ms).contains(&at_ms) {
                continue;
            }
            let column = (number, entry.values);
            let times = match self.times.entry((number, entry.times)) {
                hash_map::Entry::Occupied(known) => known.into_mut(),
                hash_map::Entry::Vacant(free) => free.insert(segment.times(entry)?),
            };
            let Ok(row) = times.binary_search(&at_ms) else { continue };
            if !self.columns.contains_key(&column) {
                if self.looks == LOOKS_MOST {
                    return Ok(None);
                }
                self.looks += 1;
                self.columns.insert(column, segment.present(entry, times.len())?);
            }
            let present = self.columns.get(&column).and_then(Option::as_ref);
            if present.is_none_or(|bits| bits[row / 8] >> (row % 8) & 1 == 1) {
                return Ok(Some(true));
            }
        }
        Ok(Some(false))
    }
}
