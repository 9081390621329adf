//! Webhooks: a notice as JSON, signed where there is a key.

use hmac::{Hmac, KeyInit, Mac};
use reqwest::{
    StatusCode, Url,
    header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue},
};
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::time::Instant;

use super::{
    Channel, Limits, Verdict, file,
    http::{Answer, Asker, Lost, Question},
    trust::Trust,
};
use crate::{
    alert::{
        notice::{News, Notice, Outcome, What},
        text::Sender,
    },
    config::WebhookConfig,
    series::now_ms,
};

/// The same at each attempt, so that the receiver knows a repetition.
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// A part of a path that is at least as long may be a key.
const SECRET_MIN: usize = 8;
const SIGNATURE: HeaderName = HeaderName::from_static("x-bartizan-signature");

/// Posts notices to the URLs of contacts.
#[derive(Debug)]
pub struct Webhook {
    config: WebhookConfig,
    sender: Sender,
    asker: Asker,
}

impl Webhook {
    /// A channel that reads the files of `config` at each attempt.
    pub fn new(config: WebhookConfig, sender: Sender) -> Self {
        Self::with_limits(config, sender, Limits::default())
    }

    pub(super) fn with_limits(config: WebhookConfig, sender: Sender, limits: Limits) -> Self {
        let trust = Trust { key: "channel.webhook.ca_file", ca_file: config.ca_file.clone() };
        Self { asker: Asker::new(trust, limits), config, sender }
    }

    async fn question(&self, notice: &Notice, until: Instant) -> Result<Question, Verdict> {
        let contact = &notice.contact;
        let url = Url::parse(&notice.address)
            .ok()
            .filter(|url| ["http", "https"].contains(&url.scheme()));
        let url = url.ok_or_else(|| {
            let said = format!("contact.{contact}.webhook is no http or https URL");
            Verdict::new(Outcome::Permanent, said)
        })?;
        let body = body(notice, &self.sender, now_ms()).to_string().into_bytes();
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let key = HeaderValue::try_from(self.sender.key(notice.id));
        headers.extend(key.ok().map(|key| (IDEMPOTENCY_KEY, key)));
        if let Some(path) = &self.config.secret_file {
            let secret = file::first_line("channel.webhook.secret_file", path, until).await?;
            let signature = signature(secret.as_bytes(), &body).and_then(|text| text.parse().ok());
            let signature = signature.ok_or_else(|| {
                Verdict::misconfigured("failed to sign with channel.webhook.secret_file")
            })?;
            headers.insert(SIGNATURE, signature);
        }
        Ok(Question { url, headers, body: Some(body), brief: true })
    }
}

impl Channel for Webhook {
    async fn deliver(&self, notice: &Notice) -> Verdict {
        let until = self.asker.until();
        let question = match self.question(notice, until).await {
            Ok(question) => question,
            Err(verdict) => return verdict,
        };
        let url = question.url.clone();
        let verdict = match self.asker.ask(question, until).await {
            Ok(answer) => judge(&answer, &notice.contact),
            Err(Lost::Unsent(verdict)) => verdict,
            // It may have arrived; by its key the receiver sees that it is the same one.
            Err(Lost::Unanswered(why)) => Verdict::new(Outcome::Temporary, why),
        };
        without_keys(verdict, &url)
    }
}

fn judge(answer: &Answer, contact: &str) -> Verdict {
    let (said, status) = (answer.shown(), answer.status);
    let mut verdict = match status {
        _ if status.is_success() => Verdict::new(Outcome::Accepted, status.to_string()),
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS => {
            Verdict::new(Outcome::Temporary, said)
        }
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            let keys = format!("contact.{contact}.webhook and channel.webhook.secret_file");
            Verdict::misconfigured(format!("{status}: check {keys}; it says: {}", answer.body))
        }
        _ if status.is_server_error() => Verdict::new(Outcome::Temporary, said),
        _ if status.is_redirection() => {
            let to = answer.redirect.as_deref().unwrap_or("elsewhere");
            let said = format!("{status} to {to}: name the final URL in contact.{contact}.webhook");
            Verdict::new(Outcome::Permanent, said)
        }
        _ => Verdict::new(Outcome::Permanent, said),
    };
    verdict.retry_after = answer.retry_after;
    verdict
}

/// The same, with nothing of `url` but its host: a chat's address is its key, and some answers repeat it.
fn without_keys(verdict: Verdict, url: &Url) -> Verdict {
    let query = url.query().unwrap_or_default();
    let segments = url.path().split('/').chain(query.split(['&', '=']));
    // The whole first: a part that is cut out of it would leave the rest.
    let secrets = [url.path(), query].into_iter().chain(segments);
    secrets
        .filter(|secret| secret.len() >= SECRET_MIN)
        .fold(verdict, |verdict, secret| verdict.without(secret, "****"))
}

