//! Sealing, retention, and what the state is told: everything that may take its time.
//!
//! ```text
//!  pick ─► write segments ─► publish ─► index ─► drop logs
//! ```
//!
//! Each step is safe to be killed after: a segment counts from its renaming on,
//! a log file is deleted only when all it holds is in segments that the state
//! knows, and frames that are in both are recognised by their time.

use std::{
    collections::BTreeSet,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use super::{
    StoreError, checkpoint,
    folder::bytes_below,
    gaps::Stretch,
    heads::Chunk,
    retention,
    sealing::{self, Picked, pick},
    segment::SegmentFacts,
    shared::Shared,
    state::{Changes, SERIES_TOGETHER},
    state_thread::{StateRequests, StateThread},
    table::StreamEnd,
    tier::Tier,
};
use crate::{
    config::Retention,
    series::{Series, SeriesId},
};

/// Rows that make a full block.
pub(super) const BLOCK_ROWS: usize = 1024;
/// A collector with fewer closed rows waits when another one's block is full.
const BLOCK_ROWS_LEAST: usize = 512;

/// So many pages of series are told to the state in one piece.
const PAGES_AT_ONCE: usize = 128;

/// Seals and deletes. One at a time; threads: any.
#[derive(Debug)]
pub(super) struct Keeper {
    shared: Arc<Shared>,
    store: u128,
    state: StateThread,
    /// The series as the state has them.
    indexed_series: Vec<Option<Arc<Series>>>,
    /// When the folder was measured, unless its state was written since.
    measured: Option<Instant>,
}

/// How often the folder is measured though only the log was written to.
const MEASURE_EVERY: Duration = Duration::from_secs(10);

impl Keeper {
    /// A keeper; `indexed_series` are those that the state has, by number.
    pub(super) fn new(
        shared: Arc<Shared>,
        store: u128,
        state: StateThread,
        indexed_series: Vec<Option<Arc<Series>>>,
    ) -> Self {
        Self { shared, store, state, indexed_series, measured: None }
    }

    /// Which store it is.
    pub(super) fn store(&self) -> u128 {
        self.store
    }

    /// A way to keep things of others in the state.
    pub(super) fn state_requests(&self) -> Option<StateRequests> {
        self.state.requests()
    }

    /// Makes changes of others: for tests.
    #[cfg(test)]
    pub(super) fn tell(&mut self, changes: Changes) {
        self.state.apply(changes).unwrap_or_else(|error| panic!("{error}"));
    }

    /// Whether a block is full.
    pub(super) fn is_due(&self) -> bool {
        let view = self.shared.view();
        view.heads.streams.iter().any(|stream| stream.closed_rows() >= BLOCK_ROWS)
    }

    /// Seals closed chunks: all of them, or those of collectors that have enough.
    pub(super) fn seal(&mut self, all: bool) -> Result<(), StoreError> {
        let picked = pick(&self.shared, if all { 1 } else { BLOCK_ROWS_LEAST });
        if !picked.is_empty() {
            let segments = sealing::write(&self.shared, self.store, &picked)?;
            self.publish(&picked, segments);
        }
        // What the writer begins from here on is not in this index.
        let complete_below = self.shared.sequence.load(Ordering::Relaxed);
        self.index()?;
        self.drop_logs(complete_below)
    }

    /// Shows the segments to readers, and takes from the heads what is in them.
    pub(super) fn publish(&mut self, picked: &[Picked], segments: Vec<SegmentFacts>) {
        self.shared.tell_segments(segments.iter().cloned());
        let mut view = self.shared.view_mut();
        for facts in segments {
            self.shared.add_segment(&mut view, facts);
        }
        for picked in picked {
            if let Some(stream) = view.heads.streams.get_mut(picked.place) {
                // The writer adds at the end, and may have dropped some at the front.
                let sealed = |chunk: &Arc<Chunk>| chunk.last_ms <= picked.end.last_ms;
                stream.closed.drain(..stream.closed.partition_point(sealed));
                stream.sealed_ms = Some(picked.end.last_ms);
            }
        }
    }

    /// Tells the state what is new.
    pub(super) fn index(&mut self) -> Result<(), StoreError> {
        self.index_series()?;
        let mut changes = Changes::default();
        changes.store(self.store);
        changes.log(self.shared.sequence.load(Ordering::Relaxed));
        let untold = self.shared.take_untold_segments();
        untold.iter().for_each(|facts| changes.segment(facts));
        let dropped = self.shared.take_dropped_segments();
        dropped.iter().for_each(|id| changes.no_segment(*id));
        let gaps = self.new_gaps(&mut changes);
        self.measured = None;
        if let Err(error) = self.state.apply(changes) {
            self.shared.remember_dropped_segments(dropped);
            self.shared.tell_segments_again(untold);
            let mut view = self.shared.view_mut();
            for (place, gap) in gaps {
                view.heads.streams[place].gaps.renew(gap.from_ms);
            }
            return Err(error);
        }
        Ok(())
    }

    /// Tells the state which series are new or have changed, some at a time: all of a large fleet would take it
    /// longer than it may.
    fn index_series(&mut self) -> Result<(), StoreError> {
        let all = self.shared.catalog.len();
        let pages: Vec<u32> = self.changed_pages().into_iter().collect();
        for piece in pages.chunks(PAGES_AT_ONCE) {
            let (mut changes, mut told) = (Changes::default(), Vec::new());
            for page in piece {
                let series = self.page(*page);
                changes.series_page(*page, &series);
                told.extend(series);
            }
            self.measured = None;
            self.state.apply(changes)?;
            self.shared.keeper_beat_ms.store(crate::series::now_ms(), Ordering::Relaxed);
            for (id, series) in told {
                let index = id.0 as usize;
                if self.indexed_series.len() <= index {
                    self.indexed_series.resize(index + 1, None);
                }
                self.indexed_series[index] = Some(series);
            }
        }
        self.shared.indexed_series.store(all, Ordering::Relaxed);
        Ok(())
    }

    /// Lets go of the log files below `in_use` of which nothing is unsealed.
    pub(super) fn drop_logs(&mut self, in_use: u64) -> Result<(), StoreError> {
        let unsealed = self.shared.view().heads.oldest_sequence();
        let keep_from = unsealed.map_or(in_use, |unsealed| unsealed.min(in_use));
        let done: Vec<u64> = self.shared.logs().range(..keep_from).map(|(s, _)| *s).collect();
        for sequence in done {
            self.shared.retire_log(sequence)?;
        }
        Ok(())
    }

    /// Deletes the segments that are older than their tier keeps, and forgets the gaps that none of them reaches.
    pub(super) fn expire(&mut self, retention: &Retention, now_ms: i64) -> Result<(), StoreError> {
        let expired: Vec<_> = {
            let view = self.shared.view();
            let old = |facts: &Arc<SegmentFacts>| {
                // Minutes that are in no hour yet wait until they are.
                let tier = if facts.tier == Tier::Minute && !facts.folded {
                    Tier::Hour
                } else {
                    facts.tier
                };
                facts.last_ms < retention::oldest_ms(retention, tier, now_ms)
            };
            view.segments.values().filter(|facts| old(facts)).cloned().collect()
        };
        let oldest_ms = Tier::ALL.map(|tier| retention::oldest_ms(retention, tier, now_ms));
        let oldest_ms = oldest_ms.into_iter().min().unwrap_or(i64::MIN);
        for facts in &expired {
            self.shared.drop_segment(facts)?;
        }
        let mut changes = Changes::default();
        for stream in &mut self.shared.view_mut().heads.streams {
            for from_ms in stream.gaps.expire(oldest_ms) {
                changes.no_gap(&stream.server, &stream.collector, from_ms);
            }
        }
        if expired.is_empty() && changes.0.is_empty() {
            return Ok(());
        }
        self.measured = None;
        self.state.apply(changes)?;
        self.index()
    }

    /// Copies the state to a file.
    pub(super) fn checkpoint(&mut self) -> Result<(), StoreError> {
        let path = self.shared.path.join("checkpoint").join(checkpoint::FILE);
        // The copy stands beside the one before until it is whole.
        let _room = self.shared.take_room(bytes_below(&path))?;
        self.measured = None;
        let bytes = self.state.checkpoint(path)?;
        self.shared.count_written(bytes);
        Ok(())
    }

    /// Measures what neither log nor segments tell.
    pub(super) fn measure(&self) {
        let entries = std::fs::read_dir(&self.shared.path).into_iter().flatten().flatten();
        let other =
            entries.filter(|entry| entry.file_name() != "log" && entry.file_name() != "segments");
        let bytes = other.map(|entry| bytes_below(&entry.path())).sum();
        self.shared.other_bytes.store(bytes, Ordering::Relaxed);
    }

    /// Deletes segments until the folder is under its limit.
    pub(super) fn stay_under_limit(&mut self) -> Result<(), StoreError> {
        if self.measured.is_none_or(|measured| measured.elapsed() >= MEASURE_EVERY) {
            self.measure();
            self.measured = Some(Instant::now());
        }
        self.shared.release_held()?;
        self.shared.make_room()
    }

    /// Pages that hold a series that is new or has changed.
    fn changed_pages(&self) -> BTreeSet<u32> {
        let all = (0..self.shared.catalog.len()).filter_map(|index| {
            let id = u32::try_from(index).ok()?;
            let series = self.shared.catalog.get(SeriesId(id))?;
            let known = self.indexed_series.get(index).and_then(Option::as_ref);
            let is_new = known.is_none_or(|known| !Arc::ptr_eq(known, &series));
            is_new.then_some(id / SERIES_TOGETHER)
        });
        all.collect()
    }

    fn page(&self, page: u32) -> Vec<(SeriesId, Arc<Series>)> {
        let first = page.saturating_mul(SERIES_TOGETHER);
        let ids = (first..first.saturating_add(SERIES_TOGETHER)).map(SeriesId);
        ids.filter_map(|id| Some((id, self.shared.catalog.get(id)?))).collect()
    }

    /// Adds gaps and sealed times; answers the gaps, in case they are not kept.
    fn new_gaps(&self, changes: &mut Changes) -> Vec<(usize, Stretch)> {
        let mut gaps = Vec::new();
        let mut view = self.shared.view_mut();
        for (place, stream) in view.heads.streams.iter_mut().enumerate() {
            if let Some(last_ms) = stream.sealed_ms {
                let (server, collector) = (stream.server.clone(), stream.collector.clone());
                let interval_ms = stream.interval_ms;
                changes.stream(&StreamEnd { server, collector, interval_ms, last_ms });
            }
            for gap in stream.gaps.take_new() {
                changes.gap(&stream.server, &stream.collector, &gap);
                gaps.push((place, gap));
            }
        }
        gaps
    }
}
