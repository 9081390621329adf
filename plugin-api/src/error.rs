//! What a collector fails with: a status that drives the daemon, and a text for people.

use std::fmt::{self, Display, Write as _};

use crate::abi::Status;

/// What a collector returns.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a collector could not start or read.
///
/// `?` turns every std error into one of status [`Status::Retry`], with its chain of causes as text. It is itself no
/// `std::error::Error`, because then `?` could not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    status: Status,
    text: String,
}

impl Error {
    pub(crate) fn new(status: Status, text: impl Display) -> Self {
        Self { status, text: text.to_string() }
    }

    /// The target is down: that is data, not a fault of the plugin.
    pub fn unavailable(text: impl Display) -> Self {
        Self::new(Status::Unavailable, text)
    }

    /// Failed this time; the next round may succeed.
    pub fn retry(text: impl Display) -> Self {
        Self::new(Status::Retry, text)
    }

    /// The configuration cannot work: stop until it changes.
    pub fn config(text: impl Display) -> Self {
        Self::new(Status::Config, text)
    }

    /// A permission is missing; say which.
    pub fn permission(text: impl Display) -> Self {
        Self::new(Status::Permission, text)
    }

    /// This machine has no such thing: park silently.
    pub fn unsupported(text: impl Display) -> Self {
        Self::new(Status::Unsupported, text)
    }

    /// This instance is beyond repair: make a new one, with back-off.
    pub fn fatal(text: impl Display) -> Self {
        Self::new(Status::Fatal, text)
    }

    /// What drives the daemon.
    #[must_use]
    pub fn status(&self) -> Status {
        self.status
    }

    /// What people read.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }
}

impl Display for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.text)
    }
}

impl<E: std::error::Error> From<E> for Error {
    fn from(error: E) -> Self {
        let mut text = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            // Writing to a string cannot fail.
            let _ = write!(text, ": {error}");
            cause = error.source();
        }
        Self { status: Status::Retry, text }
    }
}
