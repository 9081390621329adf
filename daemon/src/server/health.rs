//! Whether a server is well: a decision without actors.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{
    Heard, HeardOf, Sighting,
    collector_health::{CollectorHealth, PRESUMED_INTERVAL, is_measured},
};
use crate::live::messages::ServerState;

/// What the server's state is judged by.
#[derive(Debug)]
pub(super) struct Health {
    interval: Duration,
    /// When samples of the present came last, or when this was begun.
    heard_at: Instant,
    /// When anything came last: samples of the past too are a sign of life.
    alive_at: Instant,
    /// Where it was seen last besides here.
    elsewhere: Option<Sighting>,
    /// Whether a sample came since the start.
    heard: bool,
    /// Whether anything has ever come.
    came: bool,
    /// Whether anybody knows how often something should come. Who has written and has no pace is unknown when it is
    /// silent, and never offline: its next sample may not be due.
    paced: bool,
    collectors: BTreeMap<Arc<str>, CollectorHealth>,
    looked_at: Instant,
}

/// A server of which nothing was heard for this long is offline, however short
/// its intervals.
const OFFLINE_MIN: Duration = Duration::from_secs(30);
/// So long before it would be offline, a silent server is missed: time for others to be asked, more than once.
const MISSED_BEFORE: Duration = Duration::from_secs(15);
/// One of which nothing came for so long, while others went on, has ended.
const ENDED: Duration = Duration::from_secs(24 * 60 * 60);
/// Whoever looks only after so long has been asleep, and does not know what was there to be heard meanwhile.
const ASLEEP: Duration = Duration::from_secs(5);

impl Health {
    /// Of a server whose fastest collector reads every `interval`, which has
    /// these `collectors`, and of which nothing has been heard yet.
    pub(super) fn new(
        interval: Duration,
        collectors: impl Iterator<Item = Arc<str>>,
        now: Instant,
    ) -> Self {
        let of = |name| (name, CollectorHealth::default());
        let collectors: BTreeMap<_, _> = collectors.map(of).collect();
        Self {
            interval,
            heard_at: now,
            alive_at: now,
            elsewhere: None,
            heard: false,
            came: false,
            paced: !collectors.is_empty(),
            collectors,
            looked_at: now,
        }
    }

    /// Time between two samples of its fastest collector that brings any; presumed where nobody knows it of any.
    pub(super) fn interval(&self) -> Duration {
        self.interval
    }

    /// Takes note of a report.
    pub(super) fn hear(&mut self, heard: &Heard, now: Instant) {
        if heard.of == HeardOf::Samples {
            self.heard_at = now;
            self.alive_at = now;
            self.heard = true;
            self.came = true;
        }
        if let Some(known) = self.collectors.get_mut(&heard.collector) {
            known.of = heard.of;
            if let Some((_, at)) = &mut known.elsewhere {
                *at = now;
            }
        }
    }

    /// Others run this collector, and read it every `interval`.
    pub(super) fn meet(&mut self, collector: Arc<str>, interval: Duration, now: Instant) {
        let known = self.collectors.entry(collector).or_default();
        known.elsewhere = Some((interval, now));
        if is_measured(interval) {
            self.paced = true;
        }
    }

    /// Something came in a former life.
    pub(super) fn has_come(&mut self) {
        self.came = true;
    }

    /// It is known how often something should come, of whatever collector.
    pub(super) fn has_pace(&mut self) {
        self.paced = true;
    }

    /// Whether something came, and nobody knows when to miss the next.
    pub(super) fn lacks_pace(&self) -> bool {
        self.came && !self.paced
    }

    /// Something came, however old.
    pub(super) fn is_alive(&mut self, now: Instant) {
        self.alive_at = now;
        self.came = true;
        let fastest = self.collectors.values().filter_map(|known| known.pace(now)).min();
        let presumed = (!self.paced).then_some(PRESUMED_INTERVAL);
        self.interval = fastest.or(presumed).unwrap_or(self.interval);
    }

    /// Another hub hears of it.
    pub(super) fn is_elsewhere(&mut self, sighting: Sighting) {
        if self.elsewhere.as_ref().is_none_or(|known| known.at < sighting.at) {
            self.elsewhere = Some(sighting);
        }
    }

    /// The hub that hears of it, while nothing comes of it here and it is not offline for that alone.
    pub(super) fn hub(&self, now: Instant) -> Option<&Arc<str>> {
        let sighting = self.elsewhere.as_ref().filter(|sighting| sighting.at > self.alive_at)?;
        let is_silent_here = now - self.alive_at > self.missed_after();
        (is_silent_here && now - sighting.at <= self.offline_after()).then_some(&sighting.hub)
    }

