//! Kinds and units of metrics, which version 1.0 tells apart from samples.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tokio::time::Instant;

use super::version_1;
use crate::series::{Kind, Series};

/// How often all of it is told again: receivers forget.
const AGAIN: Duration = Duration::from_secs(600);
/// Metrics that are told of; of more, nothing is told.
const METRICS_MAX: usize = 10_000;

/// What is known of metrics, and what of it has been told.
#[derive(Debug, Default)]
pub(super) struct Metadata {
    known: BTreeMap<Arc<str>, Metric>,
    new: usize,
    all_told: Option<Instant>,
}

#[derive(Debug)]
struct Metric {
    kind: Kind,
    unit: Arc<str>,
    told: bool,
}

impl Metadata {
    /// Takes in what a series says of its metric.
    pub(super) fn note(&mut self, series: &Series) {
        let same = |metric: &Metric| metric.kind == series.kind && metric.unit == series.unit;
        let known = self.known.get(&series.metric);
        if known.is_some_and(same) || known.is_none() && self.known.len() >= METRICS_MAX {
            return;
        }
        let metric = Metric { kind: series.kind, unit: series.unit.clone(), told: false };
        let former = self.known.insert(series.metric.clone(), metric);
        self.new += usize::from(former.is_none_or(|former| former.told));
    }

    /// The request that is due at `now`, before it is compressed.
    pub(super) fn due(&self, now: Instant) -> Option<Vec<u8>> {
        let all = self.all_told.is_none_or(|told| now - told >= AGAIN);
        if self.known.is_empty() || !all && self.new == 0 {
            return None;
        }
        let chosen = self.known.iter().filter(|(_, metric)| all || !metric.told);
        Some(version_1::metadata(
            chosen.map(|(name, metric)| (&**name, metric.kind, &*metric.unit)),
        ))
    }

    /// Whoever is told from now on knows nothing of it.
    pub(super) fn untold(&mut self) {
        self.all_told = None;
    }

    /// What was due has been answered.
    pub(super) fn told(&mut self, now: Instant) {
        if self.all_told.is_none_or(|told| now - told >= AGAIN) {
            self.all_told = Some(now);
        }
        self.known.values_mut().for_each(|metric| metric.told = true);
        self.new = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::series::Labels;

    #[test]
    fn what_is_new_is_told_at_once_and_all_of_it_again() {
        let (start, mut metadata) = (Instant::now(), Metadata::default());
        assert_eq!(metadata.due(start), None);
        metadata.note(&series("load1", ""));
        metadata.note(&series("memory_used_bytes", "bytes"));
        let all = metadata.due(start);
        // load1: field 3 with type gauge (2) and name.
        let load1 = [&[0x1a, 9, 0x08, 2, 0x12, 5][..], b"load1"].concat();
        assert!(all.as_ref().is_some_and(|all| all.starts_with(&load1)));
        metadata.told(start);
        metadata.note(&series("load1", ""));
        assert_eq!(metadata.due(start), None);
        metadata.note(&series("load1", "tasks"));
        let new = metadata.due(start);
        assert!(new.is_some_and(|new| new.ends_with(b"tasks") && !new.ends_with(b"bytes")));
        metadata.told(start);
        assert_eq!(metadata.due(start + Duration::from_secs(599)), None);
        assert!(metadata.due(start + AGAIN).is_some());
        metadata.untold();
        let again = metadata.due(start).unwrap_or_default();
        assert!(again.windows(6).any(|text| text == b"memory"), "all of it");
    }

    fn series(metric: &str, unit: &str) -> Series {
        Series {
            server: "web-1".into(),
            collector: "load".into(),
            metric: metric.into(),
            labels: Labels::default(),
            unit: unit.into(),
            kind: Kind::Gauge,
            interval_ms: 1000,
        }
    }
}
