//! Searching the index of a segment: what was read of it once is not read again.

use std::collections::HashMap;

use super::{
    StoreError,
    segment::{ENTRY, Entry},
    segment_read::{Segment, read_entry},
};
use crate::series::SeriesId;

/// Entries that are read together.
const PAGE: u64 = 256;

/// The index of an open segment.
pub(super) struct Index<'a> {
    segment: &'a Segment,
    pages: HashMap<u64, Vec<u8>>,
}

impl<'a> Index<'a> {
    /// Nothing of it has been read.
    pub(super) fn new(segment: &'a Segment) -> Self {
        Self { segment, pages: HashMap::new() }
    }

    /// Where the values of a series stand, oldest first, and whether part of the
    /// index could not be read.
    pub(super) fn find(&mut self, series: SeriesId) -> Result<(Vec<Entry>, bool), StoreError> {
        let (mut low, mut high) = (0, self.segment.entries);
        while low < high {
            let middle = low + (high - low) / 2;
            match self.entry(middle)? {
                Some(entry) if entry.series < series => low = middle + 1,
                Some(_) => high = middle,
                // A search cannot step over a damage; reading everything can.
                None => return self.find_one_by_one(series),
            }
        }
        let mut found = Vec::new();
        for at in low..self.segment.entries {
            match self.entry(at)? {
                Some(entry) if entry.series == series => found.push(entry),
                Some(_) => break,
                None => return self.find_one_by_one(series),
            }
        }
        Ok((found, false))
    }

    fn find_one_by_one(&self, series: SeriesId) -> Result<(Vec<Entry>, bool), StoreError> {
        let mut found = Vec::new();
        self.segment.each_entry(|entry| {
            if entry.series == series {
                found.push(*entry);
            }
        })?;
        found.sort_unstable_by_key(|entry| entry.first);
        Ok((found, true))
    }

    /// An entry of the index; `None` if it is damaged.
    fn entry(&mut self, number: u64) -> Result<Option<Entry>, StoreError> {
        let (page, within) = (number / PAGE, (number % PAGE) as usize * ENTRY);
        if !self.pages.contains_key(&page) {
            let read = self.segment.entries_from(page * PAGE, PAGE)?;
            self.pages.insert(page, read);
        }
        let bytes = self.pages.get(&page).and_then(|bytes| bytes.get(within..within + ENTRY));
        let at = self.segment.index + number * ENTRY as u64;
        Ok(bytes.and_then(|bytes| read_entry(self.segment.facts().id, at, bytes)))
    }
}
