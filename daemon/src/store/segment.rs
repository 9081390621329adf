//! A segment: samples of one day, or rollups of one week or year, sealed and never changed again.
//!
//! ```text
//!  header   "BZSG" · version u16 · flags u16 · number u64 · id of the store u128
//!  columns  each its bytes and their crc32c: a group of rows, see [`super::rows`], then
//!           the values, or rollups, of each of its series
//!  table    see [`super::table`], as DEFLATE
//!  index    an entry for each value column, by (series, time), in pages: see [`super::index_page`]
//!  footer   where table and index stand, span, first and last time, samples, crc32c, "BZSE"
//!
//!  flags    tier (2 bits) · folded · settled
//! ```
//!
//! Checksums are seeded with the number of the segment and the place in it; the footer's covers the header too.
//! A reader believes nothing that has not passed its checksum. Version 1 had no tiers, no flags, a plain table, an index of
//! entries of 32 bytes, and a footer whose checksum covered itself alone.

use std::{
    collections::VecDeque,
    path::{Path, PathBuf},
};

use super::{
    StoreError,
    codec::{Effort, put_values},
    disk::{File, create_dir_all, remove_file, rename, sync_folder},
    index_page::put_index,
    rollup::Rollup,
    rollup_codec::put_rollups,
    room::Room,
    rows::{Extent, Rows, put_rows},
    table::Table,
    tier::Tier,
};
use crate::series::{Kind, SeriesId};

pub(super) const MAGIC: &[u8; 4] = b"BZSG";
pub(super) const FOOTER_MAGIC: &[u8; 4] = b"BZSE";
pub(super) const VERSION: u16 = 2;
/// The oldest version that is still read.
pub(super) const VERSION_LEAST: u16 = 1;
/// Length of the header.
pub(super) const HEADER: usize = 32;
/// Length of the footer.
pub(super) const FOOTER: usize = 72;
/// A segment is closed when it reaches this size: places in it are 32 bits.
pub(super) const SEGMENT_MAX: u64 = 1 << 30;
/// So many groups of rows are known to have been written: a day's, once a second, has 22.
const ROWS_MOST: usize = 32;
/// Milliseconds of a day.
pub(super) const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// What is known of a segment without opening it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SegmentFacts {
    /// Its number; one that was written later has a greater one, whatever its tier.
    pub(super) id: u64,
    /// What it holds.
    pub(super) tier: Tier,
    /// The day, week or year of its samples, counted from 1970.
    pub(super) span: i64,
    /// Time of its first sample.
    pub(super) first_ms: i64,
    /// Time of its last sample.
    pub(super) last_ms: i64,
    /// Its size.
    pub(super) bytes: u64,
    /// Samples, or rollups, in it.
    pub(super) samples: u64,
    /// Whether what it holds is in the next coarser tier too.
    pub(super) folded: bool,
    /// Whether it was written to stay, from segments that were sealed as samples came.
    pub(super) settled: bool,
}

/// Where a value column stands, and its times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) series: SeriesId,
    /// Times of the first and last sample, from the begin of the span, in the unit of the tier: never too short a stretch.
    pub(super) first: u32,
    pub(super) last: u32,
    pub(super) times: Place,
    pub(super) values: Place,
}

/// A stretch of the file, checksum not counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Place {
    pub(super) at: u32,
    pub(super) length: u32,
}

/// Rows of one schema, within one day.
#[derive(Debug, Clone, Default)]
pub(super) struct Group {
    /// Times of the rows, ascending.
    pub(super) times: Vec<i64>,
    /// A column for each series: its values, and in which rows they stand.
    pub(super) columns: Vec<GroupColumn>,
}

/// The values of one series in a group.
#[derive(Debug, Clone)]
pub(super) struct GroupColumn {
    pub(super) series: SeriesId,
    pub(super) rows: Vec<u16>,
    pub(super) values: Vec<f64>,
}

/// A segment that is being written, under a name of its own until it is whole.
#[derive(Debug)]
pub(super) struct SegmentWriter {
    file: File,
    draft: PathBuf,
    path: PathBuf,
    facts: SegmentFacts,
    header: [u8; HEADER],
    entries: Vec<Entry>,
    /// The rows that were written last, and where they stand, the newest at the end.
    rows: VecDeque<(Rows, Place)>,
    /// Bytes not yet written, and how many stand before them.
    pending: Vec<u8>,
    written: u64,
    /// What it may take of the disk, where somebody limits that.
    pub(super) room: Room,
}

/// The header of a segment.
fn header(facts: &SegmentFacts, store: u128) -> [u8; HEADER] {
    let flags = facts.tier as u16 | u16::from(facts.folded) << 2 | u16::from(facts.settled) << 3;
    let mut bytes = [0; HEADER];
    bytes[..4].copy_from_slice(MAGIC);
    bytes[4..6].copy_from_slice(&VERSION.to_le_bytes());
    bytes[6..8].copy_from_slice(&flags.to_le_bytes());
    bytes[8..16].copy_from_slice(&facts.id.to_le_bytes());
    bytes[16..].copy_from_slice(&store.to_le_bytes());
    bytes
}

