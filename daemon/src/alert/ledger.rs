//! Incidents and notices together: what happens, what has to be told, to whom, and how far it has come.
//!
//! Pure but for the numbers it draws to spread pauses; every call names its time. The engine moves it, keeps what
//! it changes, and gives its notices to the channels.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{
    Event, Incident, IncidentId, News, NoticeId, Way, What,
    archive::Archive,
    book::{Book, Telling},
    failure::{self, DELIVERY_FAILED},
    incident::Told,
    outbox::Outbox,
    routes::{Recipient, addresses, recipients},
};
use crate::{
    config::{Config, Severity},
    detect::{Key, Recall, Transition},
    series::Labels,
    store::StateChanges,
};

/// Everything that is known of incidents and notices.
#[derive(Debug)]
pub(super) struct Ledger {
    pub(super) book: Book,
    pub(super) outbox: Outbox,
    archive: Archive,
    config: Arc<Config>,
    this_machine: Arc<str>,
}

impl Ledger {
    /// A ledger of what was kept.
    pub(super) fn restored(
        kept: BTreeMap<Vec<u8>, Vec<u8>>,
        config: Arc<Config>,
        this_machine: Arc<str>,
        now_ms: i64,
    ) -> Self {
        let (archive, restored) = Archive::read(kept);
        if restored.unreadable > 0 {
            tracing::error!(records = restored.unreadable, "kept alerts make no sense in part");
        }
        let (incident, notice) = archive.next();
        let book = Book::restored(restored.incidents, restored.memories, incident);
        let outbox = Outbox::restored(restored.notices, notice, now_ms);
        let mut ledger = Self { book, outbox, archive, config, this_machine };
        ledger.fit(now_ms);
        ledger
    }

    /// What this daemon is called by, to tell its notices from those of all others.
    pub(super) fn hub(&self) -> &str {
        self.archive.hub()
    }

    /// What is remembered of a server.
    pub(super) fn recall(&self, server: &str) -> Recall {
        let (rule, labels, absence) = Default::default();
        let first = Key { server: server.into(), rule, labels, absence };
        let of = self.book.memories().range(first..);
        let of = of.take_while(|(key, _)| *key.server == *server);
        Recall {
            memories: of.map(|(key, memory)| (key.clone(), memory.clone())).collect(),
            absent_since_ms: None,
        }
    }

    /// Goes on by another configuration. What was held is tried again.
    pub(super) fn follow(&mut self, config: Arc<Config>, now_ms: i64) {
        self.config = config;
        self.outbox.release(now_ms);
        self.fit(now_ms);
    }

    /// Makes what is known fit the configuration in force: nothing more goes to addresses that are gone, and whoever
    /// should have been told of what lasts, and was not, is told now.
    fn fit(&mut self, now_ms: i64) {
        let config = self.config.clone();
        self.outbox.retain(|way, address| is_known(&config, way, address), now_ms);
        let gone = |incident: &&Incident| {
            let mut all = config.contacts.iter().flat_map(|contact| {
                addresses(contact).map(move |(way, address)| (&contact.name, way, address))
            });
            &*incident.key.rule == DELIVERY_FAILED
                && !all
                    .any(|(name, way, address)| failure::names(&incident.key, name, way, address))
        };
        let gone: Vec<_> = self.book.open_incidents().filter(gone).collect();
        let gone: Vec<_> = gone
            .into_iter()
            .map(|incident| failure::withdraw(&incident.key, &incident.subject, now_ms))
            .collect();
        self.take(&gone, &BTreeMap::new(), now_ms);
        let open: Vec<_> = self.book.open_incidents().map(|incident| incident.id).collect();
        open.into_iter().for_each(|id| self.tell_untold(id, now_ms));
    }

    /// Tells those of an open incident whom the routes name by now, and who have not heard of it.
    fn tell_untold(&mut self, id: IncidentId, now_ms: i64) {
        let config = self.config.clone();
        let Some(incident) = self.book.get(id) else { return };
        if incident.acknowledged.is_some() || incident.flapping {
            return;
        }
        let telling = Telling { incident: id, what: What::Fired, at_ms: now_ms, in_absence: false };
        let news = news(incident, telling);
        // By the worst that it was: whoever was told of that has heard of it, and nobody else has to.
        let worst = News { severity: incident.worst, ..news.clone() };
        let found = recipients(&config.routes, &config.contacts, &worst, &incident.tags);
        let untold: Vec<_> = found
            .into_iter()
            .filter(|found| !failure::is_about(&incident.key, found.way))
            .filter(|found| !incident.told.iter().any(|told| is_same(&told.recipient, found)))
            .collect();
        if untold.is_empty() {
            return;
        }
        let Some(incident) = self.book.get_mut(id) else { return };
        for recipient in untold {
            let remind_ms = recipient.remind_every_ms.map(|every_ms| now_ms + every_ms);
            let thread = self.outbox.tell(&recipient, news.clone(), None, now_ms);
            incident.told.push(Told { recipient, thread, remind_ms });
        }
    }

