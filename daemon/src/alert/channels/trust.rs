//! Whom a channel trusts, and what is wrong where it does not.

use std::{error::Error, io, path::PathBuf, sync::Arc};

use rustls::{
    CertificateError, ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, pem::PemObject},
};
use tokio::{task::spawn_blocking, time::Instant};

use super::{Verdict, file};

/// The authorities that a channel trusts: the system's, and those of a file.
#[derive(Debug, Clone)]
pub(super) struct Trust {
    /// What the configuration calls the file.
    pub(super) key: &'static str,
    /// PEM file of authorities besides the system's.
    pub(super) ca_file: Option<PathBuf>,
}

impl Trust {
    /// The authorities of the file, as it is now; none where there is no file.
    pub(super) async fn own(
        &self,
        until: Instant,
    ) -> Result<Vec<CertificateDer<'static>>, Verdict> {
        let Some(path) = &self.ca_file else { return Ok(Vec::new()) };
        let pem = file::whole(self.key, path, until).await?;
        let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
        let (key, shown) = (self.key, path.display());
        match read {
            Ok(authorities) if !authorities.is_empty() => Ok(authorities),
            Ok(_) => Err(Verdict::misconfigured(format!(
                "{key} `{shown}` holds no certificate: put the authority's there, in PEM"
            ))),
            Err(error) => Err(Verdict::misconfigured(format!(
                "failed to parse {key} `{shown}`: {error}: put the authority's certificate there, in PEM"
            ))),
        }
    }

    /// What `error` says of the other side's TLS, and how it is put right; `None` where it says nothing of it.
    pub(super) fn fault(&self, error: &(dyn Error + 'static), host: &str) -> Option<String> {
        let key = self.key;
        let fault = match find_rustls(error)? {
            rustls::Error::InvalidCertificate(fault) => match fault {
                CertificateError::UnknownIssuer => format!(
                    "is signed by no authority that is trusted here: put its authority's certificate into {key}"
                ),
                CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                    "has expired: renew it there".to_owned()
                }
                CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                    "is not valid yet: correct the clock here or there".to_owned()
                }
                CertificateError::NotValidForName
                | CertificateError::NotValidForNameContext { .. } => {
                    "carries other names: use a name that it carries".to_owned()
                }
                CertificateError::Revoked => "is revoked: renew it there".to_owned(),
                // So webpki calls what `openssl req -x509` makes.
                other if format!("{other:?}").contains("CaUsedAsEndEntity") => {
                    "is that of an authority: make it with basicConstraints CA:FALSE, or sign one with it".to_owned()
                }
                other => format!("is not valid: {other}"),
            },
            rustls::Error::InvalidMessage(_) => {
                return Some(format!("{host} answers without TLS: correct port and encryption"));
            }
            rustls::Error::PeerIncompatible(why) => {
                return Some(format!(
                    "{host} offers no TLS that is safe ({why:?}): let it offer TLS 1.2 or 1.3"
                ));
            }
            _ => return None,
        };
        Some(format!("the certificate of {host} {fault}"))
    }
}

/// The system's authorities and `own`. Of the system's, those that cannot be read are left out.
pub(super) async fn with_system(
    mut own: Vec<CertificateDer<'static>>,
) -> Vec<CertificateDer<'static>> {
    // Reads some hundred files or one large one.
    let system = spawn_blocking(|| rustls_native_certs::load_native_certs().certs).await;
    own.extend(system.unwrap_or_default());
    own
}

/// TLS that trusts `authorities`. Brings its own cryptography, whatever the process has installed.
pub(super) fn client(
    authorities: &[CertificateDer<'static>],
) -> Result<ClientConfig, rustls::Error> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(authorities.iter().cloned());
    let provider = Arc::new(ring::default_provider());
    let builder =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

/// What is at the bottom of `error`, without what wraps it.
pub(super) fn cause(error: &(dyn Error + 'static)) -> String {
    let mut last = error;
    loop {
        let below = match last.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(below) => Some(below as &(dyn Error + 'static)),
            None => last.source(),
        };
        match below {
            Some(below) => last = below,
            None => break,
        }
    }
    let text = last.to_string();
    // The number says less than the words before it.
    text.split(" (os error").next().unwrap_or_default().to_owned()
}

fn find_rustls<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    let mut at = Some(error);
    while let Some(error) = at {
        if let Some(found) = error.downcast_ref::<rustls::Error>() {
            return Some(found);
        }
        // The source of an I/O error leaves out the very error that it carries.
        let carried = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        at = match carried {
            Some(carried) => Some(carried as &(dyn Error + 'static)),
            None => error.source(),
        };
    }
    None
}
