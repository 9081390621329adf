//! The way out of the store: questions about the past, and figures about the store itself.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use arc_swap::ArcSwapOption;
use tokio::{sync::Semaphore, task::spawn_blocking};

use super::{
    StoreError,
    intake::StoreIntake,
    messages::{Answer, Query, StoreStats},
    query,
    shared::Shared,
};
use crate::series::{Catalog, now_ms};

/// Questions answered at once; more wait for their turn.
const AT_ONCE: usize = 4;

/// Reads the store, whichever is open at the time. Cheap to clone; threads: any.
#[derive(Debug, Clone)]
pub struct StoreReader(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    catalog: Arc<Catalog>,
    open: ArcSwapOption<Shared>,
    intake: StoreIntake,
    turns: Arc<Semaphore>,
    queries: AtomicU64,
}

impl StoreReader {
    /// A reader of a store that is not open yet.
    pub fn new(catalog: Arc<Catalog>, intake: StoreIntake) -> Self {
        let turns = Arc::new(Semaphore::new(AT_ONCE));
        let open = ArcSwapOption::empty();
        Self(Arc::new(Inner { catalog, open, intake, turns, queries: AtomicU64::new(0) }))
    }

    /// The series.
    pub fn catalog(&self) -> &Arc<Catalog> {
        &self.0.catalog
    }

    /// Answers a question. Writing does not wait for it.
    pub async fn query(&self, query: Query) -> Result<Answer, StoreError> {
        let turn = self.0.turns.clone().acquire_owned().await.map_err(|_| StoreError::Closed)?;
        let shared = self.0.open.load_full().ok_or(StoreError::Closed)?;
        self.0.queries.fetch_add(1, Ordering::Relaxed);
        let work = move || {
            let answer = query::answer(&shared, &query, now_ms());
            // Only now may the next one begin, also if nobody waits for this one any more.
            drop(turn);
            answer
        };
        spawn_blocking(work).await.map_err(|_| StoreError::Closed)?
    }

    /// Time of the last frame of any collector of a server, stored or known from before.
    pub fn last_seen(&self, server: &str) -> Option<i64> {
        let shared = self.0.open.load_full()?;
        let view = shared.view();
        view.heads.of_server(server).filter_map(|stream| stream.last_ms).max()
    }

    /// Samples that were stored since the daemon started.
    pub fn stored_since_start(&self) -> u64 {
        self.0.intake.stored_samples()
    }

    /// What the store says of itself.
    pub fn stats(&self) -> StoreStats {
        let mut stats = StoreStats {
            series: self.0.catalog.len() as u64,
            dropped_samples: self.0.intake.dropped_samples(),
            queries: self.0.queries.load(Ordering::Relaxed),
            ..StoreStats::default()
        };
        let Some(shared) = self.0.open.load_full() else {
            stats.degraded = Some("store is not open".to_owned());
            return stats;
        };
        stats.late_samples = shared.late_samples.load(Ordering::Relaxed);
        stats.written_bytes = shared.written_bytes.load(Ordering::Relaxed);
        stats.bytes_log = shared.log_bytes();
        stats.bytes_segments = shared.segment_bytes();
        stats.bytes_sled = shared.other_bytes.load(Ordering::Relaxed);
        stats.bytes_total = shared.total_bytes();
        stats.degraded = shared.degraded();
        let view = shared.view();
        stats.samples_sealed = view.segments.values().map(|facts| facts.samples).sum();
        stats.samples = stats.samples_sealed + view.heads.samples();
        let streams = &view.heads.streams;
        let in_heads = streams.iter().filter_map(|stream| Some(stream.chunks().next()?.first_ms));
        let in_segments = view.segments.values().map(|facts| facts.first_ms);
        stats.oldest_ms = in_heads.chain(in_segments).min();
        stats.newest_ms = streams.iter().filter_map(|stream| stream.last_ms).max();
        stats
    }

    /// From now on this store is read; or none.
    pub(super) fn set(&self, shared: Option<Arc<Shared>>) {
        self.0.open.store(shared);
    }
}
