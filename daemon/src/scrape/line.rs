//! What a line of both formats is made of: a series, its labels, a number.

use std::borrow::Cow;

/// What is wrong with a line, in words for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Some bytes of it are no text.
    #[error("it is not UTF-8")]
    NotText,
    /// It is longer than [`LINE_MAX`].
    #[error("it is longer than 64 KiB")]
    TooLong,
    /// It does not begin with a name.
    #[error("it does not begin with a metric name")]
    NoName,
    /// Between the braces stands something that is no label.
    #[error("a label has no name")]
    NoLabelName,
    /// After a label's name there is no `=`.
    #[error("`=` is missing after the name of a label")]
    NoEquals,
    /// The braces are not closed.
    #[error("labels are not closed")]
    OpenLabels,
    /// A label's value does not begin with a quote.
    #[error("label value is not in double quotes")]
    NoQuote,
    /// A label's value does not end.
    #[error("label value is not closed")]
    OpenQuote,
    /// After a label there is neither a comma nor the closing brace.
    #[error("`,` or `}}` is missing after a label")]
    NoComma,
    /// The same label stands there twice.
    #[error("a label stands there twice")]
    TwiceLabel,
    /// It has more than [`LABELS_MAX`] labels.
    #[error("it has more than {LABELS_MAX} labels")]
    TooManyLabels,
    /// There is no value.
    #[error("it has no value")]
    NoValue,
    /// The value is no number.
    #[error("its value is not a number")]
    BadValue,
    /// The timestamp is none.
    #[error("its timestamp is not a number")]
    BadTime,
    /// More stands there than belongs there.
    #[error("something stands behind its value")]
    Trailing,
    /// A `# TYPE` line that says no type.
    #[error("it names no type that is known")]
    BadType,
    /// A `# TYPE`, `# HELP` or `# UNIT` line that is not complete.
    #[error("it is not complete")]
    Incomplete,
    /// In OpenMetrics every line says something.
    #[error("it is empty")]
    Empty,
    /// In OpenMetrics a comment is metadata or the end.
    #[error("it is a comment, which OpenMetrics does not have")]
    Comment,
    /// In OpenMetrics one space stands between two parts.
    #[error("its parts are not separated by one space")]
    Spaces,
    /// Behind `# EOF` there is something.
    #[error("it stands behind `# EOF`")]
    AfterEnd,
    /// An exemplar is not written as one.
    #[error("its exemplar is malformed")]
    BadExemplar,
}

/// The longest line that is looked at.
pub const LINE_MAX: usize = 64 * 1024;
/// Most labels that a series has.
pub const LABELS_MAX: usize = 64;

/// A series as it stands on a page, not unescaped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SeriesText<'p> {
    /// The metric.
    pub name: &'p str,
    /// What stands between the braces; empty where there are none.
    labels: &'p str,
}

/// A line that gives a value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SampleLine<'p> {
    /// The series with its labels, byte for byte: alike for as long as the page is written alike.
    pub raw: &'p [u8],
    /// The same, understood.
    pub series: SeriesText<'p>,
    /// Its value and its time.
    pub value: Value,
}

/// A value, and its time where the page gives one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Value {
    /// The value.
    pub value: f64,
    /// Milliseconds since 1970.
    pub at_ms: Option<i64>,
}

/// A line, understood.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Line<'p> {
    /// A value of a series.
    Sample(SampleLine<'p>),
    /// What kind of metric a family is.
    Type(&'p str, Type),
    /// The unit of a family.
    Unit(&'p str, &'p str),
    /// Nothing that counts: a comment, or what a metric is about.
    Nothing,
    /// The page ends here.
    End,
}

/// What a `# TYPE` line says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Type {
    /// It only grows.
    Counter,
    /// It stands for itself.
    Gauge,
    /// Counts by upper bound, with their number and sum.
    Histogram,
    /// As a histogram, of what there is now.
    GaugeHistogram,
    /// Quantiles, with number and sum.
    Summary,
    /// Nothing is said: facts as labels, sets of states, and what nobody knows.
    Other,
}

impl<'p> SeriesText<'p> {
    /// Name and value of each label, in the order of the page.
    pub fn labels(self) -> impl Iterator<Item = (&'p str, Cow<'p, str>)> {
        let mut rest = self.labels;
        std::iter::from_fn(move || {
            // It was looked at before: what is no label is the end.
            let (name, value, behind) = label(rest.as_bytes()).ok()??;
            rest = rest.get(rest.len() - behind.len()..)?;
            let (name, value) = (str::from_utf8(name).ok()?, str::from_utf8(value).ok()?);
            rest = after_comma(rest);
            Some((name, unescaped(value)))
        })
    }
}