/// The checksum of bytes at a place of a segment.
pub(super) fn checksum(id: u64, at: u64, bytes: &[u8]) -> u32 {
    // Nothing that is made up would come past it.
    if cfg!(fuzzing) {
        return 0;
    }
    let mut seed = [0; 16];
    seed[..8].copy_from_slice(&id.to_le_bytes());
    seed[8..].copy_from_slice(&at.to_le_bytes());
    crc32c::crc32c_append(crc32c::crc32c(&seed), bytes)
}

/// The checksum of the footer at a place of a segment.
pub(super) fn footer_checksum(id: u64, at: u64, header: &[u8], footer: &[u8]) -> u32 {
    checksum(id, at, &[header, footer].concat())
}

impl SegmentFacts {
    /// What is known before anything is in it.
    pub(super) fn empty(id: u64, tier: Tier, span: i64) -> Self {
        let (first_ms, last_ms) = (i64::MAX, i64::MIN);
        let (bytes, samples, folded, settled) = (0, 0, false, false);
        Self { id, tier, span, first_ms, last_ms, bytes, samples, folded, settled }
    }

    /// Whether it is read where the coarsest tier that is read is `tier`: it holds something that no coarser one does.
    pub(super) fn is_read_for(&self, tier: Tier) -> bool {
        self.tier == tier || (self.tier < tier && !self.folded)
    }

    /// Where it stands below the folder `segments`.
    pub(super) fn path(&self, segments: &Path) -> PathBuf {
        let name = format!("{:016x}.seg", self.id);
        segments.join(self.tier.name()).join(self.span.to_string()).join(name)
    }

    /// A time that stands in an entry of the index, in milliseconds since 1970.
    pub(super) fn time_of(&self, units: u32) -> i64 {
        let begin_ms = self.span.wrapping_mul(self.tier.span_ms());
        begin_ms.wrapping_add(i64::from(units).wrapping_mul(self.tier.unit_ms()))
    }

    /// The times of a first and last sample as they stand in the index.
    fn units_of(&self, first_ms: i64, last_ms: i64) -> (u32, u32) {
        let begin_ms = self.span * self.tier.span_ms();
        let unit_ms = self.tier.unit_ms();
        let first = (first_ms - begin_ms).div_euclid(unit_ms);
        let last = (last_ms - begin_ms + unit_ms - 1).div_euclid(unit_ms);
        (first as u32, last as u32)
    }
}

impl SegmentWriter {
    /// Begins the segment that `facts` name below the folder `segments`.
    pub(super) fn create(
        segments: &Path,
        facts: SegmentFacts,
        store: u128,
    ) -> Result<Self, StoreError> {
        let path = facts.path(segments);
        let draft = path.with_extension("tmp");
        if let Some(folder) = path.parent() {
            create_dir_all(folder).map_err(StoreError::file("make folder", folder))?;
            for above in [segments.join(facts.tier.name()), segments.to_owned()] {
                sync_folder(&above).map_err(StoreError::file("sync folder", above))?;
            }
        }
        let file = File::create(&draft).map_err(StoreError::file("make segment", &draft))?;
        let header = header(&facts, store);
        let (entries, pending, rows) = (Vec::new(), header.to_vec(), VecDeque::new());
        let (written, room) = (0, Room::default());
        Ok(Self { file, draft, path, facts, header, entries, rows, pending, written, room })
    }

    /// Adds rows. They wait in memory until [`write_out`](Self::write_out).
    pub(super) fn add(&mut self, group: &Group) {
        for column in &group.columns {
            self.add_column(&group.times, column, Effort::Fresh);
        }
    }

    /// Adds the values of one series, which stand in rows of `times`. Series that share their times come close together.
    pub(super) fn add_column(&mut self, times: &[i64], column: &GroupColumn, effort: Effort) {
        let ends = column.rows.first().zip(column.rows.last());
        let ends =
            ends.map(|(first, last)| (times[usize::from(*first)], times[usize::from(*last)]));
        let Some((first_ms, last_ms)) = ends else { return };
        let place = self.place_of(times, Vec::new(), effort);
        let values = self.put(|out| put_column(out, column, times.len(), effort));
        self.enter(column.series, (first_ms, last_ms), place, values);
        self.facts.samples += column.values.len() as u64;
    }

    /// Adds the rollups of one series, which are in order.
    pub(super) fn add_rollups(
        &mut self,
        series: SeriesId,
        kind: Kind,
        rollups: &[Rollup],
        effort: Effort,
    ) {
        let (Some(first), Some(last)) = (rollups.first(), rollups.last()) else { return };
        let Rows { times, extents } = Rows::of(rollups);
        let place = self.place_of(&times, extents, effort);
        let values = self.put(|out| put_rollups(out, kind, rollups, effort));
        self.enter(series, (first.first_ms, last.last_ms), place, values);
        self.facts.samples += rollups.len() as u64;
    }

