//! What a daemon has stored: what `GET /series` says, in a shape that can be compared.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::{DEADLINE, Daemon, http::escape, now_ms, wait_for};

/// How far back a scenario asks at most: at its fastest interval this is as much as one answer may hold.
const OLDEST_MS: i64 = 15 * 60_000;

/// One point: when, and its mean; `None` is a point without a value.
pub type Point = (i64, Option<f64>);

/// One series of an answer.
#[derive(Debug, Clone)]
pub struct History {
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Unit of the points.
    pub unit: String,
    /// Oldest first.
    pub points: Vec<Point>,
    /// Begin, end where it has ended, and reason.
    pub gaps: Vec<(i64, Option<i64>, String)>,
}

impl History {
    /// Every series of an answer of `GET /series`.
    pub fn all(answer: &Value) -> Vec<Self> {
        answer["series"].as_array().unwrap().iter().map(Self::read).collect()
    }

    fn read(series: &Value) -> Self {
        let labels = series["labels"].as_object().unwrap();
        let labels = labels.iter().map(|(key, value)| (key.clone(), text(value))).collect();
        let points = series["points"].as_array().unwrap();
        let gaps = series["gaps"].as_array().unwrap();
        Self {
            labels,
            unit: text(&series["unit"]),
            points: points.iter().map(|p| (p[0].as_i64().unwrap(), p[1].as_f64())).collect(),
            gaps: gaps
                .iter()
                .map(|gap| {
                    (gap["from"].as_i64().unwrap(), gap["to"].as_i64(), text(&gap["reason"]))
                })
                .collect(),
        }
    }
}

/// The longest time between two neighbouring points, in milliseconds; none where there are fewer than two.
pub fn longest_step_ms(points: &[Point]) -> Option<i64> {
    points.windows(2).map(|pair| pair[1].0 - pair[0].0).max()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

impl Daemon {
    /// Every series of a metric since `from_ms`, samples as they were stored; none where it is not known (yet).
    ///
    /// No daemon of a scenario is older than [`OLDEST_MS`], so an earlier `from_ms` means all there is.
    pub async fn raw(&self, server: &str, metric: &str, from_ms: i64) -> Vec<History> {
        let now = now_ms();
        self.raw_between(server, metric, from_ms.max(now - OLDEST_MS), now + 1_000).await
    }

    /// Like [`Daemon::raw`], until `to_ms`.
    pub async fn raw_between(
        &self,
        server: &str,
        metric: &str,
        from_ms: i64,
        to_ms: i64,
    ) -> Vec<History> {
        let (server, metric) = (escape(server), escape(metric));
        let time = format!("from={from_ms}&to={to_ms}");
        let path = format!("/series?server={server}&metric={metric}&{time}&raw=true");
        let answer = self.ask(&path).await.unwrap();
        match answer.status {
            200 => History::all(&answer.json()),
            404 => Vec::new(),
            other => panic!("{path}: {other} {}", answer.text()),
        }
    }

    /// Waits until the metric has at least `count` samples since `from_ms`; returns its first series.
    pub async fn samples(&self, server: &str, metric: &str, from_ms: i64, count: usize) -> History {
        let what = format!("{count} samples of {metric} of {server}");
        let look = async || {
            let series = self.raw(server, metric, from_ms).await;
            series.into_iter().find(|series| series.points.len() >= count)
        };
        wait_for(&what, DEADLINE, look).await.0
    }

    /// Waits until it has been measured that a server writes here every `interval_ms`: before that it is never offline.
    pub async fn has_pace(&self, server: &str, interval_ms: u32) {
        let what = format!("the pace of {server} to be measured");
        wait_for(&what, 2 * DEADLINE, async || {
            let servers = self.get("/servers").await["servers"].take();
            let is_it = |one: &Value| one["name"] == server && one["interval_ms"] == interval_ms;
            servers.as_array()?.iter().any(is_it).then_some(())
        })
        .await;
    }
}
