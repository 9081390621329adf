//! Questions to another hub, with limits on all of it: of whom of these has something come there, and when? And which
//! tokens are known there?

use std::{
    collections::HashMap,
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use reqwest::{Client, RequestBuilder, Response, StatusCode, Url, header, redirect};
use serde::{Deserialize, Serialize};
use tokio::{
    sync::Mutex,
    task::spawn_blocking,
    time::{Instant, timeout},
};

use crate::{
    config::{FleetConfig, certificates, read_secret},
    enrol::SharedToken,
    trust,
};

/// How long all of it may take.
const DEADLINE: Duration = Duration::from_secs(3);
/// Most that is read of an answer: the longest names of as many servers as a hub watches.
const ANSWER_MAX: usize = 8 << 20;
/// A client is made anew after this long, or once it has failed: the file of authorities may be another.
const CLIENT_AGE_MAX: Duration = Duration::from_secs(60);
/// How the daemon calls itself.
const USER_AGENT: &str = concat!("Bartizan/", env!("CARGO_PKG_VERSION"));

/// Another hub.
pub(super) struct Hub {
    name: Arc<str>,
    /// What its addresses begin with.
    base: String,
    config: FleetConfig,
    /// The client, and when it was made.
    made: Mutex<Option<(Instant, Client)>>,
}

/// When something of a server came there last, or later.
#[derive(Debug, PartialEq)]
pub(super) struct Seen {
    pub(super) server: Arc<str>,
    pub(super) at: Instant,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum InquiryError {
    /// A file cannot be used.
    #[error("failed to read fleet.{key} `{path}`: {source}")]
    File { key: &'static str, path: String, source: io::Error },
    /// There is no client.
    #[error("failed to set up the client: {0}")]
    Client(String),
    /// It cannot be reached, or does not answer in time.
    #[error("failed to ask {hub}: {why}")]
    Lost { hub: Arc<str>, why: String },
    /// It answers otherwise.
    #[error(
        "{hub} answers {status}: see that fleet.token_file holds a token that it knows, and that may write every \
         server (`bartizan server add '*'`)"
    )]
    Refused { hub: Arc<str>, status: u16 },
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
        let host = Url::parse(url).ok().and_then(|url| Some(url.host_str()?.to_owned()));
        let name = host.as_deref().unwrap_or(url).into();
        Self { name, base: format!("{url}/api/v1"), config: config.clone(), made: Mutex::default() }
    }

    /// The host of its address.
    pub(super) fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Asks it of `servers`; those of whom it knows nothing are left out.
    pub(super) async fn ask(&self, servers: &[Arc<str>]) -> Result<Vec<Seen>, InquiryError> {
        let began = Instant::now();
        let body = serde_json::to_vec(&Question { servers })
            .map_err(|error| InquiryError::Client(error.to_string()))?;
        let url = format!("{}/seen", self.base);
        let question = |client: &Client| {
            client.post(&url).header(header::CONTENT_TYPE, "application/json").body(body.clone())
        };
        let (_, answer) = self.within_deadline(question).await?;
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
        let (response, answer) = self.within_deadline(question).await?;
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
    async fn within_deadline(
        &self,
        question: impl Fn(&Client) -> RequestBuilder,
    ) -> Result<(Head, Vec<u8>), InquiryError> {
        let why = || "it does not answer in time".to_owned();
        let lost = |_| InquiryError::Lost { hub: self.name.clone(), why: why() };
        let answer = timeout(DEADLINE, self.send(question)).await.map_err(lost).flatten();
        if answer.is_err() {
            *self.made.lock().await = None;
        }
        answer
    }

    async fn send(
        &self,
        question: impl Fn(&Client) -> RequestBuilder,
    ) -> Result<(Head, Vec<u8>), InquiryError> {
        let lost = |error: reqwest::Error| {
            let error = error.without_url();
            let fault = trust::fault("fleet.ca_file", &error, &self.name);
            let why = fault.unwrap_or_else(|| trust::cause(&error));
            InquiryError::Lost { hub: self.name.clone(), why }
        };
        let client = self.client().await?;
        let token = self.file("token_file", &self.config.token_file, read_secret).await?;
        let request = question(&client).bearer_auth(token.unwrap_or_default());
        let mut response = request.send().await.map_err(lost)?;
        let head = Head::of(&response);
        if !head.status.is_success() && head.status != StatusCode::NOT_MODIFIED {
            let status = head.status.as_u16();
            return Err(InquiryError::Refused { hub: self.name.clone(), status });
        }
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(lost)? {
            if bytes.len() + chunk.len() > ANSWER_MAX {
                return Err(self.strange(format!("it has more than {ANSWER_MAX} bytes")));
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok((head, bytes))
    }

    fn strange(&self, why: impl ToString) -> InquiryError {
        InquiryError::Strange { hub: self.name.clone(), why: why.to_string() }
    }

    /// The client, made anew where it is old.
    async fn client(&self) -> Result<Client, InquiryError> {
        let mut made = self.made.lock().await;
        if let Some((at, client)) = &*made
            && at.elapsed() < CLIENT_AGE_MAX
        {
            return Ok(client.clone());
        }
        let failed = |why: String| InquiryError::Client(why);
        let own = self.file("ca_file", &self.config.ca_file, certificates).await?;
        let own = own.unwrap_or_default();
        // Of the system's authorities there are hundreds to be read, which a hub without TLS does not need.
        let trusted =
            if self.base.starts_with("https:") { trust::with_system(own).await } else { own };
        let tls = trust::client(&trusted).map_err(|error| failed(error.to_string()))?;
        let client = Client::builder()
            .tls_backend_preconfigured(tls)
            .user_agent(USER_AGENT)
            .redirect(redirect::Policy::none())
            .no_proxy()
            .pool_max_idle_per_host(1)
            .build()
            .map_err(|error| failed(trust::cause(&error)))?;
        *made = Some((Instant::now(), client.clone()));
        Ok(client)
    }

    /// What a file holds that the configuration may name by `key`.
    async fn file<T: Send + 'static>(
        &self,
        key: &'static str,
        path: &Option<PathBuf>,
        read: fn(&Path) -> io::Result<T>,
    ) -> Result<Option<T>, InquiryError> {
        let Some(path) = path.clone() else { return Ok(None) };
        let shown = path.display().to_string();
        let read = spawn_blocking(move || read(&path)).await.map_err(io::Error::other);
        let read = read.and_then(|read| read);
        read.map(Some).map_err(|source| InquiryError::File { key, path: shown, source })
    }
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
            error.starts_with("hub-2.example.org answers what is no answer of a hub"),
            "{error}"
        );
    }
}
