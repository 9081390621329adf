//! Catalogue and state: which keys there are, and what they say.
//!
//! Everything here can be rebuilt from segments, log and checkpoint. It is kept
//! behind [`StateStore`], so that another engine than sled stays possible.
//!
//! ```text
//!  m store                       → id of the store
//!  m log                         → number that no new log file is below
//!  S page                        → the series numbered from page × 32 on
//!  s number                      → series, where a page of them would be too long
//!  g number                      → segment
//!  t server collector            → interval, until when it is sealed
//!  p server collector beginning  → gap
//!  a …                           → what others keep here; the store does not look into it
//! ```

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
};

use super::{
    StoreError,
    gaps::Stretch,
    numbers::{FILE_LAST, first_made_up},
    segment::SegmentFacts,
    table::StreamEnd,
    tier::Tier,
    wire::{Input, put_i64, put_series, put_text, put_u64},
};
use crate::series::{Series, SeriesId};

/// Above this, sled would put a value into a file of its own, and one flipped bit
/// there keeps the whole database from opening.
pub(super) const VALUE_MAX: usize = 16 << 10;
const VERSION: u8 = 0;
/// How a gap ends: not yet, at a time, or not yet though the daemon, which was away, was back at a time.
const LASTS: u8 = 0;
const ENDED: u8 = 1;
const ABSENCE: u8 = 2;
/// So many series share a key: sled spends far more on a key, on the disk and in memory, than a series is long.
pub(super) const SERIES_TOGETHER: u32 = 32;

/// A keeper of keys and values. Used by one thread only.
pub(super) trait StateStore: Send {
    /// Tells every key and its value, by key.
    fn scan(&mut self, each: &mut dyn FnMut(&[u8], &[u8])) -> Result<(), StoreError>;

    /// Makes all changes or none. What this returned from survives a power cut.
    fn apply(&mut self, changes: &Changes) -> Result<(), StoreError>;
}

/// Changes that belong together; `None` deletes.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Changes(pub(super) Vec<(Vec<u8>, Option<Vec<u8>>)>);

/// All that the state says.
#[derive(Debug, Default)]
pub(super) struct Contents {
    pub(super) store: Option<u128>,
    pub(super) log: u64,
    pub(super) series: BTreeMap<u32, Series>,
    pub(super) segments: BTreeMap<u64, SegmentFacts>,
    pub(super) streams: Vec<StreamEnd>,
    /// Server, collector and gap.
    pub(super) gaps: Vec<(Arc<str>, Arc<str>, Stretch)>,
    /// What others keep, by their own keys.
    pub(super) kept: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Keys or values that made no sense.
    pub(super) unreadable: u64,
    /// Names that series have in common: each stands in memory once.
    texts: HashSet<Arc<str>>,
}

impl Changes {
    /// Names the store.
    pub(super) fn store(&mut self, id: u128) {
        self.put(b"mstore".to_vec(), |out| out.extend_from_slice(&id.to_le_bytes()));
    }

    /// Keeps the number of the log file in use: no later one is below, though all files are gone.
    pub(super) fn log(&mut self, sequence: u64) {
        self.put(b"mlog".to_vec(), |out| put_u64(out, sequence));
    }

    /// Keeps the series of a page, which are all that there are with its numbers.
    pub(super) fn series_page(&mut self, page: u32, series: &[(SeriesId, Arc<Series>)]) {
        let key = [b"S", &page.to_be_bytes()[..]].concat();
        let mut bytes = vec![VERSION];
        for (id, series) in series {
            bytes.push((id.0 % SERIES_TOGETHER) as u8);
            put_series(&mut bytes, series);
        }
        if bytes.len() <= VALUE_MAX {
            self.0.push((key, Some(bytes)));
            return;
        }
        self.0.push((key, None));
        for (id, series) in series {
            self.put([b"s", &id.0.to_be_bytes()[..]].concat(), |out| put_series(out, series));
        }
    }

    /// Keeps a segment.
    pub(super) fn segment(&mut self, facts: &SegmentFacts) {
        self.put(segment_key(facts.id), |out| {
            put_i64(out, facts.span);
            put_i64(out, facts.first_ms);
            put_i64(out, facts.last_ms);
            put_u64(out, facts.bytes);
            put_u64(out, facts.samples);
            out.push(facts.tier as u8);
            out.push(u8::from(facts.folded) | u8::from(facts.settled) << 1);
        });
    }

    /// Forgets a segment.
    pub(super) fn no_segment(&mut self, id: u64) {
        self.0.push((segment_key(id), None));
    }

    /// Keeps until when a collector's samples are in segments.
    pub(super) fn stream(&mut self, end: &StreamEnd) {
        self.put(stream_key(b't', &end.server, &end.collector), |out| {
            put_u64(out, end.interval_ms.into());
            put_i64(out, end.last_ms);
        });
    }

    /// Keeps a gap.
    pub(super) fn gap(&mut self, server: &str, collector: &str, gap: &Stretch) {
        self.put(gap_key(server, collector, gap.from_ms), |out| {
            let (end, at_ms) = match (gap.to_ms, gap.away_until_ms) {
                (Some(to_ms), _) => (ENDED, to_ms),
                (None, Some(until_ms)) => (ABSENCE, until_ms),
                (None, None) => (LASTS, 0),
            };
            out.push(end);
            put_i64(out, at_ms);
            put_text(out, &gap.reason);
        });
    }

