//! Remote write 1.0: `prometheus.WriteRequest`.
//!
//! <https://prometheus.io/docs/specs/prw/remote_write_spec/>, fields as in `prompb/remote.proto` and `types.proto`.

use super::{
    cache::Cache,
    labels::Sorted,
    protobuf::{put_begin, put_bytes, put_number, put_sample, sample_len},
};
use crate::series::Kind;

/// `WriteRequest.timeseries`.
const TIMESERIES: u8 = 1;
/// `WriteRequest.metadata`.
const METADATA: u8 = 3;
/// `TimeSeries.labels`.
const LABELS: u8 = 1;

/// The labels of series, as they stand in a request.
pub(super) type LabelCache = Cache<Box<[u8]>>;

/// Labels as the fields of a time series.
pub(super) fn label_fields(labels: &Sorted<'_>) -> Box<[u8]> {
    let (mut out, mut label) = (Vec::new(), Vec::new());
    for (name, value) in labels {
        label.clear();
        put_bytes(&mut label, 1, name.as_bytes());
        put_bytes(&mut label, 2, value.as_bytes());
        put_bytes(&mut out, LABELS, &label);
    }
    out.into()
}

/// A time series with `labels`, made by [`label_fields`], and samples in the order of their times.
pub(super) fn put_series(
    out: &mut Vec<u8>,
    labels: &[u8],
    samples: impl Iterator<Item = (i64, f64)> + Clone,
) {
    let length: usize = samples.clone().map(|(at_ms, value)| sample_len(at_ms, value)).sum();
    put_begin(out, TIMESERIES, labels.len() + length);
    out.extend_from_slice(labels);
    samples.for_each(|(at_ms, value)| put_sample(out, at_ms, value));
}

/// A whole request that says what kind and unit metrics have.
pub(super) fn metadata<'m>(metrics: impl Iterator<Item = (&'m str, Kind, &'m str)>) -> Vec<u8> {
    let (mut out, mut metric) = (Vec::new(), Vec::new());
    for (name, kind, unit) in metrics {
        metric.clear();
        put_number(&mut metric, 1, kind_number(kind));
        put_bytes(&mut metric, 2, name.as_bytes());
        if !unit.is_empty() {
            put_bytes(&mut metric, 5, unit.as_bytes());
        }
        put_bytes(&mut out, METADATA, &metric);
    }
    out
}

/// The number of a kind, the same in both versions.
pub(super) fn kind_number(kind: Kind) -> u64 {
    match kind {
        Kind::Counter => 1,
        Kind::Gauge => 2,
    }
}
