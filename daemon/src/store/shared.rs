//! What writer, keeper and readers share: what is where, and how much of it.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
        atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering},
    },
};

use super::{
    StoreError, disk,
    errands::Errands,
    heads::Heads,
    held::Held,
    reserve::{Shortage, reserve_bytes},
    room::Plans,
    segment::{DAY_MS, SegmentFacts},
    syncing::Syncing,
    trouble::{Part, Trouble, Troubles},
};
use crate::series::{Catalog, now_ms};

/// Shared by the store's threads and its readers.
#[derive(Debug)]
pub(super) struct Shared {
    /// The state folder.
    pub(super) path: PathBuf,
    /// The series.
    pub(super) catalog: Arc<Catalog>,
    /// The limits.
    pub(super) limits: Limits,
    view: RwLock<View>,
    logs: Mutex<BTreeMap<u64, u64>>,
    held: Mutex<Held>,
    segment_bytes: AtomicU64,
    /// Whoever deletes to make room.
    pub(super) making_room: Mutex<()>,
    /// What is being written, or about to be.
    pub(super) planned: Plans,
    /// Everything in the folder that is neither log nor segment, as last measured.
    pub(super) other_bytes: AtomicU64,
    /// Bytes written since the start, all files together but sled's.
    pub(super) written_bytes: AtomicU64,
    /// Samples that were refused because they were not newer than their collector's
    /// last, or from no possible time.
    pub(super) late_samples: AtomicU64,
    /// Why each part cannot be written at present, and why soon it may not be.
    troubles: Mutex<Troubles>,
    /// What a full disk may cost.
    pub(super) shortage: Mutex<Shortage>,
    /// There is no room on the disk for the reserve.
    pub(super) is_short: AtomicBool,
    /// Segments that are gone and that the state still names.
    dropped_segments: Mutex<Vec<u64>>,
    /// What the state has not been told of segments.
    untold_segments: Mutex<Vec<SegmentFacts>>,
    /// Segments whose content is in another one now.
    pub(super) replaced: Mutex<BTreeMap<u64, u64>>,
    /// Number of the next segment.
    next_segment: AtomicU64,
    /// The state has all series below this number.
    pub(super) indexed_series: AtomicUsize,
    /// Log files to be synced, and who waits for it.
    pub(super) syncing: Syncing,
    /// The log shall go on in a new file.
    pub(super) rotate: AtomicBool,
    /// What the keeper is asked to do.
    pub(super) errands: Errands,
    /// Number of the log file in use, and when writer and keeper were last seen alive.
    pub(super) sequence: AtomicU64,
    pub(super) writer_beat_ms: AtomicI64,
    pub(super) keeper_beat_ms: AtomicI64,
    /// Days below this one, counted from 1970, are over and sealed.
    pub(super) sealed_below: AtomicI64,
    /// Everything that can be settled shall be, without waiting for more to come.
    pub(super) settle_at_once: AtomicBool,
}

/// What there is, at one instant.
#[derive(Debug, Default)]
pub(super) struct View {
    /// What is not sealed.
    pub(super) heads: Heads,
    /// What is, by number: of one collector, a later segment holds later samples.
    pub(super) segments: BTreeMap<u64, Arc<SegmentFacts>>,
}

/// Sizes that follow from `store.max_bytes`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Of the whole folder.
    pub(super) max_bytes: u64,
    /// Of one log file.
    pub(super) log_file: u64,
    /// Of all log files; beyond it everything is sealed.
    pub(super) logs: u64,
    /// Of segments that are merged into one at once, and so of what is written beside them.
    pub(super) settled: u64,
    /// Of the file that keeps room free on the disk.
    pub(super) reserve: u64,
    /// Left free for what sled writes between two measurements.
    pub(super) headroom: u64,
}

impl Limits {
    /// The limits of a folder of `max_bytes`.
    pub(super) fn new(max_bytes: u64) -> Self {
        Self {
            max_bytes,
            log_file: (64 << 20).min(max_bytes / 16),
            logs: (100 << 20).min(max_bytes / 4),
            settled: (512 << 20).min(max_bytes / 32),
            reserve: reserve_bytes(max_bytes),
            headroom: (8 << 20).min(max_bytes / 8),
        }
    }
}

impl Shared {
    /// Starts with what was found in the folder, and the number of the next segment.
    pub(super) fn new(
        path: PathBuf,
        catalog: Arc<Catalog>,
        limits: Limits,
        view: View,
        next_segment: u64,
    ) -> Self {
        let segment_bytes = view.segments.values().map(|facts| facts.bytes).sum();
        Self {
            path,
            catalog,
            limits,
            view: RwLock::new(view),
            logs: Mutex::default(),
            held: Mutex::default(),
            segment_bytes: AtomicU64::new(segment_bytes),
            making_room: Mutex::default(),
            planned: Plans::default(),
            other_bytes: AtomicU64::new(0),
            written_bytes: AtomicU64::new(0),
            late_samples: AtomicU64::new(0),
            troubles: Mutex::default(),
            shortage: Mutex::default(),
            is_short: AtomicBool::new(false),
            dropped_segments: Mutex::default(),
            untold_segments: Mutex::default(),
            replaced: Mutex::default(),
            next_segment: AtomicU64::new(next_segment),
            indexed_series: AtomicUsize::new(0),
            syncing: Syncing::default(),
            rotate: AtomicBool::new(false),
            errands: Errands::default(),
            sequence: AtomicU64::new(0),
            writer_beat_ms: AtomicI64::new(now_ms()),
            keeper_beat_ms: AtomicI64::new(now_ms()),
            sealed_below: AtomicI64::new(now_ms().div_euclid(DAY_MS)),
            settle_at_once: AtomicBool::new(false),
        }
    }

