//! The way out of the store: questions about the past, and figures about the store itself.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use arc_swap::ArcSwapOption;
use tokio::{sync::Semaphore, task::spawn_blocking};

use super::{
    StoreError,
    intake::StoreIntake,
    lanes::collector_of,
    messages::{Answer, Query, StoreStats},
    query,
    shared::{Shared, lock},
    tier::Tier,
};
use crate::series::{Catalog, now_ms};

/// Questions answered at once; more wait for their turn.
const AT_ONCE: usize = 4;

/// Reads the store, whichever is open at the time. Cheap to clone; threads: any.
#[derive(Debug)]
pub struct StoreReader {
    inner: Arc<Inner>,
    /// How many times something had been appended when this one last asked.
    seen: AtomicU64,
}

#[derive(Debug)]
struct Inner {
    catalog: Arc<Catalog>,
    open: ArcSwapOption<Shared>,
    intake: StoreIntake,
    turns: Arc<Semaphore>,
    queries: AtomicU64,
    /// Who holds log files, for the next store that is opened.
    holders: Mutex<Holders>,
}

/// Who holds log files.
#[derive(Debug, Default)]
struct Holders {
    /// All who may, once that has been said.
    names: Option<Vec<String>>,
    first: BTreeMap<String, u64>,
}

impl StoreReader {
    /// A reader of a store that is not open yet.
    pub fn new(catalog: Arc<Catalog>, intake: StoreIntake) -> Self {
        let turns = Arc::new(Semaphore::new(AT_ONCE));
        let open = ArcSwapOption::empty();
        let (queries, holders) = (AtomicU64::new(0), Mutex::default());
        let inner = Arc::new(Inner { catalog, open, intake, turns, queries, holders });
        Self { inner, seen: AtomicU64::new(0) }
    }

    /// The series.
    pub fn catalog(&self) -> &Arc<Catalog> {
        &self.inner.catalog
    }

    /// Answers a question. Writing does not wait for it.
    pub async fn query(&self, query: Query) -> Result<Answer, StoreError> {
        let turn =
            self.inner.turns.clone().acquire_owned().await.map_err(|_| StoreError::Closed)?;
        let shared = self.shared().ok_or(StoreError::Closed)?;
        self.inner.queries.fetch_add(1, Ordering::Relaxed);
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
        let shared = self.shared()?;
        let view = shared.view();
        view.heads.of_server(server).filter_map(|stream| stream.last_ms).max()
    }

    /// Time of the last frame of each collector of a server, stored or known from before.
    pub fn seen(&self, server: &str) -> BTreeMap<Arc<str>, i64> {
        let Some(shared) = self.shared() else { return BTreeMap::new() };
        let view = shared.view();
        let mut seen = BTreeMap::new();
        for stream in view.heads.of_server(server) {
            let collector = collector_of(&stream.collector);
            let latest = seen.entry(collector.into()).or_insert(i64::MIN);
            *latest = stream.last_ms.unwrap_or(i64::MIN).max(*latest);
        }
        seen
    }

    /// Samples that were stored since the daemon started.
    pub fn stored_since_start(&self) -> u64 {
        self.inner.intake.stored_samples()
    }

    /// What the store says of itself.
    pub fn stats(&self) -> StoreStats {
        let mut stats = StoreStats {
            series: self.inner.catalog.len() as u64,
            dropped_samples: self.inner.intake.dropped_samples(),
            waiting_bytes: self.inner.intake.waiting().0 as u64,
            queries: self.inner.queries.load(Ordering::Relaxed),
            ..StoreStats::default()
        };
        let Some(shared) = self.shared() else {
            stats.degraded = Some("store is not open".to_owned());
            return stats;
        };
        stats.late_samples = shared.late_samples.load(Ordering::Relaxed);
        stats.written_bytes = shared.written_bytes.load(Ordering::Relaxed);
        stats.bytes_held = shared.held_bytes();
        stats.bytes_log = shared.log_bytes() + stats.bytes_held;
        stats.bytes_segments = shared.segment_bytes();
        stats.bytes_sled = shared.other_bytes.load(Ordering::Relaxed);
        stats.bytes_total = shared.total_bytes();
        stats.degraded = shared.degraded();
        let view = shared.view();
        let raw = view.segments.values().filter(|facts| facts.tier == Tier::Raw);
        stats.samples_sealed = raw.map(|facts| facts.samples).sum();
        stats.samples = stats.samples_sealed + view.heads.samples();
        let streams = &view.heads.streams;
        let in_heads = streams.iter().filter_map(|stream| Some(stream.chunks().next()?.first_ms));
        let in_segments = view.segments.values().map(|facts| facts.first_ms);
        stats.oldest_ms = in_heads.chain(in_segments).min();
        stats.newest_ms = streams.iter().filter_map(|stream| stream.last_ms).max();
        stats
    }

    /// Files of the log from `sequence` on are kept for the reader `name`, as long as there is room; with `None` it
    /// needs none any more.
    pub fn hold_log(&self, name: &str, sequence: Option<u64>) {
        let mut holders = lock(&self.inner.holders);
        match sequence {
            Some(sequence) => holders.first.insert(name.to_owned(), sequence),
            None => holders.first.remove(name),
        };
        if let Some(shared) = self.shared() {
            shared.hold_log(name, sequence);
        }
    }

    /// Says who may hold files of the log: the others' are let go, and who has not said from where on holds all.
    ///
    /// Until this has been said, everything is held that was held in the daemon's last life: say it once at the
    /// start, also where nobody holds anything, and whenever it changes.
    pub fn log_holders_are(&self, names: &[&str]) {
        let mut holders = lock(&self.inner.holders);
        holders.first.retain(|name, _| names.contains(&name.as_str()));
        holders.names = Some(names.iter().map(|&name| name.to_owned()).collect());
        if let Some(shared) = self.shared() {
            shared.holders_are(names);
        }
    }

    /// Ends once something has been appended since this reader, which is not its clones, was last asked.
    pub async fn appended(&self) {
        let seen = self.seen.load(Ordering::Relaxed);
        let mut appended = self.inner.intake.appended();
        if let Ok(times) = appended.wait_for(|times| *times > seen).await {
            self.seen.store(*times, Ordering::Relaxed);
        }
    }

    /// From now on this store is read; or none.
    pub(super) fn set(&self, shared: Option<Arc<Shared>>) {
        let holders = lock(&self.inner.holders);
        if let Some(shared) = &shared {
            if let Some(names) = &holders.names {
                shared.holders_are(&names.iter().map(String::as_str).collect::<Vec<_>>());
            }
            for (name, sequence) in &holders.first {
                shared.hold_log(name, Some(*sequence));
            }
        }
        self.inner.open.store(shared);
    }

    /// The store that is open.
    pub(super) fn shared(&self) -> Option<Arc<Shared>> {
        self.inner.open.load_full()
    }
}

impl Clone for StoreReader {
    fn clone(&self) -> Self {
        let seen = AtomicU64::new(self.seen.load(Ordering::Relaxed));
        Self { inner: self.inner.clone(), seen }
    }
}
