//! A server on a virtual clock: one collector, one gauge, one rule.

#![expect(clippy::unwrap_used, reason = "a failed test should stop")]

mod clock;
mod inputs;
mod levels;
mod meanwhile;
mod no_data;
mod silence;
mod windows;

use std::{collections::HashSet, sync::Arc, time::Duration};

use super::{Key, Level, Recall, Sentinel, Transition};
use crate::{
    config::{Limit, NoData, RuleConfig, Severity, Side, Take},
    series::{Catalog, Frame, Kind, Labels, Sample, Series, SeriesId},
};

/// A server that is read every second.
struct Rig {
    sentinel: Sentinel,
    catalog: Arc<Catalog>,
    series: SeriesId,
    now: i64,
    /// Of what anything but «ok» was told: of all else, «ok» only asks to be remembered.
    known: HashSet<Key>,
}

const COLLECTOR: &str = "dial";

impl Rig {
    fn new(rules: Vec<RuleConfig>) -> Self {
        Self::recalled(rules, Recall::default(), 0)
    }

    /// A server that goes on from what was remembered, `now` seconds after the beginning.
    fn recalled(rules: Vec<RuleConfig>, recall: Recall, now: i64) -> Self {
        let catalog = Arc::new(Catalog::default());
        let series = catalog
            .intern(Series {
                server: "web-1".into(),
                collector: COLLECTOR.into(),
                metric: "dial".into(),
                labels: Labels::default(),
                unit: "ratio".into(),
                kind: Kind::Gauge,
                interval_ms: 1000,
            })
            .unwrap();
        let collectors = [(COLLECTOR.into(), 1000)];
        let known = recall.memories.keys().cloned().collect();
        let sentinel =
            Sentinel::new("web-1".into(), collectors, rules, catalog.clone(), recall, now * 1000);
        Self { sentinel, catalog, series, now, known }
    }

    /// The dial shows `value`, a second later.
    fn shows(&mut self, value: f64) -> &mut Self {
        self.now += 1;
        self.frame(value, self.now)
    }

    /// The dial shows `value` for so many seconds.
    fn keeps(&mut self, value: f64, seconds: i64) -> &mut Self {
        for _ in 0..seconds {
            self.shows(value);
        }
        self
    }

    fn frame(&mut self, value: f64, at: i64) -> &mut Self {
        let samples = vec![Sample { series: self.series, value }];
        let frame = Frame {
            server: "web-1".into(),
            collector: COLLECTOR.into(),
            at_ms: at * 1000,
            samples,
        };
        self.sentinel.frame(&frame, self.now * 1000);
        self
    }

    /// Nothing comes for so many seconds, and nobody says why.
    fn passes(&mut self, seconds: i64) -> &mut Self {
        for _ in 0..seconds {
            self.now += 1;
            self.sentinel.advance(self.now * 1000);
        }
        self
    }

    /// The collector is down for so many seconds, and says so.
    fn misses(&mut self, seconds: i64) -> &mut Self {
        for _ in 0..seconds {
            self.now += 1;
            let (collector, why) = (COLLECTOR.into(), "plugin crashed".into());
            self.sentinel.missed(&collector, self.now * 1000, &why);
            self.sentinel.advance(self.now * 1000);
        }
        self
    }

    /// The collector goes on for so many seconds, and the dial is no longer there.
    fn goes_on_without_it(&mut self, seconds: i64) -> &mut Self {
        for _ in 0..seconds {
            self.now += 1;
            let (collector, at_ms) = (COLLECTOR.into(), self.now * 1000);
            self.sentinel.absent(&collector, at_ms);
            self.sentinel.advance(at_ms);
        }
        self
    }

    fn normal(&self) -> Option<bool> {
        self.sentinel.normal(self.now * 1000)
    }

