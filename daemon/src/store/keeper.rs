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
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use super::{
    StoreError, checkpoint,
    folder::bytes_below,
    gaps::Stretch,
    groups::{days_of, groups_of},
    heads::Chunk,
    segment::{SEGMENT_MAX, SegmentFacts, SegmentWriter, segment_path},
    shared::{Shared, remove_if_there},
    state::{Changes, SERIES_TOGETHER},
    state_thread::{StateRequests, StateThread},
    table::{StreamEnd, Table},
};
use crate::series::{Series, SeriesId};

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
    next_segment: u64,
    /// The series as the state has them.
    indexed_series: Vec<Option<Arc<Series>>>,
    /// What the state has not been told yet.
    unindexed: Vec<SegmentFacts>,
    /// When the folder was measured, unless its state was written since.
    measured: Option<Instant>,
}

/// How often the folder is measured though only the log was written to.
const MEASURE_EVERY: Duration = Duration::from_secs(10);

/// Closed chunks to be sealed, of one collector.
#[derive(Debug)]
pub(super) struct Picked {
    place: usize,
    end: StreamEnd,
    chunks: Vec<Arc<Chunk>>,
}

impl Keeper {
    /// A keeper whose next segment is `next_segment`; `series` are those that the
    /// state has, by number, and `unindexed` segments that it does not have.
    pub(super) fn new(
        shared: Arc<Shared>,
        store: u128,
        state: StateThread,
        next_segment: u64,
        indexed_series: Vec<Option<Arc<Series>>>,
        unindexed: Vec<SegmentFacts>,
    ) -> Self {
        Self { shared, store, state, next_segment, indexed_series, unindexed, measured: None }
    }

    /// A way to keep things of others in the state.
    pub(super) fn state_requests(&self) -> Option<StateRequests> {
        self.state.requests()
    }

    /// Whether a block is full.
    pub(super) fn is_due(&self) -> bool {
        let view = self.shared.view();
        view.heads.streams.iter().any(|stream| stream.closed_rows() >= BLOCK_ROWS)
    }

    /// Seals closed chunks: all of them, or those of collectors that have enough.
    pub(super) fn seal(&mut self, all: bool) -> Result<(), StoreError> {
        let picked = self.pick(if all { 1 } else { BLOCK_ROWS_LEAST });
        if !picked.is_empty() {
            let segments = self.write(&picked)?;
            self.publish(&picked, segments);
        }
        // What the writer begins from here on is not in this index.
        let complete_below = self.shared.sequence.load(Ordering::Relaxed);
        self.index()?;
        self.drop_logs(complete_below)
    }

    /// What there is to seal.
    pub(super) fn pick(&self, least_rows: usize) -> Vec<Picked> {
        let view = self.shared.view();
        let mut picked = Vec::new();
        for (place, stream) in view.heads.streams.iter().enumerate() {
            let Some(last) = stream.closed.last() else { continue };
            if stream.closed_rows() >= least_rows {
                let end = StreamEnd {
                    server: stream.server.clone(),
                    collector: stream.collector.clone(),
                    interval_ms: stream.interval_ms,
                    last_ms: last.last_ms,
                };
                picked.push(Picked { place, end, chunks: stream.closed.clone() });
            }
        }
        picked
    }

    /// Writes what was picked: a segment for each day.
    pub(super) fn write(&mut self, picked: &[Picked]) -> Result<Vec<SegmentFacts>, StoreError> {
        let mut segments = Vec::new();
        for day in days_of(picked.iter().flat_map(|picked| &picked.chunks)) {
            let mut rest = picked;
            while !rest.is_empty() {
                match self.write_segment(day, rest, &mut segments) {
                    Ok(left) => rest = left,
                    Err(error) => {
                        self.discard(&segments);
                        return Err(error);
                    }
                }
            }
        }
        Ok(segments)
    }

