//! One request and its answer, with limits on all of it; whom we trust, and what we show.

use std::{
    error::Error,
    io,
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use reqwest::{
    Client, Url,
    header::{
        AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue,
        LOCATION, RETRY_AFTER,
    },
    redirect,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use tokio::{
    task::spawn_blocking,
    time::{Instant, timeout_at},
};

use super::verdict::{Answer, retry_after};
use crate::{
    config::{ForwardAuth, ForwardConfig, Protocol, read_secret},
    trust,
};

/// How the daemon calls itself.
const USER_AGENT: &str = concat!("Bartizan/", env!("CARGO_PKG_VERSION"));
/// How long a connection may take to come about.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// Most that is read of an answer, and most that is repeated of it.
const BODY_MAX: usize = 4096;
const SAID_MAX: usize = 300;
/// How old what was read of files may get while nothing points to a change.
const FILES_EVERY: Duration = Duration::from_secs(30);
/// More than any certificate or key has.
const FILE_MAX: u64 = 4 << 20;
/// A connection that is not used for longer than this is closed.
const IDLE_MAX: Duration = Duration::from_secs(50);
const VERSION: HeaderName = HeaderName::from_static("x-prometheus-remote-write-version");
const WRITTEN: HeaderName = HeaderName::from_static("x-prometheus-remote-write-samples-written");

/// Posts bodies to a target.
pub(super) struct Caller {
    config: Arc<ForwardConfig>,
    made: Option<Made>,
}

struct Made {
    files: Files,
    read: Instant,
    /// Whether the files may have changed since.
    doubtful: bool,
    client: Client,
    authorization: Option<HeaderValue>,
}

/// The files that the configuration names, as they were read.
#[derive(PartialEq, Default)]
struct Files {
    secret: Option<String>,
    authorities: Vec<u8>,
    certificate: Vec<u8>,
    key: Vec<u8>,
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
        Self { config, made: None }
    }

    /// What was read of files may be outdated: the next call reads them again.
    pub(super) fn doubt_files(&mut self) {
        if let Some(made) = &mut self.made {
            made.doubtful = true;
        }
    }

    /// Posts `body` to `url` and waits for the answer, for as long as the configuration says.
    pub(super) async fn post(
        &mut self,
        url: &str,
        protocol: Protocol,
        body: Bytes,
    ) -> Result<Answer, Lost> {
        let until = Instant::now() + self.config.timeout;
        let made = self.made().await?;
        let mut headers = headers(protocol);
        headers.extend(made.authorization.clone().map(|value| (AUTHORIZATION, value)));
        let url =
            Url::parse(url).map_err(|error| Lost::held(format!("its URL is none: {error}")))?;
        let host = url.origin().ascii_serialization();
        let sent = made.client.post(url).headers(headers).body(body).send();
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
        answer.said = one_line(&String::from_utf8_lossy(&said));
        Ok(answer)
    }

    /// The client, made anew when a file has changed.
    async fn made(&mut self) -> Result<&Made, Lost> {
        let now = Instant::now();
        let fresh = |made: &Made| !made.doubtful && now - made.read < FILES_EVERY;
        if !self.made.as_ref().is_some_and(fresh) {
            let config = self.config.clone();
            let read = spawn_blocking(move || Files::read(&config)).await;
            let files = read.map_err(|_| Lost::passing("files could not be read"))?;
            let files = files.map_err(Lost::held)?;
            match &mut self.made {
                Some(made) if made.files == files => (made.read, made.doubtful) = (now, false),
                _ => self.made = Some(make(&self.config, files, now).await.map_err(Lost::held)?),
            }
        }
        self.made.as_ref().ok_or_else(|| Lost::passing("there is no client"))
    }
}

impl Files {
    fn read(config: &ForwardConfig) -> Result<Self, String> {
        let failed = |key: &str, path: &Path, error: io::Error| {
            let fix = "make it a file that the daemon's user may read";
            format!("failed to read {key} `{}`: {error}: {fix}", path.display())
        };
        let whole = |key: &str, path: &Path| {
            let read = || match std::fs::metadata(path)? {
                file if !file.is_file() => Err(io::Error::other("is no file")),
                file if file.len() > FILE_MAX => Err(io::Error::other("is larger than 4 MiB")),
                _ => std::fs::read(path),
            };
            read().map_err(|error| failed(key, path, error))
        };
        let mut files = Self::default();
        let secret = match &config.auth {
            Some(ForwardAuth::Token(path)) => Some(("token_file", path)),
            Some(ForwardAuth::Password { file, .. }) => Some(("password_file", file)),
            None => None,
        };
        if let Some((key, path)) = secret {
            files.secret = Some(read_secret(path).map_err(|error| failed(key, path, error))?);
        }
        if let Some(path) = &config.ca_file {
            files.authorities = whole("ca_file", path)?;
        }
        if let Some((certificate, key)) = &config.identity {
            files.certificate = whole("certificate", certificate)?;
            files.key = whole("key", key)?;
        }
        Ok(files)
    }

    fn authorization(&self, auth: Option<&ForwardAuth>) -> Result<Option<HeaderValue>, String> {
        let (Some(secret), Some(auth)) = (&self.secret, auth) else { return Ok(None) };
        let text = match auth {
            ForwardAuth::Token(_) => format!("Bearer {secret}"),
            ForwardAuth::Password { username, .. } => {
                format!("Basic {}", STANDARD.encode(format!("{username}:{secret}")))
            }
        };
        let mut value = HeaderValue::try_from(text)
            .map_err(|_| "the token has signs that no header may have: write it anew".to_owned())?;
        value.set_sensitive(true);
        Ok(Some(value))
    }

    fn identity(&self, config: &ForwardConfig) -> Result<Option<trust::Identity>, String> {
        let Some((certificate, key)) = &config.identity else { return Ok(None) };
        let certificates = certificates("certificate", certificate, &self.certificate)?;
        let key = PrivateKeyDer::from_pem_slice(&self.key).map_err(|error| {
            let fix = "put a private key there, in PEM";
            format!("failed to parse key `{}`: {error}: {fix}", key.display())
        })?;
        Ok(Some(trust::Identity { certificates, key }))
    }
}

fn certificates(
    key: &str,
    path: &Path,
    pem: &[u8],
) -> Result<Vec<CertificateDer<'static>>, String> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let shown = path.display();
    match read {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) => Err(format!("{key} `{shown}` holds no certificate: put one there, in PEM")),
        Err(error) => Err(format!("failed to parse {key} `{shown}`: {error}: write it in PEM")),
    }
}

