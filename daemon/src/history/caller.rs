//! One question to the query API, with limits on all of it; whom we trust there, and what we show.

use std::{error::Error, time::Duration};

use reqwest::{
    Client, Url,
    header::{AUTHORIZATION, HeaderMap, HeaderValue},
};

use super::{promql::Request, reply::Reply};
use crate::{
    config::{HistoryConfig, Papers, Stamp},
    trust::{self, Remade},
};

/// How long a connection may take to come about.
const CONNECT_LIMIT: Duration = Duration::from_secs(3);
/// Most bytes that are read of an answer.
const BODY_MAX: usize = 16 << 20;
/// Most of what the other side says that is repeated.
const SAID_MAX: usize = 300;

/// What a client is made of: it is made anew when any of it changes.
type Made = Remade<(HistoryConfig, Vec<Stamp>), Asker>;

/// Makes askers. The files that the configuration names are read again when they change.
#[derive(Default)]
pub(super) struct Caller(Made);

/// Asks one query API. Cheap to clone.
#[derive(Clone)]
pub(super) struct Asker {
    client: Client,
    authorization: Option<HeaderValue>,
}

/// Why a question has no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fault {
    /// It is the question's: another one may have an answer.
    Question(String),
    /// Whatever is asked.
    Other(String),
}

impl Fault {
    /// In words for people.
    pub(super) fn why(&self) -> &str {
        let (Self::Question(why) | Self::Other(why)) = self;
        why
    }
}

impl Caller {
    /// One that asks as `config` and its files say now.
    pub(super) async fn asker(&mut self, config: &HistoryConfig) -> Result<Asker, String> {
        let (seen, read) = (config.clone(), config.clone());
        self.0.get(move || (seen.clone(), seen.access.stamps()), move || make(&read)).await
    }
}

/// An asker by what the files hold now. Waits for the disk.
fn make(config: &HistoryConfig) -> Result<Asker, String> {
    let Papers { authorization, authorities, identity } = config.access.papers()?;
    let encrypted = config.query_url.as_ref().is_some_and(|url| url.starts_with("https:"));
    let client = trust::asking(encrypted, authorities, identity)?
        .connect_timeout(CONNECT_LIMIT)
        .pool_max_idle_per_host(4)
        .tcp_nodelay(true)
        .build()
        .map_err(|error| format!("failed to set up HTTP: {}", trust::cause(&error)))?;
    Ok(Asker { client, authorization })
}

impl Asker {
    /// Asks, and reads the whole answer. Whoever waits for it sets the deadline.
    pub(super) async fn ask(&self, base: &str, request: &Request) -> Result<Reply, Fault> {
        let url = format!("{base}/api/v1/{}", request.path);
        let url = Url::parse_with_params(&url, &request.pairs);
        let bad_url = |error| Fault::Other(format!("query_url makes no URL: {error}"));
        let url = url.map_err(bad_url)?;
        let mut headers = HeaderMap::new();
        headers.extend(self.authorization.clone().map(|value| (AUTHORIZATION, value)));
        let sent = self.client.get(url).headers(headers).send();
        let mut response = sent.await.map_err(lost)?;
        let status = response.status().as_u16();
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(lost)? {
            if body.len() + chunk.len() > BODY_MAX {
                let why = format!("it answers more than {BODY_MAX} bytes: ask for less");
                return Err(Fault::Question(why));
            }
            body.extend_from_slice(&chunk);
        }
        Reply::read(status, &body).map_err(|said| match status {
            // What it cannot read, what is too long for it, and what is too much for its limits.
            400 | 413 | 414 | 422 => Fault::Question(one_line(&said)),
            _ => Fault::Other(one_line(&said)),
        })
    }
}

fn lost(error: reqwest::Error) -> Fault {
    Fault::Other(why_lost(error))
}

fn why_lost(error: reqwest::Error) -> String {
    let error = error.without_url();
    if let Some(fault) = trust::fault("ca_file", &error as &(dyn Error + 'static), "it") {
        return fault;
    }
    if trust::wants_identity(&error) {
        return "it wants a certificate of ours: give `certificate` and `key` in [history]".into();
    }
    let why = if error.is_timeout() { "no answer".to_owned() } else { trust::cause(&error) };
    if error.is_connect() {
        format!("it is not reached: {why}")
    } else {
        format!("it took the question, but {why}")
    }
}

/// The beginning of `text`, in one line without control characters.
fn one_line(text: &str) -> String {
    let plain = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    plain.take(SAID_MAX).collect()
}
