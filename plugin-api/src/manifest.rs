//! What a plugin says of itself: JSON in an ELF section, readable without running any of its code.
//!
//! # Invariants
//!
//! - A [`Manifest`] that exists has been judged: its ABI is ours, its names are well formed, its limits are kept.
//! - Keys that nobody knows are ignored: the manifest grows by adding keys.
//! - The ABI is judged before anything else, because another major may have another shape.

use std::{collections::HashSet, fmt, time::Duration};

use serde::Deserialize;

use crate::abi::{ABI_MAJOR, ABI_MINOR};

mod duration;
#[cfg(test)]
mod tests;

pub use duration::parse_duration;

/// ELF section that holds the manifest, and nothing else but zero bytes after it.
pub const SECTION: &str = ".bartizan_manifest";

/// Longest manifest that is read, in bytes.
pub const MAX_BYTES: usize = 256 * 1024;

/// Most labels that one metric may have.
pub const MAX_LABELS: usize = 16;

/// What a plugin says of itself.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Manifest {
    /// The contract that it was built for.
    pub abi: Abi,
    /// Identity, unique in the world: `org.example.nginx`.
    pub id: String,
    /// Short name, for people and for the configuration.
    pub name: String,
    /// Its version, as its author counts.
    pub version: String,
    /// Who wrote it.
    #[serde(default)]
    pub authors: Vec<String>,
    /// SPDX expression.
    #[serde(default)]
    pub license: String,
    /// What it reads, in one line.
    #[serde(default)]
    pub description: String,
    /// Time between two rounds; without it, the daemon's default.
    #[serde(default, deserialize_with = "duration::deserialize")]
    pub interval: Option<Duration>,
    /// Longest that one call may take; without it, the daemon's default.
    #[serde(default, deserialize_with = "duration::deserialize")]
    pub timeout: Option<Duration>,
    /// Whether instances may run at the same time.
    #[serde(default)]
    pub threads: Threads,
    /// What it wants to reach.
    #[serde(default)]
    pub needs: Needs,
    /// JSON schema of its configuration: an object.
    #[serde(default = "any_object")]
    pub config_schema: serde_json::Value,
    /// What it measures. The position is the `metric` of the ABI's `series`.
    pub metrics: Vec<Metric>,
}

/// The contract that a plugin was built for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct Abi {
    /// Must be [`ABI_MAJOR`].
    pub major: u32,
    /// Oldest minor that it can live with.
    pub min_minor: u32,
}

/// Whether instances of one plugin may run at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Threads {
    /// Each instance on a thread of its own.
    #[default]
    Multi,
    /// One instance at a time.
    Single,
}

/// What a plugin wants to reach.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default)]
pub struct Needs {
    /// Files and folders to read.
    pub read: Vec<String>,
    /// Addresses to connect to: `tcp:443`.
    pub connect: Vec<String>,
    /// Programs to run.
    pub exec: Vec<String>,
    /// Linux capabilities.
    pub caps: Vec<String>,
}

/// One thing that a plugin measures.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Metric {
    /// Name in the manner of Prometheus: `nginx_connections_active`.
    pub name: String,
    /// How its values are to be read.
    pub kind: Kind,
    /// Unit, for people: `bytes`, `ratio`, `connections`.
    #[serde(default)]
    pub unit: String,
    /// Names of its labels, at most [`MAX_LABELS`].
    #[serde(default)]
    pub labels: Vec<String>,
    /// What it means, in one line.
    #[serde(default)]
    pub help: String,
    /// Most series that one instance may register; without it, the daemon's default.
    #[serde(default)]
    pub max_series: Option<u32>,
}

/// How the values of a metric are to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A value that goes up and down; `f64`.
    Gauge,
    /// A count that only grows, or starts again at zero; `u64`.
    Counter,
}

/// Why bytes are not a manifest that we can use.
#[derive(Debug)]
pub enum ManifestError {
    /// More than [`MAX_BYTES`].
    TooLong {
        /// Length in bytes.
        len: usize,
    },
    /// Nothing but zero bytes.
    Empty,
    /// Not JSON, or not of the right shape.
    Json(serde_json::Error),
    /// Made for another ABI.
    Abi {
        /// What it needs.
        needs: Abi,
    },
    /// A value breaks a rule.
    Value {
        /// Which: `metrics[2].name`.
        key: String,
        /// The value.
        value: String,
        /// What it must be.
        rule: &'static str,
    },
}

