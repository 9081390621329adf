//! Whether samples that are older than their series' newest stand in segments: what a sender repeats because a kill took
//! its answer may have been sealed in between.
//!
//! # Invariants
//!
//! - Nothing of it outlives the writing that it is for: the segments around a frame's time are looked into.
//! - What is looked at for a frame is bounded by the samples that are asked for of it, whatever others ask for; what is
//!   kept is bounded by number.
//! - What cannot be read is never told to be absent: nobody knows.
//! - A segment that failed is left alone for the rest of the writing, and told once.

use std::{
    collections::{HashMap, HashSet, hash_map},
    sync::{Arc, atomic::Ordering},
};

use super::{
    StoreError,
    delta::bit,
    index::Index,
    lanes::LANES_MAX,
    segment::{Place, SegmentFacts},
    segment_read::Segment,
    shared::Shared,
    sources::open,
    tier::Tier,
};
use crate::{
    logging::chain,
    series::{SeriesId, now_ms},
};

/// So many looks, at the index or at a column, for each sample that is asked for and each segment around it: the index,
/// times, and values of two lanes. Nobody can make us do much by sending little.
const LOOKS_PER_SAMPLE: usize = 4;
/// And for each frame: a few samples may stand in more lanes.
const LOOKS_LEAST: usize = 2 * LANES_MAX;
/// Segments that are kept open; and of each, columns of times, and in which of their rows columns have values.
const OPEN_MOST: usize = 16;
const TIMES_MOST: usize = 64;
const COLUMNS_MOST: usize = 16 << 10;

/// What was looked at for one writing.
#[derive(Debug, Default)]
pub(super) struct Sealed {
    opened: HashMap<u64, Opened>,
    failed: HashSet<u64>,
    /// So many may be looked at for the frame in hand.
    left: usize,
}

/// What was looked at of one segment.
#[derive(Debug)]
struct Opened {
    segment: Segment,
    index: Index,
    times: HashMap<Place, Vec<i64>>,
    /// In which of their rows columns have a value, by where times and values stand: a bit for each; none where in all.
    columns: HashMap<(Place, Place), Option<Vec<u8>>>,
}

/// Which of the series that were asked for have a sample in a segment.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) there: HashSet<SeriesId>,
    /// Of these nobody knows, unless they are `there`.
    pub(super) unsure: HashSet<SeriesId>,
}

impl Sealed {
    /// Looks which of the series have a sample at `at_ms`.
    pub(super) fn look(
        &mut self,
        shared: &Shared,
        at_ms: i64,
        series: impl Iterator<Item = SeriesId>,
    ) -> Seen {
        let mut seen = Seen::default();
        let around = around(shared, at_ms);
        if around.is_empty() {
            return seen;
        }
        let mut asked: Vec<_> = series.collect();
        self.left = LOOKS_LEAST + around.len() * asked.len() * LOOKS_PER_SAMPLE;
        for facts in &around {
            asked.retain(|id| match self.has(shared, facts, (*id, at_ms)) {
                Some(true) => !seen.there.insert(*id),
                Some(false) => true,
                None => {
                    seen.unsure.insert(*id);
                    true
                }
            });
        }
        seen
    }

    /// Whether a series has a sample at `at_ms` in a segment; `None` if nobody knows.
    fn has(
        &mut self,
        shared: &Shared,
        facts: &SegmentFacts,
        (id, at_ms): (SeriesId, i64),
    ) -> Option<bool> {
        if self.failed.contains(&facts.id) || self.left == 0 {
            return None;
        }
        shared.writer_beat_ms.store(now_ms(), Ordering::Relaxed);
        self.left -= 1;
        self.is_in(shared, facts, (id, at_ms)).unwrap_or_else(|error| {
            let error = chain(&error);
            tracing::error!(error, "store cannot look for samples in a segment");
            self.failed.insert(facts.id);
            None
        })
    }

    fn is_in(
        &mut self,
        shared: &Shared,
        facts: &SegmentFacts,
        what: (SeriesId, i64),
    ) -> Result<Option<bool>, StoreError> {
        if self.opened.len() == OPEN_MOST && !self.opened.contains_key(&facts.id) {
            self.opened.clear();
        }
        let opened = match self.opened.entry(facts.id) {
            hash_map::Entry::Occupied(known) => known.into_mut(),
            hash_map::Entry::Vacant(free) => {
                // Whether one that was deleted meanwhile had it, nobody knows.
                let Some(segment) = open(shared, facts)? else { return Ok(None) };
                free.insert(Opened::new(segment))
            }
        };
        opened.has(what, &mut self.left)
    }
}

/// The raw segments that samples of `at_ms` may stand in, the newest first.
fn around(shared: &Shared, at_ms: i64) -> Vec<Arc<SegmentFacts>> {
    let view = shared.view();
    let raw = view.segments.values().rev().filter(|facts| facts.tier == Tier::Raw);
    raw.filter(|facts| (facts.first_ms..=facts.last_ms).contains(&at_ms)).cloned().collect()
}

impl Opened {
    fn new(segment: Segment) -> Self {
        let (index, times, columns) = (Index::default(), HashMap::new(), HashMap::new());
        Self { segment, index, times, columns }
    }

    /// Whether a series has a sample at `at_ms`; `None` if part of the index cannot be read, and the rest has none.
    fn has(
        &mut self,
        (id, at_ms): (SeriesId, i64),
        left: &mut usize,
    ) -> Result<Option<bool>, StoreError> {
        if self.times.len() >= TIMES_MOST {
            self.times.clear();
        }
        if self.columns.len() >= COLUMNS_MOST {
            self.columns.clear();
        }
        let (entries, is_partial) = self.index.find(&self.segment, id)?;
        for entry in &entries {
            let (first_ms, last_ms) = self.segment.span(entry);
            if !(first_ms..=last_ms).contains(&at_ms) {
                continue;
            }
            let times = match self.times.entry(entry.times) {
                hash_map::Entry::Occupied(known) => known.into_mut(),
                hash_map::Entry::Vacant(free) => {
                    *left = left.saturating_sub(1);
                    free.insert(self.segment.rows(entry)?.times)
                }
            };
            let Ok(row) = times.binary_search(&at_ms) else { continue };
            let present = match self.columns.entry((entry.times, entry.values)) {
                hash_map::Entry::Occupied(known) => known.into_mut(),
                hash_map::Entry::Vacant(free) => {
                    *left = left.saturating_sub(1);
                    free.insert(self.segment.present(entry, times.len())?)
                }
            };
            if present.as_ref().is_none_or(|bits| bit(bits, row)) {
                return Ok(Some(true));
            }
        }
        Ok((!is_partial).then_some(false))
    }
}
