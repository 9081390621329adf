//! Room that is kept free for a disk that fills up.
//!
//! ```text
//!  kept ──ENOSPC──► given up ──► the oldest segments go ──► samples wait in memory ──► the oldest of them go
//!    ▲                                                                                            │
//!    └───────────────── made again, once there is twice as much room ◄────────────────────────────┘
//! ```
//!
//! # Invariants
//!
//! - The reserve is a file whose blocks are allocated; it counts within `store.max_bytes`. Whoever meets a full disk
//!   gives it up first, whichever thread that is.
//! - While it is not there samples leave half of its room alone: incidents and notices can still be kept.
//! - A full disk costs at most half of what is sealed: who else fills it would else take all.

use std::{
    io::{self, ErrorKind},
    path::{Path, PathBuf},
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use super::{
    StoreError, disk,
    shared::{Shared, lock},
    trouble::{Part, Trouble},
};

/// How large it is at most, and which part of `store.max_bytes`.
const RESERVE_MOST: u64 = 64 << 20;
const RESERVE_PART: u64 = 16;
/// A file system may take so long until what was deleted is free.
const SHRINK_EVERY: Duration = Duration::from_secs(5);

/// What a full disk may still cost, while the reserve is not there.
#[derive(Debug, Default)]
pub(super) struct Shortage {
    /// Bytes of segments that may be deleted; `None` as long as nothing was refused.
    may_go: Option<u64>,
    /// When some of them last were.
    shrunk: Option<Instant>,
}

/// Bytes of the reserve of a folder of `max_bytes`.
pub(super) fn reserve_bytes(max_bytes: u64) -> u64 {
    RESERVE_MOST.min(max_bytes / RESERVE_PART)
}

/// Gives the reserve of the state folder up; whether it was there.
pub(super) fn give_up(folder: &Path) -> bool {
    let given = disk::remove_file(reserve_path(folder)).is_ok();
    if given {
        tracing::warn!(folder = %folder.display(), "store gave up its reserve: the disk is full");
    }
    given
}

/// Whether something failed because the disk is full, or the user's share of it.
pub(super) fn is_full(error: &StoreError) -> bool {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        let of_sled = error.downcast_ref().and_then(|error| match error {
            sled::Error::Io(error) => Some(error),
            _ => None,
        });
        if of_sled.or_else(|| error.downcast_ref()).is_some_and(is_no_space) {
            return true;
        }
        cause = error.source();
    }
    false
}

fn is_no_space(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
}

fn reserve_path(folder: &Path) -> PathBuf {
    folder.join("reserve")
}

impl Shared {
    /// Takes note of a failure: where the disk is full, the reserve is given up, and segments may go.
    pub(super) fn note_failure(&self, error: &StoreError) {
        if !is_full(error) {
            return;
        }
        give_up(&self.path);
        self.is_short.store(true, Ordering::Relaxed);
        let sealed = self.segment_bytes();
        lock(&self.shortage).may_go.get_or_insert(sealed / 2);
    }

    /// Why samples are not written although the disk would take them: what is left is for others.
    pub(super) fn refuses_samples(&self) -> Result<(), StoreError> {
        if !self.is_short.load(Ordering::Relaxed) {
            return Ok(());
        }
        let left = disk::available(&self.path).map_err(StoreError::file("measure", &self.path))?;
        if left < self.limits.reserve / 2 {
            return Err(StoreError::DiskFull { path: self.path.clone() });
        }
        Ok(())
    }

    /// Sees to it that there is a reserve, and to room for it where the disk was found full.
    pub(super) fn look_after_reserve(&self) -> Result<(), StoreError> {
        if self.has_reserve() {
            return Ok(());
        }
        let left = disk::available(&self.path).map_err(StoreError::file("measure", &self.path))?;
        let wanted = self.limits.reserve * 2;
        if left < wanted {
            self.is_short.store(true, Ordering::Relaxed);
            let trouble = format!(
                "the disk is full or nearly so: free room for `{}`, or lower store.max_bytes",
                self.path.display()
            );
            self.set_trouble(Part::Disk, Some(Trouble::new(&trouble)));
            return self.shrink(wanted - left);
        }
        match self.make_reserve() {
            // `store.max_bytes` leaves none: there is room on the disk all the same.
            Ok(()) | Err(StoreError::NoRoom { .. }) => (),
            // Nor does every file system keep room free.
            Err(StoreError::File { source, .. }) if source.kind() == ErrorKind::Unsupported => (),
            Err(error) => return Err(error),
        }
        *lock(&self.shortage) = Shortage::default();
        self.is_short.store(false, Ordering::Relaxed);
        self.set_trouble(Part::Disk, None);
        Ok(())
    }

    fn has_reserve(&self) -> bool {
        let path = reserve_path(&self.path);
        path.metadata().is_ok_and(|facts| facts.len() == self.limits.reserve)
    }

    fn make_reserve(&self) -> Result<(), StoreError> {
        let path = reserve_path(&self.path);
        // Of another size it is of another `store.max_bytes`.
        let _ = disk::remove_file(&path);
        let _room = self.take_room(self.limits.reserve)?;
        if let Err(error) = disk::allocate(&path, self.limits.reserve) {
            let _ = disk::remove_file(&path);
            return Err(StoreError::file("allocate reserve", path)(error));
        }
        self.other_bytes.fetch_add(self.limits.reserve, Ordering::Relaxed);
        Ok(())
    }

    /// Deletes the oldest segments for so many bytes, as far as a full disk may still cost them.
    fn shrink(&self, bytes: u64) -> Result<(), StoreError> {
        let Shortage { may_go: Some(mut may_go), shrunk } = *lock(&self.shortage) else {
            return Ok(());
        };
        if shrunk.is_some_and(|shrunk| shrunk.elapsed() < SHRINK_EVERY) {
            return Ok(());
        }
        let mut gone = 0;
        while gone < bytes
            && let Some(oldest) = self.oldest_segment().filter(|oldest| oldest.bytes <= may_go)
        {
            tracing::warn!(
                segment = oldest.id,
                last_ms = oldest.last_ms,
                "store deleted its oldest samples because the disk is full"
            );
            self.drop_segment(&oldest)?;
            gone += oldest.bytes;
            may_go -= oldest.bytes;
            *lock(&self.shortage) = Shortage { may_go: Some(may_go), shrunk: Some(Instant::now()) };
        }
        Ok(())
    }
}
