//! `[store]`

use std::{path::PathBuf, time::Duration};

/// Where samples are kept, and for how long.
#[derive(Debug, Clone, PartialEq)]
pub struct StoreConfig {
    /// The state folder, where neither `--state` nor the environment names one.
    pub path: Option<PathBuf>,
    /// Hard limit of the whole folder in bytes, log and index included.
    pub max_bytes: u64,
    /// Age at which samples are deleted.
    pub retention: Retention,
}

/// Age at which samples are deleted.
#[derive(Debug, Clone, PartialEq)]
pub struct Retention {
    /// Samples as they were read.
    pub raw: Duration,
}

impl Default for StoreConfig {
    fn default() -> Self {
        let raw = Duration::from_secs(7 * 24 * 60 * 60);
        Self { path: None, max_bytes: 4 << 30, retention: Retention { raw } }
    }
}
