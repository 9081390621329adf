//! The latest of everything: servers, their series, and who is silent.
//!
//! Pure: no clock, no lock, no channel. Every question names the time it is asked for.

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    config::Severity,
    series::{BySeries, Catalog, Frame, Gap, Kind, Rate, Series, Walk, silence},
};

use super::{
    messages::{AlertRow, LiveUpdate, Origin, ServerState, ServerStatus},
    wall::Part,
};

/// A value is unknown when it is older than so many intervals.
const STALE_INTERVALS: i64 = 3;

/// What is read elsewhere travels in batches: a shorter interval than this does not make it old sooner.
const REMOTE_INTERVAL_MIN_MS: i64 = 1_000;

/// A server without samples for this long is offline, if three intervals are shorter.
const OFFLINE_MS: i64 = 30_000;

/// A series that its collector no longer brings is forgotten after this time.
const FORGET_MS: i64 = 600_000;

/// All that is known at present.
#[derive(Debug)]
pub(super) struct Board {
    catalog: Arc<Catalog>,
    servers: BTreeMap<Arc<str>, Server>,
    alerts: BTreeMap<Arc<str>, Arc<AlertRow>>,
    /// Open incidents of each server that has any, and how bad each is.
    open: BTreeMap<Arc<str>, BTreeMap<Arc<str>, Severity>>,
    unplaced: u64,
}

/// One server at present.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) status: ServerStatus,
    /// Time of the newest sample that was shown, by our clock, and not ahead of it.
    shown_ms: Option<i64>,
    pub(super) slots: BySeries<Slot>,
    /// What the catalog was when its series were last compared with these.
    revision: u64,
    /// Why a collector is silent, by its name.
    silent: BTreeMap<Arc<str>, Arc<str>>,
}

/// The latest sample of one series.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) series: Arc<Series>,
    pub(super) at_ms: i64,
    /// What it plays in its server's row of the wall.
    pub(super) part: Part,
    rate: Option<Rate>,
    value: Option<f64>,
}

impl Board {
    /// A board without servers.
    pub(super) fn new(catalog: Arc<Catalog>) -> Self {
        Self {
            catalog,
            servers: BTreeMap::new(),
            alerts: BTreeMap::new(),
            open: BTreeMap::new(),
            unplaced: 0,
        }
    }

    /// All servers, by name.
    pub(super) fn servers(&self) -> impl Iterator<Item = &Server> {
        self.servers.values()
    }

    /// One server.
    pub(super) fn server(&self, name: &str) -> Option<&Server> {
        self.servers.get(name)
    }

    /// All incidents that are shown, by their number.
    pub(super) fn alerts(&self) -> impl Iterator<Item = &Arc<AlertRow>> {
        self.alerts.values()
    }

    /// The value that an incident is about: the present one while it lasts, else the last that was told of it.
    pub(super) fn value_of(&self, alert: &AlertRow, now_ms: i64) -> Option<f64> {
        if alert.closed_ms.is_some() || alert.unknown.is_some() {
            return alert.value;
        }
        let is_it =
            |slot: &&Slot| slot.series.metric == alert.metric && slot.series.labels == alert.labels;
        let present = self.servers.get(&alert.server).and_then(|server| {
            server.slots.values().find(is_it).and_then(|slot| server.value(slot, now_ms))
        });
        // What the daemon itself judges has no samples; of anything else, no sample means that the value is not known.
        if alert.metric.starts_with("bartizan_") { alert.value } else { present }
    }

    /// How many open incidents a server has, and how bad the worst of them is.
    pub(super) fn open(&self, server: &str) -> (u32, Option<Severity>) {
        let Some(open) = self.open.get(server) else { return (0, None) };
        (u32::try_from(open.len()).unwrap_or(u32::MAX), open.values().max().copied())
    }

    /// How many updates were about nobody known.
    pub(super) fn unplaced(&self) -> u64 {
        self.unplaced
    }

