//! What a series of a page is called here: the page's name and labels, those of the target, and what rules make of them.

use std::collections::BTreeMap;

use super::line::SeriesText;
use crate::{
    config::{Pattern, Relabel, ScrapeConfig, SeriesPattern},
    series::Labels,
};

/// Labels that every series of a target gets, and the rules for it.
#[derive(Debug)]
pub(super) struct Naming {
    /// Of the target; a page that has one of these keeps it as `exported_…`.
    target: BTreeMap<String, String>,
    rules: Vec<Relabel>,
}

/// A series as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Identity {
    pub(super) metric: String,
    pub(super) labels: Labels,
}

/// Labels that say whose a series is; they are not its own.
const WHOSE: [&str; 2] = ["server", "collector"];
/// Longest name of a metric or a label, and longest value of a label.
const NAME_MAX: usize = 256;
const VALUE_MAX: usize = 4096;

impl Naming {
    pub(super) fn new(config: &ScrapeConfig) -> Self {
        // As Prometheus names them, so that what is forwarded is found where it would be.
        let mut target: BTreeMap<_, _> = [
            ("instance".to_owned(), authority(&config.url)),
            ("job".to_owned(), config.name.clone()),
        ]
        .into();
        target.extend(config.labels.clone());
        Self { target, rules: config.relabel.clone() }
    }

    /// What `series` is called; `None` where a rule drops it, and in words why it is not taken at all.
    pub(super) fn identity(
        &self,
        series: SeriesText<'_>,
    ) -> Result<Option<Identity>, &'static str> {
        let mut labels = self.target.clone();
        for (name, value) in series.labels() {
            labels.insert(self.own(name, &series), value.into_owned());
        }
        let mut metric = series.name.to_owned();
        if !self.rules.iter().all(|rule| apply(rule, &mut metric, &mut labels)) {
            return Ok(None);
        }
        // As in Prometheus, a label without a value is none.
        labels.retain(|_, value| !value.is_empty());
        if metric.len() > NAME_MAX || labels.keys().any(|name| name.len() > NAME_MAX) {
            return Err("a name is longer than 256 bytes");
        }
        if labels.values().any(|value| value.len() > VALUE_MAX) {
            return Err("a label is longer than 4096 bytes");
        }
        Ok(Some(Identity { metric, labels: Labels::new(labels) }))
    }

    /// A series of the target that stands on no page.
    pub(super) fn own_series(&self, metric: &str, label: Option<(&str, &str)>) -> Identity {
        let own = label.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let labels = Labels::new(self.target.clone().into_iter().chain(own));
        Identity { metric: metric.to_owned(), labels }
    }

    /// Whether no rule drops anything.
    pub(super) fn takes_all(&self) -> bool {
        !self.rules.iter().any(|rule| matches!(rule, Relabel::Keep(_) | Relabel::Drop(_)))
    }

    /// What the label `name` of a page is called beside those of its target.
    fn own(&self, name: &str, series: &SeriesText<'_>) -> String {
        let mut own = name.to_owned();
        let is_taken = |name: &str| WHOSE.contains(&name) || self.target.contains_key(name);
        if !is_taken(name) {
            return own;
        }
        while is_taken(&own) || series.labels().any(|(other, _)| other == own) {
            own.insert_str(0, "exported_");
        }
        own
    }
}

/// Whether the series is still taken.
fn apply(rule: &Relabel, metric: &mut String, labels: &mut BTreeMap<String, String>) -> bool {
    let fits = |pattern: &SeriesPattern, metric: &str| {
        pattern.fits(metric, |name| labels.get(name).map(String::as_str))
    };
    match rule {
        Relabel::Keep(pattern) => return fits(pattern, metric),
        Relabel::Drop(pattern) => return !fits(pattern, metric),
        Relabel::RenameMetric { from, to } => {
            if let Some(renamed) = from.rename(metric, to) {
                *metric = renamed;
            }
        }
        Relabel::RenameLabel { metrics, label, to } => {
            if Pattern::choose(metrics, metric)
                && let Some(value) = labels.remove(label)
            {
                labels.insert(to.clone(), value);
            }
        }
        Relabel::Set { metrics, label, to } => {
            if Pattern::choose(metrics, metric) {
                labels.insert(label.clone(), to.clone());
            }
        }
        Relabel::Remove { metrics, label } => {
            if Pattern::choose(metrics, metric) {
                labels.remove(label);
            }
        }
    }
    true
}

/// Host and port of a URL, the port always.
fn authority(url: &str) -> String {
    let Ok(url) = reqwest::Url::parse(url) else { return String::new() };
    let host = url.host_str().unwrap_or_default();
    url.port_or_known_default().map_or(host.to_owned(), |port| format!("{host}:{port}"))
}
