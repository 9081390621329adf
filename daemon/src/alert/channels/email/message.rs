//! A notice as a mail.

use std::time::{Duration, UNIX_EPOCH};

use lettre::{
    Address, Message,
    message::{
        Mailbox, MultiPart,
        header::{HeaderName, HeaderValue},
    },
};

use super::Verdict;
use crate::alert::{
    notice::{Notice, NoticeId, Outcome},
    text::{self, Sender},
};

/// Says that nobody wrote it, so that nobody's absence answers it (RFC 3834).
const AUTO_SUBMITTED: HeaderName = HeaderName::new_from_ascii_str("Auto-Submitted");

/// A mail that is ready to leave.
#[derive(Debug)]
pub(super) struct Mail {
    pub(super) from: Address,
    pub(super) to: Address,
    /// Header and body, without dots doubled.
    pub(super) bytes: Vec<u8>,
}

impl Mail {
    /// `notice` as a mail from `from`.
    pub(super) fn new(
        from: &str,
        notice: &Notice,
        sender: &Sender,
        now_ms: i64,
    ) -> Result<Self, Verdict> {
        let from: Mailbox = from.parse().map_err(|error| {
            Verdict::misconfigured(format!("channel.email.from `{from}` is no address: {error}"))
        })?;
        let to: Mailbox = notice.address.parse().map_err(|error| {
            let said = format!("`{}` is no address: {error}", notice.address);
            Verdict::new(Outcome::Permanent, said)
        })?;
        let id =
            |id: NoticeId| format!("<bartizan.{}.{}@{}>", sender.hub, id.0, from.email.domain());
        let made = UNIX_EPOCH + Duration::from_millis(notice.made_ms.max(0).unsigned_abs());
        let mut builder = Message::builder()
            .from(from.clone())
            .to(to.clone())
            .subject(text::subject(notice))
            .date(made)
            .message_id(Some(id(notice.id)))
            .raw_header(HeaderValue::new(AUTO_SUBMITTED, "auto-generated".to_owned()));
        if let Some(thread) = notice.thread.filter(|thread| *thread != notice.id) {
            builder = builder.in_reply_to(id(thread)).references(id(thread));
        }
        let body = MultiPart::alternative_plain_html(
            text::plain(notice, sender, now_ms),
            text::html(notice, sender, now_ms),
        );
        let message = builder.multipart(body).map_err(|error| {
            Verdict::new(Outcome::Permanent, format!("failed to write the mail: {error}"))
        })?;
        Ok(Self { from: from.email, to: to.email, bytes: message.formatted() })
    }

    /// Whether an address has letters that only some servers understand.
    pub(super) fn needs_utf8(&self) -> bool {
        [&self.from, &self.to].iter().any(|address| !address.to_string().is_ascii())
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed test should stop")]
    use super::*;
    use crate::{
        alert::{
            notice::Way,
            text::samples::{TEN_MS, cpu, disk, notice, sender},
        },
        config::Language,
    };

    const FROM: &str = "Bartizan <bartizan@mail.example.org>";

    #[test]
    fn a_mail_is_the_same_one_at_each_attempt() {
        let notice = notice(Way::Email, "ops@example.org", vec![cpu()]);
        let (first, second) = (written(&notice, TEN_MS), written(&notice, TEN_MS + 3_600_000));
        for line in [
            "Message-ID: <bartizan.hub1.5@mail.example.org>",
            "From: Bartizan <bartizan@mail.example.org>",
            "To: ops@example.org",
            "Subject: CRITICAL web-1: CPU 98.2 % above 95 %",
            "Date: Sun, 22 Nov 2026 10:00:00 +0000",
            "Auto-Submitted: auto-generated",
            "MIME-Version: 1.0",
        ] {
            assert!(first.lines().any(|found| found == line), "{line} is missing in {first}");
            assert!(second.lines().any(|found| found == line), "{line} is missing in {second}");
        }
        assert!(!first.contains("In-Reply-To"), "it begins a thread");
        assert!(first.contains("multipart/alternative"), "{first}");
        assert!(first.contains("text/plain; charset=utf-8") && first.contains("text/html"));
    }

    #[test]
    fn a_later_notice_answers_the_first_one() {
        let first = notice(Way::Email, "ops@example.org", vec![cpu()]);
        let text = written(&Notice { thread: Some(NoticeId(3)), ..first.clone() }, TEN_MS);
        assert!(text.contains("\r\nIn-Reply-To: <bartizan.hub1.3@mail.example.org>\r\n"), "{text}");
        assert!(text.contains("\r\nReferences: <bartizan.hub1.3@mail.example.org>\r\n"), "{text}");
        let text = written(&Notice { thread: Some(NoticeId(5)), ..first }, TEN_MS);
        assert!(!text.contains("In-Reply-To"), "no mail answers itself");
    }

    #[test]
    fn what_is_sent_is_ascii_without_long_lines() {
        let chinese = Notice {
            language: Language::Zh,
            ..notice(Way::Email, "ops@example.org", vec![disk(); 20])
        };
        let text = written(&chinese, TEN_MS);
        assert!(text.is_ascii());
        assert!(text.lines().all(|line| line.len() <= 998));
        assert!(text.contains("Subject: =?utf-8?b?"), "{text}");
    }

    #[test]
    fn an_address_that_is_none_is_refused() {
        let wrong = notice(Way::Email, "ops", vec![cpu()]);
        let verdict = Mail::new(FROM, &wrong, &sender(), TEN_MS).unwrap_err();
        assert_eq!(verdict.outcome, Outcome::Permanent);
        let right = notice(Way::Email, "ops@example.org", vec![cpu()]);
        let verdict = Mail::new("Bartizan", &right, &sender(), TEN_MS).unwrap_err();
        assert_eq!(verdict.outcome, Outcome::Misconfigured);
    }

    fn written(notice: &Notice, now_ms: i64) -> String {
        String::from_utf8(Mail::new(FROM, notice, &sender(), now_ms).unwrap().bytes).unwrap()
    }
}
