//! What a collector accepts, what it reads from, and the one thing it says.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use tokio::sync::{mpsc, watch};

use crate::{
    plugin::{CollectError, Instance, InstanceState, Reading},
    series::Sample,
};

/// What a collector accepts.
#[derive(Debug)]
pub enum CollectorMessage<S> {
    /// A slot may have come. Sent by the collector to itself.
    Tick,
    /// The source's state is another one now. Sent by the collector's watch over it.
    Became(InstanceState),
    /// A reading has ended and its samples, if any, are reported. Sent by the
    /// collector to itself.
    Finished {
        /// The source, ready for the next slot.
        source: S,
        /// The slot.
        at_ms: i64,
        /// Why there were no samples.
        outcome: Result<(), CollectError>,
    },
}

/// What a collector reads from: a plugin instance, or a script in a test.
pub trait Source: Send + 'static {
    /// Whether it can be read, now and from now on.
    fn states(&self) -> watch::Receiver<InstanceState>;

    /// Reads once, within the deadline it was made with.
    fn collect(&mut self, at_ms: i64)
    -> impl Future<Output = Result<Reading, CollectError>> + Send;
}

impl Source for Instance {
    fn states(&self) -> watch::Receiver<InstanceState> {
        Self::states(self)
    }

    async fn collect(&mut self, at_ms: i64) -> Result<Reading, CollectError> {
        Self::collect(self, at_ms).await
    }
}

/// What a collector says: the outcome of one slot.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// Name of the collector, unique within its server.
    pub collector: Arc<str>,
    /// The slot.
    pub at_ms: i64,
    /// What came of it.
    pub outcome: Outcome,
}

/// What came of a slot.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// Samples, all of the slot's time.
    Samples(Vec<Sample>),
    /// Samples that each have a time of their own, in milliseconds since 1970. Those of the slot, if any, come apart.
    Dated(Vec<(i64, Sample)>),
    /// Nothing, and why, in words for people. The next slot tries again.
    Missed(Arc<str>),
    /// Nothing, and nothing is missing: this machine has no such thing.
    Absent,
}

/// Where collectors put their reports. Cheap to clone, never waits.
#[derive(Debug, Clone)]
pub struct ReportPort {
    reports: mpsc::Sender<Report>,
    dropped: Arc<AtomicU64>,
}

impl ReportPort {
    /// A port of room for `limit` reports, and the end that the server reads.
    pub fn new(limit: usize) -> (Self, mpsc::Receiver<Report>) {
        let (reports, received) = mpsc::channel(limit);
        (Self { reports, dropped: Arc::default() }, received)
    }

    /// Hands over a report. Where the server has fallen behind, it is dropped
    /// and counted; the store then shows a gap.
    pub fn send(&self, report: Report) {
        if self.reports.try_send(report).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many reports were dropped since the server's start.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}
