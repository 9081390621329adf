//! The shapes of answers about incidents and notices.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::{
    alert::messages::{
        Attempt, Event, Happening, Hop, Incident, IncidentView as Known, NoticeView as KnownNotice,
        Outcome, Pending, Progress, WayView, What, shown,
    },
    config::{Severity, Side},
    series::Labels,
};

#[derive(Serialize)]
pub(super) struct IncidentsView<'a> {
    incidents: Vec<IncidentView<'a>>,
    pending: Vec<PendingView<'a>>,
}

#[derive(Serialize)]
pub(super) struct IncidentView<'a> {
    id: u64,
    server: &'a str,
    rule: &'a str,
    metric: &'a str,
    labels: &'a Labels,
    unit: &'a str,
    level: Severity,
    worst: Severity,
    state: &'static str,
    unknown: Option<&'a str>,
    flapping: bool,
    opened_ms: i64,
    closed_ms: Option<i64>,
    value: Option<f64>,
    limit: Option<LimitView>,
    summary: Option<&'a str>,
    runbook: Option<&'a str>,
    ack: Option<AckView<'a>>,
    in_absence: bool,
    absence: bool,
    delivery: BTreeMap<&'static str, &'static str>,
}

#[derive(Serialize)]
struct LimitView {
    side: Side,
    at: f64,
}

#[derive(Serialize)]
struct AckView<'a> {
    by: &'a str,
    at_ms: i64,
}

#[derive(Serialize)]
struct PendingView<'a> {
    server: &'a str,
    rule: &'a str,
    metric: &'a str,
    labels: &'a Labels,
    unit: &'a str,
    level: Severity,
    since_ms: i64,
    due_ms: i64,
    value: Option<f64>,
    limit: Option<LimitView>,
    unknown: Option<&'a str>,
}

/// An incident with its timeline and every notice about it.
#[derive(Serialize)]
pub(super) struct WholeIncidentView<'a> {
    #[serde(flatten)]
    incident: IncidentView<'a>,
    timeline: Vec<HappeningView<'a>>,
    notices: Vec<NoticeView<'a>>,
}

#[derive(Serialize)]
struct HappeningView<'a> {
    at_ms: i64,
    event: Event,
    value: Option<f64>,
    detail: Option<&'a str>,
}

#[derive(Serialize)]
struct NoticeView<'a> {
    id: u64,
    way: &'static str,
    contact: &'a str,
    address: String,
    what: Option<What>,
    made_ms: i64,
    state: &'static str,
    due_ms: Option<i64>,
    behind: Option<u64>,
    tried: u32,
    incidents: Vec<u64>,
    attempts: Vec<AttemptView<'a>>,
}

#[derive(Serialize)]
struct AttemptView<'a> {
    at_ms: i64,
    took_ms: u32,
    outcome: Outcome,
    said: &'a str,
    parts: Option<u32>,
}

#[derive(Serialize)]
pub(super) struct DeliveryView<'a> {
    ways: Vec<DeliveryWayView<'a>>,
    notices: Vec<NoticeView<'a>>,
}

#[derive(Serialize)]
struct DeliveryWayView<'a> {
    way: &'static str,
    configured: bool,
    waiting: usize,
    retrying: usize,
    held: usize,
    sent: usize,
    dead: usize,
    last_sent_ms: Option<i64>,
    last_error: Option<&'a str>,
}

#[derive(Serialize)]
pub(super) struct TestView<'a> {
    contact: &'a str,
    hops: Vec<HopView<'a>>,
}

#[derive(Serialize)]
struct HopView<'a> {
    hop: &'a str,
    ms: f64,
    ok: bool,
    said: &'a str,
}

impl<'a> IncidentsView<'a> {
    pub(super) fn new(incidents: &'a [Known], pending: &'a [Pending]) -> Self {
        Self {
            incidents: incidents.iter().map(IncidentView::new).collect(),
            pending: pending.iter().map(PendingView::new).collect(),
        }
    }
}

