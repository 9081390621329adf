//! All that is judged of one server: its detectors, fed by frames, by silence, and by time.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    Transition,
    detector::FRESH_INTERVALS,
    recall::Recall,
    subject::{collector_state, is_of_daemon, server_state, store_state},
    watched::{Scene, Watched},
};
use crate::{
    config::RuleConfig,
    series::{BySeries, Catalog, Frame, PRESUMED_INTERVAL_MS, Walk},
};

/// Judges one server. Pure: it is told what happened and when, and gives out what changed.
#[derive(Debug)]
pub struct Sentinel {
    scene: Scene,
    catalog: Arc<Catalog>,
    rules: Vec<Arc<RuleConfig>>,
    collectors: BTreeMap<Arc<str>, Seen>,
    series: BySeries<Watched>,
    /// What the catalog was when its series were last compared with these.
    revision: u64,
    /// Whether each collector brings samples, by its name.
    states: BTreeMap<Arc<str>, Watched>,
    /// Whether the server is there.
    presence: Watched,
    /// Whether its samples are stored.
    store: Watched,
    offline: bool,
    /// Whether it is judged by others.
    elsewhere: bool,
    /// What time it is.
    clock_ms: i64,
    /// When a collector last brought samples.
    heard_ms: Option<i64>,
    transitions: Vec<Transition>,
}

/// What was last heard of a collector.
#[derive(Debug, Clone, Copy)]
struct Seen {
    interval_ms: i64,
    at_ms: i64,
}

/// A collector of which nothing was heard for this long is silent, however short its interval.
const SILENT_MIN_MS: i64 = 5_000;
/// A clock that moves further than this between two looks, or back by more, does not tell how much time has passed.
const STEP_MS: i64 = 3_000;
/// A busy machine may take a second to come to what was read every 100 ms.
const LATE_INTERVAL_MIN_MS: i64 = 1_000;

impl Sentinel {
    /// A sentinel of the server called `server`, for which `rules` hold, as of `now_ms`. It goes on from what
    /// `recall` says; what of it nobody judges any more is withdrawn.
    pub fn new(
        server: Arc<str>,
        collectors: impl IntoIterator<Item = (Arc<str>, i64)>,
        rules: impl IntoIterator<Item = impl Into<Arc<RuleConfig>>>,
        catalog: Arc<Catalog>,
        recall: Recall,
        now_ms: i64,
    ) -> Self {
        let seen = |interval_ms: i64| Seen { interval_ms, at_ms: now_ms };
        let collectors: BTreeMap<_, _> =
            collectors.into_iter().map(|(name, interval_ms)| (name, seen(interval_ms))).collect();
        let scene =
            Scene { server: server.clone(), silent: BTreeMap::new(), recall, began_ms: now_ms };
        let mut sentinel = Self {
            states: BTreeMap::new(),
            presence: Watched::new(server_state(&server).into(), now_ms),
            store: Watched::new(store_state(&server).into(), now_ms),
            scene,
            revision: catalog.revision(),
            catalog,
            rules: rules.into_iter().map(Into::into).collect(),
            collectors,
            series: BySeries::default(),
            offline: false,
            elsewhere: false,
            clock_ms: now_ms,
            heard_ms: None,
            transitions: Vec::new(),
        };
        let Self { presence, store, rules, scene, transitions, collectors, states, .. } =
            &mut sentinel;
        presence.judge_by(rules, scene, now_ms, transitions);
        store.judge_by(rules, scene, now_ms, transitions);
        for (name, seen) in &*collectors {
            let series = collector_state(&server, name, seen.interval_ms).into();
            let mut state = Watched::new(series, now_ms);
            state.judge_by(rules, scene, now_ms, transitions);
            states.insert(name.clone(), state);
        }
        sentinel.go_on(now_ms);
        sentinel
    }

    /// Finds the series of what is remembered, and withdraws the rest.
    fn go_on(&mut self, now_ms: i64) {
        for metric in self.rules.iter().map(|rule| rule.metric.clone()).collect::<Vec<_>>() {
            for id in self.catalog.of_metric(&self.scene.server, &metric) {
                if self.series.contains(id) {
                    continue;
                }
                let Some(series) = self.catalog.get(id) else { continue };
                let known = self.collectors.contains_key(&series.collector);
                if known && self.scene.recall.remembers(&self.rules, &series) {
                    let mut watched = Watched::new(series, now_ms);
                    let Self { rules, scene, transitions, .. } = self;
                    watched.judge_by(rules, scene, now_ms, transitions);
                    self.series.add(vec![(id, watched)]);
                }
            }
        }
        self.transitions.extend(self.scene.recall.withdraw_rest(now_ms));
    }

