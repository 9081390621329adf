//! A segment: the samples of one day or less, sealed and never changed again.
//!
//! ```text
//!  header   "BZSG" · version u16 · flags u16 · number u64 · id of the store u128
//!  columns  each its bytes and their crc32c: the times of a group of rows, then
//!           the values of each of its series
//!  table    see [`super::table`]
//!  index    an entry for each value column, by (series, time), each with its crc32c
//!  footer   where table and index stand, day, first and last time, samples, crc32c, "BZSE"
//! ```
//!
//! Checksums are seeded with the number of the segment and the place in it. A
//! reader believes nothing that has not passed its checksum.

use std::{
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
};

use super::{
    StoreError,
    codec::{put_times, put_values},
    folder::sync_folder,
    table::Table,
    wire::put_u64,
};
use crate::series::SeriesId;

pub(super) const MAGIC: &[u8; 4] = b"BZSG";
pub(super) const FOOTER_MAGIC: &[u8; 4] = b"BZSE";
pub(super) const VERSION: u16 = 1;
/// Length of the header.
pub(super) const HEADER: usize = 32;
/// Length of the footer.
pub(super) const FOOTER: usize = 72;
/// Length of an index entry.
pub(super) const ENTRY: usize = 32;
/// A segment is closed when it reaches this size: places in it are 32 bits.
pub(super) const SEGMENT_MAX: u64 = 1 << 30;
/// Milliseconds of a day.
pub(super) const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// What is known of a segment without opening it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SegmentFacts {
    /// Its number; a later segment has a greater one.
    pub(super) id: u64,
    /// The day of its samples, counted from 1970.
    pub(super) day: i64,
    /// Time of its first sample.
    pub(super) first_ms: i64,
    /// Time of its last sample.
    pub(super) last_ms: i64,
    /// Its size.
    pub(super) bytes: u64,
    /// Samples in it.
    pub(super) samples: u64,
}

/// Where a value column stands, and its times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) series: SeriesId,
    /// Times of the first and last row, in milliseconds of the day.
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
    entries: Vec<Entry>,
    /// Bytes not yet written, and how many stand before them.
    pending: Vec<u8>,
    written: u64,
}

/// Where the segment stands below the folder `segments`.
pub(super) fn segment_path(segments: &Path, day: i64, id: u64) -> PathBuf {
    segments.join("raw").join(day.to_string()).join(format!("{id:016x}.seg"))
}

/// The checksum of bytes at a place of a segment.
pub(super) fn checksum(id: u64, at: u64, bytes: &[u8]) -> u32 {
    let mut seed = [0; 16];
    seed[..8].copy_from_slice(&id.to_le_bytes());
    seed[8..].copy_from_slice(&at.to_le_bytes());
    crc32c::crc32c_append(crc32c::crc32c(&seed), bytes)
}

impl SegmentFacts {
    /// A time that stands in an entry of the index, in milliseconds since 1970.
    pub(super) fn of_day(&self, milliseconds: u32) -> i64 {
        self.day.wrapping_mul(DAY_MS).wrapping_add(milliseconds.into())
    }
}

