//! Searching the index of a segment: what was read of it once is not read again.

use std::collections::HashMap;

use super::{StoreError, index_page::Page, segment::Entry, segment_read::Segment};
use crate::series::SeriesId;

/// The index of an open segment.
pub(super) struct Index<'a> {
    segment: &'a Segment,
    pages: HashMap<u64, Page>,
}

impl<'a> Index<'a> {
    /// Nothing of it has been read.
    pub(super) fn new(segment: &'a Segment) -> Self {
        Self { segment, pages: HashMap::new() }
    }

    /// Where the values of a series stand, oldest first, and whether part of the
    /// index could not be read.
    pub(super) fn find(&mut self, series: SeriesId) -> Result<(Vec<Entry>, bool), StoreError> {
        let pages = self.segment.pages();
        let (mut low, mut high) = (0, pages);
        while low < high {
            let middle = low + (high - low) / 2;
            match self.page(middle)?.first() {
                Some(entry) if entry.series < series => low = middle + 1,
                Some(_) => high = middle,
                // A search cannot step over a damage; reading everything can.
                None => return self.find_one_by_one(series),
            }
        }
        let mut found = Vec::new();
        // It may begin within the page before the first that begins with it.
        for number in low.saturating_sub(1)..pages {
            let page = self.page(number)?;
            let Some(last) = page.last() else { return self.find_one_by_one(series) };
            let goes_on = last.series <= series;
            let first = page.partition_point(|entry| entry.series < series);
            let end = page.partition_point(|entry| entry.series <= series);
            found.extend_from_slice(&page[first..end]);
            if !goes_on {
                break;
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

    /// The entries of a page; none if it is damaged.
    fn page(&mut self, number: u64) -> Result<&[Entry], StoreError> {
        let page = match self.pages.entry(number) {
            std::collections::hash_map::Entry::Occupied(known) => known.into_mut(),
            std::collections::hash_map::Entry::Vacant(place) => {
                place.insert(self.segment.page(number)?)
            }
        };
        Ok(if page.whole { &page.entries } else { &[] })
    }
}
