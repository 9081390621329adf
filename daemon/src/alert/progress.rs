//! How far notices have come, in one word.

use std::collections::BTreeMap;

use super::{IncidentId, Notice, NoticeState, Way, outbox::Outbox};

/// How far what is told of an incident by one way has come: the worst of its notices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Progress {
    /// All were taken.
    Sent,
    /// Some are on their way.
    Waiting,
    /// Some are tried again.
    Retrying,
    /// Some wait for a change of the configuration.
    Held,
    /// Some were given up.
    Dead,
}

impl Progress {
    /// How far a notice has come.
    pub fn of(notice: &Notice) -> Self {
        match notice.state {
            NoticeState::Sent => Self::Sent,
            NoticeState::Waiting { .. } if notice.tried == 0 => Self::Waiting,
            NoticeState::Waiting { .. } => Self::Retrying,
            NoticeState::Held { .. } => Self::Held,
            NoticeState::Dead => Self::Dead,
        }
    }

    /// Its name in frames and answers.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Waiting => "waiting",
            Self::Retrying => "retrying",
            Self::Held => "held",
            Self::Dead => "dead",
        }
    }
}

impl Outbox {
    /// How far what is told of an incident has come, by each way that tells of it.
    pub(super) fn progress(&self, incident: IncidentId) -> BTreeMap<Way, Progress> {
        let mut progress = BTreeMap::new();
        for notice in self.about(incident) {
            let now = Progress::of(notice);
            let worst = progress.entry(notice.way).or_insert(now);
            *worst = (*worst).max(now);
        }
        progress
    }
}
