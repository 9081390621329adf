//! Reading one log file along behind its writer, record by record.
//!
//! # Invariants
//!
//! - Nothing is read beyond the length that was published: what stands behind may be half a record.
//! - A frame is told only behind its own key frame, with nothing lost between.

use std::{collections::HashMap, io, sync::Arc};

use super::{
    delta::Delta,
    disk::File,
    lanes::collector_of,
    log::LOG_HEADER,
    record::{FrameRecord, RECORD_MAX, Record, Schema, read_record, record_at},
    tail::Appended,
    wire::Input,
};
use crate::series::{Frame, Sample};

/// So much is read in one piece, unless a record is longer.
const READ_BYTES: u64 = 256 << 10;

/// A log file and how far it has been read.
#[derive(Debug)]
pub(super) struct LogCursor {
    file: File,
    pub(super) sequence: u64,
    /// Where the next record begins.
    pub(super) at: u64,
    /// What has been read of the file, and where that begins.
    buffer: Vec<u8>,
    buffer_at: u64,
    readings: HashMap<u64, Reading>,
    /// Whether something could not be read since this was last asked.
    pub(super) lost: bool,
}

/// A schema, whose it is, and how far its frames have been followed.
#[derive(Debug)]
struct Reading {
    schema: Schema,
    collector: Arc<str>,
    delta: Delta,
    whole: bool,
}

impl LogCursor {
    /// Begins at the first record of the file `sequence`.
    pub(super) fn new(file: File, sequence: u64) -> Self {
        let at = LOG_HEADER as u64;
        let (buffer, readings) = (Vec::new(), HashMap::new());
        Self { file, sequence, at, buffer, buffer_at: at, readings, lost: false }
    }

    /// Goes on to `offset`, for the sake of what frames behind it build on.
    pub(super) fn skip_to(&mut self, offset: u64) -> io::Result<()> {
        // A tail that a power cut has torn off may have been read before.
        let end = offset.min(self.length()?);
        while self.step(end, false)?.is_some() {}
        self.at = self.at.max(offset);
        self.lost = false;
        Ok(())
    }

    /// Bytes in the file.
    pub(super) fn length(&self) -> io::Result<u64> {
        self.file.length()
    }

    /// What comes next before `end`; `None` where there is nothing more.
    pub(super) fn next(&mut self, end: u64) -> io::Result<Option<Appended>> {
        while let Some(found) = self.step(end, true)? {
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    /// Reads one record before `end`, if there is one; answers what it tells where that is wanted.
    fn step(&mut self, end: u64, wanted: bool) -> io::Result<Option<Option<Appended>>> {
        let Some(length) = self.find_record(end)? else { return Ok(None) };
        let from = (self.at - self.buffer_at) as usize;
        self.at += length as u64;
        let found = match read_record(&self.buffer[from..from + length]) {
            Some(Record::Frame(frame)) => {
                let read = take_frame(&mut self.readings, frame, wanted);
                self.lost |= read.is_none();
                read.flatten().map(Appended::Frame)
            }
            Some(Record::Gap(gap)) => wanted.then_some(Appended::Gap(gap)),
            Some(Record::Series(..) | Record::Stop) => None,
            None => {
                self.damaged();
                None
            }
        };
        Ok(Some(found))
    }

    /// The length of the next whole record before `end`, which is in the buffer then.
    fn find_record(&mut self, end: u64) -> io::Result<Option<usize>> {
        loop {
            if self.at + 8 > end {
                self.at = self.at.max(end);
                return Ok(None);
            }
            self.fill(8, end)?;
            let from = (self.at - self.buffer_at) as usize;
            let mut input = Input::new(&self.buffer[from..]);
            let length = input.array().map_or(0, u32::from_le_bytes) as usize + 8;
            if length <= RECORD_MAX && self.at + length as u64 <= end {
                self.fill(length, end)?;
                let from = (self.at - self.buffer_at) as usize;
                if let Some(length) = record_at(&self.buffer[from..], self.sequence, self.at) {
                    return Ok(Some(length));
                }
            }
            self.damaged();
            self.at += 1;
        }
    }

    /// Sees to it that `length` bytes from the next record on are in the buffer.
    fn fill(&mut self, length: usize, end: u64) -> io::Result<()> {
        let has = self.buffer_at + self.buffer.len() as u64;
        if self.at + length as u64 <= has {
            return Ok(());
        }
        let consumed = (self.at - self.buffer_at) as usize;
        self.buffer.drain(..consumed.min(self.buffer.len()));
        self.buffer_at = self.at;
        let kept = self.buffer.len();
        let wanted = (length as u64).max(READ_BYTES).min(end - self.at) as usize;
        self.buffer.resize(wanted.max(kept), 0);
        self.file.read_exact_at(&mut self.buffer[kept..], self.at + kept as u64)
    }

    /// What was read cannot be believed: frames are told again from their next key frame on.
    fn damaged(&mut self) {
        self.lost = true;
        self.readings.values_mut().for_each(|reading| reading.whole = false);
    }
}

/// The frame, where it is wanted; `None` if it cannot be read.
fn take_frame(
    readings: &mut HashMap<u64, Reading>,
    frame: FrameRecord<'_>,
    wanted: bool,
) -> Option<Option<Frame>> {
    if let Some(schema) = frame.definition {
        let delta = Delta::new(schema.series.len());
        let own = collector_of(&schema.collector);
        let is_same = own.len() == schema.collector.len();
        let collector = if is_same { schema.collector.clone() } else { own.into() };
        readings.insert(frame.schema, Reading { schema, collector, delta, whole: true });
    }
    let reading = readings.get_mut(&frame.schema).filter(|reading| reading.whole)?;
    let mut input = Input::new(frame.body);
    let ids = &reading.schema.series;
    let mut samples = Vec::with_capacity(if wanted { ids.len() } else { 0 });
    let read = reading.delta.decode(frame.head, &mut input, |column, value| {
        if wanted {
            samples.push(Sample { series: ids[column], value });
        }
    });
    let Some(at_ms) = read.filter(|_| input.is_empty()) else {
        reading.whole = false;
        return None;
    };
    let (server, collector) = (reading.schema.server.clone(), reading.collector.clone());
    Some(wanted.then_some(Frame { server, collector, at_ms, samples }))
}
