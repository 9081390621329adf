//! How a target is asked: whom it is trusted by, and who we are. Its files are read again when they change.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use reqwest::{
    Client, RequestBuilder,
    header::{ACCEPT, ACCEPT_ENCODING},
    redirect,
};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use tokio::task::spawn_blocking;

use super::{page::Format, resolver::Resolver};
use crate::{
    config::{Credentials, ScrapeConfig, read_secret},
    trust::{self, Identity},
};

/// How the daemon calls itself.
const USER_AGENT: &str = concat!("Bartizan/", env!("CARGO_PKG_VERSION"));
/// Largest file of certificates or of a key.
const PEM_MAX: u64 = 4 << 20;
/// A connection is kept for the next reading, if that is not too far away.
const IDLE_MIN: Duration = Duration::from_secs(30);

/// What is needed to ask, as the files were when it was made.
#[derive(Clone)]
pub(super) struct Access {
    client: Client,
    secret: Option<String>,
    stamps: Vec<Option<Stamp>>,
}

/// Without the secret.
impl std::fmt::Debug for Access {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Access").field("stamps", &self.stamps).finish_non_exhaustive()
    }
}

/// Changes when a file does.
type Stamp = (SystemTime, u64);

/// The way to one target.
#[derive(Debug)]
pub(super) struct Door {
    terms: Arc<Terms>,
    access: Option<Access>,
}

/// What is configured about it.
#[derive(Debug)]
struct Terms {
    is_tls: bool,
    interval: Duration,
    credentials: Credentials,
    ca_file: Option<PathBuf>,
    identity: Option<(PathBuf, PathBuf)>,
}

impl Door {
    pub(super) fn new(config: &ScrapeConfig) -> Self {
        let terms = Terms {
            is_tls: config.url.starts_with("https:"),
            interval: config.every(),
            credentials: config.credentials.clone(),
            ca_file: config.ca_file.clone(),
            identity: config.identity.clone(),
        };
        Self { terms: Arc::new(terms), access: None }
    }

    /// What is needed to ask; made anew where a file has changed. Says in words what is wrong with one.
    pub(super) async fn open(&mut self) -> Result<Access, String> {
        if let Some(access) = self.access.take_if(|_| self.terms.files().next().is_none()) {
            self.access = Some(access.clone());
            return Ok(access);
        }
        let (terms, made) = (self.terms.clone(), self.access.take());
        // A file may lie on a disk that does not answer.
        let opened = spawn_blocking(move || {
            let stamps: Vec<_> = terms.files().map(stamp).collect();
            match made {
                Some(access) if access.stamps == stamps => Ok(access),
                _ => terms.make(stamps),
            }
        });
        let access = opened.await.map_err(|error| format!("failed to set up HTTP: {error}"))??;
        Ok(self.access.insert(access).clone())
    }

    /// The question for the page at `url`.
    pub(super) fn question(
        &self,
        Access { client, secret, .. }: &Access,
        url: &str,
    ) -> RequestBuilder {
        let question =
            client.get(url).header(ACCEPT, Format::ACCEPT).header(ACCEPT_ENCODING, "gzip");
        match (&self.terms.credentials, secret) {
            (Credentials::Token(_), Some(secret)) => question.bearer_auth(secret),
            (Credentials::Basic { username, .. }, secret) => {
                question.basic_auth(username, secret.as_ref())
            }
            _ => question,
        }
    }
}

impl Terms {
    fn files(&self) -> impl Iterator<Item = &Path> {
        let of_us = match &self.credentials {
            Credentials::None => None,
            Credentials::Token(file) | Credentials::Basic { password_file: file, .. } => Some(file),
        };
        let identity = self.identity.iter().flat_map(|(certificate, key)| [certificate, key]);
        of_us.into_iter().chain(&self.ca_file).chain(identity).map(PathBuf::as_path)
    }

    fn make(&self, stamps: Vec<Option<Stamp>>) -> Result<Access, String> {
        let tls = self.tls()?;
        let client = Client::builder()
            .tls_backend_preconfigured(tls)
            .user_agent(USER_AGENT)
            .redirect(redirect::Policy::none())
            .no_proxy()
            .dns_resolver(Arc::new(Resolver))
            .pool_max_idle_per_host(1)
            .pool_idle_timeout((self.interval * 2).max(IDLE_MIN))
            .build()
            .map_err(|error| format!("failed to set up HTTP: {error}"))?;
        Ok(Access { client, secret: self.secret()?, stamps })
    }

    /// Token or password, as the file has it.
    fn secret(&self) -> Result<Option<String>, String> {
        let (key, path) = match &self.credentials {
            Credentials::None => return Ok(None),
            Credentials::Token(path) => ("token_file", path),
            Credentials::Basic { password_file, .. } => ("password_file", password_file),
        };
        read_secret(path).map(Some).map_err(|error| unreadable(key, path, &error))
    }

    fn tls(&self) -> Result<ClientConfig, String> {
        let roots = match (self.is_tls, &self.ca_file) {
            (false, _) => Arc::new(RootCertStore::empty()),
            (true, None) => trust::system(),
            (true, Some(path)) => {
                let mut roots = RootCertStore::clone(&trust::system());
                roots.add_parsable_certificates(certificates("ca_file", path)?);
                Arc::new(roots)
            }
        };
        trust::sharing(roots, self.identity()?)
            .map_err(|error| format!("failed to set up TLS: {error}"))
    }

    fn identity(&self) -> Result<Option<Identity>, String> {
        let Some((certificate, key)) = &self.identity else { return Ok(None) };
        let certificates = certificates("certificate", certificate)?;
        let key = PrivateKeyDer::from_pem_slice(&whole("key", key)?)
            .map_err(|_| format!("key `{}` has no private key", key.display()))?;
        Ok(Some(Identity { certificates, key }))
    }
}

fn certificates(key: &str, path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let bytes = whole(key, path)?;
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    match read {
        Ok(chain) if !chain.is_empty() => Ok(chain),
        _ => Err(format!("{key} `{}` has no certificate: put one there, in PEM", path.display())),
    }
}

fn whole(key: &str, path: &Path) -> Result<Vec<u8>, String> {
    use io::Read as _;
    let mut bytes = Vec::new();
    let read = fs::File::open(path).and_then(|file| file.take(PEM_MAX).read_to_end(&mut bytes));
    read.map(|_| bytes).map_err(|error| unreadable(key, path, &error))
}

fn unreadable(key: &str, path: &Path, error: &io::Error) -> String {
    let fix = "make it a file that the daemon's user may read";
    format!("failed to read {key} `{}`: {error}: {fix}", path.display())
}

fn stamp(path: &Path) -> Option<Stamp> {
    let known = fs::metadata(path).ok()?;
    Some((known.modified().ok()?, known.len()))
}
