//! `[[server]]` and `[[server.collector]]`

use std::{
    collections::{BTreeMap, HashSet},
    time::Duration,
};

use toml::de::DeValue;

use super::{RuleConfig, Thresholds, collect::interval, section::Section, value};

/// One monitored machine.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ServerConfig {
    /// Its name, unique among servers.
    pub name: String,
    /// What it is, for grouping and filters.
    pub tags: BTreeMap<String, String>,
    /// What is read there. Empty means every bundled collector that applies, unless it is remote.
    pub collectors: Vec<CollectorConfig>,
    /// Whether nothing is read there by plugins: its samples come from elsewhere.
    pub remote: bool,
    /// Its own limits, by metric.
    pub thresholds: BTreeMap<String, Thresholds>,
}

/// One collector of a server: a plugin with its settings.
#[derive(Debug, Clone, PartialEq)]
pub struct CollectorConfig {
    /// Its name, unique within the server; the plugin's name unless given.
    pub name: String,
    /// Id or name of the plugin, as its manifest gives them.
    pub plugin: String,
    /// Time between two readings. Unless given, `collect.interval`, or the plugin's
    /// own if that is longer and the plugin is not a bundled one.
    pub interval: Option<Duration>,
    /// The plugin's own settings, judged by the schema in its manifest.
    pub config: serde_json::Map<String, serde_json::Value>,
}

impl ServerConfig {
    /// Reads the servers, each with limits over those of `rules`.
    pub(super) fn read_all(file: &mut Section<'_>, rules: &[RuleConfig]) -> Vec<Self> {
        let mut names = HashSet::new();
        file.tables("server", |section| Self::read(section, &mut names, rules))
    }

    fn read(section: &mut Section<'_>, names: &mut HashSet<String>, rules: &[RuleConfig]) -> Self {
        let name = section.value("name", value::server_name).unwrap_or_default();
        if !section.has("name") {
            section.refuse("name", "is missing, every server needs one");
        } else if !name.is_empty() && !names.insert(name.clone()) {
            section.refuse("name", format!("is `{name}`, as another server's"));
        }
        let mut collectors = HashSet::new();
        let mut server = Self {
            name,
            tags: section.entries("tags", tag),
            collectors: section
                .tables("collector", |section| CollectorConfig::read(section, &mut collectors)),
            remote: section.value("remote", value::switch).unwrap_or_default(),
            thresholds: BTreeMap::new(),
        };
        if server.remote && !server.collectors.is_empty() {
            section.refuse("remote", "is true, but plugins read this machine alone: leave out its collectors, or `remote`");
        }
        // Which rules hold depends on the name and the tags.
        let held: Vec<&RuleConfig> = rules.iter().filter(|rule| rule.holds_for(&server)).collect();
        server.thresholds = Thresholds::read_all(section, &held);
        server
    }
}

impl CollectorConfig {
    fn read(section: &mut Section<'_>, names: &mut HashSet<String>) -> Self {
        let plugin = section.value("plugin", value::name).unwrap_or_default();
        if !section.has("plugin") {
            section.refuse("plugin", "is missing, every collector needs one");
        }
        let given = section.value("name", value::name);
        let last_part = plugin.rsplit('.').next().unwrap_or_default();
        let name = given.unwrap_or_else(|| last_part.to_owned());
        if !name.is_empty() && !names.insert(name.clone()) {
            section.refuse("name", format!("is `{name}`, as another collector's of this server"));
        }
        Self {
            name,
            plugin,
            interval: section.value("interval", interval),
            config: section.value("config", value::json_table).unwrap_or_default(),
        }
    }
}

/// A tag: its name may stand in a label, its value is for people.
fn tag(name: &str, value: &DeValue<'_>) -> Result<String, String> {
    const LENGTH_MAX: usize = 256;
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if !name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') || !name.chars().all(fits) {
        return Err(
            "a tag's name must be letters, digits and `_`, and not begin with a digit".into()
        );
    }
    let text = value::text(value)?;
    if text.len() > LENGTH_MAX || text.contains(char::is_control) {
        let rule = "and no control characters";
        return Err(format!("must have at most {LENGTH_MAX} bytes {rule}"));
    }
    Ok(text.into())
}
