//! The store's own threads: one writes, one syncs, one keeps, one settles.
//!
//! ```text
//!  intake ─► store-write ─► log, heads          store-sync: fdatasync each second, or when somebody waits for it
//!                                               store-keep: seal, retention, state
//!                                               store-settle: small segments into large ones, and coarser tiers
//! ```
//!
//! None of them waits for another: the writer goes on while the disk syncs, while
//! the keeper seals, and while a day is settled.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use super::{
    StoreError, errands,
    intake::{StoreIntake, Waiting},
    keeper::Keeper,
    open::Store,
    segment::DAY_MS,
    settler::Settler,
    shared::Shared,
    trouble::{Part, Trouble},
    writer::Writer,
};
use crate::{config::Retention, logging::chain, series::now_ms};

/// About so much is written in one piece.
const WRITE_BYTES: usize = 1 << 20;
/// How long the writer waits for samples before it shows that it is alive.
const WRITER_WAIT: Duration = Duration::from_secs(1);
/// While samples come faster than they are sealed: how many times as much log as is sealed at once there may be, since
/// all of it is in memory too, and how often to look whether there is less.
const AHEAD_MOST: u64 = 2;
const AHEAD_PAUSE: Duration = Duration::from_millis(5);
/// After the disk has refused a batch.
const RETRY: Duration = Duration::from_millis(500);
const LOOK_EVERY: Duration = Duration::from_secs(1);
const RETRY_KEEPING: Duration = Duration::from_secs(5);
const RETENTION_EVERY: Duration = Duration::from_secs(60);
const CHECKPOINT_EVERY: Duration = Duration::from_secs(60 * 60);
/// How long after midnight yesterday is sealed.
const DAY_SETTLES_MS: i64 = 5 * 60 * 1000;

/// A store at work. Dropping it lets the threads end, without waiting for them.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) shared: Arc<Shared>,
    intake: StoreIntake,
    stop: Arc<AtomicBool>,
    clean: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Running {
    /// Sets a store to work.
    pub(super) fn start(store: Store, intake: &StoreIntake) -> Result<Self, StoreError> {
        let Store { shared, writer, keeper, config, folder, .. } = store;
        let stop = Arc::new(AtomicBool::new(false));
        let clean = Arc::new(AtomicBool::new(false));
        let mut running = Self {
            shared: shared.clone(),
            intake: intake.clone(),
            stop: stop.clone(),
            clean: clean.clone(),
            threads: Vec::new(),
        };
        intake.open();
        // The folder is held until the last thread has ended.
        let folder = Arc::new(folder);
        let written = Arc::new(AtomicBool::new(false));
        let work = WriterWork {
            writer,
            intake: intake.clone(),
            shared: shared.clone(),
            stop: stop.clone(),
            clean,
            written: written.clone(),
            is_ahead: false,
        };
        let held = folder.clone();
        running.spawn("store-write", move || {
            work.run();
            drop(held);
        })?;
        let (synced, answering, held) = (shared.clone(), intake.clone(), folder.clone());
        running.spawn("store-sync", move || {
            synced.syncing.run(&answering, |error| {
                let error = StoreError::file("sync log", synced.log_folder())(error);
                synced.note_failure(&error);
                synced.set_trouble(Part::Log, Some((&error).into()));
            });
            drop(held);
        })?;
        let settler = Settler::new(shared.clone(), keeper.store(), config.retention.clone());
        let (settled, stopped) = (shared.clone(), stop.clone());
        let work = KeeperWork {
            keeper,
            shared,
            stop,
            written,
            retention: config.retention,
            all_below: None,
            failed_syncs: None,
            expired: None,
            copied: Instant::now(),
        };
        let held = folder.clone();
        running.spawn("store-keep", move || {
            work.run();
            drop(held);
        })?;
        running.spawn("store-settle", move || {
            settle(settler, &settled, &stopped);
            drop(folder);
        })?;
        Ok(running)
    }

    /// Whether all threads are there.
    pub(super) fn is_whole(&self) -> bool {
        !self.threads.iter().any(JoinHandle::is_finished)
    }

    /// Tells the threads to end in good order: what waits is written, and more is refused.
    pub(super) fn ask_to_stop(&self) {
        self.clean.store(true, Ordering::Relaxed);
        self.stop();
    }

    fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
        self.intake.wake();
        self.threads.iter().for_each(|thread| thread.thread().unpark());
    }

    /// Waits until the threads have ended.
    pub(super) fn join(mut self) {
        for thread in self.threads.drain(..) {
            // A panic has been told by the panic hook.
            let _ = thread.join();
        }
    }

    fn spawn(
        &mut self,
        name: &str,
        work: impl FnOnce() + Send + 'static,
    ) -> Result<(), StoreError> {
        let thread = thread::Builder::new().name(name.to_owned()).spawn(work);
        self.threads.push(thread.map_err(StoreError::Thread)?);
        Ok(())
    }
}