    /// The folder of log files.
    pub(super) fn log_folder(&self) -> PathBuf {
        self.path.join("log")
    }

    /// The folder of segments.
    pub(super) fn segment_folder(&self) -> PathBuf {
        self.path.join("segments")
    }

    /// What there is, to be read. Held for as short as possible.
    pub(super) fn view(&self) -> RwLockReadGuard<'_, View> {
        self.view.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// What there is, to be changed. Held for as short as possible.
    pub(super) fn view_mut(&self) -> RwLockWriteGuard<'_, View> {
        self.view.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The log files and their sizes.
    pub(super) fn logs(&self) -> MutexGuard<'_, BTreeMap<u64, u64>> {
        lock(&self.logs)
    }

    /// The log files that are kept for others, and for whom.
    pub(super) fn held(&self) -> MutexGuard<'_, Held> {
        lock(&self.held)
    }

    /// Bytes in log files that are not sealed yet.
    pub(super) fn log_bytes(&self) -> u64 {
        self.logs().values().sum()
    }

    /// Bytes in segments.
    pub(super) fn segment_bytes(&self) -> u64 {
        self.segment_bytes.load(Ordering::Relaxed)
    }

    /// Deletes a segment.
    pub(super) fn drop_segment(&self, facts: &SegmentFacts) -> Result<(), StoreError> {
        // It is shown no more before it is gone: whoever finds it gone and shown takes that for damage.
        let shown = self.view_mut().segments.remove(&facts.id);
        if let Err(error) = remove_if_there(&facts.path(&self.segment_folder())) {
            self.view_mut().segments.extend(shown.map(|facts| (facts.id, facts)));
            return Err(error);
        }
        if shown.is_some() {
            self.forget_segment(facts);
        }
        Ok(())
    }

    /// A segment that is shown no more has been deleted.
    pub(super) fn forget_segment(&self, facts: &SegmentFacts) {
        self.segment_bytes.fetch_sub(facts.bytes, Ordering::Relaxed);
        lock(&self.dropped_segments).push(facts.id);
        // It is removed with the last segment of its span; before that this fails.
        let _ = facts.path(&self.segment_folder()).parent().map(disk::remove_dir);
    }

    /// Takes a finished segment in; the caller changes the heads under the same lock.
    pub(super) fn add_segment(&self, view: &mut View, facts: SegmentFacts) {
        self.segment_bytes.fetch_add(facts.bytes, Ordering::Relaxed);
        self.forget_finished(&facts);
        view.segments.insert(facts.id, Arc::new(facts));
    }

    /// The number of the next segment, which is no other's.
    pub(super) fn next_segment(&self) -> u64 {
        self.next_segment.fetch_add(1, Ordering::Relaxed)
    }

    /// The segment that holds what the segment `id` held; `None` if retention has deleted it.
    pub(super) fn segment_now(&self, id: u64) -> Option<Arc<SegmentFacts>> {
        let view = self.view();
        let replaced = lock(&self.replaced);
        let mut id = id;
        while let Some(newer) = replaced.get(&id) {
            id = *newer;
        }
        view.segments.get(&id).cloned()
    }

    /// What the state is to be told of segments: all of a call at once.
    pub(super) fn tell_segments(&self, facts: impl IntoIterator<Item = SegmentFacts>) {
        lock(&self.untold_segments).extend(facts);
    }

    /// The state was not told this after all; what it is told since counts for more.
    pub(super) fn tell_segments_again(&self, facts: Vec<SegmentFacts>) {
        lock(&self.untold_segments).splice(0..0, facts);
    }

    /// What the state has not been told of segments.
    pub(super) fn take_untold_segments(&self) -> Vec<SegmentFacts> {
        std::mem::take(&mut *lock(&self.untold_segments))
    }

    /// Segments that are gone since the last call.
    pub(super) fn take_dropped_segments(&self) -> Vec<u64> {
        std::mem::take(&mut *lock(&self.dropped_segments))
    }

    /// Puts back what the state has not been told.
    pub(super) fn remember_dropped_segments(&self, ids: Vec<u64>) {
        lock(&self.dropped_segments).extend(ids);
    }

    /// Counts bytes that were written.
    pub(super) fn count_written(&self, bytes: u64) {
        self.written_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Says that a part of the store is in trouble, or no longer; logs that it is.
    pub(super) fn set_trouble(&self, part: Part, trouble: Option<Trouble>) {
        let told = trouble.clone();
        let Some(before) = lock(&self.troubles).set(part, trouble) else { return };
        match (told.as_ref().map(Trouble::what), before) {
            (Some(trouble), None) => tracing::warn!(?part, trouble, "store is degraded"),
            // Each attempt may fail with another file.
            (Some(trouble), Some(_)) => tracing::debug!(?part, trouble, "store is still degraded"),
            (None, _) => tracing::info!(?part, "store has recovered"),
        }
    }

    /// Whether something is wrong with a part at present.
    pub(super) fn is_in_trouble(&self, part: Part) -> bool {
        lock(&self.troubles).of(part).is_some()
    }

    /// What is wrong at present.
    pub(super) fn degraded(&self) -> Option<String> {
        lock(&self.troubles).told()
    }
}

/// Deletes a file; that it is gone already is no error.
pub(super) fn remove_if_there(path: &Path) -> Result<(), StoreError> {
    match disk::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(StoreError::file("delete", path)(error))
        }
        _ => Ok(()),
    }
}

/// Locks; whoever panicked while holding it changed nothing halfway.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
