//! `[[route]]`: who is told of what.

use std::time::Duration;

use toml::de::DeValue;

use super::{ContactConfig, Selector, Severity, section::Section, value};

/// Who is told of what; the first that matches counts, unless it says `continue`.
#[derive(Debug, Clone, PartialEq)]
pub struct RouteConfig {
    /// Severities it matches; empty means all.
    pub levels: Vec<Severity>,
    /// Servers it matches; empty means all.
    pub servers: Vec<Selector>,
    /// Names of contacts.
    pub notify: Vec<String>,
    /// What incidents must have in common to share a notice.
    pub group_by: Vec<GroupBy>,
    /// How long others are waited for. Unless given: nothing for what is critical, else 10 s.
    pub group_wait: Option<Duration>,
    /// How often it is told again until it is acknowledged or over; never unless given.
    pub remind_every: Option<Duration>,
    /// Whether the routes behind it count too.
    pub goes_on: bool,
}

/// What incidents must have in common to share a notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroupBy {
    /// The server.
    Server,
    /// The rule.
    Rule,
}

/// Longer, and what is told first is no news any more.
const GROUP_WAIT_MAX: Duration = Duration::from_secs(60 * 60);
/// More often, and nobody reads them.
const REMIND_EVERY_MIN: Duration = Duration::from_secs(60);
const REMIND_EVERY_MAX: Duration = Duration::from_secs(30 * 24 * 60 * 60);

impl RouteConfig {
    pub(super) fn read_all(file: &mut Section<'_>, contacts: &[ContactConfig]) -> Vec<Self> {
        let names: Vec<&str> = contacts.iter().map(|contact| contact.name.as_str()).collect();
        file.tables("route", |section| Self::read(section, &names))
    }

    fn read(section: &mut Section<'_>, contacts: &[&str]) -> Self {
        let (levels, servers) = section.table("match", |section| {
            let levels = section.value("level", levels).unwrap_or_default();
            (levels, section.list("servers", Selector::read).unwrap_or_default())
        });
        let notify = section.list("notify", |value| contact(value, contacts));
        if !section.has("notify") {
            section.refuse("notify", "is missing: who is told");
        } else if !section.fills("notify") {
            section.refuse("notify", "is empty, needs at least one contact");
        }
        Self {
            levels,
            servers,
            notify: notify.unwrap_or_default(),
            group_by: section.list("group_by", group_by).unwrap_or(vec![GroupBy::Server]),
            group_wait: section.value("group_wait", |value| {
                value::duration(value, Duration::ZERO, GROUP_WAIT_MAX)
            }),
            remind_every: section.value("remind_every", |value| {
                value::duration(value, REMIND_EVERY_MIN, REMIND_EVERY_MAX)
            }),
            goes_on: section.value("continue", value::switch).unwrap_or(false),
        }
    }
}

fn contact(value: &DeValue<'_>, known: &[&str]) -> Result<String, String> {
    let name = value::text(value)?;
    if known.contains(&name) {
        return Ok(name.into());
    }
    let mut meant = value::meant(name, known.iter().copied());
    if meant.is_empty() && !known.is_empty() {
        meant = format!("; known here: {}", known.join(", "));
    }
    let name = name.escape_debug();
    Err(format!("is `{name}`, and there is no [contact.{name}]{meant}"))
}

/// One severity, or several.
fn levels(value: &DeValue<'_>) -> Result<Vec<Severity>, String> {
    match value {
        DeValue::Array(several) if several.is_empty() => {
            Err("is empty, and would match nothing; leave it out to match everything".into())
        }
        DeValue::Array(several) => several.iter().map(|value| level(value.get_ref())).collect(),
        one => level(one).map(|level| vec![level]),
    }
}

fn level(value: &DeValue<'_>) -> Result<Severity, String> {
    value::choice(value, &[("warning", Severity::Warning), ("critical", Severity::Critical)])
}

fn group_by(value: &DeValue<'_>) -> Result<GroupBy, String> {
    value::choice(value, &[("server", GroupBy::Server), ("rule", GroupBy::Rule)])
}
