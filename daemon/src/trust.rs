//! Whom we trust when we call somebody, and what is wrong where we do not.
//!
//! Whoever calls out over TLS makes its client here, so that there is one answer to whom we trust: the system's
//! authorities and those of a file that the configuration names. Certificates are always verified.

use std::{
    error::Error,
    io,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use reqwest::{Client, ClientBuilder, redirect};
use rustls::{
    AlertDescription, CertificateError, ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer},
};
use tokio::task::spawn_blocking;

/// How the daemon calls itself.
const USER_AGENT: &str = concat!("Bartizan/", env!("CARGO_PKG_VERSION"));

/// What we show of ourselves to who asks: our certificate and those that lead to its authority, and its key.
pub(crate) type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

/// Something that is made of files, and made anew when they change.
#[derive(Debug)]
pub(crate) struct Remade<S, T>(Option<(S, T)>);

impl<S, T> Default for Remade<S, T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<S: PartialEq + Send + 'static, T: Clone + Send + 'static> Remade<S, T> {
    /// As the files are now: `look` tells their states apart, `make` reads them. Both may wait for a disk.
    pub(crate) async fn get(
        &mut self,
        look: impl FnOnce() -> S + Send + 'static,
        make: impl FnOnce() -> Result<T, String> + Send + 'static,
    ) -> Result<T, String> {
        let former = self.0.take();
        let made = spawn_blocking(move || {
            // Before they are read: whatever changes meanwhile is seen the next time.
            let now = look();
            match former {
                Some((then, made)) if then == now => Ok((now, made)),
                _ => make().map(|made| (now, made)),
            }
        });
        let (state, made) =
            made.await.map_err(|error| format!("failed to read files: {error}"))??;
        self.0 = Some((state, made.clone()));
        Ok(made)
    }
}

/// What `error` says of the other side's TLS, and how it is put right; `None` where it says nothing of it. The
/// configuration names the file of authorities by `key`.
pub(crate) fn fault(key: &str, error: &(dyn Error + 'static), host: &str) -> Option<String> {
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

/// Whether `error` is the other side's wish for a certificate of ours, of which it got none, or none that it trusts.
pub(crate) fn wants_identity(error: &(dyn Error + 'static)) -> bool {
    use AlertDescription::{BadCertificate, CertificateRequired, UnknownCA};
    matches!(
        find_rustls(error),
        Some(rustls::Error::AlertReceived(CertificateRequired | BadCertificate | UnknownCA))
    )
}

/// The system's authorities and `own`. Of the system's, those that cannot be read are left out.
pub(crate) async fn with_system(
    mut own: Vec<CertificateDer<'static>>,
) -> Vec<CertificateDer<'static>> {
    // Reads some hundred files or one large one.
    let system = spawn_blocking(|| rustls_native_certs::load_native_certs().certs).await;
    own.extend(system.unwrap_or_default());
    own
}

/// The system's authorities, shared by all who hold them at the same time. Waits for the disk; those that cannot be
/// read are left out.
fn system() -> Arc<RootCertStore> {
    static SHARED: Mutex<Weak<RootCertStore>> = Mutex::new(Weak::new());
    let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(roots) = shared.upgrade() {
        return roots;
    }
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let roots = Arc::new(roots);
    *shared = Arc::downgrade(&roots);
    roots
}

/// TLS that trusts `authorities`.
pub(crate) fn client(
    authorities: &[CertificateDer<'static>],
) -> Result<ClientConfig, rustls::Error> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(authorities.iter().cloned());
    sharing(Arc::new(roots), None)
}

/// TLS that trusts the system's authorities and `own`, and shows `identity` to who asks. Waits for the disk.
fn client_of(
    own: Vec<CertificateDer<'static>>,
    identity: Option<Identity>,
) -> Result<ClientConfig, rustls::Error> {
    let mut roots = system();
    if !own.is_empty() {
        Arc::make_mut(&mut roots).add_parsable_certificates(own);
    }
    sharing(roots, identity)
}

/// The beginnings of a client over TLS that trusts the system's authorities and `own`, and shows `identity` to who asks.
/// Where nothing is `encrypted`, the system's authorities, of which there are hundreds, are not read. Waits for the disk.
pub(crate) fn asking(
    encrypted: bool,
    own: Vec<CertificateDer<'static>>,
    identity: Option<Identity>,
) -> Result<ClientBuilder, String> {
    let tls = if encrypted { client_of(own, identity) } else { client(&[]) };
    Ok(asking_over(tls.map_err(|error| format!("failed to set up TLS: {error}"))?))
}

/// The beginnings of a client over `tls`: it says who we are, goes where it is told, and nowhere else.
pub(crate) fn asking_over(tls: ClientConfig) -> ClientBuilder {
    Client::builder()
        .tls_backend_preconfigured(tls)
        .user_agent(USER_AGENT)
        .redirect(redirect::Policy::none())
        .no_proxy()
}

/// TLS that trusts `roots`, and shows `identity` to who asks. Brings its own cryptography, whatever the process has
/// installed.
fn sharing(
    roots: Arc<RootCertStore>,
    identity: Option<Identity>,
) -> Result<ClientConfig, rustls::Error> {
    let provider = Arc::new(ring::default_provider());
    let builder =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let builder = builder.with_root_certificates(roots);
    match identity {
        Some((certificates, key)) => builder.with_client_auth_cert(certificates, key),
        None => Ok(builder.with_no_client_auth()),
    }
}

/// What is at the bottom of `error`, without what wraps it.
pub(crate) fn cause(error: &(dyn Error + 'static)) -> String {
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
