//! `[[forward]]`: where samples go besides this node's store.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use hyper::Uri;
use toml::de::DeValue;

use super::{Access, Pattern, address, section::Section, value};

/// A target: one receiver of remote writes, or several of which one is chosen.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ForwardConfig {
    /// What it is called; by it this node remembers how far it has come there.
    pub name: String,
    /// Where it takes remote writes; of several, one is chosen.
    pub urls: Vec<String>,
    /// What it is written in.
    pub protocol: Protocol,
    /// Who we are there, and whom we trust.
    pub access: Access,
    /// Labels that every series gets that does not have them.
    pub labels: BTreeMap<String, String>,
    /// Servers whose series are sent; empty means all.
    pub servers: Vec<Pattern>,
    /// Metrics that are sent; empty means all.
    pub metrics: Vec<Pattern>,
    /// Most samples of one request.
    pub batch_max: usize,
    /// How long a request may take.
    pub timeout: Duration,
}

/// A version of Prometheus remote write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Protocol {
    /// 1.0, which everybody understands.
    #[default]
    V1,
    /// 2.0, as long as the other side proves that it understands it.
    V2,
}

/// Where a remote write is taken where a URL names nothing but a host: everybody we know has it there.
const USUAL_PATH: &str = "/api/v1/write";
const BATCH_MAX: usize = 50_000;
const BATCH_MAX_LEAST: usize = 100;
const TIMEOUT: Duration = Duration::from_secs(10);
const TIMEOUT_MAX: Duration = Duration::from_secs(30);
/// More hubs than this are no group but a mistake.
const URLS_MAX: usize = 16;
/// Labels that say which series it is.
const OWN_LABELS: [&str; 3] = ["__name__", "server", "collector"];

impl ForwardConfig {
    pub(super) fn read_all(file: &mut Section<'_>) -> Vec<Self> {
        let mut names = BTreeSet::new();
        file.tables("forward", |section| {
            let config = Self::read(section);
            if !config.name.is_empty() && !names.insert(config.name.clone()) {
                let name = &config.name;
                let fix = if section.has("name") { "choose another" } else { "give it a `name`" };
                section.refuse("name", format!("is `{name}`, as another target's; {fix}"));
            }
            config
        })
    }

    fn read(section: &mut Section<'_>) -> Self {
        let insecure = section.value("insecure", value::switch).unwrap_or(false);
        let urls = Self::urls(section, insecure);
        let own_name = urls.first().map(|url| name_of(url)).unwrap_or_default();
        Self {
            name: section.value("name", value::name).unwrap_or(own_name),
            protocol: section.value("protocol", protocol).unwrap_or_default(),
            access: Access::read(section, &urls),
            labels: section.entries("labels", label),
            servers: section.list("servers", pattern).unwrap_or_default(),
            metrics: section.list("metrics", pattern).unwrap_or_default(),
            batch_max: section.value("batch_max", batch_max).unwrap_or(BATCH_MAX),
            timeout: section
                .value("timeout", |value| {
                    value::duration(value, Duration::from_secs(1), TIMEOUT_MAX)
                })
                .unwrap_or(TIMEOUT),
            urls,
        }
    }

    fn urls(section: &mut Section<'_>, insecure: bool) -> Vec<String> {
        let read = |value: &DeValue<'_>| url(value, insecure);
        let several = section.list("urls", read);
        let one = section.value("url", read);
        match (section.has("url"), section.has("urls")) {
            (true, true) => {
                section.refuse("urls", "must not stand beside `url`: name all in `urls`")
            }
            (false, false) => section.refuse("url", "is missing: where samples go"),
            (false, true) if !section.fills("urls") => {
                section.refuse("urls", "is empty, needs at least one URL");
            }
            _ => {}
        }
        let mut urls: Vec<String> = one.into_iter().chain(several.unwrap_or_default()).collect();
        if urls.len() > URLS_MAX {
            section.refuse("urls", format!("has {}, must have at most {URLS_MAX}", urls.len()));
        }
        let mut seen = BTreeSet::new();
        if !urls.iter().all(|url| seen.insert(url.clone())) {
            section.refuse("urls", "names one of them twice");
        }
        urls.truncate(URLS_MAX);
        urls
    }
}

fn url(value: &DeValue<'_>, insecure: bool) -> Result<String, String> {
    let text = value::text(value)?;
    address::check_hub(text, insecure)?;
    let uri: Option<Uri> = text.parse().ok();
    let bare = uri.is_some_and(|uri| uri.path() == "/" && uri.query().is_none());
    Ok(if bare { format!("{}{USUAL_PATH}", text.trim_end_matches('/')) } else { text.into() })
}

/// The host of a URL, and its port where it names one: what a target is called unless it has a name.
fn name_of(url: &str) -> String {
    let authority = url.parse::<Uri>().ok().and_then(|uri| Some(uri.authority()?.to_string()));
    let plain = |c: char| if c.is_ascii_alphanumeric() || ".-".contains(c) { c } else { '_' };
    let name: String = authority.unwrap_or_default().chars().map(plain).collect();
    name.trim_matches('_').into()
}

fn protocol(value: &DeValue<'_>) -> Result<Protocol, String> {
    value::choice(value, &[("1.0", Protocol::V1), ("2.0", Protocol::V2)])
}

fn label(name: &str, value: &DeValue<'_>) -> Result<String, String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if name.starts_with(|c: char| c.is_ascii_digit()) || name.is_empty() || !name.chars().all(fits)
    {
        return Err("is no name of a label: letters, digits and `_`, no digit first".into());
    }
    if OWN_LABELS.contains(&name) {
        return Err("must not be given: every series says so itself".into());
    }
    value::line(value, 1024)
}

fn pattern(value: &DeValue<'_>) -> Result<Pattern, String> {
    match value::text(value)? {
        "" | "!" => Err("is empty, must be a name, or a pattern such as \"web-*\"".into()),
        text => Ok(Pattern::new(text)),
    }
}

fn batch_max(value: &DeValue<'_>) -> Result<usize, String> {
    let number = value::number(value)?;
    let whole = number as usize;
    if whole as f64 == number && (BATCH_MAX_LEAST..=BATCH_MAX).contains(&whole) {
        return Ok(whole);
    }
    Err(format!("is {number}, must be a whole number from {BATCH_MAX_LEAST} to {BATCH_MAX}"))
}
