//! Prometheus exporters as collectors: their page is read on a schedule, each sample as it stands there.
//!
//! ```text
//!  slot ─offset─► fetch ─page─► Lines ─► Format ─Line─► Round ─► Haul ─► Reading
//!                  (HTTP, limits)      (the two texts)    │
//!                                                       Known: bytes of a page ⇄ series, by Naming (labels, rules)
//! ```
//!
//! # Invariants
//!
//! - A malformed line costs itself and nothing else; it is counted, and the first is named with its number. A page
//!   that is cut off, or of which nothing can be read, is none at all.
//! - Everything that a target can make large is bounded: its page, packed or not, its lines, its labels, its series.
//! - One reading takes no longer than its timeout; a target that hangs slows nobody else.
//! - Samples have the time of their slot, unless the page's own time is honoured.
//! - Whatever is not taken of a page is shown as `scrape_samples_dropped`, by reason.
//! - A series is told from others by the page's own labels and those of its target (`instance`, `job`); a page's label
//!   of the same name, and one called `server` or `collector`, is kept as `exported_…`, as Prometheus does.
//! - Names no store, no server, no web type.

mod client;
mod family;
mod fetch;
mod identity;
mod known;
pub mod line;
mod openmetrics;
mod page;
mod prometheus;
mod resolver;
mod round;
mod said;
mod source;
#[cfg(test)]
mod tests;

pub use family::Family;
pub use page::{Format, Lines, Malformed};
pub use round::{Haul, Parser};
pub use source::ScrapeSource;