async fn make(config: &ForwardConfig, files: Files, now: Instant) -> Result<Made, String> {
    let own = match &config.ca_file {
        Some(path) => certificates("ca_file", path, &files.authorities)?,
        None => Vec::new(),
    };
    let identity = files.identity(config)?;
    let tls = trust::client(&trust::with_system(own).await, identity)
        .map_err(|error| format!("failed to set up TLS: {error}"))?;
    let client = Client::builder()
        .tls_backend_preconfigured(tls)
        .user_agent(USER_AGENT)
        .redirect(redirect::Policy::none())
        .no_proxy()
        .connect_timeout(CONNECT_LIMIT)
        .pool_max_idle_per_host(1)
        .pool_idle_timeout(IDLE_MAX)
        .tcp_nodelay(true)
        .build()
        .map_err(|error| format!("failed to set up HTTP: {}", trust::cause(&error)))?;
    let authorization = files.authorization(config.auth.as_ref())?;
    Ok(Made { files, read: now, doubtful: false, client, authorization })
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
    fn what_the_other_side_says_is_one_short_line() {
        assert_eq!(one_line("out of order\r\n  sample\u{1b}[31m\n"), "out of order sample [31m");
        assert_eq!(one_line(&"é".repeat(500)).chars().count(), SAID_MAX + 1);
    }
}
