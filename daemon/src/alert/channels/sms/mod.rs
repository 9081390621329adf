//! SMS, through Kannel or any gateway that takes an HTTP request.
//!
//! # Invariants
//!
//! - Whether an SMS was taken is read from the answer's body, never from its status alone.
//! - A request whose answer is lost may have been taken: the outcome is unknown, and who sends again knows it.
//! - Requests that hold a password leave the machine only by https.

mod compose;
mod gateway;
mod kannel;
mod parts;

pub use parts::{Alphabet, Size};

use parts::measure;
use reqwest::Url;

use super::{
    Channel, Limits, Verdict,
    address::masked,
    file,
    http::{self, Asker, Lost, Question},
    trust::Trust,
};
use crate::{
    alert::{
        notice::{Notice, Outcome},
        text::Sender,
    },
    config::SmsConfig,
    series::now_ms,
};

/// Sends SMS.
#[derive(Debug)]
pub struct Sms {
    config: SmsConfig,
    sender: Sender,
    asker: Asker,
}

/// An SMS that is ready to leave.
struct Message<'a> {
    /// The phone number.
    to: &'a str,
    text: String,
    size: Size,
    /// The same at each attempt.
    id: String,
}

impl Sms {
    /// A channel that reads the files of `config` at each attempt.
    pub fn new(config: SmsConfig, sender: Sender) -> Self {
        Self::with_limits(config, sender, Limits::default())
    }

    pub(super) fn with_limits(config: SmsConfig, sender: Sender, limits: Limits) -> Self {
        let ca_file = match &config {
            SmsConfig::Kannel(_) => None,
            SmsConfig::Http(gateway) => gateway.ca_file.clone(),
        };
        let trust = Trust { key: "channel.sms.ca_file", ca_file };
        Self { asker: Asker::new(trust, limits), config, sender }
    }

    /// The text that `notice` becomes at `now_ms`, and how many parts it takes; sends nothing.
    pub fn compose(notice: &Notice, now_ms: i64) -> (String, Size) {
        compose::compose(notice, now_ms)
    }

    async fn send(&self, message: &Message<'_>) -> Verdict {
        let until = self.asker.until();
        let (key, file) = match &self.config {
            SmsConfig::Kannel(kannel) => ("channel.sms.password_file", Some(&kannel.password_file)),
            SmsConfig::Http(gateway) => ("channel.sms.secret_file", gateway.secret_file.as_ref()),
        };
        let secret = match file {
            Some(path) => match file::first_line(key, path, until).await {
                Ok(secret) => secret,
                Err(verdict) => return verdict,
            },
            None => String::new(),
        };
        let question = match &self.config {
            SmsConfig::Kannel(kannel) => kannel::question(kannel, message, &secret),
            SmsConfig::Http(gateway) => gateway::question(gateway, message, &secret),
        };
        let asked = match question {
            Ok(question) => self.asker.ask(question, until).await,
            Err(verdict) => return verdict,
        };
        let verdict = match (asked, &self.config) {
            (Ok(answer), SmsConfig::Kannel(kannel)) => kannel::judge(kannel, &answer),
            (Ok(answer), SmsConfig::Http(gateway)) => gateway::judge(gateway, &answer),
            (Err(Lost::Unsent(verdict)), _) => verdict,
            (Err(Lost::Unanswered(why)), _) => Verdict::new(Outcome::Unknown, why),
        };
        let (bare, shown) = (message.to.trim_start_matches('+'), masked(message.to));
        // A whole number first, then one that the gateway has written without its plus.
        let verdict = verdict.without(message.to, &shown);
        let verdict = if bare.len() > 4 { verdict.without(bare, &shown) } else { verdict };
        verdict.without(&secret, "****").without(&http::percent(&secret), "****")
    }
}

impl Channel for Sms {
    async fn deliver(&self, notice: &Notice) -> Verdict {
        let (text, size) = Self::compose(notice, now_ms());
        let id = self.sender.key(notice.id);
        let mut verdict = self.send(&Message { to: &notice.address, text, size, id }).await;
        verdict.parts = Some(size.parts);
        verdict
    }
}

/// `url`, which the configuration names by `key`, if what it holds stays between here and there.
fn private(key: &str, url: &str) -> Result<Url, Verdict> {
    match Url::parse(url) {
        Ok(url) if http::is_private(&url) => Ok(url),
        Ok(_) => Err(Verdict::misconfigured(format!(
            "{key} would send the password for all to read: use https, or http on a loopback address"
        ))),
        Err(error) => Err(Verdict::misconfigured(format!("{key} is no URL: {error}"))),
    }
}