fn body(notice: &Notice, sender: &Sender, now_ms: i64) -> Value {
    let incidents: Vec<Value> = notice.news.iter().map(|news| incident(news, sender)).collect();
    json!({
        "version": 1,
        "notice": notice.id.0,
        "contact": &*notice.contact,
        "sent_ms": now_ms,
        "incidents": incidents,
    })
}

/// What a notice knows of an incident, by the names that the API has for it.
fn incident(news: &News, sender: &Sender) -> Value {
    let state = match news.what {
        What::Fired | What::Escalated | What::Reminded | What::Flapping => Some("firing"),
        What::Resolved => Some("resolved"),
        What::Withdrawn => Some("withdrawn"),
        What::Test => None,
    };
    let closed = matches!(news.what, What::Resolved | What::Withdrawn);
    let limit = news.limit.map(|(side, at)| json!({"side": side.name(), "at": at}));
    json!({
        "id": news.incident.0,
        "what": news.what,
        "at_ms": news.at_ms,
        "server": &*news.server,
        "rule": &*news.rule,
        "metric": &*news.metric,
        "labels": news.labels,
        "unit": &*news.unit,
        "level": news.severity,
        "state": state,
        "flapping": news.what == What::Flapping,
        "opened_ms": news.opened_ms,
        "closed_ms": closed.then_some(news.at_ms),
        "value": news.value,
        "limit": limit,
        "summary": news.summary.as_deref(),
        "runbook": news.runbook.as_deref(),
        "in_absence": news.in_absence,
        "absence": news.absence,
        "link": sender.link(news.incident),
    })
}

/// `sha256=` and the HMAC of `body` in hexadecimal. There is one for every key.
fn signature(key: &[u8], body: &[u8]) -> Option<String> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).ok()?;
    mac.update(body);
    let digits = mac.finalize().into_bytes();
    Some(digits.iter().fold("sha256=".to_owned(), |text, byte| format!("{text}{byte:02x}")))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed test should stop")]

    use super::*;
    use crate::alert::{
        notice::Way,
        text::samples::{TEN_MS, cpu, cpu_resolved, disk, notice, sender},
    };

    #[test]
    fn the_signature_is_that_of_rfc_4231() {
        let cases: [(&[u8], &[u8], &str); 2] = [
            (
                &[0x0b; 20],
                b"Hi There",
                "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
            ),
            (
                b"Jefe",
                b"what do ya want for nothing?",
                "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
            ),
        ];
        for (key, body, expected) in cases {
            assert_eq!(signature(key, body), Some(format!("sha256={expected}")));
        }
    }

    #[test]
    fn the_body_has_the_names_of_the_api() {
        let notice =
            notice(Way::Webhook, "https://chat.example.org/hook", vec![disk(), cpu_resolved()]);
        assert_eq!(
            body(&notice, &sender(), TEN_MS + 1),
            json!({"version": 1, "notice": 5, "contact": "ops", "sent_ms": TEN_MS + 1, "incidents": [
                {"id": 18, "what": "fired", "at_ms": TEN_MS, "server": "web-1", "rule": "disk",
                 "metric": "disk_usage_ratio", "labels": {"mount": "/var", "device": "vda1"},
                 "unit": "ratio", "level": "warning", "state": "firing", "flapping": false,
                 "opened_ms": TEN_MS, "closed_ms": null, "value": 0.84,
                 "limit": {"side": "above", "at": 0.8}, "summary": null,
                 "runbook": "https://wiki.example.org/disk?a=1&b=2", "in_absence": false,
                 "absence": false, "link": "https://watch.example.org/a/18"},
                {"id": 17, "what": "resolved", "at_ms": TEN_MS + 240_000, "server": "web-1",
                 "rule": "cpu", "metric": "cpu_usage_ratio", "labels": {}, "unit": "ratio",
                 "level": "critical", "state": "resolved", "flapping": false, "opened_ms": TEN_MS,
                 "closed_ms": TEN_MS + 240_000, "value": 0.12,
                 "limit": {"side": "above", "at": 0.95}, "summary": null, "runbook": null,
                 "in_absence": false, "absence": false, "link": "https://watch.example.org/a/17"},
            ]})
        );
    }

    #[test]
    fn what_is_said_holds_nothing_of_the_url_that_may_be_a_key() {
        let url =
            Url::parse("https://chat.example.org/bot123456:AbC/send?token=0123456789").unwrap();
        let said = "404 Not Found: /bot123456:AbC/send?token=0123456789 (bot123456:AbC)";
        let verdict = without_keys(Verdict::new(Outcome::Permanent, said), &url);
        assert_eq!(verdict.said, "404 Not Found: ****?**** (****)");
    }

    #[test]
    fn a_value_that_is_no_number_is_null() {
        let news = News { value: Some(f64::NAN), ..cpu() };
        assert_eq!(incident(&news, &sender())["value"], Value::Null);
    }
}
