//! The administrator's token, and the session that is made of it.

use std::{
    fmt,
    fs::{self, OpenOptions},
    io::{self, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::HttpError;

/// 256 bits, in hexadecimal.
const LENGTH: usize = 64;

/// What proves an administrator. Neither it nor the session made of it is ever logged.
#[derive(Clone)]
pub struct Token {
    secret: String,
    session: String,
}

impl Token {
    /// The token of the state folder `state`, made if there is none.
    pub fn load_or_create(state: &Path) -> Result<Self, HttpError> {
        let path = state.join("admin-token");
        let failed = |source| HttpError::Token { path: path.clone(), source };
        match fs::read_to_string(&path) {
            Ok(text) => {
                let secret = text.trim();
                if secret.len() != LENGTH || !secret.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                    return Err(HttpError::TokenShape { path });
                }
                // Whoever copied it here may have left it open to others.
                fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).map_err(failed)?;
                Ok(Self::new(secret.to_owned()))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let secret = random().map_err(failed)?;
                write(&path, &secret).map_err(failed)?;
                Ok(Self::new(secret))
            }
            Err(source) => Err(failed(source)),
        }
    }

    fn new(secret: String) -> Self {
        // The browser keeps this instead of the token; the one cannot be had from the other.
        let mut hash = Sha256::new();
        hash.update(b"bartizan session\0");
        hash.update(secret.as_bytes());
        let session = hex(&hash.finalize());
        Self { secret, session }
    }

    /// The address that signs a browser in, below `base` such as `http://127.0.0.1:9797`.
    /// Whoever has it is administrator.
    pub fn signin_url(&self, base: &str) -> String {
        format!("{}/signin?token={}", base.trim_end_matches('/'), self.secret)
    }

    /// Whether `given` is the token; takes the same time for every wrong one.
    pub(super) fn is(&self, given: &str) -> bool {
        self.secret.as_bytes().ct_eq(given.as_bytes()).into()
    }

    /// Whether `given` is the session; takes the same time for every wrong one.
    pub(super) fn is_session(&self, given: &str) -> bool {
        self.session.as_bytes().ct_eq(given.as_bytes()).into()
    }

    /// What the cookie holds.
    pub(super) fn session(&self) -> &str {
        &self.session
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token")
    }
}

fn random() -> io::Result<String> {
    let mut bytes = [0; LENGTH / 2];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    Ok(hex(&bytes))
}

/// Writes it beside its place first: a crash leaves a whole token or none.
fn write(path: &Path, secret: &str) -> io::Result<()> {
    let mut beside = PathBuf::from(path);
    beside.set_extension("new");
    let options = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).clone();
    let mut file = options.open(&beside)?;
    file.set_permissions(fs::Permissions::from_mode(0o600))?;
    writeln!(file, "{secret}")?;
    file.sync_all()?;
    fs::rename(&beside, path)
}

/// Hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed test should stop")]
    use super::*;

    #[test]
    fn a_token_is_made_once_and_for_its_owner_alone() {
        let state = tempfile::tempdir().unwrap();
        let made = Token::load_or_create(state.path()).unwrap();
        let path = state.path().join("admin-token");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);

        let found = Token::load_or_create(state.path()).unwrap();
        assert!(found.is(&made.secret) && found.is_session(&made.session));
        assert!(!found.is(&made.session) && !found.is("") && !found.is_session(&made.secret));
        assert!(!format!("{made:?}").contains(&made.secret));
    }

    #[test]
    fn a_file_that_holds_no_token_is_refused() {
        let state = tempfile::tempdir().unwrap();
        fs::write(state.path().join("admin-token"), "secret").unwrap();
        let error = Token::load_or_create(state.path()).unwrap_err().to_string();
        assert!(error.contains("delete it"), "{error}");
    }
}
