//! All that a daemon has of one server: every sample of every series, bit by bit, and every gap with its reason.
//!
//! Two daemons that should have the same are compared by it. A sample that is given twice stops the scenario at once.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use serde_json::json;

use crate::{Daemon, History, http::escape, wait_for};

/// How much is asked for at once: one answer may hold 18 minutes of samples at the shortest interval.
const WINDOW_MS: i64 = 10 * 60_000;

/// A gap: the series that has it, begin, end and reason.
type Hole = (String, i64, Option<i64>, String);

/// What was stored of a server in a stretch of time.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Contents {
    /// Bits of each value, by metric with labels and by time.
    pub samples: BTreeMap<(String, i64), u64>,
    /// The gaps, each for every series that has it.
    pub gaps: BTreeSet<Hole>,
}

impl Contents {
    /// What `daemon` has of `server` from `from_ms` to `to_ms`; nothing where it does not know the server (yet).
    pub async fn of(daemon: &Daemon, server: &str, from_ms: i64, to_ms: i64) -> Self {
        let mut contents = Self::default();
        let path = format!("/servers/{}/series", escape(server));
        let answer = daemon.ask(&path).await.unwrap();
        if answer.status == 404 {
            return contents;
        }
        let answer = answer.json();
        let listed = answer["series"].as_array().unwrap().iter();
        let metrics: BTreeSet<_> =
            listed.map(|series| series["metric"].as_str().unwrap().to_owned()).collect();
        for metric in metrics {
            let mut begin = from_ms;
            while begin < to_ms {
                let end = to_ms.min(begin + WINDOW_MS);
                for series in daemon.raw_between(server, &metric, begin, end).await {
                    contents.take(&metric, &series, begin..end);
                }
                begin = end;
            }
        }
        // A series that a plugin has declared and given no value is nowhere but where that plugin is.
        let with_samples: BTreeSet<_> = contents.samples.keys().map(|(name, _)| name).collect();
        contents.gaps.retain(|(name, ..)| with_samples.contains(name));
        contents
    }

    fn take(&mut self, metric: &str, series: &History, window: std::ops::Range<i64>) {
        let name = format!("{metric}{}", json!(series.labels));
        for pair in series.points.windows(2) {
            let [(before, _), (at, _)] = pair else { continue };
            assert!(before < at, "{name}: {at} comes after {before}");
        }
        // What lies at the end of the window comes with the next one.
        let inside = series.points.iter().filter(|(at, _)| window.contains(at));
        for (at, value) in inside {
            let bits = value.map_or(0, f64::to_bits);
            let before = self.samples.insert((name.clone(), *at), bits);
            assert_eq!(before, None, "{name} at {at} is there twice");
        }
        let gaps = series.gaps.iter().cloned();
        self.gaps.extend(gaps.map(|(from, to, reason)| (name.clone(), from, to, reason)));
    }

    /// How `copy` differs from this, in words; none where it does not.
    pub fn difference(&self, copy: &Self) -> Option<String> {
        let lost = self.samples.iter().filter(|(at, bits)| copy.samples.get(*at) != Some(*bits));
        let more = copy.samples.iter().filter(|(at, _)| !self.samples.contains_key(*at));
        let differences = [
            shown("samples lost or changed", lost),
            shown("samples too many", more),
            shown("gaps lost or changed", self.gaps.difference(&copy.gaps)),
            shown("gaps too many", copy.gaps.difference(&self.gaps)),
        ];
        let differences: Vec<String> = differences.into_iter().flatten().collect();
        let counts = format!("{} and {} samples", self.samples.len(), copy.samples.len());
        (!differences.is_empty()).then(|| format!("{counts}: {}", differences.join("; ")))
    }
}

/// How many there are, and the first of them.
fn shown<T: std::fmt::Debug>(what: &str, found: impl Iterator<Item = T>) -> Option<String> {
    let found: Vec<T> = found.collect();
    let first = &found[..found.len().min(5)];
    (!found.is_empty()).then(|| format!("{} {what}, such as {first:?}", found.len()))
}

/// Waits until `hub` has of `server` what `agent` has, no more and no less; returns it and how long that took.
///
/// # Panics
///
/// When it has not by then; the text says what is missing.
pub async fn agree(
    agent: &Daemon,
    hub: &Daemon,
    server: &str,
    (from_ms, to_ms): (i64, i64),
    deadline: Duration,
) -> (Contents, Duration) {
    let mut last = None;
    let until = std::time::Instant::now() + deadline;
    wait_for("the hub to have what the agent has", deadline + crate::DEADLINE, async || {
        let ours = Contents::of(agent, server, from_ms, to_ms).await;
        let theirs = Contents::of(hub, server, from_ms, to_ms).await;
        last = ours.difference(&theirs);
        let late = std::time::Instant::now() > until;
        assert!(!late || last.is_none(), "after {deadline:?}: {}", last.as_deref().unwrap_or(""));
        tokio::time::sleep(Duration::from_millis(200)).await;
        last.is_none().then_some(ours)
    })
    .await
}
