//! How another machine is asked: who we are to it, and whom we trust besides the system's authorities.
//!
//! The same keys wherever the configuration names a machine that may ask for a proof. Files are read when they are
//! needed, so that a new token or certificate counts without a restart; nothing of what they hold is ever said.

use std::{
    io,
    path::{Path, PathBuf},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use hyper::header::HeaderValue;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use toml::de::DeValue;

use super::{
    secret::{
        Stamp, ca_file, certificate_file, certificates, key_file, private_key, read_secret,
        secret_file, stamp,
    },
    section::Section,
    value,
};

/// Who we are to another machine, and whom we trust there.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Access {
    /// Who we are by a secret.
    pub credentials: Credentials,
    /// PEM file of authorities that are trusted besides the system's.
    pub ca_file: Option<PathBuf>,
    /// PEM files of the certificate that we show, and of its key.
    pub identity: Option<(PathBuf, PathBuf)>,
}

/// Who we are by a secret, which is the first line of a file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Credentials {
    /// Nobody.
    #[default]
    None,
    /// Who has this bearer token.
    Token(PathBuf),
    /// A user with a password.
    Password {
        /// The user.
        username: String,
        /// The file of the password.
        file: PathBuf,
    },
}

/// What the files hold. Has no `Debug`: they are secrets.
pub struct Papers {
    /// The value of `Authorization`, where we say who we are.
    pub authorization: Option<HeaderValue>,
    /// Authorities that are trusted besides the system's.
    pub authorities: Vec<CertificateDer<'static>>,
    /// Our certificate and those that lead to its authority, and its key.
    pub identity: Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>,
}

impl Access {
    /// How the machines at `urls` are asked.
    pub(super) fn read(section: &mut Section<'_>, urls: &[String]) -> Self {
        let access = Self {
            credentials: Credentials::read(section),
            ca_file: section.value("ca_file", ca_file),
            identity: identity(section),
        };
        let encrypted = urls.iter().any(|url| url.starts_with("https:"));
        for key in ["ca_file", "certificate", "key"] {
            if section.has(key) && !urls.is_empty() && !encrypted {
                section.refuse(key, "has no use without an https URL");
            }
        }
        access
    }

    /// Changes when one of the files does. Asks the disk.
    pub fn stamps(&self) -> Vec<Stamp> {
        let secret = self.credentials.file().map(|(_, path)| path);
        let identity = self.identity.iter().flat_map(|(certificate, key)| [certificate, key]);
        secret.into_iter().chain(&self.ca_file).chain(identity).map(|path| stamp(path)).collect()
    }

    /// What the files hold at this moment, or what is wrong with one and what helps. Reads the disk.
    pub fn papers(&self) -> Result<Papers, String> {
        let authorities = self.ca_file.as_deref().map(|path| whole("ca_file", path, certificates));
        let identity = self.identity.as_ref().map(|(certificate, key)| {
            Ok::<_, String>((
                whole("certificate", certificate, certificates)?,
                whole("key", key, private_key)?,
            ))
        });
        Ok(Papers {
            authorization: self.credentials.authorization()?,
            authorities: authorities.transpose()?.unwrap_or_default(),
            identity: identity.transpose()?,
        })
    }
}

impl Credentials {
    fn read(section: &mut Section<'_>) -> Self {
        let token = section.value("token_file", secret_file);
        let username = section.value("username", username);
        let password = section.value("password_file", secret_file);
        match (section.has("username"), section.has("password_file")) {
            (true, false) => section.refuse("password_file", "is missing: `username` needs one"),
            (false, true) => section.refuse("username", "is missing: `password_file` needs one"),
            _ => {}
        }
        if section.has("token_file") && section.has("username") {
            section.refuse("token_file", "must not stand beside `username`: choose one");
        }
        match (token, username.zip(password)) {
            (Some(token), _) => Self::Token(token),
            (None, Some((username, file))) => Self::Password { username, file },
            (None, None) => Self::None,
        }
    }

    /// The file of the secret, and what the configuration calls it.
    fn file(&self) -> Option<(&'static str, &PathBuf)> {
        match self {
            Self::None => None,
            Self::Token(file) => Some(("token_file", file)),
            Self::Password { file, .. } => Some(("password_file", file)),
        }
    }

    fn authorization(&self) -> Result<Option<HeaderValue>, String> {
        let Some((key, path)) = self.file() else { return Ok(None) };
        let secret = whole(key, path, read_secret)?;
        let text = match self {
            Self::Password { username, .. } => {
                format!("Basic {}", STANDARD.encode(format!("{username}:{secret}")))
            }
            _ => format!("Bearer {secret}"),
        };
        let mut value = HeaderValue::try_from(text).map_err(|_| {
            format!("{key} `{}` has signs that no header may have: write it anew", path.display())
        })?;
        value.set_sensitive(true);
        Ok(Some(value))
    }
}

/// What `read` finds in the file that the configuration names by `key`.
fn whole<T>(key: &str, path: &Path, read: fn(&Path) -> io::Result<T>) -> Result<T, String> {
    read(path).map_err(|error| {
        // What it holds says itself what it should.
        let fix = match error.kind() {
            io::ErrorKind::InvalidData => "",
            _ => ": make it a file that the daemon's user may read",
        };
        format!("failed to read {key} `{}`: {error}{fix}", path.display())
    })
}

fn username(value: &DeValue<'_>) -> Result<String, String> {
    let name = value::line(value, 256)?;
    // It ends the name in basic authentication.
    if name.contains(':') { Err("must not contain `:`".into()) } else { Ok(name) }
}

fn identity(section: &mut Section<'_>) -> Option<(PathBuf, PathBuf)> {
    let certificate = section.value("certificate", certificate_file);
    let key = section.value("key", key_file);
    match (section.has("certificate"), section.has("key")) {
        (true, false) => section.refuse("key", "is missing: `certificate` needs one"),
        (false, true) => section.refuse("certificate", "is missing: `key` needs one"),
        _ => {}
    }
    certificate.zip(key)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed test should stop")]
    use super::*;

    #[test]
    fn files_show_what_they_hold_and_that_they_have_changed() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        let credentials = Credentials::Token(file.clone());
        let access = Access { credentials, ..Access::default() };
        let shown = || {
            let papers =
                access.papers().map_err(|said| said.rsplit('`').next().unwrap().to_owned());
            papers.map(|papers| papers.authorization.unwrap())
        };
        let absent = access.stamps();
        assert!(shown().unwrap_err().ends_with("make it a file that the daemon's user may read"));
        std::fs::write(&file, "one\n").unwrap();
        assert_eq!(shown().unwrap(), "Bearer one");
        assert!(shown().unwrap().is_sensitive(), "nobody logs it");
        let first = access.stamps();
        assert!(first != absent && first == access.stamps());
        std::fs::write(&file, "other\n").unwrap();
        assert_ne!(first, access.stamps());
        std::fs::write(&file, "o\u{1}e\n").unwrap();
        assert_eq!(shown().unwrap_err(), " has signs that no header may have: write it anew");
        std::fs::write(&file, "").unwrap();
        assert_eq!(shown().unwrap_err(), ": has nothing in its first line");
        assert_eq!(Access::default().stamps(), []);
        assert!(Access::default().papers().unwrap().authorization.is_none());
    }
}
