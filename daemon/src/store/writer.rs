//! Batches into the log, and from there into the heads.
//!
//! A batch is encoded, written in one piece, and only then shown to readers. If
//! the disk refuses it, nothing of it is shown, and the next attempt begins a new
//! file with key frames.

use std::sync::{Arc, atomic::Ordering};

use super::{
    StoreError,
    absence::Absences,
    arrival::{Arrivals, Coders, Judged, LASTING},
    coder::{Encoded, Encoding},
    heads::HeadFrame,
    latest::Latest,
    log::{LOG_HEADER, Log, log_path},
    messages::{Batch, TIMES},
    recall::Recall,
    record::{RECORD_MAX, Records},
    shared::{Shared, remove_if_there},
};
use crate::series::{Frame, Gap, Sample, now_ms};

/// A frame with more samples is refused; what a plugin may give is far less.
const FRAME_SAMPLES_MAX: usize = RECORD_MAX / 32;

/// Writes the log. One at a time; threads: any.
#[derive(Debug)]
pub(super) struct Writer {
    shared: Arc<Shared>,
    store: u128,
    log: Option<Log>,
    next_sequence: u64,
    encoding: Encoding,
    coders: Coders,
    latest: Latest,
    arrivals: Arrivals,
    absences: Absences,
}

/// Whose samples a batch holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// This node's: every collector goes forward in time.
    Here,
    /// Another's: every series does, unless its clock was set back from what is still to come, and what is here already
    /// may come again.
    Elsewhere,
}

/// What is written, until readers see it.
#[derive(Default)]
struct Written {
    frames: Vec<Encoded>,
    /// Gaps, and how many frames come before each.
    gaps: Vec<(usize, Gap)>,
    recall: Recall,
    /// When it was begun.
    now_ms: i64,
}

impl Written {
    /// Adds a gap, which comes after the frames so far.
    fn tell(&mut self, gap: Gap, records: &mut Records) {
        records.gap(&gap);
        self.gaps.push((self.frames.len(), gap));
    }
}

impl Writer {
    /// A writer that begins the log file `next_sequence` with its first batch.
    pub(super) fn new(
        shared: Arc<Shared>,
        store: u128,
        next_sequence: u64,
        latest: Latest,
    ) -> Self {
        shared.sequence.store(next_sequence, Ordering::Relaxed);
        let absences = Absences::of(&shared.view().heads);
        Self {
            shared,
            store,
            log: None,
            next_sequence,
            encoding: Encoding::default(),
            coders: Coders::default(),
            latest,
            arrivals: Arrivals::default(),
            absences,
        }
    }

    /// Writes batches; once this returns they survive `kill -9`, and are seen by readers.
    ///
    /// Answers what became of the samples of each that came from elsewhere.
    pub(super) fn write<'a>(
        &mut self,
        batches: impl IntoIterator<Item = (&'a Batch, Origin)>,
    ) -> Result<Vec<Judged>, StoreError> {
        let written = self.try_write(batches);
        if written.is_err() {
            self.latest.take_back();
            self.leave_file();
            self.absences.take_back();
        } else {
            self.latest.keep();
            self.absences.keep();
        }
        written
    }

    /// Writes the mark of a clean stop.
    pub(super) fn stop(&mut self) -> Result<(), StoreError> {
        let (mut records, _) = self.begin()?;
        records.stop();
        self.append(&records.bytes)
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
        self.coders.forget();
        self.encoding.forget();
        // Files below this number are written no more.
        self.shared.sequence.store(self.next_sequence, Ordering::Relaxed);
    }

    /// Deletes a file that nothing was written to: a disk that refuses every batch
    /// would else leave one behind with each attempt.
    fn discard_if_empty(&self, log: &Log) {
        let path = log_path(&self.shared.log_folder(), log.sequence());
        if log.length() == LOG_HEADER as u64 && remove_if_there(&path).is_ok() {
            self.shared.forget_log(log.sequence(), log.length());
        }
    }

    fn try_write<'a>(
        &mut self,
        batches: impl IntoIterator<Item = (&'a Batch, Origin)>,
    ) -> Result<Vec<Judged>, StoreError> {
        let (mut records, sequence) = self.begin()?;
        let mut written = Written { now_ms: now_ms(), ..Written::default() };
        let mut all = Vec::new();
        for (batch, origin) in batches {
            // What is told of a gap counts for more than that the daemon was away: it comes later.
            let mut gaps = self.absences.heard(batch, origin);
            gaps.extend_from_slice(&batch.gaps);
            if origin == Origin::Elsewhere {
                gaps.sort_by_key(|gap| gap.from_ms);
            }
            let mut judged = Judged::default();
            let mut gaps = gaps.into_iter().peekable();
            let frames = batch.frames.iter().enumerate();
            for (number, frame) in frames.filter(|(_, frame)| !frame.samples.is_empty()) {
                // One batch from elsewhere may hold the end of a gap, samples, and the next gap.
                let is_due = |gap: &Gap| origin == Origin::Here || gap.from_ms <= frame.at_ms;
                while let Some(gap) = gaps.next_if(is_due) {
                    written.tell(gap, &mut records);
                }
                match origin {
                    Origin::Here => self.encode(frame, &mut records, &mut written),
                    Origin::Elsewhere => {
                        let frame = (number, frame);
                        self.encode_arrived(frame, &mut records, &mut written, &mut judged);
                    }
                }
            }
            gaps.for_each(|gap| written.tell(gap, &mut records));
            all.push(judged);
        }
        if !records.bytes.is_empty() {
            self.append(&records.bytes)?;
            self.publish(sequence, &records.bytes, written);
        }
        Ok(all)
    }

