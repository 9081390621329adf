//! One instance, as the roster knows it: where it is, and how it fell.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tracing::warn;

use super::{instance::InstanceShared, messages::InstanceState, placement::HostKey};
use crate::supervision::{Fall, History, Restart};

/// How long one waits that could not be made for want of something else.
const LATER: Duration = Duration::from_secs(10);

/// An instance that somebody wants.
pub(super) struct Record {
    pub(super) shared: Arc<InstanceShared>,
    pub(super) key: Option<HostKey>,
    pub(super) place: Place,
    /// Since when it is where it is.
    pub(super) since: Instant,
    history: History,
    pub(super) falls: u32,
    /// It lives alone: it, or somebody beside it, took a shared host down.
    pub(super) isolated: bool,
}

/// Where an instance is.
pub(super) enum Place {
    /// It gets a place when this has come.
    Waiting(Instant),
    /// In this host, under this number.
    Seated { host: u64, number: u32 },
    /// Until something changes.
    Parked,
}

impl Record {
    pub(super) fn new(shared: Arc<InstanceShared>, now: Instant) -> Self {
        shared.sit(None);
        shared.set_state(InstanceState::Starting);
        let history = History::default();
        let place = Place::Waiting(now);
        Self { shared, key: None, place, since: now, history, falls: 0, isolated: false }
    }

    pub(super) fn is_due(&self, now: Instant) -> bool {
        matches!(self.place, Place::Waiting(due) if due <= now)
    }

    /// It is not to be had until something changes.
    pub(super) fn park(&mut self, state: InstanceState) {
        self.place = Place::Parked;
        self.shared.sit(None);
        self.shared.set_state(state);
    }

    /// What it needs is not there: it is tried again after a while.
    pub(super) fn wait(&mut self, reason: Arc<str>) {
        self.place = Place::Waiting(Instant::now() + LATER);
        self.shared.sit(None);
        self.shared.set_state(InstanceState::Down { reason });
    }

    /// It fell, by its own fault: it pauses. True if it is quarantined.
    pub(super) fn fell(&mut self, reason: Arc<str>) -> bool {
        self.falls += 1;
        let (ran, name) = (self.since.elapsed(), self.shared.name());
        let fall = judge(&mut self.history, ran);
        let (pause, quarantined) = match fall {
            Fall::Quarantine(pause) => (pause, true),
            Fall::After(pause) => (pause, false),
            Fall::GiveUp => (Duration::ZERO, false),
        };
        warn!(instance = name, %reason, ?pause, quarantined, "collector fell");
        let reason = match quarantined {
            true => format!("{reason}; it fell too often and is quarantined").into(),
            false => reason,
        };
        self.place = Place::Waiting(Instant::now() + pause);
        self.since = Instant::now();
        self.shared.sit(None);
        self.shared.set_state(InstanceState::Down { reason });
        quarantined
    }
}

/// When what ran for so long and fell may start again.
pub(super) fn judge(history: &mut History, ran: Duration) -> Fall {
    Restart::WithBackoff.judge(history, tokio::time::Instant::now(), ran, fastrand::f64())
}
