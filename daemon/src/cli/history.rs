//! The history of a metric, as `GET /api/v1/series` gives it or the store does, and how
//! people read it.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Number, Value, json};

use super::{moment::utc, table};
use crate::{
    series::{Kind, Labels},
    store::messages::{self as store, Answer, SeriesAnswer, Stat, Tier},
};

/// The history of the series that matched.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct History {
    /// What stands in a point, where more was asked for than there always is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    columns: Option<Vec<String>>,
    pub(super) series: Vec<SeriesHistory>,
    partial: bool,
    /// Which stretch is whose, where not all of it is the store's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    sources: Vec<Source>,
    /// Why it is partial, as far as others are the reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<Arc<str>>,
}

/// A stretch, and who has it.
#[derive(Debug, Serialize, Deserialize)]
struct Source {
    from: i64,
    to: i64,
    source: Arc<str>,
}

/// The history of one series.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct SeriesHistory {
    labels: Labels,
    unit: Arc<str>,
    kind: Kind,
    tier: Arc<str>,
    resolution_ms: i64,
    /// From when on percentiles are known, if not from the first point on.
    #[serde(default, rename = "p95_from", skip_serializing_if = "Option::is_none")]
    p95_from_ms: Option<i64>,
    /// From when on it is the store's, where what is older was asked of others.
    #[serde(default, rename = "here_from", skip_serializing_if = "Option::is_none")]
    here_from_ms: Option<i64>,
    points: Vec<Point>,
    gaps: Vec<Gap>,
}

/// Time, mean, smallest, largest, and what else was asked for.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Point(Vec<Value>);

/// A stretch without samples, and why.
#[derive(Debug, Serialize, Deserialize)]
struct Gap {
    from: i64,
    to: Option<i64>,
    reason: Arc<str>,
}

impl History {
    /// A table for each series, with gaps where they belong. Times are UTC.
    pub(super) fn table(&self, metric: &str) -> String {
        let mut text = String::new();
        for series in &self.series {
            if !text.is_empty() {
                text.push('\n');
            }
            text.push_str(&series.table(metric, self.more()));
        }
        for Source { from, to, .. } in self.sources.iter().filter(|one| &*one.source == "history") {
            let stretch = format!("{} until {}", utc(*from), utc(*to));
            text.push_str(&format!("\n{stretch}: from those of [history]\n"));
        }
        match &self.reason {
            Some(reason) => text.push_str(&format!("\n{reason}\n")),
            None if self.partial => text.push_str("\nsome of what was stored could not be read\n"),
            None => {}
        }
        text
    }

    /// What else than mean, smallest and largest stands in a point.
    fn more(&self) -> &[String] {
        self.columns.as_deref().and_then(|columns| columns.get(4..)).unwrap_or_default()
    }
}

impl Point {
    fn at_ms(&self) -> i64 {
        self.0.first().and_then(Value::as_i64).unwrap_or_default()
    }

    /// The value in a column, where it is known.
    fn value(&self, column: usize) -> Option<f64> {
        self.0.get(column).and_then(Value::as_f64)
    }

    /// Single samples have one value, not three.
    fn is_single(&self) -> bool {
        self.value(1) == self.value(2) && self.value(1) == self.value(3)
    }
}

impl SeriesHistory {
    fn table(&self, metric: &str, more: &[String]) -> String {
        let Self { labels, kind, .. } = self;
        let kind = match kind {
            Kind::Gauge => "gauge",
            Kind::Counter => "counter",
        };
        let mut text = format!("{metric}{labels}  {kind}, a point every {}", self.resolution());
        if *self.tier != *Tier::Raw.name() {
            text.push_str(&format!(" from what is kept by the {}", self.tier));
        }
        if let Some(from_ms) = self.p95_from_ms {
            text.push_str(&format!(", p95 known since {}", utc(from_ms)));
        }
        if let Some(from_ms) = self.here_from_ms {
            text.push_str(&format!(", stored here since {}", utc(from_ms)));
        }
        text.push('\n');
        let single = self.points.iter().all(Point::is_single);
        let names: &[&str] = if single { &["value"] } else { &["mean", "min", "max"] };
        let names = names.iter().copied().chain(more.iter().map(String::as_str));
        let mut rows: Vec<Vec<String>> =
            vec![std::iter::once("time").chain(names).map(str::to_owned).collect()];
        for point in &self.points {
            let own = (1..if single { 2 } else { 4 }).map(|column| (column, &*self.unit));
            let more = more.iter().enumerate();
            let more = more.map(|(place, name)| (4 + place, self.unit_of(name)));
            let values = own.chain(more).map(|(column, unit)| {
                let value = point.value(column);
                value.map_or_else(|| "-".to_owned(), |value| table::value(value, unit))
            });
            rows.push(std::iter::once(utc(point.at_ms())).chain(values).collect());
        }
        let lines = table::columns(&rows, true);
        let mut lines = lines.lines();
        let mut add = |line: &str| {
            text.push_str(line);
            text.push('\n');
        };
        lines.next().into_iter().for_each(&mut add);
        let mut gaps = self.gaps.iter().peekable();
        for (line, point) in lines.zip(&self.points) {
            while let Some(gap) = gaps.next_if(|gap| gap.from <= point.at_ms()) {
                add(&gap.line());
            }
            add(line);
        }
        gaps.for_each(|gap| add(&gap.line()));
        text
    }

