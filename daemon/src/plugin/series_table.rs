//! The series of one instance: what it may register, and what of its samples counts.

use std::{collections::HashSet, sync::Arc, time::Duration};

use bartizan_plugin::{
    abi::{FLOAT, NO_SERIES},
    manifest::{self, MAX_LABELS, Manifest, Metric},
};
use tracing::warn;

use super::{
    frames::{Answer, LABEL_MAX, SERIES_MAX, SeriesBody},
    messages::{InstanceSpec, Reading},
};
use crate::series::{Catalog, Kind, Labels, Sample, Series, SeriesId};

/// What stands behind the handles that the host gave out.
pub(super) struct SeriesTable {
    catalog: Arc<Catalog>,
    manifest: Arc<Manifest>,
    server: Arc<str>,
    collector: Arc<str>,
    interval_ms: u32,
    again: bool,
    slots: Vec<Slot>,
    /// Series behind the handles: two handles never lead to the same.
    held: HashSet<SeriesId>,
    /// Registered of each metric.
    of_metric: Vec<u32>,
    refused: u32,
    named: bool,
    round: u32,
}

enum Slot {
    /// The host has not given this handle out.
    Free,
    /// Given out, but not to be had: samples go nowhere.
    Refused,
    Known {
        id: SeriesId,
        kind: Kind,
        metric: usize,
        last_round: u32,
    },
}

/// What the host did that no honest host does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Dishonest {
    #[error("a series that cannot be read")]
    Body,
    #[error("a handle beyond the limit")]
    Handle,
}

/// A sample of a handle that was never given out: the plugin made it up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("sample of a series that was never registered (handle {0})")]
pub(super) struct UnknownHandle(u32);

impl SeriesTable {
    pub(super) fn new(catalog: Arc<Catalog>, manifest: Arc<Manifest>, spec: &InstanceSpec) -> Self {
        let of_metric = vec![0; manifest.metrics.len()];
        Self {
            catalog,
            manifest,
            server: spec.server.clone(),
            collector: spec.collector.clone(),
            interval_ms: u32::try_from(spec.interval.as_millis()).unwrap_or(u32::MAX),
            again: spec.again,
            slots: Vec::new(),
            held: HashSet::new(),
            of_metric,
            refused: 0,
            named: false,
            round: 0,
        }
    }

    /// The host gave out `handle`, or refused if it is [`NO_SERIES`].
    pub(super) fn register(&mut self, handle: u32, body: &[u8]) -> Result<(), Dishonest> {
        let (metric, texts) = SeriesBody::parse(body).ok_or(Dishonest::Body)?;
        if handle == NO_SERIES {
            self.refuse(metric, &texts, "too many series, too many labels or no such metric");
            return Ok(());
        }
        let at = handle as usize;
        if at >= SERIES_MAX {
            return Err(Dishonest::Handle);
        }
        if self.slots.len() <= at {
            self.slots.resize_with(at + 1, || Slot::Free);
        }
        self.free(handle);
        let slot = match self.judge(metric as usize, &texts) {
            Ok(slot) => slot,
            Err(why) => {
                self.refused = self.refused.saturating_add(1);
                self.refuse(metric, &texts, why);
                Slot::Refused
            }
        };
        if let Some(place) = self.slots.get_mut(at) {
            *place = slot;
        }
        Ok(())
    }

    /// The series with this handle has ended.
    pub(super) fn free(&mut self, handle: u32) {
        let Some(slot) = self.slots.get_mut(handle as usize) else { return };
        if let Slot::Known { id, metric, .. } = std::mem::replace(slot, Slot::Free) {
            self.held.remove(&id);
            if let Some(count) = self.of_metric.get_mut(metric) {
                *count = count.saturating_sub(1);
            }
        }
    }

    /// What a reading counts for.
    pub(super) fn read(
        &mut self,
        answer: &Answer<'_>,
        took: Duration,
    ) -> Result<Reading, UnknownHandle> {
        self.round = self.round.wrapping_add(1);
        let round = self.round;
        let mut samples = Vec::with_capacity(answer.samples().len());
        let mut invalid = answer.dropped;
        for (handle, flags, bits) in answer.samples() {
            if handle == NO_SERIES {
                continue;
            }
            match self.slots.get_mut(handle as usize) {
                Some(Slot::Known { id, kind, last_round, .. }) => {
                    let value = match kind {
                        Kind::Counter if flags & FLOAT == 0 => bits as f64,
                        Kind::Counter | Kind::Gauge => f64::from_bits(bits),
                    };
                    if value.is_finite() && *last_round != round {
                        *last_round = round;
                        samples.push(Sample { series: *id, value });
                    } else {
                        invalid = invalid.saturating_add(1);
                    }
                }
                Some(Slot::Refused) => {}
                Some(Slot::Free) | None => return Err(UnknownHandle(handle)),
            }
        }
        let refused_series = self.refused.saturating_add(answer.refused);
        Ok(Reading { samples, took, invalid, refused_series, ..Reading::default() })
    }

