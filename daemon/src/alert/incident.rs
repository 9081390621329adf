//! An incident: something is wrong with one series of one server, from its beginning to its end.

use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Serialize};

use super::{NoticeId, routes::Recipient};
use crate::{
    config::Severity,
    detect::{Key, Subject},
};

/// So many happenings of one incident are kept: the first half and the last.
const TIMELINE_MAX: usize = 40;

/// An incident's number; never given twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct IncidentId(pub u64);

/// Something is, or was, wrong.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Incident {
    /// Its number.
    pub id: IncidentId,
    /// What is judged.
    pub key: Key,
    /// What is measured.
    pub subject: Subject,
    /// How bad it is, or was last.
    pub severity: Severity,
    /// How bad it was at worst.
    pub worst: Severity,
    /// Whether and how it is over.
    pub state: IncidentState,
    /// Why there are no samples at present.
    pub unknown: Option<Arc<str>>,
    /// Whether it comes and goes so often that no more is told.
    pub flapping: bool,
    /// Whether the value is fine, and only the flapping keeps it open.
    pub calm: bool,
    /// When it began.
    pub opened_ms: i64,
    /// When it was over.
    pub closed_ms: Option<i64>,
    /// The last value that was told.
    pub value: Option<f64>,
    /// When it last began, ended, or changed its mind about it; what counts while it flaps.
    pub changed_ms: i64,
    /// Who has taken it on, and when.
    pub acknowledged: Option<Acknowledgement>,
    /// Whether it began while the daemon was not running.
    pub in_absence: bool,
    /// What happened, the oldest first; of many, the first and the last ones.
    pub timeline: Vec<Happening>,
    /// Tags of the server when it began.
    pub tags: BTreeMap<String, String>,
    /// Who has been told, or is about to be.
    pub told: Vec<Told>,
}

/// Somebody who has been told of an incident: they hear of its end as well.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Told {
    /// Where and how.
    pub recipient: Recipient,
    /// The first notice; later ones answer it.
    pub thread: NoticeId,
    /// When they are told again, unless it is acknowledged or over.
    pub remind_ms: Option<i64>,
}

/// Whether and how an incident is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IncidentState {
    /// It lasts.
    Firing,
    /// It lasts, but the value is fine by now.
    Clearing,
    /// It is over.
    Resolved,
    /// Nobody judges it any more.
    Withdrawn,
}

/// Somebody has taken it on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Acknowledgement {
    /// Who, as they said.
    pub by: Arc<str>,
    /// When.
    pub at_ms: i64,
}

/// One thing that happened to an incident.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Happening {
    /// When.
    pub at_ms: i64,
    /// What.
    pub event: Event,
    /// The value at that time.
    pub value: Option<f64>,
    /// More of it, in words for people.
    #[serde(default)]
    pub detail: Option<Arc<str>>,
}

/// What can happen to an incident.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Event {
    /// It began.
    Opened,
    /// It became critical.
    Escalated,
    /// It is a warning again.
    Eased,
    /// The value is fine; it is over when it stays so.
    Clearing,
    /// The value is beyond the limit again.
    Returned,
    /// There are no samples any more.
    Unknown,
    /// There are samples again.
    Known,
    /// Somebody has taken it on.
    Acknowledged,
    /// It was told again.
    Reminded,
    /// It comes and goes too often to be told each time.
    Flapping,
    /// It has been steady since.
    Steady,
    /// It is over.
    Resolved,
    /// Nobody judges it any more.
    Withdrawn,
}

impl Incident {
    /// Whether it lasts.
    pub fn is_open(&self) -> bool {
        matches!(self.state, IncidentState::Firing | IncidentState::Clearing)
    }

    /// Notes that something happened.
    pub(super) fn note(&mut self, at_ms: i64, event: Event, detail: Option<Arc<str>>) {
        if self.timeline.len() >= TIMELINE_MAX {
            self.timeline.remove(TIMELINE_MAX / 2);
        }
        self.timeline.push(Happening { at_ms, event, value: self.value, detail });
    }
}