    /// The unit of a column: what a counter stood at and grew by is no rate, and a count has none.
    fn unit_of(&self, name: &str) -> &str {
        match name {
            "count" => "",
            "last" | "sum" => self.unit.strip_suffix("/s").unwrap_or(&self.unit),
            _ => &self.unit,
        }
    }

    fn resolution(&self) -> String {
        let milliseconds = u64::try_from(self.resolution_ms).unwrap_or_default();
        humantime::format_duration(std::time::Duration::from_millis(milliseconds)).to_string()
    }
}

impl Gap {
    fn line(&self) -> String {
        let to = self.to.map_or_else(|| "now".into(), utc);
        format!("{}  nothing until {to}: {}", utc(self.from), self.reason)
    }
}

impl History {
    /// What the store answered to a question that asked for `stats` as well.
    pub(super) fn new(Answer { series, partial }: Answer, stats: &[Stat]) -> Self {
        let columns = ["time", "mean", "min", "max"].into_iter();
        let columns = columns.chain(stats.iter().map(|stat| stat.name())).map(str::to_owned);
        let columns = (!stats.is_empty()).then(|| columns.collect());
        let series = series.into_iter().map(|series| SeriesHistory::new(series, stats));
        Self { columns, series: series.collect(), partial, sources: Vec::new(), reason: None }
    }
}

impl SeriesHistory {
    fn new(answer: SeriesAnswer, stats: &[Stat]) -> Self {
        let SeriesAnswer {
            labels, unit, kind, tier, resolution_ms, p95_from_ms, points, gaps, ..
        } = answer;
        let gap =
            |gap: crate::series::Gap| Gap { from: gap.from_ms, to: gap.to_ms, reason: gap.reason };
        Self {
            labels,
            unit,
            kind,
            tier: tier.name().into(),
            resolution_ms,
            p95_from_ms,
            here_from_ms: None,
            points: points.iter().map(|point| Point::new(point, stats)).collect(),
            gaps: gaps.into_iter().map(gap).collect(),
        }
    }
}

