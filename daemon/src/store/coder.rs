//! Frames into records: what the frames of one stream are encoded with.
//!
//! A stream's schema is made when its first frame comes, and again when a series comes that it does not have, or its
//! interval is another one. Each frame that begins a chunk carries it. Series that nothing else explains are declared before their first frame in a
//! file: those that the state does not have yet. The others stand in it, in its copy, and in the segments of their
//! samples; a fleet's would fill a file before its samples do.

use std::{
    ops::Range,
    sync::{Arc, atomic::Ordering},
};

use super::{
    delta::Delta,
    record::{Records, Schema},
    shared::Shared,
    state::VALUE_MAX,
};
use crate::series::{Frame, Gap, Sample, Series, SeriesId, now_ms};

/// What frames of all streams have in common within one log file.
#[derive(Debug, Default)]
pub(super) struct Encoding {
    /// Schemas in this file so far, and which series it has declared.
    schemas: u64,
    declared: Vec<bool>,
    /// A frame, by column.
    values: Vec<Option<f64>>,
    body: Vec<u8>,
}

/// What the frames of one stream are encoded with.
#[derive(Debug)]
pub(super) struct Coder {
    server: Arc<str>,
    stream: Arc<str>,
    /// The stream's place in the heads.
    pub(super) place: usize,
    /// Time of its last frame.
    pub(super) last_ms: Option<i64>,
    /// Its frames are refused because the clock was set back, and a gap says so.
    is_set_back: bool,
    /// Number of the schema in this file; none before the first key frame.
    schema: Option<(u64, Arc<Schema>)>,
    delta: Delta,
    /// The series of the last frame in its own order, and the column of each.
    order: Vec<SeriesId>,
    columns: Vec<u32>,
}

/// A frame that was encoded, and where its body stands among the records.
#[derive(Debug)]
pub(super) struct Encoded {
    pub(super) place: usize,
    pub(super) schema: Arc<Schema>,
    pub(super) at_ms: i64,
    pub(super) head: u8,
    pub(super) body: Range<usize>,
    pub(super) samples: u64,
}

impl Encoding {
    /// A new file knows nothing of the one before.
    pub(super) fn forget(&mut self) {
        self.schemas = 0;
        self.declared.clear();
    }

    /// Declares a series before its first frame in this file, unless the state has it.
    fn declare(&mut self, shared: &Shared, id: SeriesId, records: &mut Records) {
        let index = id.0 as usize;
        if self.declared.get(index).is_some_and(|declared| *declared) {
            return;
        }
        if let Some(series) = shared.catalog.get(id) {
            if self.declared.len() <= index {
                self.declared.resize(index + 1, false);
            }
            self.declared[index] = true;
            let stated = index < shared.indexed_series.load(Ordering::Relaxed);
            if !stated || texts_of(&series) > VALUE_MAX / 2 {
                records.series(id, &series);
            }
        }
    }
}

/// Bytes of names: a series of very many is more than the state takes.
fn texts_of(series: &Series) -> usize {
    let labels = series.labels.iter().map(|(name, value)| name.len() + value.len() + 8);
    series.metric.len() + series.unit.len() + labels.sum::<usize>()
}

impl Coder {
    /// A coder for a stream of `server`; its place in the heads is made if it is new.
    pub(super) fn new(shared: &Shared, server: &Arc<str>, stream: Arc<str>) -> Self {
        let mut view = shared.view_mut();
        let place = view.heads.place(server, &stream);
        let last_ms = view.heads.streams.get(place).and_then(|stream| stream.last_ms);
        Self {
            server: server.clone(),
            stream,
            place,
            last_ms,
            is_set_back: false,
            schema: None,
            delta: Delta::new(0),
            order: Vec::new(),
            columns: Vec::new(),
        }
    }

    /// Whether a frame of `at_ms` would be newer than all before.
    pub(super) fn takes(&self, at_ms: i64) -> bool {
        self.last_ms.is_none_or(|last| at_ms > last)
    }

