//! `[collect]`

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use toml::de::DeValue;

use super::{section::Section, value};

/// How often collectors read, and where plugins are looked for.
#[derive(Debug, Clone, PartialEq)]
pub struct CollectConfig {
    /// Time between two readings of every collector that does not say otherwise.
    pub interval: Duration,
    /// Folders of plugin files, searched after `--plugins`.
    pub plugins: Vec<PathBuf>,
}

impl Default for CollectConfig {
    fn default() -> Self {
        Self { interval: Duration::from_secs(1), plugins: Vec::new() }
    }
}

impl CollectConfig {
    /// Shortest interval worth the cost of reading.
    pub const INTERVAL_MIN: Duration = Duration::from_millis(100);

    /// Longest interval after which a silence still says something.
    pub const INTERVAL_MAX: Duration = Duration::from_secs(60 * 60);

    pub(super) fn read(section: &mut Section<'_>) -> Self {
        let default = Self::default();
        Self {
            interval: section.value("interval", interval).unwrap_or(default.interval),
            plugins: section.list("plugins", folder).unwrap_or(default.plugins),
        }
    }
}

/// Time between two readings.
pub(super) fn interval(value: &DeValue<'_>) -> Result<Duration, String> {
    value::duration(value, CollectConfig::INTERVAL_MIN, CollectConfig::INTERVAL_MAX)
}

fn folder(value: &DeValue<'_>) -> Result<PathBuf, String> {
    let folder = Path::new(value::text(value)?);
    if folder.is_dir() {
        return Ok(folder.into());
    }
    Err(format!("is `{}`, and there is no such folder", folder.display()))
}
