//! One value of one row, and how it looks in JSON.

use std::{collections::BTreeMap, sync::Arc};

use serde::Serialize;

use crate::series::{Labels, SeriesId};

/// What a row is known by; a text in frames.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Key {
    /// A server's name, or a path in the supervision tree.
    Name(Arc<str>),
    /// A series.
    Series(SeriesId),
}

impl Serialize for Key {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Name(name) => serializer.serialize_str(name),
            Self::Series(id) => serializer.collect_str(&id.0),
        }
    }
}

/// One value. Cheap to clone; equal where its JSON is equal.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Cell {
    /// Unknown, or nothing.
    Null,
    Bool(bool),
    Integer(i64),
    /// Never a NaN and never infinite: [`Cell::number`] sees to it.
    Number(f64),
    Text(Arc<str>),
    Static(&'static str),
    /// A unit, per second.
    PerSecond(Arc<str>),
    Labels(Labels),
    Tags(Arc<BTreeMap<String, String>>),
}

impl Cell {
    /// A number; null where it is unknown or JSON cannot say it.
    pub(super) fn number(value: Option<f64>) -> Self {
        value.filter(|value| value.is_finite()).map_or(Self::Null, Self::Number)
    }

    /// A number with so many decimals: what people see of it, and no noise below.
    pub(super) fn rounded(value: Option<f64>, decimals: i32) -> Self {
        let scale = 10_f64.powi(decimals);
        Self::number(value.map(|value| (value * scale).round() / scale))
    }

    /// A text; null where there is none.
    pub(super) fn text(text: Option<&Arc<str>>) -> Self {
        text.map_or(Self::Null, |text| Self::Text(text.clone()))
    }

    /// Appends its JSON.
    pub(super) fn write(&self, json: &mut Vec<u8>) {
        match self {
            Self::Null => json.extend_from_slice(b"null"),
            Self::Bool(value) => write_json(json, value),
            Self::Integer(value) => write_json(json, value),
            // Whole numbers need no `.0`, and most bytes are whole.
            Self::Number(value) if value.fract() == 0.0 && value.abs() < 1e15 => {
                write_json(json, &(*value as i64));
            }
            Self::Number(value) => write_json(json, value),
            Self::Text(text) => write_json(json, text),
            Self::Static(text) => write_json(json, text),
            Self::PerSecond(unit) => write_json(json, &format_args!("{unit}/s")),
            Self::Labels(labels) => write_json(json, labels),
            Self::Tags(tags) => write_json(json, tags),
        }
    }
}

/// Appends the JSON of `value`.
pub(super) fn write_json<T: Serialize + ?Sized>(json: &mut Vec<u8>, value: &T) {
    // Writing to memory cannot fail, and nothing of ours refuses to be written.
    let _ = serde_json::to_writer(json, value);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_has_no_nan_and_no_needless_decimals() {
        check(Cell::number(Some(f64::NAN)), "null");
        check(Cell::number(Some(f64::INFINITY)), "null");
        check(Cell::number(Some(3.0)), "3");
        check(Cell::number(Some(0.125)), "0.125");
        check(Cell::rounded(Some(0.123_456), 4), "0.1235");
        check(Cell::Text("a\"b\u{1}".into()), "\"a\\\"b\\u0001\"");
        check(Cell::PerSecond("bytes".into()), "\"bytes/s\"");
    }

    #[track_caller]
    fn check(cell: Cell, expected: &str) {
        let mut json = Vec::new();
        cell.write(&mut json);
        assert_eq!(String::from_utf8_lossy(&json), expected);
    }
}
