//! What is beyond a limit, not yet for long enough to be an incident.

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    config::Severity,
    detect::{Key, Level, Subject, Transition},
};

/// Beyond a limit, not yet for long enough.
#[derive(Debug, Clone, PartialEq)]
pub struct Pending {
    /// What is judged.
    pub key: Key,
    /// What is measured.
    pub subject: Subject,
    /// What it becomes.
    pub severity: Severity,
    /// Since when it is beyond the limit.
    pub since_ms: i64,
    /// When it counts.
    pub due_ms: i64,
    /// The value.
    pub value: Option<f64>,
    /// Why there are no samples at present.
    pub unknown: Option<Arc<str>>,
}

/// Everything that waits.
#[derive(Debug, Default)]
pub(super) struct Waiting(BTreeMap<Key, Pending>);

impl Waiting {
    /// Everything that waits.
    pub(super) fn all(&self) -> &BTreeMap<Key, Pending> {
        &self.0
    }

    /// Takes a transition; what has changed by it.
    pub(super) fn take(&mut self, told: &Transition) -> Option<Key> {
        let key = &told.key;
        match told.level {
            Level::Pending { severity, since_ms, due_ms } if told.withdrawn.is_none() => {
                let pending = Pending {
                    key: key.clone(),
                    subject: told.subject.clone(),
                    severity,
                    since_ms,
                    due_ms,
                    value: told.value,
                    unknown: told.unknown.clone(),
                };
                self.0.insert(key.clone(), pending);
                Some(key.clone())
            }
            _ => self.0.remove(key).map(|_| key.clone()),
        }
    }

    /// Forgets what is `gone`; which that was.
    pub(super) fn forget(&mut self, gone: impl Fn(&Key) -> bool) -> Vec<Key> {
        let forgotten: Vec<Key> = self.0.keys().filter(|key| gone(key)).cloned().collect();
        self.0.retain(|key, _| !gone(key));
        forgotten
    }
}
