//! What the live view accepts.
//!
//! Updates do not pass the actor's mailbox: they enter by a [`LivePort`], a
//! bounded channel that never makes its sender wait.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use serde::Serialize;
use tokio::sync::mpsc;

use crate::{
    config::{Severity, Side},
    series::{Frame, Gap, Labels, silence},
};

/// What the live actor accepts in its mailbox.
#[derive(Debug)]
pub enum LiveMessage {
    /// The next instant to take in updates, and perhaps to show them, has come.
    /// Sent by the actor to itself.
    Tick,
}

/// What a server actor tells the live view.
#[derive(Debug, Clone)]
pub enum LiveUpdate {
    /// Samples that the store has acknowledged, or was given its time to.
    Frame(Arc<Frame>),
    /// A collector fell silent, or is back (`to_ms` is given).
    Gap(Gap),
    /// A server's state changed, or it is new. Telling it again changes nothing,
    /// and mends an update that was dropped. What comes of a server before its
    /// status is not shown.
    Server(ServerStatus),
    /// A server is no longer monitored.
    Gone(Arc<str>),
    /// An incident, or something that may become one, as it is by now. Telling it again changes nothing.
    Alert(Arc<AlertRow>),
    /// One that is no longer shown.
    NoAlert(Arc<str>),
    /// All that are shown; any other is not.
    Alerts(Arc<[Arc<AlertRow>]>),
}

/// An incident as viewers see it.
#[derive(Debug, Clone, PartialEq)]
pub struct AlertRow {
    /// Its number, or what tells one that is pending from all others.
    pub id: Arc<str>,
    /// Name of the server.
    pub server: Arc<str>,
    /// Name of the rule.
    pub rule: Arc<str>,
    /// What is measured.
    pub metric: Arc<str>,
    /// Labels of the series.
    pub labels: Labels,
    /// Unit of value and limit.
    pub unit: Arc<str>,
    /// How bad it is, or was last, and how bad it was at worst.
    pub level: Severity,
    /// See `level`.
    pub worst: Severity,
    /// `pending`, `firing`, `clearing`, `resolved` or `withdrawn`.
    pub state: &'static str,
    /// Why there are no samples at present.
    pub unknown: Option<Arc<str>>,
    /// Whether it comes and goes so often that no more is told.
    pub flapping: bool,
    /// When it began.
    pub opened_ms: i64,
    /// When it was over.
    pub closed_ms: Option<i64>,
    /// When something pending counts.
    pub due_ms: Option<i64>,
    /// The value.
    pub value: Option<f64>,
    /// The limit, and its bad side.
    pub limit: Option<(Side, f64)>,
    /// The rule's own words for it.
    pub summary: Option<Arc<str>>,
    /// Who has taken it on, and when.
    pub acknowledged: Option<(Arc<str>, i64)>,
    /// Whether it began while the daemon was not running.
    pub in_absence: bool,
    /// Whether it is the absence of samples that is judged.
    pub absence: bool,
    /// How far what is told of it has come, by e-mail, SMS and webhook.
    pub progress: [Option<&'static str>; 3],
}

impl AlertRow {
    /// Whether it counts as an open incident.
    pub fn is_open(&self) -> bool {
        matches!(self.state, "firing" | "clearing")
    }
}

/// What is known of a server besides its samples.
#[derive(Debug, Clone, PartialEq)]
pub struct ServerStatus {
    /// Its name.
    pub name: Arc<str>,
    /// Its tags.
    pub tags: Arc<BTreeMap<String, String>>,
    /// Whether it is well.
    pub state: ServerState,
    /// Whether every sample is within its limit; `None` if that is not known.
    pub normal: Option<bool>,
    /// Time between two readings of its fastest collector.
    pub interval_ms: u32,
    /// Collectors that bring samples.
    pub collectors_up: u32,
    /// Collectors that do not.
    pub collectors_down: u32,
    /// How its samples come here.
    pub origin: Origin,
    /// Its clock minus ours, in milliseconds; `None` while that is not known.
    pub skew_ms: Option<i64>,
    /// Time of its newest sample as far as it is known besides those that are shown, from before a restart or
    /// from samples that came too late to be shown; by our clock.
    pub seen_ms: Option<i64>,
    /// The other hub that hears of it, where this one does not.
    pub hub: Option<Arc<str>>,
}

/// How a server's samples come here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// Plugins read them on this machine.
    #[default]
    Local,
    /// They are written or pushed here.
    Remote,
    /// They are fetched from exporters.
    Scrape,
}

impl Origin {
    /// Its name in frames and answers.
    pub fn name(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Remote => "remote",
            Self::Scrape => "scrape",
        }
    }
}

/// Whether a server is well; the later, the worse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ServerState {
    /// Every collector brings samples.
    Up,
    /// A collector is down.
    Degraded,
    /// No sample for three intervals.
    Unknown,
    /// No sample for the longer of three intervals and 30 s.
    Offline,
}

impl ServerState {
    /// All of them, the best first.
    pub const ALL: [Self; 4] = [Self::Up, Self::Degraded, Self::Unknown, Self::Offline];

    /// Why a server is so whose fastest collector that brings anything does so every `interval_ms`.
    pub fn reason(self, interval_ms: u32) -> Option<&'static str> {
        match self {
            Self::Up => None,
            Self::Degraded => Some("a collector brings no samples"),
            Self::Unknown => Some(silence(interval_ms)),
            Self::Offline => Some("no sample for so long that it counts as offline"),
        }
    }

    /// Its name in frames and answers.
    pub fn name(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Degraded => "degraded",
            Self::Unknown => "unknown",
            Self::Offline => "offline",
        }
    }
}

/// Where server actors put what viewers should see. Cheap to clone.
#[derive(Debug, Clone)]
pub struct LivePort {
    updates: mpsc::Sender<LiveUpdate>,
    dropped: Arc<AtomicU64>,
}

impl LivePort {
    /// A port and the end that the live actor reads.
    pub fn new(limit: usize) -> (Self, mpsc::Receiver<LiveUpdate>) {
        let (updates, received) = mpsc::channel(limit);
        (Self { updates, dropped: Arc::default() }, received)
    }

    /// Shows `update` to whoever watches. Never waits: where the live view has
    /// fallen behind, the update is dropped and counted.
    pub fn publish(&self, update: LiveUpdate) {
        if self.updates.try_send(update).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many updates were dropped since the start.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}
