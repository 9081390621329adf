//! All tokens, and what may be done with them: decisions without a disk and without a clock.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{
    entry::{Enrolment, Entry},
    messages::{EnrolError, Grant, TokenFault},
    name::{check_name, check_tags},
    secret::{Hash, Secret},
    sharing::{SharedToken, Shift},
};
use crate::store::StateChanges;

/// Keys of tokens begin so.
const KEY: u8 = b't';
/// Most tokens that count.
pub(super) const TOKENS_MAX: usize = 20_000;
/// Most revoked ones that are still known, so that their holders hear why they are refused.
const REVOKED_MAX: usize = 1_000;
/// Most former names of a server under which its machine may still write.
const FORMER_MAX: usize = 8;

/// All tokens by what they are called.
#[derive(Debug, Default)]
pub(super) struct Register {
    entries: BTreeMap<Arc<str>, Entry>,
    /// Those whose progress is not kept yet.
    unkept: BTreeSet<Arc<str>>,
    /// Requests with a token that allows nothing.
    pub(super) wrong: u64,
    /// Revoked tokens that were changed until then may have been forgotten.
    forgotten_ms: Option<i64>,
    /// Changes since the start.
    pub(super) changes: u64,
}

/// A change that has been thought through: made once the disk has it.
#[derive(Debug)]
pub(super) struct Plan {
    entries: Vec<Entry>,
    forgotten: Vec<Arc<str>>,
    /// The latest change of a token that has been forgotten, ever.
    forgotten_ms: Option<i64>,
}

impl Register {
    /// What was kept, by keys. What is not understood is left out and named.
    pub(super) fn restored(kept: BTreeMap<Vec<u8>, Vec<u8>>) -> Self {
        let mut register = Self::default();
        for (key, row) in kept {
            if key == [KEY] {
                register.forgotten_ms =
                    std::str::from_utf8(&row).ok().and_then(|ms| ms.parse().ok());
                continue;
            }
            let id = key.strip_prefix(&[KEY]).and_then(|id| std::str::from_utf8(id).ok());
            match id.and_then(|id| Entry::parse(id, &row)) {
                Some(entry) => drop(register.entries.insert(entry.shown.id.clone(), entry)),
                None => tracing::warn!(?key, "a token that was kept is not understood, left out"),
            }
        }
        register
    }

    /// What `text` allows, as a request brought it.
    pub(super) fn judge(&mut self, text: &str, now_ms: i64) -> Result<Grant, TokenFault> {
        let judged = self.find(text, now_ms);
        self.wrong += u64::from(judged.is_err());
        judged
    }

    fn find(&mut self, text: &str, now_ms: i64) -> Result<Grant, TokenFault> {
        let secret = Secret::parse(text).ok_or(TokenFault::Malformed)?;
        let entry = self.entries.get_mut(secret.id).ok_or(TokenFault::Unknown)?;
        let fault = match (entry.is(&secret.hash()), entry.counts()) {
            (true, true) => None,
            (true, false) => Some(TokenFault::Revoked),
            (false, _) => Some(TokenFault::Wrong),
        };
        let worth_keeping = match fault {
            None => entry.used(now_ms),
            Some(fault) => entry.connected(now_ms) | entry.refused(&fault.to_string(), now_ms),
        };
        if worth_keeping {
            self.unkept.insert(entry.shown.id.clone());
        }
        fault.map_or_else(|| Ok(entry.grant()), Err)
    }

    /// Samples came with a token, and were stored.
    pub(super) fn stored(&mut self, id: &str, now_ms: i64) {
        self.note(id, |entry| entry.stored(now_ms));
    }

    /// A request with a token was refused.
    pub(super) fn refused(&mut self, id: &str, why: &str, now_ms: i64) {
        self.note(id, |entry| entry.refused(why, now_ms));
    }

    /// A request that brought `text` was turned away before anybody asked for the token.
    pub(super) fn turned_away(&mut self, text: &str, why: &str, now_ms: i64) {
        let Some(secret) = Secret::parse(text) else { return };
        let hash = secret.hash();
        self.note(secret.id, |entry| {
            entry.is(&hash) && (entry.connected(now_ms) | entry.refused(why, now_ms))
        });
    }

    /// Whether any token is called so.
    pub(super) fn has(&self, id: &str) -> bool {
        self.entries.contains_key(id)
    }

    /// Whether the token that is called so counts no more.
    pub(super) fn is_revoked(&self, id: &str) -> bool {
        self.entries.get(id).is_some_and(|entry| !entry.counts())
    }

