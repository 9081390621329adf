//! One token: whose it is, and how far its machine has come.

use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Serialize};

use super::{messages::Grant, secret::Hash};

/// How often it is kept that a token was used, in milliseconds.
const USED_KEPT_MS: i64 = 10 * 60_000;

/// Longest error that is shown, in characters.
const ERROR_MAX: usize = 500;

/// A token, and how far the machine that has it has come. Times are milliseconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enrolment {
    /// What the token is called; not the token.
    pub id: Arc<str>,
    /// The server that it may write; with `*` in it, every one that fits.
    pub name: String,
    /// What the server was called before, under which names its machine may still write.
    pub former: Vec<String>,
    /// Tags of the server.
    pub tags: BTreeMap<String, String>,
    /// When it was made.
    pub made_ms: i64,
    /// When a request first came with a token that begins as this one does.
    pub connected_ms: Option<i64>,
    /// When a request first came with the token itself.
    pub known_ms: Option<i64>,
    /// When the first sample was stored.
    pub first_sample_ms: Option<i64>,
    /// When it was last used.
    pub used_ms: Option<i64>,
    /// When it was revoked.
    pub revoked_ms: Option<i64>,
    /// Why the last request was refused, and when; none once samples have been stored since.
    pub error: Option<(String, i64)>,
}

/// A token with what is not shown of it.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) shown: Enrolment,
    pub(super) hash: Hash,
    /// When its server, or its right, was last changed: later than the change before, whatever the clock says.
    pub(super) changed_ms: i64,
    grant: Grant,
    /// When it was last kept that it was used.
    used_kept_ms: i64,
}

/// How it is kept.
#[derive(Serialize, Deserialize)]
struct Row {
    hash: String,
    name: String,
    #[serde(default)]
    former: Vec<String>,
    #[serde(default)]
    tags: BTreeMap<String, String>,
    made_ms: i64,
    #[serde(default)]
    changed_ms: i64,
    connected_ms: Option<i64>,
    known_ms: Option<i64>,
    first_sample_ms: Option<i64>,
    used_ms: Option<i64>,
    revoked_ms: Option<i64>,
    error: Option<(String, i64)>,
}

impl Entry {
    /// A token that was just made.
    pub(super) fn new(
        id: Arc<str>,
        hash: Hash,
        name: String,
        tags: BTreeMap<String, String>,
        now_ms: i64,
    ) -> Self {
        let shown = Enrolment {
            id,
            name,
            former: Vec::new(),
            tags,
            made_ms: now_ms,
            connected_ms: None,
            known_ms: None,
            first_sample_ms: None,
            used_ms: None,
            revoked_ms: None,
            error: None,
        };
        Self::of(shown, hash, now_ms)
    }

    fn of(shown: Enrolment, hash: Hash, changed_ms: i64) -> Self {
        let names = std::iter::once(&shown.name).chain(&shown.former).cloned();
        let renamed = !shown.former.is_empty();
        let grant = Grant { id: shown.id.clone(), servers: names.collect(), renamed };
        let used_kept_ms = shown.used_ms.unwrap_or(i64::MIN);
        Self { shown, hash, changed_ms, grant, used_kept_ms }
    }

    /// The token that is kept so; `None` if it is not understood.
    pub(super) fn parse(id: &str, row: &[u8]) -> Option<Self> {
        let row: Row = serde_json::from_slice(row).ok()?;
        let hash = Hash::parse(&row.hash)?;
        let shown = Enrolment {
            id: id.into(),
            name: row.name,
            former: row.former,
            tags: row.tags,
            made_ms: row.made_ms,
            connected_ms: row.connected_ms,
            known_ms: row.known_ms,
            first_sample_ms: row.first_sample_ms,
            used_ms: row.used_ms,
            revoked_ms: row.revoked_ms,
            error: row.error,
        };
        // What was kept before anybody asked when it was changed.
        let changed_ms = row.changed_ms.max(row.made_ms).max(row.revoked_ms.unwrap_or(i64::MIN));
        Some(Self::of(shown, hash, changed_ms))
    }

