//! Searching the index of a segment: what was read of it once is not read again.
//!
//! A search cannot step over a damaged page. The first that meets one reads the whole index, and what is whole of it
//! serves all later ones that do.

use std::collections::{HashMap, hash_map};

use super::{StoreError, index_page::Page, segment::Entry, segment_read::Segment};
use crate::series::SeriesId;

/// What was read of the index of one segment, which is always the same one.
#[derive(Debug, Default)]
pub(super) struct Index {
    pages: HashMap<u64, Page>,
    /// Every entry that is whole, by series and time, once a damaged page was met.
    whole: Option<Vec<Entry>>,
}

impl Index {
    /// Where the values of a series stand, oldest first, and whether part of the
    /// index could not be read.
    pub(super) fn find(
        &mut self,
        segment: &Segment,
        series: SeriesId,
    ) -> Result<(Vec<Entry>, bool), StoreError> {
        let pages = segment.pages();
        let (mut low, mut high) = (0, pages);
        while low < high {
            let middle = low + (high - low) / 2;
            match self.page(segment, middle)?.first() {
                Some(entry) if entry.series < series => low = middle + 1,
                Some(_) => high = middle,
                None => return self.find_in_whole(segment, series),
            }
        }
        let mut found = Vec::new();
        // It may begin within the page before the first that begins with it.
        for number in low.saturating_sub(1)..pages {
            let page = self.page(segment, number)?;
            let Some(last) = page.last() else { return self.find_in_whole(segment, series) };
            let goes_on = last.series <= series;
            found.extend_from_slice(of_series(page, series));
            if !goes_on {
                break;
            }
        }
        Ok((found, false))
    }

    fn find_in_whole(
        &mut self,
        segment: &Segment,
        series: SeriesId,
    ) -> Result<(Vec<Entry>, bool), StoreError> {
        let whole = match self.whole.take() {
            Some(whole) => whole,
            None => {
                let mut whole = Vec::new();
                segment.each_entry(|entry| whole.push(*entry))?;
                whole.sort_unstable_by_key(|entry| (entry.series, entry.first));
                whole
            }
        };
        let whole = self.whole.insert(whole);
        Ok((of_series(whole, series).to_vec(), true))
    }

    /// The entries of a page; none if it is damaged.
    fn page(&mut self, segment: &Segment, number: u64) -> Result<&[Entry], StoreError> {
        let page = match self.pages.entry(number) {
            hash_map::Entry::Occupied(known) => known.into_mut(),
            hash_map::Entry::Vacant(place) => place.insert(segment.page(number)?),
        };
        Ok(if page.whole { &page.entries } else { &[] })
    }
}

/// Those of a series, of entries that are sorted.
pub(super) fn of_series(entries: &[Entry], series: SeriesId) -> &[Entry] {
    let first = entries.partition_point(|entry| entry.series < series);
    let end = entries.partition_point(|entry| entry.series <= series);
    &entries[first..end]
}
