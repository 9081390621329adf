//! What decoders hand their series and samples to: it knows whose they are, and keeps to the limits.

use std::{collections::HashMap, sync::Arc};

use super::{
    account::{Stream, Tables},
    assembly::{Assembly, FRAMES_MAX},
    fingerprint::{Fingerprint, Keys, Shape},
    identity::{LabelLimits, identify},
    known::Known,
    messages::Writer,
    naming::{Told, describe},
    protobuf::Malformed,
    refusal::{Reason, Refusal, Refused},
    signals::{Changes, OpenGaps, Signal, Signals},
};
use crate::{
    config::IngestConfig,
    series::{Catalog, Frame, Labels, Sample, Series},
    store::messages::{Batch, TIMES},
};

/// Prometheus' mark of a series that has ended.
const STALE: u64 = 0x7ff0_0000_0000_0002;

/// How far ahead of our clock a sample may be.
const AHEAD_MS: i64 = 10 * 60 * 1000;

/// What does not change from request to request.
#[derive(Debug)]
pub(super) struct Ground {
    pub(super) catalog: Arc<Catalog>,
    pub(super) keys: Keys,
}

/// Takes in one request.
pub(super) struct Intake<'a> {
    tables: &'a mut Tables,
    ground: &'a Ground,
    limits: &'a IngestConfig,
    writer: &'a Writer,
    /// How it came: the collector of whatever names none.
    way: &'static str,
    now_ms: i64,
    assembly: Assembly,
    signals: Signals,
    judged: Judged,
    /// Series that were not known by their fingerprint.
    learnt: u64,
}

/// What a request has brought besides its samples.
#[derive(Debug, Default)]
pub(super) struct Judged {
    /// Samples that say that their series has ended.
    pub(super) stale: u64,
    /// Samples that tell of gaps and states.
    pub(super) signals: u64,
    /// What was refused.
    pub(super) refused: Refused,
    /// The first of it, or the first of a foreign server.
    pub(super) first: Option<Refusal>,
}

/// What a series is to its samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    /// They are stored.
    Series(Known),
    /// They are signals of this number.
    Signal(usize),
    /// They are refused.
    Refused(Reason),
}

/// A request, ready to be stored.
#[derive(Debug)]
pub(super) struct Ready {
    pub(super) batch: Batch,
    pub(super) changes: Changes,
    pub(super) judged: Judged,
}

impl<'a> Intake<'a> {
    pub(super) fn new(
        tables: &'a mut Tables,
        ground: &'a Ground,
        limits: &'a IngestConfig,
        writer: &'a Writer,
        way: &'static str,
        now_ms: i64,
    ) -> Self {
        tables.under(writer.servers());
        Self {
            tables,
            ground,
            limits,
            writer,
            way,
            now_ms,
            assembly: Assembly::default(),
            signals: Signals::default(),
            judged: Judged::default(),
            learnt: 0,
        }
    }

    pub(super) fn keys(&self) -> Keys {
        self.ground.keys
    }

    pub(super) fn now_ms(&self) -> i64 {
        self.now_ms
    }

