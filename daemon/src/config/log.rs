//! `[log]`

use toml::de::DeValue;
use tracing_subscriber::filter::{LevelFilter, Targets};

use super::{section::Section, value};

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

impl LogConfig {
    pub(super) fn read(section: &mut Section<'_>) -> Self {
        let default = Self::default();
        Self {
            level: section.value("level", level).unwrap_or(default.level),
            format: section.value("format", format).unwrap_or(default.format),
        }
    }

    /// What passes, by the level of each target; `info` where the level was not
    /// judged by [`read`](Self::read).
    pub fn targets(&self) -> Targets {
        let asked: Targets =
            self.level.parse().unwrap_or_else(|_| Targets::new().with_default(LevelFilter::INFO));
        // The actor library names its actors by numbers that tell nobody anything.
        match asked.iter().any(|(target, _)| target.starts_with("ractor")) {
            true => asked,
            false => asked.with_target("ractor", LevelFilter::WARN),
        }
    }
}

fn level(value: &DeValue<'_>) -> Result<String, String> {
    const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
    let text = value::text(value)?;
    let refused = |part: &str| {
        format!("is `{text}`; `{part}` must be one of {}, or `target=level`", LEVELS.join(", "))
    };
    for part in text.split(',') {
        // tracing takes a lone word for a target and lets all of it through: a
        // mistyped level would silence everything else.
        let (_, level) = part.rsplit_once('=').unwrap_or(("", part));
        if !LEVELS.contains(&level) || part.contains(char::is_whitespace) {
            return Err(refused(part));
        }
    }
    text.parse::<Targets>().map_err(|error| format!("is `{text}`: {error}"))?;
    Ok(text.into())
}

fn format(value: &DeValue<'_>) -> Result<LogFormat, String> {
    use LogFormat::{Auto, Json, Text};
    value::choice(value, &[("auto", Auto), ("text", Text), ("json", Json)])
}
