//! `[http.tls]`

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{Error, RootCertStore, crypto::ring, sign::CertifiedKey};

use super::{
    CertificateFacts,
    secret::{authorities, ca_file, certificate_file, certificates, key_file, private_key},
    section::Section,
};

/// Who we are to those who connect, and whom of them we let in. The files are read at the start and whenever they
/// change.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TlsConfig {
    /// PEM file of our certificate, and behind it those that lead to the authority.
    pub certificate: PathBuf,
    /// PEM file of its key.
    pub key: PathBuf,
    /// PEM file of authorities, one of which must have signed whoever connects; nobody needs a certificate unless
    /// given.
    pub client_ca: Option<PathBuf>,
}

/// What the files hold.
#[derive(Debug, Clone)]
pub struct TlsFiles {
    /// Certificates and key, which belong together.
    pub identity: Arc<CertifiedKey>,
    /// What our certificate says.
    pub facts: CertificateFacts,
    /// Whoever may sign those who connect.
    pub clients: Option<RootCertStore>,
}

/// Why the files cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// One cannot be read, or holds something else.
    #[error("failed to read http.tls.{key} `{}`", path.display())]
    File {
        /// What the configuration calls it.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: io::Error,
    },
    /// Certificate and key do not make a pair.
    #[error("failed to use http.tls.key `{}`: {reason}", path.display())]
    Pair {
        /// The file of the key.
        path: PathBuf,
        /// Why not, and what helps.
        reason: String,
    },
}

impl TlsConfig {
    pub(super) fn read(section: &mut Section<'_>) -> Self {
        for (key, what) in [("certificate", "PEM file of ours"), ("key", "PEM file of its key")] {
            if !section.has(key) {
                section.refuse(key, format!("is missing: the {what}"));
            }
        }
        let certificate = section.value("certificate", certificate_file);
        let key = section.value("key", key_file);
        let config = Self {
            certificate: certificate.clone().unwrap_or_default(),
            key: key.clone().unwrap_or_default(),
            client_ca: section.value("client_ca", ca_file),
        };
        if certificate.is_some()
            && key.is_some()
            && let Err(TlsError::Pair { reason, .. }) = config.identity()
        {
            section.refuse("key", format!("is `{}`, which {reason}", config.key.display()));
        }
        config
    }

    /// What the files hold at this moment. Reads them; not to be called where nobody may wait for a disk.
    pub fn load(&self) -> Result<TlsFiles, TlsError> {
        let identity = Arc::new(self.identity()?);
        let facts = identity.end_entity_cert().map(CertificateFacts::of).unwrap_or_default();
        let clients = self.client_ca.as_deref().map(|path| {
            let failed =
                |source| TlsError::File { key: "client_ca", path: path.to_owned(), source };
            authorities(path).map_err(failed)
        });
        Ok(TlsFiles { identity, facts, clients: clients.transpose()? })
    }

    /// The files, in a fixed order.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        let required = [self.certificate.as_path(), self.key.as_path()];
        required.into_iter().chain(self.client_ca.as_deref())
    }

    fn identity(&self) -> Result<CertifiedKey, TlsError> {
        let failed = |key, path: &Path| {
            let path = path.to_owned();
            move |source| TlsError::File { key, path, source }
        };
        let chain =
            certificates(&self.certificate).map_err(failed("certificate", &self.certificate))?;
        let key = private_key(&self.key).map_err(failed("key", &self.key))?;
        CertifiedKey::from_der(chain, key, &ring::default_provider()).map_err(|error| {
            let reason = match error {
                Error::InconsistentKeys(_) => format!(
                    "does not belong to certificate `{}`; name the key that the certificate was \
                     made with",
                    self.certificate.display()
                ),
                other => format!("cannot be used with its certificate: {other}"),
            };
            TlsError::Pair { path: self.key.clone(), reason }
        })
    }
}
