//! Which notices go out next: when each is due, in which order, and which have to wait for others.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use tokio::time::Instant;

use super::{Attempt, IncidentId, Notice, NoticeId, NoticeState, Outbox, Outcome, Way};

/// So many notices to one address are under way at once: one that does not answer must not take every hand.
const PER_ADDRESS: usize = 2;
/// Nothing is due further ahead than this; what seems to be was decided before the clock was set back.
const AHEAD_MAX_MS: i64 = 2 * 60 * 60 * 1000;

impl Outbox {
    /// Notices that are due at `now_ms`, those first that nobody has refused yet, then those that have been due for
    /// longest; `most` of each way are under way
    /// at once. They count as given out until they are [`attempted`](Self::attempted), or `until` has come.
    pub(in crate::alert) fn give_out(
        &mut self,
        now_ms: i64,
        until: Instant,
        most: usize,
    ) -> Vec<Arc<Notice>> {
        let mut ways: BTreeMap<Way, usize> = BTreeMap::new();
        let mut addresses: HashMap<Arc<str>, usize> = HashMap::new();
        for notice in self.out.keys().filter_map(|id| self.notices.get(id)) {
            *ways.entry(notice.way).or_default() += 1;
            *addresses.entry(notice.address.clone()).or_default() += 1;
        }
        let waiting = self.live.iter().filter(|id| !self.out.contains_key(id));
        let mut due: Vec<_> = waiting
            .filter_map(|id| {
                let notice = self.notices.get(id)?;
                let due_ms = notice.due_ms()?;
                is_due(due_ms, now_ms).then_some((notice.tried > 0, due_ms, *id))
            })
            .collect();
        due.sort_unstable();
        let mut given: Vec<Arc<Notice>> = Vec::new();
        for notice in due.iter().filter_map(|(_, _, id)| self.notices.get(id)) {
            let way = ways.entry(notice.way).or_default();
            if *way >= most || self.before(notice).is_some() {
                continue;
            }
            let address = addresses.entry(notice.address.clone()).or_default();
            if *address < PER_ADDRESS {
                (*way, *address) = (*way + 1, *address + 1);
                given.push(Arc::new(notice.clone()));
            }
        }
        for notice in &given {
            self.out.insert(notice.id, until);
        }
        given
    }

    /// A notice was not given out after all.
    pub(in crate::alert) fn take_back(&mut self, id: NoticeId) {
        self.out.remove(&id);
    }

    /// Whether any notice is in somebody's hands.
    pub(in crate::alert) fn is_any_out(&self) -> bool {
        !self.out.is_empty()
    }

    /// Notices whose channel never answered in time: their attempts have failed.
    pub(in crate::alert) fn overdue(&self, now: Instant) -> Vec<NoticeId> {
        self.out.iter().filter(|&(_, &until)| until <= now).map(|(&id, _)| id).collect()
    }

    /// When the next one will be overdue.
    pub(in crate::alert) fn overdue_at(&self) -> Option<Instant> {
        self.out.values().copied().min()
    }

    /// When something is due next after `now_ms`. What was due before waits for another one to come back.
    pub(in crate::alert) fn due_ms(&self, now_ms: i64) -> Option<i64> {
        let waiting = self.live.iter().filter(|id| !self.out.contains_key(id));
        let due = waiting.filter_map(|id| self.notices.get(id)?.due_ms());
        due.filter(|&due_ms| due_ms > now_ms).min()
    }

    /// What was held is tried again at `now_ms`: the configuration, or one of its files, may have changed.
    pub(in crate::alert) fn release(&mut self, now_ms: i64) {
        self.release_where(now_ms, |notice| matches!(notice.state, NoticeState::Held { .. }));
    }

    /// A notice was taken: what else is held for the same reason may be taken as well. Webhooks have one each, the
    /// other ways one server for all. What the same address has refused for now is tried at once too: after an
    /// outage nobody sits out pauses that were reckoned while it lasted.
    pub(super) fn release_by(&mut self, way: Way, address: &str, now_ms: i64) {
        self.release_where(now_ms, |notice| {
            let same_address = *notice.address == *address;
            let is_held = matches!(notice.state, NoticeState::Held { .. });
            notice.way == way && (same_address || (is_held && way != Way::Webhook))
        });
    }

    /// Has what was tried already, and is meant, tried again at `now_ms`; what is in somebody's hands is.
    fn release_where(&mut self, now_ms: i64, is_meant: impl Fn(&Notice) -> bool) {
        for id in self.live.iter().filter(|id| !self.out.contains_key(id)) {
            if let Some(notice) = self.notices.get_mut(id)
                && notice.tried > 0
                && notice.due_ms().is_some_and(|due_ms| due_ms > now_ms)
                && is_meant(notice)
            {
                notice.state = NoticeState::Waiting { due_ms: now_ms };
                self.changed.insert(*id);
            }
        }
    }

    /// Gives up what is to be told to addresses that nobody has any more. No way has failed by that.
    pub(in crate::alert) fn retain(&mut self, is_known: impl Fn(Way, &str) -> bool, now_ms: i64) {
        let gone = |notice: &Notice| !is_known(notice.way, &notice.address);
        let ids: Vec<NoticeId> =
            self.live.iter().filter(|id| self.notices.get(id).is_some_and(gone)).copied().collect();
        for id in ids {
            if let Some(notice) = self.notices.get_mut(&id) {
                let said = "its address was removed from the configuration".to_owned();
                let outcome = Outcome::Permanent;
                notice.attempts.push(Attempt {
                    at_ms: now_ms,
                    took_ms: 0,
                    outcome,
                    said,
                    parts: None,
                });
                notice.state = NoticeState::Dead;
            }
            self.live.remove(&id);
            self.changed.insert(id);
        }
    }

    /// The earlier notice that one waits for, if any.
    pub(in crate::alert) fn before(&self, notice: &Notice) -> Option<NoticeId> {
        let live = self.live.contains(&notice.id);
        let incidents = notice.news.iter().map(|news| news.incident);
        let mut others = incidents.flat_map(|incident| self.others(notice, incident));
        others.find(|id| *id < notice.id).filter(|_| live)
    }

    /// Whether another notice, earlier or later, has still to tell the same address of `incident`.
    pub(super) fn is_told(&self, notice: &Notice, incident: IncidentId) -> bool {
        self.others(notice, incident).next().is_some()
    }

    /// Whether anything of `incident` is still to be told to an address.
    pub(in crate::alert) fn is_telling(
        &self,
        way: Way,
        address: &str,
        incident: IncidentId,
    ) -> bool {
        let mut live = self.about(incident).filter(|notice| self.live.contains(&notice.id));
        live.any(|notice| notice.way == way && *notice.address == *address)
    }

    /// Other notices that have still to tell the address of `notice` of an incident, the oldest first.
    fn others(&self, notice: &Notice, incident: IncidentId) -> impl Iterator<Item = NoticeId> {
        let (id, way, address) = (notice.id, notice.way, notice.address.clone());
        let live = self
            .about(incident)
            .filter(move |other| other.id != id && other.way == way && other.address == address);
        live.map(|other| other.id).filter(|id| self.live.contains(id))
    }
}

impl Notice {
    /// When it is tried next.
    pub fn due_ms(&self) -> Option<i64> {
        match self.state {
            NoticeState::Waiting { due_ms } | NoticeState::Held { due_ms } => Some(due_ms),
            NoticeState::Sent | NoticeState::Dead => None,
        }
    }
}

fn is_due(due_ms: i64, now_ms: i64) -> bool {
    due_ms <= now_ms || due_ms > now_ms + AHEAD_MAX_MS
}
