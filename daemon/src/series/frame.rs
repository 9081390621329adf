//! What travels from a collector to the store and to the viewers.

use std::{collections::BTreeMap, sync::Arc};

use super::SeriesId;

/// One value of one series; its time is the frame's.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample {
    /// Which series.
    pub series: SeriesId,
    /// The value, in the unit of the series. Never a NaN from a plugin; a page may say that there is none.
    pub value: f64,
}

/// All samples that one collector read at one instant.
#[derive(Debug, Clone, PartialEq)]
pub struct Frame {
    /// Name of the server.
    pub server: Arc<str>,
    /// Name of the collector, unique within the server.
    pub collector: Arc<str>,
    /// When it was read.
    pub at_ms: i64,
    /// What was read; each series at most once.
    pub samples: Vec<Sample>,
}

impl Frame {
    /// Samples that each have a time of their own, as frames, oldest first.
    pub fn dated(
        server: &Arc<str>,
        collector: &Arc<str>,
        samples: impl IntoIterator<Item = (i64, Sample)>,
    ) -> Vec<Self> {
        let mut by_time: BTreeMap<i64, Vec<Sample>> = BTreeMap::new();
        for (at_ms, sample) in samples {
            by_time.entry(at_ms).or_default().push(sample);
        }
        let frame = |(at_ms, samples)| {
            let (server, collector) = (server.clone(), collector.clone());
            Self { server, collector, at_ms, samples }
        };
        by_time.into_iter().map(frame).collect()
    }
}

/// A stretch of time in which a collector brought nothing, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    /// Name of the server.
    pub server: Arc<str>,
    /// Name of the collector that was silent.
    pub collector: Arc<str>,
    /// The first slot that brought nothing.
    pub from_ms: i64,
    /// The slot that brought samples again; `None` while it lasts.
    pub to_ms: Option<i64>,
    /// Why, in words for people, such as `plugin host was killed by SIGKILL`.
    pub reason: Arc<str>,
}
