//! Batches into the log, and from there into the heads.
//!
//! A batch is encoded, written in one piece, and only then shown to readers. If
//! the disk refuses it, nothing of it is shown, and the next attempt begins a new
//! file with key frames.

use std::{
    collections::HashMap,
    ops::Range,
    sync::{Arc, atomic::Ordering},
};

use super::{
    StoreError,
    delta::Delta,
    gaps::Stretch,
    heads::HeadFrame,
    log::{LOG_HEADER, Log, log_path},
    messages::Batch,
    record::{RECORD_MAX, Records, Schema},
    shared::{Shared, lock, remove_if_there},
};
use crate::series::{Frame, Gap, SeriesId, now_ms};

/// A frame with more samples is refused; what a plugin may give is far less.
const FRAME_SAMPLES_MAX: usize = RECORD_MAX / 32;

/// What a clock may say: 100 million days around 1970, so that days can be reckoned with.
const TIMES: std::ops::RangeInclusive<i64> = -8_640_000_000_000_000..=8_640_000_000_000_000;

/// Writes the log. One at a time; threads: any.
#[derive(Debug)]
pub(super) struct Writer {
    shared: Arc<Shared>,
    store: u128,
    log: Option<Log>,
    next_sequence: u64,
    /// Schemas in this file so far, and which series it has declared.
    schemas: u64,
    declared: Vec<bool>,
    coders: HashMap<Arc<str>, HashMap<Arc<str>, Coder>>,
}

/// What the frames of one collector are encoded with.
#[derive(Debug)]
struct Coder {
    place: usize,
    last_ms: Option<i64>,
    /// Its frames are refused because the clock was set back, and a gap says so.
    is_set_back: bool,
    /// Number of the schema in this file; none before the first key frame.
    schema: Option<(u64, Arc<Schema>)>,
    delta: Delta,
    /// The series of the last frame in its own order, and the column of each.
    order: Vec<SeriesId>,
    columns: Vec<usize>,
    /// The frame, by column.
    values: Vec<Option<f64>>,
}

/// What readers see once the records are written.
enum Publication {
    Frame {
        place: usize,
        schema: Arc<Schema>,
        at_ms: i64,
        head: u8,
        body: Range<usize>,
        samples: u64,
    },
    Gap(Gap),
}

impl Writer {
    /// A writer that begins the log file `next_sequence` with its first batch.
    pub(super) fn new(shared: Arc<Shared>, store: u128, next_sequence: u64) -> Self {
        shared.sequence.store(next_sequence, Ordering::Relaxed);
        Self {
            shared,
            store,
            log: None,
            next_sequence,
            schemas: 0,
            declared: Vec::new(),
            coders: HashMap::new(),
        }
    }

