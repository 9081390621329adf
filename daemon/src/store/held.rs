//! Log files that are kept for those who read along, though all they hold is sealed.
//!
//! # Invariants
//!
//! - A file that a reader still needs is moved to `log/held/` instead of being deleted. Files there are not read at
//!   the start: segments hold all of it.
//! - They take at most a quarter of `store.max_bytes`: beyond it the oldest go. Within it they stay while there are
//!   segments to delete, since a store is full most of its life, and what was not sent yet is nowhere else.
//! - The folder `log/held/` is there as long as anybody holds a file. Where it is found at the start, everything is
//!   held until [`Shared::holders_are`] has said who may.

use std::{
    collections::BTreeMap,
    io::{self, ErrorKind},
    path::PathBuf,
    sync::atomic::Ordering,
};

use super::{
    StoreError,
    disk::{self, File},
    log::{LOG_HEADER, log_files, log_path},
    shared::{Shared, remove_if_there},
};

/// So many deleted files are remembered, with their lengths.
const GONE_MAX: usize = 1024;

/// Who holds what.
#[derive(Debug, Default)]
pub(super) struct Held {
    /// Numbers and lengths of the files that were moved aside.
    files: BTreeMap<u64, u64>,
    /// The first file that each holder needs.
    holders: BTreeMap<String, u64>,
    /// There were holders before the start, and nobody has said who they are.
    is_open: bool,
    /// Deleted files and their lengths.
    gone: BTreeMap<u64, u64>,
}

impl Held {
    fn needs(&self, sequence: u64) -> bool {
        self.is_open || self.holders.values().any(|first| *first <= sequence)
    }
}

impl Shared {
    /// The folder of held log files.
    pub(super) fn held_folder(&self) -> PathBuf {
        self.log_folder().join("held")
    }

    /// Looks for what was held before the start.
    pub(super) fn find_held(&self) {
        if let Ok(files) = log_files(&self.held_folder()) {
            let mut held = self.held();
            held.files = files.into_iter().collect();
            held.is_open = true;
        }
    }

    /// Bytes in held log files.
    pub(super) fn held_bytes(&self) -> u64 {
        self.held().files.values().sum()
    }

    /// The first file that `name` needs; with `None` it needs none any more.
    pub(super) fn hold_log(&self, name: &str, sequence: Option<u64>) {
        let is_first = {
            let mut held = self.held();
            let is_first = held.holders.is_empty();
            match sequence {
                Some(sequence) => held.holders.insert(name.to_owned(), sequence),
                None => held.holders.remove(name),
            };
            is_first && sequence.is_some()
        };
        let folder = self.held_folder();
        if is_first && let Err(error) = disk::create_dir_all(&folder) {
            // Files are moved there later, and that is tried again.
            tracing::warn!(%error, folder = %folder.display(), "store cannot make the folder of held log files");
        }
    }

    /// Only these hold files; who has not said from where on holds all.
    pub(super) fn holders_are(&self, names: &[&str]) {
        let mut held = self.held();
        held.is_open = false;
        held.holders.retain(|name, _| names.contains(&name.as_str()));
        for name in names {
            held.holders.entry((*name).to_owned()).or_insert(0);
        }
    }

    /// Deletes a log file of which everything is sealed, or moves it aside for those who still need it.
    pub(super) fn retire_log(&self, sequence: u64) -> Result<(), StoreError> {
        let from = log_path(&self.log_folder(), sequence);
        let bytes = self.logs().get(&sequence).copied().unwrap_or_default();
        if self.held().needs(sequence) {
            let folder = self.held_folder();
            disk::create_dir_all(&folder).map_err(StoreError::file("make folder", &folder))?;
            match disk::rename(&from, log_path(&folder, sequence)) {
                // A reader looks among the log files first: it must not find the file nowhere.
                Ok(()) => drop(self.held().files.insert(sequence, bytes)),
                Err(error) if error.kind() == ErrorKind::NotFound => (),
                Err(error) => return Err(StoreError::file("move log aside", from)(error)),
            }
            self.logs().remove(&sequence);
            return Ok(());
        }
        remove_if_there(&from)?;
        self.forget_log(sequence, bytes);
        Ok(())
    }

    /// Takes note of a deleted log file.
    pub(super) fn forget_log(&self, sequence: u64, bytes: u64) {
        self.logs().remove(&sequence);
        let mut held = self.held();
        held.gone.insert(sequence, bytes);
        if held.gone.len() > GONE_MAX {
            held.gone.pop_first();
        }
    }

