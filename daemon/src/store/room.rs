//! Room within `store.max_bytes`: it is taken before anything is written, so that all who write see each other.
//!
//! ```text
//!  take ──► write ──► in a sum of its own ──► given back
//! ```
//!
//! # Invariants
//!
//! - Whatever is written is planned, or is in one of the sums: log, held log, segments, everything else. For a moment it
//!   may be in two, never in none.
//! - Room is made by deleting: the oldest segments first, then the oldest log files. Nothing is deleted for room that
//!   deleting could not make.
//! - What sled writes by itself between two measurements is nobody's plan: the headroom is for it.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use super::{
    StoreError,
    log::log_path,
    retention::first_to_go,
    segment::SegmentFacts,
    shared::{Shared, lock, remove_if_there},
};

/// Bytes that are planned by all together.
#[derive(Debug, Clone, Default)]
pub(super) struct Plans(Arc<AtomicU64>);

/// Room that somebody has taken, and gives back when it is dropped.
#[derive(Debug, Default)]
pub(super) struct Room {
    of: Plans,
    bytes: u64,
}

impl Plans {
    fn bytes(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Room {
    /// What was written in it is finished, and counts as planned until somebody takes it in, or discards it.
    pub(super) fn finished(mut self) {
        self.bytes = 0;
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.of.0.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

impl Shared {
    /// Bytes in the whole folder, with what is planned.
    pub(super) fn total_bytes(&self) -> u64 {
        let other = self.other_bytes.load(Ordering::Relaxed);
        let written = self.log_bytes() + self.held_bytes() + self.segment_bytes();
        written + other + self.planned.bytes()
    }

    /// Bytes that no deleting of samples makes free: the log file in use, what is planned, and what is neither log nor
    /// segment.
    fn lasting_bytes(&self) -> u64 {
        let in_use = self.sequence.load(Ordering::Relaxed);
        let log: u64 = self.logs().range(in_use..).map(|(_, bytes)| bytes).sum();
        log + self.other_bytes.load(Ordering::Relaxed) + self.planned.bytes()
    }

    /// Takes room for `bytes`, which is made where it is missing.
    pub(super) fn take_room(&self, bytes: u64) -> Result<Room, StoreError> {
        let mut room = Room::default();
        self.extend_room(&mut room, bytes)?;
        Ok(room)
    }

    /// Makes a room one of `bytes` in all; after an error it is as it was.
    pub(super) fn extend_room(&self, room: &mut Room, bytes: u64) -> Result<(), StoreError> {
        let more = bytes.saturating_sub(room.bytes);
        // Planned first: whoever else looks for room at this moment sees it.
        room.of = self.planned.clone();
        room.of.0.fetch_add(more, Ordering::Relaxed);
        let made = self.make_room();
        if made.is_ok() {
            room.bytes += more;
        } else {
            room.of.0.fetch_sub(more, Ordering::Relaxed);
        }
        made
    }

    /// A segment that was finished has been taken in, or discarded.
    pub(super) fn forget_finished(&self, facts: &SegmentFacts) {
        self.planned.0.fetch_sub(facts.bytes, Ordering::Relaxed);
    }

    /// Makes room for what is planned by deleting the oldest segments, and when there
    /// are none, the oldest log files, held ones first: else a log that could not be
    /// sealed for long would leave no room to seal it. An error if there is nothing left to delete.
    pub(super) fn make_room(&self) -> Result<(), StoreError> {
        let most = self.limits.max_bytes.saturating_sub(self.limits.headroom);
        if self.total_bytes() <= most {
            return Ok(());
        }
        // Two at once would delete for the same bytes.
        let _turn = lock(&self.making_room);
        while self.total_bytes() > most {
            if self.lasting_bytes() > most {
                return Err(StoreError::NoRoom { max_bytes: self.limits.max_bytes });
            }
            let Some(oldest) = self.oldest_segment() else {
                if self.drop_oldest_held()? || self.drop_oldest_log()? {
                    continue;
                }
                return Err(StoreError::NoRoom { max_bytes: self.limits.max_bytes });
            };
            tracing::info!(
                segment = oldest.id,
                tier = oldest.tier.name(),
                last_ms = oldest.last_ms,
                "store deleted its oldest samples to stay under store.max_bytes"
            );
            self.drop_segment(&oldest)?;
        }
        Ok(())
    }

    /// The segment that goes first.
    pub(super) fn oldest_segment(&self) -> Option<Arc<SegmentFacts>> {
        first_to_go(self.view().segments.values(), self.limits.max_bytes).cloned()
    }

    /// Deletes the oldest log file that is written no more, and what the heads have
    /// of it; whether there was one.
    fn drop_oldest_log(&self) -> Result<bool, StoreError> {
        let in_use = self.sequence.load(Ordering::Relaxed);
        let oldest =
            self.logs().range(..in_use).next().map(|(sequence, bytes)| (*sequence, *bytes));
        let Some((oldest, bytes)) = oldest else { return Ok(false) };
        tracing::warn!(
            log = oldest,
            "store deleted samples that were not sealed to stay under store.max_bytes"
        );
        remove_if_there(&log_path(&self.log_folder(), oldest))?;
        self.forget_log(oldest, bytes);
        for stream in &mut self.view_mut().heads.streams {
            let gone = stream.closed.partition_point(|chunk| chunk.sequence <= oldest);
            stream.closed.drain(..gone);
        }
        Ok(true)
    }
}