    /// It is `now_ms`. Whoever has a sentinel looks at the clock more often than every three seconds; where more has
    /// passed than that, or less than nothing, the clock was set or the machine slept. What is remembered then moves
    /// along, as if no time had passed: neither a breach nor silence is made of it, and nobody waits until an old
    /// time comes again.
    pub fn look(&mut self, now_ms: i64) {
        let by_ms = now_ms - self.clock_ms;
        if by_ms.abs() <= STEP_MS {
            self.clock_ms = self.clock_ms.max(now_ms);
            return;
        }
        self.clock_ms = now_ms;
        self.scene.began_ms += by_ms;
        self.heard_ms = self.heard_ms.map(|heard_ms| heard_ms + by_ms);
        self.collectors.values_mut().for_each(|seen| seen.at_ms += by_ms);
        let all = self.states.values_mut().chain(self.series.values_mut());
        all.chain([&mut self.presence, &mut self.store]).for_each(|watched| watched.shift(by_ms));
    }

    /// A collector has shown up that was not known before, or it reads at another interval now.
    pub fn meet(&mut self, collector: &Arc<str>, interval_ms: i64, now_ms: i64) {
        self.look(now_ms);
        let series = collector_state(&self.scene.server, collector, interval_ms).into();
        if let Some(seen) = self.collectors.get_mut(collector) {
            seen.interval_ms = interval_ms;
            if let Some(state) = self.states.get_mut(collector) {
                state.is_now(series);
            }
            return;
        }
        self.collectors.insert(collector.clone(), Seen { interval_ms, at_ms: self.clock_ms });
        let mut state = Watched::new(series, self.clock_ms);
        let Self { rules, scene, transitions, .. } = self;
        state.judge_by(rules, scene, self.clock_ms, transitions);
        self.states.insert(collector.clone(), state);
    }

    /// A collector is no longer one of this server's: what was said of it is withdrawn.
    pub fn forget(&mut self, collector: &str, now_ms: i64) {
        self.look(now_ms);
        self.collectors.remove(collector);
        let Self { scene, transitions, .. } = self;
        if let Some(mut state) = self.states.remove(collector) {
            state.withdraw(&[], now_ms, scene, transitions);
        }
        self.series.retain(|watched| {
            let stays = &*watched.series().collector != collector;
            if !stays {
                watched.withdraw(&[], now_ms, scene, transitions);
            }
            stays
        });
        scene.silent.remove(collector);
    }

    /// Takes what a collector has read.
    pub fn frame(&mut self, frame: &Frame, now_ms: i64) {
        self.look(now_ms);
        let at_ms = self.not_ahead(frame.at_ms);
        if self.is_late(frame) {
            return;
        }
        self.scene.silent.remove(&frame.collector);
        self.offline = false;
        self.elsewhere = false;
        self.heard_ms = Some(self.clock_ms);
        self.heard(&frame.collector, at_ms, 1.0);
        let Self { scene, rules, transitions, catalog, .. } = self;
        self.presence.turn(at_ms, 1.0, scene, transitions);
        let revision = catalog.revision();
        if std::mem::replace(&mut self.revision, revision) != revision {
            for (id, watched) in self.series.iter_mut() {
                catalog.get(id).into_iter().for_each(|series| watched.is_now(series));
            }
        }
        let (mut walk, mut new) = (Walk::default(), Vec::new());
        for sample in &frame.samples {
            if let Some(watched) = self.series.get_mut(sample.series, &mut walk) {
                watched.take(at_ms, sample.value, scene, transitions);
                continue;
            }
            // What another node says of its collectors, this one finds out by itself.
            let series = catalog.get(sample.series).filter(|series| !is_of_daemon(series));
            let Some(series) = series else { continue };
            let mut watched = Watched::new(series, now_ms);
            watched.judge_by(rules, scene, now_ms, transitions);
            watched.take(at_ms, sample.value, scene, transitions);
            new.push((sample.series, watched));
        }
        self.series.add(new);
    }

    /// A collector brought nothing, and should have.
    pub fn missed(&mut self, collector: &Arc<str>, at_ms: i64, why: &Arc<str>) {
        self.scene.silent.insert(collector.clone(), why.clone());
        self.heard(collector, self.not_ahead(at_ms), 0.0);
    }

    /// A collector has nothing to bring on this machine.
    pub fn absent(&mut self, collector: &Arc<str>, at_ms: i64) {
        self.scene.silent.remove(collector);
        self.heard(collector, self.not_ahead(at_ms), 1.0);
    }

    /// What the server brings is stored, or waits for a disk that does not take it.
    pub fn stored(&mut self, is_stored: bool, now_ms: i64) {
        self.look(now_ms);
        let value = f64::from(u8::from(is_stored));
        self.store.turn(self.clock_ms, value, &self.scene, &mut self.transitions);
    }

    /// Nothing has been heard of the server for so long that it is offline. Whoever says so may not have heard yet
    /// what has come since. One that this sentinel has never heard of, because the daemon was not running, is offline
    /// since it was last seen.
    pub fn offline(&mut self, now_ms: i64, seen_ms: Option<i64>) {
        self.look(now_ms);
        if self.is_here() || std::mem::replace(&mut self.offline, true) {
            return;
        }
        self.elsewhere = false;
        let since_ms = seen_ms.filter(|&seen_ms| self.heard_ms.is_none() && seen_ms < now_ms);
        let since_ms = since_ms.unwrap_or(now_ms);
        self.presence.turn(since_ms, 0.0, &self.scene, &mut self.transitions);
        // What is wrong with a server that is not there, nobody knows.
        self.lose_all(now_ms);
    }

