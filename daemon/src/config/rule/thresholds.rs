//! `server.thresholds`: limits of one server, over those of the rules.

use std::{collections::BTreeMap, time::Duration};

use super::{Limit, OwnLimit, RuleConfig, effective::put_over, limit::hold};
use crate::config::{
    Severity,
    metric::{Range, plain_metric_name},
    section::Section,
};

/// Limits of one server for one metric, over those of the rules about that metric.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Thresholds {
    /// In place of the rule's warning.
    pub warning: Option<OwnLimit>,
    /// In place of the rule's critical.
    pub critical: Option<OwnLimit>,
    /// In place of the rule's.
    pub clear_for: Option<Duration>,
}

impl Thresholds {
    /// The limit of a severity.
    pub fn limit(&self, severity: Severity) -> Option<&OwnLimit> {
        match severity {
            Severity::Warning => self.warning.as_ref(),
            Severity::Critical => self.critical.as_ref(),
        }
    }

    /// Reads the limits of a server that `rules` hold for, each under its metric.
    pub(in crate::config) fn read_all(
        server: &mut Section<'_>,
        rules: &[&RuleConfig],
    ) -> BTreeMap<String, Self> {
        let read = |metric: &str, section: &mut Section<'_>| {
            let own = Self::read(section, metric);
            own.judge(section, metric, rules);
            (metric.to_owned(), own)
        };
        server.named("thresholds", "{ warning = 0.8 }", read).into_iter().collect()
    }

    fn read(section: &mut Section<'_>, metric: &str) -> Self {
        if let Err(reason) = plain_metric_name(metric) {
            section.refuse_whole(reason);
        }
        let range = Range::of(metric);
        let mut read = |key| match section.has_table(key) {
            true => section.optional(key, |section| OwnLimit::read(section, range)).flatten(),
            false => section.value(key, |value| OwnLimit::number(value, range)),
        };
        let (mut warning, mut critical) = (read("warning"), read("critical"));
        let clear_for = section.value("clear_for", hold);
        if let Some(hold) = section.value("for", hold) {
            let limits = || [("warning", &warning), ("critical", &critical)].into_iter();
            let has_own = limits().all(|(key, own)| match own {
                Some(own) => own.hold.is_some(),
                // One that was refused may not have its own.
                None => !section.has(key),
            });
            if has_own && limits().any(|(_, own)| own.is_some()) {
                section.refuse("for", "counts for nothing: each limit has its own `for`");
            }
            for own in [&mut warning, &mut critical].into_iter().flatten() {
                own.hold.get_or_insert(hold);
            }
        }
        if !section.has("warning") && !section.has("critical") {
            section.refuse_whole("has no limit, needs `warning` or `critical`");
        }
        Self { warning, critical, clear_for }
    }

    /// Notes what contradicts itself, or one of the rules it stands over.
    fn judge(&self, section: &mut Section<'_>, metric: &str, rules: &[&RuleConfig]) {
        let about = rules.iter().filter(|rule| rule.metric == metric);
        let mut about: Vec<RuleConfig> = about.map(|rule| (*rule).clone()).collect();
        if about.is_empty() && rules.iter().any(|rule| rule.name == metric) {
            section.refuse_whole(format!(
                "would make a rule of its own, and the rule `{metric}` judges another metric; \
                 give that rule another name"
            ));
        }
        let given = |own: OwnLimit| own.or_hold(Duration::ZERO);
        let (key, ours, theirs) = match (self.warning.map(given), self.critical.map(given)) {
            (Some(warning), Some(critical)) => {
                if let Some(reason) = warning.contradiction(&critical) {
                    section.refuse("critical", reason);
                }
                return;
            }
            (Some(warning), None) => ("warning", warning, Severity::Critical),
            (None, Some(critical)) => ("critical", critical, Severity::Warning),
            (None, None) => return,
        };
        put_over(&mut about.iter_mut().collect::<Vec<_>>(), self);
        for rule in &about {
            if let (Some(warning), Some(critical)) = (rule.warning, rule.critical)
                && warning.contradiction(&critical).is_some()
            {
                section.refuse(key, beside(&ours, rule, theirs));
            }
        }
    }
}

fn beside(ours: &Limit, rule: &RuleConfig, severity: Severity) -> String {
    let theirs = rule.limit(severity).map(|limit| format!("{} {}", limit.side.name(), limit.at));
    format!(
        "is {} {}, which contradicts the {level} of the rule `{}`, {}; give `{level}` as well",
        ours.side.name(),
        ours.at,
        rule.name,
        theirs.unwrap_or_default(),
        level = severity.name()
    )
}
