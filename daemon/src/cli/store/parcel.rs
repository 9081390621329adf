//! Samples as a remote write 2.0 request: how a running daemon takes them.
//!
//! The protocol: <https://prometheus.io/docs/specs/prw/remote_write_spec_2_0/>. Its message, as far as it is written:
//!
//! ```text
//!  Request     4 symbols, 5 timeseries
//!  TimeSeries  1 labels_refs, 2 samples, 5 metadata
//!  Metadata    1 type, 4 unit_ref          Sample  1 value, 2 timestamp
//! ```

use std::collections::{BTreeMap, HashMap};

use crate::{
    series::{Kind, Series},
    store::upkeep::Incoming,
};

/// What protocol buffers write behind the number of a field.
const VARINT: u64 = 0;
const FIXED: u64 = 1;
const BYTES: u64 = 2;
/// The types of metadata.
const COUNTER: u64 = 1;
const GAUGE: u64 = 2;

/// A request that is being written.
#[derive(Debug, Default)]
pub(super) struct Parcel {
    symbols: Vec<u8>,
    numbers: HashMap<String, u64>,
    series: Vec<u8>,
}

impl Parcel {
    /// A request of these samples of `series`; those of a series keep their order.
    pub(super) fn of(series: &[Series], samples: &[Incoming]) -> Self {
        let mut parcel = Self::default();
        // The first symbol is the empty one.
        parcel.symbol("");
        let mut by_series: BTreeMap<u32, Vec<(i64, f64)>> = BTreeMap::new();
        for (number, at_ms, value) in samples {
            by_series.entry(*number).or_default().push((*at_ms, *value));
        }
        for (number, samples) in by_series {
            if let Some(series) = series.get(number as usize) {
                parcel.add(series, &samples);
            }
        }
        parcel
    }

    /// The request, packed as it is sent.
    pub(super) fn packed(self) -> Result<Vec<u8>, snap::Error> {
        let Self { mut symbols, series, .. } = self;
        symbols.extend_from_slice(&series);
        snap::raw::Encoder::new().compress_vec(&symbols)
    }

    fn add(&mut self, series: &Series, samples: &[(i64, f64)]) {
        let Series { server, collector, metric, labels, .. } = series;
        let mut all: Vec<(&str, &str)> =
            vec![("__name__", metric), ("server", server), ("collector", collector)];
        all.extend(labels.iter());
        all.sort_unstable();
        let mut message = Vec::new();
        let mut refs = Vec::new();
        for (name, value) in all {
            put_varint(&mut refs, self.symbol(name));
            put_varint(&mut refs, self.symbol(value));
        }
        put_bytes(&mut message, 1, &refs);
        for (at_ms, value) in samples {
            let mut sample = Vec::with_capacity(20);
            put_varint(&mut sample, 1 << 3 | FIXED);
            sample.extend_from_slice(&value.to_bits().to_le_bytes());
            put_varint(&mut sample, 2 << 3 | VARINT);
            put_varint(&mut sample, *at_ms as u64);
            put_bytes(&mut message, 2, &sample);
        }
        let mut metadata = Vec::new();
        put_varint(&mut metadata, 1 << 3 | VARINT);
        put_varint(&mut metadata, if series.kind == Kind::Counter { COUNTER } else { GAUGE });
        put_varint(&mut metadata, 4 << 3 | VARINT);
        put_varint(&mut metadata, self.symbol(&series.unit));
        put_bytes(&mut message, 5, &metadata);
        put_bytes(&mut self.series, 5, &message);
    }

    fn symbol(&mut self, text: &str) -> u64 {
        if let Some(number) = self.numbers.get(text) {
            return *number;
        }
        let number = self.numbers.len() as u64;
        self.numbers.insert(text.to_owned(), number);
        put_bytes(&mut self.symbols, 4, text.as_bytes());
        number
    }
}

fn put_bytes(out: &mut Vec<u8>, field: u64, bytes: &[u8]) {
    put_varint(out, field << 3 | BYTES);
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn put_varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}