    /// Whether so little comes of it here that it is worth asking others.
    pub(super) fn is_missed(&self, now: Instant) -> bool {
        now - self.alive_at > self.missed_after()
    }

    fn offline_after(&self) -> Duration {
        (self.interval * 3).max(OFFLINE_MIN)
    }

    fn missed_after(&self) -> Duration {
        self.offline_after().saturating_sub(MISSED_BEFORE)
    }

    /// Looks up. Who has been asleep has heard nothing, and so nobody counts as silent for that time. Gives the
    /// collectors that have ended; they are forgotten.
    pub(super) fn look(&mut self, now: Instant) -> Vec<Arc<str>> {
        if now - std::mem::replace(&mut self.looked_at, now) > ASLEEP {
            self.heard_at = now;
            self.alive_at = now;
            self.collectors
                .values_mut()
                .filter_map(|known| known.elsewhere.as_mut())
                .for_each(|(_, at)| *at = now);
        }
        let alive_at = self.alive_at;
        let ended = |known: &CollectorHealth| {
            let since = known.elsewhere.map(|(_, at)| alive_at.saturating_duration_since(at));
            since.is_some_and(|since| since > ENDED)
        };
        if !self.collectors.values().any(ended) {
            return Vec::new();
        }
        self.collectors.extract_if(.., |_, known| ended(known)).map(|(name, _)| name).collect()
    }

    /// The state at `now`, as `architecture` defines it: unknown after three
    /// intervals without a sample, offline after the longer of those and 30 s, unless another hub hears of it or
    /// nobody knows how often it writes.
    pub(super) fn judge(&self, now: Instant) -> ServerState {
        let unknown_after = self.interval * 3;
        let silent = now - self.heard_at;
        let is_due = !self.lacks_pace() && now - self.alive_at > self.offline_after();
        if is_due && self.hub(now).is_none() {
            ServerState::Offline
        } else if silent > unknown_after || !self.heard {
            ServerState::Unknown
        } else if self.down(now) > 0 {
            ServerState::Degraded
        } else {
            ServerState::Up
        }
    }

    /// How many collectors bring samples.
    pub(super) fn up(&self, now: Instant) -> u32 {
        let up =
            |known: &&CollectorHealth| known.of == HeardOf::Samples && !known.brings_nothing(now);
        count(self.collectors.values().filter(up))
    }

    /// How many bring none, and should.
    pub(super) fn down(&self, now: Instant) -> u32 {
        count(self.collectors.values().filter(|known| known.brings_nothing(now)))
    }
}

