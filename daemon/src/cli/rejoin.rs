//! What `bartizan join --again` may do where a `[[forward]]` to the hub stands already: decisions without touching a
//! file.
//!
//! The token alone is replaced, in the file that stands there. What else was given must be as it stands, or is refused
//! by its name: nothing that was asked for is left out in silence.

use std::path::{Path, PathBuf};

use super::hub::Hub;
use crate::config::{Config, Credentials, ForwardConfig};

/// Why the token cannot be replaced.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum AgainError {
    /// An option says something else than what stands there.
    #[error(
        "{option} says {given}, and the [[forward]] to {url} says {stands}, which --again does not \
         change: change `{key}` there, or leave out {option}"
    )]
    Option {
        /// As it is given.
        option: &'static str,
        /// What the configuration calls it.
        key: &'static str,
        /// What was given.
        given: String,
        /// Where the `[[forward]]` leads to.
        url: String,
        /// What it says.
        stands: String,
    },
    /// There is no file to replace a token in.
    #[error(
        "the [[forward]] to {0} names no token_file: name one there instead of username and \
         password_file"
    )]
    NoTokenFile(String),
    /// The file is read for another hub too.
    #[error(
        "`{}` holds the token for {other} as well, which would be lost: give one of both \
         [[forward]] a token_file of its own", file.display()
    )]
    Shared {
        /// The file.
        file: PathBuf,
        /// The other hub.
        other: String,
    },
}

/// The `[[forward]]` that leads to `url`.
pub(super) fn standing<'c>(config: &'c Config, url: &str) -> Option<&'c ForwardConfig> {
    config.forwards.iter().find(|forward| forward.urls.iter().any(|known| known == url))
}

/// Lets `hub` be spoken to as `standing` says, unless something else was asked for.
pub(super) fn settle(standing: &ForwardConfig, hub: &mut Hub) -> Result<(), AgainError> {
    let shown = |path: Option<&PathBuf>| {
        path.map_or("nothing".into(), |path| format!("`{}`", path.display()))
    };
    let differs = |option, key, given: Option<&PathBuf>, stands: Option<&PathBuf>| {
        // Both are paths from the root, or the configuration's is from where we are.
        let whole = |path: &PathBuf| std::path::absolute(path).ok();
        if given.is_none() || given.map(whole) == stands.map(whole) {
            return Ok(());
        }
        let (given, stands, url) = (shown(given), shown(stands), hub.to_string());
        Err(AgainError::Option { option, key, given, url, stands })
    };
    let (certificate, key) = standing.access.identity.as_ref().map(|(c, k)| (c, k)).unzip();
    let (own_certificate, own_key) = hub.identity.as_ref().map(|(c, k)| (c, k)).unzip();
    differs("--ca-file", "ca_file", hub.ca_file.as_ref(), standing.access.ca_file.as_ref())?;
    differs("--certificate", "certificate", own_certificate, certificate)?;
    differs("--key", "key", own_key, key)?;
    hub.ca_file.clone_from(&standing.access.ca_file);
    hub.identity.clone_from(&standing.access.identity);
    Ok(())
}

/// The file whose token is to be replaced.
pub(super) fn token_file<'c>(
    standing: &'c ForwardConfig,
    hub: &Hub,
) -> Result<&'c Path, AgainError> {
    match &standing.access.credentials {
        Credentials::Token(file) => Ok(file),
        _ => Err(AgainError::NoTokenFile(hub.to_string())),
    }
}

/// Whether `file` may be written for `url`: no `[[forward]]` to elsewhere reads it.
pub(super) fn check_own(config: &Config, file: &Path, url: &str) -> Result<(), AgainError> {
    let reads = |forward: &&ForwardConfig| match &forward.access.credentials {
        Credentials::Token(known) => known == file,
        _ => false,
    };
    let elsewhere = |forward: &&ForwardConfig| forward.urls.iter().all(|known| known != url);
    match config.forwards.iter().filter(elsewhere).find(reads) {
        None => Ok(()),
        Some(other) => Err(AgainError::Shared { file: file.into(), other: other.urls.join(", ") }),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed test should stop")]
    use super::*;
    use crate::config::Access;

    const URL: &str = "https://hub/api/v1/write";

    fn forward(url: &str, token: &str, ca_file: Option<&str>) -> ForwardConfig {
        ForwardConfig {
            urls: vec![url.into()],
            access: Access {
                credentials: Credentials::Token(token.into()),
                ca_file: ca_file.map(PathBuf::from),
                identity: None,
            },
            ..ForwardConfig::default()
        }
    }

    #[test]
    fn what_is_given_is_as_it_stands_or_refused_by_name() {
        let standing = forward(URL, "/etc/b/hub-token", Some("/etc/b/ca.pem"));
        let mut hub = Hub::at("https://hub").unwrap();
        assert_eq!(settle(&standing, &mut hub), Ok(()));
        assert_eq!(hub.ca_file, standing.access.ca_file, "what was not given stays as it is");
        assert_eq!(settle(&standing, &mut hub), Ok(()), "the same");

        hub.ca_file = Some("/etc/b/other.pem".into());
        let error = settle(&standing, &mut hub).unwrap_err().to_string();
        assert!(
            error.starts_with(
                "--ca-file says `/etc/b/other.pem`, and the [[forward]] to https://hub says \
                 `/etc/b/ca.pem`"
            ),
            "{error}"
        );
        hub.ca_file = None;
        hub.identity = Some(("/c.pem".into(), "/k.pem".into()));
        let error = settle(&standing, &mut hub).unwrap_err().to_string();
        assert!(error.contains("--certificate says `/c.pem`") && error.contains("says nothing"));
    }

    #[test]
    fn the_file_that_stands_there_is_written_unless_another_hub_needs_it() {
        let forwards = vec![forward(URL, "/etc/b/hub-token", None)];
        let mut config = Config { forwards, ..Config::default() };
        let hub = Hub::at("https://hub").unwrap();
        let file = token_file(standing(&config, URL).unwrap(), &hub).unwrap().to_owned();
        assert_eq!(check_own(&config, &file, URL), Ok(()));
        config.forwards.push(forward("https://two/api/v1/write", "/etc/b/hub-token", None));
        let error = check_own(&config, &file, URL).unwrap_err().to_string();
        assert!(error.contains("holds the token for https://two/api/v1/write as well"), "{error}");
        config.forwards[0].access.credentials = Credentials::None;
        let error = token_file(&config.forwards[0], &hub).unwrap_err().to_string();
        assert!(error.contains("names no token_file"), "{error}");
    }
}