    /// The series known by `print`; one that is not is learnt from the labels that `read` gives.
    #[inline]
    pub(super) fn series<'l>(
        &mut self,
        print: Fingerprint,
        told: Option<Told<'_>>,
        read: impl FnOnce(&mut Vec<(&'l str, &'l str)>) -> Result<(), Malformed>,
    ) -> Result<Target, Malformed> {
        if let Some(known) = self.tables.known.get(print) {
            return Ok(Target::Series(known));
        }
        let mut labels = Vec::with_capacity(16);
        read(&mut labels)?;
        self.learnt += 1;
        Ok(self.learn(print, &mut labels, told).unwrap_or_else(|refusal| {
            let reason = refusal.reason;
            self.note(refusal);
            Target::Refused(reason)
        }))
    }

    /// The series of labels that were not sent as such.
    pub(super) fn series_of(&mut self, labels: &[(&str, &str)], told: Told<'_>) -> Target {
        let mut bytes = Vec::with_capacity(256);
        let said = [("", told.unit), (["", "1", "2", "3", "4", "5"][told.kind as usize], "")];
        for text in said.iter().chain(labels).flat_map(|(name, value)| [name, value]) {
            bytes.extend((text.len() as u64).to_le_bytes());
            bytes.extend(text.as_bytes());
        }
        let print = self.ground.keys.of(Shape::Pairs, &bytes);
        let read = |to: &mut Vec<_>| {
            to.extend_from_slice(labels);
            Ok(())
        };
        self.series(print, Some(told), read).unwrap_or(Target::Refused(Reason::Malformed))
    }

    fn learn<'l>(
        &mut self,
        print: Fingerprint,
        labels: &mut Vec<(&'l str, &'l str)>,
        told: Option<Told<'_>>,
    ) -> Result<Target, Refusal> {
        let limits = self.limits;
        let label_limits = LabelLimits { count: limits.max_labels, name: 256, value: 4096 };
        let identity = identify(labels, self.way, label_limits)?;
        let writer = self.writer;
        let server = writer.stored_as(identity.server);
        let server = server.ok_or_else(|| writer.foreign(identity.server))?;
        let collector = identity.collector;
        if let Some(signal) = Signal::of(identity.metric, labels) {
            let stream = self.tables.stream(server, collector, None, limits)?;
            let Stream { server, collector, .. } = &self.tables.streams[stream.0 as usize];
            let whose = (server.clone(), collector.clone());
            return Ok(Target::Signal(self.signals.series(whose, signal)));
        }
        let labels = Labels::new(labels.iter().copied());
        let former = self.ground.catalog.find(server, identity.metric, &labels);
        let former_ms = former.as_deref().map(|series| series.interval_ms);
        let stream = self.tables.stream(server, collector, former_ms, limits)?;
        if former.is_none() {
            self.check_room(server)?;
        }
        let metric = self.tables.name(identity.metric);
        let told = told.unwrap_or_else(|| self.tables.metadata.of(&metric));
        let (kind, unit) = describe(&metric, told);
        let unit: Box<str> = unit.into();
        let unit = self.tables.name(&unit);
        let Stream { server, collector, pace, .. } = &self.tables.streams[stream.0 as usize];
        let (server, collector, interval_ms) =
            (server.clone(), collector.clone(), pace.interval_ms());
        let series = Series { server, collector, metric, labels, unit, kind, interval_ms };
        let series = self.ground.catalog.intern(series);
        let series =
            series.map_err(|full| Refusal::new(Reason::SeriesOfToken, full.to_string()))?;
        let known = Known { series, stream };
        self.tables.learn(print, known, limits);
        Ok(Target::Series(known))
    }

    /// Whether `server`, and the token, may have one series more.
    fn check_room(&self, server: &str) -> Result<(), Refusal> {
        let IngestConfig { max_series_per_server, max_series, .. } = *self.limits;
        if self.ground.catalog.len_of_server(server) >= max_series_per_server {
            let detail = format!(
                "`{server}` has {max_series_per_server} series, and may have no more \
                 (ingest.max_series_per_server)"
            );
            return Err(Refusal::new(Reason::SeriesOfServer, detail));
        }
        if self.tables.written.len() >= max_series {
            let detail = format!(
                "this token has written {max_series} series, and may write no more \
                 (ingest.max_series)"
            );
            return Err(Refusal::new(Reason::SeriesOfToken, detail));
        }
        Ok(())
    }

    /// What the request costs of the token's allowance: each sample and each series that had to be looked at.
    pub(super) fn cost(&self) -> u64 {
        self.assembly.samples() + self.judged.signals + self.learnt
    }

    /// Takes in a sample.
    #[inline]
    pub(super) fn sample(&mut self, target: Target, at_ms: i64, value: f64) {
        match target {
            Target::Refused(reason) => self.judged.refused.count(reason, 1),
            Target::Series(_) if value.to_bits() == STALE => self.judged.stale += 1,
            _ if at_ms > self.now_ms.saturating_add(AHEAD_MS) => self.refuse_future(at_ms),
            _ if !TIMES.contains(&at_ms) => self.refuse_time(at_ms),
            Target::Series(Known { series, stream }) => {
                if !self.assembly.add(stream, at_ms, Sample { series, value }) {
                    self.refuse_instant();
                }
            }
            Target::Signal(series) => {
                if self.signals.note(series, at_ms, value) {
                    self.judged.signals += 1;
                } else {
                    self.refuse_instant();
                }
            }
        }
    }

    #[cold]
    fn refuse_future(&mut self, at_ms: i64) {
        let ahead_s = at_ms.saturating_sub(self.now_ms) / 1000;
        self.refuse(Reason::Future, 1, || {
            format!("a sample is from {ahead_s} s in the future; set the clock of its machine")
        });
    }

    #[cold]
    fn refuse_time(&mut self, at_ms: i64) {
        self.refuse(Reason::Time, 1, || {
            format!("a sample is from {at_ms}, must be milliseconds since 1970")
        });
    }

    #[cold]
    fn refuse_instant(&mut self) {
        self.refuse(Reason::Instants, 1, || {
            format!(
                "one request brings at most {FRAMES_MAX} instants of collectors; send it in parts"
            )
        });
    }

    /// Counts something that is not stored.
    pub(super) fn refuse(&mut self, reason: Reason, times: u64, why: impl FnOnce() -> String) {
        self.judged.refused.count(reason, times);
        if self.judged.first.is_none() {
            self.note(Refusal::new(reason, why()));
        }
    }

    /// Remembers a refusal: the first, unless there is one of a foreign server.
    fn note(&mut self, refusal: Refusal) {
        let first = self.judged.first.as_ref().map(|first| first.reason);
        let is_worse = refusal.reason == Reason::NotYourServer;
        if first.is_none_or(|first| is_worse && first != Reason::NotYourServer) {
            self.judged.first = Some(refusal);
        }
    }

    /// Takes in what is said of a family of metrics.
    pub(super) fn metadata(&mut self, family: &str, told: Told<'_>) {
        if family.len() <= 256 && self.tables.metadata.tell(family, told) {
            // Its series are learnt anew, and everybody hears what they are.
            self.tables.known.clear();
        }
    }

    /// The request as the store wants it.
    pub(super) fn finish(self, open: &OpenGaps) -> Ready {
        let Self { tables, ground, now_ms, assembly, signals, judged, .. } = self;
        let (gaps, changes) = signals.gaps(open);
        let mut frames = Vec::new();
        let mut corrected: HashMap<Arc<str>, HashMap<Arc<str>, u32>> = HashMap::new();
        let mut paced = Vec::new();
        for part in assembly.into_parts() {
            let Some(stream) = tables.streams.get_mut(part.stream.0 as usize) else { continue };
            if stream.pace.note(part.at_ms) {
                paced.push(part.stream);
            }
            frames.push(Frame {
                server: stream.server.clone(),
                collector: stream.collector.clone(),
                at_ms: part.at_ms,
                samples: part.samples,
            });
        }
        for place in paced {
            let Some(stream) = tables.streams.get_mut(place.0 as usize) else { continue };
            if let Some(interval_ms) = stream.pace.conclude(now_ms) {
                let of_server = corrected.entry(stream.server.clone()).or_default();
                of_server.insert(stream.collector.clone(), interval_ms);
            }
        }
        for (server, intervals) in corrected {
            ground.catalog.set_intervals(&server, &intervals);
        }
        Ready { batch: Batch { frames, gaps }, changes, judged }
    }
}