    /// Takes in what happened, as of `now_ms`.
    pub(super) fn apply(&mut self, update: LiveUpdate, now_ms: i64) {
        match update {
            LiveUpdate::Frame(frame) => match self.servers.get_mut(&frame.server) {
                Some(server) => server.take_frame(&frame, &self.catalog, now_ms),
                None => self.unplaced += 1,
            },
            LiveUpdate::Gap(gap) => match self.servers.get_mut(&gap.server) {
                Some(server) => server.take_gap(gap),
                None => self.unplaced += 1,
            },
            LiveUpdate::Server(status) => match self.servers.get_mut(&status.name) {
                Some(server) => server.status = status,
                None => {
                    self.servers.insert(status.name.clone(), Server::new(status));
                }
            },
            LiveUpdate::Gone(name) => {
                self.servers.remove(&name);
            }
            LiveUpdate::Alert(row) => self.put(row),
            LiveUpdate::NoAlert(id) => self.take(&id),
            LiveUpdate::Alerts(rows) => {
                self.alerts.clear();
                self.open.clear();
                rows.iter().for_each(|row| self.put(row.clone()));
            }
        }
    }

    fn put(&mut self, row: Arc<AlertRow>) {
        self.take(&row.id);
        if row.is_open() {
            self.open.entry(row.server.clone()).or_default().insert(row.id.clone(), row.level);
        }
        self.alerts.insert(row.id.clone(), row);
    }

    fn take(&mut self, id: &str) {
        let Some(row) = self.alerts.remove(id) else { return };
        if let Some(open) = self.open.get_mut(&row.server) {
            open.remove(id);
            if open.is_empty() {
                self.open.remove(&row.server);
            }
        }
    }

    /// Forgets series that ended long before `now_ms`, while their collector went on.
    pub(super) fn forget(&mut self, now_ms: i64) {
        for server in self.servers.values_mut() {
            let silent = &server.silent;
            server.slots.retain(|slot| {
                now_ms - slot.at_ms < FORGET_MS || silent.contains_key(&slot.series.collector)
            });
        }
    }
}

impl Server {
    fn new(status: ServerStatus) -> Self {
        let slots = BySeries::default();
        Self { status, shown_ms: None, slots, revision: 0, silent: BTreeMap::new() }
    }

    fn take_frame(&mut self, frame: &Frame, catalog: &Catalog, now_ms: i64) {
        let here_ms = frame.at_ms.saturating_sub(self.status.skew_ms.unwrap_or(0));
        // What was shown before the clock was set back says nothing any more.
        let shown_ms = self.shown_ms.filter(|shown_ms| *shown_ms <= now_ms);
        self.shown_ms = shown_ms.max(Some(here_ms.min(now_ms)));
        let now_ms = self.there_ms(now_ms);
        // The end of the gap may have been dropped; samples end it as well.
        self.silent.remove(&frame.collector);
        let revision = catalog.revision();
        if std::mem::replace(&mut self.revision, revision) != revision {
            for (id, slot) in self.slots.iter_mut() {
                catalog.get(id).into_iter().for_each(|series| slot.is_now(series));
            }
        }
        let (mut walk, mut new) = (Walk::default(), Vec::new());
        for sample in &frame.samples {
            match self.slots.get_mut(sample.series, &mut walk) {
                Some(slot) => slot.take(frame.at_ms, sample.value, now_ms),
                None => {
                    new.extend(catalog.get(sample.series).map(|series| {
                        (sample.series, Slot::new(series, frame.at_ms, sample.value))
                    }))
                }
            }
        }
        self.slots.add(new);
    }

    fn take_gap(&mut self, gap: Gap) {
        match gap.to_ms {
            None => self.silent.insert(gap.collector, gap.reason),
            Some(_) => self.silent.remove(&gap.collector),
        };
    }

    /// What its own clock shows at `now_ms`, as far as that is known.
    fn there_ms(&self, now_ms: i64) -> i64 {
        now_ms.saturating_add(self.status.skew_ms.unwrap_or(0))
    }

    /// How long a value is of the present that comes every `interval_ms`.
    fn fresh_ms(&self, interval_ms: u32) -> i64 {
        let least_ms = if self.status.origin == Origin::Local { 0 } else { REMOTE_INTERVAL_MIN_MS };
        STALE_INTERVALS * i64::from(interval_ms).max(least_ms)
    }

