//! Samples as text, out and in: OpenMetrics and CSV.
//!
//! ```text
//!  samples ─► TextWriter ─► text ─► read ─► Table (series), samples
//! ```
//!
//! CSV has a line for each sample, in the order of series and time, behind the names of its columns:
//!
//! ```text
//!  time_ms,value,server,collector,metric,labels,kind,unit,interval_ms
//!  1764100000000,0.25,web-1,cpu,cpu_usage_ratio,"{core=""0""}",gauge,ratio,1000
//! ```
//!
//! Values are the shortest decimals that are the same bits when read again; `NaN`, `+Inf` and `-Inf` as OpenMetrics
//! writes them. A NaN of other bits than the usual ones is `NaN:` and its bits in hexadecimal in CSV, and a label whose
//! name has other letters than Prometheus allows has it in quotes: `{"odd name"="b"}`.
//!
//! OpenMetrics 1.0 says less: it has one NaN, no interval, no unit that is not in the name, no counter whose name does not
//! end in `_total`, and no quotes around names. A name of other letters is refused there, with the series and the fix.
//!
//! # Invariants
//!
//! - What is written here can be read here, and is then written the same. In CSV it is the same bit for bit, whatever a
//!   store can hold.
//! - Memory holds the series, never the samples.
//! - A line that is not understood ends the reading, with its number, what is wrong and the fix.
//! - Absent: stores, files of the daemon, HTTP.

mod csv;
mod number;
mod openmetrics;
mod read;
mod table;
#[cfg(test)]
mod tests;
mod write;

pub use read::{BadLine, Source};
pub use table::Table;
pub use write::TextWriter;

/// How samples are written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// OpenMetrics text 1.0.
    OpenMetrics,
    /// Comma-separated values (RFC 4180).
    Csv,
}

impl Format {
    /// The format of this name.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "openmetrics" => Some(Self::OpenMetrics),
            "csv" => Some(Self::Csv),
            _ => None,
        }
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::OpenMetrics => "openmetrics",
            Self::Csv => "csv",
        }
    }

    /// Its content type.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Csv => "text/csv; charset=utf-8",
        }
    }
}