    fn note(&mut self, id: &str, note: impl FnOnce(&mut Entry) -> bool) {
        if let Some(entry) = self.entries.get_mut(id)
            && note(entry)
        {
            self.unkept.insert(entry.shown.id.clone());
        }
    }

    /// The progress that is not kept yet. It counts as kept from here on; see [`Self::put_back`].
    pub(super) fn take_unkept(&mut self) -> (BTreeSet<Arc<str>>, StateChanges) {
        let taken = std::mem::take(&mut self.unkept);
        let mut changes = StateChanges::default();
        for id in &taken {
            if let Some(entry) = self.entries.get_mut(id) {
                changes.keep(key(id), entry.row());
            }
        }
        (taken, changes)
    }

    /// The disk did not take it.
    pub(super) fn put_back(&mut self, taken: BTreeSet<Arc<str>>) {
        self.unkept.extend(taken);
    }

    /// The token of `name`: the one that counts, else the one that was last revoked.
    pub(super) fn of(&self, name: &str) -> Option<&Enrolment> {
        let named = self.entries.values().filter(|entry| entry.shown.name == name);
        let best = named.max_by_key(|entry| (entry.counts(), entry.shown.revoked_ms));
        best.map(|entry| &entry.shown)
    }

    /// A token by which samples of `server` may come.
    pub(super) fn feeding(&self, server: &str) -> Option<&Enrolment> {
        self.entries.values().find(|entry| entry.feeds(server)).map(|entry| &entry.shown)
    }

    /// All tokens, by the names of their servers.
    pub(super) fn all(&self) -> Vec<Enrolment> {
        let mut all: Vec<_> = self.entries.values().map(|entry| entry.shown.clone()).collect();
        all.sort_by(|one, other| (&one.name, one.made_ms).cmp(&(&other.name, other.made_ms)));
        all
    }

    /// A new token, called `id`, for `name`; `again`, whatever it had before.
    pub(super) fn add(
        &self,
        (id, hash): (Arc<str>, Hash),
        name: &str,
        tags: BTreeMap<String, String>,
        again: bool,
        now_ms: i64,
    ) -> Result<Plan, EnrolError> {
        check_name(name).map_err(EnrolError::Name)?;
        check_tags(&tags).map_err(EnrolError::Tags)?;
        if self.counting() >= TOKENS_MAX {
            return Err(EnrolError::Full(TOKENS_MAX));
        }
        let mut entries = Vec::new();
        let mut new = Entry::new(id, hash, name.into(), tags, now_ms);
        for entry in self.entries.values().filter(|entry| entry.counts()) {
            let Enrolment { id, name: other, former, tags, .. } = &entry.shown;
            if other == name {
                if !again {
                    return Err(EnrolError::Exists { name: name.into(), id: id.clone() });
                }
                if new.shown.tags.is_empty() {
                    new.shown.tags.clone_from(tags);
                }
                entries.push(entry.revoked(now_ms));
            } else if former.iter().any(|former| former == name) {
                if !again {
                    let (name, now) = (name.into(), other.clone());
                    return Err(EnrolError::Former { name, now });
                }
                entries.push(entry.without_former(name, now_ms));
            }
        }
        entries.push(new);
        Ok(self.plan(entries))
    }

    /// Every token of `name` is revoked.
    pub(super) fn remove(&self, name: &str, now_ms: i64) -> Result<Plan, EnrolError> {
        let entries = self.counting_of(name).map(|entry| entry.revoked(now_ms)).collect();
        self.some_plan(name, entries)
    }

    /// The token that is called so is revoked, whosever it is; another hub of the group has done it.
    pub(super) fn revoke(&self, id: &str, now_ms: i64) -> Plan {
        let entry = self.entries.get(id).filter(|entry| entry.counts());
        self.plan(entry.map(|entry| entry.revoked(now_ms)).into_iter().collect())
    }

    /// The server `from` is called `to` from now on; its machine may go on by the former name.
    pub(super) fn rename(&self, from: &str, to: &str, now_ms: i64) -> Result<Plan, EnrolError> {
        check_name(to).map_err(EnrolError::Name)?;
        if [from, to].iter().any(|name| name.contains('*')) {
            let detail = "a token for many servers (`*`) has no name to be changed; make a new one";
            return Err(EnrolError::Name(detail.into()));
        }
        if let Some(other) = self.counting_of(to).next() {
            return Err(EnrolError::Exists { name: to.into(), id: other.shown.id.clone() });
        }
        let entries =
            self.counting_of(from).map(|entry| entry.renamed(to, FORMER_MAX, now_ms)).collect();
        self.some_plan(from, entries)
    }

