//! Prometheus' text format, version 0.0.4.
//!
//! <https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format>

use super::line::{Fault, Line, SampleLine, Type, Value, number, series};

/// What a line says.
pub(super) fn line(line: &[u8]) -> Result<Line<'_>, Fault> {
    let line = trimmed(line);
    match line.first() {
        None => Ok(Line::Nothing),
        Some(b'#') => comment(line),
        Some(_) => {
            let (series, raw, rest) = series(line)?;
            Ok(Line::Sample(SampleLine { raw, series, value: value(rest)? }))
        }
    }
}

/// The value, and the time where there is one, that stand behind a series.
pub(super) fn value(rest: &[u8]) -> Result<Value, Fault> {
    let (value, rest) = word(rest);
    let (time, rest) = word(rest);
    if value.is_empty() {
        return Err(Fault::NoValue);
    }
    let value = number(value).ok_or(Fault::BadValue)?;
    let at_ms = match time {
        [] => None,
        // Milliseconds, whole.
        time => {
            let time = str::from_utf8(time).map_err(|_| Fault::BadTime)?;
            Some(time.parse().map_err(|_| Fault::BadTime)?)
        }
    };
    if rest.is_empty() { Ok(Value { value, at_ms }) } else { Err(Fault::Trailing) }
}

fn comment(line: &[u8]) -> Result<Line<'_>, Fault> {
    let (_, rest) = word(line);
    let (keyword, rest) = word(rest);
    // What a metric is about is not looked at, so it cannot be malformed either.
    if line.get(1).is_some_and(|byte| !is_blank(*byte)) || keyword != b"TYPE" {
        return Ok(Line::Nothing);
    }
    let (family, rest) = word(rest);
    let (kind, rest) = word(rest);
    if family.is_empty() || kind.is_empty() {
        return Err(Fault::Incomplete);
    }
    let kind = match kind {
        b"counter" => Type::Counter,
        b"gauge" => Type::Gauge,
        b"histogram" => Type::Histogram,
        b"summary" => Type::Summary,
        b"untyped" | b"unknown" => Type::Other,
        _ => return Err(Fault::BadType),
    };
    if !rest.is_empty() {
        return Err(Fault::Trailing);
    }
    Ok(Line::Type(str::from_utf8(family).map_err(|_| Fault::NotText)?, kind))
}

/// The word that `rest` begins with, and what stands behind it, without the blanks around both.
fn word(rest: &[u8]) -> (&[u8], &[u8]) {
    let rest = trimmed(rest);
    let end = rest.iter().position(|&byte| is_blank(byte)).unwrap_or(rest.len());
    let (word, rest) = rest.split_at(end);
    (word, trimmed(rest))
}

fn trimmed(mut text: &[u8]) -> &[u8] {
    while let [first, rest @ ..] = text
        && is_blank(*first)
    {
        text = rest;
    }
    while let [rest @ .., last] = text
        && is_blank(*last)
    {
        text = rest;
    }
    text
}

/// A page that was written on Windows has a carriage return before each line's end.
fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r')
}
