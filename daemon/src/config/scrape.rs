//! `[[scrape]]`

use std::{
    collections::{BTreeMap, HashSet},
    time::Duration,
};

use hyper::Uri;
use toml::de::DeValue;

use super::{
    Access, CollectConfig, Relabel, ServerConfig, address, collect::interval, section::Section,
    value,
};

/// An exporter that is read as a collector of a server.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ScrapeConfig {
    /// The server that its series belong to.
    pub server: String,
    /// Name of the collector, unique within the server, and the label `job` of its series.
    pub name: String,
    /// Where its page is.
    pub url: String,
    /// Time between two readings; `collect.interval` unless given.
    pub interval: Option<Duration>,
    /// How long one reading may take; unless given, three quarters of the interval, at most 10 s.
    pub timeout: Option<Duration>,
    /// Largest page that is read, unpacked.
    pub max_bytes: u64,
    /// Most series that are taken from it.
    pub series_max: usize,
    /// Whether samples keep the time that the page gives them.
    pub honor_timestamps: bool,
    /// Labels that every series gets.
    pub labels: BTreeMap<String, String>,
    /// What becomes of its series, in this order.
    pub relabel: Vec<Relabel>,
    /// Who we are there, and whom we trust.
    pub access: Access,
}

/// Longest time that one reading takes unless the file says otherwise.
const TIMEOUT_DEFAULT: Duration = Duration::from_secs(10);
/// Shorter, and hardly anything answers.
const TIMEOUT_MIN: Duration = Duration::from_millis(50);
const BYTES_DEFAULT: u64 = 16 << 20;
const BYTES_MIN: u64 = 1 << 20;
/// As for a server.
const SERIES_DEFAULT: usize = 20_000;
const SERIES_MOST: f64 = 1_000_000.0;
/// Labels that say whose a series is, and that nobody else gives.
pub(super) const OUR_LABELS: [&str; 2] = ["server", "collector"];

impl ScrapeConfig {
    pub(super) fn read_all(
        file: &mut Section<'_>,
        collect: &CollectConfig,
        servers: &[ServerConfig],
    ) -> Vec<Self> {
        let mut names = HashSet::new();
        file.tables("scrape", |section| Self::read(section, collect, servers, &mut names))
    }

    fn read(
        section: &mut Section<'_>,
        collect: &CollectConfig,
        servers: &[ServerConfig],
        names: &mut HashSet<(String, String)>,
    ) -> Self {
        for (key, what) in [("server", "the server whose series these are"), ("url", "the page")] {
            if !section.has(key) {
                section.refuse(key, format!("is missing: {what}"));
            }
        }
        let interval = section.value("interval", interval);
        let longest = interval.unwrap_or(collect.interval);
        let timeout = |value: &DeValue<'_>| value::duration(value, TIMEOUT_MIN, longest);
        let url = section.value("url", page);
        let urls = url.as_slice().to_vec();
        let url = url.unwrap_or_default();
        let name = section.value("name", value::name).unwrap_or_else(|| default_name(&url));
        let server = section.value("server", value::server_name).unwrap_or_default();
        let config = Self {
            timeout: section.value("timeout", timeout),
            max_bytes: section
                .value("max_bytes", |value| value::size(value, BYTES_MIN))
                .unwrap_or(BYTES_DEFAULT),
            series_max: section.value("series_max", series_max).unwrap_or(SERIES_DEFAULT),
            honor_timestamps: section.value("honor_timestamps", value::switch).unwrap_or(false),
            labels: section.entries("labels", label),
            relabel: Relabel::read_all(section),
            access: Access::read(section, &urls),
            server,
            name,
            url,
            interval,
        };
        config.judge_name(section, servers, names);
        config.judge_secret(section);
        config
    }

    /// Time between two readings, where nobody has filled in what `collect.interval` is.
    pub fn every(&self) -> Duration {
        self.interval.unwrap_or_else(|| CollectConfig::default().interval)
    }

    /// How long one reading may take.
    pub fn deadline(&self) -> Duration {
        self.timeout.unwrap_or_else(|| (self.every() * 3 / 4).min(TIMEOUT_DEFAULT))
    }

    /// A collector's name is its own, whether it reads a plugin or a page.
    fn judge_name(
        &self,
        section: &mut Section<'_>,
        servers: &[ServerConfig],
        names: &mut HashSet<(String, String)>,
    ) {
        let Self { server, name, .. } = self;
        let of_plugin = |known: &&ServerConfig| {
            known.name == *server && known.collectors.iter().any(|c| c.name == *name)
        };
        let again = !names.insert((server.clone(), name.clone()));
        if server.is_empty() || name.is_empty() {
            return;
        }
        let fix = if section.has("name") { "" } else { "; give it one of its own" };
        if again {
            let of = format!("another scrape's of `{server}`");
            section.refuse("name", format!("is `{name}`, as {of}{fix}"));
        } else if servers.iter().any(|known| of_plugin(&known)) {
            let of = format!("a collector's of `{server}`");
            section.refuse("name", format!("is `{name}`, as {of}{fix}"));
        }
    }

    /// A secret does not travel where others can read it.
    fn judge_secret(&self, section: &mut Section<'_>) {
        let given = ["token_file", "password_file"].into_iter().find(|key| section.has(key));
        if let Some(key) = given
            && let Some(host) = read_by_others(&self.url)
        {
            let fix = "read the page by https, or from a loopback address";
            section.refuse(key, format!("would travel unencrypted to {host}: {fix}"));
        }
    }
}

/// The host of a URL whose way there others can read.
fn read_by_others(url: &str) -> Option<String> {
    let uri: Uri = url.parse().ok()?;
    let host = uri.host()?;
    (uri.scheme_str() == Some("http") && !address::is_loopback(host)).then(|| host.to_owned())
}

fn page(value: &DeValue<'_>) -> Result<String, String> {
    let text = value::text(value)?;
    let Some(uri) = address::web_uri(text) else {
        return Err("must be a URL such as \"http://10.0.0.5:9100/metrics\"".into());
    };
    if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
        return Err(
            "must not have a user before its host; give `username` and `password_file`".into()
        );
    }
    Ok(text.into())
}

/// `scrape`, with the port where the URL has one.
fn default_name(url: &str) -> String {
    let port = url.parse().ok().and_then(|uri: Uri| uri.port_u16());
    port.map_or("scrape".into(), |port| format!("scrape-{port}"))
}

fn series_max(value: &DeValue<'_>) -> Result<usize, String> {
    let number = value::number(value)?;
    if number.fract() == 0.0 && (1.0..=SERIES_MOST).contains(&number) {
        return Ok(number as usize);
    }
    Err(format!("is {number}, must be a whole number from 1 to {SERIES_MOST}"))
}

/// A label that every series gets.
fn label(name: &str, value: &DeValue<'_>) -> Result<String, String> {
    label_name(name)?;
    label_value(value)
}

/// The name of a label that a series may be given.
pub(super) fn label_name(name: &str) -> Result<String, String> {
    if OUR_LABELS.contains(&name) {
        return Err(format!(
            "is `{name}`, which says whose a series is; `server` and `name` of the scrape do"
        ));
    }
    super::metric::plain_metric_name(name).map(str::to_owned)
}

/// The value of a label that a series is given.
pub(super) fn label_value(value: &DeValue<'_>) -> Result<String, String> {
    const LENGTH_MAX: usize = 256;
    value::line(value, LENGTH_MAX)
}
