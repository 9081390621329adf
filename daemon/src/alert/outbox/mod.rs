//! The outbox: every notice, from its making until the other side has taken it or it is given up.
//!
//! Pure: every call names its time, and its chance where one is needed.
//!
//! # Invariants
//!
//! - A notice is never given out twice at a time.
//! - What is told of one incident to one address keeps its order: a later notice waits for an earlier one.
//! - A notice ends as sent or as dead; nothing is forgotten before.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

mod dispatch;

use tokio::time::Instant;

use super::{
    Attempt, IncidentId, News, Notice, NoticeId, NoticeState, Outcome, Way, What,
    channels::Verdict,
    retry::{Next, next},
    routes::Recipient,
};

/// All notices.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    notices: BTreeMap<NoticeId, Notice>,
    /// Those that are neither sent nor dead.
    live: BTreeSet<NoticeId>,
    /// Given to a channel, and not come back; until when that may take, by a clock that nobody sets.
    out: BTreeMap<NoticeId, Instant>,
    by_incident: BTreeMap<IncidentId, Vec<NoticeId>>,
    /// The newest notice to an address by group: the only one that may wait for more.
    newest: HashMap<(Way, Arc<str>, Arc<str>), NoticeId>,
    next: u64,
    /// Those that were sent or given up since it was last asked.
    ended: Vec<NoticeId>,
    /// What has changed since it was last kept.
    pub(super) changed: BTreeSet<NoticeId>,
}

/// So much is told in one notice; more goes into another.
const NEWS_MAX: usize = 8;
/// So many attempts of one notice are kept: the first half and the last.
const ATTEMPTS_MAX: usize = 16;
/// So much of what the other side said is kept, in bytes.
const SAID_MAX: usize = 240;
/// So many notices that are sent or dead are kept.
const DONE_MAX: usize = 5000;

impl Outbox {
    /// An outbox with what was kept of it; its next notice gets a number from `next` on. Whatever was held is tried again: since then much may have changed.
    pub(super) fn restored(notices: Vec<Notice>, next: u64, now_ms: i64) -> Self {
        let mut outbox = Self { next: next.max(1), ..Self::default() };
        for notice in notices {
            outbox.next = outbox.next.max(notice.id.0 + 1);
            outbox.add(notice);
        }
        outbox.release(now_ms);
        outbox
    }

    /// Whether news of `incident` may go into a notice that waits for others.
    fn may_gather(&self, notice: &Notice, incident: IncidentId, now_ms: i64) -> bool {
        matches!(notice.state, NoticeState::Waiting { due_ms } if due_ms >= now_ms)
            && notice.tried == 0
            && !self.out.contains_key(&notice.id)
            && notice.news.len() < NEWS_MAX
            // One that has to wait for an earlier notice must not make others wait with it, and nothing may be
            // told in it before what another one has still to tell.
            && self.before(notice).is_none()
            && !self.is_told(notice, incident)
    }

    /// Has `news` told to `recipient`, in a notice that waits for others or in a new one; answers in which.
    pub(super) fn tell(
        &mut self,
        recipient: &Recipient,
        news: News,
        thread: Option<NoticeId>,
        now_ms: i64,
    ) -> NoticeId {
        let due_ms = now_ms + recipient.wait_ms;
        let place = (recipient.way, recipient.address.clone(), recipient.group.clone());
        let newest = self.newest.get(&place).and_then(|id| self.notices.get(id));
        let gathering = newest.filter(|notice| self.may_gather(notice, news.incident, now_ms));
        if let Some(id) = gathering.map(|notice| notice.id)
            && let Some(notice) = self.notices.get_mut(&id)
        {
            if let NoticeState::Waiting { due_ms: due } = &mut notice.state {
                *due = (*due).min(due_ms);
            }
            note(&mut self.by_incident, news.incident, id);
            notice.news.push(news);
            self.changed.insert(id);
            return id;
        }
        let id = NoticeId(self.next);
        self.next += 1;
        self.newest.insert(place, id);
        self.add(Notice {
            id,
            way: recipient.way,
            contact: recipient.contact.clone(),
            address: recipient.address.clone(),
            language: recipient.language,
            group: recipient.group.clone(),
            made_ms: now_ms,
            news: vec![news],
            thread,
            state: NoticeState::Waiting { due_ms },
            attempts: Vec::new(),
            tried: 0,
        });
        self.changed.insert(id);
        id
    }