    /// Forgets a gap.
    pub(super) fn no_gap(&mut self, server: &str, collector: &str, from_ms: i64) {
        self.0.push((gap_key(server, collector, from_ms), None));
    }

    /// Keeps a value of somebody else's, by their own key.
    pub(super) fn keep(&mut self, key: &[u8], value: &[u8]) {
        self.put([b"a", key].concat(), |out| out.extend_from_slice(value));
    }

    /// Forgets a value of somebody else's.
    pub(super) fn forget(&mut self, key: &[u8]) {
        self.0.push(([b"a", key].concat(), None));
    }

    fn put(&mut self, key: Vec<u8>, value: impl FnOnce(&mut Vec<u8>)) {
        let mut bytes = vec![VERSION];
        value(&mut bytes);
        if bytes.len() <= VALUE_MAX {
            self.0.push((key, Some(bytes)));
        } else {
            // Segments and log still tell it.
            tracing::warn!(bytes = bytes.len(), "store state refused a value that is too long");
        }
    }
}

impl Contents {
    /// Takes in a key and its value.
    pub(super) fn take_in(&mut self, key: &[u8], value: &[u8]) {
        if self.read(key, value).is_none() {
            self.unreadable += 1;
        }
    }

    /// What is wrong with it, if all that it says cannot be.
    pub(super) fn damage(&self) -> Option<String> {
        if self.unreadable > 0 {
            return Some(format!("{} keys make no sense", self.unreadable));
        }
        let made_up = self.made_up()?;
        Some(format!("a series has the number {made_up}, which was never given"))
    }

    /// From which number on series are not believed.
    pub(super) fn made_up(&self) -> Option<u32> {
        first_made_up(self.series.keys().copied())
    }

    /// The same series, with the names that are there already.
    fn share(&mut self, mut series: Series) -> Series {
        let Series { server, collector, metric, unit, .. } = &mut series;
        for text in [server, collector, metric, unit] {
            match self.texts.get(&**text) {
                Some(known) => *text = known.clone(),
                None => drop(self.texts.insert(text.clone())),
            }
        }
        series
    }

    fn read(&mut self, key: &[u8], value: &[u8]) -> Option<()> {
        let (mut key, mut value) = (Input::new(key), Input::new(value));
        if value.u8()? != VERSION {
            return None;
        }
        match key.u8()? {
            b'm' if key.rest() == b"log" => {
                self.log = value.u64().filter(|number| *number <= FILE_LAST)?;
            }
            b'm' => self.store = Some(u128::from_le_bytes(value.array()?)),
            b'S' => {
                let first = u32::from_be_bytes(key.array()?).checked_mul(SERIES_TOGETHER)?;
                while !value.is_empty() {
                    let id = first.checked_add(value.u8()?.into())?;
                    let series = self.share(value.series()?);
                    self.series.insert(id, series);
                }
            }
            b's' => {
                // A page, which is told before, is the newer one.
                let id = u32::from_be_bytes(key.array()?);
                let series = self.share(value.series()?);
                self.series.entry(id).or_insert(series);
            }
            b'g' => {
                let id = Some(u64::from_be_bytes(key.array()?)).filter(|id| *id <= FILE_LAST)?;
                let (span, first_ms, last_ms) = (value.i64()?, value.i64()?, value.i64()?);
                let (bytes, samples) = (value.u64()?, value.u64()?);
                // The first version of the store had no more to say.
                let is_first_version = value.is_empty();
                let (tier, flags) =
                    if is_first_version { (0, 0) } else { (value.u8()?, value.u8()?) };
                let facts = SegmentFacts {
                    id,
                    tier: Tier::from_number(tier)?,
                    span,
                    first_ms,
                    last_ms,
                    bytes,
                    samples,
                    folded: flags & 1 != 0,
                    settled: flags & 2 != 0,
                };
                self.segments.insert(id, facts);
            }
            b't' => self.streams.push(StreamEnd {
                server: key.text()?.into(),
                collector: key.text()?.into(),
                interval_ms: value.u32()?,
                last_ms: value.i64()?,
            }),
            b'p' => {
                let (server, collector) = (key.text()?.into(), key.text()?.into());
                let from_ms = i64::from_be_bytes(key.array()?) ^ i64::MIN;
                let (end, at_ms) = (value.u8()?, value.i64()?);
                let to_ms = (end == ENDED).then_some(at_ms);
                let away_until_ms = (end == ABSENCE).then_some(at_ms);
                let reason = value.text()?.into();
                let gap = Stretch { from_ms, to_ms, away_until_ms, reason };
                self.gaps.push((server, collector, gap));
            }
            b'a' => {
                self.kept.insert(key.rest().to_vec(), value.rest().to_vec());
            }
            _ => return None,
        }
        Some(())
    }
}

fn segment_key(id: u64) -> Vec<u8> {
    [b"g", &id.to_be_bytes()[..]].concat()
}

fn stream_key(kind: u8, server: &str, collector: &str) -> Vec<u8> {
    let mut key = vec![kind];
    put_text(&mut key, server);
    put_text(&mut key, collector);
    key
}

fn gap_key(server: &str, collector: &str, from_ms: i64) -> Vec<u8> {
    let mut key = stream_key(b'p', server, collector);
    // Negative times sort before positive ones.
    key.extend_from_slice(&(from_ms ^ i64::MIN).to_be_bytes());
    key
}
