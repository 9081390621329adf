//! How series stand in OpenMetrics: their families, and `server` and `collector` as labels.

use crate::series::{Kind, Labels, Series};

/// Labels by which a sample says whose it is.
pub(super) const SERVER: &str = "server";
pub(super) const COLLECTOR: &str = "collector";

/// What is said before the samples of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Family<'s> {
    pub(super) name: &'s str,
    kind: &'static str,
    unit: &'s str,
}

impl<'s> Family<'s> {
    /// The family of a series' metric; `taken` says which names others have.
    pub(super) fn of(series: &'s Series, taken: impl Fn(&str) -> bool) -> Self {
        let metric = &*series.metric;
        let total = metric.strip_suffix("_total").filter(|name| !name.is_empty() && !taken(name));
        let (name, kind) = match (series.kind, total) {
            (Kind::Counter, Some(name)) => (name, "counter"),
            // A counter of another name has no type in OpenMetrics.
            (Kind::Counter, None) => (metric, "unknown"),
            (Kind::Gauge, _) => (metric, "gauge"),
        };
        // The unit is part of the name there, or it is not said.
        let ends = |unit: &&str| name.strip_suffix(*unit).is_some_and(|rest| rest.ends_with('_'));
        let unit = Some(&*series.unit).filter(|unit| !unit.is_empty()).filter(ends);
        Self { name, kind, unit: unit.unwrap_or_default() }
    }

    /// Appends the lines of its metadata.
    pub(super) fn put(&self, out: &mut String) {
        let Self { name, kind, unit } = self;
        out.push_str(&format!("# TYPE {name} {kind}\n"));
        if !unit.is_empty() {
            out.push_str(&format!("# UNIT {name} {unit}\n"));
        }
    }
}

/// Appends what every line of a series begins with, up to its value.
pub(super) fn put_series(out: &mut String, series: &Series) {
    let mut labels = vec![(SERVER.to_owned(), &*series.server)];
    labels.push((COLLECTOR.to_owned(), &*series.collector));
    for (name, value) in series.labels.iter() {
        // A label of the same name as one of ours is called as in a scrape.
        let is_ours = [SERVER, COLLECTOR].contains(&name);
        labels.push((if is_ours { format!("exported_{name}") } else { name.to_owned() }, value));
    }
    out.push_str(&series.metric);
    for (at, (name, value)) in labels.iter().enumerate() {
        out.push_str(if at == 0 { "{" } else { "," });
        let one = Labels::new([(name.as_str(), *value)]).to_string();
        out.push_str(one.trim_start_matches('{').strip_suffix('}').unwrap_or_default());
    }
    out.push_str("} ");
}

/// Why a series cannot stand in OpenMetrics, if it cannot.
pub(super) fn check(series: &Series) -> Result<(), String> {
    let letter = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    let is_name = |name: &str, colon: bool| {
        !name.is_empty()
            && !name.starts_with(|first: char| first.is_ascii_digit())
            && name.chars().all(|it| letter(it) || (colon && it == ':'))
    };
    let named =
        is_name(&series.metric, true) && series.labels.iter().all(|(name, _)| is_name(name, false));
    let fix = "has a name that OpenMetrics does not have; export CSV";
    let Series { metric, labels, .. } = series;
    if named { Ok(()) } else { Err(format!("`{metric}{labels}` {fix}")) }
}
