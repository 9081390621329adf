//! A rule's summary with everything filled in.
//!
//! The configuration has checked the template: what it may name and which filters it may use stands there.

use std::{sync::Arc, time::Duration};

use minijinja::{Environment, Value};

use crate::{
    config::{RuleConfig, Severity},
    series::Series,
};

/// Longest summary, in characters: a subject line and a page have to hold it.
const LENGTH_MAX: usize = 300;

/// The summary that `template` gives; `None` where it cannot be filled in, as with a value that is not known.
pub(super) fn fill(
    template: &str,
    rule: &RuleConfig,
    series: &Series,
    value: Option<f64>,
    limit: Option<f64>,
    severity: Option<Severity>,
) -> Option<Arc<str>> {
    let mut environment = Environment::empty();
    environment.add_filter("ratio", |number: f64| format!("{} %", decimals(number * 100.0, 1)));
    environment.add_filter("bytes", bytes);
    environment.add_filter("duration", |seconds: f64| {
        let whole = Duration::from_secs(seconds.max(0.0) as u64);
        humantime::format_duration(whole).to_string()
    });
    environment.add_filter("round", |number: f64, digits: Option<i32>| {
        decimals(number, digits.unwrap_or(0).clamp(0, 9).unsigned_abs() as usize)
    });
    let labels = series.labels.iter().map(|(name, value)| (name, Value::from(value)));
    let names = [
        ("server", Value::from(&*series.server)),
        ("labels", Value::from_pairs(labels)),
        ("value", Value::from(value)),
        ("limit", Value::from(limit)),
        ("metric", Value::from(&*series.metric)),
        ("rule", Value::from(rule.name.as_str())),
        ("level", Value::from(severity.map_or("ok", Severity::name))),
    ];
    let filled = environment.render_str(template, Value::from_pairs(names)).ok()?;
    Some(filled.chars().take(LENGTH_MAX).collect::<String>().into())
}

/// With so many decimals at most, and none that say nothing.
fn decimals(number: f64, most: usize) -> String {
    let text = format!("{number:.most$}");
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

fn bytes(mut number: f64) -> String {
    const UNITS: [&str; 6] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
    let mut unit = 0;
    while number.abs() >= 1024.0 && unit + 1 < UNITS.len() {
        number /= 1024.0;
        unit += 1;
    }
    format!("{} {}", decimals(number, 1), UNITS[unit])
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed test should stop")]
    use super::*;
    use crate::{
        config::Config,
        series::{Kind, Labels},
    };

    #[test]
    fn names_and_filters_are_filled_in() {
        let filled = |template: &str, value| {
            let rules = Config::default().rules;
            let series = Series {
                server: "web-1".into(),
                collector: "disk".into(),
                metric: "disk_usage_ratio".into(),
                labels: Labels::new([("mount", "/var")]),
                unit: "ratio".into(),
                kind: Kind::Gauge,
                interval_ms: 1000,
            };
            let limit = Some(0.8);
            fill(template, &rules[0], &series, value, limit, Some(Severity::Critical))
        };
        let template = "disk {{ labels.mount }} on {{ server }} is {{ value | ratio }} full";
        assert_eq!(&*filled(template, Some(0.9436)).unwrap(), "disk /var on web-1 is 94.4 % full");
        assert_eq!(filled(template, None), None);
        let more = "{{ level }} {{ value | round(2) }} {{ value | bytes }} {{ value | duration }}";
        assert_eq!(&*filled(more, Some(5000.0)).unwrap(), "critical 5000 4.9 KiB 1h 23m 20s");
        assert_eq!(&*filled("{{ labels.none }}{{ limit }}", None).unwrap(), "0.8");
        assert_eq!(filled(&"x".repeat(500), None).unwrap().len(), LENGTH_MAX);
    }
}