impl fmt::Display for ManifestError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong { len } => {
                write!(out, "manifest has {len} bytes, at most {MAX_BYTES} are read")
            }
            Self::Empty => write!(out, "manifest is empty"),
            Self::Json(_) => write!(out, "failed to parse manifest"),
            Self::Abi { needs: Abi { major, min_minor } } => {
                write!(
                    out,
                    "needs ABI {major}.{min_minor}, this daemon has {ABI_MAJOR}.{ABI_MINOR}"
                )
            }
            Self::Value { key, value, rule } => {
                write!(out, "manifest's {key} is {value:?}, {rule}")
            }
        }
    }
}

impl std::error::Error for ManifestError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Json(error) => Some(error),
            _ => None,
        }
    }
}

/// The manifest's own bytes: a section made by a C compiler ends with the zero byte of its string.
#[must_use]
pub fn trim(section: &[u8]) -> &[u8] {
    let end = section.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    section.get(..end).unwrap_or_default()
}

impl Manifest {
    /// Reads and judges the bytes of a section or of an entry.
    ///
    /// # Errors
    ///
    /// The first rule that they break.
    pub fn parse(bytes: &[u8]) -> Result<Self, ManifestError> {
        #[derive(Deserialize)]
        struct Versioned {
            abi: Abi,
        }
        let bytes = trim(bytes);
        if bytes.is_empty() {
            return Err(ManifestError::Empty);
        }
        if bytes.len() > MAX_BYTES {
            return Err(ManifestError::TooLong { len: bytes.len() });
        }
        let Versioned { abi } = serde_json::from_slice(bytes).map_err(ManifestError::Json)?;
        if abi.major != ABI_MAJOR || abi.min_minor > ABI_MINOR {
            return Err(ManifestError::Abi { needs: abi });
        }
        let manifest: Self = serde_json::from_slice(bytes).map_err(ManifestError::Json)?;
        manifest.judge()?;
        Ok(manifest)
    }

    fn judge(&self) -> Result<(), ManifestError> {
        require(is_id(&self.id), "id", &self.id, ID_RULE)?;
        require(is_short(&self.name), "name", &self.name, "must have 1 to 64 visible characters")?;
        require(
            is_short(&self.version),
            "version",
            &self.version,
            "must have 1 to 64 visible characters",
        )?;
        require(
            self.config_schema.is_object(),
            "config_schema",
            &self.config_schema.to_string(),
            "must be a JSON object",
        )?;
        let mut seen = HashSet::new();
        for (at, metric) in self.metrics.iter().enumerate() {
            let key = |part: &str| format!("metrics[{at}].{part}");
            require(is_name(&metric.name), &key("name"), &metric.name, NAME_RULE)?;
            require(seen.insert(&metric.name), &key("name"), &metric.name, "must stand only once")?;
            let labels = metric.labels.len();
            require(
                labels <= MAX_LABELS,
                &key("labels"),
                &labels.to_string(),
                "must be at most 16",
            )?;
            let mut names = HashSet::new();
            for label in &metric.labels {
                require(is_name(label), &key("labels"), label, NAME_RULE)?;
                require(names.insert(label), &key("labels"), label, "must stand only once")?;
            }
        }
        Ok(())
    }
}

const ID_RULE: &str = "must have 1 to 128 of a-z 0-9 . _ - and begin with a letter";
const NAME_RULE: &str = "must have 1 to 128 of a-z A-Z 0-9 _ and begin with no digit";

fn any_object() -> serde_json::Value {
    serde_json::json!({ "type": "object" })
}

fn require(holds: bool, key: &str, value: &str, rule: &'static str) -> Result<(), ManifestError> {
    if holds {
        return Ok(());
    }
    let value = value.chars().take(80).collect();
    Err(ManifestError::Value { key: key.to_owned(), value, rule })
}

fn is_id(text: &str) -> bool {
    (1..=128).contains(&text.len())
        && text.starts_with(|first: char| first.is_ascii_lowercase())
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-".contains(c))
}

fn is_name(text: &str) -> bool {
    (1..=128).contains(&text.len())
        && !text.starts_with(|first: char| first.is_ascii_digit())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

fn is_short(text: &str) -> bool {
    (1..=64).contains(&text.chars().count()) && !text.chars().any(char::is_control)
}