impl Drop for Running {
    /// The actor has fallen: what waits is left to the next one.
    fn drop(&mut self) {
        self.stop();
    }
}

struct WriterWork {
    writer: Writer,
    intake: StoreIntake,
    shared: Arc<Shared>,
    stop: Arc<AtomicBool>,
    /// The daemon stops, and not only this life of the store.
    clean: Arc<AtomicBool>,
    /// The last word has been written.
    written: Arc<AtomicBool>,
    /// It waits for the keeper.
    is_ahead: bool,
}

impl WriterWork {
    fn run(mut self) {
        let _ended = StopSyncing(self.shared.clone());
        while !self.stop.load(Ordering::Relaxed) {
            self.shared.writer_beat_ms.store(now_ms(), Ordering::Relaxed);
            if self.shared.rotate.swap(false, Ordering::Relaxed) {
                self.writer.leave_file();
            }
            if self.is_ahead() {
                thread::sleep(AHEAD_PAUSE);
                continue;
            }
            let taken = self.intake.take(WRITE_BYTES, WRITER_WAIT);
            if !taken.is_empty() && !self.write(taken) {
                self.pause();
            }
        }
        if self.clean.load(Ordering::Relaxed) {
            self.finish();
        }
        self.written.store(true, Ordering::Relaxed);
    }

    /// Whether there is more to seal than memory should hold. A keeper that fails is not waited for.
    fn is_ahead(&mut self) -> bool {
        let is_ahead = self.shared.log_bytes() > AHEAD_MOST * self.shared.limits.logs
            && !self.shared.is_in_trouble(Part::State);
        if is_ahead && !std::mem::replace(&mut self.is_ahead, is_ahead) {
            tracing::warn!("samples come faster than they can be sealed: they wait");
        }
        self.is_ahead = is_ahead;
        is_ahead
    }

    /// Writes batches, or gives them back; whether they were written.
    fn write(&mut self, taken: Vec<Waiting>) -> bool {
        let batches = taken.iter().map(|waiting| (&waiting.batch, waiting.origin()));
        match self.shared.refuses_samples().and_then(|()| self.writer.write(batches)) {
            Ok(judged) => {
                if self.shared.syncing.failed().is_none() {
                    self.shared.set_trouble(Part::Log, None);
                }
                self.intake.disk_recovered();
                self.intake.tell_appended();
                for (waiting, judged) in taken.into_iter().zip(judged) {
                    let bytes = waiting.bytes;
                    if let Some(reply) = self.intake.written(waiting) {
                        self.shared.syncing.when_durable(reply, judged, bytes);
                    }
                }
                true
            }
            Err(error) => {
                self.shared.note_failure(&error);
                self.shared.set_trouble(Part::Log, Some((&error).into()));
                self.intake.give_back(taken, chain(&error).into());
                false
            }
        }
    }

