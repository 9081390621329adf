//! A mail as its reader sees it: headers decoded, text and HTML apart.

use std::{
    fs,
    path::Path,
    time::{SystemTime, UNIX_EPOCH},
};

use mailparse::{MailHeaderMap, ParsedMail, parse_mail};

/// One mail.
#[derive(Debug, Clone, Default)]
pub struct Letter {
    /// `Message-ID`, in its angle brackets.
    pub message_id: String,
    /// `In-Reply-To`; empty where it answers none.
    pub in_reply_to: String,
    /// `References`; empty where there are none.
    pub references: String,
    /// `Subject`.
    pub subject: String,
    /// `From`.
    pub from: String,
    /// `To`.
    pub to: String,
    /// The part in plain text.
    pub text: String,
    /// The part in HTML; empty where there is none.
    pub html: String,
    /// When it arrived, in milliseconds since 1970.
    pub arrived_ms: i64,
}

impl Letter {
    /// Reads a file of a Maildir; it arrived when it was written.
    pub fn read(file: &Path) -> Self {
        let written = fs::metadata(file).unwrap().modified().unwrap();
        Self::parse(&fs::read(file).unwrap(), written)
    }

    /// Reads a mail as it travels.
    ///
    /// # Panics
    ///
    /// When it is none.
    pub fn parse(bytes: &[u8], arrived: SystemTime) -> Self {
        let mail = parse_mail(bytes).unwrap();
        let header = |name: &str| mail.headers.get_first_value(name).unwrap_or_default();
        let arrived_ms = arrived.duration_since(UNIX_EPOCH).unwrap().as_millis();
        Self {
            message_id: header("Message-ID"),
            in_reply_to: header("In-Reply-To"),
            references: header("References"),
            subject: header("Subject"),
            from: header("From"),
            to: header("To"),
            text: part(&mail, "text/plain").unwrap_or_default(),
            html: part(&mail, "text/html").unwrap_or_default(),
            arrived_ms: i64::try_from(arrived_ms).unwrap(),
        }
    }

    /// The number of the notice, by its Message-ID `<bartizan.HUB.NOTICE@DOMAIN>`.
    ///
    /// # Panics
    ///
    /// When the Message-ID is of another form.
    pub fn notice(&self) -> u64 {
        let id = self.message_id.strip_prefix("<bartizan.").and_then(|rest| rest.strip_suffix('>'));
        let notice = id.and_then(|id| id.split_once('@')?.0.rsplit_once('.')?.1.parse().ok());
        notice.unwrap_or_else(|| panic!("Message-ID of another form: {}", self.message_id))
    }
}

/// The first part of a type, wherever it stands.
fn part(mail: &ParsedMail<'_>, kind: &str) -> Option<String> {
    if mail.ctype.mimetype == kind {
        return Some(mail.get_body().unwrap());
    }
    mail.subparts.iter().find_map(|below| part(below, kind))
}