    fn enter(
        &mut self,
        series: SeriesId,
        (first_ms, last_ms): (i64, i64),
        times: Place,
        values: Place,
    ) {
        self.facts.first_ms = self.facts.first_ms.min(first_ms);
        self.facts.last_ms = self.facts.last_ms.max(last_ms);
        let (first, last) = self.facts.units_of(first_ms, last_ms);
        self.entries.push(Entry { series, first, last, times, values });
    }

    /// Where rows stand, which are written unless they were not long ago.
    fn place_of(&mut self, times: &[i64], extents: Vec<Extent>, effort: Effort) -> Place {
        let is_it = |rows: &Rows| rows.times == times && rows.extents == extents;
        if let Some((_, place)) = self.rows.iter().rev().find(|(rows, _)| is_it(rows)) {
            return *place;
        }
        let rows = Rows { times: times.to_vec(), extents };
        let place = self.put(|out| put_rows(out, &rows, effort));
        if self.rows.len() == ROWS_MOST {
            self.rows.pop_front();
        }
        self.rows.push_back((rows, place));
        place
    }

    /// Bytes that wait in memory.
    pub(super) fn pending(&self) -> u64 {
        self.pending.len() as u64
    }

    /// Bytes of the whole so far.
    pub(super) fn length(&self) -> u64 {
        self.written + self.pending()
    }

    /// Writes what waits in memory.
    pub(super) fn write_out(&mut self) -> Result<(), StoreError> {
        self.file
            .write_all(&self.pending)
            .map_err(StoreError::file("write segment", &self.draft))?;
        self.written += self.pending();
        self.pending.clear();
        Ok(())
    }

    /// Adds what comes after the columns; write it out, then [`finish`](Self::finish).
    pub(super) fn close(&mut self, table: &Table) {
        let table = self.put(|out| out.extend_from_slice(&table.to_packed()));
        self.entries.sort_unstable_by_key(|entry| (entry.series, entry.first));
        let entries = std::mem::take(&mut self.entries);
        let (index, count) = (self.length(), entries.len() as u64);
        put_index(&mut self.pending, self.facts.id, index, &entries);
        let at = self.length();
        let start = self.pending.len();
        let facts = &self.facts;
        for number in [u64::from(table.at), u64::from(table.length), index, count] {
            self.pending.extend_from_slice(&number.to_le_bytes());
        }
        for number in [facts.span, facts.first_ms, facts.last_ms] {
            self.pending.extend_from_slice(&number.to_le_bytes());
        }
        self.pending.extend_from_slice(&facts.samples.to_le_bytes());
        let sum = footer_checksum(facts.id, at, &self.header, &self.pending[start..]);
        self.pending.extend_from_slice(&sum.to_le_bytes());
        self.pending.extend_from_slice(FOOTER_MAGIC);
    }

    /// Makes the segment durable and gives it its name.
    pub(super) fn finish(mut self) -> Result<SegmentFacts, StoreError> {
        if let Err(error) = self.name() {
            // It may have its name already, and is written again under another.
            let _ = remove_file(&self.path);
            self.abandon();
            return Err(error);
        }
        self.facts.bytes = self.written;
        self.room.finished();
        Ok(self.facts)
    }

    /// What is known of it so far.
    pub(super) fn facts(&self) -> &SegmentFacts {
        &self.facts
    }

    fn name(&self) -> Result<(), StoreError> {
        self.file.sync_data().map_err(StoreError::file("sync segment", &self.draft))?;
        rename(&self.draft, &self.path).map_err(StoreError::file("rename segment", &self.draft))?;
        if let Some(folder) = self.path.parent() {
            sync_folder(folder).map_err(StoreError::file("sync folder", folder))?;
        }
        Ok(())
    }

    /// Gives up, and leaves nothing behind.
    pub(super) fn abandon(self) {
        // At the next start it would be deleted anyway.
        let _ = remove_file(&self.draft);
    }

    fn put(&mut self, bytes: impl FnOnce(&mut Vec<u8>)) -> Place {
        let at = self.length();
        let start = self.pending.len();
        bytes(&mut self.pending);
        let sum = checksum(self.facts.id, at, &self.pending[start..]);
        let length = (self.pending.len() - start) as u32;
        self.pending.extend_from_slice(&sum.to_le_bytes());
        Place { at: at as u32, length }
    }
}

/// 0 and the values; or 1, a bit for each row, and the values of those that have one.
fn put_column(out: &mut Vec<u8>, column: &GroupColumn, rows: usize, effort: Effort) {
    if column.rows.len() == rows {
        out.push(0);
    } else {
        out.push(1);
        let start = out.len();
        out.resize(start + rows.div_ceil(8), 0);
        for row in &column.rows {
            out[start + usize::from(row / 8)] |= 1 << (row % 8);
        }
    }
    put_values(out, &column.values, effort);
}