    fn judge(&mut self, at: usize, texts: &[&[u8]]) -> Result<Slot, &'static str> {
        let metric = self.manifest.metrics.get(at).ok_or("no such metric")?;
        let labels = labels(metric, texts, self.again.then_some(&*self.collector))?;
        let count = self.of_metric.get_mut(at).ok_or("no such metric")?;
        if metric.max_series.is_some_and(|most| *count >= most) {
            return Err("more series than the manifest says");
        }
        let kind = match metric.kind {
            manifest::Kind::Gauge => Kind::Gauge,
            manifest::Kind::Counter => Kind::Counter,
        };
        let series = Series {
            server: self.server.clone(),
            collector: self.collector.clone(),
            metric: metric.name.as_str().into(),
            labels,
            unit: metric.unit.as_str().into(),
            kind,
            interval_ms: self.interval_ms,
        };
        let id = self.catalog.intern(series).map_err(|_| "the daemon has no more numbers")?;
        if !self.held.insert(id) {
            return Err("the same series twice");
        }
        *count += 1;
        Ok(Slot::Known { id, kind, metric: at, last_round: 0 })
    }

    /// Names the first series that was refused; the others are counted.
    fn refuse(&mut self, metric: u32, texts: &[&[u8]], why: &str) {
        if std::mem::replace(&mut self.named, true) {
            return;
        }
        let metric = self.manifest.metrics.get(metric as usize).map_or("?", |metric| &metric.name);
        let labels: Vec<_> = texts.iter().map(|text| String::from_utf8_lossy(text)).collect();
        let (server, collector) = (&*self.server, &*self.collector);
        warn!(server, collector, metric, ?labels, why, "series refused, later ones are counted");
    }
}

/// The labels of a series, if they are those of its metric, and the one that tells
/// its collector from another, if there has to be one.
fn labels(
    metric: &Metric,
    texts: &[&[u8]],
    collector: Option<&str>,
) -> Result<Labels, &'static str> {
    if texts.len() / 2 > MAX_LABELS {
        return Err("too many labels");
    }
    let mut pairs = Vec::with_capacity(texts.len() / 2);
    for pair in texts.chunks_exact(2) {
        let &[key, value] = pair else { continue };
        let known = metric.labels.iter().find(|known| known.as_bytes() == key);
        let key = known.ok_or("a label that the manifest does not name")?;
        pairs.push((key.as_str(), cut(value)));
    }
    pairs.extend(collector.map(|name| ("collector", name.to_owned())));
    let count = pairs.len();
    let labels = Labels::new(pairs);
    if labels.iter().len() == count { Ok(labels) } else { Err("the same label twice") }
}

