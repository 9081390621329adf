//! Asks a hub on another machine whether it knows our token, before anything is written.

use std::{
    error::Error,
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::{
    Request, StatusCode, Uri,
    client::conn::http1,
    header::{AUTHORIZATION, HOST},
};
use hyper_util::rt::TokioIo;
use rustls::{CertificateError, ClientConfig, crypto::ring, pki_types::ServerName};
use serde::Deserialize;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, lookup_host},
    time::timeout,
};
use tokio_rustls::TlsConnector;

use crate::config::{authorities, certificates, private_key};

/// How long each step may take.
const PATIENCE: Duration = Duration::from_secs(15);
/// Where below its address a hub takes remote writes.
const WRITE: &str = "/api/v1/write";
/// No answer is longer.
const ANSWER_MAX_BYTES: usize = 64 << 10;

/// Where a hub is, and how it is spoken to.
#[derive(Debug)]
pub(super) struct Hub {
    uri: Uri,
    /// PEM file of authorities that are trusted besides the system's.
    pub(super) ca_file: Option<PathBuf>,
    /// PEM files of a certificate of ours, and of its key.
    pub(super) identity: Option<(PathBuf, PathBuf)>,
}

/// What the hub says of a token.
#[derive(Debug, Deserialize)]
pub(super) struct Known {
    /// Servers that it may write; `*` in a name is anything.
    pub(super) servers: Vec<String>,
}

/// Why a hub cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum HubError {
    /// The address is none.
    #[error("failed to understand `{0}` as a hub: must be such as https://hub.example.org:9797")]
    Address(String),
    /// A file that TLS needs cannot be used.
    #[error("failed to use `{}`", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: Box<dyn Error + Send + Sync>,
    },
    /// Nobody answers there.
    #[error("failed to connect to {0}; does the hub run, and does it listen on that address?")]
    Connect(String, #[source] io::Error),
    /// The name has no address.
    #[error("failed to find the address of `{0}`: {1}; is the name right?")]
    Host(String, String),
    /// It is not to be trusted, or does not trust us.
    #[error("failed to speak TLS with {0}: {1}")]
    Tls(String, String),
    /// It does not answer in time.
    #[error("failed to hear of {0} within {seconds} s", seconds = PATIENCE.as_secs())]
    Silent(String),
    /// The connection broke.
    #[error("failed to ask {0}")]
    Ask(String, #[source] Box<dyn Error + Send + Sync>),
    /// Something else answers there.
    #[error(
        "failed to find a hub at {0}: what answers there is none ({1}); give the address as \
         `bartizan server add` printed it"
    )]
    NoHub(String, StatusCode),
    /// It refuses.
    #[error("failed to be let in by {0}: {1}")]
    Refused(String, String),
}

impl Hub {
    /// The hub at `address`, such as `https://hub:9797`.
    pub(super) fn at(address: &str) -> Result<Self, HubError> {
        let wrong = || HubError::Address(address.into());
        // Where it takes writes is as good, and what stands in a configuration.
        let bare = address.trim_end_matches('/');
        let bare = bare.strip_suffix(WRITE).unwrap_or(bare);
        let uri: Uri = bare.trim_end_matches('/').parse().map_err(|_| wrong())?;
        let is_web = matches!(uri.scheme_str(), Some("http" | "https"));
        let has_user = uri.authority().is_some_and(|authority| authority.as_str().contains('@'));
        let has_host = uri.host().is_some_and(|host| !host.is_empty());
        if !is_web || has_user || !has_host || uri.query().is_some() {
            return Err(wrong());
        }
        Ok(Self { uri, ca_file: None, identity: None })
    }

    /// Where it takes remote writes.
    pub(super) fn write_url(&self) -> String {
        format!("{self}{WRITE}")
    }

    /// Its name or address, and its port.
    pub(super) fn authority(&self) -> String {
        format!("{}:{}", self.host(), self.port())
    }

    fn port(&self) -> u16 {
        self.uri.port_u16().unwrap_or(if self.is_encrypted() { 443 } else { 80 })
    }

    pub(super) fn is_encrypted(&self) -> bool {
        self.uri.scheme_str() == Some("https")
    }

    /// Its name or address.
    pub(super) fn host(&self) -> &str {
        self.uri.host().unwrap_or_default()
    }

