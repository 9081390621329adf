//! OpenMetrics text, version 1.0: as Prometheus' format, but with units, exemplars, times in seconds, and an end.
//!
//! <https://github.com/prometheus/OpenMetrics/blob/v1.0.0/specification/OpenMetrics.md>

use super::line::{Fault, Line, SampleLine, Type, Value, labels_end, number, series};

/// What a line says.
pub(super) fn line(line: &[u8]) -> Result<Line<'_>, Fault> {
    match line.first() {
        None => Err(Fault::Empty),
        Some(b'#') => comment(line),
        Some(_) => {
            let (series, raw, rest) = series(line)?;
            Ok(Line::Sample(SampleLine { raw, series, value: value(rest)? }))
        }
    }
}

/// The value that stands behind a series, with time and exemplar where there are such.
pub(super) fn value(rest: &[u8]) -> Result<Value, Fault> {
    let (value, rest) = word(rest)?.ok_or(Fault::NoValue)?;
    let value = number(value).ok_or(Fault::BadValue)?;
    let mut at_ms = None;
    let mut left = rest;
    if let Some((time, rest)) = word(left)?
        && time != b"#"
    {
        at_ms = Some(millis(time)?);
        left = rest;
    }
    exemplar(left)?;
    Ok(Value { value, at_ms })
}

/// ` # {labels} value`, and a time perhaps; skipped, as long as it is one.
fn exemplar(rest: &[u8]) -> Result<(), Fault> {
    let Some((mark, rest)) = word(rest)? else { return Ok(()) };
    if mark != b"#" {
        return Err(Fault::Trailing);
    }
    let inside = rest.strip_prefix(b" {").ok_or(Fault::BadExemplar)?;
    let rest = labels_end(inside).map_err(|_| Fault::BadExemplar)?;
    let (value, rest) = word(rest)?.ok_or(Fault::BadExemplar)?;
    number(value).ok_or(Fault::BadExemplar)?;
    match word(rest)? {
        None => Ok(()),
        Some((time, [])) => millis(time).map(drop).map_err(|_| Fault::BadExemplar),
        Some(_) => Err(Fault::BadExemplar),
    }
}

/// Seconds since 1970, with a fraction perhaps, in milliseconds.
fn millis(time: &[u8]) -> Result<i64, Fault> {
    const SECONDS_MAX: f64 = 1e12;
    let seconds = number(time).filter(|seconds| seconds.abs() < SECONDS_MAX);
    Ok((seconds.ok_or(Fault::BadTime)? * 1000.0).round() as i64)
}

fn comment(line: &[u8]) -> Result<Line<'_>, Fault> {
    if line == b"# EOF" {
        return Ok(Line::End);
    }
    let text = str::from_utf8(line).map_err(|_| Fault::NotText)?;
    let rest = text.strip_prefix("# ").ok_or(Fault::Comment)?;
    let (keyword, rest) = rest.split_once(' ').ok_or(Fault::Comment)?;
    match keyword {
        "HELP" => Ok(Line::Nothing),
        "TYPE" => {
            let (family, kind) = rest.split_once(' ').ok_or(Fault::Incomplete)?;
            Ok(Line::Type(family, type_of(kind)?))
        }
        "UNIT" => {
            let (family, unit) = rest.split_once(' ').ok_or(Fault::Incomplete)?;
            Ok(Line::Unit(family, unit))
        }
        _ => Err(Fault::Comment),
    }
}

fn type_of(word: &str) -> Result<Type, Fault> {
    Ok(match word {
        "counter" => Type::Counter,
        "gauge" => Type::Gauge,
        "histogram" => Type::Histogram,
        "gaugehistogram" => Type::GaugeHistogram,
        "summary" => Type::Summary,
        "info" | "stateset" => Type::Gauge,
        "unknown" => Type::Other,
        _ => return Err(Fault::BadType),
    })
}

/// A word, and what stands behind it.
type Cut<'p> = (&'p [u8], &'p [u8]);

/// The word behind one space that `rest` begins with, and what stands behind it; none at the end.
fn word(rest: &[u8]) -> Result<Option<Cut<'_>>, Fault> {
    if rest.is_empty() {
        return Ok(None);
    }
    let rest = rest.strip_prefix(b" ").ok_or(Fault::Spaces)?;
    let end = rest.iter().position(|&byte| byte == b' ').unwrap_or(rest.len());
    if end == 0 { Err(Fault::Spaces) } else { Ok(Some(rest.split_at(end))) }
}
