//! The way in for what has come of a server from elsewhere, and is stored already.

use std::sync::{
    Arc, PoisonError,
    atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
};

use tokio::{
    sync::{Mutex, OwnedMutexGuard, mpsc},
    time::Instant,
};

use crate::store::messages::Batch;

/// Where it is put. Cheap to clone; threads: any. Outlives the server's actor, so that what comes while that one is
/// started, or started again, waits for it.
#[derive(Debug, Clone)]
pub struct ArrivalPort(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    batches: mpsc::Sender<Batch>,
    received: Arc<Mutex<mpsc::Receiver<Batch>>>,
    waiting_samples: AtomicUsize,
    dropped_samples: AtomicU64,
    turned_away: AtomicBool,
    missed: AtomicBool,
    sighting: std::sync::Mutex<Option<Sighting>>,
}

/// Another hub hears of the server.
#[derive(Debug, Clone, PartialEq)]
pub struct Sighting {
    /// The hub.
    pub hub: Arc<str>,
    /// When the server was seen there last, or later.
    pub at: Instant,
}

/// What arrives, for whichever intake runs at the time.
#[derive(Debug)]
pub(super) struct Arrivals {
    port: ArrivalPort,
    received: OwnedMutexGuard<mpsc::Receiver<Batch>>,
}

/// Batches that may wait…
const BATCHES_MAX: usize = 64;
/// … and samples in them, unless a single batch holds more.
const SAMPLES_MAX: usize = 50_000;

impl Default for ArrivalPort {
    fn default() -> Self {
        let (batches, received) = mpsc::channel(BATCHES_MAX);
        let received = Arc::new(Mutex::new(received));
        Self(Arc::new(Inner {
            batches,
            received,
            waiting_samples: AtomicUsize::default(),
            dropped_samples: AtomicU64::default(),
            turned_away: AtomicBool::default(),
            missed: AtomicBool::default(),
            sighting: std::sync::Mutex::default(),
        }))
    }
}

impl ArrivalPort {
    /// Hands over what has arrived, without waiting; how many samples were dropped, because too much waits. They are
    /// stored all the same, and neither judged nor shown.
    pub fn send(&self, batch: Batch) -> usize {
        let samples = samples_of(&batch);
        let before = self.0.waiting_samples.fetch_add(samples, Ordering::Relaxed);
        let fits = before == 0 || before + samples <= SAMPLES_MAX;
        if fits && self.0.batches.try_send(batch).is_ok() {
            return 0;
        }
        self.0.waiting_samples.fetch_sub(samples, Ordering::Relaxed);
        self.0.dropped_samples.fetch_add(samples as u64, Ordering::Relaxed);
        samples
    }

    /// Samples that were dropped.
    pub fn dropped(&self) -> u64 {
        self.0.dropped_samples.load(Ordering::Relaxed)
    }

    /// The server has sent something that could not be taken, for no fault of its own: it is there all the same.
    pub fn turn_away(&self) {
        self.0.turned_away.store(true, Ordering::Relaxed);
    }

    /// Whether so little comes of it that it is worth asking others.
    pub fn is_missed(&self) -> bool {
        self.0.missed.load(Ordering::Relaxed)
    }

    /// Another hub hears of it. Of several sightings the latest counts.
    pub fn seen_elsewhere(&self, sighting: Sighting) {
        let mut known = self.0.sighting.lock().unwrap_or_else(PoisonError::into_inner);
        if known.as_ref().is_none_or(|known| known.at < sighting.at) {
            *known = Some(sighting);
        }
    }

    /// Says whether so little comes of it that it is worth asking others.
    pub(super) fn set_missed(&self, missed: bool) {
        self.0.missed.store(missed, Ordering::Relaxed);
    }

    /// The latest sighting since the last call.
    pub(super) fn take_sighting(&self) -> Option<Sighting> {
        self.0.sighting.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Whether it was turned away since the last call.
    pub(super) fn was_turned_away(&self) -> bool {
        self.0.turned_away.swap(false, Ordering::Relaxed)
    }

    /// Samples that wait.
    pub(super) fn waiting(&self) -> usize {
        self.0.waiting_samples.load(Ordering::Relaxed)
    }

    /// The other end, once no other intake has it.
    pub(super) async fn open(&self) -> Arrivals {
        Arrivals { port: self.clone(), received: self.0.received.clone().lock_owned().await }
    }
}

impl Arrivals {
    /// What arrives next.
    pub(super) async fn next(&mut self) -> Option<Batch> {
        let batch = self.received.recv().await?;
        self.port.0.waiting_samples.fetch_sub(samples_of(&batch), Ordering::Relaxed);
        Some(batch)
    }
}

fn samples_of(batch: &Batch) -> usize {
    batch.frames.iter().map(|frame| frame.samples.len()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::series::{Frame, Sample, SeriesId};

    fn batch(samples: usize) -> Batch {
        let samples = vec![Sample { series: SeriesId(0), value: 1.0 }; samples];
        let frame = Frame { server: "web-1".into(), collector: "cpu".into(), at_ms: 0, samples };
        Batch { frames: vec![frame], gaps: Vec::new() }
    }

    #[tokio::test]
    async fn what_is_too_much_is_dropped_and_counted_until_there_is_room() {
        let port = ArrivalPort::default();
        assert_eq!(port.send(batch(SAMPLES_MAX + 1)), 0, "a single batch may be large");
        assert_eq!(port.send(batch(1)), 1);
        let mut arrivals = port.open().await;
        assert!(arrivals.next().await.is_some());
        for _ in 0..BATCHES_MAX {
            assert_eq!(port.send(batch(1)), 0);
        }
        assert_eq!(port.send(batch(1)), 1, "so many batches");
        assert_eq!((port.dropped(), port.waiting()), (2, BATCHES_MAX));
    }

    #[tokio::test]
    async fn what_waits_is_there_for_the_next_intake() {
        let port = ArrivalPort::default();
        drop(port.open().await);
        port.send(batch(3));
        assert_eq!(port.open().await.next().await.map(|batch| samples_of(&batch)), Some(3));
    }
}
