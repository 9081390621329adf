//! TLS for tests: an authority, and a server `localhost` whose certificate it has signed. The key guards nothing.
//!
//! Valid from 2020 to 2119. The authority's own key is kept nowhere.

#![expect(clippy::unwrap_used, reason = "a failed test should stop")]

use std::{io::Write, path::PathBuf, sync::Arc};

use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use tempfile::NamedTempFile;
use tokio_rustls::TlsAcceptor;

/// The authority's certificate.
const AUTHORITY: &str = "\
-----BEGIN CERTIFICATE-----
MIIBdzCCAR2gAwIBAgIBATAKBggqhkjOPQQDAjAiMSAwHgYDVQQDDBdCYXJ0aXph
biB0ZXN0IGF1dGhvcml0eTAgFw0yMDAxMDEwMDAwMDBaGA8yMTE5MTIzMTAwMDAw
MFowIjEgMB4GA1UEAwwXQmFydGl6YW4gdGVzdCBhdXRob3JpdHkwWTATBgcqhkjO
PQIBBggqhkjOPQMBBwNCAASazAfNQW24yCPAX0imfXgDDwN2uCOM4T26EfAzyU53
3Ak/qnm4ONi+p8a6mIlyavVOUjFZM9325wIie8jPryOjo0IwQDAPBgNVHRMBAf8E
BTADAQH/MA4GA1UdDwEB/wQEAwICBDAdBgNVHQ4EFgQUalsfqoLh/93c2gRkivov
MYhXrTEwCgYIKoZIzj0EAwIDSAAwRQIhAL+XQna+BRhpS9NBImO2+wMMA6BChA1N
57fljXx3J20cAiAL+ir78Sykdpq5HD5ZPYnO4a0on1A68fUM/i+rcCNWDw==
-----END CERTIFICATE-----
";

/// The certificate of `localhost`.
const SERVER: &str = "\
-----BEGIN CERTIFICATE-----
MIIBnzCCAUWgAwIBAgIBAjAKBggqhkjOPQQDAjAiMSAwHgYDVQQDDBdCYXJ0aXph
biB0ZXN0IGF1dGhvcml0eTAgFw0yMDAxMDEwMDAwMDBaGA8yMTE5MTIzMTAwMDAw
MFowFDESMBAGA1UEAwwJbG9jYWxob3N0MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcD
QgAE9nPKr74Hi5RIP6llmZga03I+TpR1o0tEhWgYJcC85mcdNcBLaGp1wQ4NSRx7
Nu+RCY7nnGn41XGGCOZfbgGxdKN4MHYwFAYDVR0RBA0wC4IJbG9jYWxob3N0MAkG
A1UdEwQCMAAwEwYDVR0lBAwwCgYIKwYBBQUHAwEwHQYDVR0OBBYEFJ0S+3C4ZrcK
RjJoyfgoJ2j/aQZAMB8GA1UdIwQYMBaAFGpbH6qC4f/d3NoEZIr6LzGIV60xMAoG
CCqGSM49BAMCA0gAMEUCIQCqm+kreEcqNwCIy9WMq9ndhfxZnpC6F2SbZjewrpIf
rgIgXFll9Ob7+OUDZwOpGOQ2YZp9/BVPexrBeDdVSWinvQw=
-----END CERTIFICATE-----
";

/// Its key.
const KEY: &str = "\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgFqGc2alI5mtbYEEb
YkbSex/feBUgY0qqKo994dNyxXKhRANCAAT2c8qvvgeLlEg/qWWZmBrTcj5OlHWj
S0SFaBglwLzmZx01wEtoanXBDg1JHHs275EJjuecafjVcYYI5l9uAbF0
-----END PRIVATE KEY-----
";

/// A file with the authority's certificate, to be named as `ca_file`.
pub(super) fn authority() -> NamedTempFile {
    file(AUTHORITY)
}

/// A file with `text`.
pub(super) fn file(text: &str) -> NamedTempFile {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

/// The path of a file, for a configuration.
pub(super) fn path(file: &NamedTempFile) -> Option<PathBuf> {
    Some(file.path().to_owned())
}

/// What makes a server of a connection.
pub(super) fn acceptor() -> TlsAcceptor {
    let chain = vec![CertificateDer::from_pem_slice(SERVER.as_bytes()).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(KEY.as_bytes()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}