    /// Nothing is heard of the server here because it is heard of elsewhere: whoever hears of it judges it. It is not
    /// offline, and its collectors are not silent.
    pub fn elsewhere(&mut self, now_ms: i64) {
        self.look(now_ms);
        if self.is_here() || std::mem::replace(&mut self.elsewhere, true) {
            return;
        }
        if std::mem::take(&mut self.offline) {
            self.presence.turn(now_ms, 1.0, &self.scene, &mut self.transitions);
        }
        self.lose_all(now_ms);
    }

    /// Whether samples of the present came just now.
    fn is_here(&self) -> bool {
        let fastest_ms = self.collectors.values().map(|seen| seen.interval_ms).min();
        let fresh_ms = FRESH_INTERVALS * fastest_ms.unwrap_or(0).max(LATE_INTERVAL_MIN_MS);
        self.heard_ms.is_some_and(|heard_ms| self.clock_ms - heard_ms <= fresh_ms)
    }

    fn lose_all(&mut self, now_ms: i64) {
        for watched in self.states.values_mut().chain(self.series.values_mut()) {
            watched.lose(now_ms, &self.scene, &mut self.transitions);
        }
    }

    /// Lets time pass: timers that are due, values that are too old, collectors that say nothing at all.
    pub fn advance(&mut self, now_ms: i64) {
        self.look(now_ms);
        let is_silent = |seen: &Seen| {
            // Nobody knows yet when something should come.
            let is_due = seen.interval_ms != i64::from(PRESUMED_INTERVAL_MS);
            is_due && now_ms - seen.at_ms > (3 * seen.interval_ms).max(SILENT_MIN_MS)
        };
        let is_judged = !self.offline && !self.elsewhere;
        for (name, _) in self.collectors.iter().filter(|(_, seen)| is_judged && is_silent(seen)) {
            let why = || "the collector reports nothing at all".into();
            self.scene.silent.entry(name.clone()).or_insert_with(why);
            if let Some(state) = self.states.get_mut(name) {
                state.turn(now_ms, 0.0, &self.scene, &mut self.transitions);
            }
        }
        let Self { scene, transitions, .. } = self;
        self.presence.advance(now_ms, scene, transitions);
        self.store.advance(now_ms, scene, transitions);
        for watched in self.states.values_mut().chain(self.series.values_mut()) {
            watched.advance(now_ms, scene, transitions);
        }
    }

    /// Goes on by other rules from `now_ms` on.
    pub fn follow(
        &mut self,
        rules: impl IntoIterator<Item = impl Into<Arc<RuleConfig>>>,
        now_ms: i64,
    ) {
        self.look(now_ms);
        self.rules = rules.into_iter().map(Into::into).collect();
        let Self { scene, rules, transitions, .. } = self;
        let all = self.states.values_mut().chain(self.series.values_mut());
        for watched in all.chain([&mut self.presence, &mut self.store]) {
            watched.withdraw(rules, now_ms, scene, transitions);
            watched.judge_by(rules, scene, now_ms, transitions);
        }
    }

    /// When [`advance`](Self::advance) has something to do at the latest.
    pub fn due_ms(&self) -> Option<i64> {
        let all = self.states.values().chain(self.series.values());
        all.chain([&self.presence, &self.store]).filter_map(Watched::due_ms).min()
    }

    /// Whether every sample of a collector is within its limit at `now_ms`, as [`normal`](super::normal()) says.
    pub fn normal(&self, now_ms: i64) -> Option<bool> {
        super::normal(self.series.values().flat_map(|watched| watched.beyond(&self.scene, now_ms)))
    }

    /// What has changed since the last call.
    pub fn take(&mut self) -> Vec<Transition> {
        std::mem::take(&mut self.transitions)
    }

    /// Whether a frame says nothing of the present: such a one is no cause for alarm.
    fn is_late(&self, frame: &Frame) -> bool {
        let seen = self.collectors.get(&frame.collector);
        let interval_ms = seen.map_or(0, |seen| seen.interval_ms).max(LATE_INTERVAL_MIN_MS);
        self.clock_ms - frame.at_ms > FRESH_INTERVALS * interval_ms
    }

    /// `at_ms`, or the present where it lies ahead: it was noted before the clock was set back.
    fn not_ahead(&self, at_ms: i64) -> i64 {
        if at_ms - self.clock_ms > STEP_MS { self.clock_ms } else { at_ms }
    }

    fn heard(&mut self, collector: &Arc<str>, at_ms: i64, state: f64) {
        if let Some(seen) = self.collectors.get_mut(collector) {
            seen.at_ms = seen.at_ms.max(at_ms);
        }
        if let Some(watched) = self.states.get_mut(collector).filter(|_| !self.offline) {
            watched.turn(at_ms, state, &self.scene, &mut self.transitions);
        }
    }
}
