//! `relabel` of a `[[scrape]]`: which series of a page are taken, and what they are called.

use toml::de::DeValue;

use super::{
    Pattern,
    metric::metric_name,
    scrape::{label_name, label_value},
    section::Section,
    value,
};

/// One rule; they hold in their order, each for what those before it have made.
#[derive(Debug, Clone, PartialEq)]
pub enum Relabel {
    /// What it does not fit is not taken.
    Keep(SeriesPattern),
    /// What it fits is not taken.
    Drop(SeriesPattern),
    /// The metric gets another name.
    RenameMetric {
        /// What it was called.
        from: Wildcard,
        /// What it is called from here on.
        to: Wildcard,
    },
    /// The label gets another name; one that had it before is lost.
    RenameLabel {
        /// Metrics it holds for; empty means all.
        metrics: Vec<Pattern>,
        /// What it was called.
        label: String,
        /// What it is called from here on.
        to: String,
    },
    /// The label gets this value, whether it was there or not.
    Set {
        /// Metrics it holds for; empty means all.
        metrics: Vec<Pattern>,
        /// The label.
        label: String,
        /// Its value.
        to: String,
    },
    /// The label is taken away.
    Remove {
        /// Metrics it holds for; empty means all.
        metrics: Vec<Pattern>,
        /// The label.
        label: String,
    },
}

/// Which series are meant.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SeriesPattern {
    /// What the metric may be called; empty means all.
    pub metrics: Vec<Pattern>,
    /// A label, and what its value may be; empty means that there is one.
    pub label: Option<(String, Vec<Pattern>)>,
}

/// A name with at most one `*`, which stands for the same in the old and the new name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wildcard {
    before: String,
    /// What is behind the `*`; none where there is none.
    after: Option<String>,
}

impl SeriesPattern {
    /// Whether a series of this metric is meant; `label` gives the values of its labels.
    pub fn fits<'l>(&self, metric: &str, label: impl FnOnce(&str) -> Option<&'l str>) -> bool {
        Pattern::choose(&self.metrics, metric)
            && self.label.as_ref().is_none_or(|(name, values)| {
                // As in Prometheus, a label that is not there is an empty one.
                let value = label(name).unwrap_or_default();
                if values.is_empty() { !value.is_empty() } else { Pattern::choose(values, value) }
            })
    }
}

impl Wildcard {
    /// The name that is written so.
    pub fn new(text: &str) -> Self {
        match text.split_once('*') {
            Some((before, after)) => Self { before: before.into(), after: Some(after.into()) },
            None => Self { before: text.into(), after: None },
        }
    }

    /// What `name` is called once what fits `self` is called as `to` says; none if it does not fit.
    pub fn rename(&self, name: &str, to: &Self) -> Option<String> {
        let middle = match &self.after {
            None => Some("").filter(|_| name == self.before),
            Some(after) => name.strip_prefix(&*self.before)?.strip_suffix(&**after),
        }?;
        Some(match &to.after {
            None => to.before.clone(),
            Some(after) => format!("{}{middle}{after}", to.before),
        })
    }
}

const ACTIONS: [(&str, Action); 5] = [
    ("keep", Action::Keep),
    ("drop", Action::Drop),
    ("rename", Action::Rename),
    ("set", Action::Set),
    ("remove", Action::Remove),
];

#[derive(Debug, Clone, Copy)]
enum Action {
    Keep,
    Drop,
    Rename,
    Set,
    Remove,
}

impl Relabel {
    pub(super) fn read_all(section: &mut Section<'_>) -> Vec<Self> {
        section.tables("relabel", Self::read).into_iter().flatten().collect()
    }

    /// `None` where something is wrong with it.
    fn read(section: &mut Section<'_>) -> Option<Self> {
        if !section.has("action") {
            section.refuse("action", "is missing: keep, drop, rename, set or remove");
        }
        let action = section.value("action", |value| value::choice(value, &ACTIONS));
        match action {
            Some(Action::Keep) => SeriesPattern::read(section).map(Self::Keep),
            Some(Action::Drop) => SeriesPattern::read(section).map(Self::Drop),
            Some(Action::Rename) if !section.has("label") => Self::read_rename_metric(section),
            Some(Action::Rename) => {
                let (metrics, label) = Self::read_target(section);
                needs(section, "to");
                let to = section.value("to", |value| label_name(value::text(value)?));
                Some(Self::RenameLabel { metrics, label: label?, to: to? })
            }
            Some(Action::Set) => {
                let (metrics, label) = Self::read_target(section);
                needs(section, "to");
                let to = section.value("to", label_value);
                Some(Self::Set { metrics, label: label?, to: to? })
            }
            Some(Action::Remove) => {
                let (metrics, label) = Self::read_target(section);
                Some(Self::Remove { metrics, label: label? })
            }
            // What else is given is judged by what is to be done, which nobody knows.
            None => {
                for key in ["metric", "label", "value", "to"] {
                    section.value(key, |_| Ok(()));
                }
                None
            }
        }
    }