    /// What another hub of the group is told.
    pub(super) fn shared(&self) -> Vec<SharedToken> {
        self.entries.values().map(SharedToken::of).collect()
    }

    /// What becomes of the tokens by what another hub has `told`. What makes no sense, or is too much, is left out.
    pub(super) fn told(&self, told: Vec<SharedToken>) -> Plan {
        let mut room = TOKENS_MAX.saturating_sub(self.counting());
        let mut entries = Vec::new();
        for told in told.into_iter().filter_map(SharedToken::entry) {
            match self.entries.get(&told.shown.id) {
                Some(known) => entries.extend(known.merged(&told)),
                // It may have been revoked here, and forgotten.
                None if told.counts() && Some(told.changed_ms) <= self.forgotten_ms => {}
                None if told.counts() && room == 0 => {}
                None => {
                    room -= usize::from(told.counts());
                    entries.push(told);
                }
            }
        }
        self.plan(entries)
    }

    /// What a plan makes of the tokens that it changes.
    pub(super) fn shifts(&self, plan: &Plan) -> Vec<Shift> {
        let before = |entry: &Entry| self.entries.get(&entry.shown.id).map(|it| it.shown.clone());
        let entries = plan.entries.iter();
        entries.map(|it| Shift { before: before(it), after: it.shown.clone() }).collect()
    }

    /// Makes a change that is on the disk now.
    pub(super) fn make(&mut self, plan: Plan) {
        self.changes += 1;
        for mut entry in plan.entries {
            // What has come since the plan was made is not to be forgotten.
            if let Some(known) = self.entries.get(&entry.shown.id) {
                entry.shown.used_ms = known.shown.used_ms;
                entry.shown.connected_ms = known.shown.connected_ms;
                entry.shown.known_ms = known.shown.known_ms;
                entry.shown.first_sample_ms = known.shown.first_sample_ms;
                entry.shown.error.clone_from(&known.shown.error);
            }
            self.entries.insert(entry.shown.id.clone(), entry);
        }
        self.forgotten_ms = plan.forgotten_ms;
        for id in plan.forgotten {
            self.entries.remove(&id);
            self.unkept.remove(&id);
        }
    }

    fn counting(&self) -> usize {
        self.entries.values().filter(|entry| entry.counts()).count()
    }

    fn counting_of(&self, name: &str) -> impl Iterator<Item = &Entry> {
        self.entries.values().filter(move |entry| entry.counts() && entry.shown.name == name)
    }

    fn some_plan(&self, name: &str, entries: Vec<Entry>) -> Result<Plan, EnrolError> {
        if entries.is_empty() {
            return Err(EnrolError::Unknown(name.into()));
        }
        Ok(self.plan(entries))
    }

    /// `entries`, and of those that were revoked before, the oldest are forgotten where there are too many.
    fn plan(&self, entries: Vec<Entry>) -> Plan {
        let mut revoked: Vec<_> = self
            .entries
            .values()
            .filter_map(|entry| Some((entry.shown.revoked_ms?, entry.shown.id.clone())))
            .collect();
        revoked.sort();
        let too_many = revoked.len().saturating_sub(REVOKED_MAX);
        let forgotten: Vec<_> = revoked.into_iter().take(too_many).map(|(_, id)| id).collect();
        let changed = forgotten.iter().filter_map(|id| Some(self.entries.get(id)?.changed_ms));
        let forgotten_ms = self.forgotten_ms.max(changed.max());
        Plan { entries, forgotten, forgotten_ms }
    }
}

impl Plan {
    /// Whether it changes nothing.
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.forgotten.is_empty()
    }

    /// What the disk is to keep of it.
    pub(super) fn changes(&mut self) -> StateChanges {
        let mut changes = StateChanges::default();
        for entry in &mut self.entries {
            changes.keep(key(&entry.shown.id), entry.row());
        }
        for id in &self.forgotten {
            changes.forget(key(id));
        }
        if let Some(forgotten_ms) = self.forgotten_ms.filter(|_| !self.forgotten.is_empty()) {
            changes.keep(key(""), forgotten_ms.to_string().into_bytes());
        }
        changes
    }
}

fn key(id: &str) -> Vec<u8> {
    [&[KEY], id.as_bytes()].concat()
}
