//! `[channel.webhook]`

use std::path::PathBuf;

use crate::config::{
    secret::{ca_file, secret_file},
    section::Section,
};

/// Webhooks.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct WebhookConfig {
    /// File whose first line is the key of the signature; unsigned unless given.
    pub secret_file: Option<PathBuf>,
    /// PEM file of authorities that are trusted besides the system's.
    pub ca_file: Option<PathBuf>,
}

impl WebhookConfig {
    pub(super) fn read(section: &mut Section<'_>) -> Self {
        Self {
            secret_file: section.value("secret_file", secret_file),
            ca_file: section.value("ca_file", ca_file),
        }
    }
}
