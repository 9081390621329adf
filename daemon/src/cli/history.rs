//! The history of a metric, as `GET /api/v1/series` gives it or the store does, and how
//! people read it.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{moment::utc, table};
use crate::{
    series::{Kind, Labels},
    store::messages::{Answer, SeriesAnswer},
};

/// The history of the series that matched.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct History {
    pub(super) series: Vec<SeriesHistory>,
    partial: bool,
}

/// The history of one series.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct SeriesHistory {
    labels: Labels,
    unit: Arc<str>,
    kind: Kind,
    resolution_ms: i64,
    points: Vec<Point>,
    gaps: Vec<Gap>,
}

/// Time, mean, smallest, largest.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Point(i64, Option<f64>, Option<f64>, Option<f64>);

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
            text.push_str(&series.table(metric));
        }
        if self.partial {
            text.push_str("\nsome of what was stored could not be read\n");
        }
        text
    }
}

impl SeriesHistory {
    fn table(&self, metric: &str) -> String {
        let Self { labels, kind, .. } = self;
        let kind = match kind {
            Kind::Gauge => "gauge",
            Kind::Counter => "counter",
        };
        let mut text = format!("{metric}{labels}  {kind}, a point every {}\n", self.resolution());
        // Single samples have one value, not three.
        let single = self.points.iter().all(|Point(_, mean, min, max)| mean == min && mean == max);
        let names: &[&str] =
            if single { &["time", "value"] } else { &["time", "mean", "min", "max"] };
        let mut rows = vec![names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>()];
        let show = |value: Option<f64>| {
            value.map_or_else(|| "-".to_owned(), |value| table::value(value, &self.unit))
        };
        for &Point(at, mean, min, max) in &self.points {
            let values: &[Option<f64>] = if single { &[mean] } else { &[mean, min, max] };
            rows.push(std::iter::once(utc(at)).chain(values.iter().copied().map(show)).collect());
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
            while let Some(gap) = gaps.next_if(|gap| gap.from <= point.0) {
                add(&gap.line());
            }
            add(line);
        }
        gaps.for_each(|gap| add(&gap.line()));
        text
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

impl From<Answer> for History {
    fn from(Answer { series, partial }: Answer) -> Self {
        Self { series: series.into_iter().map(SeriesHistory::from).collect(), partial }
    }
}

impl From<SeriesAnswer> for SeriesHistory {
    fn from(answer: SeriesAnswer) -> Self {
        let SeriesAnswer { labels, unit, kind, resolution_ms, points, gaps, .. } = answer;
        // JSON has no NaN: a value that is one is null.
        let known = |value: f64| value.is_finite().then_some(value);
        let point = |point: crate::store::messages::Point| {
            Point(point.at_ms, known(point.mean), known(point.min), known(point.max))
        };
        let gap =
            |gap: crate::series::Gap| Gap { from: gap.from_ms, to: gap.to_ms, reason: gap.reason };
        Self {
            labels,
            unit,
            kind,
            resolution_ms,
            points: points.into_iter().map(point).collect(),
            gaps: gaps.into_iter().map(gap).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed test should stop")]
    use super::*;
    use crate::store::messages as store;

    #[test]
    fn points_and_gaps_stand_in_the_order_of_time() {
        let history: History = serde_json::from_str(
            r#"{"series": [
                {"labels": {"core": "0"}, "unit": "ratio", "kind": "gauge", "resolution_ms": 1000,
                 "points": [[1000, 0.1, 0.1, 0.1], [5000, 1.0, 1.0, 1.0]],
                 "gaps": [{"from": 2000, "to": 5000, "reason": "plugin host was killed by SIGKILL"},
                          {"from": 6000, "to": null, "reason": "plugin busy"}]},
                {"labels": {}, "unit": "bytes/s", "kind": "counter", "resolution_ms": 60000,
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
    fn what_the_store_says_has_the_shape_of_the_api() {
        let point = store::Point { at_ms: 1000, mean: 0.5, min: f64::NAN, max: 1.0 };
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
            resolution_ms: 1000,
            points: vec![point],
            gaps: vec![gap],
        };
        let history = History::from(Answer { series: vec![series], partial: true });
        assert_eq!(
            serde_json::to_value(history).unwrap(),
            serde_json::json!({"partial": true, "series": [{
                "labels": {"core": "0"}, "unit": "ratio", "kind": "gauge", "resolution_ms": 1000,
                "points": [[1000, 0.5, null, 1.0]],
                "gaps": [{"from": 2000, "to": null, "reason": "store has fallen behind"}],
            }]})
        );
    }
}
