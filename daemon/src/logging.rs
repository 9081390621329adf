//! Where log lines go: journald with their fields, a terminal, or JSON.
//!
//! Everything is logged through `tracing`; this is the one place that decides
//! what becomes of it. Level and format are the configuration's, not the
//! environment's, so that what is logged can be told from the file alone.

use std::io::{self, IsTerminal};

use rustix::fs::fstat;
use tracing_subscriber::{
    Layer, Registry, filter::Targets, fmt, layer::SubscriberExt, reload, util::SubscriberInitExt,
};

use crate::config::{LogConfig, LogFormat};

/// Begins the name of every field in journald, so that none passes for one of its own:
/// `journalctl BARTIZAN_SERVER=web-1`.
const FIELD_PREFIX: &str = "BARTIZAN";

/// The log of this process; changes its level when the configuration is read again.
#[derive(Debug, Clone)]
pub struct Logging {
    filter: reload::Handle<Targets, Registry>,
}

/// Why nothing can be logged. Fatal at the start.
#[derive(Debug, thiserror::Error)]
pub enum LoggingError {
    /// systemd connected us with journald, which does not answer.
    #[error("failed to open journald")]
    Journald(#[source] io::Error),
    /// Logging was started before, in the same process.
    #[error("failed to start logging")]
    Started(#[from] tracing_subscriber::util::TryInitError),
}

/// Starts logging. Once per process.
pub fn start(config: &LogConfig) -> Result<Logging, LoggingError> {
    let (filter, handle) = reload::Layer::new(config.targets());
    let lines: Box<dyn Layer<_> + Send + Sync> = match config.format {
        LogFormat::Json => {
            Box::new(fmt::layer().json().flatten_event(true).with_writer(io::stderr))
        }
        LogFormat::Auto if goes_to_journald() => {
            let layer = tracing_journald::layer().map_err(LoggingError::Journald)?;
            Box::new(layer.with_field_prefix(Some(FIELD_PREFIX.into())))
        }
        LogFormat::Auto | LogFormat::Text => {
            let colours = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
            Box::new(fmt::layer().with_ansi(colours).with_writer(io::stderr))
        }
    };
    Registry::default().with(filter).with(lines).try_init()?;
    Ok(Logging { filter: handle })
}

impl Logging {
    /// Takes over the level of `config`. The format stays as it was at the start.
    pub fn follow(&self, config: &LogConfig) {
        if let Err(error) = self.filter.reload(config.targets()) {
            tracing::warn!(%error, "log level not changed");
        }
    }
}

/// Whether stderr is the stream that systemd connected with journald. A shell
/// under a service inherits the variable too, but writes elsewhere.
fn goes_to_journald() -> bool {
    let Ok(stream) = std::env::var("JOURNAL_STREAM") else { return false };
    fstat(io::stderr()).is_ok_and(|stat| names(&stream, stat.st_dev, stat.st_ino))
}

/// Whether `$JOURNAL_STREAM`, `device:inode`, means this file.
fn names(stream: &str, device: u64, inode: u64) -> bool {
    stream.split_once(':').is_some_and(|(d, i)| d.parse() == Ok(device) && i.parse() == Ok(inode))
}

/// An error and its causes, in one line: how an error is written wherever it is told.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        // Writing to a string cannot fail.
        let _ = std::fmt::Write::write_fmt(&mut text, format_args!(": {error}"));
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn journald_is_used_only_where_stderr_leads_to_it() {
        assert!(names("9:42", 9, 42));
        assert!(!names("9:42", 9, 43), "redirected to a file");
        assert!(!names("9", 9, 42));
        assert!(!names("nine:42", 9, 42));
    }
}
