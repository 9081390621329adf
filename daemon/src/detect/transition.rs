//! What a detector says: the level that one rule has reached over one series.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Memory;
use crate::{
    config::{Severity, Side},
    series::Labels,
};

/// What is judged: one rule over one series of one server.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Key {
    /// Name of the server.
    pub server: Arc<str>,
    /// Name of the rule.
    pub rule: Arc<str>,
    /// Labels of the series; the rule names its metric.
    pub labels: Labels,
    /// Whether it is the absence of samples that is judged (`no_data = "alert"`).
    #[serde(default)]
    pub absence: bool,
}

/// How things stand.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Within every limit.
    Ok,
    /// Beyond a limit, not yet for long enough.
    Pending {
        /// What it becomes.
        severity: Severity,
        /// Since when it is beyond.
        since_ms: i64,
        /// When it counts, if it stays there.
        due_ms: i64,
    },
    /// Beyond a limit for long enough.
    Firing(Severity),
    /// Fine again, not yet for long enough.
    Clearing {
        /// What it is until then.
        severity: Severity,
        /// Since when it is fine.
        since_ms: i64,
        /// When it is over, if it stays fine.
        due_ms: i64,
    },
}

impl Level {
    /// How bad it is by now; `None` while it is ok or pending.
    pub fn severity(self) -> Option<Severity> {
        match self {
            Self::Ok | Self::Pending { .. } => None,
            Self::Firing(severity) | Self::Clearing { severity, .. } => Some(severity),
        }
    }
}

/// A level has changed. Leaves the server for whoever keeps incidents.
#[derive(Debug, Clone, PartialEq)]
pub struct Transition {
    /// What is judged.
    pub key: Key,
    /// What is measured.
    pub subject: Subject,
    /// When it changed: the time of a sample, or when a timer was due.
    pub at_ms: i64,
    /// The level from then on.
    pub level: Level,
    /// Why there are no samples at present; the level is then the last one known.
    pub unknown: Option<Arc<str>>,
    /// Why nothing is judged any more; the level then means nothing.
    pub withdrawn: Option<Arc<str>>,
    /// The value that was compared with the limit.
    pub value: Option<f64>,
    /// Whether it began while the daemon was not running.
    pub in_absence: bool,
    /// What a detector needs to go on from here after a restart; `None` where it can start anew.
    pub memory: Option<Memory>,
}

impl Transition {
    /// What says that `key` is no longer judged, and why.
    pub fn withdrawal(key: Key, subject: Subject, at_ms: i64, why: &str) -> Self {
        Self {
            key,
            subject,
            at_ms,
            level: Level::Ok,
            unknown: None,
            withdrawn: Some(why.into()),
            value: None,
            in_absence: false,
            memory: None,
        }
    }
}

/// What is measured, and by which limit: what people are told of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Subject {
    /// Metric of the rule.
    pub metric: Arc<str>,
    /// Name of the collector that reads it; `None` of what no collector reads.
    pub collector: Option<Arc<str>>,
    /// Unit of the value.
    pub unit: Arc<str>,
    /// The limit of the level, or of the rule's mildest severity while there is none.
    pub limit: Option<(Side, f64)>,
    /// The rule's summary, with everything filled in; `None` where the rule has none.
    pub summary: Option<Arc<str>>,
    /// Where it is written what to do.
    pub runbook: Option<Arc<str>>,
}
