//! Files that the configuration names: secrets and certificates.
//!
//! A secret never stands in the configuration itself, which people copy, show
//! and keep under version control. It is read each time it is needed, so that a
//! new one counts without a restart; here it is only seen whether it could be.

use std::{
    fs::File,
    io::{self, Read},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use rustls::{
    RootCertStore,
    pki_types::{
        CertificateDer, PrivateKeyDer,
        pem::{self, PemObject},
    },
};
use toml::de::DeValue;

use super::value;

/// More than any password, key or bundle of authorities has.
const LENGTH_MAX: u64 = 4 << 20;

/// The secret in the first line of the file at `path`, without the line's end.
pub fn read_secret(path: &Path) -> io::Result<String> {
    let bytes = read_limited(path)?;
    let text = String::from_utf8(bytes).map_err(|_| invalid("is not UTF-8"))?;
    match text.lines().next().map(str::trim_end) {
        None | Some("") => Err(invalid("has nothing in its first line")),
        Some(secret) => Ok(secret.into()),
    }
}

/// Tells a file from what was in its place before: its number, when it was changed, its length.
pub type Stamp = Option<(u64, i64, i64, u64)>;

/// What the file at `path` is told by; `None` where there is none.
pub fn stamp(path: &Path) -> Stamp {
    let file = path.metadata().ok()?;
    Some((file.ino(), file.mtime(), file.mtime_nsec(), file.len()))
}

/// A file that [`read_secret`] can read.
pub(super) fn secret_file(value: &DeValue<'_>) -> Result<PathBuf, String> {
    file(value, read_secret)
}

/// A PEM file of certificates, each of which can be an authority.
pub(super) fn ca_file(value: &DeValue<'_>) -> Result<PathBuf, String> {
    file(value, authorities)
}

/// The authorities of the PEM file at `path`, at least one.
pub fn authorities(path: &Path) -> io::Result<RootCertStore> {
    let mut authorities = RootCertStore::empty();
    for certificate in certificates(path)? {
        let added = authorities.add(certificate);
        added.map_err(|error| invalid(&format!("has a certificate that is none: {error}")))?;
    }
    Ok(authorities)
}

/// A PEM file of at least one certificate, to be shown to others.
pub(super) fn certificate_file(value: &DeValue<'_>) -> Result<PathBuf, String> {
    file(value, certificates)
}

/// The certificates of the PEM file at `path`, at least one, in their order.
pub(crate) fn certificates(path: &Path) -> io::Result<Vec<CertificateDer<'static>>> {
    certificates_in(&read_limited(path)?)
}

/// The certificates of a PEM file that holds `bytes`, at least one, in their order.
pub(crate) fn certificates_in(bytes: &[u8]) -> io::Result<Vec<CertificateDer<'static>>> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(bytes).collect();
    let certificates = read.map_err(|error| invalid(&format!("is no PEM file: {error}")))?;
    if certificates.is_empty() {
        return Err(invalid("has no certificate; must be a PEM file with at least one"));
    }
    Ok(certificates)
}

/// A PEM file of a private key.
pub(super) fn key_file(value: &DeValue<'_>) -> Result<PathBuf, String> {
    file(value, private_key)
}

/// The private key of the PEM file at `path`.
pub(crate) fn private_key(path: &Path) -> io::Result<PrivateKeyDer<'static>> {
    PrivateKeyDer::from_pem_slice(&read_limited(path)?).map_err(|error| match error {
        pem::Error::NoItemsFound => invalid(
            "has no private key; must be a PEM file with one that needs no password (`openssl \
             pkey -in FILE` takes it off)",
        ),
        other => invalid(&format!("is no PEM file: {other}")),
    })
}

/// A file that `check` can read.
fn file<T>(
    value: &DeValue<'_>,
    check: impl FnOnce(&Path) -> io::Result<T>,
) -> Result<PathBuf, String> {
    let text = value::text(value)?;
    if text.is_empty() {
        return Err("is empty, must be a file".into());
    }
    let path = PathBuf::from(text);
    match check(&path) {
        Ok(_) => Ok(path),
        Err(error) => Err(format!("is `{text}`, {}", reason(&error))),
    }
}

fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "and there is no such file".into(),
        io::ErrorKind::PermissionDenied => "which must not be read by this user".into(),
        io::ErrorKind::InvalidData => format!("which {error}"),
        _ => format!("which cannot be read: {error}"),
    }
}

/// The whole file, if it is no larger than any that is named here.
fn read_limited(path: &Path) -> io::Result<Vec<u8>> {
    // Asked before it is opened: opening a pipe would wait for whoever writes to it.
    if !path.metadata()?.is_file() {
        return Err(invalid("is no file"));
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(LENGTH_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LENGTH_MAX {
        return Err(invalid(&format!("is larger than {}MiB", LENGTH_MAX >> 20)));
    }
    Ok(bytes)
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed test should stop")]
    use super::*;

    #[test]
    fn a_secret_is_the_first_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        let read = |text: &[u8]| {
            std::fs::write(&path, text).unwrap();
            read_secret(&path).map_err(|error| error.to_string())
        };
        assert_eq!(read(b"hush \r\nmore"), Ok("hush".into()));
        assert_eq!(read(b"  two words"), Ok("  two words".into()));
        assert_eq!(read(b""), Err("has nothing in its first line".into()));
        assert_eq!(read(b"\nhush"), Err("has nothing in its first line".into()));
        assert_eq!(read(b"\xff"), Err("is not UTF-8".into()));
        assert_eq!(read_secret(folder.path()).unwrap_err().to_string(), "is no file");
    }

    #[test]
    fn a_bundle_holds_certificates() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ca.pem");
        let said = |text: &str| {
            std::fs::write(&path, text).unwrap();
            let value = DeValue::String(path.to_str().unwrap().into());
            ca_file(&value).err().unwrap_or_default()
        };
        let fine = include_str!("cases/valid/ca.pem");
        assert_eq!(said(fine), "");
        assert_eq!(said(&format!("{fine}\n{fine}")), "");
        assert!(said("hush").contains("has no certificate"));
        let not_base64 = "-----BEGIN CERTIFICATE-----\n%%\n-----END CERTIFICATE-----\n";
        assert!(said(not_base64).contains("is no PEM file"));
        let not_der = "-----BEGIN CERTIFICATE-----\naHVzaA==\n-----END CERTIFICATE-----\n";
        assert!(said(not_der).contains("a certificate that is none"));
    }
}
