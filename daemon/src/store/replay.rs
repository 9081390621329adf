//! Reading the log back, at start.
//!
//! # Invariants
//!
//! - A frame is taken in only behind its own key frame, with nothing lost between.
//! - A number that was declared for one series never gets the samples of another.
//! - What is in segments already, or in an earlier file, is not taken in again.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    path::Path,
    sync::Arc,
};

use super::{
    StoreError,
    delta::{Delta, bit, present_bits},
    disk::{self, File},
    heads::HeadFrame,
    lanes::collector_of,
    latest::note_latest,
    log::{Found, LOG_HEADER, log_path, read_log},
    messages::TIMES,
    numbers::is_believed,
    record::{FrameRecord, Record, Schema},
    shared::View,
    wire::Input,
};
use crate::series::{Gap, Series, SeriesId};

/// What has been read so far.
#[derive(Debug)]
pub(super) struct Replay {
    /// Heads and segments.
    pub(super) view: View,
    /// The series by number, as last declared.
    pub(super) series: BTreeMap<u32, Series>,
    /// Whether the last thing written was the mark of a clean stop.
    pub(super) clean: bool,
    /// The highest number that a frame names.
    pub(super) highest: Option<u32>,
    /// Samples taken in.
    pub(super) samples: u64,
    /// Time of the last sample of each series that stands in the log, by number.
    pub(super) latest: Vec<i64>,
    /// Something of the file being read is lost.
    damaged: bool,
    /// The values of the frame being read, by column.
    values: Vec<Option<f64>>,
    /// A frame that is coded again.
    body: Vec<u8>,
    /// Numbers that were declared for two series; frames of this log are not to be trusted with them.
    disputed: BTreeSet<u32>,
}

/// A schema of the file being read, and how far its frames have been followed.
struct Reading {
    schema: Arc<Schema>,
    /// Its stream's place in the heads, once a frame was read.
    place: Option<usize>,
    delta: Delta,
    /// Whether the last frames were gone past without their values.
    followed: bool,
    /// Time of the last frame that had all series.
    all_ms: Option<i64>,
    /// Whether nothing has been lost since the last key frame.
    whole: bool,
    /// Whether the next frame kept has to open a chunk, which only a key frame can.
    needs_key: bool,
    /// Frames up to the next key frame are coded again, since the one before the first of them is not kept.
    again: Option<Delta>,
    /// Whether frames may be missing before the next one kept.
    follows_damage: bool,
}

/// The reason of a gap that a damage of the log has left.
pub(super) const DAMAGED: &str = "the store's log was damaged";

impl Replay {
    /// Starts from what segments and state say.
    pub(super) fn new(view: View, series: BTreeMap<u32, Series>) -> Self {
        let (clean, highest, samples) = (false, None, 0);
        let (latest, values, body) = (Vec::new(), Vec::new(), Vec::new());
        let (damaged, disputed) = (false, BTreeSet::new());
        Self { view, series, clean, highest, samples, latest, damaged, values, body, disputed }
    }

    /// Reads a file. Of the newest, a torn tail is cut off.
    pub(super) fn read_file(
        &mut self,
        logs: &Path,
        sequence: u64,
        is_newest: bool,
    ) -> Result<(), StoreError> {
        let path = log_path(logs, sequence);
        let bytes = disk::read(&path).map_err(StoreError::file("read log", &path))?;
        let mut readings: HashMap<u64, Reading> = HashMap::new();
        let (mut lost_bytes, mut lost_frames) = (0, 0u64);
        self.damaged = false;
        let end = read_log(&bytes, sequence, |found| match found {
            Found::Lost(range) => {
                lost_bytes += range.len();
                self.damaged = true;
                readings.values_mut().for_each(|reading| reading.whole = false);
            }
            Found::Record(record) => {
                self.clean = record == Record::Stop;
                match record {
                    Record::Frame(frame) => {
                        lost_frames += u64::from(!self.take_frame(sequence, frame, &mut readings));
                    }
                    Record::Series(id, series) => self.take_series(id, series),
                    Record::Gap(gap) => self.view.heads.tell(gap, true),
                    Record::Stop => (),
                }
            }
        });
        readings.values().for_each(|reading| self.note_all(reading));
        for stream in &mut self.view.heads.streams {
            stream.close();
        }
        let tail = bytes.len().saturating_sub(end.max(LOG_HEADER));
        if lost_bytes > 0 || lost_frames > 0 || (tail > 0 && !is_newest) {
            tracing::error!(log = %path.display(), lost_bytes, lost_frames, tail, "store log is damaged: the rest was read");
        }
        if tail > 0 && is_newest {
            tracing::warn!(log = %path.display(), tail, "store log ended in a half-written record, which was cut off");
            let file = File::edit(&path);
            file.and_then(|file| file.set_len(end as u64))
                .map_err(StoreError::file("cut log", &path))?;
        }
        Ok(())
    }