impl<'a> IncidentView<'a> {
    pub(super) fn new(Known { incident, progress }: &'a Known) -> Self {
        let Incident { key, subject, .. } = incident;
        Self {
            id: incident.id.0,
            server: &key.server,
            rule: &key.rule,
            metric: &subject.metric,
            labels: &key.labels,
            unit: &subject.unit,
            level: incident.severity,
            worst: incident.worst,
            state: incident.state.name(),
            unknown: incident.unknown.as_deref(),
            flapping: incident.flapping,
            opened_ms: incident.opened_ms,
            closed_ms: incident.closed_ms,
            value: incident.value,
            limit: subject.limit.map(LimitView::new),
            summary: subject.summary.as_deref(),
            runbook: subject.runbook.as_deref(),
            ack: incident
                .acknowledged
                .as_ref()
                .map(|ack| AckView { by: &ack.by, at_ms: ack.at_ms }),
            in_absence: incident.in_absence,
            absence: key.absence,
            delivery: progress
                .iter()
                .map(|(way, progress)| (way.name(), progress.name()))
                .collect(),
        }
    }
}

impl LimitView {
    fn new((side, at): (Side, f64)) -> Self {
        Self { side, at }
    }
}

impl<'a> PendingView<'a> {
    fn new(pending: &'a Pending) -> Self {
        let Pending { key, subject, .. } = pending;
        Self {
            server: &key.server,
            rule: &key.rule,
            metric: &subject.metric,
            labels: &key.labels,
            unit: &subject.unit,
            level: pending.severity,
            since_ms: pending.since_ms,
            due_ms: pending.due_ms,
            value: pending.value,
            limit: subject.limit.map(LimitView::new),
            unknown: pending.unknown.as_deref(),
        }
    }
}

impl<'a> WholeIncidentView<'a> {
    pub(super) fn new(known: &'a Known, notices: &'a [KnownNotice]) -> Self {
        Self {
            incident: IncidentView::new(known),
            timeline: known.incident.timeline.iter().map(HappeningView::new).collect(),
            notices: notices.iter().map(NoticeView::new).collect(),
        }
    }
}

impl<'a> HappeningView<'a> {
    fn new(happening: &'a Happening) -> Self {
        let Happening { at_ms, event, value, detail } = happening;
        Self { at_ms: *at_ms, event: *event, value: *value, detail: detail.as_deref() }
    }
}

impl<'a> NoticeView<'a> {
    fn new(KnownNotice { notice, behind }: &'a KnownNotice) -> Self {
        let mut incidents: Vec<u64> =
            notice.news.iter().map(|news| news.incident.0).filter(|id| *id > 0).collect();
        incidents.dedup();
        Self {
            id: notice.id.0,
            way: notice.way.name(),
            contact: &notice.contact,
            address: shown(notice.way, &notice.address),
            what: notice.news.last().map(|news| news.what),
            made_ms: notice.made_ms,
            state: Progress::of(notice).name(),
            due_ms: notice.due_ms().filter(|_| behind.is_none()),
            behind: behind.map(|behind| behind.0),
            tried: notice.tried,
            incidents,
            attempts: notice.attempts.iter().map(AttemptView::new).collect(),
        }
    }
}

impl<'a> AttemptView<'a> {
    fn new(attempt: &'a Attempt) -> Self {
        let Attempt { at_ms, took_ms, outcome, said, parts } = attempt;
        Self { at_ms: *at_ms, took_ms: *took_ms, outcome: *outcome, said, parts: *parts }
    }
}

impl<'a> DeliveryView<'a> {
    pub(super) fn new(ways: &'a [WayView], notices: &'a [KnownNotice]) -> Self {
        Self {
            ways: ways.iter().map(DeliveryWayView::new).collect(),
            notices: notices.iter().map(NoticeView::new).collect(),
        }
    }
}

impl<'a> DeliveryWayView<'a> {
    fn new(view: &'a WayView) -> Self {
        let count = |name: &str| view.count.get(name).copied().unwrap_or_default();
        Self {
            way: view.way.name(),
            configured: view.configured,
            waiting: count("waiting"),
            retrying: count("retrying"),
            held: count("held"),
            sent: count("sent"),
            dead: count("dead"),
            last_sent_ms: view.last_sent_ms,
            last_error: view.last_error.as_deref(),
        }
    }
}

impl<'a> TestView<'a> {
    pub(super) fn new(contact: &'a str, hops: &'a [Hop]) -> Self {
        let view = |hop: &'a Hop| {
            let Hop { hop, ms, ok, said } = hop;
            HopView { hop, ms: *ms, ok: *ok, said }
        };
        Self { contact, hops: hops.iter().map(view).collect() }
    }
}
