//! `[collect]`

use std::{path::PathBuf, time::Duration};

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
