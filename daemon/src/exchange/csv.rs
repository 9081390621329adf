//! How samples stand in CSV: a column for each thing that is known of them.

use std::{borrow::Cow, collections::BTreeMap};

use crate::series::{Kind, Labels, Series};

/// Names of the columns, in the order in which they are written.
pub(super) const COLUMNS: [&str; 9] =
    ["time_ms", "value", "server", "collector", "metric", "labels", "kind", "unit", "interval_ms"];
/// The first line.
pub(super) const HEADER: &str =
    "time_ms,value,server,collector,metric,labels,kind,unit,interval_ms";

/// Which column of a file is which; those that are not there are left to what is usual.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Columns([Option<usize>; COLUMNS.len()]);

/// What stands in a line.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Fields<'l>(Vec<Cow<'l, str>>);

/// Appends what every line of a series has behind time and value.
pub(super) fn put_series(out: &mut String, series: &Series) {
    let kind = if series.kind == Kind::Counter { "counter" } else { "gauge" };
    let (labels, interval) = (text_of(&series.labels), series.interval_ms.to_string());
    let Series { server, collector, metric, unit, .. } = series;
    for field in [server, collector, metric, labels.as_str(), kind, unit, interval.as_str()] {
        out.push(',');
        if field.contains([',', '"', '\n', '\r']) {
            out.push('"');
            out.push_str(&field.replace('"', "\"\""));
            out.push('"');
        } else {
            out.push_str(field);
        }
    }
    out.push('\n');
}

impl Columns {
    /// What the first line says.
    pub(super) fn read(line: &str) -> Result<Self, String> {
        let Fields(names) = Fields::of(line)?;
        let mut columns = [None; COLUMNS.len()];
        for (at, name) in names.iter().enumerate() {
            let known = COLUMNS.iter().position(|known| known == name);
            let Some(place) = known else {
                let known = COLUMNS.join(", ");
                return Err(format!("column `{name}` is unknown; known are {known}"));
            };
            if columns[place].replace(at).is_some() {
                return Err(format!("column `{name}` stands there twice"));
            }
        }
        for (place, name) in COLUMNS.iter().enumerate() {
            if columns[place].is_none() && ["time_ms", "value", "metric"].contains(name) {
                return Err(format!(
                    "column `{name}` is missing; the first line is such as {HEADER}"
                ));
            }
        }
        Ok(Self(columns))
    }

    /// What stands in the column `name` of a line; nothing where there is no such column.
    pub(super) fn field<'a>(&self, name: &str, fields: &'a Fields<'_>) -> &'a str {
        let place = COLUMNS.iter().position(|known| *known == name);
        let at = place.and_then(|place| self.0[place]);
        at.and_then(|at| fields.0.get(at)).map_or("", |field| field)
    }

    /// Whether there is one of this name.
    pub(super) fn has(&self, name: &str) -> bool {
        COLUMNS.iter().zip(self.0).any(|(known, at)| *known == name && at.is_some())
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.0.iter().flatten().count()
    }
}

impl<'l> Fields<'l> {
    /// The fields of a line.
    pub(super) fn of(line: &'l str) -> Result<Self, String> {
        let mut fields = Vec::new();
        let mut rest = line;
        loop {
            let (field, behind) = match rest.strip_prefix('"') {
                Some(quoted) => quoted_field(quoted)?,
                None => {
                    let end = rest.find(',').unwrap_or(rest.len());
                    let (field, behind) = rest.split_at(end);
                    (Cow::Borrowed(field), behind)
                }
            };
            fields.push(field);
            if behind.is_empty() {
                return Ok(Self(fields));
            }
            rest = behind
                .strip_prefix(',')
                .ok_or_else(|| "something stands between a quote and the next comma".to_owned())?;
        }
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.0.len()
    }
}

/// A field in quotes, whose first one has been read, and what stands behind it.
fn quoted_field(text: &str) -> Result<(Cow<'_, str>, &str), String> {
    let mut at = 0;
    loop {
        let open = || "a quote is not closed".to_owned();
        at += text.get(at..).and_then(|rest| rest.find('"')).ok_or_else(open)?;
        let behind = text.get(at + 1..).unwrap_or_default();
        if !behind.starts_with('"') {
            let field = text.get(..at).unwrap_or_default();
            let field = match field.contains('"') {
                true => Cow::Owned(field.replace("\"\"", "\"")),
                false => Cow::Borrowed(field),
            };
            return Ok((field, behind));
        }
        at += 2;
    }
}