    /// What has changed since the last call, as `seconds: what`.
    fn told(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        for told in self.sentinel.take() {
            let is_ok = told.level == Level::Ok && told.withdrawn.is_none() && !told.key.absence;
            if !is_ok {
                self.known.insert(told.key.clone());
            }
            if self.known.contains(&told.key) {
                lines.push(line(&told));
            }
        }
        lines
    }

    /// What a restart would be given.
    fn memory(&mut self, absent_since: Option<i64>) -> Recall {
        let mut recall = Recall {
            absent_since_ms: absent_since.map(|seconds| seconds * 1000),
            ..Recall::default()
        };
        for told in self.sentinel.take() {
            let key = super::Key { absence: false, ..told.key };
            match told.memory {
                Some(memory) => recall.memories.insert(key, (memory, told.subject)),
                None => recall.memories.remove(&key),
            };
        }
        recall
    }
}

/// A transition in one line: when, which rule, what.
fn line(told: &Transition) -> String {
    let at = |ms: i64| ms as f64 / 1000.0;
    let name = |severity: Severity| severity.name();
    let what = match (&told.withdrawn, told.level) {
        (Some(why), _) => format!("withdrawn, {why}"),
        (None, Level::Ok) => "ok".to_owned(),
        (None, Level::Pending { severity, since_ms, due_ms }) => {
            format!("pending {} {}..{}", name(severity), at(since_ms), at(due_ms))
        }
        (None, Level::Firing(severity)) => name(severity).to_owned(),
        (None, Level::Clearing { severity, since_ms, due_ms }) => {
            format!("clearing {} {}..{}", name(severity), at(since_ms), at(due_ms))
        }
    };
    let rule = if &*told.key.rule == "dial" { "" } else { &told.key.rule };
    let of = if told.key.absence { " no data:" } else { "" };
    let unknown = told.unknown.as_ref().map(|why| format!(", unknown: {why}"));
    let meanwhile = if told.in_absence { ", meanwhile" } else { "" };
    format!("{}{rule}:{of} {what}{}{meanwhile}", at(told.at_ms), unknown.unwrap_or_default())
}

/// Warning above 0.8 (clear 0.7), critical above 0.95 (clear 0.9); nothing is waited for.
fn rule() -> RuleConfig {
    RuleConfig {
        name: "dial".into(),
        metric: "dial".into(),
        labels: Vec::new(),
        servers: Vec::new(),
        take: Take::Last,
        over: Duration::ZERO,
        warning: Some(limit(0.8, 0.7, 0)),
        critical: Some(limit(0.95, 0.9, 0)),
        clear_for: Duration::ZERO,
        no_data: NoData::Keep,
        summary: None,
        runbook: None,
    }
}

fn limit(at: f64, clear: f64, hold: u64) -> Limit {
    Limit { side: Side::Above, at, clear, hold: Duration::from_secs(hold) }
}

/// The same, where a warning takes 10 s, critical 5 s and the end 4 s.
fn patient() -> RuleConfig {
    RuleConfig {
        warning: Some(limit(0.8, 0.7, 10)),
        critical: Some(limit(0.95, 0.9, 5)),
        clear_for: Duration::from_secs(4),
        ..rule()
    }
}

/// The mean of a minute, of which a warning is told.
fn windowed(no_data: NoData) -> RuleConfig {
    RuleConfig {
        take: Take::Mean,
        over: Duration::from_secs(60),
        no_data,
        critical: None,
        ..rule()
    }
}

/// What the daemon itself knows, below 1.
fn state(name: &str, metric: &str, hold: u64) -> RuleConfig {
    RuleConfig {
        name: name.into(),
        metric: metric.into(),
        warning: Some(Limit { side: Side::Below, ..limit(1.0, 1.0, hold) }),
        critical: None,
        ..rule()
    }
}

const FINE: f64 = 0.5;
/// Below the limit of a warning, not below its `clear`.
const BETWEEN: f64 = 0.75;
const WARNING: f64 = 0.85;
/// Below the limit of critical, not below its `clear`.
const EASED: f64 = 0.92;
const CRITICAL: f64 = 0.99;