    /// Asks it what `token` allows; tells `step` of each thing that went well. Waits for it; not to be called from
    /// within a tokio runtime.
    pub(super) fn ask<E: From<HubError>>(
        &self,
        token: &str,
        mut step: impl FnMut(String) -> Result<(), E>,
    ) -> Result<Known, E> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| HubError::Ask(self.to_string(), error.into()))?;
        runtime.block_on(async {
            let silent = |_| HubError::Silent(self.to_string());
            let host = self.host().trim_start_matches('[').trim_end_matches(']');
            let found = timeout(PATIENCE, lookup_host((host, self.port()))).await;
            let failed = |error: io::Error| {
                // What stands before says once more that it has failed.
                let said = error.to_string();
                HubError::Host(host.into(), said.rsplit(": ").next().unwrap_or_default().into())
            };
            let addresses: Vec<_> = found.map_err(silent)?.map_err(failed)?.collect();
            let connected = timeout(PATIENCE, TcpStream::connect(&*addresses)).await;
            let failed = |source| HubError::Connect(self.to_string(), source);
            let stream = connected.map_err(silent)?.map_err(failed)?;
            let answered = if self.is_encrypted() {
                let shaken = timeout(PATIENCE, self.encrypt(stream, host)).await;
                let stream = shaken.map_err(silent)??;
                step(format!("connected to {self}, encrypted"))?;
                timeout(PATIENCE, self.exchange(stream, token)).await
            } else {
                step(format!("connected to {self}, not encrypted"))?;
                timeout(PATIENCE, self.exchange(stream, token)).await
            };
            Ok(answered.map_err(silent)??)
        })
    }

    async fn encrypt(
        &self,
        stream: TcpStream,
        host: &str,
    ) -> Result<tokio_rustls::client::TlsStream<TcpStream>, HubError> {
        let failed = |why: String| HubError::Tls(self.to_string(), why);
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| failed(format!("`{host}` can stand in no certificate")))?;
        let connector = TlsConnector::from(Arc::new(self.trust()?));
        connector.connect(name, stream).await.map_err(|error| failed(fault(&error)))
    }

    fn trust(&self) -> Result<ClientConfig, HubError> {
        let mut roots = rustls::RootCertStore::empty();
        if let Some(path) = &self.ca_file {
            roots = authorities(path).map_err(|error| unusable(path, error))?;
        }
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| HubError::Tls(self.to_string(), error.to_string()))?
            .with_root_certificates(roots);
        let Some((certificate, key)) = &self.identity else {
            return Ok(builder.with_no_client_auth());
        };
        let chain = certificates(certificate).map_err(|error| unusable(certificate, error))?;
        let secret = private_key(key).map_err(|error| unusable(key, error))?;
        builder.with_client_auth_cert(chain, secret).map_err(|error| unusable(key, error))
    }

    async fn exchange<S>(&self, stream: S, token: &str) -> Result<Known, HubError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let broken = |error: hyper::Error| {
            // In TLS 1.3 a client hears only now that its certificate is missing or refused.
            let io = error.source().and_then(|cause| cause.downcast_ref::<io::Error>());
            match io.and_then(io::Error::get_ref).filter(|cause| cause.is::<rustls::Error>()) {
                Some(_) => HubError::Tls(self.to_string(), io.map_or_else(String::new, fault)),
                None => HubError::Ask(self.to_string(), error.into()),
            }
        };
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
        let connection = tokio::spawn(connection);
        let authority = self.uri.authority().map_or("", |authority| authority.as_str());
        let request =
            Request::get(format!("{}/api/v1/enrolment", self.uri.path().trim_end_matches('/')))
                .header(HOST, authority)
                .header(AUTHORIZATION, format!("Bearer {token}"))
                .body(Full::<Bytes>::default())
                .map_err(|error| HubError::Ask(self.to_string(), error.into()))?;
        let response = sender.send_request(request).await.map_err(broken)?;
        let status = response.status();
        let body = Limited::new(response.into_body(), ANSWER_MAX_BYTES).collect().await;
        let body = body.map_err(|error| HubError::Ask(self.to_string(), error))?.to_bytes();
        connection.abort();
        self.understand(status, &body)
    }

    fn understand(&self, status: StatusCode, body: &[u8]) -> Result<Known, HubError> {
        #[derive(Deserialize)]
        struct Refusal {
            detail: String,
        }
        let no_hub = || HubError::NoHub(self.to_string(), status);
        if status.is_success() {
            return serde_json::from_slice(body).map_err(|_| no_hub());
        }
        match serde_json::from_slice(body) {
            Ok(Refusal { detail }) if status != StatusCode::NOT_FOUND => {
                Err(HubError::Refused(self.to_string(), detail))
            }
            _ => Err(no_hub()),
        }
    }
}

impl std::fmt::Display for Hub {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.uri.to_string().trim_end_matches('/'))
    }
}

fn unusable(path: &Path, error: impl Into<Box<dyn Error + Send + Sync>>) -> HubError {
    HubError::File { path: path.into(), source: error.into() }
}

/// What is wrong with a handshake, and what helps.
fn fault(error: &io::Error) -> String {
    let carried = error.get_ref().and_then(|carried| carried.downcast_ref::<rustls::Error>());
    match carried {
        Some(rustls::Error::InvalidCertificate(fault)) => match fault {
            CertificateError::UnknownIssuer => "its certificate is signed by no authority that is \
                 trusted here: give the authority's certificate by --ca-file"
                .into(),
            CertificateError::BadSignature => "its certificate is signed by another authority of \
                 the same name: give the present one by --ca-file"
                .into(),
            CertificateError::NotValidForNameContext { .. } | CertificateError::NotValidForName => {
                format!("its certificate carries other names: use a name that it carries ({fault})")
            }
            CertificateError::ExpiredContext { .. } | CertificateError::Expired => {
                "its certificate has expired: renew it there".into()
            }
            other => format!("its certificate is not valid: {other}"),
        },
        Some(rustls::Error::AlertReceived(alert)) => {
            format!(
                "it refuses us ({alert:?}); if it asks for a certificate, give one by --certificate and --key"
            )
        }
        Some(rustls::Error::InvalidMessage(_)) => {
            "it answers without TLS: correct the port, or begin the address with http://".into()
        }
        _ => error.to_string(),
    }
}
