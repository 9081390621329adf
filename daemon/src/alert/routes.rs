//! Who is told of what: a decision without actors.

use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Serialize};

use super::{News, Way};
use crate::{
    config::{ContactConfig, GroupBy, Language, RouteConfig, Selector, Severity},
    series::whole_ms,
};

/// Somebody, one of their addresses, and how a route wants them to be told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Recipient {
    /// Name of the contact.
    pub contact: Arc<str>,
    /// By which way.
    pub way: Way,
    /// Mail address, phone number or URL.
    pub address: Arc<str>,
    /// Their language.
    pub language: Language,
    /// What incidents of one notice have in common.
    pub group: Arc<str>,
    /// How long others are waited for.
    pub wait_ms: i64,
    /// How often they are told again.
    pub remind_every_ms: Option<i64>,
}

/// Others are waited for so long where a route does not say and nothing is critical.
const GROUP_WAIT_MS: i64 = 10_000;

/// Every address that `news` of a server with `tags` goes to, each once: of the first route that
/// matches, and of those behind it for as long as they say `continue`.
pub(super) fn recipients(
    routes: &[RouteConfig],
    contacts: &[ContactConfig],
    news: &News,
    tags: &BTreeMap<String, String>,
) -> Vec<Recipient> {
    let mut found: Vec<Recipient> = Vec::new();
    for route in routes {
        let level = route.levels.is_empty() || route.levels.contains(&news.severity);
        if !level || !Selector::choose(&route.servers, &news.server, tags) {
            continue;
        }
        for name in &route.notify {
            let contact = contacts.iter().find(|contact| contact.name == *name);
            for recipient in contact.into_iter().flat_map(|contact| of(contact, route, news)) {
                let same = |known: &Recipient| {
                    (known.way, &known.address) == (recipient.way, &recipient.address)
                };
                if !found.iter().any(same) {
                    found.push(recipient);
                }
            }
        }
        if !route.goes_on {
            break;
        }
    }
    found
}

/// Every address of a contact, each with its way.
pub(super) fn addresses(contact: &ContactConfig) -> impl Iterator<Item = (Way, &String)> {
    let email = contact.email.iter().map(|address| (Way::Email, address));
    let sms = contact.sms.iter().map(|number| (Way::Sms, number));
    let webhook = contact.webhook.iter().map(|url| (Way::Webhook, url));
    email.chain(sms).chain(webhook)
}

fn of<'a>(
    contact: &'a ContactConfig,
    route: &'a RouteConfig,
    news: &'a News,
) -> impl Iterator<Item = Recipient> + 'a {
    let usual_ms = if news.severity == Severity::Critical { 0 } else { GROUP_WAIT_MS };
    addresses(contact).map(move |(way, address)| Recipient {
        contact: contact.name.as_str().into(),
        way,
        address: address.as_str().into(),
        language: contact.language,
        group: group(&route.group_by, news).into(),
        wait_ms: route.group_wait.map_or(usual_ms, whole_ms),
        remind_every_ms: route.remind_every.map(whole_ms),
    })
}

fn group(by: &[GroupBy], news: &News) -> String {
    let parts = by.iter().map(|by| match by {
        GroupBy::Server => format!("server={}", news.server),
        GroupBy::Rule => format!("rule={}", news.rule),
    });
    parts.collect::<Vec<_>>().join(",")
}
