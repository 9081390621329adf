//! What the name of a metric says of its values, where nothing else does.

use super::Kind;

/// Units that metric names end in, as Prometheus and OpenMetrics have them.
const UNITS: [&str; 12] = [
    "seconds", "bytes", "ratio", "celsius", "hertz", "volts", "amperes", "joules", "watts",
    "grams", "meters", "percent",
];

/// Counter or gauge, by the endings that Prometheus gives to counters and to the parts of
/// histograms and summaries.
pub fn kind_by_name(metric: &str) -> Kind {
    let counts = ["_total", "_count", "_sum", "_bucket"].iter().any(|end| metric.ends_with(end));
    if counts { Kind::Counter } else { Kind::Gauge }
}

/// The unit that `metric` ends in, before what says that it is counted; empty where there is none.
pub fn unit_by_name(metric: &str) -> &'static str {
    let base = ["_total", "_sum"].iter().find_map(|end| metric.strip_suffix(end)).unwrap_or(metric);
    let word = base.rsplit('_').next().unwrap_or_default();
    // A whole name is no ending.
    if word.len() == base.len() {
        return "";
    }
    UNITS.into_iter().find(|unit| *unit == word).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_counters_and_units() {
        let of = |metric| (kind_by_name(metric), unit_by_name(metric));
        assert_eq!(of("node_cpu_seconds_total"), (Kind::Counter, "seconds"));
        assert_eq!(of("node_memory_MemFree_bytes"), (Kind::Gauge, "bytes"));
        assert_eq!(of("http_request_duration_seconds_sum"), (Kind::Counter, "seconds"));
        assert_eq!(of("http_request_duration_seconds_count"), (Kind::Counter, ""), "a number");
        assert_eq!(of("http_request_duration_seconds_bucket"), (Kind::Counter, ""));
        assert_eq!(of("node_hwmon_temp_celsius"), (Kind::Gauge, "celsius"));
        assert_eq!(of("node_load1"), (Kind::Gauge, ""));
        assert_eq!(of("seconds"), (Kind::Gauge, ""), "no ending");
        assert_eq!(of("_total"), (Kind::Counter, ""));
    }
}
