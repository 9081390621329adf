//! Whether a collector brings what it should: a decision without actors.

use std::time::Duration;

use tokio::time::Instant;

use super::HeardOf;
use crate::series::PRESUMED_INTERVAL_MS;

/// What is presumed until it has been measured how often a collector that others run comes.
pub(super) const PRESUMED_INTERVAL: Duration = Duration::from_millis(PRESUMED_INTERVAL_MS as u64);

/// What was last heard of a collector.
#[derive(Debug)]
pub(super) struct CollectorHealth {
    pub(super) of: HeardOf,
    /// Of one that others run, and that does not say itself when it brings nothing: how often it brings something,
    /// and when it did last.
    pub(super) elsewhere: Option<(Duration, Instant)>,
}

/// A collector that others run brings nothing if nothing of it came for this long, however short its interval.
const SILENT_MIN: Duration = Duration::from_secs(5);

impl Default for CollectorHealth {
    fn default() -> Self {
        Self { of: HeardOf::Nothing, elsewhere: None }
    }
}

impl CollectorHealth {
    /// Whether it should have brought something by now. Nobody can say so of one that others run before it has been
    /// measured how often it comes, unless its node does.
    pub(super) fn brings_nothing(&self, now: Instant) -> bool {
        let silent = |(interval, at): (Duration, Instant)| {
            is_measured(interval) && now - at > (interval * 3).max(SILENT_MIN)
        };
        self.of == HeardOf::Nothing || self.elsewhere.is_some_and(silent)
    }

    /// How often others read it, if it brings anything and that is known.
    pub(super) fn pace(&self, now: Instant) -> Option<Duration> {
        let (interval, _) = self.elsewhere.filter(|_| !self.brings_nothing(now))?;
        is_measured(interval).then_some(interval)
    }
}

/// Whether somebody knows that it is this long.
pub(super) fn is_measured(interval: Duration) -> bool {
    interval != PRESUMED_INTERVAL
}
