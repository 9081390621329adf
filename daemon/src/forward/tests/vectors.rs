//! Requests byte by byte, written down by hand from the specifications.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use crate::{
    config::{ForwardConfig, Protocol},
    forward::{
        encoder::Encoder,
        parcel::{Parcel, Piece},
    },
    series::{Catalog, Kind, Labels, Sample, Series},
};

#[test]
fn version_1_is_as_its_specification_says() {
    let label = |name: &str, value: &str| {
        let label = [field(1, name.as_bytes()), field(2, value.as_bytes())].concat();
        field(1, &label)
    };
    let series = [
        label("__name__", "x_bytes"),
        label("collector", "c"),
        label("server", "s"),
        field(2, &sample(1.0, &[0x88, 0x27])),
        field(2, &sample(2.0, &[0xf0, 0x2e])),
    ];
    assert_eq!(encoded(Protocol::V1), field(1, &series.concat()));
}

#[test]
fn version_2_is_as_its_specification_says() {
    let symbols = ["", "__name__", "x_bytes", "collector", "c", "server", "s", "bytes"];
    let symbols: Vec<u8> = symbols.iter().flat_map(|text| field(4, text.as_bytes())).collect();
    let series = [
        field(1, &[1, 2, 3, 4, 5, 6]),
        field(2, &sample(1.0, &[0x88, 0x27])),
        field(2, &sample(2.0, &[0xf0, 0x2e])),
        // Metadata: a gauge (2), unit the seventh symbol.
        field(5, &[0x08, 2, 0x20, 7]),
    ];
    assert_eq!(encoded(Protocol::V2), [symbols, field(5, &series.concat())].concat());
}

/// Two samples of `x_bytes{}` of collector `c` of server `s`, at 5000 and 6000.
fn encoded(protocol: Protocol) -> Vec<u8> {
    let catalog = Arc::new(Catalog::default());
    let series = catalog.intern(Series {
        server: "s".into(),
        collector: "c".into(),
        metric: "x_bytes".into(),
        labels: Labels::default(),
        unit: "bytes".into(),
        kind: Kind::Gauge,
        interval_ms: 1000,
    });
    let series = series.unwrap();
    let frame = |at_ms, value| Piece::Frame { at_ms, samples: vec![Sample { series, value }] };
    let config = ForwardConfig {
        labels: BTreeMap::new(),
        batch_max: 100,
        timeout: Duration::from_secs(1),
        ..ForwardConfig::default()
    };
    let mut encoder = Encoder::new(catalog, Arc::new(config));
    let body = encoder.encode(&Parcel(vec![frame(5_000, 1.0), frame(6_000, 2.0)]), protocol);
    let body = body.unwrap();
    assert_eq!(body.samples, 2);
    snap::raw::Decoder::new().decompress_vec(&body.bytes).unwrap()
}

/// A field that holds bytes, of fewer than 128.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    [&[number << 3 | 2, u8::try_from(bytes.len()).unwrap()], bytes].concat()
}

/// `value` as field 1, 64 bits; `time` as field 2, a varint.
fn sample(value: f64, time: &[u8]) -> Vec<u8> {
    [&[0x09], &value.to_le_bytes()[..], &[0x10], time].concat()
}