    /// Who there is to be told, in words.
    pub(super) fn known_contacts(&self) -> String {
        let names = self.config.contacts.iter().map(|contact| format!("`{}`", contact.name));
        let names: Vec<_> = names.collect();
        if names.is_empty() {
            "the configuration has no [contact.NAME]".into()
        } else {
            format!("known are {}", names.join(", "))
        }
    }

    /// Whether notices can leave by this way.
    pub(super) fn is_configured(&self, way: Way) -> bool {
        match way {
            Way::Email => self.config.channels.email.is_some(),
            Way::Sms => self.config.channels.sms.is_some(),
            Way::Webhook => true,
        }
    }

    /// Takes transitions of a server with `tags`.
    pub(super) fn take(
        &mut self,
        told: &[Transition],
        tags: &BTreeMap<String, String>,
        now_ms: i64,
    ) {
        for told in told {
            if let Some(telling) = self.book.take(told, tags) {
                self.tell(telling, now_ms);
            }
        }
    }

    /// Only these servers are watched.
    pub(super) fn retain_servers(&mut self, known: &BTreeSet<Arc<str>>, now_ms: i64) {
        for telling in self.book.retain_servers(known, now_ms) {
            self.tell(telling, now_ms);
        }
    }

    /// Somebody has taken an incident on.
    pub(super) fn acknowledge(&mut self, id: IncidentId, by: Arc<str>, now_ms: i64) -> Option<()> {
        self.book.acknowledge(id, by, now_ms)
    }

    /// Has a test told to every address of a contact; `None` where nobody is called so.
    pub(super) fn test(&mut self, contact: &str, now_ms: i64) -> Option<Vec<NoticeId>> {
        let config = self.config.clone();
        let contact = config.contacts.iter().find(|known| known.name == contact)?;
        let news = News {
            incident: IncidentId(0),
            what: What::Test,
            at_ms: now_ms,
            opened_ms: now_ms,
            severity: Severity::Warning,
            server: self.this_machine.clone(),
            rule: "test".into(),
            metric: "".into(),
            labels: Labels::default(),
            unit: "".into(),
            value: None,
            limit: None,
            summary: None,
            runbook: None,
            in_absence: false,
            absence: false,
        };
        let tell = |(way, address): (_, &String)| {
            let recipient = Recipient {
                contact: contact.name.as_str().into(),
                way,
                address: address.as_str().into(),
                language: contact.language,
                group: "test".into(),
                wait_ms: 0,
                remind_every_ms: None,
            };
            self.outbox.tell(&recipient, news.clone(), None, now_ms)
        };
        Some(addresses(contact).map(tell).collect())
    }

    /// Does what is due by `now_ms`: reminders, what has been steady, what was held for too long.
    pub(super) fn advance(&mut self, now_ms: i64) {
        for telling in self.book.settle(now_ms) {
            self.tell(telling, now_ms);
        }
        let due = |incident: &&Incident| {
            !incident.flapping && incident.told.iter().any(|told| is_due(told, now_ms))
        };
        let ids: Vec<_> =
            self.book.open_incidents().filter(due).map(|incident| incident.id).collect();
        ids.into_iter().for_each(|id| self.remind(id, now_ms));
        for notice in self.outbox.take_ended() {
            let open = |key: &Key| self.book.severity(key);
            let judged = failure::judge(&notice, &self.this_machine, open, now_ms);
            self.take(judged.as_slice(), &BTreeMap::new(), now_ms);
        }
        let forgotten = self.book.forget();
        self.outbox.forget(&forgotten);
    }

    /// When [`advance`](Self::advance) or the outbox has something to do next, after `now_ms`.
    pub(super) fn due_ms(&self, now_ms: i64) -> Option<i64> {
        let open = self.book.open_incidents().filter(|incident| !incident.flapping);
        let reminders =
            open.flat_map(|incident| incident.told.iter().filter_map(|told| told.remind_ms));
        let due = reminders.chain(self.book.settle_due_ms()).min();
        due.into_iter().chain(self.outbox.due_ms(now_ms)).min()
    }

    /// What has to be kept; it then counts as kept.
    pub(super) fn changes(&mut self) -> StateChanges {
        self.archive.changes(&mut self.book, &mut self.outbox)
    }

