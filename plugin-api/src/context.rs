//! What an instance knows of the world: its name, its series, and the daemon's log.

use std::{cell::Cell, fmt::Display, rc::Rc, time::Duration};

use crate::{
    abi::{Level, NO_SERIES},
    border::HostRef,
    collector::Metric,
};

/// Handle of a registered series. One that the host refused takes samples too, and they go nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Series(pub(crate) u32);

/// The host, as one instance sees it. Keep a clone where series appear and vanish between rounds.
///
/// It stays on the instance's thread. What is left of it after the instance has ended is inert: it registers nothing
/// and logs nothing.
#[derive(Clone)]
pub struct Ctx(Rc<Shared>);

struct Shared {
    /// None once the instance has ended: the host's memory is the host's again.
    host: Cell<Option<HostRef>>,
    instance: String,
    target: String,
    interval: Duration,
}

impl Ctx {
    pub(crate) fn new(host: HostRef, instance: String, target: String, interval: Duration) -> Self {
        Self(Rc::new(Shared { host: Cell::new(Some(host)), instance, target, interval }))
    }

    /// Ends it, and every clone of it.
    pub(crate) fn end(&self) {
        self.0.host.set(None);
    }

    pub(crate) fn host(&self) -> Option<HostRef> {
        self.0.host.get()
    }

    /// Registers a series, normally once; the same labels bring the same handle. The host refuses, counts and names
    /// once what the manifest does not know and what exceeds its limits.
    pub fn series<M: Metric>(&self, metric: M, labels: &[(&str, &str)]) -> Series {
        let handle = self.host().map_or(NO_SERIES, |host| host.series(metric.index(), labels));
        Series(handle)
    }

    /// Ends a series on purpose, because what it measured has gone: an interface, a mount.
    pub fn series_drop(&self, series: Series) {
        if let Some(host) = self.host()
            && series.0 != NO_SERIES
        {
            host.series_drop(series.0);
        }
    }

    /// Name of this instance, unique in the daemon.
    #[must_use]
    pub fn instance(&self) -> &str {
        &self.0.instance
    }

    /// Name of the server that it watches.
    #[must_use]
    pub fn target(&self) -> &str {
        &self.0.target
    }

    /// Time between two rounds.
    #[must_use]
    pub fn interval(&self) -> Duration {
        self.0.interval
    }

    /// Logs that something failed and somebody should look.
    pub fn error(&self, text: impl Display) {
        self.log(Level::Error, &text);
    }

    /// Logs that something is odd, and the collector goes on.
    pub fn warn(&self, text: impl Display) {
        self.log(Level::Warn, &text);
    }

    /// Logs what is worth knowing once.
    pub fn info(&self, text: impl Display) {
        self.log(Level::Info, &text);
    }

    /// Logs for whoever looks for a fault.
    pub fn debug(&self, text: impl Display) {
        self.log(Level::Debug, &text);
    }

    /// Logs for whoever writes the plugin.
    pub fn trace(&self, text: impl Display) {
        self.log(Level::Trace, &text);
    }

    fn log(&self, level: Level, text: &dyn Display) {
        if let Some(host) = self.host() {
            host.log(level, &text.to_string());
        }
    }
}
