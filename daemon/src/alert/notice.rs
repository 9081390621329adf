//! A notice: what one person is told by one way, and every attempt to tell them.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::IncidentId;
use crate::{
    config::{Language, Severity, Side},
    series::Labels,
};

/// A notice's number; never given twice, so that receivers know a repetition by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct NoticeId(pub u64);

/// A way by which notices leave; each has an actor of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Way {
    /// E-mail.
    Email,
    /// SMS.
    Sms,
    /// An HTTP request with JSON.
    Webhook,
}

impl Way {
    /// Every way, in the order in which people see them.
    pub const ALL: [Self; 3] = [Self::Email, Self::Sms, Self::Webhook];
}

/// What one person is told by one way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Notice {
    /// Its number.
    pub id: NoticeId,
    /// By which way.
    pub way: Way,
    /// Name of the contact.
    pub contact: Arc<str>,
    /// Mail address, phone number or URL.
    pub address: Arc<str>,
    /// The language it is written in.
    pub language: Language,
    /// What its incidents have in common.
    pub group: Arc<str>,
    /// When it was decided.
    pub made_ms: i64,
    /// What it tells, in the order in which it happened; never empty.
    pub news: Vec<News>,
    /// The first notice to this address about the same incident, which this one answers.
    pub thread: Option<NoticeId>,
    /// How far it has come.
    pub state: NoticeState,
    /// Every attempt, the oldest first; of many, the first and the last ones.
    pub attempts: Vec<Attempt>,
    /// How many attempts there were.
    pub tried: u32,
}

/// One thing that happened to an incident.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct News {
    /// The incident.
    pub incident: IncidentId,
    /// What happened.
    pub what: What,
    /// When.
    pub at_ms: i64,
    /// When the incident began.
    pub opened_ms: i64,
    /// How bad it is, or was until it was over.
    pub severity: Severity,
    /// Name of the server.
    pub server: Arc<str>,
    /// Name of the rule.
    pub rule: Arc<str>,
    /// What is measured.
    pub metric: Arc<str>,
    /// Labels of the series.
    pub labels: Labels,
    /// Unit of value and limit.
    pub unit: Arc<str>,
    /// The value at that time.
    pub value: Option<f64>,
    /// The limit, and its bad side.
    pub limit: Option<(Side, f64)>,
    /// The rule's own words for it.
    pub summary: Option<Arc<str>>,
    /// Where it is written what to do.
    pub runbook: Option<Arc<str>>,
    /// Whether it happened while the daemon was not running.
    pub in_absence: bool,
    /// Whether it is the absence of samples that is told of.
    pub absence: bool,
}

/// What happened to an incident.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum What {
    /// It began.
    Fired,
    /// It became critical.
    Escalated,
    /// It still lasts.
    Reminded,
    /// It began and ended so often that no more is told until it has been steady.
    Flapping,
    /// It is over.
    Resolved,
    /// Nobody judges it any more.
    Withdrawn,
    /// Nothing happened: somebody tests the way.
    Test,
}

/// How far a notice has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NoticeState {
    /// To be sent at `due_ms`.
    Waiting {
        /// When.
        due_ms: i64,
    },
    /// Waits for a change of the configuration or of one of its files: trying again hardly helps before. It is tried
    /// with each such change, when the way works for another notice, and now and then.
    Held {
        /// When at the latest.
        due_ms: i64,
    },
    /// The other side has taken it.
    Sent,
    /// Given up.
    Dead,
}

/// One attempt to send a notice.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Attempt {
    /// When it began.
    pub at_ms: i64,
    /// How long it took.
    pub took_ms: u32,
    /// How it ended.
    pub outcome: Outcome,
    /// What the other side said, or what went wrong, in words for people.
    pub said: String,
    /// Parts of the SMS.
    #[serde(default)]
    pub parts: Option<u32>,
}

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// The other side has taken it.
    Accepted,
    /// Refused or not reached; later it may be taken.
    Temporary,
    /// Refused for good.
    Permanent,
    /// Cannot be taken before somebody changes the configuration: a wrong password, a certificate that does
    /// not verify.
    Misconfigured,
    /// Nobody can say whether it was taken: the connection broke after all was said.
    Unknown,
}

impl Way {
    /// Its name in frames and answers.
    pub fn name(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Sms => "sms",
            Self::Webhook => "webhook",
        }
    }
}
