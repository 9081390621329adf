//! The incident book: from transitions to incidents, and to what has to be told of them.
//!
//! Pure: every call names its time. What a call has changed is noted, so that it can be kept.
//!
//! # Invariants
//!
//! - There is one open incident for each rule and series at most.
//! - A transition that says what the book knows already changes nothing: it may be told again.
//! - An incident ends as resolved only by values; else it is withdrawn.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{
    Event, Incident, IncidentId, IncidentState, What,
    failure::DELIVERY_FAILED,
    flapping::{Changes, STEADY_MS, is_steady},
    incident::Acknowledgement,
    pending::{Pending, Waiting},
};
use crate::{
    config::Severity,
    detect::{Key, Level, Memory, Subject, Transition},
};

/// Incidents, levels that are pending, and what detectors remember.
#[derive(Debug, Default)]
pub(super) struct Book {
    incidents: BTreeMap<IncidentId, Incident>,
    open: BTreeMap<Key, IncidentId>,
    pending: Waiting,
    memories: BTreeMap<Key, (Memory, Subject)>,
    changes: Changes,
    next: u64,
    /// What has changed since it was last kept.
    pub(super) changed: Changed,
}

/// What has changed.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Changed {
    pub(super) incidents: BTreeSet<IncidentId>,
    pub(super) memories: BTreeSet<Key>,
    pub(super) pending: BTreeSet<Key>,
}

/// Something that has to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Telling {
    pub(super) incident: IncidentId,
    pub(super) what: What,
    pub(super) at_ms: i64,
    pub(super) in_absence: bool,
}

/// So many incidents that are over are kept.
const CLOSED_MAX: usize = 1000;

impl Book {
    /// A book with what was kept of it; its next incident gets a number from `next` on.
    pub(super) fn restored(
        incidents: Vec<Incident>,
        memories: BTreeMap<Key, (Memory, Subject)>,
        next: u64,
    ) -> Self {
        let mut book = Self { memories, next: next.max(1), ..Self::default() };
        for incident in incidents {
            book.next = book.next.max(incident.id.0 + 1);
            if incident.is_open() {
                book.open.insert(incident.key.clone(), incident.id);
            }
            for at_ms in [Some(incident.opened_ms), incident.closed_ms].into_iter().flatten() {
                book.changes.note(&incident.key, at_ms);
            }
            book.incidents.insert(incident.id, incident);
        }
        book
    }

    /// Takes a transition of a server with `tags`.
    pub(super) fn take(
        &mut self,
        told: &Transition,
        tags: &BTreeMap<String, String>,
    ) -> Option<Telling> {
        self.remember(told);
        self.changed.pending.extend(self.pending.take(told));
        let open = self.open.get(&told.key).copied();
        if told.withdrawn.is_some() {
            return self.end(open?, What::Withdrawn, told);
        }
        match (open, told.level) {
            (Some(id), Level::Ok) => self.end(id, What::Resolved, told),
            // Its limit has changed, and the value is beyond another one: that is no end.
            (Some(_), Level::Pending { .. }) => None,
            (Some(id), Level::Firing(severity) | Level::Clearing { severity, .. }) => {
                self.go_on(id, severity, told)
            }
            (None, Level::Firing(severity) | Level::Clearing { severity, .. }) => {
                Some(self.begin(severity, told, tags))
            }
            (None, Level::Ok | Level::Pending { .. }) => None,
        }
    }

    /// Somebody has taken it on. `None` where it is unknown or over.
    pub(super) fn acknowledge(&mut self, id: IncidentId, by: Arc<str>, at_ms: i64) -> Option<()> {
        let incident = self.incidents.get_mut(&id).filter(|incident| incident.is_open())?;
        incident.note(at_ms, Event::Acknowledged, Some(by.clone()));
        incident.acknowledged = Some(Acknowledgement { by, at_ms });
        incident.told.iter_mut().for_each(|told| told.remind_ms = None);
        self.changed.incidents.insert(id);
        Some(())
    }

    /// What has flapped and has been steady for long enough by `now_ms`.
    pub(super) fn settle(&mut self, now_ms: i64) -> Vec<Telling> {
        let steady =
            |incident: &&Incident| incident.flapping && is_steady(incident.changed_ms, now_ms);
        let ids: Vec<_> =
            self.open_incidents().filter(steady).map(|incident| incident.id).collect();
        let settled = ids.into_iter().filter_map(|id| {
            let incident = self.incidents.get_mut(&id)?;
            let at_ms = (incident.changed_ms + STEADY_MS).min(now_ms);
            incident.flapping = false;
            incident.note(at_ms, Event::Steady, None);
            self.changed.incidents.insert(id);
            let what = if incident.calm {
                self.close(id, IncidentState::Resolved, Event::Resolved, at_ms, None);
                What::Resolved
            } else if incident.acknowledged.is_some() {
                return None;
            } else {
                What::Reminded
            };
            Some(Telling { incident: id, what, at_ms, in_absence: false })
        });
        settled.collect()
    }