impl Point {
    fn new(point: &store::Point, stats: &[Stat]) -> Self {
        // JSON has no NaN: a value that is one is null.
        let known = |value: f64| Number::from_f64(value).map_or(Value::Null, Value::Number);
        let stats = stats.iter().map(|stat| match stat {
            Stat::Last => known(point.last),
            Stat::Sum => known(point.sum),
            Stat::Count => json!(point.count),
            Stat::P95 => point.p95.map_or(Value::Null, known),
        });
        let always = [json!(point.at_ms), known(point.mean), known(point.min), known(point.max)];
        Self(always.into_iter().chain(stats).collect())
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed test should stop")]
    use super::*;

    #[test]
    fn points_and_gaps_stand_in_the_order_of_time() {
        let history: History = serde_json::from_str(
            r#"{"series": [
                {"labels": {"core": "0"}, "unit": "ratio", "kind": "gauge", "tier": "raw", "resolution_ms": 1000,
                 "points": [[1000, 0.1, 0.1, 0.1], [5000, 1.0, 1.0, 1.0]],
                 "gaps": [{"from": 2000, "to": 5000, "reason": "plugin host was killed by SIGKILL"},
                          {"from": 6000, "to": null, "reason": "plugin busy"}]},
                {"labels": {}, "unit": "bytes/s", "kind": "counter", "tier": "raw", "resolution_ms": 60000,
                 "points": [[0, 1024.0, null, 2048.0]], "gaps": []}
            ], "partial": false}"#,
        )
        .unwrap();
        assert_eq!(
            history.table("metric"),
            "metric{core=\"0\"}  gauge, a point every 1s\n\
             time                    value\n\
             1970-01-01T00:00:01Z   10.0 %\n\
             1970-01-01T00:00:02Z  nothing until 1970-01-01T00:00:05Z: plugin host was killed by SIGKILL\n\
             1970-01-01T00:00:05Z  100.0 %\n\
             1970-01-01T00:00:06Z  nothing until now: plugin busy\n\
             \n\
             metric  counter, a point every 1m\n\
             time                     mean  min      max\n\
             1970-01-01T00:00:00Z  1 KiB/s    -  2 KiB/s\n"
        );
    }

    #[test]
    fn more_of_a_point_stands_in_units_of_its_own() {
        let history: History = serde_json::from_str(
            r#"{"columns": ["time", "mean", "min", "max", "last", "sum", "count", "p95"], "series": [
                {"labels": {}, "unit": "bytes/s", "kind": "counter", "tier": "minute", "resolution_ms": 60000,
                 "p95_from": 60000, "points": [[0, 1.0, 1.0, 2.0, 1024, 60, 60, null]], "gaps": []}
            ], "partial": false}"#,
        )
        .unwrap();
        assert_eq!(
            history.table("metric"),
            "metric  counter, a point every 1m from what is kept by the minute, p95 known since 1970-01-01T00:01:00Z\n\
             time                   mean    min    max   last   sum  count  p95\n\
             1970-01-01T00:00:00Z  1 B/s  1 B/s  2 B/s  1 KiB  60 B     60    -\n"
        );
    }

    #[test]
    fn what_others_have_and_what_they_do_not_answer_is_said() {
        let text = r#"{"series": [{"labels": {}, "unit": "bytes", "kind": "gauge", "tier": "raw", "resolution_ms": 1000,
            "here_from": 1000, "points": [], "gaps": []}], "partial": true, "reason": "it is away",
            "sources": [{"from": 0, "to": 1000, "source": "history"}, {"from": 1000, "to": 2000, "source": "store"}]}"#;
        let history: History = serde_json::from_str(text).unwrap();
        assert_eq!(
            history.table("metric"),
            "metric  gauge, a point every 1s, stored here since 1970-01-01T00:00:01Z\ntime  value\n\n\
             1970-01-01T00:00:00Z until 1970-01-01T00:00:01Z: from those of [history]\n\nit is away\n"
        );
        assert_eq!(
            serde_json::to_value(history).unwrap(),
            serde_json::from_str::<serde_json::Value>(text).unwrap(),
            "--json passes on what the daemon says"
        );
    }

    #[test]
    fn what_the_store_says_has_the_shape_of_the_api() {
        let point = store::Point { min: f64::NAN, max: 1.0, ..store::Point::single(1000, 0.5) };
        let gap = crate::series::Gap {
            server: "web-1".into(),
            collector: "cpu".into(),
            from_ms: 2000,
            to_ms: None,
            reason: "store has fallen behind".into(),
        };
        let series = store::SeriesAnswer {
            id: crate::series::SeriesId(7),
            labels: Labels::new([("core", "0")]),
            unit: "ratio".into(),
            kind: Kind::Gauge,
            tier: Tier::Minute,
            p95_from_ms: None,
            begins_ms: None,
            resolution_ms: 1000,
            points: vec![point],
            gaps: vec![gap],
        };
        let answer = Answer { series: vec![series], partial: true };
        let more = History::new(answer.clone(), &[Stat::Count, Stat::P95]);
        assert_eq!(more.columns.as_ref().unwrap()[3..], ["max", "count", "p95"]);
        assert_eq!(json!(more.series[0].points), json!([[1000, 0.5, null, 1.0, 1, null]]));
        let history = History::new(answer, &[]);
        assert_eq!(
            serde_json::to_value(history).unwrap(),
            serde_json::json!({"partial": true, "series": [{
                "labels": {"core": "0"}, "unit": "ratio", "kind": "gauge", "tier": "minute", "resolution_ms": 1000,
                "points": [[1000, 0.5, null, 1.0]],
                "gaps": [{"from": 2000, "to": null, "reason": "store has fallen behind"}],
            }]})
        );
    }
}
