//! What a segment says of itself besides samples: its series, and whose they are.
//!
//! Names repeat, so every text stands once, in alphabetical order, and tells only
//! where it departs from the one before. What is left repeats too, and is packed with DEFLATE (RFC 1951).

use std::{
    collections::BTreeMap,
    io::{Read, Write},
    sync::Arc,
};

use flate2::{Compression, read::DeflateDecoder, write::DeflateEncoder};

use super::{
    segment::VERSION_LEAST,
    segment_read::PLACE_MAX,
    wire::{Input, put_i64, put_text, put_u64},
};
use crate::series::{Kind, Labels, Series, SeriesId};

/// Of so many things at most memory is taken before they are read.
const AHEAD_MOST: usize = 4096;

/// The table at the end of a segment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Table {
    /// How many series there were when the segment was written, its own or not:
    /// no number below may ever mean another series.
    pub(super) numbers: u32,
    /// The series of the segment, by number.
    pub(super) series: Vec<(SeriesId, Arc<Series>)>,
    /// Whose samples it holds.
    pub(super) streams: Vec<StreamEnd>,
    /// Segments whose content it holds, and which are to go: it counts in their stead. Those too that these had replaced,
    /// which are long gone.
    pub(super) replaces: Vec<u64>,
    /// Segments of the finer tier whose content it holds too.
    pub(super) folds: Vec<u64>,
}

/// Until when the samples of a collector are in segments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct StreamEnd {
    /// Name of the server.
    pub(super) server: Arc<str>,
    /// Name of the collector.
    pub(super) collector: Arc<str>,
    /// Time between two frames, in milliseconds.
    pub(super) interval_ms: u32,
    /// Time of the last frame.
    pub(super) last_ms: i64,
}

impl Table {
    /// The table as bytes, packed.
    pub(super) fn to_packed(&self) -> Vec<u8> {
        let mut packed = DeflateEncoder::new(Vec::new(), Compression::default());
        // A vector takes everything.
        let written = packed.write_all(&self.to_bytes()).and_then(|()| packed.finish());
        debug_assert!(written.is_ok(), "{written:?}");
        written.unwrap_or_default()
    }

    /// The table from packed bytes; `None` if they make no sense.
    pub(super) fn from_packed(packed: &[u8], version: u16) -> Option<Self> {
        let mut bytes = Vec::new();
        let most = u64::from(PLACE_MAX);
        let read = DeflateDecoder::new(packed).take(most + 1).read_to_end(&mut bytes).ok()?;
        (read as u64 <= most).then(|| Self::from_bytes(&bytes, version))?
    }

    /// The table as bytes.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut texts = BTreeMap::new();
        for (_, series) in &self.series {
            for text in [&series.server, &series.collector, &series.metric, &series.unit] {
                texts.insert(&**text, 0);
            }
            for (name, value) in series.labels.iter() {
                texts.extend([(name, 0), (value, 0)]);
            }
        }
        for stream in &self.streams {
            texts.extend([(&*stream.server, 0), (&*stream.collector, 0)]);
        }
        let mut out = Vec::new();
        put_u64(&mut out, self.numbers.into());
        put_u64(&mut out, texts.len() as u64);
        let mut before = "";
        for (number, (text, place)) in (0u64..).zip(&mut texts) {
            let shared = shared_prefix(before, text);
            put_u64(&mut out, shared as u64);
            put_text(&mut out, &text[shared..]);
            *place = number;
            before = text;
        }
        self.put_series(&mut out, &texts);
        put_u64(&mut out, self.streams.len() as u64);
        for stream in &self.streams {
            put_u64(&mut out, place_of(&texts, &stream.server));
            put_u64(&mut out, place_of(&texts, &stream.collector));
            put_u64(&mut out, stream.interval_ms.into());
            put_i64(&mut out, stream.last_ms);
        }
        for numbers in [&self.replaces, &self.folds] {
            put_u64(&mut out, numbers.len() as u64);
            numbers.iter().for_each(|number| put_u64(&mut out, *number));
        }
        out
    }

    fn put_series(&self, out: &mut Vec<u8>, texts: &BTreeMap<&str, u64>) {
        put_u64(out, self.series.len() as u64);
        for (id, series) in &self.series {
            put_u64(out, id.0.into());
            for text in [&series.server, &series.collector, &series.metric, &series.unit] {
                put_u64(out, place_of(texts, text));
            }
            put_u64(out, series.labels.iter().len() as u64);
            for (name, value) in series.labels.iter() {
                put_u64(out, place_of(texts, name));
                put_u64(out, place_of(texts, value));
            }
            put_u64(
                out,
                u64::from(series.interval_ms) << 1 | u64::from(series.kind == Kind::Counter),
            );
        }
    }

    /// The table of a segment of this version from bytes; `None` if they make no sense.
    pub(super) fn from_bytes(bytes: &[u8], version: u16) -> Option<Self> {
        let mut input = Input::new(bytes);
        let numbers = input.u32()?;
        let texts = read_texts(&mut input)?;
        let count = input.count()?;
        let mut series = Vec::with_capacity(count.min(AHEAD_MOST));
        for _ in 0..count {
            let id = input.u32().filter(|id| *id < numbers)?;
            series.push((SeriesId(id), Arc::new(read_series(&mut input, &texts)?)));
        }
        let count = input.count()?;
        let mut streams = Vec::with_capacity(count.min(AHEAD_MOST));
        for _ in 0..count {
            streams.push(StreamEnd {
                server: read_text(&mut input, &texts)?,
                collector: read_text(&mut input, &texts)?,
                interval_ms: input.u32()?,
                last_ms: input.i64()?,
            });
        }
        let mut segments = || {
            let count = if version == VERSION_LEAST { 0 } else { input.count()? };
            (0..count).map(|_| input.u64()).collect::<Option<Vec<_>>>()
        };
        let (replaces, folds) = (segments()?, segments()?);
        Some(Self { numbers, series, streams, replaces, folds })
    }
}

