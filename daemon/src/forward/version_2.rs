//! Remote write 2.0: `io.prometheus.write.v2.Request`.
//!
//! <https://prometheus.io/docs/specs/prw/remote_write_spec_2_0/>: every text stands once, in a table of symbols whose
//! first is empty, and labels are numbers in it.

use std::{collections::HashMap, sync::Arc};

use super::{
    cache::Cache,
    labels::Sorted,
    protobuf::{put_begin, put_bytes, put_number, put_sample, put_varint, sample_len, varint_len},
    version_1::kind_number,
};
use crate::series::Kind;

/// `Request.symbols`.
const SYMBOLS: u8 = 4;
/// `Request.timeseries`.
const TIMESERIES: u8 = 5;
/// `TimeSeries.labels_refs`.
const LABELS_REFS: u8 = 1;
/// `TimeSeries.metadata`.
const METADATA: u8 = 5;
/// `Metadata.type`.
const TYPE: u8 = 1;
/// `Metadata.unit_ref`.
const UNIT_REF: u8 = 4;

/// What series look like, by the numbers of [`Texts`].
pub(super) type ShapeCache = Cache<Shape>;

/// A series, every text of it a number of [`Texts`].
#[derive(Debug)]
pub(super) struct Shape {
    /// Names and values of labels in turn.
    labels: Box<[u32]>,
    kind: Option<Kind>,
    unit: u32,
}

/// Every text that occurs, numbered for as long as the cache of shapes lives.
#[derive(Debug, Default)]
pub(super) struct Texts {
    numbers: HashMap<Arc<str>, u32>,
    texts: Vec<Arc<str>>,
    bytes: usize,
}

/// The symbols of one request.
#[derive(Debug, Default)]
pub(super) struct Symbols {
    /// By number of [`Texts`]: place in the request; zero for none yet.
    places: Vec<u32>,
    used: Vec<u32>,
}

/// Bytes of texts that are kept.
const TEXTS_MAX: usize = 16 << 20;

impl Texts {
    /// Whether there is more than should be kept: reasons of gaps come and go.
    pub(super) fn is_full(&self) -> bool {
        self.bytes > TEXTS_MAX
    }

    /// The shape of a series; of what is no series of ours kind and unit are not known.
    pub(super) fn shape(&mut self, labels: &Sorted<'_>, known: Option<(Kind, &str)>) -> Shape {
        let names = labels.iter().flat_map(|(name, value)| [*name, *value]);
        let labels = names.map(|text| self.number(text)).collect();
        let unit = known.map_or("", |(_, unit)| unit);
        Shape { labels, kind: known.map(|(kind, _)| kind), unit: self.number(unit) }
    }

    fn number(&mut self, text: &str) -> u32 {
        if let Some(&number) = self.numbers.get(text) {
            return number;
        }
        let text: Arc<str> = text.into();
        let number = self.texts.len() as u32;
        self.bytes += text.len();
        self.numbers.insert(text.clone(), number);
        self.texts.push(text);
        number
    }
}

impl Shape {
    /// Bytes that it takes.
    pub(super) fn bytes(&self) -> usize {
        size_of::<Self>() + self.labels.len() * size_of::<u32>()
    }
}

impl Symbols {
    /// A time series with samples in the order of their times.
    pub(super) fn put_series(
        &mut self,
        out: &mut Vec<u8>,
        texts: &Texts,
        shape: &Shape,
        samples: impl Iterator<Item = (i64, f64)> + Clone,
    ) {
        let refs = || shape.labels.iter().map(|number| *number as usize);
        for number in refs() {
            self.place(texts, number);
        }
        let unit = self.place(texts, shape.unit as usize);
        let place = |number: usize| u64::from(self.places.get(number).copied().unwrap_or_default());
        let refs_len: usize = refs().map(|number| varint_len(place(number))).sum();
        let mut metadata = Vec::new();
        put_number(&mut metadata, TYPE, shape.kind.map_or(0, kind_number));
        put_number(&mut metadata, UNIT_REF, unit.into());
        let samples_len: usize =
            samples.clone().map(|(at_ms, value)| sample_len(at_ms, value)).sum();
        let metadata_len = if metadata.is_empty() { 0 } else { 2 + metadata.len() };
        let length = 1 + varint_len(refs_len as u64) + refs_len + samples_len + metadata_len;
        put_begin(out, TIMESERIES, length);
        put_begin(out, LABELS_REFS, refs_len);
        refs().for_each(|number| put_varint(out, place(number)));
        samples.for_each(|(at_ms, value)| put_sample(out, at_ms, value));
        if !metadata.is_empty() {
            put_bytes(out, METADATA, &metadata);
        }
    }

    /// Ends a request: puts the symbols that `series` need before them. The next request begins.
    pub(super) fn finish(&mut self, out: &mut Vec<u8>, texts: &Texts, series: &[u8]) {
        put_bytes(out, SYMBOLS, b"");
        for number in self.used.drain(..) {
            let text = texts.texts.get(number as usize).map_or(&[][..], |text| text.as_bytes());
            put_bytes(out, SYMBOLS, text);
            if let Some(place) = self.places.get_mut(number as usize) {
                *place = 0;
            }
        }
        out.extend_from_slice(series);
    }

    /// Where a text stands in this request.
    fn place(&mut self, texts: &Texts, number: usize) -> u32 {
        if texts.texts.get(number).is_none_or(|text| text.is_empty()) {
            return 0;
        }
        if self.places.len() <= number {
            self.places.resize(texts.texts.len(), 0);
        }
        let Some(place) = self.places.get_mut(number) else { return 0 };
        if *place == 0 {
            self.used.push(number as u32);
            *place = self.used.len() as u32;
        }
        *place
    }
}
