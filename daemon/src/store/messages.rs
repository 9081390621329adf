//! What the store accepts, and what it answers.
//!
//! Samples do not pass the actor's mailbox: they enter by a [`StorePort`](super::StorePort),
//! which never waits, and are read through a [`StoreReader`](super::StoreReader).

use std::{collections::HashSet, sync::Arc};

use tokio::sync::oneshot;

use super::{StoreError, open::Store};
pub use super::{
    point::{Point, Stat},
    tier::Tier,
};
use crate::series::{Frame, Gap, Kind, Labels, SeriesId};

/// What a clock may say: 100 million days around 1970, so that days can be reckoned with. The store keeps no other time.
pub const TIMES: std::ops::RangeInclusive<i64> = -8_640_000_000_000_000..=8_640_000_000_000_000;

/// What the store's actor accepts. Both are sent by the store to itself.
pub enum StoreMessage {
    /// The folder has been opened, or not.
    Opened(Box<Result<Store, StoreError>>),
    /// Look after the threads.
    Tick,
}

/// What is kept together: written in one piece, acknowledged in one piece.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    /// Samples.
    pub frames: Vec<Frame>,
    /// Gaps that began or ended. A gap is told again when it ends; the collector's
    /// next frame ends it too.
    pub gaps: Vec<Gap>,
}

/// Says when a batch is safe from `kill -9`.
///
/// A frame that is not newer than its collector's last is left out and counted
/// (`late_samples`); the rest of its batch is kept.
#[derive(Debug)]
pub struct Ack(pub oneshot::Receiver<Result<(), Refused>>);

/// What became of samples that came from elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Kept {
    /// Samples that were kept.
    pub stored: u64,
    /// Samples that were here already.
    pub known: u64,
    /// Samples older than what their series has; they are not kept.
    pub late: u64,
}

/// Samples of a batch from elsewhere that were not kept: the number of the frame in its batch, and the series, in the
/// order of the batch.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LeftOut(pub Vec<(usize, SeriesId)>);

impl LeftOut {
    /// Whether all of the batch was kept.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes them out of the batch that they are of; frames that are empty then go too. Of a series that stands twice
    /// in a frame, both go or neither.
    pub fn take_from(&self, frames: &mut Vec<Frame>) {
        if self.is_empty() {
            return;
        }
        let mut left_out = self.0.iter().peekable();
        for (number, frame) in frames.iter_mut().enumerate() {
            let mut of_frame = HashSet::new();
            while let Some((_, series)) = left_out.next_if(|(at, _)| *at == number) {
                of_frame.insert(*series);
            }
            if !of_frame.is_empty() {
                frame.samples.retain(|sample| !of_frame.contains(&sample.series));
            }
        }
        frames.retain(|frame| !frame.samples.is_empty());
    }
}

impl std::ops::AddAssign for Kept {
    fn add_assign(&mut self, other: Self) {
        self.stored += other.stored;
        self.known += other.known;
        self.late += other.late;
    }
}

/// Why a batch was not kept. Its samples are lost, counted, and leave a gap.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The queue before the store was full, and this batch the oldest in it.
    #[error("failed to store samples: store has fallen behind")]
    Behind,
    /// The disk did not take it.
    #[error("failed to store samples: {0}")]
    Disk(Arc<str>),
    /// The store is stopping.
    #[error("failed to store samples: store is stopping")]
    Stopping,
}

/// A question about the past.
#[derive(Debug, Clone, PartialEq)]
pub struct Query {
    /// Name of the server.
    pub server: String,
    /// Metric name.
    pub metric: String,
    /// Labels that a series must have; it may have more.
    pub labels: Vec<(String, String)>,
    /// First instant wanted.
    pub from_ms: i64,
    /// First instant not wanted.
    pub to_ms: i64,
    /// At most about this many points for each series; every sample unless given.
    pub points: Option<usize>,
    /// Counters as they were stored, instead of their rate per second.
    pub raw: bool,
    /// What is wanted beyond mean, smallest and largest. Percentiles are found only where they are.
    pub stats: Vec<Stat>,
}

/// The answer to a [`Query`].
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Answer {
    /// One for each series that matched, by labels.
    pub series: Vec<SeriesAnswer>,
    /// Whether something that was stored could not be read.
    pub partial: bool,
}

/// The history of one series.
#[derive(Debug, Clone, PartialEq)]
pub struct SeriesAnswer {
    /// Its number.
    pub id: SeriesId,
    /// Its labels.
    pub labels: Labels,
    /// Unit of the points; a rate's ends in `/s`.
    pub unit: Arc<str>,
    /// Gauge or counter, as it is stored.
    pub kind: Kind,
    /// The coarsest tier that it was read from.
    pub tier: Tier,
    /// Time between two points, in milliseconds.
    pub resolution_ms: i64,
    /// From when on percentiles are known that were asked for; none if from the first point on.
    pub p95_from_ms: Option<i64>,
    /// From when on what is here is all there is, if the question begins earlier: where it begins, or what is recorded of
    /// its being missing; where its collector begins, if that was there just before. The end of the question, if nothing is
    /// there at all.
    pub begins_ms: Option<i64>,
    /// Oldest first.
    pub points: Vec<Point>,
    /// Where there is nothing, and why; oldest first.
    pub gaps: Vec<Gap>,
}

/// What the store says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StoreStats {
    /// Samples that are kept.
    pub samples: u64,
    /// Those of them that are in segments.
    pub samples_sealed: u64,
    /// Series that are known.
    pub series: u64,
    /// Size of the whole folder in bytes; what is not log or segment as of the last second.
    pub bytes_total: u64,
    /// Bytes of the log.
    pub bytes_log: u64,
    /// Those of them that are sealed, and kept for whoever reads along.
    pub bytes_held: u64,
    /// Bytes of segments.
    pub bytes_segments: u64,
    /// Bytes of everything else: catalogue and state, its copy, small files.
    pub bytes_sled: u64,
    /// Time of the oldest sample.
    pub oldest_ms: Option<i64>,
    /// Time of the newest sample there ever was.
    pub newest_ms: Option<i64>,
    /// Bytes of samples that wait for the disk, as they are in memory.
    pub waiting_bytes: u64,
    /// Samples lost since the start of the daemon because the store fell behind.
    pub dropped_samples: u64,
    /// Samples refused since the store was opened, not newer than their collector's last
    /// or from no possible time.
    pub late_samples: u64,
    /// Bytes written to log and segments since the store was opened.
    pub written_bytes: u64,
    /// Questions answered since the start of the daemon.
    pub queries: u64,
    /// What is wrong at present, in words for people.
    pub degraded: Option<String>,
}
