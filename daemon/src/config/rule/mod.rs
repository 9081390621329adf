//! `[[rule]]`, the rules that are built in, and `server.thresholds`.
//!
//! # Invariants
//!
//! - A limit can be breached, and what breaches it can be over, as far as the metric's name tells.
//! - Warning and critical of a rule are on one side, critical no less far; so they are of every
//!   rule that [`effective_rules`] gives.
//! - The names of the rules that hold for a server differ.

mod built_in;
mod effective;
mod judge;
mod limit;
mod read;
mod summary;
mod thresholds;

use std::time::Duration;

pub use effective::{effective_rules, shared_rules};
pub use limit::OwnLimit;
pub use thresholds::Thresholds;

pub(super) use built_in::built_in_rules;

use super::{Pattern, Selector, Severity, Side};

/// One rule: which series are judged, how, and by which limits.
#[derive(Debug, Clone, PartialEq)]
pub struct RuleConfig {
    /// Its name, unique among rules; one of a built-in rule's replaces that.
    pub name: String,
    /// The metric it judges; a counter by its rate per second.
    pub metric: String,
    /// Labels that a series must have, each with what its value must be; one that it does not have
    /// counts as empty.
    pub labels: Vec<(String, Pattern)>,
    /// The servers it holds for; empty means all.
    pub servers: Vec<Selector>,
    /// What of the samples is compared with the limits.
    pub take: Take,
    /// Over which time it is taken; zero for [`Take::Last`].
    pub over: Duration,
    /// Beyond it is a warning.
    pub warning: Option<Limit>,
    /// Beyond it is critical; on the same side as `warning`, and no less far.
    pub critical: Option<Limit>,
    /// How long a value must be fine until it is over.
    pub clear_for: Duration,
    /// What the absence of samples means.
    pub no_data: NoData,
    /// What is said of it, as a template; made from metric and limit unless given.
    pub summary: Option<String>,
    /// Where it is written what to do.
    pub runbook: Option<String>,
}

/// A limit, and how long a value must be beyond it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limit {
    /// The bad side.
    pub side: Side,
    /// Beyond this it is breached.
    pub at: f64,
    /// At this or on its good side it is fine again; between the two nothing changes.
    pub clear: f64,
    /// How long it must be breached before it counts (`for`).
    pub hold: Duration,
}

/// What of the samples is compared with the limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Take {
    /// The last sample.
    #[default]
    Last,
    /// The mean of the window.
    Mean,
    /// The smallest of the window.
    Min,
    /// The largest of the window.
    Max,
}

/// What the absence of samples means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum NoData {
    /// Nothing: the level is kept, and shown as unknown.
    #[default]
    Keep,
    /// An incident of its own.
    Alert,
    /// It counts as fine.
    Clear,
}

impl RuleConfig {
    /// The limit of a severity.
    pub fn limit(&self, severity: Severity) -> Option<&Limit> {
        match severity {
            Severity::Warning => self.warning.as_ref(),
            Severity::Critical => self.critical.as_ref(),
        }
    }
}