/// The series that `line` begins with, and what stands behind it.
pub(super) fn series(line: &[u8]) -> Result<(SeriesText<'_>, &[u8], &[u8]), Fault> {
    if line.len() > LINE_MAX {
        return Err(Fault::TooLong);
    }
    let name_len = name_length(line, true).ok_or(Fault::NoName)?;
    let (name, behind) = line.split_at(name_len);
    // A space may stand before the brace, and always stands before a value.
    let Some(inside) = behind.trim_ascii_start().strip_prefix(b"{") else {
        let name = str::from_utf8(name).map_err(|_| Fault::NotText)?;
        return Ok((SeriesText { name, labels: "" }, name.as_bytes(), behind));
    };
    let behind = labels_end(inside)?;
    let (inside_len, raw_len) = (inside.len() - behind.len(), line.len() - behind.len());
    let labels = inside.get(..inside_len.saturating_sub(1)).unwrap_or_default();
    let text = |bytes| str::from_utf8(bytes).map_err(|_| Fault::NotText);
    let series = SeriesText { name: text(name)?, labels: text(labels)? };
    judge_labels(series)?;
    Ok((series, line.get(..raw_len).unwrap_or_default(), behind))
}

/// What stands behind the brace that closes the labels which `rest` begins with.
pub(super) fn labels_end(mut rest: &[u8]) -> Result<&[u8], Fault> {
    loop {
        let Some((_, _, behind)) = label(rest)? else {
            return rest.trim_ascii_start().strip_prefix(b"}").ok_or(Fault::NoLabelName);
        };
        let behind = behind.trim_ascii_start();
        if let Some(end) = behind.strip_prefix(b"}") {
            return Ok(end);
        }
        rest = behind.strip_prefix(b",").ok_or(Fault::NoComma)?;
    }
}

/// Name and value of the label that `rest` begins with, and what stands behind it.
type LabelParts<'p> = (&'p [u8], &'p [u8], &'p [u8]);

fn label(rest: &[u8]) -> Result<Option<LabelParts<'_>>, Fault> {
    let rest = rest.trim_ascii_start();
    if matches!(rest.first(), None | Some(b'}')) {
        return if rest.is_empty() { Err(Fault::OpenLabels) } else { Ok(None) };
    }
    let name_len = name_length(rest, false).ok_or(Fault::NoLabelName)?;
    let (name, rest) = rest.split_at(name_len);
    let rest = rest.trim_ascii_start().strip_prefix(b"=").ok_or(Fault::NoEquals)?;
    let rest = rest.trim_ascii_start().strip_prefix(b"\"").ok_or(Fault::NoQuote)?;
    let mut at = 0;
    loop {
        let found = rest.get(at..).and_then(|rest| memchr::memchr2(b'"', b'\\', rest));
        at += found.ok_or(Fault::OpenQuote)?;
        if rest.get(at) == Some(&b'"') {
            break;
        }
        // Whatever stands behind a backslash is escaped by it.
        at += 2;
    }
    let (value, behind) = rest.split_at(at);
    Ok(Some((name, value, behind.get(1..).unwrap_or_default())))
}

fn after_comma(rest: &str) -> &str {
    let rest = rest.trim_ascii_start();
    rest.strip_prefix(',').unwrap_or(rest)
}

/// Compares each with each, as there are only a few.
fn judge_labels(series: SeriesText<'_>) -> Result<(), Fault> {
    let mut seen: Vec<&str> = Vec::new();
    for (name, _) in series.labels() {
        if seen.contains(&name) {
            return Err(Fault::TwiceLabel);
        }
        if seen.len() == LABELS_MAX {
            return Err(Fault::TooManyLabels);
        }
        seen.push(name);
    }
    Ok(())
}

/// How many bytes of `text` are a name; `None` where it begins with none. Only metrics have colons.
fn name_length(text: &[u8], is_metric: bool) -> Option<usize> {
    let fits =
        |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_' || (is_metric && *byte == b':');
    let length = text.iter().position(|byte| !fits(byte)).unwrap_or(text.len());
    let first = text.first().filter(|first| !first.is_ascii_digit())?;
    fits(first).then_some(length)
}

/// `\\`, `\"` and `\n` as what they stand for; everything else as it stands there.
pub(super) fn unescaped(value: &str) -> Cow<'_, str> {
    if !value.contains('\\') {
        return Cow::Borrowed(value);
    }
    let mut plain = String::with_capacity(value.len());
    let mut letters = value.chars();
    while let Some(letter) = letters.next() {
        match (letter, letters.clone().next()) {
            ('\\', Some(escaped @ ('\\' | '"' | 'n'))) => {
                plain.push(if escaped == 'n' { '\n' } else { escaped });
                letters.next();
            }
            _ => plain.push(letter),
        }
    }
    Cow::Owned(plain)
}

/// The number that `text` is, as Go and Rust read it.
pub(super) fn number(text: &[u8]) -> Option<f64> {
    // Most are counts, and exact up to here.
    const DIGITS: usize = 15;
    if (1..=DIGITS).contains(&text.len()) && text.iter().all(u8::is_ascii_digit) {
        let count = text.iter().fold(0_u64, |count, digit| count * 10 + u64::from(digit - b'0'));
        return Some(count as f64);
    }
    str::from_utf8(text).ok()?.parse().ok()
}