    /// Takes a frame in; whether it could be read.
    fn take_frame(
        &mut self,
        sequence: u64,
        frame: FrameRecord<'_>,
        readings: &mut HashMap<u64, Reading>,
    ) -> bool {
        if let Some(schema) = frame.definition {
            if schema.series.last().is_some_and(|id| !self.is_possible(*id)) {
                if let Some(reading) = readings.remove(&frame.schema) {
                    self.note_all(&reading);
                }
                return false;
            }
            self.highest = self.highest.max(schema.series.last().map(|id| id.0));
            let before = readings.get(&frame.schema);
            let follows_damage = before.map_or(self.damaged, |b| !b.whole || b.follows_damage);
            let known = before.map(|reading| (reading.schema.clone(), reading.place));
            if known.is_none() {
                self.take_interval(&schema);
            }
            let known = known.filter(|(known, _)| **known == schema);
            let (schema, place) = known.unwrap_or_else(|| (Arc::new(schema), None));
            let delta = Delta::new(schema.series.len());
            let (followed, all_ms) = (false, None);
            let (whole, needs_key, again) = (true, false, None);
            let reading = Reading {
                schema,
                place,
                delta,
                followed,
                all_ms,
                whole,
                needs_key,
                again,
                follows_damage,
            };
            if let Some(before) = readings.insert(frame.schema, reading) {
                self.note_all(&before);
            }
        }
        let Some(reading) = readings.get_mut(&frame.schema).filter(|reading| reading.whole) else {
            return false;
        };
        let mut input = Input::new(frame.body);
        let (ids, values) = (reading.schema.series.clone(), &mut self.values);
        // Values are needed only where they are coded again.
        let read = if reading.again.is_some() || reading.needs_key {
            if std::mem::take(&mut reading.followed) {
                reading.delta.recall();
            }
            values.clear();
            values.resize(ids.len(), None);
            let read = reading.delta.decode(frame.head, &mut input, |column, value| {
                values[column] = Some(value);
            });
            read.map(|at_ms| (at_ms, present_bits(frame.head, frame.body, ids.len())))
        } else {
            reading.followed = true;
            reading.delta.follow(frame.head, &mut input)
        };
        let read = read.filter(|(at_ms, _)| input.is_empty() && TIMES.contains(at_ms));
        let Some((at_ms, present)) = read else {
            reading.whole = false;
            return false;
        };
        let mut samples = ids.len() as u64;
        if let Some(present) = present {
            let there = ids.iter().enumerate().filter(|(column, _)| bit(present, *column));
            samples = there.map(|(_, id)| note_latest(&mut self.latest, *id, at_ms)).count() as u64;
        } else {
            reading.all_ms = reading.all_ms.max(Some(at_ms));
        }
        let heads = &mut self.view.heads;
        let place = *reading
            .place
            .get_or_insert_with(|| heads.place(&reading.schema.server, &reading.schema.collector));
        let stream = &self.view.heads.streams[place];
        let (base, is_new) = (stream.base, stream.last_ms.is_none_or(|last| at_ms > last));
        self.view.heads.end_gaps(base, at_ms);
        let disputed =
            !self.disputed.is_empty() && ids.iter().any(|id| self.disputed.contains(&id.0));
        let is_key = frame.head & 0x7f == 0;
        if !is_new || disputed {
            reading.needs_key = true;
            return !disputed;
        }
        if is_key {
            reading.again = None;
        } else if reading.needs_key {
            // A batch that was written in part, and then again to this file: what was new of it begins anywhere.
            reading.again = Some(Delta::new(ids.len()));
        }
        reading.needs_key = false;
        let (mut head, mut body) = (frame.head, frame.body);
        if let Some(again) = &mut reading.again {
            self.body.clear();
            head = again.encode(at_ms, values, &mut self.body);
            body = &self.body;
        }
        if reading.follows_damage {
            reading.follows_damage = false;
            let stream = &self.view.heads.streams[place];
            let next = |last: i64| last.saturating_add(stream.interval_ms.max(1).into());
            if let Some(from_ms) = stream.last_ms.map(next).filter(|next| *next < at_ms) {
                let Schema { server, collector, .. } = &*reading.schema;
                let collector = collector_of(collector).into();
                let (server, to_ms, reason) = (server.clone(), Some(at_ms), DAMAGED.into());
                let gap = Gap { server, collector, from_ms, to_ms, reason };
                self.view.heads.tell(gap, true);
            }
        }
        let frame = HeadFrame { at_ms, head, body, samples };
        self.view.heads.push(place, sequence, &reading.schema, frame);
        self.samples += samples;
        true
    }

    /// Takes note of the last frame that had all of its series.
    fn note_all(&mut self, reading: &Reading) {
        if let Some(at_ms) = reading.all_ms {
            let ids = reading.schema.series.iter();
            ids.for_each(|id| note_latest(&mut self.latest, *id, at_ms));
        }
    }

    /// The interval of a stream may have been measured after its series were declared.
    fn take_interval(&mut self, schema: &Schema) {
        let collector = collector_of(&schema.collector);
        for id in schema.series.iter() {
            if let Some(series) = self.series.get_mut(&id.0)
                && *series.server == *schema.server
                && *series.collector == *collector
            {
                series.interval_ms = schema.interval_ms;
            }
        }
    }

    /// Whether a series can have this number.
    fn is_possible(&self, id: SeriesId) -> bool {
        is_believed(id.0, self.series.len())
    }

    fn take_series(&mut self, id: SeriesId, series: Series) {
        if !self.is_possible(id) {
            tracing::error!(
                series = id.0,
                "store log declares a series by a number that was never given"
            );
            return;
        }
        let identity =
            |series: &Series| (series.server.clone(), series.metric.clone(), series.labels.clone());
        match self.series.get(&id.0) {
            Some(known) if identity(known) != identity(&series) => {
                tracing::error!(
                    series = id.0,
                    "store log names another series by this number: its samples there are left out"
                );
                self.disputed.insert(id.0);
            }
            _ => {
                self.series.insert(id.0, series);
            }
        }
    }
}
