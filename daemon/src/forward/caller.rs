//! One request and its answer, with limits on all of it; whom we trust, and what we show.

use std::{
    borrow::Cow,
    error::Error,
    sync::Arc,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use reqwest::{
    Client, Url,
    header::{
        AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue,
        LOCATION, RETRY_AFTER,
    },
};
use serde::Deserialize;
use tokio::time::{Instant, timeout_at};

use super::verdict::{Answer, retry_after};
use crate::{
    config::{ForwardConfig, Papers, Protocol, Stamp},
    trust::{self, Remade},
};

/// How long a connection may take to come about.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// Most that is read of an answer, and most that is repeated of it.
const BODY_MAX: usize = 4096;
const SAID_MAX: usize = 300;
/// A connection that is not used for longer than this is closed.
const IDLE_MAX: Duration = Duration::from_secs(50);
const VERSION: HeaderName = HeaderName::from_static("x-prometheus-remote-write-version");
const WRITTEN: HeaderName = HeaderName::from_static("x-prometheus-remote-write-samples-written");

/// Posts bodies to a target. Its files are read again when they change.
pub(super) struct Caller {
    config: Arc<ForwardConfig>,
    made: Remade<Vec<Stamp>, (Client, Option<HeaderValue>)>,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Lost {
    /// In words for people.
    pub(super) said: String,
    /// Whether time alone will not mend it.
    pub(super) held: bool,
    /// Whether it took too long.
    pub(super) slow: bool,
    /// Whether the request has left, and may have been taken.
    pub(super) sent: bool,
}

impl Lost {
    fn held(said: impl Into<String>) -> Self {
        Self { said: said.into(), held: true, slow: false, sent: false }
    }

    fn passing(said: impl Into<String>) -> Self {
        Self { said: said.into(), held: false, slow: false, sent: false }
    }
}

impl Caller {
    /// A caller of the target that `config` describes.
    pub(super) fn new(config: Arc<ForwardConfig>) -> Self {
        Self { config, made: Remade::default() }
    }

    /// Posts `body` to `url` and waits for the answer, for as long as the configuration says.
    pub(super) async fn post(
        &mut self,
        url: &str,
        protocol: Protocol,
        body: Bytes,
    ) -> Result<Answer, Lost> {
        let until = Instant::now() + self.config.timeout;
        let (seen, read) = (self.config.clone(), self.config.clone());
        let made = self.made.get(move || seen.access.stamps(), move || make(&read));
        let Ok(made) = timeout_at(until, made).await else {
            return Err(Lost::passing("the files that it needs cannot be read in time"));
        };
        let (client, authorization) = made.map_err(Lost::held)?;
        let mut headers = headers(protocol);
        headers.extend(authorization.map(|value| (AUTHORIZATION, value)));
        let url =
            Url::parse(url).map_err(|error| Lost::held(format!("its URL is none: {error}")))?;
        let host = url.origin().ascii_serialization();
        let sent = client.post(url).headers(headers).body(body).send();
        let mut response = match timeout_at(until, sent).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => return Err(lost(error, &host)),
            Err(_) => {
                let said = format!("{host} did not answer within {:?}", self.config.timeout);
                return Err(Lost { slow: true, sent: true, ..Lost::passing(said) });
            }
        };
        let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
        let mut answer = Answer {
            status: response.status().as_u16(),
            written: header(WRITTEN).and_then(|text| text.trim().parse().ok()),
            retry_after: header(RETRY_AFTER).and_then(|text| retry_after(text, SystemTime::now())),
            location: header(LOCATION).map(one_line),
            said: String::new(),
        };
        let mut said = Vec::new();
        // To the end, so that the connection can be used again; what does not end soon is not worth it.
        while said.len() < BODY_MAX {
            match timeout_at(until, response.chunk()).await {
                Ok(Ok(Some(chunk))) => said.extend_from_slice(&chunk),
                // The status has said what matters.
                Ok(Ok(None) | Err(_)) | Err(_) => break,
            }
        }
        answer.said = one_line(&detail(&said));
        Ok(answer)
    }
}

/// A client by what the files hold now, and how it says who we are. Waits for the disk.
fn make(config: &ForwardConfig) -> Result<(Client, Option<HeaderValue>), String> {
    let Papers { authorization, authorities, identity } = config.access.papers()?;
    let encrypted = config.urls.iter().any(|url| url.starts_with("https:"));
    let client = trust::asking(encrypted, authorities, identity)?
        .connect_timeout(CONNECT_LIMIT)
        .pool_max_idle_per_host(1)
        .pool_idle_timeout(IDLE_MAX)
        .tcp_nodelay(true)
        .build()
        .map_err(|error| format!("failed to set up HTTP: {}", trust::cause(&error)))?;
    Ok((client, authorization))
}

fn headers(protocol: Protocol) -> HeaderMap {
    let (kind, version) = match protocol {
        Protocol::V1 => ("application/x-protobuf", "0.1.0"),
        Protocol::V2 => ("application/x-protobuf;proto=io.prometheus.write.v2.Request", "2.0.0"),
    };
    HeaderMap::from_iter([
        (CONTENT_TYPE, HeaderValue::from_static(kind)),
        (CONTENT_ENCODING, HeaderValue::from_static("snappy")),
        (VERSION, HeaderValue::from_static(version)),
    ])
}

fn lost(error: reqwest::Error, host: &str) -> Lost {
    let error = error.without_url();
    if let Some(fault) = trust::fault("ca_file", &error as &(dyn Error + 'static), host) {
        return Lost::held(fault);
    }
    if trust::wants_identity(&error) {
        let fix = "give `certificate` and `key`, signed by an authority that it trusts";
        return Lost::held(format!("{host} wants a certificate of ours: {fix}"));
    }
    let slow = error.is_timeout();
    let why = if slow { "it does not answer".to_owned() } else { trust::cause(&error) };
    let said = if error.is_connect() {
        format!("{host} is not reached: {why}")
    } else {
        format!("{host} took the request, but {why}")
    };
    let sent = !error.is_connect();
    // One that is not reached was not overtaxed.
    Lost { slow: slow && sent, sent, ..Lost::passing(said) }
}

/// What `body` says for people: a hub of ours says it in JSON.
fn detail(body: &[u8]) -> Cow<'_, str> {
    #[derive(Deserialize)]
    struct Problem {
        detail: String,
    }
    match serde_json::from_slice(body) {
        Ok(Problem { detail }) => detail.into(),
        Err(_) => String::from_utf8_lossy(body),
    }
}

/// The beginning of `text`, in one line without control characters.
fn one_line(text: &str) -> String {
    let plain: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let line = plain.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(SAID_MAX) {
        Some((at, _)) => format!("{}…", line.get(..at).unwrap_or_default()),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hub_of_ours_speaks_in_sentences() {
        assert_eq!(detail(br#"{"error": "a", "detail": "mend it"}"#), "mend it");
        assert_eq!(detail(b"{\"error\": \"a\"}"), "{\"error\": \"a\"}");
        assert_eq!(detail(b"no \xff"), "no \u{fffd}");
    }

    #[test]
    fn what_the_other_side_says_is_one_short_line() {
        assert_eq!(one_line("out of order\r\n  sample\u{1b}[31m\n"), "out of order sample [31m");
        assert_eq!(one_line(&"é".repeat(500)).chars().count(), SAID_MAX + 1);
    }
}
