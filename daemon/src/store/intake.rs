//! The way into the store: a queue that never makes anybody wait.
//!
//! # Invariants
//!
//! - Whoever appends never waits for the disk. Over the limit the oldest waiting
//!   batches go; their samples are counted and leave a gap that says why.
//! - The queue outlives the writer: what waits is taken over by the next one.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::sync::oneshot;

use super::messages::{Ack, Batch, Refused};
use crate::series::{Frame, Gap, Sample};

/// Gaps of dropped batches that are kept for the next writing.
const GAPS_KEPT: usize = 4096;

/// Where samples enter the store. Cheap to clone; threads: any.
#[derive(Debug, Clone)]
pub struct StorePort(Arc<Queue>);

/// The other end of a [`StorePort`], for the store itself.
#[derive(Debug, Clone)]
pub struct StoreIntake(Arc<Queue>);

#[derive(Debug)]
struct Queue {
    limit: usize,
    state: Mutex<State>,
    filled: Condvar,
    stored: AtomicU64,
    dropped: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Waiting>,
    bytes: usize,
    /// What dropped batches leave behind: from when each collector's samples are missing.
    lost: HashMap<(Arc<str>, Arc<str>), Lost>,
    /// Gaps that stood in dropped batches.
    kept: Vec<Gap>,
    /// Why the disk takes nothing at present.
    disk: Option<Arc<str>>,
    stopped: bool,
}

#[derive(Debug)]
struct Lost {
    from_ms: i64,
    reason: Arc<str>,
}

/// A batch on its way.
#[derive(Debug)]
pub(super) struct Waiting {
    /// What to write.
    pub(super) batch: Batch,
    reply: Option<oneshot::Sender<Result<(), Refused>>>,
    bytes: usize,
}

impl StorePort {
    /// A port and its other end; at most `limit_bytes` of samples wait between them.
    pub fn new(limit_bytes: usize) -> (Self, StoreIntake) {
        let queue = Arc::new(Queue {
            limit: limit_bytes,
            state: Mutex::default(),
            filled: Condvar::new(),
            stored: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
        });
        (Self(queue.clone()), StoreIntake(queue))
    }

    /// Hands over a batch, without waiting; the answer says when it is safe.
    pub fn append(&self, batch: Batch) -> Ack {
        let (reply, answer) = oneshot::channel();
        let waiting = Waiting { bytes: bytes_of(&batch), batch, reply: Some(reply) };
        let mut state = self.0.lock();
        if state.stopped {
            self.0.count_dropped(&waiting.batch);
            waiting.answer(Err(Refused::Stopping));
        } else {
            state.bytes += waiting.bytes;
            state.waiting.push_back(waiting);
            self.0.trim(&mut state);
            self.0.filled.notify_one();
        }
        Ack(answer)
    }

    /// Samples that were dropped since the daemon started.
    pub fn dropped_samples(&self) -> u64 {
        self.0.dropped.load(Ordering::Relaxed)
    }

    /// Bytes of samples that wait.
    pub fn waiting_bytes(&self) -> usize {
        self.0.lock().bytes
    }
}

