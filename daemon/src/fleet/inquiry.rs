//! Questions to another hub, with limits on all of it: of whom of these has something come there, and when? And which
//! tokens are known there?

use std::{collections::HashMap, sync::Arc, time::Duration};

use reqwest::{
    Client, RequestBuilder, Response, StatusCode, Url,
    header::{self, HeaderValue},
};
use serde::{Deserialize, Serialize};
use tokio::{
    sync::Mutex,
    time::{Instant, timeout},
};

use crate::{
    config::{Access, FleetConfig, Papers, Stamp},
    enrol::{SharedToken, TokenFault, token_id},
    trust::{self, Remade},
};

/// How long a question may take, and how much is read of its answer.
#[derive(Debug, Clone, Copy)]
struct Limits {
    time: Duration,
    bytes: usize,
}

/// The longest names of as many servers as a hub watches; whoever asks wants to know it at once.
const SEEN: Limits = Limits { time: Duration::from_secs(3), bytes: 8 << 20 };
/// As many tokens as there may be, with names and tags of some thousand bytes each.
const TOKENS: Limits = Limits { time: Duration::from_secs(20), bytes: 64 << 20 };

/// Another hub.
pub(super) struct Hub {
    name: Arc<str>,
    /// What its addresses begin with.
    base: String,
    access: Access,
    /// The client, and how it says who we are.
    made: Mutex<Remade<Vec<Stamp>, Made>>,
}

type Made = (Client, Option<HeaderValue>);

/// When something of a server came there last, or later.
#[derive(Debug, PartialEq)]
pub(super) struct Seen {
    pub(super) server: Arc<str>,
    pub(super) at: Instant,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum InquiryError {
    /// What the configuration names cannot be used, or makes no client.
    #[error("[fleet]: {0}")]
    Files(String),
    /// It cannot be reached, or does not answer in time.
    #[error("failed to ask {hub}: {why}")]
    Lost { hub: Arc<str>, why: String },
    /// It answers otherwise.
    #[error("{hub} answers {status}: {}", refused(*.status))]
    Refused { hub: Arc<str>, status: u16 },
    /// It has revoked the token by which it is asked.
    #[error(
        "{hub} has revoked token {token}, by which it is asked: put another into fleet.token_file \
         (`bartizan server add '*'` on one hub makes it for all)"
    )]
    Revoked { hub: Arc<str>, token: String },
    /// Its answer is no answer.
    #[error("{hub} answers what is no answer of a hub: {why}")]
    Strange { hub: Arc<str>, why: String },
}

#[derive(Serialize)]
struct Question<'a> {
    servers: &'a [Arc<str>],
}

#[derive(Deserialize)]
struct Answer {
    servers: Vec<Known>,
}

#[derive(Deserialize)]
struct Shared {
    tokens: Vec<SharedToken>,
}

#[derive(Deserialize)]
struct Refusal {
    error: String,
}

#[derive(Deserialize)]
struct Known {
    name: String,
    silent_ms: u64,
}

/// What stands before an answer.
struct Head {
    status: StatusCode,
    /// What it is known by, where that is said.
    revision: Option<String>,
}

impl Head {
    fn of(response: &Response) -> Self {
        let revision = response.headers().get(header::ETAG);
        let revision = revision.and_then(|revision| revision.to_str().ok()).map(str::to_owned);
        Self { status: response.status(), revision }
    }
}

impl Hub {
    /// The hub at `url`.
    pub(super) fn new(url: &str, config: &FleetConfig) -> Self {
        let host = Url::parse(url).ok().and_then(|url| match (url.host_str()?, url.port()) {
            (host, Some(port)) => Some(format!("{host}:{port}")),
            (host, None) => Some(host.to_owned()),
        });
        let name = host.as_deref().unwrap_or(url).into();
        let base = format!("{url}/api/v1");
        Self { name, base, access: config.access.clone(), made: Mutex::default() }
    }

    /// The host of its address.
    pub(super) fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Asks it of `servers`; those of whom it knows nothing are left out.
    pub(super) async fn ask(&self, servers: &[Arc<str>]) -> Result<Vec<Seen>, InquiryError> {
        let began = Instant::now();
        let body = serde_json::to_vec(&Question { servers })
            .map_err(|error| InquiryError::Files(error.to_string()))?;
        let url = format!("{}/seen", self.base);
        let question = |client: &Client| {
            client.post(&url).header(header::CONTENT_TYPE, "application/json").body(body.clone())
        };
        let (_, answer) = self.within(SEEN, question).await?;
        self.read(&answer, servers, began)
    }

    /// Asks which tokens it knows, where they are others than those of the revision `known`; the answer has a revision
    /// of its own.
    pub(super) async fn ask_tokens(
        &self,
        known: Option<&str>,
    ) -> Result<Option<(Option<String>, Vec<SharedToken>)>, InquiryError> {
        let url = format!("{}/tokens/shared", self.base);
        let question = |client: &Client| {
            let request = client.get(&url);
            match known {
                Some(known) => request.header(header::IF_NONE_MATCH, known),
                None => request,
            }
        };
        let (response, answer) = self.within(TOKENS, question).await?;
        if response.status == StatusCode::NOT_MODIFIED {
            return Ok(None);
        }
        let Shared { tokens } =
            serde_json::from_slice(&answer).map_err(|error| self.strange(error))?;
        Ok(Some((response.revision, tokens)))
    }

