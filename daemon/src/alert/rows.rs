//! Incidents as viewers see them: which rows have changed, and which are no longer shown.

use std::{collections::BTreeSet, sync::Arc};

use super::{Incident, IncidentId, IncidentState, Way, ledger::Ledger, pending::Pending};
use crate::{
    detect::Key,
    live::messages::{AlertRow, LiveUpdate},
};

/// So many incidents that are over are shown.
const CLOSED_MAX: usize = 100;

/// Which rows viewers have.
#[derive(Debug, Default)]
pub(super) struct Rows {
    shown: BTreeSet<IncidentId>,
    pending: BTreeSet<Key>,
}

impl Rows {
    /// What viewers have to be told of incidents that have changed. To be asked before the changes are kept.
    pub(super) fn changed(&mut self, ledger: &Ledger) -> Vec<LiveUpdate> {
        let (book, outbox) = (&ledger.book, &ledger.outbox);
        let mut ids = book.changed.incidents.clone();
        for notice in outbox.changed.iter().filter_map(|id| outbox.get(*id)) {
            ids.extend(notice.news.iter().map(|news| news.incident));
        }
        let mut updates = Vec::new();
        for incident in ids.iter().filter_map(|id| book.get(*id)) {
            if incident.is_open() || self.shown.contains(&incident.id) {
                self.shown.insert(incident.id);
                updates.push(LiveUpdate::Alert(Arc::new(row(ledger, incident))));
            }
        }
        updates.extend(self.surplus(ledger));
        for key in &book.changed.pending {
            updates.extend(self.pending(key, book.pending().get(key)));
        }
        updates
    }

    /// Everything that is shown, and nothing else: for viewers who know nothing, or may have missed something.
    pub(super) fn all(&mut self, ledger: &Ledger) -> LiveUpdate {
        let book = &ledger.book;
        let mut over: Vec<_> =
            book.incidents().filter_map(|one| Some((one.closed_ms?, one.id))).collect();
        over.sort_unstable();
        let late = over.iter().rev().take(CLOSED_MAX).map(|(_, id)| *id);
        self.shown = book.open_incidents().map(|one| one.id).chain(late).collect();
        self.pending = book.pending().keys().cloned().collect();
        let shown = self.shown.iter().filter_map(|id| book.get(*id));
        let shown = shown.map(|incident| Arc::new(row(ledger, incident)));
        let pending = book.pending().iter();
        let pending = pending.map(|(key, pending)| Arc::new(pending_row(name(key), pending)));
        LiveUpdate::Alerts(shown.chain(pending).collect())
    }

    /// Those that have been over for longest, where too many are shown, and those that are forgotten.
    fn surplus(&mut self, ledger: &Ledger) -> Vec<LiveUpdate> {
        let mut over: Vec<_> = Vec::new();
        self.shown.retain(|id| match ledger.book.get(*id) {
            Some(incident) => {
                over.extend(incident.closed_ms.map(|closed_ms| (closed_ms, *id)));
                true
            }
            None => {
                over.push((i64::MIN, *id));
                true
            }
        });
        over.sort_unstable();
        let surplus = over.len().saturating_sub(CLOSED_MAX);
        let forgotten = over.iter().filter(|(closed_ms, _)| *closed_ms == i64::MIN).count();
        let gone = over.into_iter().take(surplus.max(forgotten));
        gone.map(|(_, id)| {
            self.shown.remove(&id);
            LiveUpdate::NoAlert(id.0.to_string().into())
        })
        .collect()
    }

    fn pending(&mut self, key: &Key, pending: Option<&Pending>) -> Option<LiveUpdate> {
        let id = name(key);
        match pending {
            Some(pending) => {
                self.pending.insert(key.clone());
                Some(LiveUpdate::Alert(Arc::new(pending_row(id, pending))))
            }
            None => self.pending.remove(key).then_some(LiveUpdate::NoAlert(id)),
        }
    }
}

/// What tells something that is pending from all others.
fn name(key: &Key) -> Arc<str> {
    let absence = if key.absence { " no data" } else { "" };
    format!("pending:{} {}{}{absence}", key.server, key.rule, key.labels).into()
}

fn row(ledger: &Ledger, incident: &Incident) -> AlertRow {
    let progress = ledger.outbox.progress(incident.id);
    let progress = Way::ALL.map(|way| Some(progress.get(&way)?.name()));
    let Incident { key, subject, .. } = incident;
    AlertRow {
        id: incident.id.0.to_string().into(),
        server: key.server.clone(),
        rule: key.rule.clone(),
        metric: subject.metric.clone(),
        labels: key.labels.clone(),
        unit: subject.unit.clone(),
        level: incident.severity,
        worst: incident.worst,
        state: incident.state.name(),
        unknown: incident.unknown.clone(),
        flapping: incident.flapping,
        opened_ms: incident.opened_ms,
        closed_ms: incident.closed_ms,
        due_ms: None,
        value: incident.value,
        limit: subject.limit,
        summary: subject.summary.clone(),
        acknowledged: incident.acknowledged.as_ref().map(|ack| (ack.by.clone(), ack.at_ms)),
        in_absence: incident.in_absence,
        absence: key.absence,
        progress,
    }
}

fn pending_row(id: Arc<str>, pending: &Pending) -> AlertRow {
    let Pending { key, subject, severity, since_ms, due_ms, value, unknown } = pending;
    AlertRow {
        id,
        server: key.server.clone(),
        rule: key.rule.clone(),
        metric: subject.metric.clone(),
        labels: key.labels.clone(),
        unit: subject.unit.clone(),
        level: *severity,
        worst: *severity,
        state: "pending",
        unknown: unknown.clone(),
        flapping: false,
        opened_ms: *since_ms,
        closed_ms: None,
        due_ms: Some(*due_ms),
        value: *value,
        limit: subject.limit,
        summary: subject.summary.clone(),
        acknowledged: None,
        in_absence: false,
        absence: key.absence,
        progress: [None; 3],
    }
}

impl IncidentState {
    /// Its name in frames and answers.
    pub fn name(self) -> &'static str {
        match self {
            Self::Firing => "firing",
            Self::Clearing => "clearing",
            Self::Resolved => "resolved",
            Self::Withdrawn => "withdrawn",
        }
    }
}
