//! `[fleet]`

use std::{collections::BTreeSet, path::PathBuf};

use toml::de::DeValue;

use super::{
    address,
    secret::{ca_file, secret_file},
    section::Section,
    value,
};

/// The other hubs of a group, to which agents of this one may write as well.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FleetConfig {
    /// What their addresses begin with, without a slash at the end.
    pub hubs: Vec<String>,
    /// File whose first line is a token that they know; its absence is allowed only where there are no hubs.
    pub token_file: Option<PathBuf>,
    /// PEM file of authorities that are trusted besides the system's.
    pub ca_file: Option<PathBuf>,
}

/// More hubs than this are no group but a mistake; agents name no more either.
const HUBS_MAX: usize = 16;

impl FleetConfig {
    pub(super) fn read(section: &mut Section<'_>) -> Self {
        let insecure = section.value("insecure", value::switch).unwrap_or(false);
        let mut hubs = section.list("hubs", |value| hub(value, insecure)).unwrap_or_default();
        if hubs.len() > HUBS_MAX {
            section.refuse("hubs", format!("has {}, must have at most {HUBS_MAX}", hubs.len()));
            hubs.truncate(HUBS_MAX);
        }
        let mut seen = BTreeSet::new();
        if !hubs.iter().all(|hub| seen.insert(hub)) {
            section.refuse("hubs", "names one of them twice");
        }
        if section.fills("hubs") && !section.has("token_file") {
            section.refuse("token_file", "is missing: by it the other hubs know this one");
        }
        let token_file = section.value("token_file", secret_file);
        let ca_file = section.value("ca_file", ca_file);
        let encrypted = hubs.iter().any(|hub| hub.starts_with("https:"));
        if section.has("ca_file") && !hubs.is_empty() && !encrypted {
            section.refuse("ca_file", "has no use without an https URL");
        }
        Self { hubs, token_file, ca_file }
    }
}

fn hub(value: &DeValue<'_>, insecure: bool) -> Result<String, String> {
    let text = value::text(value)?;
    address::check_hub(text, insecure)?;
    if text.contains('?') {
        return Err("must not have a query: name what the addresses of that hub begin with".into());
    }
    Ok(text.trim_end_matches('/').into())
}
