//! The configuration: what the operator may choose, and what holds once it loads.
//!
//! ```text
//!  file ─toml─► table with spans ─Section─► Config, or every Problem at once
//!  command line ─Sources─┘                     (file, line, key, reason)
//! ```
//!
//! # Invariants
//!
//! - Every key has a default, so an empty file runs.
//! - Every unknown key is an error, so a typing mistake never passes for a default.
//! - All problems come in one answer, each with file, line, key and reason.
//! - A [`Config`] that [`Config::parse`] gave is valid: nothing downstream checks it again.
//! - `example.toml` names every key with its default; a test keeps it true.

mod collect;
mod http;
mod log;
mod places;
mod problem;
mod section;
mod server;
mod settings;
mod sources;
mod store;
#[cfg(test)]
mod tests;
mod value;

pub use collect::CollectConfig;
pub use http::HttpConfig;
pub use log::{LogConfig, LogFormat};
pub use places::PlaceError;
pub(crate) use problem::distance;
pub use problem::{ConfigError, Problem, nearest};
pub use server::{CollectorConfig, ServerConfig};
pub use sources::Sources;
pub use store::{Retention, StoreConfig};

use std::{fs, path::Path};

use section::{Reader, Section};

/// The whole configuration file.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Config {
    /// Where the page and the API are served, and to whom.
    pub http: HttpConfig,
    /// What is logged, and how.
    pub log: LogConfig,
    /// Where samples are kept, and for how long.
    pub store: StoreConfig,
    /// How often collectors read, and where plugins are looked for.
    pub collect: CollectConfig,
    /// Who is monitored. Empty means one: this machine.
    pub servers: Vec<ServerConfig>,
}

impl Config {
    /// Reads and judges the file at `path`; the default where there is none.
    pub fn load(path: Option<&Path>) -> Result<Self, ConfigError> {
        let Some(path) = path else { return Ok(Self::default()) };
        let text = fs::read_to_string(path)
            .map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
        Self::parse(&text, &path.display().to_string())
    }

    /// Parses and judges `text`; `file` is what problems call it.
    pub fn parse(text: &str, file: &str) -> Result<Self, ConfigError> {
        let (config, problems) = Self::judge(text, file);
        if problems.is_empty() { Ok(config) } else { Err(ConfigError::Invalid(problems)) }
    }

    /// What can be made of `text`, and all that is wrong with it. Only without
    /// problems is it a configuration to run with.
    pub(crate) fn judge(text: &str, file: &str) -> (Self, Vec<Problem>) {
        let mut reader = Reader::new(text, file);
        let config = reader.read(Self::read);
        (config, reader.problems())
    }

    fn read(file: &mut Section<'_>) -> Self {
        Self {
            http: file.table("http", HttpConfig::read),
            log: file.table("log", LogConfig::read),
            store: file.table("store", StoreConfig::read),
            collect: file.table("collect", CollectConfig::read),
            servers: ServerConfig::read_all(file),
        }
    }
}
