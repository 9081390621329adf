//! What is remembered of a server from before: the levels its detectors had reached.

use std::collections::BTreeMap;

use super::{Key, Memory, Subject, Transition};
use crate::{config::RuleConfig, series::Series};

/// What is remembered of one server.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Recall {
    /// What detectors remembered, and what it is about.
    pub memories: BTreeMap<Key, (Memory, Subject)>,
    /// When the server was last seen, if the daemon has not been running since.
    pub absent_since_ms: Option<i64>,
}

impl Recall {
    /// What `rule` remembered of a series; it is then forgotten here. What a rule of the same name remembered of
    /// another metric says nothing of this one.
    pub(super) fn take(&mut self, rule: &RuleConfig, series: &Series) -> Option<Memory> {
        let key = key_of(rule, series);
        self.memories.get(&key).filter(|(_, subject)| subject.metric == series.metric)?;
        self.memories.remove(&key).map(|(memory, _)| memory)
    }

    /// Whether any of `rules` remembers something of a series.
    pub(super) fn remembers(&self, rules: &[std::sync::Arc<RuleConfig>], series: &Series) -> bool {
        let remembered = |key: &Key| self.memories.get(key).map(|(_, subject)| &subject.metric);
        rules.iter().any(|rule| remembered(&key_of(rule, series)) == Some(&series.metric))
    }

    /// What nobody took: its rule, its collector or its series is no longer there, or its rule has another metric.
    pub(super) fn withdraw_rest(&mut self, now_ms: i64) -> Vec<Transition> {
        let rest = std::mem::take(&mut self.memories).into_iter();
        let withdrawn = rest.flat_map(|(key, (memory, subject))| {
            let absence = memory.missed.then(|| Key { absence: true, ..key.clone() });
            absence.into_iter().chain([key]).map(move |key| {
                let why = "its rule or its collector was removed";
                Transition::withdrawal(key, subject.clone(), now_ms, why)
            })
        });
        withdrawn.collect()
    }
}

/// What is judged by `rule` over `series`.
pub(super) fn key_of(rule: &RuleConfig, series: &Series) -> Key {
    Key {
        server: series.server.clone(),
        rule: rule.name.as_str().into(),
        labels: series.labels.clone(),
        absence: false,
    }
}