    /// What `bytes` say of `servers`; the question left at `began`.
    fn read(
        &self,
        bytes: &[u8],
        servers: &[Arc<str>],
        began: Instant,
    ) -> Result<Vec<Seen>, InquiryError> {
        let answer: Answer = serde_json::from_slice(bytes).map_err(|error| self.strange(error))?;
        let asked: HashMap<&str, &Arc<str>> =
            servers.iter().map(|server| (&**server, server)).collect();
        let seen = |known: Known| {
            let server = Arc::clone(asked.get(&*known.name)?);
            let at = began.checked_sub(Duration::from_millis(known.silent_ms))?;
            Some(Seen { server, at })
        };
        Ok(answer.servers.into_iter().filter_map(seen).collect())
    }

    /// Asks, and waits no longer than all of it may take.
    async fn within(
        &self,
        Limits { time, bytes }: Limits,
        question: impl Fn(&Client) -> RequestBuilder,
    ) -> Result<(Head, Vec<u8>), InquiryError> {
        let why = || "it does not answer in time".to_owned();
        let lost = |_| InquiryError::Lost { hub: self.name.clone(), why: why() };
        timeout(time, self.send(bytes, question)).await.map_err(lost).flatten()
    }

    async fn send(
        &self,
        bytes_max: usize,
        question: impl Fn(&Client) -> RequestBuilder,
    ) -> Result<(Head, Vec<u8>), InquiryError> {
        let hub = || self.name.clone();
        let lost = |error: reqwest::Error| {
            let error = error.without_url();
            let fault = trust::fault("fleet.ca_file", &error, &self.name);
            InquiryError::Lost { hub: hub(), why: fault.unwrap_or_else(|| trust::cause(&error)) }
        };
        let (seen, read) = (self.access.clone(), self.access.clone());
        let encrypted = self.base.starts_with("https:");
        let made = async {
            self.made.lock().await.get(move || seen.stamps(), move || make(&read, encrypted)).await
        };
        let (client, authorization) = made.await.map_err(InquiryError::Files)?;
        let mut request = question(&client);
        if let Some(value) = &authorization {
            request = request.header(header::AUTHORIZATION, value);
        }
        let mut response = request.send().await.map_err(lost)?;
        let head = Head::of(&response);
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(lost)? {
            if bytes.len() + chunk.len() > bytes_max {
                return Err(self.strange(format!("it has more than {bytes_max} bytes")));
            }
            bytes.extend_from_slice(&chunk);
        }
        if head.status.is_success() || head.status == StatusCode::NOT_MODIFIED {
            return Ok((head, bytes));
        }
        let error: Result<Refusal, _> = serde_json::from_slice(&bytes);
        let is_revoked = error.is_ok_and(|refusal| refusal.error == TokenFault::Revoked.code());
        match id_of(authorization.as_ref()).filter(|_| is_revoked) {
            Some(token) => Err(InquiryError::Revoked { hub: hub(), token }),
            None => Err(InquiryError::Refused { hub: hub(), status: head.status.as_u16() }),
        }
    }

    fn strange(&self, why: impl ToString) -> InquiryError {
        InquiryError::Strange { hub: self.name.clone(), why: why.to_string() }
    }
}

/// A client by what the files hold now, and how it says who we are. Waits for the disk.
fn make(access: &Access, encrypted: bool) -> Result<Made, String> {
    let Papers { authorization, authorities, identity } = access.papers()?;
    let client = trust::asking(encrypted, authorities, identity)?
        .pool_max_idle_per_host(1)
        .build()
        .map_err(|error| format!("failed to set up HTTP: {}", trust::cause(&error)))?;
    Ok((client, authorization))
}

/// What helps where a hub answers so.
fn refused(status: u16) -> &'static str {
    match status {
        401 | 403 => {
            "see that fleet.token_file holds a token that it knows and that may write every server (`bartizan server \
             add '*'` on one hub makes it for all)"
        }
        404 | 405 | 421 => {
            "see that fleet.hubs names it as it is called, without a path that it does not know"
        }
        _ => "its log says more",
    }
}

/// What a token is called that stands in a header.
fn id_of(authorization: Option<&HeaderValue>) -> Option<String> {
    let text = authorization?.to_str().ok()?;
    token_id(text.strip_prefix("Bearer ")?).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed test should stop")]
    use super::*;

    #[test]
    fn an_answer_says_when_those_were_seen_who_were_asked_for_and_no_others() {
        let hub = Hub::new("https://hub-2.example.org:9797", &FleetConfig::default());
        let servers = ["web-1", "web-2"].map(Arc::from);
        let began = Instant::now();
        let answer = br#"{"servers": [{"name": "web-1", "silent_ms": 1500}, {"name": "x", "silent_ms": 0}]}"#;
        let seen = hub.read(answer, &servers, began).unwrap();
        let at = began - Duration::from_millis(1500);
        assert_eq!(seen, [Seen { server: "web-1".into(), at }]);
        let error = hub.read(b"<html>", &servers, began).unwrap_err().to_string();
        assert!(
            error.starts_with("hub-2.example.org:9797 answers what is no answer of a hub"),
            "{error}"
        );
    }
}