impl StoreIntake {
    /// What waits, oldest first, about `most` bytes of it; waits up to `wait` for
    /// something to come. Gaps that drops have left come first.
    pub(super) fn take(&self, most: usize, wait: Duration) -> Vec<Waiting> {
        let mut state = self.0.lock();
        if state.waiting.is_empty() {
            let waited = self.0.filled.wait_timeout(state, wait);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        let mut taken = Vec::new();
        let gaps = state.take_gaps();
        if !gaps.is_empty() {
            let batch = Batch { frames: Vec::new(), gaps };
            taken.push(Waiting { batch, reply: None, bytes: 0 });
        }
        let mut bytes = 0;
        while bytes < most
            && let Some(waiting) = state.waiting.pop_front()
        {
            bytes += waiting.bytes;
            taken.push(waiting);
        }
        state.bytes -= bytes;
        taken
    }

    /// Puts back what could not be written, because of `reason`.
    pub(super) fn give_back(&self, taken: Vec<Waiting>, reason: Arc<str>) {
        let mut state = self.0.lock();
        state.disk = Some(reason);
        for waiting in taken.into_iter().rev() {
            state.bytes += waiting.bytes;
            state.waiting.push_front(waiting);
        }
        self.0.trim(&mut state);
    }

    /// Says that the disk takes samples again.
    pub(super) fn disk_recovered(&self) {
        self.0.lock().disk = None;
    }

    /// From now on batches are taken in, also if they were refused before.
    pub(super) fn open(&self) {
        self.0.lock().stopped = false;
    }

    /// From now on every batch is refused, those that still wait among them.
    pub(super) fn close(&self) {
        let mut state = self.0.lock();
        state.stopped = true;
        let refused = state.disk.clone().map_or(Refused::Stopping, Refused::Disk);
        for waiting in std::mem::take(&mut state.waiting) {
            self.0.count_dropped(&waiting.batch);
            waiting.answer(Err(refused.clone()));
        }
        state.bytes = 0;
    }

    /// Ends the wait of whoever takes, though nothing came.
    pub(super) fn wake(&self) {
        self.0.filled.notify_all();
    }

    /// Says that a batch is written.
    pub(super) fn written(&self, waiting: Waiting) {
        self.0.stored.fetch_add(samples_of(&waiting.batch), Ordering::Relaxed);
        waiting.answer(Ok(()));
    }

    /// Samples that were written since the daemon started.
    pub(super) fn stored_samples(&self) -> u64 {
        self.0.stored.load(Ordering::Relaxed)
    }

    /// Samples that were dropped since the daemon started.
    pub(super) fn dropped_samples(&self) -> u64 {
        self.0.dropped.load(Ordering::Relaxed)
    }

    /// Bytes and batches that wait.
    pub(super) fn waiting(&self) -> (usize, usize) {
        let state = self.0.lock();
        (state.bytes, state.waiting.len())
    }
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn trim(&self, state: &mut State) {
        while state.bytes > self.limit
            && let Some(oldest) = state.waiting.pop_front()
        {
            state.bytes -= oldest.bytes;
            self.count_dropped(&oldest.batch);
            let refused = state.disk.clone().map_or(Refused::Behind, Refused::Disk);
            state.remember(&oldest.batch, &refused);
            oldest.answer(Err(refused));
        }
    }

    fn count_dropped(&self, batch: &Batch) {
        self.dropped.fetch_add(samples_of(batch), Ordering::Relaxed);
    }
}

impl State {
    fn remember(&mut self, batch: &Batch, refused: &Refused) {
        for frame in &batch.frames {
            let whose = (frame.server.clone(), frame.collector.clone());
            let reason = || refused.to_string().into();
            self.lost
                .entry(whose)
                .or_insert_with(|| Lost { from_ms: frame.at_ms, reason: reason() });
        }
        let room = GAPS_KEPT.saturating_sub(self.kept.len());
        self.kept.extend(batch.gaps.iter().take(room).cloned());
    }

    fn take_gaps(&mut self) -> Vec<Gap> {
        let mut gaps = std::mem::take(&mut self.kept);
        gaps.extend(self.lost.drain().map(|((server, collector), lost)| Gap {
            server,
            collector,
            from_ms: lost.from_ms,
            // The collector's next frame ends it.
            to_ms: None,
            reason: lost.reason,
        }));
        gaps
    }
}

impl Waiting {
    /// Tells whoever appended it what became of it.
    pub(super) fn answer(self, answer: Result<(), Refused>) {
        if let Some(reply) = self.reply {
            // Not everybody waits for the answer.
            let _ = reply.send(answer);
        }
    }
}

impl Ack {
    /// Waits until the batch is safe from `kill -9`, or refused.
    pub async fn wait(self) -> Result<(), Refused> {
        // Without an answer the writer fell with the batch in its hands.
        self.0.await.unwrap_or(Err(Refused::Stopping))
    }
}

/// Samples in a batch.
fn samples_of(batch: &Batch) -> u64 {
    batch.frames.iter().map(|frame| frame.samples.len() as u64).sum()
}

fn bytes_of(batch: &Batch) -> usize {
    let frames = batch.frames.iter();
    let frames: usize =
        frames.map(|f| size_of::<Frame>() + f.samples.len() * size_of::<Sample>()).sum();
    frames + batch.gaps.len() * size_of::<Gap>() + size_of::<Waiting>()
}
