//! Who we are to those who connect by TLS: read from files, and read again when they change.
//!
//! # Invariants
//!
//! - There is always a whole identity in use: files that are broken, or do not belong together, are refused with
//!   their reason, and the former ones go on.
//! - Files are taken up once they have stayed the same between two looks, so that a certificate whose key is just
//!   being written is no error.
//! - A connection keeps what it was made with; new ones get what is in use then.

use std::{
    io,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use arc_swap::ArcSwap;
use rustls::{
    ServerConfig,
    crypto::ring::{self, Ticketer},
    server::WebPkiClientVerifier,
    sign::SingleCertAndKey,
};
use tokio_rustls::TlsAcceptor;

use crate::{
    config::{CertificateFacts, Stamp, TlsConfig, TlsError, TlsFiles, stamp},
    logging::chain,
    series::now_ms,
};

use super::HttpError;

/// A certificate that ends sooner is warned of, in milliseconds.
const SOON_MS: i64 = 14 * 24 * 3_600_000;

/// The identity in use. Shared by the listener and whoever looks after the files.
#[derive(Debug)]
pub struct Tls {
    config: ArcSwap<TlsConfig>,
    used: ArcSwap<Used>,
    looks: Mutex<Looks>,
}

#[derive(Debug)]
struct Used {
    server: Arc<ServerConfig>,
    facts: CertificateFacts,
}

/// What the last look at the files showed.
#[derive(Debug)]
struct Looks {
    /// As they were when they were last read, for better or worse.
    read: Stamps,
    /// As they were at the last look.
    seen: Stamps,
}

/// Tells files from what was in their places before.
type Stamps = Vec<(PathBuf, Stamp)>;

/// What came of a look at the files.
#[derive(Debug)]
pub(super) enum Look {
    /// They are as they were.
    Same,
    /// Other ones are in use now.
    Changed,
    /// They are not used, for this reason.
    Refused(String),
}

impl Tls {
    /// Reads the files for the first time.
    pub fn load(config: &TlsConfig) -> Result<Self, HttpError> {
        // Before they are read: whatever changes meanwhile is seen at the next look.
        let stamps = stamps(config);
        let used = ArcSwap::from_pointee(Used::read(config)?);
        let looks = Mutex::new(Looks { read: stamps.clone(), seen: stamps });
        Ok(Self { config: ArcSwap::from_pointee(config.clone()), used, looks })
    }

    /// When the certificate in use ends, in milliseconds since 1970.
    pub(super) fn ends_ms(&self) -> Option<i64> {
        self.used.load().facts.ends_ms
    }

    /// Whether the certificate in use is for `host`, which is in lower case.
    pub(super) fn is_for(&self, host: &str) -> bool {
        self.used.load().facts.is_for(host)
    }

    /// The first host that the certificate in use names.
    pub(super) fn host(&self) -> Option<String> {
        self.used.load().facts.hosts.iter().find(|host| !host.contains('*')).cloned()
    }

    pub(super) fn acceptor(&self) -> TlsAcceptor {
        self.used.load().server.clone().into()
    }

    /// These are the files from the next look on.
    pub(super) fn follow(&self, config: TlsConfig) {
        self.config.store(Arc::new(config));
    }

    /// Looks whether the files have changed, and uses them then; with `at_once` whether they have or not. Reads
    /// files: not to be called where nobody may wait for a disk.
    pub(super) fn look(&self, at_once: bool) -> Look {
        let config = self.config.load();
        let now = stamps(&config);
        {
            let mut looks = self.looks.lock().unwrap_or_else(PoisonError::into_inner);
            let settled = std::mem::replace(&mut looks.seen, now.clone()) == now;
            if !at_once && (!settled || looks.read == now) {
                return Look::Same;
            }
            looks.read = now;
        }
        match Used::read(&config) {
            Ok(used) => {
                self.used.store(Arc::new(used));
                Look::Changed
            }
            Err(error) => Look::Refused(chain(&error)),
        }
    }
}

impl Used {
    fn read(config: &TlsConfig) -> Result<Self, TlsError> {
        let TlsFiles { identity, facts, clients } = config.load()?;
        let server = server(identity, clients).map_err(|error| TlsError::Pair {
            path: config.key.clone(),
            reason: format!("rustls does not take it: {error}"),
        })?;
        let (name, ends) = (&facts.name, facts.ends_ms.unwrap_or(i64::MAX));
        let left = ends.saturating_sub(now_ms());
        let days = left.div_euclid(24 * 3_600_000);
        if left < 0 {
            tracing::warn!(name, "the certificate of http.tls has expired; renew it");
        } else if left < SOON_MS {
            tracing::warn!(name, days, "the certificate of http.tls expires soon; renew it");
        } else {
            tracing::info!(name, days, "the certificate of http.tls is in use");
        }
        Ok(Self { server: Arc::new(server), facts })
    }
}

fn server(
    identity: Arc<rustls::sign::CertifiedKey>,
    clients: Option<rustls::RootCertStore>,
) -> Result<ServerConfig, Box<dyn std::error::Error>> {
    let provider = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()?;
    let verifier = |clients: rustls::RootCertStore| {
        WebPkiClientVerifier::builder_with_provider(Arc::new(clients), provider).build()
    };
    let builder = match clients {
        Some(clients) => builder.with_client_cert_verifier(verifier(clients)?),
        None => builder.with_no_client_auth(),
    };
    let mut server = builder.with_cert_resolver(Arc::new(SingleCertAndKey::from(identity)));
    server.alpn_protocols = vec![b"http/1.1".to_vec()];
    // Whoever comes back each ten seconds need not prove everything anew.
    server.ticketer = Ticketer::new()?;
    Ok(server)
}

fn stamps(config: &TlsConfig) -> Stamps {
    config.files().map(|path| (path.to_owned(), stamp(path))).collect()
}

/// What `error` says of a handshake that failed, in words for the log.
pub(super) fn fault(error: &io::Error) -> String {
    let carried = error.get_ref().and_then(|carried| carried.downcast_ref::<rustls::Error>());
    match carried {
        Some(rustls::Error::NoCertificatesPresented) => {
            "it has no certificate, and http.tls.client_ca asks for one".into()
        }
        Some(rustls::Error::InvalidCertificate(fault)) => format!("its certificate: {fault}"),
        Some(rustls::Error::AlertReceived(alert)) => format!(
            "it refused us ({alert:?}); if it does not trust our certificate, give it our \
             authority's (`ca_file` of [[forward]], `--ca-file` of bartizan join)"
        ),
        _ => error.to_string(),
    }
}
