//! The series that a token has written, by the fingerprints of their labels.
//!
//! Senders name their series in the same order every time. So each series remembers which came after it, and is mostly
//! found there: what a table of hashes costs is waiting for memory that is in no cache.

use hashbrown::HashTable;

use super::{assembly::StreamId, fingerprint::Fingerprint};
use crate::series::SeriesId;

/// A series that has been written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) series: SeriesId,
    pub(super) stream: StreamId,
}

/// What is known by fingerprints; all of it may be forgotten at any time.
#[derive(Debug, Default)]
pub(super) struct KnownSeries {
    entries: Vec<Entry>,
    /// Their places among the entries, by fingerprint.
    places: HashTable<u32>,
    /// The entry that was asked for last.
    last: usize,
}

#[derive(Debug)]
struct Entry {
    print: Fingerprint,
    known: Known,
    /// The entry that came after it the last time.
    next: u32,
}

impl KnownSeries {
    /// The series whose labels have this fingerprint.
    #[inline]
    pub(super) fn get(&mut self, print: Fingerprint) -> Option<Known> {
        let next = self.entries.get(self.last).map_or(0, |last| last.next as usize);
        if let Some(entry) = self.entries.get(next).filter(|entry| entry.print == print) {
            self.last = next;
            return Some(entry.known);
        }
        let Self { entries, places, last } = self;
        let is_it = |place: &u32| entries.get(*place as usize).is_some_and(|it| it.print == print);
        let place = *places.find(print.hash(), is_it)?;
        if let Some(last) = entries.get_mut(*last) {
            last.next = place;
        }
        *last = place as usize;
        entries.get(*last).map(|entry| entry.known)
    }

    /// Remembers a series that was not found.
    pub(super) fn add(&mut self, print: Fingerprint, known: Known) {
        let Ok(place) = u32::try_from(self.entries.len()) else { return };
        if let Some(last) = self.entries.get_mut(self.last) {
            last.next = place;
        }
        self.last = place as usize;
        self.entries.push(Entry { print, known, next: place.saturating_add(1) });
        let entries = &self.entries;
        let hash_of = |place: &u32| entries.get(*place as usize).map_or(0, |it| it.print.hash());
        self.places.insert_unique(print.hash(), place, hash_of);
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Forgets them.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ingest::fingerprint::{Keys, Shape};

    #[test]
    fn a_series_is_found_in_whatever_order_it_comes() {
        let keys = Keys::random();
        let print = |number: u32| keys.of(Shape::V1, &number.to_le_bytes());
        let known = |number| Known { series: SeriesId(number), stream: StreamId(number) };
        let mut all = KnownSeries::default();
        assert_eq!(all.get(print(0)), None);
        (0..100).for_each(|number| all.add(print(number), known(number)));
        for number in (0..100).chain(0..100).chain((0..100).rev()).chain((0..100).rev()) {
            assert_eq!(all.get(print(number)), Some(known(number)));
        }
        assert_eq!((all.get(print(100)), all.len()), (None, 100));
        all.clear();
        assert_eq!(all.get(print(7)), None);
    }
}
