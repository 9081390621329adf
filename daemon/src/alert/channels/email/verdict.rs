//! What a failure in a conversation with a mail server means.

use lettre::transport::smtp::{
    Error,
    response::{Category, Code, Detail, Severity},
};

use super::{Email, Step, Verdict};
use crate::{alert::notice::Outcome, config::MailTls, trust};

/// Answers that ask for a password or encryption first.
const MORE_FIRST: [(Category, Detail); 2] =
    [(Category::Unspecified3, Detail::Zero), (Category::Unspecified3, Detail::Eight)];

impl Email {
    /// Name and port of the server.
    pub(super) fn place(&self) -> String {
        format!("{}:{}", self.config.host, self.config.port)
    }

    /// What `error` at `step` means.
    pub(super) fn verdict(&self, step: Step, error: &Error) -> Verdict {
        if let Some(code) = error.status() {
            let said = format!("{code} {}", trust::cause(error));
            return match code.severity {
                Severity::PermanentNegativeCompletion => self.refused(step, code, &said),
                _ => Verdict::new(Outcome::Temporary, said),
            };
        }
        let place = self.place();
        if step == Step::HandedOver {
            let why = self.why(error);
            let said = format!("{place} got the whole mail, but {why}: it may have taken it");
            return Verdict::new(Outcome::Unknown, said);
        }
        if let Some(fault) = self.trust.fault(error, &place) {
            return Verdict::misconfigured(fault);
        }
        if error.is_client() && step == Step::LogIn {
            return Verdict::misconfigured(format!(
                "{place} offers neither AUTH PLAIN nor LOGIN: remove channel.email.username, or use the port for \
                 submission, with encryption"
            ));
        }
        if error.is_timeout() && step <= Step::Encrypt {
            return self.silent(step);
        }
        let did = step.words();
        Verdict::new(Outcome::Temporary, format!("{place} did not {did}: {}", self.why(error)))
    }

    fn refused(&self, step: Step, code: Code, said: &str) -> Verdict {
        let place = self.place();
        let more_first = MORE_FIRST.contains(&(code.category, code.detail));
        match step {
            // Whoever is refused before saying anything may be welcome later, when a list has forgotten them.
            Step::Reach | Step::Greet => {
                Verdict::new(Outcome::Temporary, format!("{place} does not let us in: {said}"))
            }
            Step::Encrypt => self.no_starttls_because(said),
            Step::LogIn => {
                let user = self.config.username.as_deref().unwrap_or_default();
                let file = self.config.password_file.as_deref().unwrap_or("".as_ref()).display();
                Verdict::misconfigured(format!(
                    "{place} does not accept user `{user}` with the password in `{file}`: correct \
                     channel.email.username or password_file; it says: {said}"
                ))
            }
            Step::Sender | Step::Recipient | Step::Data if more_first => {
                Verdict::misconfigured(format!(
                    "{place} asks for more first: give channel.email.username and password_file, or tls; it says: {said}"
                ))
            }
            Step::Sender => Verdict::misconfigured(format!(
                "{place} takes no mail from `{}`: correct channel.email.from, username or tls; it says: {said}",
                self.config.from
            )),
            Step::Recipient | Step::Data | Step::HandOver | Step::HandedOver => {
                Verdict::new(Outcome::Permanent, said)
            }
        }
    }

    /// The attempt is over before the conversation is.
    pub(super) fn too_slow(&self, step: Step) -> Verdict {
        let (place, limit, did) = (self.place(), self.limits.attempt, step.words());
        let said = format!("{place} did not {did} within the {limit:?} of an attempt");
        if step == Step::HandedOver {
            Verdict::new(Outcome::Unknown, format!("{said}: it may have taken it"))
        } else {
            Verdict::new(Outcome::Temporary, said)
        }
    }

    /// The server said nothing for too long, at a step where the encryption may be the reason.
    pub(super) fn silent(&self, step: Step) -> Verdict {
        let (place, limit, did) = (self.place(), self.limits.silence, step.words());
        let hint = match (self.config.tls, self.config.port) {
            (MailTls::Starttls | MailTls::None, 465) => {
                ": that port wants channel.email.tls = \"implicit\""
            }
            (MailTls::Implicit, 25 | 587) => ": that port wants channel.email.tls = \"starttls\"",
            _ => "",
        };
        Verdict::new(Outcome::Temporary, format!("{place} did not {did} within {limit:?}{hint}"))
    }

    /// TLS from the first byte did not come about.
    pub(super) fn not_encrypted(&self, error: &std::io::Error) -> Verdict {
        let place = self.place();
        match self.trust.fault(error, &place) {
            Some(fault) => Verdict::misconfigured(fault),
            None => {
                let why = trust::cause(error);
                Verdict::new(Outcome::Temporary, format!("{place} did not begin encryption: {why}"))
            }
        }
    }

    pub(super) fn no_starttls(&self) -> Verdict {
        self.no_starttls_because("it does not offer it")
    }

    fn no_starttls_because(&self, why: &str) -> Verdict {
        Verdict::misconfigured(format!(
            "{} does no STARTTLS: set channel.email.tls to \"implicit\", or to \"none\" on a network that you trust; \
             {why}",
            self.place()
        ))
    }

    fn why(&self, error: &Error) -> String {
        // So lettre calls a connection that ends within an answer, or before it.
        if error.is_response() && trust::cause(error) == "incomplete response" {
            "it closed the connection".to_owned()
        } else if error.is_response() {
            format!("its answer is not SMTP ({})", trust::cause(error))
        } else {
            trust::cause(error)
        }
    }
}
