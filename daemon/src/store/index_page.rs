//! A page of a segment's index: where columns of values stand, and their times. Pure.
//!
//! ```text
//!  page     "BZIX" · length u16 · entries u16 · entries · crc32c      1,024 bytes with zeros at the end; the last is shorter
//!  entry    series, from the one before · group · values: from where the group's last ended, length
//!  group    0, then times: from the one told before, length · first · how much later the last is;
//!           or how far back in this page it was told
//! ```
//!
//! The series of a collector share their times and were written one behind the other, so that an entry is five bytes.
//! In version 1 an entry was 32 bytes with a checksum of its own, and a page is so many of them.

use std::collections::VecDeque;

use super::{
    segment::{Entry, Place, checksum},
    wire::{Input, put_i64, put_u64},
};
use crate::series::SeriesId;

pub(super) const PAGE: usize = 1024;
/// Length of an entry in version 1, and how many are a page.
pub(super) const OLD_ENTRY: usize = 32;
pub(super) const OLD_ENTRIES: usize = 128;

const MAGIC: &[u8; 4] = b"BZIX";
const HEAD: usize = 8;
const SUM: usize = 4;
/// Groups that an entry can name.
const GROUPS_MOST: usize = 16;

/// A page that was read.
#[derive(Debug)]
pub(super) struct Page {
    /// Where it stands in the file, and its length.
    pub(super) at: u64,
    pub(super) length: u64,
    /// By series and time.
    pub(super) entries: Vec<Entry>,
    /// Whether none is missing.
    pub(super) whole: bool,
}

/// What entries of the same rows have in common.
struct Group {
    first: u32,
    last: u32,
    times: Place,
    /// Where its last values end.
    ends: i64,
}

/// What was told before in a page.
#[derive(Default)]
struct Before {
    series: u32,
    groups: VecDeque<Group>,
}

/// Writes the index of the segment `id` behind the `at` bytes that are before it in the file.
pub(super) fn put_index(out: &mut Vec<u8>, id: u64, mut at: u64, entries: &[Entry]) {
    let mut page = Vec::new();
    let (mut before, mut count) = (Before::default(), 0u16);
    for entry in entries {
        let mut bytes = before.put(entry);
        if HEAD + page.len() + bytes.len() + SUM > PAGE {
            at += put_page(out, (id, at), (&page, count), PAGE);
            (before, count) = (Before::default(), 0);
            page.clear();
            bytes = before.put(entry);
        }
        page.extend_from_slice(&bytes);
        count += 1;
    }
    if count > 0 {
        put_page(out, (id, at), (&page, count), HEAD + page.len() + SUM);
    }
}

fn put_page(
    out: &mut Vec<u8>,
    (id, at): (u64, u64),
    (entries, count): (&[u8], u16),
    length: usize,
) -> u64 {
    let start = out.len();
    out.extend_from_slice(MAGIC);
    out.extend_from_slice(&(length as u16).to_le_bytes());
    out.extend_from_slice(&count.to_le_bytes());
    out.extend_from_slice(entries);
    out.resize(start + length - SUM, 0);
    let sum = checksum(id, at, &out[start..]);
    out.extend_from_slice(&sum.to_le_bytes());
    length as u64
}

/// The entries of a page that stands at `at` in the segment `id`, whose bytes begin and may end behind it; with
/// its length. `None` if it is damaged, or none.
pub(super) fn read_page(id: u64, at: u64, bytes: &[u8]) -> Option<(Vec<Entry>, usize)> {
    let mut head = Input::new(bytes);
    let is_page = head.array()? == *MAGIC;
    let length = usize::from(u16::from_le_bytes(head.array()?));
    let count = u16::from_le_bytes(head.array()?);
    if !is_page || !(HEAD + SUM..=PAGE).contains(&length) {
        return None;
    }
    let (covered, sum) = bytes.get(..length)?.split_at_checked(length - SUM)?;
    if checksum(id, at, covered).to_le_bytes() != sum {
        return None;
    }
    let mut input = Input::new(covered.get(HEAD..)?);
    let mut before = Before::default();
    let entries = (0..count).map(|_| before.read(&mut input)).collect::<Option<_>>()?;
    Some((entries, length))
}

/// The entries of a page of version 1 that are whole.
pub(super) fn read_old_page(id: u64, at: u64, bytes: &[u8]) -> Vec<Entry> {
    let places = (at..).step_by(OLD_ENTRY).zip(bytes.chunks_exact(OLD_ENTRY));
    places.filter_map(|(at, bytes)| read_old_entry(id, at, bytes)).collect()
}

/// The entry that stands at `at` in the segment `id` of version 1; `None` if it is damaged.
pub(super) fn read_old_entry(id: u64, at: u64, bytes: &[u8]) -> Option<Entry> {
    let (covered, sum) = bytes.split_at_checked(OLD_ENTRY - SUM)?;
    if checksum(id, at, covered).to_le_bytes() != sum {
        return None;
    }
    let mut input = Input::new(covered);
    let mut next = || input.array().map(u32::from_le_bytes).unwrap_or_default();
    Some(Entry {
        series: SeriesId(next()),
        first: next(),
        last: next(),
        times: Place { at: next(), length: next() },
        values: Place { at: next(), length: next() },
    })
}

/// Every page, or entry of version 1, that is found anywhere in the bytes of a segment that has lost its footer.
pub(super) fn found_entries(bytes: &[u8], id: u64) -> Vec<Entry> {
    let mut found = Vec::new();
    for at in memchr::memmem::find_iter(bytes, MAGIC) {
        found.extend(read_page(id, at as u64, &bytes[at..]).into_iter().flat_map(|page| page.0));
    }
    if found.is_empty() {
        let places = bytes.windows(OLD_ENTRY).enumerate();
        found.extend(places.filter_map(|(at, bytes)| read_old_entry(id, at as u64, bytes)));
    }
    found.retain(|entry| (entry.values.at as usize) < bytes.len());
    found
}

