//! One HTTP request and its answer, with limits on all of it.

use std::time::{Duration, SystemTime};

use lettre::message::header::{Date, Header};
use reqwest::{
    Client, Method, StatusCode, Url,
    header::{HeaderMap, LOCATION, RETRY_AFTER},
};
use rustls::pki_types::CertificateDer;
use tokio::{
    sync::Mutex,
    time::{Instant, timeout_at},
};

use super::{Limits, Verdict, address::origin, trust::Trust};
use crate::{alert::notice::Outcome, trust};

/// Most that is read of an answer's body.
const BODY_MAX: usize = 64 * 1024;
/// Longest that the other side is believed to want to be left alone.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// Asks over HTTP, once, and follows no redirect.
#[derive(Debug)]
pub(super) struct Asker {
    trust: Trust,
    limits: Limits,
    /// The client, and the authorities of the file that it was made with.
    made: Mutex<Option<(Vec<CertificateDer<'static>>, Client)>>,
}

/// What is asked.
#[derive(Debug)]
pub(super) struct Question {
    /// A name and a password in it become basic authentication.
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    /// Posted where there is one; otherwise the question is a GET.
    pub(super) body: Option<Vec<u8>>,
    /// Of a success nothing is read but its status.
    pub(super) brief: bool,
}

/// What the other side answered.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) retry_after: Option<Duration>,
    /// Scheme and host that a redirect points to.
    pub(super) redirect: Option<String>,
    /// The body, or its beginning.
    pub(super) body: String,
    /// Whether the connection broke before the body was whole.
    pub(super) broken: bool,
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Lost {
    /// Nothing of the request has left; the verdict says why.
    Unsent(Verdict),
    /// The request has left, and nobody knows what became of it.
    Unanswered(String),
}

impl Answer {
    /// `503 Service Unavailable: try later`.
    pub(super) fn shown(&self) -> String {
        let body = self.body.trim();
        let colon = if body.is_empty() { "" } else { ": " };
        format!("{}{colon}{body}", self.status)
    }
}

impl Asker {
    pub(super) fn new(trust: Trust, limits: Limits) -> Self {
        Self { trust, limits, made: Mutex::new(None) }
    }

    /// When an attempt that begins now has to be over.
    pub(super) fn until(&self) -> Instant {
        Instant::now() + self.limits.attempt
    }

    /// Asks once, and waits for the answer until `until` at the longest.
    pub(super) async fn ask(&self, question: Question, until: Instant) -> Result<Answer, Lost> {
        let client = self.client(until).await.map_err(Lost::Unsent)?;
        let Question { url, headers, body, brief } = question;
        let place = origin(&url);
        let method = if body.is_some() { Method::POST } else { Method::GET };
        let request = client.request(method, url).headers(headers).body(body.unwrap_or_default());
        let mut response = match timeout_at(until, request.send()).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => return Err(self.lost(error, &place)),
            Err(_) => return Err(Lost::Unanswered(format!("{place} did not answer in time"))),
        };
        let mut answer = Answer {
            status: response.status(),
            retry_after: retry_after(response.headers(), SystemTime::now()),
            redirect: redirect_of(&response),
            body: String::new(),
            broken: false,
        };
        if brief && answer.status.is_success() {
            return Ok(answer);
        }
        let mut body = Vec::new();
        while body.len() < BODY_MAX {
            match timeout_at(until, response.chunk()).await {
                Ok(Ok(Some(chunk))) => body.extend_from_slice(&chunk),
                Ok(Ok(None)) => break,
                Ok(Err(_)) | Err(_) => {
                    answer.broken = true;
                    break;
                }
            }
        }
        body.truncate(BODY_MAX);
        answer.body = String::from_utf8_lossy(&body).into_owned();
        Ok(answer)
    }

