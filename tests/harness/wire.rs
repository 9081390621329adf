//! Prometheus remote write as its two specifications tell it, written by hand: shares no line with what it tests.
//!
//! - 1.0: `prometheus.WriteRequest`, every label spelled out in every series.
//! - 2.0: `io.prometheus.write.v2.Request`, every text once in a table, kind and unit beside the samples.
//!
//! Both are bare protobuf here; on the wire they are one block of snappy, see [`snappy`].

use std::collections::HashMap;

/// The bits of the NaN by which Prometheus says that a series has ended.
pub const STALE: u64 = 0x7ff0_0000_0000_0002;

/// Which of the two is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// `prometheus.WriteRequest`.
    One,
    /// `io.prometheus.write.v2.Request`.
    Two,
}

/// One series of a request. Labels are sent as they stand here: whoever wants them sorted sorts them.
#[derive(Debug, Clone, PartialEq)]
pub struct Written {
    /// Names and values, `__name__` among them.
    pub labels: Vec<(String, String)>,
    /// When, in milliseconds since 1970, and what.
    pub samples: Vec<(i64, f64)>,
}

impl Version {
    /// What a request says that its body is.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::One => "application/x-protobuf",
            Self::Two => "application/x-protobuf;proto=io.prometheus.write.v2.Request",
        }
    }

    /// What a request says of its version.
    pub fn header(self) -> &'static str {
        match self {
            Self::One => "0.1.0",
            Self::Two => "2.0.0",
        }
    }

    /// A request, as bare protobuf.
    pub fn encode(self, series: &[Written]) -> Vec<u8> {
        match self {
            Self::One => version_1(series),
            Self::Two => version_2(series),
        }
    }
}

impl Written {
    /// A series of these labels, sorted by name, without samples.
    pub fn new(metric: &str, labels: &[(&str, &str)]) -> Self {
        let own = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let mut labels: Vec<_> = own.chain([("__name__".to_owned(), metric.to_owned())]).collect();
        labels.sort();
        Self { labels, samples: Vec::new() }
    }

    /// The same with one sample.
    pub fn sample(mut self, at_ms: i64, value: f64) -> Self {
        self.samples.push((at_ms, value));
        self
    }
}

/// A body as it travels: one block of snappy, without the framing of its streams.
pub fn snappy(bare: &[u8]) -> Vec<u8> {
    // It fails only beyond 4 GiB.
    snap::raw::Encoder::new().compress_vec(bare).unwrap()
}

fn version_1(series: &[Written]) -> Vec<u8> {
    let mut request = Vec::new();
    for one in series {
        let mut body = Vec::new();
        for (name, value) in &one.labels {
            let mut label = Vec::new();
            text(&mut label, 1, name);
            text(&mut label, 2, value);
            bytes(&mut body, 1, &label);
        }
        samples(&mut body, &one.samples);
        bytes(&mut request, 1, &body);
    }
    request
}

fn version_2(series: &[Written]) -> Vec<u8> {
    let mut symbols = Symbols::new();
    let mut bodies = Vec::new();
    for one in series {
        let mut references = Vec::new();
        for text in one.labels.iter().flat_map(|(name, value)| [name, value]) {
            varint(&mut references, symbols.reference(text));
        }
        let mut body = Vec::new();
        bytes(&mut body, 1, &references);
        samples(&mut body, &one.samples);
        let (kind, unit) = kind_and_unit(one);
        let mut metadata = Vec::new();
        number(&mut metadata, 1, kind);
        number(&mut metadata, 4, symbols.reference(unit));
        bytes(&mut body, 5, &metadata);
        bodies.push(body);
    }
    let mut request = Vec::new();
    for symbol in &symbols.texts {
        text(&mut request, 4, symbol);
    }
    for body in bodies {
        bytes(&mut request, 5, &body);
    }
    request
}

/// What the name of a metric says of its kind, by the numbers of the specification, and of its unit.
fn kind_and_unit(series: &Written) -> (u64, &'static str) {
    let name = series.labels.iter().find(|(name, _)| name == "__name__");
    let name = name.map_or("", |(_, value)| value);
    let (base, kind) = name.strip_suffix("_total").map_or((name, 2), |base| (base, 1));
    let units = ["seconds", "bytes", "ratio", "celsius", "hertz"];
    (kind, units.into_iter().find(|unit| base.ends_with(unit)).unwrap_or(""))
}

/// Texts of a request, each once; the first is empty.
struct Symbols {
    texts: Vec<String>,
    known: HashMap<String, u64>,
}

impl Symbols {
    fn new() -> Self {
        Self { texts: vec![String::new()], known: HashMap::from([(String::new(), 0)]) }
    }

    fn reference(&mut self, text: &str) -> u64 {
        *self.known.entry(text.to_owned()).or_insert_with(|| {
            self.texts.push(text.to_owned());
            self.texts.len() as u64 - 1
        })
    }
}

fn samples(out: &mut Vec<u8>, samples: &[(i64, f64)]) {
    for (at_ms, value) in samples {
        let mut sample = vec![1 << 3 | 1];
        sample.extend_from_slice(&value.to_le_bytes());
        number(&mut sample, 2, at_ms.cast_unsigned());
        bytes(out, 2, &sample);
    }
}

fn text(out: &mut Vec<u8>, field: u64, text: &str) {
    bytes(out, field, text.as_bytes());
}

/// A field that is a length and so many bytes.
pub fn bytes(out: &mut Vec<u8>, field: u64, bytes: &[u8]) {
    varint(out, field << 3 | 2);
    varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn number(out: &mut Vec<u8>, field: u64, number: u64) {
    varint(out, field << 3);
    varint(out, number);
}

/// Seven bits a byte, the lowest first; the highest bit of each says whether another follows.
pub fn varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed test should stop")]
    use super::*;

    /// Taken apart by hand from the two `.proto` files.
    #[test]
    fn a_series_is_what_the_specifications_say() {
        let series = [Written::new("up", &[("job", "x")]).sample(300, 1.0)];
        let sample =
            [&[0x12, 0x0c, 0x09][..], &1.0_f64.to_le_bytes(), &[0x10, 0xac, 0x02]].concat();
        let labels = b"\x0a\x0e\x0a\x08__name__\x12\x02up\x0a\x08\x0a\x03job\x12\x01x";
        let whole = [&[0x0a, (labels.len() + sample.len()) as u8][..], labels, &sample].concat();
        assert_eq!(Version::One.encode(&series), whole);

        let table = b"\x22\x00\x22\x08__name__\x22\x02up\x22\x03job\x22\x01x";
        let body =
            [&b"\x0a\x04\x01\x02\x03\x04"[..], &sample, b"\x2a\x04\x08\x02\x20\x00"].concat();
        let whole = [&table[..], &[0x2a, body.len() as u8], &body].concat();
        assert_eq!(Version::Two.encode(&series), whole);
    }

    #[test]
    fn snappy_comes_back() {
        let bare = b"abcabcabcabcabcabcabcabcabcabc".repeat(9);
        let packed = snappy(&bare);
        assert!(packed.len() < bare.len());
        assert_eq!(snap::raw::Decoder::new().decompress_vec(&packed).unwrap(), bare);
    }
}
