//! Names as OpenTelemetry gives them, and as Prometheus writes them. Pure.

/// Units, and what a name ends in for them.
const UNITS: [(&str, &str); 31] = [
    ("d", "days"),
    ("h", "hours"),
    ("min", "minutes"),
    ("s", "seconds"),
    ("ms", "milliseconds"),
    ("us", "microseconds"),
    ("ns", "nanoseconds"),
    ("By", "bytes"),
    ("KiBy", "kibibytes"),
    ("MiBy", "mebibytes"),
    ("GiBy", "gibibytes"),
    ("TiBy", "tebibytes"),
    ("KBy", "kilobytes"),
    ("MBy", "megabytes"),
    ("GBy", "gigabytes"),
    ("TBy", "terabytes"),
    ("m", "meters"),
    ("V", "volts"),
    ("A", "amperes"),
    ("J", "joules"),
    ("W", "watts"),
    ("g", "grams"),
    ("Cel", "celsius"),
    ("Hz", "hertz"),
    ("%", "percent"),
    ("bit", "bits"),
    ("kBy", "kilobytes"),
    ("kHz", "kilohertz"),
    ("MHz", "megahertz"),
    ("GHz", "gigahertz"),
    ("1", ""),
];

/// What something is counted per.
const PER: [(&str, &str); 7] = [
    ("s", "second"),
    ("m", "minute"),
    ("h", "hour"),
    ("d", "day"),
    ("w", "week"),
    ("mo", "month"),
    ("y", "year"),
];

/// Name and unit of a metric. That of a monotonic sum ends in `_total`; a gauge of the unit `1` is a ratio.
pub(super) fn metric(name: &str, unit: &str, is_gauge: bool, is_total: bool) -> (String, String) {
    let unit = if unit.trim() == "1" && is_gauge { "ratio".to_owned() } else { suffix(unit) };
    let mut name = plain(name);
    if is_total {
        name.truncate(name.strip_suffix("_total").unwrap_or(&name).len());
    }
    if !unit.is_empty() && !has_parts(&name, &unit) {
        name = format!("{name}_{unit}");
    }
    if is_total {
        name.push_str("_total");
    }
    (name, unit)
}

/// The name of a label.
pub(super) fn label(key: &str) -> String {
    plain(key)
}

/// What a name ends in for a unit; what stands in braces is for people.
fn suffix(unit: &str) -> String {
    let unit: String = match (unit.find('{'), unit.rfind('}')) {
        (Some(from), Some(to)) if from < to => format!("{}{}", &unit[..from], &unit[to + 1..]),
        _ => unit.to_owned(),
    };
    let (main, per) = unit.trim().split_once('/').unwrap_or((unit.trim(), ""));
    let word = |words: &[(&str, &str)], unit: &str| {
        let known = words.iter().find(|(short, _)| *short == unit);
        known.map_or_else(|| plain(unit).trim_matches('_').to_owned(), |(_, long)| (*long).into())
    };
    let main = if main.is_empty() { String::new() } else { word(&UNITS, main) };
    let per = if per.is_empty() { String::new() } else { word(&PER, per) };
    match (main.is_empty(), per.is_empty()) {
        (_, true) => main,
        (true, false) => format!("per_{per}"),
        (false, false) => format!("{main}_per_{per}"),
    }
}

/// Letters, digits and underscores; everything else becomes one underscore.
fn plain(name: &str) -> String {
    let mut plain = String::with_capacity(name.len() + 1);
    if name.starts_with(|c: char| c.is_ascii_digit()) {
        plain.push('_');
    }
    for c in name.chars() {
        if c.is_ascii_alphanumeric() || c == ':' || c == '_' {
            plain.push(c);
        } else if !plain.ends_with('_') {
            plain.push('_');
        }
    }
    plain
}

/// Whether the words of `parts` stand together in `name`.
fn has_parts(name: &str, parts: &str) -> bool {
    format!("_{name}_").contains(&format!("_{parts}_"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_those_of_the_compatibility_specification() {
        check("http.server.duration", "s", (false, false), "http_server_duration_seconds");
        check("process.cpu.time", "s", (false, true), "process_cpu_time_seconds_total");
        check("system.memory.usage", "By", (true, false), "system_memory_usage_bytes");
        check("system.cpu.utilization", "1", (true, false), "system_cpu_utilization_ratio");
        check("http.requests", "1", (false, true), "http_requests_total");
        check("http.requests", "{request}", (false, true), "http_requests_total");
        check("requests_total", "", (false, true), "requests_total");
        check("network.io", "By/s", (true, false), "network_io_bytes_per_second");
        check("queue_seconds", "s", (true, false), "queue_seconds");
        check("2xx.count", "widgets", (true, false), "_2xx_count_widgets");
        check("ladung{}", "{a/s}/s", (true, false), "ladung__per_second");
    }

    #[track_caller]
    fn check(name: &str, unit: &str, (is_gauge, is_total): (bool, bool), expected: &str) {
        assert_eq!(metric(name, unit, is_gauge, is_total).0, expected);
    }
}