/// Where in its fields a record is that is read piece by piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Place {
    /// At the begin of a field.
    #[default]
    Begin,
    /// In a field without quotes, or behind one with.
    Plain,
    /// In a field in quotes.
    Within,
    /// Behind a quote in such a field, which closes it unless another one follows.
    Closed,
}

impl Place {
    /// Goes on through `bytes`; whether a field in quotes began that goes on behind them.
    pub(super) fn pass(&mut self, bytes: &[u8]) -> bool {
        let mut began = false;
        for byte in bytes {
            *self = match (*self, byte) {
                (Self::Within, b'"') => Self::Closed,
                (Self::Within, _) | (Self::Closed, b'"') => Self::Within,
                (Self::Begin, b'"') => {
                    began = true;
                    Self::Within
                }
                (_, b',') => {
                    began = false;
                    Self::Begin
                }
                _ => Self::Plain,
            }
        }
        began && *self == Self::Within
    }
}

/// Labels as a column has them: `{a="b"}`, or nothing. A name of other letters than Prometheus allows stands in quotes,
/// as its values do.
fn text_of(labels: &Labels) -> String {
    let mut out = String::new();
    for (at, (name, value)) in labels.iter().enumerate() {
        out.push(if at == 0 { '{' } else { ',' });
        if is_plain(name) {
            out.push_str(name);
        } else {
            put_quoted(&mut out, name);
        }
        out.push('=');
        put_quoted(&mut out, value);
    }
    if !labels.is_empty() {
        out.push('}');
    }
    out
}

fn is_plain(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
}

fn put_quoted(out: &mut String, text: &str) {
    let text = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    out.push('"');
    out.push_str(&text);
    out.push('"');
}

/// Labels from the text of a column.
pub(super) fn labels_of(text: &str) -> Result<Labels, String> {
    if text.is_empty() {
        return Ok(Labels::default());
    }
    labels(text).map_err(|what| {
        format!(
            "labels are `{text}`: {what}; they must be such as {{core=\"0\",\"odd name\"=\"1\"}}"
        )
    })
}

fn labels(text: &str) -> Result<Labels, &'static str> {
    let mut rest = text.trim().strip_prefix('{').ok_or("they do not begin with a brace")?;
    let mut found = BTreeMap::new();
    loop {
        rest = rest.trim_start();
        if let Some(behind) = rest.strip_prefix('}') {
            let is_all = behind.is_empty();
            return if is_all {
                Ok(Labels::new(found))
            } else {
                Err("something stands behind them")
            };
        }
        let (name, behind) = match rest.strip_prefix('"') {
            Some(quoted) => quoted_text(quoted)?,
            None => {
                let (name, _) = rest.split_once('=').ok_or("`=` is missing after a name")?;
                let behind = rest.get(name.len()..).unwrap_or_default();
                let name = Some(name.trim_end()).filter(|name| is_plain(name));
                (name.ok_or("a name is missing, or must stand in quotes")?.to_owned(), behind)
            }
        };
        let behind = behind.trim_start().strip_prefix('=').ok_or("`=` is missing after a name")?;
        let value = behind.trim_start().strip_prefix('"').ok_or("a value is not in quotes")?;
        let (value, behind) = quoted_text(value)?;
        if found.insert(name, value).is_some() {
            return Err("a label stands there twice");
        }
        let behind = behind.trim_start();
        rest = match behind.strip_prefix(',') {
            Some(rest) => rest,
            None if behind.starts_with('}') => behind,
            None => return Err("`,` or `}` is missing after a label"),
        };
    }
}

/// A text in quotes, whose first one has been read, and what stands behind it.
fn quoted_text(text: &str) -> Result<(String, &str), &'static str> {
    let mut found = String::new();
    let mut letters = text.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return Ok((found, text.get(at + 1..).unwrap_or_default())),
            '\\' => match letters.next() {
                Some((_, 'n')) => found.push('\n'),
                Some((_, other @ ('\\' | '"'))) => found.push(other),
                Some((_, other)) => found.extend(['\\', other]),
                None => break,
            },
            letter => found.push(letter),
        }
    }
    Err("a quote is not closed")
}
