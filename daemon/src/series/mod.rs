//! What a measurement is: servers, series, samples, frames, gaps.
//!
//! ```text
//!  server ─has─► collectors ─give─► frames ─of─► samples ─of─► series
//! ```
//!
//! # Invariants
//!
//! - A [`SeriesId`] names the same series for as long as the process lives, and
//!   the store keeps it the same from one process to the next.
//! - A [`Frame`] holds what one collector read at one instant, and nothing else.
//! - Times are milliseconds since 1970, UTC, signed.
//! - Nothing here does I/O, knows an actor, or waits.

mod by_series;
mod catalog;
mod frame;
mod labels;
mod name;
mod naming;
mod rate;

pub use by_series::{BySeries, Walk};
pub use catalog::{Catalog, CatalogFull};
pub use frame::{Frame, Gap, Sample};
pub use labels::Labels;
pub use name::{SERVER_NAME_MAX, check_server_name, check_server_pattern};
pub use naming::{kind_by_name, unit_by_name};
pub use rate::{Growth, Rate, RateOf};

use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// A series, interned: an index into the [`Catalog`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SeriesId(pub u32);

/// How the values of a series relate to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A value that stands for itself.
    Gauge,
    /// A value that only grows, until it starts again from zero. Shown as a rate.
    Counter,
}

/// What is presumed of a series that comes from elsewhere until it has been measured how often it comes. No interval
/// that was measured is exactly this: it says that nobody knows, also after a restart.
pub const PRESUMED_INTERVAL_MS: u32 = 10_001;

/// What is known of a series besides its samples.
///
/// Its identity is (server, metric, labels); the other fields may change, and
/// the newest declaration counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Series {
    /// Name of the server it belongs to.
    pub server: Arc<str>,
    /// Name of the collector that reads it, unique within the server.
    pub collector: Arc<str>,
    /// Metric name, with its base unit as suffix.
    pub metric: Arc<str>,
    /// What tells it from the other series of the metric.
    pub labels: Labels,
    /// Unit of the values, such as `bytes`; `ratio` is 0 to 1.
    pub unit: Arc<str>,
    /// Gauge or counter.
    pub kind: Kind,
    /// Time between two samples, in milliseconds; [`PRESUMED_INTERVAL_MS`] where that is not known.
    pub interval_ms: u32,
}

/// What is said of silence where nobody knows more of it, of something that comes every `interval_ms`.
pub fn silence(interval_ms: u32) -> &'static str {
    match interval_ms {
        PRESUMED_INTERVAL_MS => "no sample for 30 s, and not yet known how often one comes",
        _ => "no sample for three intervals",
    }
}

/// Milliseconds since 1970 by the system's clock.
pub fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// A duration in whole milliseconds.
pub fn whole_ms(duration: std::time::Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