    /// As it is kept. From here on its use counts as kept.
    pub(super) fn row(&mut self) -> Vec<u8> {
        self.used_kept_ms = self.shown.used_ms.unwrap_or(i64::MIN);
        let shown = self.shown.clone();
        let row = Row {
            hash: self.hash.text(),
            name: shown.name,
            former: shown.former,
            tags: shown.tags,
            made_ms: shown.made_ms,
            changed_ms: self.changed_ms,
            connected_ms: shown.connected_ms,
            known_ms: shown.known_ms,
            first_sample_ms: shown.first_sample_ms,
            used_ms: shown.used_ms,
            revoked_ms: shown.revoked_ms,
            error: shown.error,
        };
        // Strings and numbers can always be written.
        serde_json::to_vec(&row).unwrap_or_default()
    }

    pub(super) fn is(&self, hash: &Hash) -> bool {
        self.hash.is(hash)
    }

    pub(super) fn grant(&self) -> Grant {
        self.grant.clone()
    }

    /// Whether samples of `server` may come by it. One for many by which none has come is none to expect any by: hubs
    /// ask each other by a token that could write everything.
    pub(super) fn feeds(&self, server: &str) -> bool {
        let is_used = !self.shown.name.contains('*') || self.shown.first_sample_ms.is_some();
        self.counts() && is_used && self.grant.feeds(server)
    }

    pub(super) fn counts(&self) -> bool {
        self.shown.revoked_ms.is_none()
    }

    /// The same token with these names of former times, revoked then, changed last then.
    pub(super) fn with(
        self,
        former: Vec<String>,
        revoked_ms: Option<i64>,
        changed_ms: i64,
    ) -> Self {
        Self::of(Enrolment { former, revoked_ms, ..self.shown }, self.hash, changed_ms)
    }

    /// The same token for a server that is called `to` now.
    pub(super) fn renamed(&self, to: &str, former_max: usize, now_ms: i64) -> Self {
        let mut shown = self.shown.clone();
        shown.former.retain(|name| name != to);
        shown.former.insert(0, std::mem::replace(&mut shown.name, to.into()));
        shown.former.truncate(former_max);
        Self::of(shown, self.hash, self.after(now_ms))
    }

    /// The same token without `name` among those that the server was called.
    pub(super) fn without_former(&self, name: &str, now_ms: i64) -> Self {
        let mut shown = self.shown.clone();
        shown.former.retain(|former| former != name);
        Self::of(shown, self.hash, self.after(now_ms))
    }

    pub(super) fn revoked(&self, now_ms: i64) -> Self {
        let mut revoked = self.clone();
        revoked.shown.revoked_ms.get_or_insert(now_ms);
        revoked.changed_ms = self.after(now_ms);
        revoked
    }

    /// The time of a change that is made at `now_ms`.
    fn after(&self, now_ms: i64) -> i64 {
        now_ms.max(self.changed_ms.saturating_add(1))
    }

    /// A request came with a token that begins as this one does. Whether that is worth keeping.
    pub(super) fn connected(&mut self, now_ms: i64) -> bool {
        first(&mut self.shown.connected_ms, now_ms)
    }

    /// A request came with this token. Whether that is worth keeping.
    pub(super) fn used(&mut self, now_ms: i64) -> bool {
        self.shown.used_ms = Some(now_ms);
        let is_first = self.connected(now_ms) | first(&mut self.shown.known_ms, now_ms);
        is_first || now_ms.saturating_sub(self.used_kept_ms) >= USED_KEPT_MS
    }

    /// Samples were stored. Whether that is worth keeping.
    pub(super) fn stored(&mut self, now_ms: i64) -> bool {
        let mended = self.shown.error.take().is_some();
        self.used(now_ms) | first(&mut self.shown.first_sample_ms, now_ms) | mended
    }

    /// A request was refused. Whether that is worth keeping.
    pub(super) fn refused(&mut self, why: &str, now_ms: i64) -> bool {
        let why: String = why.chars().take(ERROR_MAX).collect();
        let is_new = self.shown.error.as_ref().is_none_or(|(known, _)| *known != why);
        self.shown.error = Some((why, now_ms));
        is_new
    }
}

/// Notes `now_ms` where nothing is noted yet. Whether it did.
fn first(place: &mut Option<i64>, now_ms: i64) -> bool {
    let is_first = place.is_none();
    place.get_or_insert(now_ms);
    is_first
}
