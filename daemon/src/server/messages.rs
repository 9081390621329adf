//! What a server actor accepts.

use std::{sync::Arc, time::Duration};

use crate::{config::RuleConfig, supervision::ChildEvent};

/// What a server actor accepts.
#[derive(Debug)]
pub enum ServerMessage {
    /// A second has passed: judge the server's health. Sent by itself.
    Tick,
    /// What its collectors reported. Sent by its intake, once for each batch.
    Heard(Vec<Heard>),
    /// What has come of it from elsewhere. Sent by its intake, once for each batch.
    Arrived(Arrived),
    /// Whether it is normal has changed. Sent by its intake.
    Normal(Option<bool>),
    /// Other rules hold for it from now on. Sent by the fleet.
    Rules(Vec<Arc<RuleConfig>>),
    /// Something happened to a collector actor. Sent by its children.
    Child(ChildEvent),
}

/// That something has come from elsewhere, without the samples.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Arrived {
    /// Collectors that brought samples of the present, or of which it was said that they bring none.
    pub heard: Vec<Heard>,
    /// Collectors that were not known before, or read at another interval now.
    pub met: Vec<(Arc<str>, Duration)>,
    /// Whether it has been measured how often any of it comes.
    pub paced: bool,
    /// Time of the newest sample, however old, by our clock as far as the difference is known; never ahead of it.
    pub newest_ms: Option<i64>,
    /// That clock minus ours, where it is known.
    pub skew_ms: Option<i64>,
}

/// That a collector reported, and how it went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heard {
    /// Name of the collector.
    pub collector: Arc<str>,
    /// How it went.
    pub of: HeardOf,
}

/// How a slot went, without the samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeardOf {
    /// It brought samples.
    Samples,
    /// It brought none, and should have.
    Nothing,
    /// There is nothing to bring on this machine.
    Absent,
}
