//! `[ingest]`

use toml::de::DeValue;

use super::{section::Section, value};

/// How much each token may write.
#[derive(Debug, Clone, PartialEq)]
pub struct IngestConfig {
    /// Servers of one token.
    pub max_servers: usize,
    /// Series of one server.
    pub max_series_per_server: usize,
    /// Series of one token.
    pub max_series: usize,
    /// Labels of one series, its name among them.
    pub max_labels: usize,
    /// Samples a second of one token; ten seconds' worth may come at once.
    pub max_samples_per_second: u64,
}

impl Default for IngestConfig {
    fn default() -> Self {
        Self {
            max_servers: 10_000,
            max_series_per_server: 20_000,
            max_series: 1_000_000,
            max_labels: 64,
            max_samples_per_second: 1_000_000,
        }
    }
}

impl IngestConfig {
    pub(super) fn read(section: &mut Section<'_>) -> Self {
        let default = Self::default();
        let mut read = |key, most: usize, default: usize| {
            section.value(key, |value| count(value, most)).unwrap_or(default)
        };
        Self {
            max_servers: read("max_servers", 1_000_000, default.max_servers),
            max_series_per_server: read(
                "max_series_per_server",
                10_000_000,
                default.max_series_per_server,
            ),
            max_series: read("max_series", 100_000_000, default.max_series),
            max_labels: read("max_labels", 1000, default.max_labels),
            max_samples_per_second: section
                .value("max_samples_per_second", |value| count(value, 1_000_000_000))
                .map_or(default.max_samples_per_second, |rate| rate as u64),
        }
    }
}

fn count(value: &DeValue<'_>, most: usize) -> Result<usize, String> {
    let number = value::number(value)?;
    let count = Some(number as usize).filter(|&count| (1..=most).contains(&count));
    let count = count.filter(|&count| count as f64 == number);
    count.ok_or_else(|| format!("is {number}, must be a whole number from 1 to {most}"))
}
