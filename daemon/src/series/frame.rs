//! What travels from a collector to the store and to the viewers.

use std::sync::Arc;

use super::SeriesId;

/// One value of one series; its time is the frame's.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample {
    /// Which series.
    pub series: SeriesId,
    /// The value, in the unit of the series. Never a NaN from a collector.
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