    fn read_rename_metric(section: &mut Section<'_>) -> Option<Self> {
        if !section.has("metric") {
            section.refuse("metric", "is missing: the metric, or a `label`, that is renamed");
        }
        needs(section, "to");
        let from = section.value("metric", wildcard);
        let to = section.value("to", wildcard);
        let (from, to) = (from?, to?);
        if from.after.is_none() && to.after.is_some() {
            section.refuse("to", "has a `*`, and `metric` has none that it could stand for");
            return None;
        }
        Some(Self::RenameMetric { from, to })
    }

    /// The metrics that a rule about a label holds for, and the label.
    fn read_target(section: &mut Section<'_>) -> (Vec<Pattern>, Option<String>) {
        needs(section, "label");
        let metrics = section.value("metric", patterns).unwrap_or_default();
        (metrics, section.value("label", |value| label_name(value::text(value)?)))
    }
}

impl SeriesPattern {
    fn read(section: &mut Section<'_>) -> Option<Self> {
        if !section.has("metric") && !section.has("label") {
            section.refuse("metric", "is missing: a metric, or a `label` with its `value`");
        }
        let metrics = section.value("metric", patterns);
        let label = section.value("label", metric_name);
        let values = section.value("value", patterns);
        if section.has("value") && !section.has("label") {
            section.refuse("label", "is missing: `value` needs the label whose value it is");
        }
        let (needed, given) = (
            [section.has("metric"), section.has("label"), section.has("value")],
            [metrics.is_some(), label.is_some(), values.is_some()],
        );
        let label = label.map(|label| (label, values.unwrap_or_default()));
        (needed == given).then(|| Self { metrics: metrics.unwrap_or_default(), label })
    }
}

fn needs(section: &mut Section<'_>, key: &'static str) {
    if !section.has(key) {
        let what = if key == "to" { "what becomes of it" } else { "the label" };
        section.refuse(key, format!("is missing: {what}"));
    }
}

/// One pattern, or several.
fn patterns(value: &DeValue<'_>) -> Result<Vec<Pattern>, String> {
    match value {
        DeValue::Array(several) if several.is_empty() => Err("is empty".into()),
        DeValue::Array(several) => {
            several.iter().map(|value| value::text(value.get_ref()).map(Pattern::new)).collect()
        }
        one => value::text(one).map(|text| vec![Pattern::new(text)]),
    }
}

fn wildcard(value: &DeValue<'_>) -> Result<Wildcard, String> {
    let text = value::text(value)?;
    let fits = |c: char| c.is_ascii_alphanumeric() || "_:*".contains(c);
    let begins_well = !text.starts_with(|c: char| c.is_ascii_digit());
    if text.is_empty() || !begins_well || !text.chars().all(fits) || text.matches('*').count() > 1 {
        return Err(format!(
            "is `{}`, must be a metric's name, with at most one `*` in it",
            text.escape_debug()
        ));
    }
    Ok(Wildcard::new(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_the_same_in_both_names() {
        let rename = |from, name, to| Wildcard::new(from).rename(name, &Wildcard::new(to));
        assert_eq!(rename("node_*", "node_load1", "host_*").as_deref(), Some("host_load1"));
        assert_eq!(rename("*_sum", "a_sum", "*_all").as_deref(), Some("a_all"));
        assert_eq!(rename("a*a", "a", "b"), None, "what is before and behind does not overlap");
        assert_eq!(rename("node_load1", "node_load1", "load1").as_deref(), Some("load1"));
        assert_eq!(rename("node_load1", "node_load15", "load1"), None);
        assert_eq!(rename("node_load*", "node_load15", "load").as_deref(), Some("load"));
    }

    #[test]
    fn a_series_is_meant_by_metric_and_by_label() {
        let pattern = |metrics: &[&str], label: Option<(&str, &[&str])>| SeriesPattern {
            metrics: metrics.iter().map(|text| Pattern::new(text)).collect(),
            label: label.map(|(name, values)| {
                (name.to_owned(), values.iter().map(|text| Pattern::new(text)).collect())
            }),
        };
        let fits = |pattern: &SeriesPattern, device: Option<&'static str>| {
            pattern.fits("node_disk_info", |name| device.filter(|_| name == "device"))
        };
        assert!(fits(&pattern(&["go_*", "node_*"], None), None));
        assert!(!fits(&pattern(&["*", "!node_*"], None), None));
        let veth = pattern(&[], Some(("device", &["veth*"])));
        assert!(fits(&veth, Some("veth0")) && !fits(&veth, Some("eth0")) && !fits(&veth, None));
        let any = pattern(&["node_*"], Some(("device", &[])));
        assert!(fits(&any, Some("x")) && !fits(&any, None), "there must be one");
        let none = pattern(&[], Some(("device", &[""])));
        assert!(fits(&none, None) && !fits(&none, Some("x")), "an empty one is one that is not");
    }
}