    /// Time of its newest sample, by our clock as far as the difference is known.
    pub(super) fn last_seen_ms(&self) -> Option<i64> {
        self.shown_ms.max(self.status.seen_ms)
    }

    /// Its state: what it was told to be, or worse where samples are missing. Whether a remote one is offline, only
    /// its actor knows: samples may come that are too old to be shown.
    pub(super) fn state(&self, now_ms: i64) -> ServerState {
        let Some(shown_ms) = self.shown_ms else {
            return self.status.state;
        };
        let age_ms = now_ms - shown_ms;
        let stale_ms = self.fresh_ms(self.status.interval_ms);
        let is_judged_here = self.status.origin == Origin::Local;
        let seen = if age_ms > stale_ms.max(OFFLINE_MS) && is_judged_here {
            ServerState::Offline
        } else if age_ms > stale_ms {
            ServerState::Unknown
        } else {
            ServerState::Up
        };
        self.status.state.max(seen)
    }

    /// Why it is in that state.
    pub(super) fn reason(&self, now_ms: i64) -> Option<String> {
        let state = self.state(now_ms);
        let general = state.reason(self.status.interval_ms)?;
        if let Some(hub) = &self.status.hub {
            return Some(format!("it writes to {hub}"));
        }
        if self.last_seen_ms().is_none() && state == ServerState::Unknown {
            return Some("nothing has come of it yet".into());
        }
        // A collector that says why knows more than the clock.
        let why = self.silent.iter().next().map(|(collector, why)| format!("{collector}: {why}"));
        why.or_else(|| Some(general.into()))
    }

    /// Whether every sample is within its limit; `None` where that is not known.
    pub(super) fn normal(&self, now_ms: i64) -> Option<bool> {
        self.status.normal.filter(|_| self.state(now_ms) <= ServerState::Degraded)
    }

    /// Why `slot` has no fresh sample; `None` while it has.
    pub(super) fn gap(&self, slot: &Slot, now_ms: i64) -> Option<&str> {
        let reason = self.silent.get(&slot.series.collector).map(|reason| &**reason);
        reason.or_else(|| (!self.is_fresh(slot, now_ms)).then(|| silence(slot.series.interval_ms)))
    }

    /// Whether the sample of `slot` is of the present: not older than three intervals, and
    /// not from a future that the clock has since taken back.
    fn is_fresh(&self, slot: &Slot, now_ms: i64) -> bool {
        let age_ms = self.there_ms(now_ms).saturating_sub(slot.at_ms);
        age_ms.abs() <= self.fresh_ms(slot.series.interval_ms)
    }

    /// The value of `slot` at present: a gauge's as it is, a counter's rate per second.
    pub(super) fn value(&self, slot: &Slot, now_ms: i64) -> Option<f64> {
        slot.value.filter(|_| self.is_fresh(slot, now_ms))
    }
}

impl Slot {
    fn new(series: Arc<Series>, at_ms: i64, value: f64) -> Self {
        let part = Part::of(&series);
        let mut slot = Self { series, at_ms, part, rate: None, value: None };
        slot.set(at_ms, value);
        slot
    }

    fn take(&mut self, at_ms: i64, value: f64, now_ms: i64) {
        // What comes late says nothing of the present, unless the clock was set back.
        if at_ms <= self.at_ms && self.at_ms <= now_ms {
            return;
        }
        self.set(at_ms, value);
    }

    /// Its collector may have been started anew, with another interval or unit; by the former one a dead value would
    /// count as fresh for too long.
    fn is_now(&mut self, series: Arc<Series>) {
        if !Arc::ptr_eq(&series, &self.series) {
            self.part = Part::of(&series);
            self.series = series;
        }
    }

    fn set(&mut self, at_ms: i64, value: f64) {
        self.at_ms = at_ms;
        self.value = match (self.series.kind, &mut self.rate) {
            (Kind::Gauge, _) => Some(value).filter(|value| value.is_finite()),
            (Kind::Counter, Some(rate)) => {
                rate.next(at_ms, value, self.series.interval_ms).per_second()
            }
            (Kind::Counter, rate) => {
                *rate = Some(Rate::new(at_ms, value));
                None
            }
        };
    }
}
