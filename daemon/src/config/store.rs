//! `[store]`

use std::{path::PathBuf, time::Duration};

use toml::de::DeValue;

use super::{section::Section, value};

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

/// Age at which samples, and what they come to, are deleted.
#[derive(Debug, Clone, PartialEq)]
pub struct Retention {
    /// Samples as they were read.
    pub raw: Duration,
    /// What they come to by the minute.
    pub minute: Duration,
    /// What they come to by the hour.
    pub hour: Duration,
}

impl Default for Retention {
    fn default() -> Self {
        let days = |days: u64| Duration::from_secs(days * 24 * 60 * 60);
        // A year is that of the Julian calendar, as durations are written.
        let hour = Duration::from_secs(5 * 31_557_600);
        Self { raw: days(7), minute: days(90), hour }
    }
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self { path: None, max_bytes: 4 << 30, retention: Retention::default() }
    }
}

impl StoreConfig {
    /// Below this, log, index and one day of a single machine do not fit.
    pub const MAX_BYTES_MIN: u64 = 64 << 20;

    pub(super) fn read(section: &mut Section<'_>) -> Self {
        let default = Self::default();
        Self {
            path: section.value("path", folder),
            max_bytes: section
                .value("max_bytes", |value| value::size(value, Self::MAX_BYTES_MIN))
                .unwrap_or(default.max_bytes),
            retention: section.table("retention", |section| Retention {
                raw: section.value("raw", age).unwrap_or(default.retention.raw),
                minute: section.value("minute", age).unwrap_or(default.retention.minute),
                hour: section.value("hour", age).unwrap_or(default.retention.hour),
            }),
        }
    }
}

fn folder(value: &DeValue<'_>) -> Result<PathBuf, String> {
    match value::text(value)? {
        "" => Err("is empty, must be a folder".into()),
        folder => Ok(folder.into()),
    }
}

fn age(value: &DeValue<'_>) -> Result<Duration, String> {
    const HOUR: Duration = Duration::from_secs(60 * 60);
    const YEARS_100: Duration = Duration::from_secs(100 * 31_557_600);
    value::duration(value, HOUR, YEARS_100)
}