    /// Writes batches; once this returns they survive `kill -9`, and are seen by readers.
    pub(super) fn write<'a>(
        &mut self,
        batches: impl IntoIterator<Item = &'a Batch>,
    ) -> Result<(), StoreError> {
        let written = self.try_write(batches);
        if written.is_err() {
            self.leave_file();
        }
        written
    }

    /// Writes the mark of a clean stop and syncs the log.
    pub(super) fn stop(&mut self) -> Result<(), StoreError> {
        let (mut records, _) = self.begin()?;
        records.stop();
        self.append(&records.bytes)?;
        self.sync()
    }

    /// Syncs what has been written.
    pub(super) fn sync(&mut self) -> Result<(), StoreError> {
        let Some(log) = &self.log else { return Ok(()) };
        let path = log_path(&self.shared.log_folder(), log.sequence());
        log.file().sync_data().map_err(StoreError::file("sync log", path))
    }

    /// Ends the file. What it holds can be sealed whole; the next batch begins a new one.
    pub(super) fn leave_file(&mut self) {
        let mut view = self.shared.view_mut();
        view.heads.streams.iter_mut().for_each(super::heads::Stream::close);
        drop(view);
        if let Some(log) = self.log.take() {
            self.next_sequence += 1;
            self.discard_if_empty(&log);
        }
        self.coders.clear();
        self.declared.clear();
        self.schemas = 0;
        // Files below this number are written no more.
        self.shared.sequence.store(self.next_sequence, Ordering::Relaxed);
    }

    /// Deletes a file that nothing was written to: a disk that refuses every batch
    /// would else leave one behind with each attempt.
    fn discard_if_empty(&self, log: &Log) {
        let path = log_path(&self.shared.log_folder(), log.sequence());
        if log.length() == LOG_HEADER as u64 && remove_if_there(&path).is_ok() {
            self.shared.logs().remove(&log.sequence());
        }
    }

    fn try_write<'a>(
        &mut self,
        batches: impl IntoIterator<Item = &'a Batch>,
    ) -> Result<(), StoreError> {
        let (mut records, sequence) = self.begin()?;
        let mut publications = Vec::new();
        for batch in batches {
            for gap in &batch.gaps {
                records.gap(gap);
                publications.push(Publication::Gap(gap.clone()));
            }
            for frame in &batch.frames {
                publications.extend(self.encode(frame, &mut records));
            }
        }
        if records.bytes.is_empty() {
            return Ok(());
        }
        self.append(&records.bytes)?;
        self.publish(sequence, &records.bytes, publications);
        Ok(())
    }

    /// The file to write to, begun if there is none.
    fn begin(&mut self) -> Result<(Records, u64), StoreError> {
        if self.log.as_ref().is_some_and(|log| log.length() >= self.shared.limits.log_file) {
            if self.sync().is_err() {
                self.shared.sync_failed.store(true, Ordering::Relaxed);
            }
            self.leave_file();
        }
        let log = match &mut self.log {
            Some(log) => log,
            log => {
                self.shared.make_room(LOG_HEADER as u64)?;
                let folder = self.shared.log_folder();
                let path = log_path(&folder, self.next_sequence);
                let created = Log::create(&folder, self.next_sequence, self.store);
                let created = created.map_err(|error| {
                    // What is left of the attempt must not be in the way of the next.
                    self.next_sequence += 1;
                    StoreError::file("begin log", path)(error)
                })?;
                self.shared.logs().insert(created.sequence(), created.length());
                *lock(&self.shared.unsynced) = Some(created.file());
                log.insert(created)
            }
        };
        Ok((Records::new(log.sequence(), log.length()), log.sequence()))
    }

    fn append(&mut self, records: &[u8]) -> Result<(), StoreError> {
        let Some(log) = &mut self.log else { return Err(StoreError::Closed) };
        self.shared.make_room(records.len() as u64)?;
        let path = log_path(&self.shared.log_folder(), log.sequence());
        log.append(records).map_err(StoreError::file("write log", path))?;
        self.shared.logs().insert(log.sequence(), log.length());
        self.shared.count_written(records.len() as u64);
        Ok(())
    }

    fn publish(&self, sequence: u64, bytes: &[u8], publications: Vec<Publication>) {
        let mut view = self.shared.view_mut();
        for publication in publications {
            match publication {
                Publication::Frame { place, schema, at_ms, head, body, samples } => {
                    let body = &bytes[body];
                    let frame = HeadFrame { at_ms, head, body, samples };
                    if let Some(stream) = view.heads.streams.get_mut(place) {
                        stream.push(sequence, &schema, frame);
                    }
                }
                Publication::Gap(gap) => {
                    let place = view.heads.place(&gap.server, &gap.collector);
                    let Gap { from_ms, to_ms, reason, .. } = gap;
                    if let Some(stream) = view.heads.streams.get_mut(place) {
                        stream.gaps.tell(Stretch { from_ms, to_ms, reason }, true);
                    }
                }
            }
        }
    }

    fn encode(&mut self, frame: &Frame, records: &mut Records) -> Option<Publication> {
        let samples = frame.samples.len() as u64;
        if frame.samples.is_empty() {
            return None;
        }
        let coder = coder_of(&mut self.coders, &self.shared, frame);
        if coder.last_ms.is_some_and(|last| frame.at_ms <= last)
            || !TIMES.contains(&frame.at_ms)
            || frame.samples.len() > FRAME_SAMPLES_MAX
        {
            self.shared.late_samples.fetch_add(samples, Ordering::Relaxed);
            let gap = coder.clock_gap(frame)?;
            records.gap(&gap);
            return Some(Publication::Gap(gap));
        }
        coder.is_set_back = false;
        if !coder.columns_fit(frame) && !coder.find_columns(frame) {
            let schema = coder.widen(frame, &self.shared);
            coder.schema = Some((self.schemas, Arc::new(schema)));
            self.schemas += 1;
            coder.find_columns(frame);
        }
        let (number, schema) = coder.schema.clone()?;
        if coder.delta.at_key() {
            for id in schema.series.iter() {
                declare(&mut self.declared, &self.shared, *id, records);
            }
        }
        coder.values.fill(None);
        let mut samples = 0;
        for (sample, column) in frame.samples.iter().zip(&coder.columns) {
            samples += u64::from(coder.values[*column].replace(sample.value).is_none());
        }
        let definition = coder.delta.at_key().then_some(&*schema);
        let mut body = Vec::with_capacity(16 + frame.samples.len());
        let head = coder.delta.encode(frame.at_ms, &coder.values, &mut body);
        coder.last_ms = Some(frame.at_ms);
        records.frame(number, definition, head, &body);
        let end = records.bytes.len();
        let (place, at_ms, body) = (coder.place, frame.at_ms, end - body.len()..end);
        Some(Publication::Frame { place, schema, at_ms, head, body, samples })
    }
}

