//! What systemd is told, and when.

use std::time::Duration;

use tracing::{error, info};

use crate::{
    store::StoreReader,
    supervision::{Tree, until_pulse},
    systemd::{Systemd, watchdog_interval},
};

/// Says READY once a sample is stored, then STATUS and WATCHDOG for as long as
/// everybody is alive.
pub(super) struct Readiness {
    systemd: Systemd,
    store: StoreReader,
    ready: bool,
    overdue: Vec<String>,
    status: String,
}

/// How often is looked whether the first sample is stored.
const BEFORE_READY: Duration = Duration::from_millis(100);

impl Readiness {
    /// Not ready yet.
    pub(super) fn new(systemd: Systemd, store: StoreReader) -> Self {
        Self { systemd, store, ready: false, overdue: Vec::new(), status: String::new() }
    }

    /// Time until the next look: the pulse, unless systemd wants to hear sooner.
    pub(super) fn interval(&self) -> Duration {
        let interval = if self.ready { until_pulse() } else { BEFORE_READY };
        watchdog_interval().map_or(interval, |watchdog| interval.min(watchdog))
    }

    /// Looks at store and tree, and tells systemd.
    pub(super) fn look(&mut self, tree: &Tree) {
        if !self.ready && self.store.stored_since_start() > 0 {
            self.ready = true;
            info!("ready: the first sample is stored");
            self.systemd.ready("watching");
        }
        self.judge(tree.overdue(Duration::ZERO));
        let status = self.words(tree);
        if status != self.status {
            self.systemd.status(&status);
            self.status = status;
        }
    }

    /// The configuration is being read again.
    pub(super) fn reloading(&self) {
        self.systemd.reloading();
    }

    /// It has been read again, for better or worse.
    pub(super) fn reloaded(&self) {
        self.systemd.ready(&self.status);
    }

    /// The daemon is stopping.
    pub(super) fn stopping(&self) {
        self.systemd.stopping("stopping");
    }

    fn judge(&mut self, overdue: Vec<String>) {
        if overdue.is_empty() {
            self.systemd.watchdog();
        }
        if overdue != self.overdue {
            if overdue.is_empty() {
                info!("everybody answers again, the watchdog is fed");
            } else {
                error!(actors = ?overdue, "stuck, the watchdog is not fed");
            }
            self.overdue = overdue;
        }
    }

    fn words(&self, tree: &Tree) -> String {
        if !self.overdue.is_empty() {
            return format!("stuck: {}", self.overdue.join(", "));
        }
        if !self.ready {
            return "waiting for the first sample".into();
        }
        match tree.root().count("server") {
            1 => "watching 1 server".into(),
            servers => format!("watching {servers} servers"),
        }
    }
}
