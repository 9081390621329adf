//! Metrics that rules and thresholds name, judged by what plugins give.
//!
//! The configuration knows no plugin. Whoever has their manifests brings the
//! names, and gets problems with their lines.

use std::collections::BTreeSet;

use toml::de::DeTable;

use super::built_in_rules;
use crate::config::{
    COLLECTOR_STATE, Config, Problem, SERVER_STATE, nearest,
    section::{element, line_of},
};

impl Config {
    /// What rules and thresholds judge that is written almost like a metric that there is: one of the `known`
    /// metrics of plugins, or one that the daemon or a built-in rule knows. What is like none of them may come from
    /// elsewhere, by a scrape or a push. `text` is what this configuration was parsed from, which problems call
    /// `file`.
    ///
    /// Where a plugin could not be found, what it gives is not known either; then this must not be asked.
    pub fn judge_metrics(&self, text: &str, file: &str, known: &BTreeSet<String>) -> Vec<Problem> {
        let mut names: BTreeSet<&str> = known.iter().map(String::as_str).collect();
        names.extend([COLLECTOR_STATE, SERVER_STATE]);
        names.extend(built_in_rules().iter().map(|rule| rule.metric.as_str()));

        let (document, _) = DeTable::parse_recoverable(text);
        let document = document.get_ref();
        let mut problems = Vec::new();
        let mut judge = |table: Option<&DeTable<'_>>, key: &str, metric: &str, path: String| {
            if names.contains(metric) {
                return;
            }
            let Some(meant) = meant(metric, &names) else { return };
            let at = table.and_then(|table| table.get_key_value(key));
            let line = line_of(text, at.map_or(0, |(name, _)| name.span().start));
            let reason = format!("no plugin gives a metric `{metric}`; did you mean `{meant}`?");
            let file = file.to_owned();
            problems.push(Problem { file, line, key: path, reason });
        };
        for rule in &self.rules {
            let table = rule_table(document, &rule.name);
            judge(table, "metric", &rule.metric, "rule.metric".into());
        }
        for (at, server) in self.servers.iter().enumerate() {
            let thresholds = element(document, "server", at)
                .and_then(|server| server.get("thresholds")?.get_ref().as_table());
            for metric in server.thresholds.keys() {
                judge(thresholds, metric, metric, format!("server.thresholds.{metric}"));
            }
        }
        problems.sort();
        problems
    }
}

/// The table of the rule `name`. Rules that are switched off are not judged, so the place of a
/// rule in the configuration is not its place in the file.
fn rule_table<'t>(document: &'t DeTable<'t>, name: &str) -> Option<&'t DeTable<'t>> {
    let rules = document.get("rule")?.get_ref().as_array()?;
    let named =
        |rule: &&DeTable<'_>| rule.get("name").is_some_and(|n| n.get_ref().as_str() == Some(name));
    rules.iter().filter_map(|rule| rule.get_ref().as_table()).find(named)
}

fn meant<'a>(metric: &str, known: &BTreeSet<&'a str>) -> Option<&'a str> {
    // Who forgets an ending is further away than the nearest word may be.
    let longer = || known.iter().copied().find(|name| name.starts_with(metric));
    nearest(metric, known.iter().copied()).or_else(longer)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed test should stop")]
    use super::*;

    #[test]
    fn a_metric_that_is_written_almost_like_one_is_named_with_its_line() {
        let text = "\
[[rule]]
name = 'off'
enabled = false
metric = 'nothing'
warning = { above = 1 }
[[rule]]
name = 'typo'
metric = 'swap_usage_rato'
warning = { above = 0.5 }
[[rule]]
name = 'fine'
metric = 'swap_usage_ratio'
warning = { above = 0.5 }
[[rule]]
name = 'ours'
metric = 'bartizan_server_state'
warning = { below = 1 }
[[server]]
name = 'a'
[[server]]
name = 'b'
[server.thresholds]
disk_usage_ratio = { warning = 0.8 }
swap_usage = { warning = 0.8 }
queue_length = { warning = 80 }
";
        let config = Config::parse(text, "b.toml").unwrap();
        let known = ["swap_usage_ratio".to_owned()].into();
        let said: Vec<String> = config
            .judge_metrics(text, "b.toml", &known)
            .iter()
            .map(|problem| problem.to_string())
            .collect();
        assert_eq!(
            said,
            [
                "b.toml:8: rule.metric: no plugin gives a metric `swap_usage_rato`; did you mean `swap_usage_ratio`?",
                "b.toml:24: server.thresholds.swap_usage: no plugin gives a metric `swap_usage`; did you mean `swap_usage_ratio`?",
            ]
        );
        assert_eq!(Config::default().judge_metrics("", "b.toml", &BTreeSet::new()), []);
    }
}
