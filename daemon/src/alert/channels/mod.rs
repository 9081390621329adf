//! The ways by which notices leave: one folder or file each.
//!
//! ```text
//!            ┌─ email ── stream ──► a mail server
//!  Notice ──►├─ sms ────┐
//!            └─ webhook ┴ http ───► a gateway, a webhook
//!                │
//!                ▼
//!            Verdict
//! ```
//!
//! # Invariants
//!
//! - A channel knows nothing of incidents, routes or the outbox: it is given a notice and says what came of it.
//! - An attempt has a deadline of its own, whatever the other side does.
//! - What a channel says of an attempt is for people, holds no secret, and masks phone numbers.
//! - Files of passwords and authorities are read at each attempt, so that a corrected file needs no restart.
//! - No redirect is followed and no proxy is asked: a notice goes where the configuration says.

mod address;
mod email;
mod file;
mod http;
mod sms;
#[cfg(test)]
mod tests;
mod trust;
mod webhook;

pub use address::shown;
pub use email::Email;
pub use sms::{Alphabet, Size, Sms};
pub use webhook::Webhook;

use std::{future::Future, time::Duration};

use super::{
    notice::{Notice, Outcome},
    text,
};

/// A way by which notices leave.
pub trait Channel: Send + Sync + 'static {
    /// Tries once to hand `notice` over. Ends by itself within [`ATTEMPT_LIMIT`].
    fn deliver(&self, notice: &Notice) -> impl Future<Output = Verdict> + Send;
}

/// What came of an attempt.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// How it ended.
    pub outcome: Outcome,
    /// What the other side said, or what went wrong, in words for people: one line.
    pub said: String,
    /// When the other side wants to be asked again at the earliest.
    pub retry_after: Option<Duration>,
    /// Parts of the SMS.
    pub parts: Option<u32>,
}

/// Longest that an attempt may take, connection and all.
pub const ATTEMPT_LIMIT: Duration = Duration::from_secs(30);
/// Longest that the other side may be silent.
pub const SILENCE_LIMIT: Duration = Duration::from_secs(10);
/// Longest that is said of an attempt, in characters.
const SAID_MAX: usize = 300;

impl Verdict {
    fn new(outcome: Outcome, said: impl AsRef<str>) -> Self {
        let said = text::cut(&text::one_line(said.as_ref()), SAID_MAX);
        Self { outcome, said, retry_after: None, parts: None }
    }

    fn misconfigured(said: impl AsRef<str>) -> Self {
        Self::new(Outcome::Misconfigured, said)
    }

    /// The same, with `secret` taken out of what is said: some gateways repeat what they were asked.
    fn without(mut self, secret: &str, instead: &str) -> Self {
        if !secret.is_empty() {
            self.said = self.said.replace(secret, instead);
        }
        self
    }
}

/// How long a channel waits; shorter in tests.
#[derive(Debug, Clone, Copy)]
struct Limits {
    /// See [`ATTEMPT_LIMIT`].
    attempt: Duration,
    /// See [`SILENCE_LIMIT`].
    silence: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { attempt: ATTEMPT_LIMIT, silence: SILENCE_LIMIT }
    }
}
