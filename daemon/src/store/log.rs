//! The log: numbered files of records, written at the end and read once, at start.
//!
//! # Invariants
//!
//! - What [`Log::append`] returned from has reached the kernel: it survives `kill -9`.
//! - A file that refused a write is never written again; the next one is begun.
//! - Reading never stops at a damage: it goes on at the next whole record, and
//!   says what it left out.

use std::{
    fs, io,
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    disk::{File, remove_file, sync_folder},
    numbers,
    record::{Record, read_record, record_at},
};

const MAGIC: &[u8; 4] = b"BZLG";
const VERSION: u16 = 1;
/// Bytes before the first record: magic, version, flags, number, id of the store.
pub(super) const LOG_HEADER: usize = 32;

/// The file that is being written.
#[derive(Debug)]
pub(super) struct Log {
    file: Arc<File>,
    sequence: u64,
    length: u64,
}

impl Log {
    /// Begins the file `sequence` in the folder `logs`.
    pub(super) fn create(logs: &Path, sequence: u64, store: u128) -> io::Result<Self> {
        let header = header(sequence, store);
        let path = log_path(logs, sequence);
        let file = File::create_new(&path)?;
        if let Err(error) = file.write_all(&header).and_then(|()| sync_folder(logs)) {
            // Left behind, it would be in the way of the next attempt.
            let _ = remove_file(&path);
            return Err(error);
        }
        Ok(Self { file: Arc::new(file), sequence, length: LOG_HEADER as u64 })
    }

    /// Writes records to the end. After an error this file takes no more.
    pub(super) fn append(&mut self, records: &[u8]) -> io::Result<()> {
        let written = self.file.write_all(records);
        match written {
            Ok(()) => self.length += records.len() as u64,
            // A half-written record would look like damage at the next start.
            Err(_) => drop(self.file.set_len(self.length)),
        }
        written
    }

    /// Number of the file.
    pub(super) fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Bytes in the file.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// The file itself, for whoever syncs it.
    pub(super) fn file(&self) -> Arc<File> {
        self.file.clone()
    }
}

/// What the file `sequence` begins with.
pub(super) fn header(sequence: u64, store: u128) -> [u8; LOG_HEADER] {
    let mut header = [0; LOG_HEADER];
    header[..4].copy_from_slice(MAGIC);
    header[4..6].copy_from_slice(&VERSION.to_le_bytes());
    header[8..16].copy_from_slice(&sequence.to_le_bytes());
    header[16..].copy_from_slice(&store.to_le_bytes());
    header
}

/// Where the file `sequence` stands.
pub(super) fn log_path(logs: &Path, sequence: u64) -> PathBuf {
    logs.join(format!("{sequence:016x}.log"))
}

/// Numbers and sizes of the files in the folder `logs`, ascending.
pub(super) fn log_files(logs: &Path) -> io::Result<Vec<(u64, u64)>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(logs)? {
        let entry = entry?;
        let name = entry.file_name();
        let number = name.to_str().and_then(|name| name.strip_suffix(".log"));
        if let Some(sequence) = number.and_then(numbers::of_file) {
            files.push((sequence, entry.metadata()?.len()));
        }
    }
    files.sort_unstable();
    Ok(files)
}

/// What a reader of a log is told.
#[derive(Debug, PartialEq)]
pub(super) enum Found<'a> {
    /// The next record.
    Record(Record<'a>),
    /// What stood in these bytes is lost.
    Lost(Range<usize>),
}

/// Reads all records of a file and answers where the last whole one ends.
///
/// Whatever stands behind that end is a torn tail, and is not told as lost.
pub(super) fn read_log(file: &[u8], sequence: u64, mut each: impl FnMut(Found<'_>)) -> usize {
    let mut end = LOG_HEADER.min(file.len());
    let mut at = end;
    while at < file.len() {
        let Some(length) = record_at(&file[at..], sequence, at as u64) else {
            at += 1;
            continue;
        };
        if at > end {
            each(Found::Lost(end..at));
        }
        end = at + length;
        match read_record(&file[at..end]) {
            Some(record) => each(Found::Record(record)),
            None => each(Found::Lost(at..end)),
        }
        at = end;
    }
    end
}
