//! What the plugins that are found say about a configuration: settings, and names of metrics.

use std::collections::BTreeSet;

use super::{PluginCatalog, PluginFolder};
use crate::{
    config::{CollectorConfig, Config, Problem},
    manifest::validate,
};

impl PluginCatalog {
    /// The plugins that a daemon with this configuration finds. Blocks: it reads every file that is a plugin.
    pub fn of(config: &Config) -> Self {
        Self::scan(&PluginFolder::of(config))
    }

    /// What is wrong with the settings of collectors, by the schemas of their plugins; nothing where a plugin
    /// is not found. `text` is what `config` was parsed from, which problems call `file`.
    pub fn judge_settings(&self, config: &Config, text: &str, file: &str) -> Vec<Problem> {
        config.judge_settings(text, file, |collector| self.judge(collector))
    }

    /// Rules and thresholds about metrics that nobody gives, as [`judge_settings`](Self::judge_settings) says it.
    /// Nothing where a plugin that is configured is not found: nobody knows then what it would give.
    pub fn judge_metrics(&self, config: &Config, text: &str, file: &str) -> Vec<Problem> {
        let mut collectors = config.servers.iter().flat_map(|server| &server.collectors);
        if collectors.any(|collector| self.find(&collector.plugin).is_none()) {
            return Vec::new();
        }
        let metrics = self.found.iter().flat_map(|plugin| &plugin.manifest.metrics);
        let known: BTreeSet<String> = metrics.map(|metric| metric.name.to_string()).collect();
        config.judge_metrics(text, file, &known)
    }

    fn judge(&self, collector: &CollectorConfig) -> Vec<(String, String)> {
        let Some(plugin) = self.find(&collector.plugin) else { return Vec::new() };
        let judged = validate(&plugin.manifest.config_schema, &collector.config);
        let problems = judged.err().unwrap_or_default();
        problems.into_iter().map(|problem| (problem.key, problem.text)).collect()
    }
}