fn count<T>(of: impl Iterator<Item = T>) -> u32 {
    u32::try_from(of.count()).unwrap_or(u32::MAX)
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

    #[test]
    fn samples_of_the_past_keep_a_server_from_being_offline_and_leave_it_unknown() {
        let start = Instant::now();
        let mut health = of_elsewhere(start);
        for second in 0..100 {
            health.is_alive(start + second * SECOND);
        }
        assert_eq!(health.judge(start + 100 * SECOND), ServerState::Unknown, "it catches up");
        assert_eq!(health.judge(start + 130 * SECOND), ServerState::Offline);
    }

    #[test]
    fn who_writes_to_another_hub_is_unknown_here_and_offline_once_it_is_silent_there_too() {
        let start = Instant::now();
        let at = |second: u32| start + second * SECOND;
        let seen = |second| Sighting { hub: "hub-2".into(), at: at(second) };
        let mut health = of_elsewhere(start);
        health.hear(&heard("cpu", HeardOf::Samples), start);
        assert!(!health.is_missed(at(15)) && health.is_missed(at(16)));
        health.is_elsewhere(seen(20));
        health.is_elsewhere(seen(18));
        assert_eq!(health.judge(at(20)), ServerState::Unknown);
        assert_eq!(health.judge(at(50)), ServerState::Unknown);
        assert_eq!(health.hub(at(50)).map(|hub| &**hub), Some("hub-2"));
        assert_eq!(health.judge(at(51)), ServerState::Offline);
        assert_eq!(health.hub(at(51)), None);
        health.is_elsewhere(seen(50));
        assert_eq!(health.judge(at(52)), ServerState::Unknown, "it is there after all");

        health.hear(&heard("cpu", HeardOf::Samples), at(60));
        assert_eq!((health.judge(at(60)), health.hub(at(60))), (ServerState::Up, None));
        assert_eq!(health.judge(at(91)), ServerState::Offline, "what was seen before says nothing");
    }

    #[test]
    fn a_collector_of_elsewhere_that_falls_silent_is_down_for_a_day_and_then_forgotten() {
        let start = Instant::now();
        let mut health = Health::new(10 * SECOND, [].into_iter(), start);
        let mut brings = |names: &[&str], at: u32| {
            let now = start + at * SECOND;
            for name in names {
                health.meet((*name).into(), 10 * SECOND, now);
                health.hear(&heard(name, HeardOf::Samples), now);
            }
            health.is_alive(now);
            let ended = health.look(now);
            (health.judge(now), health.up(now), health.down(now), ended)
        };
        assert_eq!(brings(&["node", "app"], 0), (ServerState::Up, 2, 0, vec![]));
        for at in 1..=30 {
            assert_eq!(brings(&["node"], at), (ServerState::Up, 2, 0, vec![]));
        }
        assert_eq!(brings(&["node"], 31), (ServerState::Degraded, 1, 1, vec![]));
        for at in (34..86_400).step_by(3) {
            assert_eq!(brings(&["node"], at), (ServerState::Degraded, 1, 1, vec![]));
        }
        assert_eq!(brings(&["node"], 86_402).3, ["app".into()]);
        assert_eq!(brings(&["node"], 86_403), (ServerState::Up, 1, 0, vec![]));
    }

    #[test]
    fn the_interval_is_that_of_the_fastest_collector_that_still_brings_something() {
        let start = Instant::now();
        let mut health = Health::new(10 * SECOND, [].into_iter(), start);
        for (name, interval) in [("fast", SECOND), ("slow", 60 * SECOND)] {
            health.meet(name.into(), interval, start);
            health.hear(&heard(name, HeardOf::Samples), start);
        }
        health.is_alive(start);
        assert_eq!(health.interval(), SECOND);
        health.hear(&heard("slow", HeardOf::Samples), start + 60 * SECOND);
        health.is_alive(start + 60 * SECOND);
        assert_eq!(health.interval(), 60 * SECOND);
    }

    #[test]
    fn a_hub_that_was_asleep_does_not_cry_wolf() {
        let start = Instant::now();
        let mut health = of_elsewhere(start);
        health.is_alive(start);
        health.look(start + SECOND);
        let woken = start + 3600 * SECOND;
        health.look(woken);
        assert_eq!(health.judge(woken + 30 * SECOND), ServerState::Unknown);
        assert_eq!(health.judge(woken + 31 * SECOND), ServerState::Offline);
    }

    #[test]
    fn who_wrote_once_is_unknown_when_it_is_silent_and_offline_only_once_its_pace_is_known() {
        let start = Instant::now();
        let at = |second: u32| start + second * SECOND;
        let mut health = Health::new(SECOND, [].into_iter(), start);
        assert_eq!(health.judge(at(31)), ServerState::Offline, "nothing has ever come");
        let hear = |health: &mut Health, interval, second| {
            health.meet("push".into(), interval, at(second));
            health.hear(&heard("push", HeardOf::Samples), at(second));
            health.is_alive(at(second));
            health.judge(at(second))
        };
        assert_eq!(hear(&mut health, PRESUMED_INTERVAL, 40), ServerState::Up);
        assert_eq!((health.judge(at(86_400)), health.down(at(86_400))), (ServerState::Unknown, 0));
        assert_eq!((health.lacks_pace(), health.interval()), (true, PRESUMED_INTERVAL));
        assert_eq!(hear(&mut health, 60 * SECOND, 90_000), ServerState::Up);
        assert_eq!(health.judge(at(90_180)), ServerState::Up);
        assert_eq!((health.judge(at(90_181)), health.down(at(90_181))), (ServerState::Offline, 1));
    }

    #[test]
    fn one_push_beside_a_steady_collector_does_not_make_it_slower() {
        let start = Instant::now();
        let mut health = Health::new(SECOND, [].into_iter(), start);
        for (name, interval) in [("push", PRESUMED_INTERVAL), ("node", SECOND)] {
            health.meet(name.into(), interval, start);
            health.hear(&heard(name, HeardOf::Samples), start);
        }
        health.is_alive(start);
        assert_eq!(health.interval(), SECOND);
        health.hear(&heard("node", HeardOf::Samples), start + 20 * SECOND);
        let later = start + 20 * SECOND;
        assert_eq!((health.judge(later), health.up(later)), (ServerState::Up, 2));
        assert_eq!(health.judge(later + 31 * SECOND), ServerState::Offline);
    }

    /// Of a server that is read elsewhere every second.
    fn of_elsewhere(start: Instant) -> Health {
        let mut health = Health::new(SECOND, [].into_iter(), start);
        health.has_pace();
        health
    }

    fn heard(collector: &str, of: HeardOf) -> Heard {
        Heard { collector: collector.into(), of }
    }
}