impl SegmentWriter {
    /// Begins a segment below the folder `segments`.
    pub(super) fn create(
        segments: &Path,
        day: i64,
        id: u64,
        store: u128,
    ) -> Result<Self, StoreError> {
        let path = segment_path(segments, day, id);
        let draft = path.with_extension("tmp");
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(StoreError::file("make folder", folder))?;
            for above in [segments.join("raw"), segments.to_owned()] {
                sync_folder(&above).map_err(StoreError::file("sync folder", above))?;
            }
        }
        let file = File::create(&draft).map_err(StoreError::file("make segment", &draft))?;
        let mut pending = Vec::new();
        pending.extend_from_slice(MAGIC);
        pending.extend_from_slice(&VERSION.to_le_bytes());
        pending.extend_from_slice(&0u16.to_le_bytes());
        pending.extend_from_slice(&id.to_le_bytes());
        pending.extend_from_slice(&store.to_le_bytes());
        let facts =
            SegmentFacts { id, day, first_ms: i64::MAX, last_ms: i64::MIN, bytes: 0, samples: 0 };
        Ok(Self { file, draft, path, facts, entries: Vec::new(), pending, written: 0 })
    }

    /// Adds rows. They wait in memory until [`write_out`](Self::write_out).
    pub(super) fn add(&mut self, group: &Group) {
        let (Some(&first), Some(&last)) = (group.times.first(), group.times.last()) else {
            return;
        };
        self.facts.first_ms = self.facts.first_ms.min(first);
        self.facts.last_ms = self.facts.last_ms.max(last);
        let times = self.put(|out| {
            put_u64(out, group.times.len() as u64);
            put_times(out, &group.times);
        });
        for column in &group.columns {
            let (Some(&first), Some(&last)) = (column.rows.first(), column.rows.last()) else {
                continue;
            };
            let values = self.put(|out| put_column(out, column, group.times.len()));
            let of_day =
                |row: u16| (group.times[usize::from(row)] - self.facts.day * DAY_MS) as u32;
            let (first, last) = (of_day(first), of_day(last));
            self.entries.push(Entry { series: column.series, first, last, times, values });
            self.facts.samples += column.values.len() as u64;
        }
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
        let table = self.put(|out| out.extend_from_slice(&table.to_bytes()));
        self.entries.sort_unstable_by_key(|entry| (entry.series, entry.first));
        let index = self.length();
        for entry in std::mem::take(&mut self.entries) {
            let bytes = entry_bytes(&entry);
            let sum = checksum(self.facts.id, self.length(), &bytes);
            self.pending.extend_from_slice(&bytes);
            self.pending.extend_from_slice(&sum.to_le_bytes());
        }
        let at = self.length();
        let start = self.pending.len();
        let count = (at - index) / ENTRY as u64;
        let facts = &self.facts;
        for number in [u64::from(table.at), u64::from(table.length), index, count] {
            self.pending.extend_from_slice(&number.to_le_bytes());
        }
        for number in [facts.day, facts.first_ms, facts.last_ms] {
            self.pending.extend_from_slice(&number.to_le_bytes());
        }
        self.pending.extend_from_slice(&facts.samples.to_le_bytes());
        let sum = checksum(facts.id, at, &self.pending[start..]);
        self.pending.extend_from_slice(&sum.to_le_bytes());
        self.pending.extend_from_slice(FOOTER_MAGIC);
    }

    /// Makes the segment durable and gives it its name.
    pub(super) fn finish(mut self) -> Result<SegmentFacts, StoreError> {
        self.file.sync_data().map_err(StoreError::file("sync segment", &self.draft))?;
        fs::rename(&self.draft, &self.path)
            .map_err(StoreError::file("rename segment", &self.draft))?;
        if let Some(folder) = self.path.parent() {
            sync_folder(folder).map_err(StoreError::file("sync folder", folder))?;
        }
        self.facts.bytes = self.written;
        Ok(self.facts)
    }

    /// Gives up, and leaves nothing behind.
    pub(super) fn abandon(self) {
        // At the next start it would be deleted anyway.
        let _ = fs::remove_file(&self.draft);
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
fn put_column(out: &mut Vec<u8>, column: &GroupColumn, rows: usize) {
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
    put_values(out, &column.values);
}

fn entry_bytes(entry: &Entry) -> [u8; ENTRY - 4] {
    let numbers = [
        entry.series.0,
        entry.first,
        entry.last,
        entry.times.at,
        entry.times.length,
        entry.values.at,
        entry.values.length,
    ];
    let mut bytes = [0; ENTRY - 4];
    for (place, number) in bytes.chunks_exact_mut(4).zip(numbers) {
        place.copy_from_slice(&number.to_le_bytes());
    }
    bytes
}