    /// Notes an attempt that began at `began_ms` and came to its end at `now_ms`. `chance`, from 0 to 1, spreads
    /// the pauses.
    pub(super) fn attempted(
        &mut self,
        id: NoticeId,
        verdict: Verdict,
        began_ms: i64,
        now_ms: i64,
        chance: f64,
    ) {
        self.out.remove(&id);
        let Some(notice) = self.notices.get_mut(&id) else { return };
        if notice.state == NoticeState::Sent {
            return;
        }
        // It was given up while it was under way; what the other side has taken is sent all the same.
        let given_up = notice.state == NoticeState::Dead && !verdict.outcome.is_accepted();
        notice.tried = notice.tried.saturating_add(1);
        if notice.attempts.len() >= ATTEMPTS_MAX {
            notice.attempts.remove(ATTEMPTS_MAX / 2);
        }
        notice.state = match next(notice, &verdict, now_ms, chance) {
            _ if given_up => NoticeState::Dead,
            Next::Sent => NoticeState::Sent,
            Next::Dead => NoticeState::Dead,
            Next::Hold { due_ms } => NoticeState::Held { due_ms },
            Next::Retry { due_ms } => NoticeState::Waiting { due_ms },
        };
        let sent =
            (notice.state == NoticeState::Sent).then(|| (notice.way, notice.address.clone()));
        let Verdict { outcome, mut said, parts, .. } = verdict;
        cut(&mut said, SAID_MAX);
        let took_ms = u32::try_from(now_ms - began_ms).unwrap_or(0);
        notice.attempts.push(Attempt { at_ms: began_ms, took_ms, outcome, said, parts });
        if matches!(notice.state, NoticeState::Sent | NoticeState::Dead) {
            self.live.remove(&id);
            if !given_up {
                self.ended.push(id);
            }
        }
        self.changed.insert(id);
        if let Some((way, address)) = sent {
            self.release_by(way, &address, now_ms);
        }
    }

    /// Notices that were sent or given up since the last call.
    pub(super) fn take_ended(&mut self) -> Vec<Notice> {
        let ended = std::mem::take(&mut self.ended);
        ended.into_iter().filter_map(|id| self.notices.get(&id).cloned()).collect()
    }

    /// The number of the next notice.
    pub(super) fn next(&self) -> u64 {
        self.next
    }

    /// Forgets notices about incidents that are forgotten, and the oldest that are done where there are too many.
    pub(super) fn forget(&mut self, incidents: &[IncidentId]) {
        for incident in incidents {
            for id in self.by_incident.remove(incident).unwrap_or_default() {
                let lives = |news: &News| self.by_incident.contains_key(&news.incident);
                let done = !self.live.contains(&id);
                if done
                    && self.notices.get(&id).is_some_and(|notice| !notice.news.iter().any(lives))
                {
                    self.notices.remove(&id);
                    self.changed.insert(id);
                }
            }
        }
        let done = self.notices.len() - self.live.len();
        if done <= DONE_MAX {
            return;
        }
        let oldest = self.notices.keys().filter(|id| !self.live.contains(id)).copied();
        let surplus: Vec<_> = oldest.take(done.saturating_sub(DONE_MAX)).collect();
        for id in surplus {
            if let Some(notice) = self.notices.remove(&id) {
                for news in notice.news {
                    if let Some(ids) = self.by_incident.get_mut(&news.incident) {
                        ids.retain(|known| *known != id);
                    }
                }
            }
            self.changed.insert(id);
        }
    }

    /// A notice.
    pub(super) fn get(&self, id: NoticeId) -> Option<&Notice> {
        self.notices.get(&id)
    }

    /// All notices, by number.
    pub(super) fn notices(&self) -> impl DoubleEndedIterator<Item = &Notice> {
        self.notices.values()
    }

    /// Notices about an incident, the oldest first.
    pub(super) fn about(&self, incident: IncidentId) -> impl Iterator<Item = &Notice> {
        let ids = self.by_incident.get(&incident).into_iter().flatten();
        ids.filter_map(|id| self.notices.get(id))
    }

    fn add(&mut self, notice: Notice) {
        if !matches!(notice.state, NoticeState::Sent | NoticeState::Dead) {
            self.live.insert(notice.id);
        }
        for news in &notice.news {
            note(&mut self.by_incident, news.incident, notice.id);
        }
        self.notices.insert(notice.id, notice);
    }
}

impl What {
    /// Whether a repetition of it is worth an attempt; a test tells how it went the first time.
    pub(super) fn is_tried_again(self) -> bool {
        self != Self::Test
    }
}

impl Outcome {
    /// Whether the other side has taken it.
    pub fn is_accepted(self) -> bool {
        self == Self::Accepted
    }
}

fn note(known: &mut BTreeMap<IncidentId, Vec<NoticeId>>, incident: IncidentId, id: NoticeId) {
    let ids = known.entry(incident).or_default();
    if !ids.contains(&id) {
        ids.push(id);
    }
}

fn cut(text: &mut String, most: usize) {
    if text.len() > most {
        let end = (0..=most).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0);
        text.truncate(end);
        text.push('…');
    }
}