fn read_texts(input: &mut Input<'_>) -> Option<Vec<Arc<str>>> {
    let count = input.count()?;
    let mut texts: Vec<Arc<str>> = Vec::with_capacity(count.min(AHEAD_MOST));
    let mut left = PLACE_MAX as usize;
    for _ in 0..count {
        let shared = usize::try_from(input.u64()?).ok()?;
        let before = texts.last().map_or("", |text| text);
        let text = [before.get(..shared)?, input.text()?].concat();
        // Of one long text many could be made that differ in a letter.
        left = left.checked_sub(text.len())?;
        texts.push(text.into());
    }
    Some(texts)
}

fn read_series(input: &mut Input<'_>, texts: &[Arc<str>]) -> Option<Series> {
    let server = read_text(input, texts)?;
    let collector = read_text(input, texts)?;
    let metric = read_text(input, texts)?;
    let unit = read_text(input, texts)?;
    let count = input.count()?;
    let mut labels = Vec::with_capacity(count.min(AHEAD_MOST));
    for _ in 0..count {
        labels.push((read_text(input, texts)?, read_text(input, texts)?));
    }
    let labels = Labels::new(labels.iter().map(|(name, value)| (&**name, &**value)));
    let number = input.u64()?;
    let kind = if number & 1 == 1 { Kind::Counter } else { Kind::Gauge };
    let interval_ms = u32::try_from(number >> 1).ok()?;
    Some(Series { server, collector, metric, labels, unit, kind, interval_ms })
}

fn read_text(input: &mut Input<'_>, texts: &[Arc<str>]) -> Option<Arc<str>> {
    texts.get(usize::try_from(input.u64()?).ok()?).cloned()
}

fn place_of(texts: &BTreeMap<&str, u64>, text: &str) -> u64 {
    texts.get(text).copied().unwrap_or_default()
}

/// Length of what both begin with, cut at a whole character.
fn shared_prefix(one: &str, other: &str) -> usize {
    let same =
        |((at, a), (_, b)): &((usize, char), (usize, char))| (a == b).then_some(at + a.len_utf8());
    let pairs = one.char_indices().zip(other.char_indices());
    pairs.map_while(|pair| same(&pair)).last().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_comes_back_and_repeats_no_name() {
        let series = (0u32..100).map(|core| {
            let series = Series {
                server: "web-1".into(),
                collector: "cpu".into(),
                metric: "cpu_usage_ratio".into(),
                labels: Labels::new([("core", core.to_string()), ("größe", "ö".into())]),
                unit: "ratio".into(),
                kind: Kind::Counter,
                interval_ms: 1000,
            };
            (SeriesId(core), Arc::new(series))
        });
        let end = StreamEnd {
            server: "web-1".into(),
            collector: "cpu".into(),
            interval_ms: 1000,
            last_ms: -5,
        };
        let table = Table {
            numbers: 200,
            series: series.collect(),
            streams: vec![end],
            replaces: vec![1, 1 << 40],
            folds: vec![7],
        };
        let bytes = table.to_bytes();

        assert_eq!(Table::from_bytes(&bytes, 2).as_ref(), Some(&table));
        let of_version_1 = Table { replaces: Vec::new(), folds: Vec::new(), ..table };
        assert_eq!(Table::from_bytes(&bytes, 1).as_ref(), Some(&of_version_1));
        assert!(bytes.len() < 100 * 16, "{} bytes", bytes.len());
        for cut in 0..bytes.len() {
            assert_eq!(Table::from_bytes(&bytes[..cut], 2), None);
        }
        let of_too_few = Table { numbers: 99, ..of_version_1 };
        assert_eq!(Table::from_bytes(&of_too_few.to_bytes(), 2), None, "number 99 is the 100th");
    }
}