impl Before {
    fn put(&mut self, entry: &Entry) -> Vec<u8> {
        let mut out = Vec::new();
        put_u64(&mut out, entry.series.0.wrapping_sub(self.series).into());
        self.series = entry.series.0;
        let is_of = |group: &Group| {
            (group.first, group.last, group.times) == (entry.first, entry.last, entry.times)
        };
        let back = match self.groups.iter().position(is_of) {
            Some(back) => {
                put_u64(&mut out, back as u64 + 1);
                back
            }
            None => {
                put_u64(&mut out, 0);
                put_i64(&mut out, i64::from(entry.times.at) - self.told_at());
                put_u64(&mut out, entry.times.length.into());
                put_u64(&mut out, entry.first.into());
                put_u64(&mut out, entry.last.wrapping_sub(entry.first).into());
                self.tell(entry.first, entry.last, entry.times);
                0
            }
        };
        let group = &mut self.groups[back];
        put_i64(&mut out, i64::from(entry.values.at) - group.ends);
        put_u64(&mut out, entry.values.length.into());
        group.ends = end_of(entry.values);
        out
    }

    fn read(&mut self, input: &mut Input<'_>) -> Option<Entry> {
        let series = self.series.checked_add(input.u32()?)?;
        self.series = series;
        let back = match usize::try_from(input.u64()?).ok()? {
            0 => {
                let at = u32::try_from(self.told_at().checked_add(input.i64()?)?).ok()?;
                let times = Place { at, length: input.u32()? };
                let first = input.u32()?;
                self.tell(first, first.wrapping_add(input.u32()?), times);
                0
            }
            back => back - 1,
        };
        let group = self.groups.get_mut(back)?;
        let at = u32::try_from(group.ends.checked_add(input.i64()?)?).ok()?;
        let values = Place { at, length: input.u32()? };
        group.ends = end_of(values);
        let Group { first, last, times, .. } = *group;
        Some(Entry { series: SeriesId(series), first, last, times, values })
    }

    fn told_at(&self) -> i64 {
        self.groups.front().map_or(0, |group| group.times.at.into())
    }

    fn tell(&mut self, first: u32, last: u32, times: Place) {
        self.groups.truncate(GROUPS_MOST - 1);
        self.groups.push_front(Group { first, last, times, ends: end_of(times) });
    }
}

/// Where something ends, its checksum included.
fn end_of(place: Place) -> i64 {
    i64::from(place.at) + i64::from(place.length) + SUM as i64
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed test should stop")]
    use proptest::prelude::*;

    use super::*;

    fn places() -> impl Strategy<Value = Place> {
        let small = (0..40u32, 0..3u32).prop_map(|(at, length)| Place { at, length });
        let any = any::<(u32, u32)>().prop_map(|(at, length)| Place { at, length });
        prop_oneof![small, any]
    }

    fn entries() -> impl Strategy<Value = Vec<Entry>> {
        let span = prop_oneof![(0..9u32, 0..9u32), any::<(u32, u32)>()];
        let entry = (prop_oneof![0..500u32, any::<u32>()], span, places(), places()).prop_map(
            |(series, (one, other), times, values)| Entry {
                series: SeriesId(series),
                first: one.min(other),
                last: one.max(other),
                times,
                values,
            },
        );
        proptest::collection::vec(entry, 0..600).prop_map(|mut entries| {
            entries.sort_by_key(|entry| (entry.series, entry.first));
            entries
        })
    }

    fn read_all(id: u64, at: u64, bytes: &[u8]) -> Option<Vec<Entry>> {
        let pages = bytes.chunks(PAGE).enumerate();
        let read = pages.map(|(number, page)| read_page(id, at + (number * PAGE) as u64, page));
        let read: Option<Vec<_>> = read.collect();
        Some(read?.into_iter().flat_map(|page| page.0).collect())
    }

    proptest! {
        #[test]
        fn entries_come_back(entries in entries(), at in 0u64..1 << 32) {
            let mut bytes = Vec::new();
            put_index(&mut bytes, 7, at, &entries);
            prop_assert_eq!(read_all(7, at, &bytes).unwrap(), entries);
        }

        #[test]
        fn a_damage_costs_its_page_alone(entries in entries(), at in any::<usize>(), bit in 0u8..8) {
            let mut bytes = Vec::new();
            put_index(&mut bytes, 7, 0, &entries);
            prop_assume!(!bytes.is_empty());
            let at = at % bytes.len();
            bytes[at] ^= 1 << bit;
            for (number, page) in bytes.chunks(PAGE).enumerate() {
                let read = read_page(7, (number * PAGE) as u64, page);
                prop_assert_eq!(read.is_none(), number == at / PAGE);
            }
        }
    }

    #[test]
    fn an_entry_is_about_five_bytes() {
        let columns: Vec<Entry> = (0..10_000u32)
            .map(|series| Entry {
                series: SeriesId(series),
                first: 7,
                last: 86_390,
                times: Place { at: 32, length: 12 },
                values: Place { at: 48 + series * 904, length: 900 },
            })
            .collect();
        let mut bytes = Vec::new();
        put_index(&mut bytes, 7, 0, &columns);
        assert!(bytes.len() < 10_000 * 21 / 4, "{}", bytes.len());
        let mut file = vec![0; 48 + 10_000 * 904];
        let at = file.len() as u64;
        put_index(&mut file, 7, at, &columns);
        assert_eq!(found_entries(&file, 7), columns);
    }
}
