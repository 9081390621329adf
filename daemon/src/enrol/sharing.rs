//! What the hubs of a group tell each other of their tokens, and what becomes of what they are told.
//!
//! # Invariants
//!
//! - Whoever tells whom first, and however often: all end with the same tokens. Of two changes of one the later counts,
//!   and one that is revoked anywhere is revoked.
//! - No token travels, but its hash. How far a machine has come at a hub, only that hub knows.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    entry::{Enrolment, Entry},
    name::{check_name, check_tags},
    secret::{Hash, is_id},
};

/// A token, as one hub tells another of it. Times are milliseconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SharedToken {
    /// What it is called.
    id: String,
    /// Its SHA-256, in hexadecimal.
    hash: String,
    name: String,
    former: Vec<String>,
    tags: BTreeMap<String, String>,
    made_ms: i64,
    changed_ms: i64,
    revoked_ms: Option<i64>,
}

/// What has become of a token by what another hub told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shift {
    /// What was known of it; none where it is new here.
    pub before: Option<Enrolment>,
    /// What is known of it now.
    pub after: Enrolment,
}

impl SharedToken {
    /// What others are told of `entry`.
    pub(super) fn of(entry: &Entry) -> Self {
        let Enrolment { id, name, former, tags, made_ms, revoked_ms, .. } = entry.shown.clone();
        let (hash, changed_ms) = (entry.hash.text(), entry.changed_ms);
        Self { id: (*id).into(), hash, name, former, tags, made_ms, changed_ms, revoked_ms }
    }

    /// The token that this tells of; `None` where it makes no sense.
    pub(super) fn entry(self) -> Option<Entry> {
        let Self { id, hash, name, former, tags, made_ms, changed_ms, revoked_ms } = self;
        let hash = Hash::parse(&hash).filter(|_| is_id(&id))?;
        let names = std::iter::once(&name).chain(&former);
        if !names.into_iter().all(|name| check_name(name).is_ok()) || check_tags(&tags).is_err() {
            return None;
        }
        let entry = Entry::new(id.into(), hash, name, tags, made_ms);
        Some(entry.with(former, revoked_ms, changed_ms))
    }
}

impl Entry {
    /// What it becomes by what another hub tells of the same token; `None` where nothing changes, or where another one
    /// is called the same.
    pub(super) fn merged(&self, told: &Self) -> Option<Self> {
        if !self.is(&told.hash) {
            return None;
        }
        let version = |entry: &Self| {
            let Enrolment { name, former, tags, .. } = entry.shown.clone();
            (entry.changed_ms, name, former, tags)
        };
        let is_later = version(told) > version(self);
        let both = [self.shown.revoked_ms, told.shown.revoked_ms];
        let revoked_ms = both.into_iter().flatten().min();
        if !is_later && revoked_ms == self.shown.revoked_ms {
            return None;
        }
        let merged = if is_later { told } else { self };
        let former = merged.shown.former.clone();
        Some(merged.clone().with(former, revoked_ms, merged.changed_ms))
    }
}