    /// Adds a frame that is newer than all before to the records.
    ///
    /// A schema of up to `lasting` series keeps those that do not come any more.
    pub(super) fn encode(
        &mut self,
        shared: &Shared,
        encoding: &mut Encoding,
        (at_ms, samples): (i64, &[Sample]),
        lasting: usize,
        records: &mut Records,
    ) -> Option<Encoded> {
        self.is_set_back = false;
        let fits = self.columns_fit(samples) || self.find_columns(samples);
        if !fits || self.has_other_interval(samples, shared) {
            let schema = self.widen(samples, lasting, shared);
            self.schema = Some((encoding.schemas, Arc::new(schema)));
            encoding.schemas += 1;
            self.find_columns(samples);
        }
        let (number, schema) = self.schema.clone()?;
        let definition = self.delta.at_key().then_some(&*schema);
        for id in definition.iter().flat_map(|schema| schema.series.iter()) {
            encoding.declare(shared, *id, records);
        }
        encoding.values.clear();
        encoding.values.resize(schema.series.len(), None);
        let mut count = 0;
        for (sample, column) in samples.iter().zip(&self.columns) {
            let before = encoding.values[*column as usize].replace(sample.value);
            count += u64::from(before.is_none());
        }
        encoding.body.clear();
        let head = self.delta.encode(at_ms, &encoding.values, &mut encoding.body);
        self.last_ms = Some(at_ms);
        records.frame(number, definition, head, &encoding.body);
        let end = records.bytes.len();
        let body = end - encoding.body.len()..end;
        Some(Encoded { place: self.place, schema, at_ms, head, body, samples: count })
    }

    /// The gap that a refused frame begins, if it is refused because the clock was
    /// set back: the last frame is from what is the future now.
    pub(super) fn clock_gap(&mut self, frame: &Frame) -> Option<Gap> {
        let last = self.last_ms.filter(|last| *last > frame.at_ms && *last > now_ms())?;
        if std::mem::replace(&mut self.is_set_back, true) {
            return None;
        }
        let (server, collector) = (frame.server.clone(), frame.collector.clone());
        tracing::warn!(%server, %collector, last_ms = last, "samples are refused until the clock, which was set back, has caught up");
        let reason = "the clock was set back: there are samples of a later time".into();
        Some(Gap { server, collector, from_ms: frame.at_ms, to_ms: None, reason })
    }

    /// Whether the frame has the same series in the same order as the one before.
    fn columns_fit(&self, samples: &[Sample]) -> bool {
        self.schema.is_some()
            && self.order.len() == samples.len()
            && self.order.iter().zip(samples).all(|(id, sample)| *id == sample.series)
    }

    /// Whether frames come at another interval than the schema says: it was measured, or changed.
    fn has_other_interval(&self, samples: &[Sample], shared: &Shared) -> bool {
        let Some(first) = samples.first().and_then(|sample| shared.catalog.get(sample.series))
        else {
            return false;
        };
        self.schema.as_ref().is_some_and(|(_, schema)| schema.interval_ms != first.interval_ms)
    }

    /// Looks the frame's series up in the schema; whether all are there.
    fn find_columns(&mut self, samples: &[Sample]) -> bool {
        let Some((_, schema)) = &self.schema else { return false };
        let column = |id: SeriesId| schema.series.binary_search(&id).ok();
        let columns: Option<Vec<u32>> =
            samples.iter().map(|sample| column(sample.series).map(|at| at as u32)).collect();
        let Some(columns) = columns else { return false };
        self.columns = columns;
        self.order = samples.iter().map(|sample| sample.series).collect();
        true
    }

    /// A schema that holds the frame: the old one and what is new, unless most of
    /// the old one has gone.
    fn widen(&mut self, samples: &[Sample], lasting: usize, shared: &Shared) -> Schema {
        let mut ids: Vec<SeriesId> = samples.iter().map(|sample| sample.series).collect();
        if let Some((_, old)) = &self.schema
            && old.series.len() <= lasting.max(ids.len() * 2)
        {
            ids.extend(old.series.iter());
        }
        ids.sort_unstable();
        ids.dedup();
        self.delta = Delta::new(ids.len());
        let first = samples.first().and_then(|sample| shared.catalog.get(sample.series));
        Schema {
            server: self.server.clone(),
            collector: self.stream.clone(),
            interval_ms: first.map_or(0, |series| series.interval_ms),
            series: ids.into(),
        }
    }
}
