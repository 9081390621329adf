//! `[history]`: who knows what is older than this store.

use std::time::Duration;

use toml::de::DeValue;

use super::{Access, address, section::Section, value};

/// Where older history is read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryConfig {
    /// What the addresses of the Prometheus query API begin with, without a slash at the end; nobody is asked where
    /// there is none.
    pub query_url: Option<String>,
    /// Who we are there, and whom we trust.
    pub access: Access,
    /// How long an answer may take.
    pub timeout: Duration,
}

const TIMEOUT: Duration = Duration::from_secs(5);
/// Whoever asks us waits no longer for an answer than half a minute.
const TIMEOUT_MAX: Duration = Duration::from_secs(20);

impl Default for HistoryConfig {
    fn default() -> Self {
        Self { query_url: None, access: Access::default(), timeout: TIMEOUT }
    }
}

impl HistoryConfig {
    pub(super) fn read(section: &mut Section<'_>) -> Self {
        let insecure = section.value("insecure", value::switch).unwrap_or(false);
        let query_url = section.value("query_url", |value| query_url(value, insecure));
        if !section.has("query_url") {
            for key in ["token_file", "username", "ca_file", "certificate"] {
                if section.has(key) {
                    section.refuse(key, "has no use without `query_url`");
                }
            }
        }
        let access = Access::read(section, query_url.as_slice());
        let timeout = section
            .value("timeout", |value| value::duration(value, Duration::from_secs(1), TIMEOUT_MAX));
        Self { query_url, access, timeout: timeout.unwrap_or(TIMEOUT) }
    }
}

fn query_url(value: &DeValue<'_>, insecure: bool) -> Result<String, String> {
    let text = value::text(value)?;
    address::check_hub(text, insecure)?;
    if text.contains(['?', '#']) {
        return Err(
            "must have no query: name what the addresses of the query API begin with".into()
        );
    }
    let base = text.trim_end_matches('/');
    // What people copy from elsewhere names one of the addresses.
    match base.split_once("/api/v1") {
        Some((before, _)) => Err(format!("must end before `/api/v1`: write \"{before}\"")),
        None => Ok(base.into()),
    }
}