    /// The file to write to, begun if there is none.
    fn begin(&mut self) -> Result<(Records, u64), StoreError> {
        if self.log.as_ref().is_some_and(|log| log.length() >= self.shared.limits.log_file) {
            self.leave_file();
        }
        let log = match &mut self.log {
            Some(log) => log,
            log => {
                let _room = self.shared.take_room(LOG_HEADER as u64)?;
                let folder = self.shared.log_folder();
                let path = log_path(&folder, self.next_sequence);
                let created = Log::create(&folder, self.next_sequence, self.store);
                let created = created.map_err(|error| {
                    // What is left of the attempt must not be in the way of the next.
                    self.next_sequence += 1;
                    StoreError::file("begin log", path)(error)
                })?;
                self.shared.logs().insert(created.sequence(), created.length());
                self.shared.syncing.begin_file(created.file());
                log.insert(created)
            }
        };
        Ok((Records::new(log.sequence(), log.length()), log.sequence()))
    }

    fn append(&mut self, records: &[u8]) -> Result<(), StoreError> {
        let Some(log) = &mut self.log else { return Err(StoreError::Closed) };
        let _room = self.shared.take_room(records.len() as u64)?;
        let path = log_path(&self.shared.log_folder(), log.sequence());
        log.append(records).map_err(StoreError::file("write log", path))?;
        self.shared.logs().insert(log.sequence(), log.length());
        self.shared.count_written(records.len() as u64);
        Ok(())
    }

    fn publish(&self, sequence: u64, bytes: &[u8], written: Written) {
        let mut view = self.shared.view_mut();
        let mut gaps = written.gaps.into_iter().peekable();
        for (number, frame) in written.frames.iter().enumerate() {
            while let Some((_, gap)) = gaps.next_if(|(before, _)| *before <= number) {
                view.heads.tell(gap, true);
            }
            let Encoded { place, schema, at_ms, head, body, samples } = frame;
            let body = &bytes[body.clone()];
            let frame = HeadFrame { at_ms: *at_ms, head: *head, body, samples: *samples };
            view.heads.push(*place, sequence, schema, frame);
        }
        gaps.for_each(|(_, gap)| view.heads.tell(gap, true));
    }

    /// Encodes what a collector here has read.
    fn encode(&mut self, frame: &Frame, records: &mut Records, written: &mut Written) {
        let Some(coder) = self.coders.of(&self.shared, frame).first_mut() else { return };
        if !coder.takes(frame.at_ms) || !is_possible(frame) {
            let samples = frame.samples.len() as u64;
            self.shared.late_samples.fetch_add(samples, Ordering::Relaxed);
            if let Some(gap) = coder.clock_gap(frame) {
                written.tell(gap, records);
            }
            return;
        }
        for sample in &frame.samples {
            self.latest.note(sample.series, frame.at_ms);
        }
        let samples = (frame.at_ms, &frame.samples[..]);
        let encoded = coder.encode(&self.shared, &mut self.encoding, samples, 0, records);
        written.frames.extend(encoded);
    }

    /// Encodes what is new of a frame from elsewhere, the `number`th of its batch, and says what became of its samples.
    fn encode_arrived(
        &mut self,
        (number, frame): (usize, &Frame),
        records: &mut Records,
        written: &mut Written,
        judged: &mut Judged,
    ) {
        let too_late = |samples: &[Sample], judged: &mut Judged| {
            judged.kept.late += samples.len() as u64;
            judged.left_out.0.extend(samples.iter().map(|sample| (number, sample.series)));
        };
        if !is_possible(frame) {
            too_late(&frame.samples, judged);
            return;
        }
        self.latest.look_back(&self.shared, frame.at_ms);
        self.arrivals.judge((number, frame), &self.latest, judged);
        let coders = self.coders.of(&self.shared, frame);
        if !self.arrivals.old.is_empty() {
            let so_far = (&written.frames[..], &records.bytes[..]);
            let whose = (&coders[..], frame.at_ms);
            let asked = &self.arrivals.old;
            let found = written.recall.find(&self.shared, whose, asked, so_far);
            let when = (&self.latest, written.now_ms);
            self.arrivals.judge_old((number, frame), when, &found, judged);
        }
        if self.arrivals.new.is_empty() {
            return;
        }
        let Some(coder) = self.arrivals.lane(&self.shared, coders, frame) else {
            too_late(&self.arrivals.new, judged);
            return;
        };
        let samples = (frame.at_ms, &self.arrivals.new[..]);
        for sample in samples.1 {
            self.latest.note(sample.series, frame.at_ms);
        }
        let encoded = coder.encode(&self.shared, &mut self.encoding, samples, LASTING, records);
        let stored = encoded.as_ref().map_or(0, |encoded| encoded.samples);
        judged.kept.stored += stored;
        // A series that stands twice in its frame.
        judged.kept.known += samples.1.len() as u64 - stored;
        written.frames.extend(encoded);
    }
}

/// Whether a frame is of a time that can be, and no larger than any may be.
fn is_possible(frame: &Frame) -> bool {
    TIMES.contains(&frame.at_ms) && frame.samples.len() <= FRAME_SAMPLES_MAX
}