/// A value as text of at most [`LABEL_MAX`] bytes; what is not UTF-8 is replaced.
fn cut(value: &[u8]) -> String {
    let mut text = String::from_utf8_lossy(value).into_owned();
    let end = (0..=LABEL_MAX.min(text.len())).rev().find(|&at| text.is_char_boundary(at));
    text.truncate(end.unwrap_or(0));
    text
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed test should stop")]
    use super::*;

    const MANIFEST: &str = r#"{"abi":{"major":1,"min_minor":0},"id":"org.example.t","name":"t",
        "version":"1","metrics":[
        {"name":"busy_ratio","kind":"gauge","unit":"ratio","labels":["core"],"max_series":3},
        {"name":"bytes_total","kind":"counter","unit":"bytes"}]}"#;

    fn table() -> SeriesTable {
        let spec = InstanceSpec {
            server: "web-1".into(),
            collector: "t".into(),
            plugin: "t".into(),
            config: Default::default(),
            interval: Duration::from_secs(1),
            again: false,
        };
        let manifest = Manifest::parse(MANIFEST.as_bytes()).unwrap();
        SeriesTable::new(Arc::default(), Arc::new(manifest), &spec)
    }

    fn series(metric: u32, texts: &[&[u8]]) -> Vec<u8> {
        let mut body = SeriesBody::start(metric);
        texts.iter().for_each(|text| SeriesBody::push(&mut body, text));
        body
    }

    fn read(table: &mut SeriesTable, samples: &[(u32, u64)]) -> Result<Reading, UnknownHandle> {
        read_flagged(table, 0, samples)
    }

    fn read_flagged(
        table: &mut SeriesTable,
        flags: u32,
        samples: &[(u32, u64)],
    ) -> Result<Reading, UnknownHandle> {
        let mut body = Answer::front(1, 2).to_vec();
        for (handle, bits) in samples {
            body.extend(handle.to_ne_bytes());
            body.extend(flags.to_ne_bytes());
            body.extend(bits.to_ne_bytes());
        }
        table.read(&Answer::parse(&body).unwrap(), Duration::ZERO)
    }

    #[test]
    fn a_second_collector_of_a_plugin_has_series_of_its_own() {
        let mut first = table();
        let mut second = SeriesTable { again: true, collector: "other".into(), ..table() };
        second.catalog = first.catalog.clone();
        first.register(0, &series(1, &[])).unwrap();
        second.register(0, &series(1, &[])).unwrap();

        let of_metric = first.catalog.of_metric("web-1", "bytes_total");
        let labels = of_metric.iter().map(|id| first.catalog.get(*id).unwrap().labels.to_string());
        assert_eq!(labels.collect::<Vec<_>>(), ["", r#"{collector="other"}"#]);
    }

    #[test]
    fn a_reading_keeps_what_is_right_and_counts_the_rest() {
        let mut table = table();
        table.register(0, &series(0, &[b"core", b"0"])).unwrap();
        table.register(1, &series(1, &[])).unwrap();
        let (half, nan, big) = (0.5_f64.to_bits(), f64::NAN.to_bits(), 1_u64 << 40);
        let reading = read(&mut table, &[(0, half), (1, big), (0, half), (0, nan)]).unwrap();

        let values: Vec<f64> = reading.samples.iter().map(|sample| sample.value).collect();
        assert_eq!(values, [0.5, big as f64]);
        assert_eq!(reading.invalid, 3, "one twice, one NaN, one without room in the host");
        assert_eq!(reading.refused_series, 2);
        let known = table.catalog.get(reading.samples[0].series).unwrap();
        assert_eq!((&*known.metric, known.labels.get("core")), ("busy_ratio", Some("0")));
        assert_eq!(known.interval_ms, 1000);
    }

    #[test]
    fn a_counter_may_have_fractions_and_other_flags_are_ignored() {
        let mut table = table();
        table.register(0, &series(1, &[])).unwrap();
        let seconds = read_flagged(&mut table, FLOAT, &[(0, 112.25_f64.to_bits())]).unwrap();
        assert_eq!(seconds.samples[0].value, 112.25);
        let count = read_flagged(&mut table, !FLOAT, &[(0, 113)]).unwrap();
        assert_eq!(count.samples[0].value, 113.0);
    }

    #[test]
    fn a_handle_that_was_never_given_out_spoils_the_reading() {
        let mut table = table();
        table.register(0, &series(1, &[])).unwrap();
        assert_eq!(read(&mut table, &[(0, 1), (7, 1)]), Err(UnknownHandle(7)));
        table.free(0);
        assert_eq!(read(&mut table, &[(0, 1)]), Err(UnknownHandle(0)));
        assert!(read(&mut table, &[(NO_SERIES, 1)]).unwrap().samples.is_empty());
    }

    #[test]
    fn garbage_in_labels_is_refused_or_repaired_and_limits_hold() {
        let mut table = table();
        let long = [b'x'; 300];
        table.register(0, &series(0, &[b"core", b"\xff\xfe"])).unwrap();
        table.register(1, &series(0, &[b"core", &long])).unwrap();
        table.register(2, &series(0, &[b"bad key", b"1"])).unwrap();
        table.register(3, &series(9, &[])).unwrap();
        table.register(4, &series(0, &[b"core", b"1"])).unwrap();
        table.register(5, &series(0, &[b"core", b"2"])).unwrap();
        table.register(6, &series(1, &[])).unwrap();
        table.register(7, &series(1, &[])).unwrap();
        let all: Vec<_> = (0..8).map(|handle| (handle, 0)).collect();
        let reading = read(&mut table, &all).unwrap();

        assert_eq!(reading.samples.len(), 4);
        assert_eq!(reading.refused_series, 2 + 4);
        let value = |at: usize| {
            let series = table.catalog.get(reading.samples[at].series).unwrap();
            series.labels.get("core").map(str::to_owned)
        };
        assert_eq!(value(0).unwrap(), "\u{fffd}\u{fffd}");
        assert_eq!(value(1).unwrap().len(), LABEL_MAX);
        assert_eq!(table.register(2000, &series(1, &[])), Err(Dishonest::Handle));
        assert_eq!(table.register(0, b"x"), Err(Dishonest::Body));
    }
}
