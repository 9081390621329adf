//! `[fleet]`

use std::collections::BTreeSet;

use toml::de::DeValue;

use super::{access::Access, address, section::Section, value};

/// The other hubs of a group, to which agents of this one may write as well.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FleetConfig {
    /// What their addresses begin with, without a slash at the end.
    pub hubs: Vec<String>,
    /// Who this hub is to them, by a token that they know, and whom it trusts there.
    pub access: Access,
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
        let access = Access::read(section, &hubs);
        let says_who = section.has("token_file") || section.has("username");
        if section.fills("hubs") && !says_who {
            section.refuse("token_file", "is missing: by it the other hubs know this one");
        }
        Self { hubs, access }
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
