//! Values, spans of time and moments, in the units that people read.

use std::time::{Duration, UNIX_EPOCH};

use super::say;
use crate::config::Language;

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;
const DAY_MS: i64 = 24 * HOUR_MS;

/// Decimals that are added at most so that a value does not look like its limit.
const DECIMALS_ADDED: usize = 4;

/// How the values of a metric are shown.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Scale<'a> {
    Percent,
    Bytes {
        rate: bool,
    },
    Seconds,
    Celsius,
    Hertz,
    /// As they are, with the unit's own name.
    Plain {
        unit: &'a str,
        rate: bool,
    },
}

impl<'a> Scale<'a> {
    fn of(metric: &str, unit: &'a str) -> Self {
        // A counter is judged by its rate, whose unit may be given as that of the count.
        let rate = metric.ends_with("_total") && !unit.ends_with("/s");
        match unit {
            "ratio" => Self::Percent,
            "bytes" => Self::Bytes { rate },
            "bytes/s" => Self::Bytes { rate: true },
            // Seconds in each second: a part of the time.
            "seconds" if rate => Self::Percent,
            "seconds/s" => Self::Percent,
            "seconds" => Self::Seconds,
            "celsius" => Self::Celsius,
            "hertz" => Self::Hertz,
            unit => Self::Plain { unit, rate: rate && !unit.is_empty() },
        }
    }

    fn show(self, value: f64, added: usize, language: Language) -> String {
        match self {
            Self::Percent => {
                let space = say(language, " ", "");
                format!("{}{space}%", number(value * 100.0, 1 + added))
            }
            Self::Bytes { rate } => {
                let names = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
                let (value, name) = scaled(value, 1024.0, &names);
                format!("{} {name}{}", number(value, 1 + added), if rate { "/s" } else { "" })
            }
            Self::Hertz => {
                let (value, name) = scaled(value, 1000.0, &["Hz", "kHz", "MHz", "GHz"]);
                format!("{} {name}", number(value, 1 + added))
            }
            Self::Celsius => format!("{} °C", number(value, 1 + added)),
            Self::Seconds if value.abs() >= 60.0 && added == 0 => {
                let sign = if value < 0.0 { "-" } else { "" };
                format!("{sign}{}", span((value.abs() * 1000.0) as i64, language))
            }
            Self::Seconds if value.abs() < 1.0 && value != 0.0 => {
                let unit = say(language, "ms", "毫秒");
                format!("{} {unit}", number(value * 1000.0, 1 + added))
            }
            Self::Seconds => {
                format!("{} {}", number(value, 1 + added), say(language, "s", "秒"))
            }
            Self::Plain { unit, rate } => {
                let decimals = if value.abs() < 10.0 { 2 } else { 1 };
                let shown = number(value, decimals + added);
                match (unit, rate) {
                    ("", _) => shown,
                    (unit, true) => format!("{shown} {unit}/s"),
                    (unit, false) => format!("{shown} {unit}"),
                }
            }
        }
    }
}

/// A value of `metric` as people read it.
pub(super) fn value(value: f64, metric: &str, unit: &str, language: Language) -> String {
    Scale::of(metric, unit).show(value, 0, language)
}

/// A value and its limit, with as many decimals as it takes to tell them apart.
pub(super) fn pair(
    (value, limit): (f64, f64),
    metric: &str,
    unit: &str,
    language: Language,
) -> (String, String) {
    let scale = Scale::of(metric, unit);
    let alike = |added| scale.show(value, added, language) == scale.show(limit, added, language);
    let added =
        if value == limit { Some(0) } else { (0..=DECIMALS_ADDED).find(|&added| !alike(added)) };
    let added = added.unwrap_or(DECIMALS_ADDED);
    // The limit was written by a person, who knows it as they wrote it.
    (scale.show(value, added, language), scale.show(limit, added, language))
}

/// A span of time in its two largest units.
pub(super) fn span(ms: i64, language: Language) -> String {
    if ms < 1000 {
        return say(language, "less than 1 s", "不到 1 秒").to_owned();
    }
    let units = [
        (DAY_MS, say(language, "d", "天")),
        (HOUR_MS, say(language, "h", "小时")),
        (MINUTE_MS, say(language, "min", "分钟")),
        (1000, say(language, "s", "秒")),
    ];
    let first = units.iter().position(|(length, _)| ms >= *length).unwrap_or(units.len() - 1);
    let (length, name) = units[first];
    let mut text = format!("{} {name}", ms / length);
    if let Some((below, name)) = units.get(first + 1)
        && ms % length >= *below
    {
        text.push_str(&format!(" {} {name}", ms % length / below));
    }
    text
}

/// How long before `now_ms` something was.
pub(super) fn ago(at_ms: i64, now_ms: i64, language: Language) -> String {
    let passed = now_ms.saturating_sub(at_ms);
    if passed < 1000 {
        return say(language, "just now", "刚刚").to_owned();
    }
    match language {
        Language::En => format!("{} ago", span(passed, language)),
        Language::Zh => format!("{}前", span(passed, language)),
    }
}

