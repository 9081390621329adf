//! What a metric's name, and what its sender says of it, tell about its values. Pure.

use crate::series::Kind;

/// What a metric is, in the words of its sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(super) enum Type {
    /// Nothing was said.
    #[default]
    Unknown,
    /// A total.
    Counter,
    /// A value that stands for itself; also info and state sets.
    Gauge,
    /// Totals by upper bound, their count and their sum.
    Histogram,
    /// The same, of values that stand for themselves.
    GaugeHistogram,
    /// Quantiles, a count and a sum.
    Summary,
}

/// What a sender says of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Told<'a> {
    /// What it is.
    pub(super) kind: Type,
    /// Unit of its values; empty where none was said.
    pub(super) unit: &'a str,
}

impl Type {
    /// From the number that both versions of remote write know it by.
    pub(super) fn of_number(number: u64) -> Self {
        match number {
            1 => Self::Counter,
            2 | 6 | 7 => Self::Gauge,
            3 => Self::Histogram,
            4 => Self::GaugeHistogram,
            5 => Self::Summary,
            _ => Self::Unknown,
        }
    }
}

/// What the parts of a family add to its name.
const PARTS: [&str; 5] = ["_total", "_bucket", "_count", "_sum", "_created"];

/// Units that a name may end in.
const UNITS: [&str; 14] = [
    "seconds", "bytes", "ratio", "celsius", "hertz", "percent", "volts", "amperes", "watts",
    "joules", "grams", "meters", "bits", "packets",
];

/// The family of a metric, as metadata names it.
pub(super) fn family(metric: &str) -> &str {
    PARTS.iter().find_map(|part| metric.strip_suffix(part)).unwrap_or(metric)
}

/// Kind and unit of the values of `metric`.
pub(super) fn describe<'a>(metric: &'a str, told: Told<'a>) -> (Kind, &'a str) {
    let is_total = metric.ends_with("_total");
    let is_count = metric.ends_with("_count") || metric.ends_with("_bucket");
    let is_sum = metric.ends_with("_sum");
    let kind = match told.kind {
        Type::Counter => Kind::Counter,
        Type::Gauge | Type::GaugeHistogram => Kind::Gauge,
        // The quantiles of a summary stand for themselves.
        Type::Histogram | Type::Summary | Type::Unknown if is_total || is_count || is_sum => {
            Kind::Counter
        }
        Type::Histogram | Type::Summary | Type::Unknown => Kind::Gauge,
    };
    if is_count && told.kind != Type::Gauge {
        return (kind, "");
    }
    if !told.unit.is_empty() {
        return (kind, told.unit);
    }
    let stem = family(metric);
    let last = stem.rsplit('_').next().unwrap_or_default();
    let unit = UNITS.into_iter().find(|unit| *unit == last && *unit != stem);
    (kind, unit.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_what_its_values_are() {
        check("node_cpu_seconds_total", Type::Unknown, (Kind::Counter, "seconds"));
        check("node_memory_MemFree_bytes", Type::Unknown, (Kind::Gauge, "bytes"));
        check("http_request_duration_seconds_bucket", Type::Unknown, (Kind::Counter, ""));
        check("http_request_duration_seconds_sum", Type::Unknown, (Kind::Counter, "seconds"));
        check("up", Type::Unknown, (Kind::Gauge, ""));
        check("bytes", Type::Unknown, (Kind::Gauge, ""));
    }

    #[test]
    fn what_the_sender_says_counts_more() {
        check("node_netstat_Tcp_InSegs", Type::Counter, (Kind::Counter, ""));
        check("go_sched_goroutines_count", Type::Gauge, (Kind::Gauge, ""));
        check("rpc_duration_seconds", Type::Summary, (Kind::Gauge, "seconds"));
        check("rpc_duration_seconds_sum", Type::Summary, (Kind::Counter, "seconds"));
        check("sizes_bytes_bucket", Type::GaugeHistogram, (Kind::Gauge, ""));
        let told = Told { kind: Type::Counter, unit: "joules" };
        assert_eq!(describe("energy_total", told), (Kind::Counter, "joules"));
    }

    #[track_caller]
    fn check(metric: &str, kind: Type, expected: (Kind, &str)) {
        assert_eq!(describe(metric, Told { kind, unit: "" }), expected, "{metric}");
    }
}
