//! Reads `[[rule]]`.

use std::{collections::HashSet, time::Duration};

use toml::de::DeValue;

use super::{Limit, NoData, OwnLimit, RuleConfig, Take, limit::hold, summary::summary};
use crate::config::{
    Pattern, Selector, address,
    metric::{Range, metric_name, plain_metric_name},
    section::Section,
    value,
};

/// Longest window of `take`; a detector keeps the samples of one.
const OVER_MAX: Duration = Duration::from_secs(24 * 60 * 60);
const OVER_MIN: Duration = Duration::from_secs(1);

impl RuleConfig {
    /// The rules in force: those of `built_in` that the file neither replaces nor switches off, in
    /// their order, then the file's own.
    pub(in crate::config) fn read_all(file: &mut Section<'_>, built_in: &[Self]) -> Vec<Self> {
        let mut names = HashSet::new();
        let given = file.tables("rule", |section| Self::read(section, &mut names, built_in));
        let mut rules = built_in.to_vec();
        for (enabled, rule) in given {
            match rules.iter_mut().find(|known| known.name == rule.name) {
                Some(place) if enabled => *place = rule,
                Some(_) => rules.retain(|known| known.name != rule.name),
                None if enabled => rules.push(rule),
                None => {}
            }
        }
        rules
    }

    /// A rule, and whether it is enabled.
    fn read(
        section: &mut Section<'_>,
        names: &mut HashSet<String>,
        built_in: &[Self],
    ) -> (bool, Self) {
        let name = section.value("name", value::name).unwrap_or_default();
        if !section.has("name") {
            section.refuse("name", "is missing, every rule needs one");
        } else if !name.is_empty() && !names.insert(name.clone()) {
            section.refuse("name", format!("is `{name}`, as another rule's"));
        }
        let enabled = section.value("enabled", value::switch).unwrap_or(true);
        let replaces = built_in.iter().any(|known| known.name == name);
        // Its name is enough to switch off what is built in.
        let must_be_whole = enabled || !replaces;
        let metric = section.value("metric", metric_name).unwrap_or_default();
        if must_be_whole && !section.has("metric") {
            let whole = if replaces { "; a built-in rule is replaced as a whole" } else { "" };
            section.refuse("metric", format!("is missing, every rule needs one{whole}"));
        }
        let labels = section.entries("labels", label);
        let servers = section.list("servers", Selector::read).unwrap_or_default();
        let (take, over) = window(section);
        let (warning, critical) = limits(section, &metric, must_be_whole);
        let rule = Self {
            name,
            metric,
            labels: labels.into_iter().collect(),
            servers,
            take,
            over,
            warning,
            critical,
            clear_for: section.value("clear_for", hold).unwrap_or_default(),
            no_data: section.value("no_data", no_data).unwrap_or_default(),
            summary: section.value("summary", summary),
            runbook: section.value("runbook", address::link),
        };
        (enabled, rule)
    }
}

fn window(section: &mut Section<'_>) -> (Take, Duration) {
    let take = section.value("take", take);
    let over = section.value("over", |value| value::duration(value, OVER_MIN, OVER_MAX));
    match take.or((!section.has("take")).then_some(Take::Last)) {
        Some(Take::Last) if section.has("over") => {
            section.refuse("over", "has no use with take = \"last\"; take mean, min or max");
            (Take::Last, Duration::ZERO)
        }
        Some(take) if take != Take::Last && !section.has("over") => {
            section.refuse("over", "is missing: the time that `take` looks back over");
            (take, Duration::ZERO)
        }
        take => (take.unwrap_or_default(), over.unwrap_or_default()),
    }
}

fn limits(
    section: &mut Section<'_>,
    metric: &str,
    must_be_whole: bool,
) -> (Option<Limit>, Option<Limit>) {
    let range = Range::of(metric);
    let mut limit = |key| {
        if section.has(key) && !section.has_table(key) {
            return section.value(key, not_a_limit);
        }
        let read = section.optional(key, |section| OwnLimit::read(section, range)).flatten();
        read.map(|own| own.or_hold(Duration::ZERO))
    };
    let (warning, critical) = (limit("warning"), limit("critical"));
    if must_be_whole && !section.has("warning") && !section.has("critical") {
        section.refuse_whole("has no limit, needs `warning` or `critical`");
    }
    if let (Some(warning), Some(critical)) = (&warning, &critical)
        && let Some(reason) = warning.contradiction(critical)
    {
        section.refuse("critical", reason);
    }
    (warning, critical)
}

fn not_a_limit(value: &DeValue<'_>) -> Result<Limit, String> {
    Err(format!("must be a table such as {{ above = 0.8 }}, not {}", value::a_type(value)))
}

fn label(name: &str, value: &DeValue<'_>) -> Result<Pattern, String> {
    plain_metric_name(name)?;
    value::text(value).map(Pattern::new)
}

fn take(value: &DeValue<'_>) -> Result<Take, String> {
    use Take::{Last, Max, Mean, Min};
    value::choice(value, &[("last", Last), ("mean", Mean), ("min", Min), ("max", Max)])
}

fn no_data(value: &DeValue<'_>) -> Result<NoData, String> {
    use NoData::{Alert, Clear, Keep};
    value::choice(value, &[("keep", Keep), ("alert", Alert), ("clear", Clear)])
}
