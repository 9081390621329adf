//! The way into the store: a queue that never makes anybody wait.
//!
//! # Invariants
//!
//! - Whoever appends never waits for the disk. Over the limit the oldest waiting
//!   batches go; their samples are counted and leave a gap that says why.
//! - The queue outlives the writer: what waits is taken over by the next one.
//! - What comes from elsewhere has half of it, and never pushes out what was read here: whoever sent it still has
//!   it, so that what is refused is neither lost nor a gap.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::sync::{oneshot, watch};

use super::{
    arrival::Judged,
    messages::{Ack, Batch, Kept, LeftOut, Refused},
    sizes::{bytes_of, pieces, samples_of},
    writer::Origin,
};
use crate::series::Gap;

/// Gaps of dropped batches that are kept for the next writing; more are counted as dropped.
const GAPS_KEPT: usize = 1 << 16;

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
    appended: watch::Sender<u64>,
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
    reply: Reply,
    pub(super) bytes: usize,
}

/// Who is told what became of a batch.
#[derive(Debug)]
enum Reply {
    Nobody,
    /// Once it is written.
    Written(oneshot::Sender<Result<(), Refused>>),
    /// Once it survives a power cut.
    Durable(Durable),
}

/// Whoever waits until a batch from elsewhere survives a power cut.
#[derive(Debug)]
pub(super) struct Durable(oneshot::Sender<Result<Judged, Refused>>);

impl StorePort {
    /// A port and its other end; at most `limit_bytes` of samples wait between them.
    pub fn new(limit_bytes: usize) -> (Self, StoreIntake) {
        let queue = Arc::new(Queue {
            limit: limit_bytes,
            state: Mutex::default(),
            filled: Condvar::new(),
            stored: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            appended: watch::Sender::new(0),
        });
        (Self(queue.clone()), StoreIntake(queue))
    }

    /// Hands over a batch, without waiting; the answer says when it is safe.
    pub fn append(&self, batch: Batch) -> Ack {
        let (reply, answer) = oneshot::channel();
        let waiting = Waiting { bytes: bytes_of(&batch), batch, reply: Reply::Written(reply) };
        let mut state = self.0.lock();
        if state.stopped {
            self.0.count_dropped(&waiting.batch);
            waiting.refuse(Refused::Stopping);
        } else {
            state.bytes += waiting.bytes;
            state.waiting.push_back(waiting);
            self.0.trim(&mut state);
            self.0.filled.notify_one();
        }
        Ack(answer)
    }

    /// Hands over what came from elsewhere, without waiting for its turn; ends when it survives a power cut.
    ///
    /// Its frames may be of any order, as long as those of a series are in theirs. What is here already is not kept
    /// twice. A batch that is refused may have been kept in part: it can be handed over again.
    pub async fn arrive(&self, batch: Batch) -> Result<Kept, Refused> {
        self.arrive_told(batch).await.map(|(kept, _)| kept)
    }

    /// The same, and which samples were not kept.
    pub async fn arrive_told(&self, batch: Batch) -> Result<(Kept, LeftOut), Refused> {
        let (mut kept, mut left_out) = (Kept::default(), LeftOut::default());
        let mut before = 0;
        for piece in pieces(batch, self.0.limit / 8) {
            let (reply, answer) = oneshot::channel();
            let reply = Reply::Durable(Durable(reply));
            let frames = piece.frames.len();
            let waiting = Waiting { bytes: bytes_of(&piece), batch: piece, reply };
            self.0.arrive(waiting);
            // Without an answer the writer fell with the batch in its hands.
            let judged = answer.await.unwrap_or(Err(Refused::Stopping))?;
            kept += judged.kept;
            let of_piece = judged.left_out.0.into_iter();
            left_out.0.extend(of_piece.map(|(number, series)| (before + number, series)));
            before += frames;
        }
        Ok((kept, left_out))
    }

    /// Samples that were dropped since the daemon started, and gaps for which there was no room.
    pub fn dropped_samples(&self) -> u64 {
        self.0.dropped.load(Ordering::Relaxed)
    }