impl Coder {
    /// Whether the frame has the same series in the same order as the one before.
    fn columns_fit(&self, frame: &Frame) -> bool {
        self.schema.is_some()
            && self.order.len() == frame.samples.len()
            && self.order.iter().zip(&frame.samples).all(|(id, sample)| *id == sample.series)
    }

    /// The gap that a refused frame begins, if it is refused because the clock was
    /// set back: the last frame is from what is the future now.
    fn clock_gap(&mut self, frame: &Frame) -> Option<Gap> {
        let last = self.last_ms.filter(|last| *last > frame.at_ms && *last > now_ms())?;
        if std::mem::replace(&mut self.is_set_back, true) {
            return None;
        }
        let (server, collector) = (frame.server.clone(), frame.collector.clone());
        tracing::warn!(%server, %collector, last_ms = last, "samples are refused until the clock, which was set back, has caught up");
        let reason = "the clock was set back: there are samples of a later time".into();
        Some(Gap { server, collector, from_ms: frame.at_ms, to_ms: None, reason })
    }

    /// Looks the frame's series up in the schema; whether all are there.
    fn find_columns(&mut self, frame: &Frame) -> bool {
        let Some((_, schema)) = &self.schema else { return false };
        let column = |id: SeriesId| schema.series.binary_search(&id).ok();
        let columns: Option<Vec<usize>> =
            frame.samples.iter().map(|sample| column(sample.series)).collect();
        let Some(columns) = columns else { return false };
        self.columns = columns;
        self.order = frame.samples.iter().map(|sample| sample.series).collect();
        true
    }

    /// A schema that holds the frame: the old one and what is new, unless most of
    /// the old one has gone.
    fn widen(&mut self, frame: &Frame, shared: &Shared) -> Schema {
        let mut ids: Vec<SeriesId> = frame.samples.iter().map(|sample| sample.series).collect();
        if let Some((_, old)) = &self.schema
            && old.series.len() <= ids.len() * 2
        {
            ids.extend(old.series.iter());
        }
        ids.sort_unstable();
        ids.dedup();
        self.delta = Delta::new(ids.len());
        self.values = vec![None; ids.len()];
        let first = frame.samples.first().and_then(|sample| shared.catalog.get(sample.series));
        Schema {
            server: frame.server.clone(),
            collector: frame.collector.clone(),
            interval_ms: first.map_or(0, |series| series.interval_ms),
            series: ids.into(),
        }
    }
}

fn coder_of<'a>(
    coders: &'a mut HashMap<Arc<str>, HashMap<Arc<str>, Coder>>,
    shared: &Shared,
    frame: &Frame,
) -> &'a mut Coder {
    let of_server = coders.entry(frame.server.clone()).or_default();
    of_server.entry(frame.collector.clone()).or_insert_with(|| {
        let mut view = shared.view_mut();
        let place = view.heads.place(&frame.server, &frame.collector);
        let last_ms = view.heads.streams.get(place).and_then(|stream| stream.last_ms);
        Coder {
            place,
            last_ms,
            is_set_back: false,
            schema: None,
            delta: Delta::new(0),
            order: Vec::new(),
            columns: Vec::new(),
            values: Vec::new(),
        }
    })
}

/// Declares a series before its first frame in this file, so that the file explains itself.
fn declare(declared: &mut Vec<bool>, shared: &Shared, id: SeriesId, records: &mut Records) {
    let index = id.0 as usize;
    if declared.get(index).is_some_and(|declared| *declared) {
        return;
    }
    if let Some(series) = shared.catalog.get(id) {
        if declared.len() <= index {
            declared.resize(index + 1, false);
        }
        declared[index] = true;
        records.series(id, &series);
    }
}
