//! Reading a segment: by position, without holding it in memory.

use std::{
    io,
    ops::Range,
    path::{Path, PathBuf},
};

use super::{
    StoreError,
    codec::read_values,
    delta::bit,
    disk::File,
    index::Index,
    index_page::{OLD_ENTRIES, OLD_ENTRY, PAGE, Page, read_old_page, read_page},
    messages::TIMES,
    rollup::Rollup,
    rollup_codec::{Fields, read_rollups},
    rows::{Rows, read_rows},
    segment::{
        Entry, FOOTER, FOOTER_MAGIC, HEADER, MAGIC, Place, SegmentFacts, VERSION, VERSION_LEAST,
        checksum, footer_checksum,
    },
    table::Table,
    tier::Tier,
    wire::Input,
};
use crate::series::SeriesId;

/// No column or table is longer; a greater length is a damage.
pub(super) const PLACE_MAX: u32 = 64 << 20;
/// So many pages of the index are read in one piece where all of it is read.
const PAGES_AT_ONCE: u64 = 64;

/// An open segment whose header and footer have been checked.
#[derive(Debug)]
pub(super) struct Segment {
    file: File,
    path: PathBuf,
    facts: SegmentFacts,
    version: u16,
    table: Place,
    /// Where its index begins and ends, and how many entries that has.
    index: (u64, u64),
    entries: u64,
}

/// The values of a series in one block.
#[derive(Debug)]
pub(super) struct Column {
    /// Their times, where not every row has one.
    pub(super) own_times: Option<Vec<i64>>,
    pub(super) values: Vec<f64>,
}

impl Segment {
    /// Opens the segment `id`.
    pub(super) fn open(path: &Path, id: u64) -> Result<Self, StoreError> {
        let failed =
            |source| StoreError::File { step: "open segment", path: path.to_owned(), source };
        let file = File::open(path).map_err(failed)?;
        let bytes = file.length().map_err(failed)?;
        let damaged = |what| StoreError::Damaged { path: path.to_owned(), what };
        let at = bytes.checked_sub(FOOTER as u64).filter(|at| *at >= HEADER as u64);
        let at = at.ok_or_else(|| damaged("it is too short"))?;
        let mut header = [0; HEADER];
        file.read_exact_at(&mut header, 0).map_err(failed)?;
        let mut footer = [0; FOOTER];
        file.read_exact_at(&mut footer, at).map_err(failed)?;
        let (covered, trailer) = footer.split_at(FOOTER - 8);
        let version = u16::from_le_bytes([header[4], header[5]]);
        let sum = match version {
            VERSION_LEAST => checksum(id, at, covered),
            _ => footer_checksum(id, at, &header, covered),
        };
        if header[..4] != *MAGIC
            || trailer[..4] != sum.to_le_bytes()
            || trailer[4..] != *FOOTER_MAGIC
        {
            return Err(damaged("header or footer is damaged"));
        }
        // In version 1 nothing vouches for the flags, and none were written.
        let flags = if version == VERSION_LEAST { 0 } else { header[6] };
        let tier = Tier::from_number(flags & 3);
        let (true, Some(tier)) = ((VERSION_LEAST..=VERSION).contains(&version), tier) else {
            return Err(damaged("it is in another version"));
        };
        let mut input = Input::new(covered);
        let mut next = || input.array().map(u64::from_le_bytes).unwrap_or_default();
        let (table_at, table_length, index, entries) = (next(), next(), next(), next());
        let (span, first_ms, last_ms, samples) =
            (next() as i64, next() as i64, next() as i64, next());
        let (folded, settled) = (flags & 4 != 0, flags & 8 != 0);
        let facts =
            SegmentFacts { id, tier, span, first_ms, last_ms, bytes, samples, folded, settled };
        // Whoever wrote this could not reckon: nothing is reckoned with it either.
        let is_within = match version {
            VERSION_LEAST => {
                let all = entries.checked_mul(OLD_ENTRY as u64);
                all.and_then(|all| index.checked_add(all)).is_some_and(|end| end == at)
            }
            // An entry is three bytes at least.
            _ => index <= at && entries <= (at - index) / 3,
        };
        let is_of_span = |ms| TIMES.contains(&ms) && tier.span_of(ms) == span;
        let table = u32::try_from(table_at).ok().zip(u32::try_from(table_length).ok());
        let (Some((table_at, table_length)), true, true) =
            (table, is_within, samples == 0 || is_of_span(first_ms) && is_of_span(last_ms))
        else {
            return Err(damaged("its footer makes no sense"));
        };
        let table = Place { at: table_at, length: table_length };
        let index = (index, at);
        Ok(Self { file, path: path.to_owned(), facts, version, table, index, entries })
    }

