//! Reading along behind the writer: what was appended, in the order in which it was, from a place that its reader
//! remembers.

use std::sync::atomic::Ordering;

use serde::{Deserialize, Serialize};

use super::{
    StoreError, log::log_path, log_cursor::LogCursor, reader::StoreReader, shared::Shared,
};
use crate::series::{Frame, Gap};

/// A place in the log: everything before it has been read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LogPlace {
    /// Number of the file.
    pub sequence: u64,
    /// Bytes of it.
    pub offset: u64,
}

/// What was appended.
#[derive(Debug, Clone, PartialEq)]
pub enum Appended {
    /// Samples.
    Frame(Frame),
    /// A gap began or ended. One that is open ends with the next frame of its collector, which is not told again.
    Gap(Gap),
}

/// Some of what was appended, and where it ends.
#[derive(Debug, Clone, PartialEq)]
pub struct Passage {
    /// What was appended, in order.
    pub appended: Vec<Appended>,
    /// Everything before this place has been read.
    pub end: LogPlace,
    /// Whether something before was deleted, to make room, before it was read.
    pub lost: bool,
}

/// Reads the log from a place on. Blocks on the disk.
#[derive(Debug)]
pub struct LogTail {
    reader: StoreReader,
    place: Option<LogPlace>,
    cursor: Option<LogCursor>,
}

impl StoreReader {
    /// Reads what was appended after `place`; without one, what is appended from now on, or from the first reading on
    /// where no store is open yet.
    pub fn tail(&self, place: Option<LogPlace>) -> LogTail {
        LogTail { reader: self.clone(), place: place.or_else(|| self.log_end()), cursor: None }
    }

    /// The end of the log as it is now; `None` while no store is open.
    pub fn log_end(&self) -> Option<LogPlace> {
        self.shared().map(|shared| end_of(&shared))
    }

    /// Bytes of log between `place` and the end; roughly what is still to be read, as bytes on the disk.
    pub fn log_bytes_after(&self, place: LogPlace) -> u64 {
        self.shared().map_or(0, |shared| shared.log_bytes_after(place.sequence, place.offset))
    }
}

impl LogTail {
    /// The next stretch, of about `most` samples; empty where there is nothing more yet.
    ///
    /// A frame that stood in a lane is its collector's. Frames of one series come in the order of their times.
    pub fn next(&mut self, most: usize) -> Result<Passage, StoreError> {
        let shared = self.reader.shared().ok_or(StoreError::Closed)?;
        let place = self.place.unwrap_or_else(|| end_of(&shared));
        let mut passage = Passage { appended: Vec::new(), end: place, lost: false };
        let read = self.read(&shared, most, &mut passage);
        if read.is_err() {
            // It has gone further than its reader will remember.
            self.cursor = None;
        }
        read?;
        self.place = Some(passage.end);
        Ok(passage)
    }

    fn read(
        &mut self,
        shared: &Shared,
        most: usize,
        passage: &mut Passage,
    ) -> Result<(), StoreError> {
        let mut samples = 0;
        while samples < most {
            let Some(cursor) = self.cursor_at(shared, passage)? else { return Ok(()) };
            let failed =
                |sequence| StoreError::file("read log", log_path(&shared.log_folder(), sequence));
            let (length, next) = shared.log_after(cursor.sequence);
            // A file that is neither written nor held was deleted behind us, and is whole.
            let end =
                length.map_or_else(|| cursor.length(), Ok).map_err(failed(cursor.sequence))?;
            while samples < most
                && let Some(appended) = cursor.next(end).map_err(failed(cursor.sequence))?
            {
                samples += match &appended {
                    Appended::Frame(frame) => frame.samples.len(),
                    Appended::Gap(_) => 1,
                };
                passage.appended.push(appended);
            }
            passage.lost |= std::mem::take(&mut cursor.lost);
            passage.end = LogPlace { sequence: cursor.sequence, offset: cursor.at };
            match next.filter(|_| cursor.at >= end) {
                Some(next) => {
                    passage.lost |= shared.has_lost_between(cursor.sequence, next);
                    passage.end = LogPlace { sequence: next, offset: 0 };
                    self.cursor = None;
                }
                None if cursor.at >= end => return Ok(()),
                None => (),
            }
        }
        Ok(())
    }

    /// The cursor at the end of the passage; where that file is gone, at the next one. `None` if there is none yet.
    fn cursor_at(
        &mut self,
        shared: &Shared,
        passage: &mut Passage,
    ) -> Result<Option<&mut LogCursor>, StoreError> {
        let here = |cursor: &LogCursor, place: LogPlace| {
            cursor.sequence == place.sequence && cursor.at >= place.offset
        };
        while !self.cursor.as_ref().is_some_and(|cursor| here(cursor, passage.end)) {
            let LogPlace { sequence, offset } = passage.end;
            let failed = || StoreError::file("read log", log_path(&shared.log_folder(), sequence));
            let Some(file) = shared.open_log(sequence).map_err(failed())? else {
                let Some(next) = shared.next_log(sequence) else { return Ok(None) };
                passage.lost |= shared.may_have_lost((sequence, offset), next);
                passage.end = LogPlace { sequence: next, offset: 0 };
                continue;
            };
            let mut cursor = LogCursor::new(file, sequence);
            cursor.skip_to(offset).map_err(failed())?;
            self.cursor = Some(cursor);
        }
        Ok(self.cursor.as_mut())
    }
}

/// Where the next record will stand.
fn end_of(shared: &Shared) -> LogPlace {
    let newest = shared.logs().last_key_value().map(|(sequence, length)| (*sequence, *length));
    let in_use = shared.sequence.load(Ordering::Relaxed);
    let (sequence, offset) = newest.unwrap_or((in_use, 0));
    LogPlace { sequence, offset }
}
