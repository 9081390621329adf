//! Making written samples survive a power cut: one sync for all who wait for one.
//!
//! # Invariants
//!
//! - Whoever is told that a batch is durable has been told so after a sync that began when it was written, of every
//!   log file that was not synced before.
//! - After a failed sync nobody is told so until all that was written by then has been sealed: the kernel may have
//!   let go of what it could not write, and says so only once.
//! - Those who wait share a sync: the next one begins some time after the last, longer on a slower disk, and sooner
//!   where much has been written.
//! - What nobody waits for is durable within a second of being written. A sync that takes more than twice as long as the
//!   one before can make it later, by no more than it takes.

use std::{
    io,
    sync::{Arc, Condvar, Mutex, PoisonError},
    time::{Duration, Instant},
};

use super::{
    arrival::Judged,
    disk::File,
    intake::{Durable, StoreIntake},
    messages::Refused,
    shared::lock,
};

/// What nobody waits for is durable within so long.
pub(super) const DURABLE_WITHIN: Duration = Duration::from_secs(1);
/// A thread that sleeps wakes so much later, at times.
const OVERSLEPT: Duration = Duration::from_millis(50);
/// Between two syncs, for those who wait.
const APART_LEAST: Duration = Duration::from_millis(10);
const APART_MOST: Duration = Duration::from_millis(50);
/// So much that waits, as it is in memory, is synced at once; in the log it is about a tenth.
const WAITING_BYTES: usize = 8 << 20;

/// Log files that are to be synced, and who waits for it.
#[derive(Debug, Default)]
pub(super) struct Syncing {
    state: Mutex<State>,
    asked: Condvar,
    /// One syncs at a time: of two, the other would not be told of a failure.
    turn: Mutex<()>,
}

#[derive(Debug, Default)]
struct State {
    /// The file that is being written, and those before it that are not synced.
    files: Vec<Arc<File>>,
    waiting: Vec<(Durable, Judged)>,
    bytes: usize,
    /// Syncs that failed, and how many of them sealing has made good.
    failed: u64,
    made_good: u64,
    why: Option<Arc<str>>,
    stopped: bool,
}

/// A sync that has ended. What is written right after its beginning has to wait for the next one.
#[derive(Debug, Clone, Copy)]
struct Sync {
    began: Instant,
    took: Duration,
}

impl Sync {
    /// From its beginning to that of the next, for those who wait.
    fn asked(self) -> Duration {
        self.took + (self.took * 4).clamp(APART_LEAST, APART_MOST)
    }

    /// The same where nobody waits: so that the next, though it takes twice as long, ends in time.
    fn unasked(self) -> Duration {
        (DURABLE_WITHIN - OVERSLEPT).saturating_sub(self.took * 2).max(self.asked())
    }
}

impl Syncing {
    /// The log goes on in `file`.
    pub(super) fn begin_file(&self, file: Arc<File>) {
        lock(&self.state).files.push(file);
    }

    /// Answers `reply` once what has been written so far, of it `bytes` lately, is durable.
    pub(super) fn when_durable(&self, reply: Durable, judged: Judged, bytes: usize) {
        let mut state = lock(&self.state);
        state.waiting.push((reply, judged));
        state.bytes += bytes;
        self.asked.notify_all();
    }

    /// Syncs until [`stop`](Self::stop), and a last time then. `trouble` is told when a sync fails.
    pub(super) fn run(&self, intake: &StoreIntake, trouble: impl Fn(io::Error)) {
        let mut last = Sync { began: Instant::now(), took: Duration::ZERO };
        loop {
            let stopped = self.wait_until_due(last);
            let began = Instant::now();
            if let Err(error) = self.sync(intake) {
                trouble(error);
            }
            last = Sync { began, took: began.elapsed() };
            if stopped {
                return;
            }
        }
    }

    /// Syncs what has been written, and answers those who wait for it.
    pub(super) fn sync(&self, intake: &StoreIntake) -> io::Result<()> {
        let turn = lock(&self.turn);
        let (files, waiting) = {
            let mut state = lock(&self.state);
            state.bytes = 0;
            (state.files.clone(), std::mem::take(&mut state.waiting))
        };
        let mut synced = Ok(());
        for file in &files {
            if let Err(error) = file.sync_data() {
                synced = Err(error);
            }
        }
        let doubt = {
            let mut state = lock(&self.state);
            let in_use = state.files.last().cloned();
            // A file that could not be synced is never believed again: what it holds is sealed from the heads.
            let is_left = |file: &Arc<File>| {
                synced.is_err() || in_use.as_ref().is_none_or(|in_use| !Arc::ptr_eq(file, in_use))
            };
            state
                .files
                .retain(|file| !files.iter().any(|done| Arc::ptr_eq(done, file)) || !is_left(file));
            if let Err(error) = &synced {
                state.failed += 1;
                state.why = Some(format!("failed to sync log: {error}").into());
            }
            state.why.clone().filter(|_| state.failed != state.made_good)
        };
        drop(turn);
        for (reply, judged) in waiting {
            let answer = doubt.clone().map_or(Ok(judged), |why| Err(Refused::Disk(why)));
            intake.durable(reply, answer);
        }
        synced
    }

    /// Syncs that have failed so far, if one of them has not been made good.
    pub(super) fn failed(&self) -> Option<u64> {
        let state = lock(&self.state);
        (state.failed != state.made_good).then_some(state.failed)
    }

    /// Everything that was written when so many syncs had failed is sealed.
    pub(super) fn made_good(&self, failed: u64) {
        lock(&self.state).made_good = failed;
    }

    /// Nothing more will be written.
    pub(super) fn stop(&self) {
        lock(&self.state).stopped = true;
        self.asked.notify_all();
    }

    /// Waits for the time of the next sync; whether it is the last.
    fn wait_until_due(&self, last: Sync) -> bool {
        let mut state = lock(&self.state);
        loop {
            let after = match () {
                () if state.stopped || state.bytes >= WAITING_BYTES => Duration::ZERO,
                () if state.waiting.is_empty() => last.unasked(),
                () => last.asked(),
            };
            let left = after.saturating_sub(last.began.elapsed());
            if left.is_zero() {
                return state.stopped;
            }
            let waited = self.asked.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_sync_ends_within_a_second_of_the_beginning_of_the_last() {
        for took in [0, 1, 20, 100, 300].map(Duration::from_millis) {
            let sync = Sync { began: Instant::now(), took };
            let next_ends = sync.unasked() + took * 2;
            assert!(next_ends <= DURABLE_WITHIN, "{next_ends:?} after {took:?}");
            assert!(next_ends >= DURABLE_WITHIN / 2, "no more often than it has to");
        }
        let slow = Sync { began: Instant::now(), took: Duration::from_secs(9) };
        assert_eq!(slow.unasked(), slow.took + APART_MOST, "the disk has others to serve");
    }
}