    /// What its footer says.
    pub(super) fn facts(&self) -> &SegmentFacts {
        &self.facts
    }

    /// Its series, and whose they are.
    pub(super) fn table(&self) -> Result<Table, StoreError> {
        let bytes = self.read(self.table)?;
        let table = match self.version {
            VERSION_LEAST => Table::from_bytes(&bytes, self.version),
            _ => Table::from_packed(&bytes, self.version),
        };
        table.ok_or_else(|| self.damaged("its table is damaged"))
    }

    /// Where the values of a series stand, oldest first, and whether part of the
    /// index could not be read. Whoever looks for more than one keeps an [`Index`].
    pub(super) fn find(&self, series: SeriesId) -> Result<(Vec<Entry>, bool), StoreError> {
        Index::default().find(self, series)
    }

    /// Times and values of an entry, as long as both are whole.
    pub(super) fn values(
        &self,
        entry: &Entry,
        times: &[i64],
    ) -> Result<Vec<(i64, f64)>, StoreError> {
        let Column { own_times, values } = self.column(entry, times)?;
        let times = own_times.as_deref().unwrap_or(times);
        Ok(times.iter().copied().zip(values).collect())
    }

    /// The values of an entry whose rows stand at `times`, as long as they are whole.
    pub(super) fn column(&self, entry: &Entry, times: &[i64]) -> Result<Column, StoreError> {
        let bytes = self.read(entry.values)?;
        let column = read_column(&bytes, times).filter(|column| {
            let times = column.own_times.as_deref().unwrap_or(times);
            times.len() == column.values.len()
        });
        column.ok_or_else(|| self.damaged("a column of values makes no sense"))
    }

    /// In which of the `rows` of its times an entry has a value: a bit for each; `None` where it has one in all.
    pub(super) fn present(
        &self,
        entry: &Entry,
        rows: usize,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        let bytes = self.read(entry.values)?;
        let mut input = Input::new(&bytes);
        let damaged = || self.damaged("a column of values makes no sense");
        if input.u8().ok_or_else(damaged)? == 0 {
            return Ok(None);
        }
        input.take(rows.div_ceil(8)).map(|bits| Some(bits.to_vec())).ok_or_else(damaged)
    }

    /// The rollups of an entry, which stand in `rows`, as long as they are whole.
    pub(super) fn rollups(
        &self,
        entry: &Entry,
        rows: &Rows,
        fields: Fields,
    ) -> Result<Vec<Rollup>, StoreError> {
        let rollups = read_rollups(&self.read(entry.values)?, rows, fields);
        rollups.ok_or_else(|| self.damaged("a column of rollups makes no sense"))
    }

    /// The rows that an entry's values stand in.
    pub(super) fn rows(&self, entry: &Entry) -> Result<Rows, StoreError> {
        let rows = read_rows(&self.read(entry.times)?, self.facts.tier != Tier::Raw);
        let rows = rows.filter(|rows| rows.are_of(&self.times_held()));
        rows.ok_or_else(|| self.damaged("a column of times makes no sense"))
    }

    /// The times that it may hold.
    fn times_held(&self) -> Range<i64> {
        let SegmentFacts { tier, span, .. } = self.facts;
        let begin_ms = span.saturating_mul(tier.span_ms());
        let end_ms = begin_ms.saturating_add(tier.span_ms());
        begin_ms.max(*TIMES.start())..end_ms.min(TIMES.end() + 1)
    }

    /// First and last time of an entry, in milliseconds since 1970.
    pub(super) fn span(&self, entry: &Entry) -> (i64, i64) {
        (self.facts.time_of(entry.first), self.facts.time_of(entry.last))
    }

    /// Tells every entry of the index that is whole.
    pub(super) fn each_entry(&self, mut each: impl FnMut(&Entry)) -> Result<(), StoreError> {
        self.each_page(|page| page.entries.iter().for_each(&mut each))
    }

    /// Tells every page of the index.
    pub(super) fn each_page(&self, mut each: impl FnMut(Page)) -> Result<(), StoreError> {
        for first in (0..self.pages()).step_by(PAGES_AT_ONCE as usize) {
            let bytes = self.pages_from(first, PAGES_AT_ONCE)?;
            for (number, page) in (first..).zip(bytes.chunks(self.page_length())) {
                each(self.read_page(number, page));
            }
        }
        Ok(())
    }

