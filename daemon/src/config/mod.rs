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

mod access;
mod address;
mod certificate;
mod channel;
mod collect;
mod contact;
mod fleet;
mod forward;
mod history;
mod http;
mod ingest;
mod log;
mod metric;
mod pattern;
mod places;
mod problem;
mod relabel;
mod route;
mod rule;
mod scrape;
mod secret;
mod section;
mod server;
mod settings;
mod severity;
mod sources;
mod store;
#[cfg(test)]
mod tests;
mod tls;
mod value;

pub use access::{Access, Credentials, Papers};
pub use certificate::CertificateFacts;
pub use channel::{
    BodyType, ChannelsConfig, EmailConfig, HttpGatewayConfig, KannelConfig, MailTls, SmsConfig,
    WebhookConfig,
};
pub use collect::CollectConfig;
pub use contact::{ContactConfig, Language};
pub use fleet::FleetConfig;
pub use forward::{ForwardConfig, Protocol};
pub use history::HistoryConfig;
pub use http::HttpConfig;
pub use ingest::IngestConfig;
pub use log::{LogConfig, LogFormat};
pub use metric::{COLLECTOR_STATE, SERVER_STATE, STORE_STATE};
pub use pattern::{Glob, Pattern, Selector, stands_for};
pub use places::PlaceError;
pub(crate) use problem::distance;
pub use problem::{ConfigError, Problem, nearest};
pub use relabel::{Relabel, SeriesPattern, Wildcard};
pub use route::{GroupBy, RouteConfig};
pub use rule::{
    Limit, NoData, OwnLimit, RuleConfig, Take, Thresholds, effective_rules, shared_rules,
};
pub use scrape::ScrapeConfig;
pub use secret::{Stamp, authorities, read_secret, stamp};
pub(crate) use secret::{certificates, certificates_in, private_key};
pub use server::{CollectorConfig, ServerConfig};
pub use severity::{Severity, Side};
pub use sources::Sources;
pub use store::{Retention, StoreConfig};
pub use tls::{TlsConfig, TlsError, TlsFiles};

use std::{fs, path::Path};

use rule::built_in_rules;
use section::{Reader, Section};

/// The whole configuration file.
#[derive(Debug, Clone, PartialEq)]
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
    /// The rules in force: those of the file, and those built in that it does not replace or
    /// switch off.
    pub rules: Vec<RuleConfig>,
    /// How notices leave.
    pub channels: ChannelsConfig,
    /// Who is told.
    pub contacts: Vec<ContactConfig>,
    /// Of what.
    pub routes: Vec<RouteConfig>,
    /// Exporters that are read as servers of their own.
    pub scrapes: Vec<ScrapeConfig>,
    /// How much others may write.
    pub ingest: IngestConfig,
    /// Where samples go besides the store.
    pub forwards: Vec<ForwardConfig>,
    /// Hubs that are asked before a server is called offline.
    pub fleet: FleetConfig,
    /// Who knows what is older than the store.
    pub history: HistoryConfig,
}

impl Config {
    /// Reads and judges the file at `path`; the default where there is none.
    pub fn load(path: Option<&Path>) -> Result<Self, ConfigError> {
        Self::load_without(path, |_| false)
    }

    /// As [`load`](Self::load), for who only asks the daemon: what names secrets is not judged, as
    /// these may be readable to the daemon alone.
    fn load_for_command(path: Option<&Path>) -> Result<Self, ConfigError> {
        const SECRETIVE: [&str; 5] = ["channel.", "http.tls.", "forward.", "fleet.", "history."];
        Self::load_without(path, |problem| {
            SECRETIVE.iter().any(|section| problem.key.starts_with(section))
        })
    }

    fn load_without(
        path: Option<&Path>,
        passes: impl Fn(&Problem) -> bool,
    ) -> Result<Self, ConfigError> {
        let Some(path) = path else { return Ok(Self::default()) };
        let text = Self::text(path)?;
        let (config, mut problems) = Self::judge(&text, &path.display().to_string());
        problems.retain(|problem| !passes(problem));
        if problems.is_empty() { Ok(config) } else { Err(ConfigError::Invalid(problems)) }
    }

    /// The text of the file at `path`.
    fn text(path: &Path) -> Result<String, ConfigError> {
        fs::read_to_string(path)
            .map_err(|source| ConfigError::Read { path: path.to_owned(), source })
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
        let http = file.table("http", HttpConfig::read);
        let log = file.table("log", LogConfig::read);
        let store = file.table("store", StoreConfig::read);
        let collect = file.table("collect", CollectConfig::read);
        // Each is judged by those before it, wherever they stand in the file.
        let rules = RuleConfig::read_all(file, built_in_rules());
        let servers = ServerConfig::read_all(file, &rules);
        let channels = file.table("channel", ChannelsConfig::read);
        let contacts = ContactConfig::read_all(file, &channels);
        let routes = RouteConfig::read_all(file, &contacts);
        let ingest = file.table("ingest", IngestConfig::read);
        let scrapes = ScrapeConfig::read_all(file, &collect, &servers);
        let forwards = ForwardConfig::read_all(file);
        let fleet = file.table("fleet", FleetConfig::read);
        let history = file.table("history", HistoryConfig::read);
        Self {
            http,
            log,
            store,
            collect,
            servers,
            rules,
            channels,
            contacts,
            routes,
            scrapes,
            ingest,
            forwards,
            fleet,
            history,
        }
    }
}

/// What an empty file says.
impl Default for Config {
    fn default() -> Self {
        Self {
            http: HttpConfig::default(),
            log: LogConfig::default(),
            store: StoreConfig::default(),
            collect: CollectConfig::default(),
            servers: Vec::new(),
            rules: built_in_rules().to_vec(),
            channels: ChannelsConfig::default(),
            contacts: Vec::new(),
            routes: Vec::new(),
            scrapes: Vec::new(),
            ingest: IngestConfig::default(),
            forwards: Vec::new(),
            fleet: FleetConfig::default(),
            history: HistoryConfig::default(),
        }
    }
}