    fn pause(&self) {
        let until = Instant::now() + RETRY;
        while Instant::now() < until && !self.stop.load(Ordering::Relaxed) {
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Writes what still waits, and the mark of a clean stop behind it.
    fn finish(&mut self) {
        loop {
            let taken = self.intake.take(WRITE_BYTES, Duration::ZERO);
            if taken.is_empty() {
                break;
            }
            if !self.write(taken) {
                break;
            }
        }
        self.intake.close();
        if let Err(error) = self.writer.stop() {
            tracing::error!(error = chain(&error), "store could not mark its clean stop");
        }
    }
}

/// Ends the syncing when the writer ends, however it does.
struct StopSyncing(Arc<Shared>);

impl Drop for StopSyncing {
    fn drop(&mut self) {
        self.0.syncing.stop();
    }
}

struct KeeperWork {
    keeper: Keeper,
    shared: Arc<Shared>,
    stop: Arc<AtomicBool>,
    written: Arc<AtomicBool>,
    retention: Retention,
    /// Log files below this number are to be sealed whole.
    all_below: Option<u64>,
    /// How many syncs had failed when that was decided.
    failed_syncs: Option<u64>,
    expired: Option<Instant>,
    copied: Instant,
}

impl KeeperWork {
    fn run(mut self) {
        // A busy disk or core belongs to the writer and the collectors first.
        if let Err(error) = rustix::process::nice(5) {
            tracing::debug!(%error, "store keeps its keeper's priority");
        }
        let mut failed: Option<Instant> = None;
        while !self.stop.load(Ordering::Relaxed) {
            // Whoever asks us to stop wakes us.
            thread::park_timeout(LOOK_EVERY);
            self.shared.keeper_beat_ms.store(now_ms(), Ordering::Relaxed);
            errands::run(&self.shared, &mut self.keeper);
            let limited = self.keeper.stay_under_limit();
            let limited = limited.and(self.shared.look_after_reserve());
            if failed.is_some_and(|failed| failed.elapsed() < RETRY_KEEPING) {
                continue;
            }
            let done = self.work();
            failed = done.is_err().then(Instant::now);
            self.tell(limited.and(done));
        }
        self.finish();
    }

    /// Does what is most urgent, if anything is.
    fn work(&mut self) -> Result<(), StoreError> {
        let day = (now_ms() - DAY_SETTLES_MS).div_euclid(DAY_MS);
        if self.all_below.is_none() {
            let failed = self.shared.syncing.failed();
            let must = day > self.shared.sealed_below.load(Ordering::Relaxed)
                || self.shared.log_bytes() > self.shared.limits.logs
                || failed.is_some();
            if must {
                self.failed_syncs = failed;
                self.all_below = Some(self.shared.sequence.load(Ordering::Relaxed) + 1);
                self.shared.rotate.store(true, Ordering::Relaxed);
            }
        }
        let in_use = self.shared.sequence.load(Ordering::Relaxed);
        if self.all_below.is_some_and(|below| in_use >= below) {
            self.keeper.seal(true)?;
            self.all_below = None;
            if let Some(failed) = self.failed_syncs.take() {
                self.shared.syncing.made_good(failed);
            }
            self.shared.sealed_below.fetch_max(day, Ordering::Relaxed);
        } else if self.keeper.is_due() {
            self.keeper.seal(false)?;
        } else if self.expired.is_none_or(|expired| expired.elapsed() >= RETENTION_EVERY) {
            self.expired = Some(Instant::now());
            self.keeper.expire(&self.retention, now_ms())?;
        } else if self.copied.elapsed() >= CHECKPOINT_EVERY {
            self.keeper.checkpoint()?;
            self.copied = Instant::now();
        }
        Ok(())
    }

    fn tell(&self, done: Result<(), StoreError>) {
        if let Err(error) = &done {
            self.shared.note_failure(error);
        }
        self.shared.set_trouble(Part::State, done.as_ref().err().map(Trouble::from));
    }

    /// Keeps the state for the next start, behind the writer's last word.
    fn finish(mut self) {
        let until = Instant::now() + Duration::from_secs(2);
        while !self.written.load(Ordering::Relaxed) && Instant::now() < until {
            thread::sleep(Duration::from_millis(5));
        }
        if let Err(error) = self.keeper.index().and_then(|()| self.keeper.checkpoint()) {
            tracing::error!(error = chain(&error), "store could not copy its state");
        }
    }
}

/// Settles what there is to settle, until it is told to stop.
fn settle(mut settler: Settler, shared: &Shared, stop: &AtomicBool) {
    // Nobody waits for it.
    if let Err(error) = rustix::process::nice(10) {
        tracing::debug!(%error, "store keeps its settler's priority");
    }
    while !stop.load(Ordering::Relaxed) {
        let at_once = shared.settle_at_once.load(Ordering::Relaxed);
        let done = settler.step(at_once, stop);
        shared.set_trouble(Part::Settling, done.as_ref().err().map(Trouble::from));
        match done {
            Ok(true) => continue,
            Ok(false) => {
                if !settler.is_waiting() {
                    shared.settle_at_once.store(false, Ordering::Relaxed);
                }
                thread::park_timeout(LOOK_EVERY);
            }
            Err(_) => thread::park_timeout(RETRY_KEEPING),
        }
    }
}
