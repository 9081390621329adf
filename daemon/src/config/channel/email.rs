//! `[channel.email]`

use std::path::PathBuf;

use toml::de::DeValue;

use crate::config::{
    address,
    secret::{ca_file, secret_file},
    section::Section,
    value,
};

/// A mail server that takes our mail.
#[derive(Debug, Clone, PartialEq)]
pub struct EmailConfig {
    /// Its name, which its certificate must carry.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How the connection is encrypted.
    pub tls: MailTls,
    /// PEM file of authorities that are trusted besides the system's.
    pub ca_file: Option<PathBuf>,
    /// Who we are there; nobody unless given.
    pub username: Option<String>,
    /// File whose first line is the password; read at each connection.
    pub password_file: Option<PathBuf>,
    /// Sender, such as `Bartizan <bartizan@example.org>`.
    pub from: String,
}

/// How a connection to a mail server is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MailTls {
    /// By STARTTLS, which the server must offer.
    #[default]
    Starttls,
    /// From the first byte.
    Implicit,
    /// Not at all; only without a username, or on a loopback address.
    None,
}

impl MailTls {
    /// The port that servers have for it.
    fn port(self) -> u16 {
        match self {
            Self::Starttls => 587,
            Self::Implicit => 465,
            Self::None => 25,
        }
    }
}

impl EmailConfig {
    pub(super) fn read(section: &mut Section<'_>) -> Self {
        for (key, what) in [("host", "the mail server's name"), ("from", "the sender's address")] {
            if !section.has(key) {
                section.refuse(key, format!("is missing: {what}"));
            }
        }
        let tls = section.value("tls", tls).unwrap_or_default();
        let config = Self {
            host: section.value("host", address::host).unwrap_or_default(),
            port: section.value("port", value::port).unwrap_or(tls.port()),
            tls,
            ca_file: section.value("ca_file", ca_file),
            username: section.value("username", |value| value::line(value, 256)),
            password_file: section.value("password_file", secret_file),
            from: section.value("from", address::mailbox).unwrap_or_default(),
        };
        match (section.has("username"), section.has("password_file")) {
            (true, false) => section.refuse("password_file", "is missing: `username` needs one"),
            (false, true) => section.refuse("username", "is missing: `password_file` needs one"),
            _ => {}
        }
        if config.tls == MailTls::None {
            config.judge_unencrypted(section);
        }
        config
    }

    /// Without encryption no password may travel, and no certificate is seen.
    fn judge_unencrypted(&self, section: &mut Section<'_>) {
        let asks = section.has("username") || section.has("password_file");
        if asks && !self.host.is_empty() && !address::is_loopback(&self.host) {
            let reason = "is none, and the password would travel unencrypted";
            let fix = "take starttls or implicit";
            section.refuse("tls", format!("{reason} to {}; {fix}", self.host));
        }
        if section.has("ca_file") {
            section.refuse("ca_file", "has no use with tls = \"none\"");
        }
    }
}

fn tls(value: &DeValue<'_>) -> Result<MailTls, String> {
    use MailTls::{Implicit, None, Starttls};
    value::choice(value, &[("starttls", Starttls), ("implicit", Implicit), ("none", None)])
}
