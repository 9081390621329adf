//! How samples stand in CSV: a column for each thing that is known of them.

use std::borrow::Cow;

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
    let (labels, interval) = (series.labels.to_string(), series.interval_ms.to_string());
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
        let open = || "a quote is not closed on its line".to_owned();
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

/// Labels as a column has them: `{a="b"}`, or nothing.
pub(super) fn labels_of(text: &str) -> Result<Labels, String> {
    if text.is_empty() {
        return Ok(Labels::default());
    }
    // A line of the other format holds labels in the same form.
    let line = format!("m{text} 0");
    match crate::scrape::Format::OpenMetrics.line(line.as_bytes()) {
        Ok(crate::scrape::line::Line::Sample(sample)) => {
            Ok(Labels::new(sample.series.labels().map(|(name, value)| (name, value.into_owned()))))
        }
        Ok(_) => Err(format!("labels are `{text}`, must be such as {{core=\"0\"}}")),
        Err(fault) => {
            Err(format!("labels are `{text}`: {fault}; they must be such as {{core=\"0\"}}"))
        }
    }
}
