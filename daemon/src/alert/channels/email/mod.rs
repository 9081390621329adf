//! E-mail, handed to a server by SMTP.
//!
//! ```text
//!  reach ─► greet ─► encrypt ─► log in ─► sender ─► recipient ─► data ─► hand over ─► handed over ─► accepted
//!  └────────────────────── failed here: not taken ──────────────────────────────┘     └ lost here: unknown
//! ```
//!
//! # Invariants
//!
//! - Each step is taken by itself, so that what went wrong is known together with where.
//! - Nothing of a password or a notice leaves before the encryption that the configuration asks for.
//! - A notice has the same Message-ID at each attempt, by which mailboxes drop what came twice.
//! - From the last dot on the server has until the end of the attempt: a second mail is worse than a slow scan.

mod message;
mod progress;
mod stream;
mod talk;
mod verdict;

use std::time::Duration;

use lettre::transport::smtp::{client::AsyncSmtpConnection, response::Response};
use tokio::time::{Instant, timeout, timeout_at};

use self::{
    message::Mail,
    progress::{Progress, Step},
};
use super::{Channel, Limits, Verdict, file, trust::Trust};
use crate::{
    alert::{
        notice::{Notice, Outcome},
        text::Sender,
    },
    config::{EmailConfig, MailTls},
    series::now_ms,
    trust,
};

/// Longest that a server has for its farewell. Some take 200 ms over it, and it changes nothing.
const PARTING: Duration = Duration::from_millis(50);

/// Hands mails to a server.
#[derive(Debug)]
pub struct Email {
    config: EmailConfig,
    sender: Sender,
    trust: Trust,
    limits: Limits,
}

impl Email {
    /// A channel that reads the files of `config` at each attempt.
    pub fn new(config: EmailConfig, sender: Sender) -> Self {
        Self::with_limits(config, sender, Limits::default())
    }

    pub(super) fn with_limits(config: EmailConfig, sender: Sender, limits: Limits) -> Self {
        let trust = Trust { key: "channel.email.ca_file", ca_file: config.ca_file.clone() };
        Self { config, sender, trust, limits }
    }

    /// Takes step after step; `connection` is the way to take leave, as soon as there is one.
    async fn hand_over(
        &self,
        mail: &Mail,
        progress: &Progress,
        connection: &mut Option<AsyncSmtpConnection>,
        until: Instant,
    ) -> Result<Response, Verdict> {
        let password = match &self.config.password_file {
            Some(path) => file::first_line("channel.email.password_file", path, until).await?,
            None => String::new(),
        };
        let authorities = match self.config.tls {
            MailTls::None => Vec::new(),
            MailTls::Starttls | MailTls::Implicit => {
                trust::with_system(self.trust.own(until).await?).await
            }
        };
        let failed = |error| self.verdict(progress.step(), &error);
        let greeted = self.greet(progress, &authorities).await?;
        let connection = connection.insert(greeted);
        self.encrypt(connection, progress, &authorities).await?;
        self.log_in(connection, progress, password).await?;
        talk::announce(connection, mail, progress).await.map_err(failed)?;
        talk::hand_over(connection, mail, progress).await.map_err(failed)
    }
}

impl Channel for Email {
    async fn deliver(&self, notice: &Notice) -> Verdict {
        let until = Instant::now() + self.limits.attempt - PARTING;
        let mail = match Mail::new(&self.config.from, notice, &self.sender, now_ms()) {
            Ok(mail) => mail,
            Err(verdict) => return verdict,
        };
        let (progress, mut connection) = (Progress::default(), None);
        let handed = self.hand_over(&mail, &progress, &mut connection, until);
        let (verdict, leave) = match timeout_at(until, handed).await {
            Ok(Ok(response)) => (accepted(&response), true),
            // After encryption has failed there is nobody left to say anything to.
            Ok(Err(verdict)) => (verdict, progress.step() != Step::Encrypt),
            Err(_) => (self.too_slow(progress.step()), false),
        };
        if leave && let Some(mut connection) = connection {
            // Whatever it says to that, the notice's fate is known.
            let _ = timeout(PARTING, connection.quit()).await;
        }
        verdict
    }
}

fn accepted(response: &Response) -> Verdict {
    let lines: Vec<&str> = response.message().collect();
    Verdict::new(Outcome::Accepted, format!("{} {}", response.code(), lines.join(" ")))
}