    fn tell(&mut self, telling: Telling, now_ms: i64) {
        let config = self.config.clone();
        let Some(incident) = self.book.get_mut(telling.incident) else { return };
        let news = news(incident, telling);
        log(&news);
        if begins(telling.what) {
            let found = recipients(&config.routes, &config.contacts, &news, &incident.tags);
            let tells = |recipient: &Recipient| !failure::is_about(&incident.key, recipient.way);
            for recipient in found.into_iter().filter(tells).collect::<Vec<_>>() {
                let remind_ms = recipient.remind_every_ms.map(|every_ms| now_ms + every_ms);
                let remind_ms = remind_ms.filter(|_| incident.acknowledged.is_none());
                let known =
                    incident.told.iter_mut().find(|told| is_same(&told.recipient, &recipient));
                if let Some(told) = known {
                    (told.recipient, told.remind_ms) = (recipient, remind_ms);
                } else {
                    let thread = NoticeId(0);
                    incident.told.push(Told { recipient, thread, remind_ms });
                }
            }
        }
        for told in &mut incident.told {
            if telling.what == What::Reminded && told.remind_ms.is_some() {
                told.remind_ms = told.recipient.remind_every_ms.map(|every_ms| now_ms + every_ms);
            }
            let thread = Some(told.thread).filter(|thread| thread.0 > 0);
            if is_known(&config, told.recipient.way, &told.recipient.address) {
                let id = self.outbox.tell(&told.recipient, news.clone(), thread, now_ms);
                if thread.is_none() {
                    told.thread = id;
                }
            }
        }
    }

    fn remind(&mut self, id: IncidentId, now_ms: i64) {
        let config = self.config.clone();
        let Some(incident) = self.book.get_mut(id) else { return };
        let telling =
            Telling { incident: id, what: What::Reminded, at_ms: now_ms, in_absence: false };
        let news = news(incident, telling);
        incident.note(now_ms, Event::Reminded, None);
        for told in &mut incident.told {
            if is_due(told, now_ms) {
                // What was missed while nobody looked is not made up for.
                told.remind_ms = told.recipient.remind_every_ms.map(|every_ms| now_ms + every_ms);
                let (way, address) = (told.recipient.way, &told.recipient.address);
                // Who has not even heard what was told before needs no reminder.
                if is_known(&config, way, address) && !self.outbox.is_telling(way, address, id) {
                    self.outbox.tell(&told.recipient, news.clone(), Some(told.thread), now_ms);
                }
            }
        }
    }
}

/// Says in the log what happened to an incident.
fn log(News { incident, what, severity, server, rule, labels, value, .. }: &News) {
    let (id, level) = (incident.0, severity.name());
    let happened = match what {
        What::Fired => "incident began",
        What::Escalated => "incident escalated",
        What::Flapping => "incident flaps, no more is told until it is steady",
        What::Reminded => "incident still lasts",
        What::Resolved => "incident is over",
        What::Withdrawn => "incident withdrawn",
        What::Test => return,
    };
    tracing::info!(incident = id, %server, %rule, %labels, level, value, "{happened}");
}

/// Whether this is the beginning of something that routes have to be asked about.
fn begins(what: What) -> bool {
    matches!(what, What::Fired | What::Escalated | What::Flapping)
}

/// Whether somebody is to be reminded. A time further ahead than reminders are apart was noted before the clock was set
/// back.
fn is_due(told: &Told, now_ms: i64) -> bool {
    let every_ms = told.recipient.remind_every_ms.unwrap_or(i64::MAX / 2);
    told.remind_ms.is_some_and(|at_ms| at_ms <= now_ms || at_ms > now_ms.saturating_add(every_ms))
}

/// Whether both are one address.
fn is_same(one: &Recipient, other: &Recipient) -> bool {
    (one.way, &one.address) == (other.way, &other.address)
}

/// Whether anybody has this address.
fn is_known(config: &Config, way: Way, address: &str) -> bool {
    let mut all = config.contacts.iter().flat_map(addresses);
    all.any(|known| known == (way, &address.to_owned()))
}

fn news(incident: &Incident, Telling { what, at_ms, in_absence, .. }: Telling) -> News {
    let subject = &incident.subject;
    News {
        incident: incident.id,
        what,
        at_ms,
        opened_ms: incident.opened_ms,
        severity: incident.severity,
        server: incident.key.server.clone(),
        rule: incident.key.rule.clone(),
        metric: subject.metric.clone(),
        labels: incident.key.labels.clone(),
        unit: subject.unit.clone(),
        value: incident.value,
        limit: subject.limit,
        summary: subject.summary.clone(),
        runbook: subject.runbook.clone(),
        in_absence,
        absence: incident.key.absence,
    }
}