    /// Deletes held files that nobody needs, and the oldest of those that are too much.
    pub(super) fn release_held(&self) -> Result<(), StoreError> {
        loop {
            let most = self.limits.max_bytes / 4;
            let bytes = self.held_bytes();
            let oldest = {
                let held = self.held();
                let oldest = held.files.first_key_value().map(|(sequence, _)| *sequence);
                oldest.filter(|oldest| bytes > most || !held.needs(*oldest))
            };
            if oldest.is_none() {
                break;
            }
            self.drop_oldest_held()?;
        }
        let nobody = {
            let held = self.held();
            !held.is_open && held.holders.is_empty()
        };
        if nobody {
            // Most often it is not there.
            let _ = disk::remove_dir(self.held_folder());
        }
        Ok(())
    }

    /// Deletes the oldest held file; whether there was one.
    pub(super) fn drop_oldest_held(&self) -> Result<bool, StoreError> {
        let oldest =
            self.held().files.first_key_value().map(|(sequence, bytes)| (*sequence, *bytes));
        let Some((sequence, bytes)) = oldest else { return Ok(false) };
        if self.held().needs(sequence) {
            tracing::warn!(
                log = sequence,
                "store deleted a log file that was not read to its end, to make room"
            );
        }
        remove_if_there(&log_path(&self.held_folder(), sequence))?;
        self.held().files.remove(&sequence);
        self.forget_log(sequence, bytes);
        Ok(true)
    }

    /// How far the file `sequence` has been written, as far as that is known, and the number of the next one that
    /// is there.
    pub(super) fn log_after(&self, sequence: u64) -> (Option<u64>, Option<u64>) {
        // In this order: a file goes from one to the other.
        let (length, next) = {
            let logs = self.logs();
            let next = logs.range(sequence + 1..).next().map(|(next, _)| *next);
            (logs.get(&sequence).copied(), next)
        };
        let held = self.held();
        let next_held = held.files.range(sequence + 1..).next().map(|(next, _)| *next);
        let length = length.or_else(|| held.files.get(&sequence).copied());
        (length, next.into_iter().chain(next_held).min())
    }

    /// The number of the file to go on with behind `sequence`, which is gone; `None` if it is still to be begun.
    pub(super) fn next_log(&self, sequence: u64) -> Option<u64> {
        let next = self.log_after(sequence).1;
        // A place from beyond the end is one in another log: this one is read from its beginning.
        let is_beyond = sequence > self.sequence.load(Ordering::Relaxed);
        next.or_else(|| is_beyond.then(|| self.log_after(0).1).flatten())
    }

    /// Whether a file between these two was deleted.
    pub(super) fn has_lost_between(&self, sequence: u64, next: u64) -> bool {
        let held = self.held();
        let mut gone = held.gone.range(sequence + 1..next).map(|(_, length)| *length);
        gone.any(|length| length > LOG_HEADER as u64)
    }

    /// Opens a log file wherever it stands; `None` if it is gone.
    pub(super) fn open_log(&self, sequence: u64) -> io::Result<Option<File>> {
        for folder in [self.log_folder(), self.held_folder()] {
            match File::open(log_path(&folder, sequence)) {
                Err(error) if error.kind() == ErrorKind::NotFound => (),
                file => return file.map(Some),
            }
        }
        Ok(None)
    }

    /// Whether something that stands behind `offset` in the file `sequence`, or between that file and `next`, may
    /// have been deleted.
    pub(super) fn may_have_lost(&self, (sequence, offset): (u64, u64), next: u64) -> bool {
        let header = LOG_HEADER as u64;
        let is_cut = match self.held().gone.get(&sequence) {
            Some(length) => *length > offset.max(header),
            // A file that was never begun, or emptied and left, has no length; more than one were written to.
            None => offset > header || next > sequence + 1,
        };
        is_cut || next < sequence || self.has_lost_between(sequence, next)
    }

    /// Bytes of log that stand behind `offset` in the file `sequence`.
    pub(super) fn log_bytes_after(&self, sequence: u64, offset: u64) -> u64 {
        let behind = |(number, bytes): (&u64, &u64)| {
            if *number == sequence { bytes.saturating_sub(offset) } else { *bytes }
        };
        let logs: u64 = self.logs().range(sequence..).map(behind).sum();
        let held: u64 = self.held().files.range(sequence..).map(behind).sum();
        logs + held
    }
}