    /// When [`settle`](Self::settle) has something to do.
    pub(super) fn settle_due_ms(&self) -> Option<i64> {
        let flapping = self.open_incidents().filter(|incident| incident.flapping);
        flapping.map(|incident| incident.changed_ms + STEADY_MS).min()
    }

    /// Withdraws what is open of servers that are not among `known`.
    pub(super) fn retain_servers(
        &mut self,
        known: &BTreeSet<Arc<str>>,
        at_ms: i64,
    ) -> Vec<Telling> {
        let gone = |key: &Key| !known.contains(&key.server) && &*key.rule != DELIVERY_FAILED;
        let forgotten: Vec<Key> = self.memories.keys().filter(|key| gone(key)).cloned().collect();
        for key in forgotten {
            self.memories.remove(&key);
            self.changed.memories.insert(key);
        }
        self.changed.pending.extend(self.pending.forget(gone));
        let ids: Vec<_> =
            self.open.iter().filter(|(key, _)| gone(key)).map(|(_, &id)| id).collect();
        let why: Arc<str> = "its server was removed".into();
        let tell = |incident| {
            let state = IncidentState::Withdrawn;
            self.close(incident, state, Event::Withdrawn, at_ms, Some(why.clone()));
            Telling { incident, what: What::Withdrawn, at_ms, in_absence: false }
        };
        ids.into_iter().map(tell).collect()
    }

    /// Forgets the oldest incidents that are over, where there are too many; answers which.
    pub(super) fn forget(&mut self) -> Vec<IncidentId> {
        let closed = self.incidents.len() - self.open.len();
        if closed <= CLOSED_MAX {
            return Vec::new();
        }
        let mut over: Vec<_> = self
            .incidents
            .values()
            .filter_map(|incident| Some((incident.closed_ms?, incident.id)))
            .collect();
        over.sort_unstable();
        let forgotten: Vec<_> =
            over.into_iter().take(closed.saturating_sub(CLOSED_MAX)).map(|(_, id)| id).collect();
        for id in &forgotten {
            if let Some(incident) = self.incidents.get(id)
                && !self.open.contains_key(&incident.key)
            {
                self.changes.forget(&incident.key);
            }
            self.incidents.remove(id);
            self.changed.incidents.insert(*id);
        }
        forgotten
    }

    /// An incident.
    pub(super) fn get(&self, id: IncidentId) -> Option<&Incident> {
        self.incidents.get(&id)
    }

    /// An incident, to note whom it is told; what is changed has to be kept.
    pub(super) fn get_mut(&mut self, id: IncidentId) -> Option<&mut Incident> {
        self.changed.incidents.insert(id);
        self.incidents.get_mut(&id)
    }

    /// How bad the open incident about `key` is, if there is one.
    pub(super) fn severity(&self, key: &Key) -> Option<Severity> {
        self.incidents.get(self.open.get(key)?).map(|incident| incident.severity)
    }

    /// The number of the next incident.
    pub(super) fn next(&self) -> u64 {
        self.next
    }

    /// All incidents, by number.
    pub(super) fn incidents(&self) -> impl DoubleEndedIterator<Item = &Incident> {
        self.incidents.values()
    }

    /// Those that last.
    pub(super) fn open_incidents(&self) -> impl Iterator<Item = &Incident> {
        self.open.values().filter_map(|id| self.incidents.get(id))
    }

    /// What is beyond a limit, not yet for long enough.
    pub(super) fn pending(&self) -> &BTreeMap<Key, Pending> {
        self.pending.all()
    }

    /// What detectors remember, by what they judge.
    pub(super) fn memories(&self) -> &BTreeMap<Key, (Memory, Subject)> {
        &self.memories
    }

    fn remember(&mut self, told: &Transition) {
        // One detector judges values and their absence, and has one memory of both.
        let key = Key { absence: false, ..told.key.clone() };
        match &told.memory {
            Some(memory) => {
                self.memories.insert(key.clone(), (memory.clone(), told.subject.clone()));
            }
            None => {
                self.memories.remove(&key);
            }
        }
        self.changed.memories.insert(key);
    }

