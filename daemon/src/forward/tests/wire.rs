//! Remote write read by other code than what writes it: fields of protocol buffers, taken apart one by one.

use std::collections::BTreeMap;

/// What a request carries.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Request {
    /// Samples, in the order in which they stand, by labels as `name="value"` with a space between.
    pub(super) series: Vec<(String, Vec<(i64, f64)>)>,
    /// Kind and unit of metrics.
    pub(super) metadata: BTreeMap<String, (u64, String)>,
}

#[derive(Debug, Clone, Copy)]
enum Value<'b> {
    Number(u64),
    Bytes(&'b [u8]),
}

/// Reads version 1.0.
pub(super) fn read_1(body: &[u8]) -> Request {
    let mut request = Request::default();
    for (field, value) in fields(body) {
        match (field, value) {
            (1, Value::Bytes(series)) => {
                let labels = all(series, 1).map(|label| (text(label, 1), text(label, 2)));
                request.series.push((shown(labels.collect()), samples(series)));
            }
            (3, Value::Bytes(metric)) => {
                let what = (number(metric, 1), text(metric, 5));
                request.metadata.insert(text(metric, 2), what);
            }
            other => panic!("{other:?}"),
        }
    }
    request
}

/// Reads version 2.0.
pub(super) fn read_2(body: &[u8]) -> Request {
    let mut request = Request::default();
    let symbols: Vec<String> =
        all(body, 4).map(|symbol| String::from_utf8(symbol.to_vec()).unwrap()).collect();
    assert_eq!(symbols[0], "", "the first symbol is empty");
    for series in all(body, 5) {
        let refs = all(series, 1).next().unwrap();
        let mut at = 0;
        let mut next = || symbols[usize::try_from(varint(refs, &mut at)).unwrap()].clone();
        let mut labels = Vec::new();
        // Each number has one byte at least; what is read beyond the end fails.
        let mut read = 0;
        while read < refs.len() {
            labels.push((next(), next()));
            read = count_read(refs, labels.len() * 2);
        }
        let name = labels.iter().find(|(name, _)| name == "__name__").unwrap().1.clone();
        if let Some(metadata) = all(series, 5).next() {
            let unit = usize::try_from(number(metadata, 4)).unwrap();
            request.metadata.insert(name, (number(metadata, 1), symbols[unit].clone()));
        }
        request.series.push((shown(labels), samples(series)));
    }
    request
}

/// Bytes that the first `count` numbers take.
fn count_read(bytes: &[u8], count: usize) -> usize {
    let mut at = 0;
    for _ in 0..count {
        varint(bytes, &mut at);
    }
    at
}

fn shown(labels: Vec<(String, String)>) -> String {
    let names: Vec<_> = labels.iter().map(|(name, _)| name.clone()).collect();
    assert!(names.is_sorted(), "{names:?}");
    let labels = labels.iter().map(|(name, value)| format!("{name}={value:?}"));
    labels.collect::<Vec<_>>().join(" ")
}

fn samples(series: &[u8]) -> Vec<(i64, f64)> {
    let read = |sample| (number(sample, 2).cast_signed(), f64::from_bits(number(sample, 1)));
    let samples: Vec<_> = all(series, 2).map(read).collect();
    assert!(samples.is_sorted_by(|one, next| one.0 < next.0), "in the order of their times");
    samples
}

fn all(message: &[u8], wanted: u64) -> impl Iterator<Item = &[u8]> {
    fields(message).into_iter().filter_map(move |(field, value)| match value {
        Value::Bytes(bytes) if field == wanted => Some(bytes),
        _ => None,
    })
}

fn text(message: &[u8], wanted: u64) -> String {
    let bytes = all(message, wanted).next().unwrap_or_default();
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn number(message: &[u8], wanted: u64) -> u64 {
    let found = fields(message).into_iter().find_map(|(field, value)| match value {
        Value::Number(number) if field == wanted => Some(number),
        _ => None,
    });
    found.unwrap_or_default()
}

fn fields(message: &[u8]) -> Vec<(u64, Value<'_>)> {
    let (mut at, mut found) = (0, Vec::new());
    while at < message.len() {
        let key = varint(message, &mut at);
        let value = match key & 7 {
            0 => Value::Number(varint(message, &mut at)),
            1 => {
                let bytes = message[at..at + 8].try_into().unwrap();
                at += 8;
                Value::Number(u64::from_le_bytes(bytes))
            }
            2 => {
                let length = usize::try_from(varint(message, &mut at)).unwrap();
                let bytes = &message[at..at + length];
                at += length;
                Value::Bytes(bytes)
            }
            other => panic!("wire type {other}"),
        };
        found.push((key >> 3, value));
    }
    found
}

fn varint(bytes: &[u8], at: &mut usize) -> u64 {
    let (mut value, mut shift) = (0, 0);
    loop {
        let byte = bytes[*at];
        *at += 1;
        value |= u64::from(byte & 0x7f) << shift;
        shift += 7;
        if byte & 0x80 == 0 {
            return value;
        }
    }
}
