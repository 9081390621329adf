//! `[log]`

/// What is logged, and how.
#[derive(Debug, Clone, PartialEq)]
pub struct LogConfig {
    /// A tracing filter, such as `info` or `info,bartizan::plugin=debug`.
    pub level: String,
    /// How lines are written.
    pub format: LogFormat,
}

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// journald with fields under systemd, else readable lines on stderr.
    #[default]
    Auto,
    /// Readable lines on stderr.
    Text,
    /// One JSON object a line on stderr.
    Json,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { level: "info".into(), format: LogFormat::Auto }
    }
}