    /// Whether the disk takes nothing at present.
    pub fn is_refused(&self) -> bool {
        self.0.lock().disk.is_some()
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
            taken.push(Waiting { batch, reply: Reply::Nobody, bytes: 0 });
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

    /// Puts back what could not be written, because of `reason`. What came from elsewhere is refused: whoever sent
    /// it will send it again.
    pub(super) fn give_back(&self, taken: Vec<Waiting>, reason: Arc<str>) {
        let mut state = self.0.lock();
        state.disk = Some(reason.clone());
        for waiting in taken.into_iter().rev() {
            if waiting.origin() == Origin::Elsewhere {
                waiting.refuse(Refused::Disk(reason.clone()));
                continue;
            }
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
            if waiting.origin() == Origin::Here {
                self.0.count_dropped(&waiting.batch);
            }
            waiting.refuse(refused.clone());
        }
        state.bytes = 0;
    }

    /// Ends the wait of whoever takes, though nothing came.
    pub(super) fn wake(&self) {
        self.0.filled.notify_all();
    }

    /// Says that a batch is written; answers who waits until it is durable.
    pub(super) fn written(&self, waiting: Waiting) -> Option<Durable> {
        let samples = samples_of(&waiting.batch);
        match waiting.reply {
            Reply::Durable(durable) => return Some(durable),
            // Not everybody waits for the answer.
            Reply::Written(reply) => drop(reply.send(Ok(()))),
            Reply::Nobody => (),
        }
        self.0.stored.fetch_add(samples, Ordering::Relaxed);
        None
    }

    /// Says that a batch from elsewhere is durable, or not known to be.
    pub(super) fn durable(&self, durable: Durable, answer: Result<Judged, Refused>) {
        let stored = answer.as_ref().map_or(0, |judged| judged.kept.stored);
        self.0.stored.fetch_add(stored, Ordering::Relaxed);
        // Whoever sent it may have given up.
        let _ = durable.0.send(answer);
    }

    /// Says that something was written, to whoever reads along.
    pub(super) fn tell_appended(&self) {
        self.0.appended.send_modify(|times| *times += 1);
    }

    /// How many times something was written.
    pub(super) fn appended(&self) -> watch::Receiver<u64> {
        self.0.appended.subscribe()
    }

    /// Samples that were written since the daemon started.
    pub(super) fn stored_samples(&self) -> u64 {
        self.0.stored.load(Ordering::Relaxed)
    }

    /// Samples that were dropped since the daemon started, and gaps for which there was no room.
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

    fn arrive(&self, waiting: Waiting) {
        let mut state = self.lock();
        if state.stopped {
            waiting.refuse(Refused::Stopping);
        } else if state.bytes + waiting.bytes > self.limit / 2 {
            waiting.refuse(state.disk.clone().map_or(Refused::Behind, Refused::Disk));
        } else {
            state.bytes += waiting.bytes;
            state.waiting.push_back(waiting);
            self.filled.notify_one();
        }
    }

    fn trim(&self, state: &mut State) {
        while state.bytes > self.limit
            && let Some(oldest) = state.waiting.pop_front()
        {
            state.bytes -= oldest.bytes;
            let refused = state.disk.clone().map_or(Refused::Behind, Refused::Disk);
            if oldest.origin() == Origin::Here {
                self.count_dropped(&oldest.batch);
                let cut = state.remember(&oldest.batch, &refused);
                self.dropped.fetch_add(cut, Ordering::Relaxed);
            }
            oldest.refuse(refused);
        }
    }

    fn count_dropped(&self, batch: &Batch) {
        self.dropped.fetch_add(samples_of(batch), Ordering::Relaxed);
    }
}

impl State {
    /// Keeps what a dropped batch leaves behind; answers how many gaps there was no room for.
    fn remember(&mut self, batch: &Batch, refused: &Refused) -> u64 {
        for frame in &batch.frames {
            let whose = (frame.server.clone(), frame.collector.clone());
            let reason = || refused.to_string().into();
            self.lost
                .entry(whose)
                .or_insert_with(|| Lost { from_ms: frame.at_ms, reason: reason() });
        }
        let room = GAPS_KEPT.saturating_sub(self.kept.len());
        self.kept.extend(batch.gaps.iter().take(room).cloned());
        batch.gaps.len().saturating_sub(room) as u64
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
    /// Whose samples it holds.
    pub(super) fn origin(&self) -> Origin {
        if matches!(self.reply, Reply::Durable(_)) { Origin::Elsewhere } else { Origin::Here }
    }

    /// Tells whoever appended it that it is not kept.
    fn refuse(self, refused: Refused) {
        // Not everybody waits for the answer.
        match self.reply {
            Reply::Nobody => (),
            Reply::Written(reply) => drop(reply.send(Err(refused))),
            Reply::Durable(Durable(reply)) => drop(reply.send(Err(refused))),
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
