//! `[contact.NAME]`: people, and where they are reached.

use serde::{Deserialize, Serialize};
use toml::de::DeValue;

use super::{ChannelsConfig, address, section::Section, value};

/// Somebody who is told.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ContactConfig {
    /// The name that routes call them by.
    pub name: String,
    /// Mail addresses.
    pub email: Vec<String>,
    /// Phone numbers, as `+8613711112222`.
    pub sms: Vec<String>,
    /// URLs.
    pub webhook: Vec<String>,
    /// Language of what they are told.
    pub language: Language,
}

/// A language that notices are written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    /// English.
    #[default]
    En,
    /// Chinese.
    Zh,
}

impl ContactConfig {
    pub(super) fn read_all(file: &mut Section<'_>, channels: &ChannelsConfig) -> Vec<Self> {
        let example = "{ email = [\"ops@example.org\"] }";
        file.named("contact", example, |name, section| Self::read(section, name, channels))
    }

    fn read(section: &mut Section<'_>, name: &str, channels: &ChannelsConfig) -> Self {
        if let Err(reason) = value::plain_name(name) {
            section.refuse_whole(reason);
        }
        let contact = Self {
            name: name.into(),
            email: section.list("email", address::email).unwrap_or_default(),
            sms: section.list("sms", address::phone).unwrap_or_default(),
            webhook: section.list("webhook", address::target).unwrap_or_default(),
            language: section.value("language", language).unwrap_or_default(),
        };
        // Addresses that were refused are told of as such.
        if !["email", "sms", "webhook"].iter().any(|key| section.fills(key)) {
            section.refuse_whole("has no address, needs one at least in email, sms or webhook");
        }
        for (key, configured) in
            [("email", channels.email.is_some()), ("sms", channels.sms.is_some())]
        {
            if section.fills(key) && !configured {
                let reason = format!("cannot be used: there is no [channel.{key}] to send by");
                section.refuse(key, reason);
            }
        }
        contact
    }
}

fn language(value: &DeValue<'_>) -> Result<Language, String> {
    value::choice(value, &[("en", Language::En), ("zh", Language::Zh)])
}