    /// Deletes segments that will be written again.
    fn discard(&self, segments: &[SegmentFacts]) {
        for facts in segments {
            let path = segment_path(&self.shared.segment_folder(), facts.day, facts.id);
            // Left behind, it holds the same samples twice, which no reader shows.
            let _ = remove_if_there(&path);
        }
    }

    /// Writes one segment of `day`, until nothing is left or the segment is full;
    /// answers what is left.
    fn write_segment<'a>(
        &mut self,
        day: i64,
        picked: &'a [Picked],
        segments: &mut Vec<SegmentFacts>,
    ) -> Result<&'a [Picked], StoreError> {
        let mut writer: Option<SegmentWriter> = None;
        let mut table = Table::default();
        let mut series = BTreeMap::new();
        let mut rest = picked;
        while let Some((picked, left)) = rest.split_first() {
            if writer.as_ref().is_some_and(|writer| writer.length() > SEGMENT_MAX / 4) {
                break;
            }
            rest = left;
            let groups = groups_of(&picked.chunks, day);
            let Some(last) = groups.last().and_then(|group| group.times.last()) else { continue };
            self.shared.keeper_beat_ms.store(crate::series::now_ms(), Ordering::Relaxed);
            table.streams.push(StreamEnd { last_ms: *last, ..picked.end.clone() });
            let out = match &mut writer {
                Some(writer) => writer,
                None => {
                    let folder = self.shared.segment_folder();
                    let id = self.next_segment;
                    writer.insert(SegmentWriter::create(&folder, day, id, self.store)?)
                }
            };
            for group in &groups {
                out.add(group);
                let ids = group.columns.iter().map(|column| column.series);
                series.extend(ids.filter_map(|id| Some((id, self.shared.catalog.get(id)?))));
            }
            if let Err(error) = write_out(&self.shared, out) {
                writer.into_iter().for_each(SegmentWriter::abandon);
                return Err(error);
            }
        }
        let Some(mut writer) = writer else { return Ok(rest) };
        table.numbers = u32::try_from(self.shared.catalog.len()).unwrap_or(u32::MAX);
        table.series = series.into_iter().collect();
        writer.close(&table);
        if let Err(error) = write_out(&self.shared, &mut writer) {
            writer.abandon();
            return Err(error);
        }
        self.next_segment += 1;
        segments.push(writer.finish()?);
        Ok(rest)
    }

    /// Shows the segments to readers, and takes from the heads what is in them.
    pub(super) fn publish(&mut self, picked: &[Picked], segments: Vec<SegmentFacts>) {
        self.unindexed.extend(segments.iter().cloned());
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
        self.unindexed.iter().for_each(|facts| changes.segment(facts));
        let dropped = self.shared.take_dropped_segments();
        dropped.iter().for_each(|id| changes.no_segment(*id));
        let gaps = self.new_gaps(&mut changes);
        self.measured = None;
        if let Err(error) = self.state.apply(changes) {
            self.shared.remember_dropped_segments(dropped);
            let mut view = self.shared.view_mut();
            for (place, gap) in gaps {
                view.heads.streams[place].gaps.renew(gap.from_ms);
            }
            return Err(error);
        }
        self.unindexed.clear();
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

    /// Deletes segments and forgets gaps that are older than `oldest_ms`.
    pub(super) fn expire(&mut self, oldest_ms: i64) -> Result<(), StoreError> {
        let expired: Vec<_> = {
            let view = self.shared.view();
            view.segments.values().filter(|facts| facts.last_ms < oldest_ms).cloned().collect()
        };
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
        self.shared.make_room(bytes_below(&path))?;
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
        self.shared.make_room(0)
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

/// Writes what the segment holds in memory, once there is room for it.
fn write_out(shared: &Shared, writer: &mut SegmentWriter) -> Result<(), StoreError> {
    // What of this segment is written already is in no sum yet.
    shared.make_room(writer.length())?;
    shared.count_written(writer.pending());
    writer.write_out()
}