    fn begin(
        &mut self,
        severity: Severity,
        told: &Transition,
        tags: &BTreeMap<String, String>,
    ) -> Telling {
        let id = IncidentId(self.next);
        self.next += 1;
        let flapping = self.changes.note(&told.key, told.at_ms);
        let clearing = matches!(told.level, Level::Clearing { .. });
        let mut incident = Incident {
            id,
            key: told.key.clone(),
            subject: told.subject.clone(),
            severity,
            worst: severity,
            state: if clearing { IncidentState::Clearing } else { IncidentState::Firing },
            unknown: told.unknown.clone(),
            flapping,
            calm: false,
            opened_ms: told.at_ms,
            closed_ms: None,
            value: told.value,
            changed_ms: told.at_ms,
            acknowledged: None,
            in_absence: told.in_absence,
            timeline: Vec::new(),
            tags: tags.clone(),
            told: Vec::new(),
        };
        incident.note(told.at_ms, Event::Opened, None);
        let what = if flapping {
            incident.note(told.at_ms, Event::Flapping, None);
            What::Flapping
        } else {
            What::Fired
        };
        self.incidents.insert(id, incident);
        self.open.insert(told.key.clone(), id);
        self.changed.incidents.insert(id);
        Telling { incident: id, what, at_ms: told.at_ms, in_absence: told.in_absence }
    }

    /// An open incident has another level, or is known or unknown again.
    fn go_on(&mut self, id: IncidentId, severity: Severity, told: &Transition) -> Option<Telling> {
        let incident = self.incidents.get_mut(&id)?;
        self.changed.incidents.insert(id);
        let at_ms = told.at_ms;
        incident.value = told.value.or(incident.value);
        incident.subject = told.subject.clone();
        if incident.unknown.is_some() != told.unknown.is_some() {
            let event = if told.unknown.is_some() { Event::Unknown } else { Event::Known };
            incident.note(at_ms, event, told.unknown.clone());
        }
        incident.unknown = told.unknown.clone();
        let state = match told.level {
            Level::Clearing { .. } => IncidentState::Clearing,
            _ => IncidentState::Firing,
        };
        if incident.state != state {
            let clearing = state == IncidentState::Clearing;
            incident.note(at_ms, if clearing { Event::Clearing } else { Event::Returned }, None);
            incident.state = state;
        }
        if std::mem::take(&mut incident.calm) {
            incident.changed_ms = at_ms;
        }
        let before = std::mem::replace(&mut incident.severity, severity);
        let worst = incident.worst;
        incident.worst = worst.max(severity);
        if severity == before {
            return None;
        }
        let event = if severity > before { Event::Escalated } else { Event::Eased };
        incident.note(at_ms, event, None);
        let flapped = incident.flapping;
        let flaps = self.changes.note(&told.key, at_ms);
        let incident = self.incidents.get_mut(&id)?;
        if flapped || flaps {
            (incident.flapping, incident.changed_ms) = (true, at_ms);
        }
        let what = match (flapped, flaps) {
            (false, true) => {
                incident.note(at_ms, Event::Flapping, None);
                What::Flapping
            }
            // While it flaps only what is worse than ever is told.
            (true, _) if severity <= worst => return None,
            _ if severity < before => return None,
            _ => What::Escalated,
        };
        Some(Telling { incident: id, what, at_ms, in_absence: told.in_absence })
    }

    /// An open incident is over, unless it comes and goes too often for that to mean anything.
    fn end(&mut self, id: IncidentId, what: What, told: &Transition) -> Option<Telling> {
        let at_ms = told.at_ms;
        let flapped = self.incidents.get(&id)?.flapping;
        let flapping = self.changes.note(&told.key, at_ms) || flapped;
        let incident = self.incidents.get_mut(&id)?;
        incident.value = told.value.or(incident.value);
        self.changed.incidents.insert(id);
        if what == What::Withdrawn {
            let state = IncidentState::Withdrawn;
            self.close(id, state, Event::Withdrawn, at_ms, told.withdrawn.clone());
        } else if flapping {
            if incident.state == IncidentState::Firing {
                incident.note(at_ms, Event::Clearing, None);
            }
            incident.state = IncidentState::Clearing;
            if !std::mem::replace(&mut incident.calm, true) {
                incident.changed_ms = at_ms;
            }
            if flapped {
                return None;
            }
            incident.flapping = true;
            incident.note(at_ms, Event::Flapping, None);
            return Some(Telling { incident: id, what: What::Flapping, at_ms, in_absence: false });
        } else {
            self.close(id, IncidentState::Resolved, Event::Resolved, at_ms, None);
        }
        Some(Telling { incident: id, what, at_ms, in_absence: told.in_absence })
    }

    fn close(
        &mut self,
        id: IncidentId,
        state: IncidentState,
        event: Event,
        at_ms: i64,
        detail: Option<Arc<str>>,
    ) {
        let Some(incident) = self.incidents.get_mut(&id) else { return };
        incident.note(at_ms, event, detail);
        (incident.state, incident.closed_ms) = (state, Some(at_ms));
        (incident.unknown, incident.changed_ms) = (None, at_ms);
        incident.told.iter_mut().for_each(|told| told.remind_ms = None);
        self.open.remove(&incident.key);
        self.changed.incidents.insert(id);
    }
}