/// A moment in UTC: `2026-11-22 10:00:00 UTC`.
pub fn moment(at_ms: i64) -> String {
    let since = Duration::from_millis(at_ms.clamp(0, LAST_MS).unsigned_abs());
    let text = humantime::format_rfc3339_seconds(UNIX_EPOCH + since).to_string();
    format!("{} UTC", text.trim_end_matches('Z').replace('T', " "))
}

/// The last second of the year 9999, beyond which no date is written.
const LAST_MS: i64 = 253_402_300_799_000;

fn scaled<'a>(value: f64, step: f64, names: &[&'a str]) -> (f64, &'a str) {
    let mut scaled = (value, names[0]);
    for name in &names[1..] {
        if scaled.0.abs() < step {
            break;
        }
        scaled = (scaled.0 / step, *name);
    }
    scaled
}

/// `value` with at most `decimals` decimals, and none that say nothing.
fn number(value: f64, decimals: usize) -> String {
    let text = format!("{value:.decimals$}");
    let text =
        if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_the_units_that_people_read() {
        let cases = [
            ("cpu_usage_ratio", "ratio", 0.9816, "98.2 %", "98.2%"),
            ("cpu_usage_ratio", "ratio", 0.95, "95 %", "95%"),
            ("memory_used_bytes", "bytes", 1_610_612_736.0, "1.5 GiB", "1.5 GiB"),
            ("memory_used_bytes", "bytes", 640.0, "640 B", "640 B"),
            ("network_receive_bytes_total", "bytes", 13_002_342.4, "12.4 MiB/s", "12.4 MiB/s"),
            ("network_link_speed_bytes", "bytes/s", 1.25e8, "119.2 MiB/s", "119.2 MiB/s"),
            ("network_receive_errors_total", "packets", 3.0, "3 packets/s", "3 packets/s"),
            ("disk_io_seconds_total", "seconds", 0.97, "97 %", "97%"),
            ("uptime_seconds", "seconds", 93_784.0, "1 d 2 h", "1 天 2 小时"),
            ("answer_seconds", "seconds", 0.25, "250 ms", "250 毫秒"),
            ("answer_seconds", "seconds", 5.34, "5.3 s", "5.3 秒"),
            ("cpu_temperature_celsius", "celsius", 85.04, "85 °C", "85 °C"),
            ("cpu_frequency_hertz", "hertz", 3.2e9, "3.2 GHz", "3.2 GHz"),
            ("load1", "tasks", 12.345, "12.3 tasks", "12.3 tasks"),
            ("load1", "tasks", -0.001, "0 tasks", "0 tasks"),
            ("queue_length", "", 1500.0, "1500", "1500"),
        ];
        for (metric, unit, number, english, chinese) in cases {
            assert_eq!(value(number, metric, unit, Language::En), english, "{metric}");
            assert_eq!(value(number, metric, unit, Language::Zh), chinese, "{metric}");
        }
    }

    #[test]
    fn a_value_does_not_look_like_the_limit_it_breaches() {
        let pair = |value, limit| super::pair((value, limit), "m", "ratio", Language::En);
        assert_eq!(pair(0.982, 0.95), ("98.2 %".into(), "95 %".into()));
        assert_eq!(pair(0.95004, 0.95), ("95.004 %".into(), "95 %".into()));
        assert_eq!(pair(0.95, 0.95), ("95 %".into(), "95 %".into()));
    }

    #[test]
    fn a_span_has_its_two_largest_units() {
        let cases = [
            (0, "less than 1 s", "不到 1 秒"),
            (4_999, "4 s", "4 秒"),
            (240_000, "4 min", "4 分钟"),
            (245_000, "4 min 5 s", "4 分钟 5 秒"),
            (3_605_000, "1 h", "1 小时"),
            (3_900_000, "1 h 5 min", "1 小时 5 分钟"),
            (97_200_000, "1 d 3 h", "1 天 3 小时"),
        ];
        for (ms, english, chinese) in cases {
            assert_eq!(span(ms, Language::En), english);
            assert_eq!(span(ms, Language::Zh), chinese);
        }
    }

    #[test]
    fn a_moment_is_in_utc_and_never_out_of_range() {
        assert_eq!(moment(1_795_341_600_000), "2026-11-22 10:00:00 UTC");
        assert_eq!(moment(-5), "1970-01-01 00:00:00 UTC");
        assert_eq!(moment(i64::MAX), "9999-12-31 23:59:59 UTC");
        assert_eq!(ago(1_000, 241_000, Language::En), "4 min ago");
        assert_eq!(ago(1_000, 241_000, Language::Zh), "4 分钟前");
        assert_eq!(ago(1_000, 0, Language::En), "just now");
    }
}