    /// The client, made anew when the file of authorities has changed.
    async fn client(&self, until: Instant) -> Result<Client, Verdict> {
        let own = self.trust.own(until).await?;
        let mut made = self.made.lock().await;
        if let Some((known, client)) = &*made
            && *known == own
        {
            return Ok(client.clone());
        }
        let tls = trust::client(&trust::with_system(own.clone()).await);
        let tls =
            tls.map_err(|error| Verdict::misconfigured(format!("failed to set up TLS: {error}")))?;
        let client = trust::asking_over(tls)
            // A kept connection that turns out to be dead says nothing of what has arrived.
            .pool_max_idle_per_host(0)
            .connect_timeout(self.limits.silence)
            .read_timeout(self.limits.silence)
            .build();
        let client = client.map_err(|error| {
            Verdict::misconfigured(format!("failed to set up HTTP: {}", trust::cause(&error)))
        })?;
        *made = Some((own, client.clone()));
        Ok(client)
    }

    fn lost(&self, error: reqwest::Error, place: &str) -> Lost {
        // A URL may hold a password, and nothing that is said may.
        let error = error.without_url();
        let fault = self.trust.fault(&error, place);
        if let Some(fault) = fault.filter(|_| error.is_connect()) {
            return Lost::Unsent(Verdict::misconfigured(fault));
        }
        let why = if error.is_timeout() {
            format!("no answer within {:?}", self.limits.silence)
        } else {
            trust::cause(&error)
        };
        if error.is_connect() {
            Lost::Unsent(Verdict::new(Outcome::Temporary, format!("{place} is not reached: {why}")))
        } else if error.is_builder() {
            Lost::Unsent(Verdict::new(
                Outcome::Permanent,
                format!("{place} cannot be asked: {why}"),
            ))
        } else {
            Lost::Unanswered(format!("{place} took the request, but {why}"))
        }
    }
}

/// `text` with every byte escaped that has a meaning somewhere in a URL or a form.
pub(super) fn percent(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                encoded.push(char::from(byte));
            }
            byte => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

/// Whether nobody between here and there can read what is sent.
pub(super) fn is_private(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let loopback = host == "localhost"
        || host.parse().is_ok_and(|address: std::net::IpAddr| address.is_loopback());
    url.scheme() == "https" || url.scheme() == "http" && loopback
}

fn redirect_of(response: &reqwest::Response) -> Option<String> {
    let to = response.headers().get(LOCATION)?.to_str().ok()?;
    Some(origin(&response.url().join(to).ok()?))
}

/// In seconds, or as a date.
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = match text.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        // Dates in mail and in HTTP differ in the name of the zone only, and lettre reads both.
        Err(_) => SystemTime::from(Date::parse(text).ok()?).duration_since(now).unwrap_or_default(),
    };
    Some(wait.min(RETRY_AFTER_MAX))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed test should stop")]
    use super::*;

    #[test]
    fn the_other_side_may_say_when_in_seconds_or_as_a_date() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_887_151);
        let read = |text: &'static str| {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, text.parse().unwrap())]);
            retry_after(&headers, now).map(|wait| wait.as_secs())
        };
        assert_eq!(read("120"), Some(120));
        assert_eq!(read("Tue, 15 Nov 1994 08:13:31 GMT"), Some(60));
        assert_eq!(read("Tue, 15 Nov 1994 08:00:00 GMT"), Some(0), "it is past");
        assert_eq!(read("99999999999"), Some(86_400));
        assert_eq!(read("soon"), None);
        assert_eq!(read("-5"), None);
    }

    #[test]
    fn what_has_a_meaning_in_a_url_is_escaped() {
        assert_eq!(percent("a b&c=é+~/%"), "a%20b%26c%3D%C3%A9%2B~%2F%25");
    }

    #[test]
    fn plain_http_is_private_on_a_loopback_address_only() {
        let private = |url: &str| is_private(&Url::parse(url).unwrap());
        assert!(
            private("http://127.0.0.1:13013")
                && private("http://[::1]:1")
                && private("http://localhost")
        );
        assert!(private("https://sms.example.org"));
        assert!(!private("http://sms.example.org") && !private("http://127.0.0.1.example.org"));
        assert!(!private("ftp://127.0.0.1"));
    }
}
