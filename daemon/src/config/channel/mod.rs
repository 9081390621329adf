//! `[channel.email]`, `[channel.sms]` and `[channel.webhook]`: how notices leave.
//!
//! # Invariants
//!
//! - No secret stands in the configuration: a file holds it, which could be read when it was judged.
//! - A secret leaves this machine only encrypted.

mod email;
mod gateway;
mod sms;
mod webhook;

pub use email::{EmailConfig, MailTls};
pub use gateway::{BodyType, HttpGatewayConfig};
pub use sms::{KannelConfig, SmsConfig};
pub use webhook::WebhookConfig;

use super::section::Section;

/// How notices leave; a way that is not configured cannot be used by a contact.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ChannelsConfig {
    /// A mail server.
    pub email: Option<EmailConfig>,
    /// An SMS gateway.
    pub sms: Option<SmsConfig>,
    /// Webhooks need nothing, so they are always there.
    pub webhook: WebhookConfig,
}

impl ChannelsConfig {
    pub(super) fn read(section: &mut Section<'_>) -> Self {
        Self {
            email: section.optional("email", EmailConfig::read),
            sms: section.optional("sms", SmsConfig::read),
            webhook: section.table("webhook", WebhookConfig::read),
        }
    }
}
