//! Why a command failed, and how people are told.

use std::{error::Error, io, path::PathBuf, process::ExitCode};

use super::{client::ClientError, join::JoinError, output::OutputError};
use crate::{
    config::ConfigError,
    exchange::BadLine,
    logging::{LoggingError, chain},
    root::StartError,
    store::StoreError,
};

/// Why a command failed. Each cause names its own step and subject.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// There is no configuration to work with.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Nothing can be logged.
    #[error(transparent)]
    Logging(#[from] LoggingError),
    /// The daemon could not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// No answer from a daemon.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// This machine has not joined a hub.
    #[error(transparent)]
    Join(#[from] JoinError),
    /// The answer of a daemon has another shape.
    #[error("failed to understand the daemon's answer; is it another version?")]
    Answer(#[from] serde_json::Error),
    /// The answer could not be shown.
    #[error(transparent)]
    Output(#[from] OutputError),
    /// The stretch of time is empty.
    #[error("failed to query: --since is not before --until")]
    Backwards,
    /// No series matched.
    #[error("failed to query `{metric}` of `{server}`: nothing is known of it")]
    Unknown {
        /// The server asked for.
        server: String,
        /// The metric asked for.
        metric: String,
    },
    /// A contact was not reached by every way; the hops were printed.
    #[error("failed to reach `{0}` by every way")]
    NotReached(String),
    /// The file is no plugin that we can use.
    #[error("failed to read plugin `{}`", path.display())]
    PluginFile {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: Box<dyn Error>,
    },
    /// No daemon runs, and the store does not answer either.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Not all samples could be read.
    #[error(
        "failed to read {0} columns: all others are written; `bartizan store check` says which those are"
    )]
    Incomplete(u64),
    /// Samples could not be written down.
    #[error("failed to export samples")]
    Export(#[source] io::Error),
    /// Samples of a file were not taken.
    #[error("failed to import `{}`", path.display())]
    Import {
        /// The file.
        path: PathBuf,
        /// Where in it, and why not.
        source: BadLine,
    },
    /// A file could not be read or written.
    #[error("failed to {step} `{}`", path.display())]
    File {
        /// What was being done.
        step: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Nothing can be asked about the past.
    #[error(
        "failed to find a daemon or its history in `{}`; name its state folder by --state",
        .0.display()
    )]
    NoDaemon(PathBuf),
}

impl Failure {
    /// Prints the failure with its causes, once.
    pub(super) fn report(&self) -> ExitCode {
        eprintln!("bartizan: {}", chain(self));
        match self {
            Self::Backwards => ExitCode::from(2),
            _ => ExitCode::FAILURE,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_follow_in_one_line() {
        let source = std::io::Error::other("no such file");
        let failure = Failure::from(ConfigError::Read { path: "/a.toml".into(), source });
        assert_eq!(chain(&failure), "failed to read configuration `/a.toml`: no such file");
    }
}