    /// How many pages its index has.
    pub(super) fn pages(&self) -> u64 {
        (self.index.1 - self.index.0).div_ceil(self.page_length() as u64)
    }

    /// A page of its index.
    pub(super) fn page(&self, number: u64) -> Result<Page, StoreError> {
        Ok(self.read_page(number, &self.pages_from(number, 1)?))
    }

    fn page_length(&self) -> usize {
        if self.version == VERSION_LEAST { OLD_ENTRIES * OLD_ENTRY } else { PAGE }
    }

    fn pages_from(&self, first: u64, most: u64) -> Result<Vec<u8>, StoreError> {
        let length = self.page_length() as u64;
        let (at, end) = self.index;
        let at = at.saturating_add(first.saturating_mul(length));
        let mut bytes = vec![0; end.saturating_sub(at).min(most * length) as usize];
        self.file.read_exact_at(&mut bytes, at).map_err(|error| self.failed(error))?;
        Ok(bytes)
    }

    fn read_page(&self, number: u64, bytes: &[u8]) -> Page {
        let (at, length) = (self.index.0 + number * self.page_length() as u64, bytes.len() as u64);
        if self.version == VERSION_LEAST {
            let entries = read_old_page(self.facts.id, at, bytes);
            let whole = entries.len() * OLD_ENTRY == bytes.len();
            return Page { at, length, entries, whole };
        }
        let read = read_page(self.facts.id, at, bytes);
        // Zeros behind the last entry are of the page too.
        let read = read.filter(|(_, of_page)| *of_page == bytes.len());
        let whole = read.is_some();
        Page { at, length, entries: read.map(|(entries, _)| entries).unwrap_or_default(), whole }
    }

    /// The whole index; an error if any of it is damaged.
    pub(super) fn entries(&self) -> Result<Vec<Entry>, StoreError> {
        let mut entries = Vec::new();
        self.each_entry(|entry| entries.push(*entry))?;
        if entries.len() as u64 != self.entries {
            return Err(self.damaged("its index is damaged"));
        }
        Ok(entries)
    }

    /// Opens a segment whose footer is gone: nothing is known of it but what `facts` say. Its columns can be read.
    pub(super) fn without_footer(path: &Path, facts: SegmentFacts) -> Result<Self, StoreError> {
        let failed =
            |source| StoreError::File { step: "open segment", path: path.to_owned(), source };
        let file = File::open(path).map_err(failed)?;
        let bytes = file.length().map_err(failed)?;
        let facts = SegmentFacts { bytes, ..facts };
        let table = Place { at: 0, length: 0 };
        let (version, index, entries) = (VERSION, (0, 0), 0);
        Ok(Self { file, path: path.to_owned(), facts, version, table, index, entries })
    }

    fn read(&self, place: Place) -> Result<Vec<u8>, StoreError> {
        if place.length > PLACE_MAX {
            return Err(self.damaged("a length is out of range"));
        }
        let mut bytes = vec![0; place.length as usize + 4];
        self.file.read_exact_at(&mut bytes, place.at.into()).map_err(|error| self.failed(error))?;
        let sum = bytes.split_off(place.length as usize);
        if checksum(self.facts.id, place.at.into(), &bytes).to_le_bytes() != *sum {
            return Err(self.damaged("a checksum does not fit"));
        }
        Ok(bytes)
    }

    fn failed(&self, source: io::Error) -> StoreError {
        StoreError::File { step: "read segment", path: self.path.clone(), source }
    }

    fn damaged(&self, what: &'static str) -> StoreError {
        StoreError::Damaged { path: self.path.clone(), what }
    }
}

fn read_column(bytes: &[u8], times: &[i64]) -> Option<Column> {
    let mut input = Input::new(bytes);
    if input.u8()? == 0 {
        let values = read_values(input.rest(), times.len())?;
        return Some(Column { own_times: None, values });
    }
    let present = input.take(times.len().div_ceil(8))?;
    let times: Vec<i64> = times
        .iter()
        .enumerate()
        .filter(|(row, _)| bit(present, *row))
        .map(|(_, time)| *time)
        .collect();
    let values = read_values(input.rest(), times.len())?;
    Some(Column { own_times: Some(times), values })
}
