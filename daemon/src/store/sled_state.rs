//! The state in sled: the only file that uses it.
//!
//! # Invariants
//!
//! - sled's `flush` is no fsync: a change counts as kept only after an fdatasync
//!   of our own on sled's file.
//! - An error is sticky in sled (a full disk, say): the database is closed, and
//!   opened again for the next call.
//! - On a full disk the reserve is given up before a change is refused.
//! - A database that does not open, or not in time, is put aside, never repaired.

use std::{
    fs::{self, File},
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, mpsc},
    thread,
    time::{Duration, Instant},
};

use super::{
    StoreError,
    disk::sync_folder,
    reserve::{give_up, is_full},
    shared::lock,
    state::{Changes, Contents, StateStore},
};
use crate::logging::chain;

/// A database that takes longer to open has to be counted as damaged.
const OPEN_LIMIT: Duration = Duration::from_secs(30);
/// How long sled's file may be held by somebody who is about to let go of it.
const HELD_LIMIT: Duration = Duration::from_secs(5);
/// What sled aims at for its cache; it takes several times as much.
const CACHE_BYTES: u64 = 4 << 20;

/// sled, in a folder.
pub(super) struct SledState {
    path: PathBuf,
    open: Option<Open>,
}

struct Open {
    database: sled::Db,
    /// Another descriptor of sled's file, to sync it by.
    file: File,
}

impl SledState {
    /// Opens the database in `path`, or makes one, and reads all of it.
    ///
    /// sled may panic or hang on a damaged folder, so it is tried on a thread of its own.
    pub(super) fn open(path: &Path) -> Result<(Self, Contents), StoreError> {
        let mut state = Self { path: path.to_owned(), open: None };
        let (sender, receiver) = mpsc::sync_channel(1);
        let attempt = move || {
            let read = catch_unwind(AssertUnwindSafe(|| {
                let mut contents = Contents::default();
                state.scan(&mut |key, value| contents.take_in(key, value))?;
                Ok((state, contents))
            }));
            let panicked = || Err(failed("open")(io::Error::other("sled panicked").into()));
            // Nobody waits any more if it took too long.
            let _ = sender.send(read.unwrap_or_else(|_| panicked()));
        };
        let name = "store-open".to_owned();
        thread::Builder::new().name(name).spawn(attempt).map_err(StoreError::Thread)?;
        let silent = StoreError::StateSilent { step: "open", seconds: OPEN_LIMIT.as_secs() };
        receiver.recv_timeout(OPEN_LIMIT).unwrap_or(Err(silent))
    }

    fn database(&mut self) -> Result<&Open, StoreError> {
        if self.open.is_none() {
            remove_half_snapshots(&self.path).map_err(StoreError::file("clean", &self.path))?;
            let config = sled::Config::new()
                .path(&self.path)
                .cache_capacity(CACHE_BYTES)
                .flush_every_ms(None);
            let database = open_patiently(&config).map_err(failed("open"))?;
            let file = self.path.join("db");
            let file = File::open(&file).map_err(StoreError::file("open", file))?;
            // What has no name after a power cut was not kept.
            for folder in [Some(&*self.path), self.path.parent()].into_iter().flatten() {
                sync_folder(folder).map_err(StoreError::file("sync folder", folder))?;
            }
            self.open = Some(Open { database, file });
        }
        self.open.as_ref().ok_or(StoreError::Closed)
    }

    fn try_keep(&mut self, changes: &Changes) -> Result<(), StoreError> {
        let kept = catch_unwind(AssertUnwindSafe(|| self.keep(changes)));
        let panicked = || Err(failed("write")(io::Error::other("sled panicked").into()));
        let kept = kept.unwrap_or_else(|_| panicked());
        if kept.is_err() {
            self.open = None;
        }
        kept
    }

    fn keep(&mut self, changes: &Changes) -> Result<(), StoreError> {
        let file = self.path.join("db");
        let open = self.database()?;
        let mut batch = sled::Batch::default();
        for (key, value) in &changes.0 {
            match value {
                Some(value) => batch.insert(&key[..], &value[..]),
                None => batch.remove(&key[..]),
            }
        }
        open.database.apply_batch(batch).map_err(failed("write"))?;
        open.database.flush().map_err(failed("flush"))?;
        open.file.sync_data().map_err(StoreError::file("sync", file))?;
        #[cfg(test)]
        super::disk_faults::synced_state(&self.path);
        Ok(())
    }
}

impl StateStore for SledState {
    fn scan(&mut self, each: &mut dyn FnMut(&[u8], &[u8])) -> Result<(), StoreError> {
        // An iterator repeats an error for ever: stop at the first.
        for entry in self.database()?.database.iter() {
            let (key, value) = entry.map_err(failed("read"))?;
            each(&key, &value);
        }
        Ok(())
    }

    fn apply(&mut self, changes: &Changes) -> Result<(), StoreError> {
        let kept = self.try_keep(changes);
        let folder = self.path.parent().unwrap_or(&self.path);
        if kept.as_ref().is_err_and(|error| is_full(error) && give_up(folder)) {
            return self.try_keep(changes);
        }
        kept
    }
}

/// What can still be read of a database.
#[derive(Debug)]
pub(super) struct Salvage {
    /// Keys and their values, in their order.
    pub(super) pairs: Vec<(Vec<u8>, Vec<u8>)>,
    /// Why this is not all.
    pub(super) damage: Option<String>,
}

/// Reads as much of the database in `path` as can be read. It may be changed by that: give a copy.
pub(super) fn salvage(path: &Path) -> Result<Salvage, StoreError> {
    let mut state = SledState { path: path.to_owned(), open: None };
    let pairs = Arc::new(Mutex::new(Vec::new()));
    let (sender, receiver) = mpsc::sync_channel(1);
    let told = pairs.clone();
    let attempt = move || {
        let read = catch_unwind(AssertUnwindSafe(|| {
            state.scan(&mut |key, value| lock(&told).push((key.to_vec(), value.to_vec())))
        }));
        let panicked = || Err(failed("open")(io::Error::other("sled panicked").into()));
        drop(state);
        // Nobody waits any more if it took too long.
        let _ = sender.send(read.unwrap_or_else(|_| panicked()));
    };
    let name = "store-salvage".to_owned();
    thread::Builder::new().name(name).spawn(attempt).map_err(StoreError::Thread)?;
    let silent = StoreError::StateSilent { step: "open", seconds: OPEN_LIMIT.as_secs() };
    let damage = receiver.recv_timeout(OPEN_LIMIT).unwrap_or(Err(silent)).err();
    let pairs = std::mem::take(&mut *lock(&pairs));
    Ok(Salvage { pairs, damage: damage.map(|error| chain(&error)) })
}

/// Opens the database; a thread of an earlier life may still hold it for a moment.
fn open_patiently(config: &sled::Config) -> sled::Result<sled::Db> {
    let until = Instant::now() + HELD_LIMIT;
    loop {
        match config.open() {
            Err(sled::Error::Io(error))
                if error.to_string().starts_with("could not acquire lock")
                    && Instant::now() < until =>
            {
                thread::sleep(Duration::from_millis(20));
            }
            opened => return opened,
        }
    }
}

fn failed(step: &'static str) -> impl FnOnce(sled::Error) -> StoreError {
    move |source| StoreError::State { step, source }
}

/// A snapshot that was being written when the daemon was killed keeps sled from
/// opening for ever; the data is whole without it.
fn remove_half_snapshots(path: &Path) -> io::Result<()> {
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let entry = entry?;
        if entry.file_name().to_string_lossy().ends_with(".generating") {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}
