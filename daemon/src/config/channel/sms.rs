//! `[channel.sms]`

use std::path::PathBuf;

use toml::de::DeValue;

use super::HttpGatewayConfig;
use crate::config::{address, secret::secret_file, section::Section, value};

/// An SMS gateway.
#[derive(Debug, Clone, PartialEq)]
pub enum SmsConfig {
    /// Kannel's sendsms.
    Kannel(KannelConfig),
    /// Any gateway that takes an HTTP request, as described.
    Http(Box<HttpGatewayConfig>),
}

/// Kannel's sendsms.
#[derive(Debug, Clone, PartialEq)]
pub struct KannelConfig {
    /// Where smsbox listens, such as `http://127.0.0.1:13013`.
    pub base_url: String,
    /// The sendsms user.
    pub username: String,
    /// File whose first line is its password.
    pub password_file: PathBuf,
    /// Sender; the gateway's own unless given.
    pub from: Option<String>,
}

/// Which gateway it is.
#[derive(Clone, Copy)]
enum Provider {
    Kannel,
    Http,
}

impl SmsConfig {
    pub(super) fn read(section: &mut Section<'_>) -> Self {
        let given = section.value("provider", provider);
        if !section.has("provider") {
            section.refuse("provider", "is missing, must be kannel or http");
        }
        // Without a word that is known, its keys tell what was meant.
        let guess = || if section.has("base_url") { Provider::Kannel } else { Provider::Http };
        match given.unwrap_or_else(guess) {
            Provider::Kannel => Self::Kannel(KannelConfig::read(section)),
            Provider::Http => Self::Http(Box::new(HttpGatewayConfig::read(section))),
        }
    }
}

impl KannelConfig {
    fn read(section: &mut Section<'_>) -> Self {
        for key in ["base_url", "username", "password_file"] {
            if !section.has(key) {
                section.refuse(key, "is missing: kannel needs it");
            }
        }
        Self {
            base_url: section.value("base_url", base_url).unwrap_or_default(),
            username: section
                .value("username", |value| value::line(value, 256))
                .unwrap_or_default(),
            password_file: section.value("password_file", secret_file).unwrap_or_default(),
            from: section.value("from", sender),
        }
    }
}

fn provider(value: &DeValue<'_>) -> Result<Provider, String> {
    value::choice(value, &[("kannel", Provider::Kannel), ("http", Provider::Http)])
}

/// The URL of smsbox, which the path of sendsms is put behind.
fn base_url(value: &DeValue<'_>) -> Result<String, String> {
    let url = address::target(value)?;
    match url.contains(['?', '#']) {
        true => Err("must end before any `?`: the request's own words are put behind it".into()),
        false => Ok(url),
    }
}

/// Who an SMS comes from: a number, or a word.
pub(super) fn sender(value: &DeValue<'_>) -> Result<String, String> {
    value::line(value, 64)
}
