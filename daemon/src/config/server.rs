//! `[[server]]` and `[[server.collector]]`

use std::{collections::BTreeMap, time::Duration};

/// One monitored machine.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ServerConfig {
    /// Its name, unique among servers.
    pub name: String,
    /// What it is, for grouping and filters.
    pub tags: BTreeMap<String, String>,
    /// What is read there. Empty means every bundled collector that applies.
    pub collectors: Vec<CollectorConfig>,
}

/// One collector of a server: a plugin with its settings.
#[derive(Debug, Clone, PartialEq)]
pub struct CollectorConfig {
    /// Its name, unique within the server; the plugin's name unless given.
    pub name: String,
    /// Id or name of the plugin, as its manifest gives them.
    pub plugin: String,
    /// Time between two readings; `collect.interval`, or the plugin's own, unless given.
    pub interval: Option<Duration>,
    /// The plugin's own settings, judged by the schema in its manifest.
    pub config: serde_json::Map<String, serde_json::Value>,
}
