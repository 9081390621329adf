//! The configuration: what the operator may choose, and what holds once it loads.
//!
//! # Invariants
//!
//! - Every key has a default, so an empty file runs.
//! - Every unknown key is an error, so a typing mistake never passes for a default.
//! - All problems come in one answer, each with file, line, key and reason.
//! - A [`Config`] that exists is valid: nothing downstream checks it again.

mod collect;
mod http;
mod log;
mod server;
mod store;

pub use collect::CollectConfig;
pub use http::HttpConfig;
pub use log::{LogConfig, LogFormat};
pub use server::{CollectorConfig, ServerConfig};
pub use store::{Retention, StoreConfig};

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
