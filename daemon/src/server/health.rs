//! Whether a server is well: a decision without actors.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{Heard, HeardOf};
use crate::live::messages::ServerState;

/// What the server's state is judged by.
#[derive(Debug)]
pub(super) struct Health {
    interval: Duration,
    heard_at: Instant,
    /// Whether a sample came since the start.
    heard: bool,
    collectors: BTreeMap<Arc<str>, HeardOf>,
}

/// A server of which nothing was heard for this long is offline, however short
/// its intervals.
const OFFLINE_MIN: Duration = Duration::from_secs(30);

impl Health {
    /// Of a server whose fastest collector reads every `interval`, which has
    /// these `collectors`, and of which nothing has been heard yet.
    pub(super) fn new(
        interval: Duration,
        collectors: impl Iterator<Item = Arc<str>>,
        now: Instant,
    ) -> Self {
        let collectors = collectors.map(|name| (name, HeardOf::Nothing)).collect();
        Self { interval, heard_at: now, heard: false, collectors }
    }

    /// Takes note of a report.
    pub(super) fn hear(&mut self, heard: &Heard, now: Instant) {
        if heard.of == HeardOf::Samples {
            self.heard_at = now;
            self.heard = true;
        }
        if let Some(known) = self.collectors.get_mut(&heard.collector) {
            *known = heard.of;
        }
    }

    /// The state at `now`, as `architecture` defines it: unknown after three
    /// intervals without a sample, offline after the longer of those and 30 s.
    pub(super) fn judge(&self, now: Instant) -> ServerState {
        let silent = now - self.heard_at;
        let unknown_after = self.interval * 3;
        if silent > unknown_after.max(OFFLINE_MIN) {
            ServerState::Offline
        } else if silent > unknown_after || !self.heard {
            ServerState::Unknown
        } else if self.count(HeardOf::Nothing) > 0 {
            ServerState::Degraded
        } else {
            ServerState::Up
        }
    }

    /// How many collectors were last heard like this.
    pub(super) fn count(&self, of: HeardOf) -> u32 {
        let count = self.collectors.values().filter(|&&known| known == of).count();
        u32::try_from(count).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn silence_makes_a_server_unknown_and_then_offline() {
        let start = Instant::now();
        let mut health = Health::new(SECOND, ["cpu".into()].into_iter(), start);
        assert_eq!(health.judge(start), ServerState::Unknown, "nothing was heard yet");
        health.hear(&heard("cpu", HeardOf::Samples), start + SECOND);

        assert_eq!(health.judge(start + 4 * SECOND), ServerState::Up);
        assert_eq!(health.judge(start + 5 * SECOND), ServerState::Unknown);
        assert_eq!(health.judge(start + 31 * SECOND), ServerState::Unknown);
        assert_eq!(health.judge(start + 32 * SECOND), ServerState::Offline);
    }

    #[test]
    fn a_slow_server_is_offline_only_after_three_of_its_intervals() {
        let start = Instant::now();
        let mut health = Health::new(60 * SECOND, ["cpu".into()].into_iter(), start);
        health.hear(&heard("cpu", HeardOf::Samples), start);

        assert_eq!(health.judge(start + 180 * SECOND), ServerState::Up);
        assert_eq!(health.judge(start + 181 * SECOND), ServerState::Offline);
    }

    #[test]
    fn one_collector_down_is_degraded_and_one_absent_is_not() {
        let start = Instant::now();
        let names = ["cpu", "disk", "battery"].map(Arc::from);
        let mut health = Health::new(SECOND, names.into_iter(), start);
        health.hear(&heard("cpu", HeardOf::Samples), start);
        health.hear(&heard("battery", HeardOf::Absent), start);
        assert_eq!(health.judge(start), ServerState::Degraded, "disk was not heard of");
        health.hear(&heard("disk", HeardOf::Samples), start);
        assert_eq!(health.judge(start), ServerState::Up);
        health.hear(&heard("disk", HeardOf::Nothing), start);
        assert_eq!(health.judge(start), ServerState::Degraded);
    }

    fn heard(collector: &str, of: HeardOf) -> Heard {
        Heard { collector: collector.into(), of }
    }
}
